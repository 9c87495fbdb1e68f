/* Making an optimizer.  Invariant: everything is allocated here; a step and the queries
 * (step.c) allocate nothing. */
#include "optim/optimizer.h"

#include <stdlib.h>
#include <string.h>

int rv_optim_abi(void)
{
    return RV_OPTIM_ABI;
}

static rv_status check_options(const rv_optimizer_options *options, const rv_tensor *tensors, int count,
                               rv_error *err)
{
    if (!options || !options->method)
        return rv_fail(err, RV_E_ARGUMENT, "optimizer: no method given");
    if (options->dtype != RV_F32 && options->dtype != RV_F64)
        return rv_fail(err, RV_E_ARGUMENT, "optimizer: dtype must be f32 or f64, not %s",
                       rv_dtype_name(options->dtype));
    if (options->state_dtype == RV_I32 || options->state_dtype == RV_U8)
        return rv_fail(err, RV_E_ARGUMENT, "optimizer: state_dtype must be bf16 or that of the weights, not %s",
                       rv_dtype_name(options->state_dtype));
    if (options->allocator && (!options->allocator->allocate || !options->allocator->release))
        return rv_fail(err, RV_E_ARGUMENT, "optimizer: an allocator needs both of its functions");
    if (count < 0 || (count > 0 && !tensors))
        return rv_fail(err, RV_E_ARGUMENT, "optimizer: a list of %d tensors was given", count);
    for (int i = 0; i < count; i++) {
        const rv_tensor *t = &tensors[i];
        if (memchr(t->name, 0, sizeof t->name) == NULL || t->name[0] == 0)
            return rv_fail(err, RV_E_ARGUMENT, "optimizer: tensor %d has no name", i);
        if ((unsigned)t->role >= RV_ROLE_COUNT)
            return rv_fail(err, RV_E_ARGUMENT, "optimizer: tensor '%s' has no such role: %d", t->name, (int)t->role);
        if (t->shape.rank < 0 || t->shape.rank > RV_MAX_RANK)
            return rv_fail(err, RV_E_SHAPE, "optimizer: tensor '%s' has rank %d, at most %d is possible",
                           t->name, t->shape.rank, RV_MAX_RANK);
        for (int k = 0; k < t->shape.rank; k++)
            if (t->shape.dim[k] < 0)
                return rv_fail(err, RV_E_SHAPE, "optimizer: tensor '%s' has a negative extent", t->name);
        for (int j = 0; j < i; j++)
            if (strcmp(t->name, tensors[j].name) == 0)
                return rv_fail(err, RV_E_ARGUMENT, "optimizer: two tensors are called '%s'", t->name);
    }
    return RV_OK;
}

/* A group's list of the tensors whose owner it is; a wrapper's group has all. */
static rv_status fill(rv_group *group, int number, const int *owner, const rv_tensor *tensors, int count, rv_error *err)
{
    for (int i = 0; i < count; i++)
        group->count += group->wrapper || owner[i] == number;
    const size_t n = (size_t)group->count + 1;
    group->tensors = calloc(n, sizeof *group->tensors);
    group->index = calloc(n, sizeof *group->index);
    group->w = calloc(n, sizeof *group->w);
    group->g = calloc(n, sizeof *group->g);
    if (!group->tensors || !group->index || !group->w || !group->g)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    for (int i = 0, at = 0; i < count; i++) {
        if (!group->wrapper && owner[i] != number)
            continue;
        group->tensors[at] = tensors[i];
        group->index[at++] = i;
    }
    return RV_OK;
}

/* Gives every tensor to the first rule that matches. */
static rv_status assign(rv_optimizer *o, const rv_tensor *tensors, rv_error *err)
{
    int *owner = calloc((size_t)o->count + 1, sizeof *owner);
    if (!owner)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    rv_status status = RV_OK;
    for (int i = 0; i < o->count && status == RV_OK; i++) {
        owner[i] = rv_groups_match(o, &tensors[i], rv_optimizer_is_layered(o, i));
        char shape[96];
        if (owner[i] < 0)
            status = rv_fail(err, RV_E_UNKNOWN, "optimizer: no rule matches tensor '%s' (role %s, shape %s)",
                             tensors[i].name, rv_role_name(tensors[i].role),
                             rv_shape_text(&tensors[i].shape, shape, sizeof shape));
    }
    for (int k = 0; k < rv_groups_all(o) && status == RV_OK; k++)
        status = fill(&o->groups[k], k, owner, tensors, o->count, err);
    free(owner);
    return status;
}

/* Where tensors lie in buffers of our own: as in the flat vectors, or one behind the other. */
static void place(rv_optimizer *o, const rv_tensor *tensors, int64_t flat_size)
{
    for (int i = 0; i < o->count; i++) {
        o->offsets[i] = tensors[i].offset;
        o->places[i] = flat_size >= 0 ? tensors[i].offset : o->places_size;
        if (flat_size < 0)
            o->places_size += (rv_shape_size(&tensors[i].shape) + 15) / 16 * 16;
    }
    if (flat_size >= 0)
        o->places_size = o->flat_size = flat_size;
}

/* layout NULL: there is no flat vector. */
static rv_status make(rv_optimizer *o, const rv_optimizer_options *options, const rv_tensor *tensors,
                      const rv_layout *layout, const void *const *w, rv_error *err)
{
    RV_TRY(rv_method_lookup(options->method, &o->method, err));
    o->dtype = options->dtype;
    o->state_dtype = options->state_dtype == RV_BF16 ? RV_BF16 : options->dtype;
    o->pool = options->pool;
    o->seed = options->seed;
    if (options->allocator)
        o->allocator = *options->allocator;
    o->lr_factor = 1;
    const size_t n = (size_t)o->count + 1;
    o->offsets = calloc(n, sizeof *o->offsets);
    o->places = calloc(n, sizeof *o->places);
    o->flat_w = calloc(n, sizeof *o->flat_w);
    o->flat_g = calloc(n, sizeof *o->flat_g);
    o->g = calloc(n, sizeof *o->g);
    o->lrs = calloc(n, sizeof *o->lrs);
    if (!o->offsets || !o->places || !o->flat_w || !o->flat_g || !o->g || !o->lrs)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    place(o, tensors, layout ? layout->size : -1);
    if (layout)
        RV_TRY(rv_optimizer_copy_layers(o, layout, err));
    RV_TRY(rv_groups_new(o, options, err));
    RV_TRY(assign(o, tensors, err));
    RV_TRY(rv_optimizer_assign_layers(o, err));
    return rv_optimizer_plan(o, w, err);
}

static rv_status new_with(rv_optimizer **out, const rv_optimizer_options *options, const rv_tensor *tensors, int count,
                          const rv_layout *layout, const void *const *w, rv_error *err)
{
    *out = NULL;
    RV_TRY(check_options(options, tensors, count, err));
    rv_optimizer *o = calloc(1, sizeof *o);
    if (!o)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    o->count = count;
    const rv_status status = make(o, options, tensors, layout, w, err);
    if (status != RV_OK) {
        rv_optimizer_free(o);
        return status;
    }
    *out = o;
    return RV_OK;
}

rv_status rv_optimizer_new(rv_optimizer **out, const rv_optimizer_options *options, const rv_tensor *tensors,
                           int count, const void *const *w, rv_error *err)
{
    return new_with(out, options, tensors, count, NULL, w, err);
}

rv_status rv_optimizer_new_flat(rv_optimizer **out, const rv_optimizer_options *options, const rv_layout *layout,
                                const void *w, rv_error *err)
{
    *out = NULL;
    const void **parts = calloc((size_t)layout->count + 1, sizeof *parts);
    if (!parts)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    const size_t size = rv_dtype_size(options->dtype);
    for (int i = 0; i < layout->count; i++)
        parts[i] = (const char *)w + (size_t)layout->tensors[i].offset * size;
    const rv_status status = new_with(out, options, layout->tensors, layout->count, layout, parts, err);
    free(parts);
    return status;
}

void rv_optimizer_free(rv_optimizer *o)
{
    if (!o)
        return;
    rv_groups_free(o);
    rv_optimizer_unreserve(o, &o->state);
    rv_optimizer_unreserve(o, &o->workspace);
    rv_optimizer_unreserve(o, &o->buffers);
    free(o->offsets);
    free(o->flat_w);
    free(o->flat_g);
    free(o->places);
    free(o->g);
    free(o->lrs);
    free(o->layers);
    free(o);
}
