/* Making, stepping and asking an optimizer.  Invariant: everything is allocated when it
 * is made; a step and the queries allocate nothing. */
#include "optim/optimizer.h"

#include <math.h>
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

/* Gives every tensor to the first rule that matches. */
static rv_status assign(rv_optimizer *o, const rv_tensor *tensors, rv_error *err)
{
    int *owner = calloc((size_t)o->count + 1, sizeof *owner);
    if (!owner)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    rv_status status = RV_OK;
    for (int i = 0; i < o->count && status == RV_OK; i++) {
        owner[i] = rv_groups_match(o, &tensors[i]);
        char shape[96];
        if (owner[i] < 0)
            status = rv_fail(err, RV_E_UNKNOWN, "optimizer: no rule matches tensor '%s' (role %s, shape %s)",
                             tensors[i].name, rv_role_name(tensors[i].role),
                             rv_shape_text(&tensors[i].shape, shape, sizeof shape));
        else
            o->groups[owner[i]].count++;
    }
    for (int k = 0; k < o->group_count && status == RV_OK; k++) {
        rv_group *group = &o->groups[k];
        const size_t n = (size_t)group->count + 1;
        group->tensors = calloc(n, sizeof *group->tensors);
        group->index = calloc(n, sizeof *group->index);
        group->w = calloc(n, sizeof *group->w);
        group->g = calloc(n, sizeof *group->g);
        if (!group->tensors || !group->index || !group->w || !group->g) {
            status = rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
            break;
        }
        int at = 0;
        for (int i = 0; i < o->count; i++) {
            if (owner[i] != k)
                continue;
            group->tensors[at] = tensors[i];
            group->index[at++] = i;
        }
    }
    free(owner);
    return status;
}

static rv_status make(rv_optimizer *o, const rv_optimizer_options *options, const rv_tensor *tensors,
                      const void *const *w, rv_error *err)
{
    RV_TRY(rv_method_lookup(options->method, &o->method, err));
    o->dtype = options->dtype;
    o->pool = options->pool;
    o->lr_factor = 1;
    const size_t n = (size_t)o->count + 1;
    o->offsets = calloc(n, sizeof *o->offsets);
    o->flat_w = calloc(n, sizeof *o->flat_w);
    o->flat_g = calloc(n, sizeof *o->flat_g);
    if (!o->offsets || !o->flat_w || !o->flat_g)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    for (int i = 0; i < o->count; i++)
        o->offsets[i] = tensors[i].offset;
    RV_TRY(rv_groups_new(o, options, err));
    RV_TRY(assign(o, tensors, err));
    return rv_optimizer_plan(o, w, err);
}

rv_status rv_optimizer_new(rv_optimizer **out, const rv_optimizer_options *options, const rv_tensor *tensors,
                           int count, const void *const *w, rv_error *err)
{
    *out = NULL;
    RV_TRY(check_options(options, tensors, count, err));
    rv_optimizer *o = calloc(1, sizeof *o);
    if (!o)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    o->count = count;
    const rv_status status = make(o, options, tensors, w, err);
    if (status != RV_OK) {
        rv_optimizer_free(o);
        return status;
    }
    *out = o;
    return RV_OK;
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
    const rv_status status = rv_optimizer_new(out, options, layout->tensors, layout->count, parts, err);
    free(parts);
    if (status == RV_OK)
        (*out)->flat_size = layout->size;
    return status;
}

void rv_optimizer_free(rv_optimizer *o)
{
    if (!o)
        return;
    rv_groups_free(o);
    rv_arena_release(&o->state);
    rv_arena_release(&o->workspace);
    free(o->offsets);
    free(o->flat_w);
    free(o->flat_g);
    free(o);
}

rv_run rv_group_run(const rv_optimizer *o, rv_group *group, rv_error *err)
{
    double lr = NAN;
    const rv_param *row = rv_params_find(group->method->info.params, "lr");
    if (row)
        lr = *(const double *)((const char *)group->params + row->offset) * o->lr_factor;
    return (rv_run){.params = group->params,
                    .lr = lr,
                    .step = (int64_t)o->steps + 1,
                    .dtype = o->dtype,
                    .count = group->count,
                    .tensors = group->tensors,
                    .w = group->w,
                    .g = group->g,
                    .scalars = group->scalars,
                    .joint = group->joint,
                    .group = group,
                    .err = err};
}

/* The joint sums of a group: those of all groups of its method, in their order. */
static void join(const rv_optimizer *o, rv_group *group)
{
    memset(group->joint, 0, sizeof group->joint);
    for (int k = 0; k < o->group_count; k++)
        for (int i = 0; i < RV_MAX_SUMS && o->groups[k].method == group->method; i++)
            group->joint[i] += o->groups[k].own[i];
}

/* One pass of what methods measure before they step; tells whether any has another. */
static rv_status measure(rv_optimizer *o, int pass, bool *more, rv_error *err)
{
    *more = false;
    for (int k = 0; k < o->group_count; k++) {
        rv_group *group = &o->groups[k];
        memset(group->own, 0, sizeof group->own);
        if (group->count == 0 || pass >= group->method->passes)
            continue;
        const rv_run run = rv_group_run(o, group, err);
        RV_TRY(group->method->measure(&run, pass, group->own));
        *more |= pass + 1 < group->method->passes;
    }
    for (int k = 0; k < o->group_count; k++)
        if (pass < o->groups[k].method->passes)
            join(o, &o->groups[k]);
    return RV_OK;
}

rv_status rv_optimizer_step(rv_optimizer *o, void *const *w, const void *const *g, rv_error *err)
{
    for (int k = 0; k < o->group_count; k++) {
        rv_group *group = &o->groups[k];
        for (int i = 0; i < group->count; i++) {
            group->w[i] = w[group->index[i]];
            group->g[i] = g[group->index[i]];
        }
    }
    bool more = true;
    for (int pass = 0; more; pass++)
        RV_TRY(measure(o, pass, &more, err));
    for (int k = 0; k < o->group_count; k++) {
        if (o->groups[k].count == 0)
            continue;
        const rv_run run = rv_group_run(o, &o->groups[k], err);
        RV_TRY(run.group->method->step(&run));
    }
    o->steps++;
    return RV_OK;
}

/* Addresses of the tensors in flat vectors, in room made beforehand. */
static void spread(const rv_optimizer *o, const void *flat, void **parts)
{
    const size_t size = rv_dtype_size(o->dtype);
    for (int i = 0; i < o->count; i++)
        parts[i] = (char *)(uintptr_t)flat + (size_t)o->offsets[i] * size;
}

rv_status rv_optimizer_step_flat(rv_optimizer *o, void *w, const void *g, rv_error *err)
{
    spread(o, w, o->flat_w);
    spread(o, g, o->flat_g);
    return rv_optimizer_step(o, o->flat_w, (const void *const *)o->flat_g, err);
}

int64_t rv_optimizer_steps(const rv_optimizer *o)
{
    return (int64_t)o->steps;
}

rv_status rv_optimizer_evaluation_weights(const rv_optimizer *o, const void *const *w, void *const *dst,
                                          bool *differs)
{
    bool any = false;
    for (int k = 0; k < o->group_count; k++) {
        rv_group *group = &o->groups[k];
        const bool query = group->method->evaluation_weights != NULL;
        any |= query && group->count > 0;
        for (int i = 0; i < group->count; i++) {
            const int at = group->index[i];
            group->w[i] = (void *)(uintptr_t)w[at];
            if (query)
                group->g[i] = dst[at];
            else
                memcpy(dst[at], w[at], (size_t)rv_shape_size(&group->tensors[i].shape) * rv_dtype_size(o->dtype));
        }
        if (query && group->count > 0) {
            const rv_run run = rv_group_run(o, group, NULL);
            group->method->evaluation_weights(&run, (void *const *)(uintptr_t)group->g);
        }
    }
    if (differs)
        *differs = any;
    return RV_OK;
}

rv_status rv_optimizer_evaluation_weights_flat(const rv_optimizer *o, const void *w, void *dst, bool *differs)
{
    memcpy(dst, w, (size_t)o->flat_size * rv_dtype_size(o->dtype)); /* the gaps too */
    spread(o, w, o->flat_w);
    spread(o, dst, o->flat_g);
    return rv_optimizer_evaluation_weights(o, (const void *const *)o->flat_w, o->flat_g, differs);
}
