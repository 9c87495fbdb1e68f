/* Stepping an optimizer and asking for its weights.  Invariant: nothing is allocated here,
 * and a step that fails leaves the count of steps as it was. */
#include <math.h>
#include <string.h>

#include "optim/optimizer.h"

static double rate_of(const rv_optimizer *o, const rv_group *group)
{
    const rv_param *row = rv_params_find(group->method->info.params, "lr");
    return row ? *(const double *)((const char *)group->params + row->offset) * o->lr_factor : (double)NAN;
}

rv_run rv_group_run(const rv_optimizer *o, rv_group *group, rv_error *err)
{
    return (rv_run){.params = group->params,
                    .lr = rate_of(o, group),
                    .step = (int64_t)o->steps + 1,
                    .dtype = o->dtype,
                    .count = group->count,
                    .tensors = group->tensors,
                    .w = group->w,
                    .g = group->g,
                    .scalars = group->scalars,
                    .seed = o->seed,
                    .lrs = group->wrapper ? o->lrs : NULL,
                    .lr_factor = o->lr_factor,
                    .joint = group->joint,
                    .layer_count = group->layer_count,
                    .layers = group->layers,
                    .group = group,
                    .err = err};
}

/* ---- a step ------------------------------------------------------------------ */

static void take(const rv_optimizer *o, rv_group *group, const void *const *g)
{
    for (int i = 0; i < group->count; i++) {
        group->w[i] = o->step_w[group->index[i]];
        group->g[i] = g[group->index[i]];
    }
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

static rv_status step_methods(rv_optimizer *o, rv_error *err)
{
    bool more = true;
    for (int k = 0; k < o->group_count; k++)
        take(o, &o->groups[k], o->g);
    for (int pass = 0; more; pass++)
        RV_TRY(measure(o, pass, &more, err));
    for (int k = 0; k < o->group_count; k++) {
        rv_group *group = &o->groups[k];
        if (group->count == 0)
            continue;
        const rv_run run = rv_group_run(o, group, err);
        RV_TRY(group->method->step(&run));
    }
    return RV_OK;
}

/* Wrappers up to *reached have changed the gradient, and the weights if they do. */
static rv_status before(rv_optimizer *o, int *reached, bool *held, rv_error *err)
{
    for (int k = o->group_count; k < rv_groups_all(o); k++) {
        rv_group *group = &o->groups[k];
        if (!group->wrapper->before)
            continue;
        take(o, group, o->g);
        group->hold = false;
        const rv_run run = rv_group_run(o, group, err);
        *reached = k + 1;
        RV_TRY(group->wrapper->before(&run));
        memcpy(o->g, group->g, (size_t)o->count * sizeof *o->g);
        if ((*held = group->hold))
            return RV_OK;
    }
    return RV_OK;
}

static void undo(rv_optimizer *o, int reached)
{
    for (int k = reached - 1; k >= o->group_count; k--) {
        rv_group *group = &o->groups[k];
        if (!group->wrapper->undo)
            continue;
        take(o, group, o->g);
        const rv_run run = rv_group_run(o, group, NULL);
        group->wrapper->undo(&run);
    }
}

static rv_status after(rv_optimizer *o, rv_error *err)
{
    for (int k = o->group_count; k < rv_groups_all(o); k++) {
        rv_group *group = &o->groups[k];
        if (!group->wrapper->after)
            continue;
        take(o, group, (const void *const *)o->step_w);
        const rv_run run = rv_group_run(o, group, err);
        RV_TRY(group->wrapper->after(&run));
    }
    return RV_OK;
}

static void gather_rates(rv_optimizer *o)
{
    for (int k = 0; k < o->group_count && o->wrapper_count > 0; k++)
        for (int i = 0; i < o->groups[k].count; i++)
            o->lrs[o->groups[k].index[i]] = rate_of(o, &o->groups[k]);
}

static rv_status make_step(rv_optimizer *o, void *const *w, const void *const *g, rv_error *err)
{
    bool held = false;
    int reached = 0;
    o->step_w = w;
    o->have = RV_NO_FACTORS;
    for (int i = 0; i < o->count; i++)
        o->g[i] = g[i];
    gather_rates(o);
    rv_status status = before(o, &reached, &held, err);
    if (status == RV_OK && !held)
        status = step_methods(o, err);
    if (status != RV_OK || held) {
        undo(o, reached);
        return status;
    }
    RV_TRY(after(o, err));
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

rv_status rv_optimizer_step(rv_optimizer *o, void *const *w, const void *const *g, rv_error *err)
{
    return rv_optimizer_step_closure(o, w, g, NULL, NULL, err);
}

rv_status rv_optimizer_step_flat(rv_optimizer *o, void *w, const void *g, rv_error *err)
{
    return rv_optimizer_step_closure_flat(o, w, g, NULL, NULL, err);
}

rv_status rv_optimizer_step_closure(rv_optimizer *o, void *const *w, const void *const *g, rv_closure *closure,
                                    void *context, rv_error *err)
{
    o->closure = closure;
    o->closure_flat = NULL;
    o->closure_context = context;
    return make_step(o, w, g, err);
}

rv_status rv_optimizer_step_closure_flat(rv_optimizer *o, void *w, const void *g, rv_closure_flat *closure,
                                         void *context, rv_error *err)
{
    if (closure && o->places_size != o->flat_size)
        return rv_fail(err, RV_E_ARGUMENT, "optimizer: a flat closure needs one made by rv_optimizer_new_flat");
    spread(o, w, o->flat_w);
    spread(o, g, o->flat_g);
    o->closure = NULL;
    o->closure_flat = closure;
    o->closure_context = context;
    o->step_w_flat = w;
    return make_step(o, o->flat_w, (const void *const *)o->flat_g, err);
}

bool rv_optimizer_wants_closure(const rv_optimizer *o)
{
    bool wants = o->factors_size > 0;
    for (int k = 0; k < rv_groups_all(o); k++)
        wants |= rv_group_probes(&o->groups[k]) && o->groups[k].count > 0;
    return wants;
}

bool rv_optimizer_wants_factors(const rv_optimizer *o)
{
    bool wants = false;
    for (int k = 0; k < o->group_count; k++) {
        const rv_group *group = &o->groups[k];
        wants |= group->layer_count > 0 && group->method->wants_factors &&
                 group->method->wants_factors(group->params, (int64_t)o->steps + 1);
    }
    return wants;
}

int64_t rv_optimizer_steps(const rv_optimizer *o)
{
    return (int64_t)o->steps;
}

/* ---- weights to evaluate ------------------------------------------------------ */

/* What one group evaluates, into dst; tells whether it is other than what stands there. */
static bool evaluate(const rv_optimizer *o, rv_group *group, const void *const *w, void *const *dst)
{
    const bool query = group->method->evaluation_weights != NULL && group->count > 0;
    for (int i = 0; i < group->count; i++) {
        const int at = group->index[i];
        group->w[i] = (void *)(uintptr_t)w[at];
        group->g[i] = dst[at];
        if (!query && !group->wrapper)
            memcpy(dst[at], w[at], (size_t)rv_shape_size(&group->tensors[i].shape) * rv_dtype_size(o->dtype));
    }
    if (query) {
        const rv_run run = rv_group_run(o, group, NULL);
        group->method->evaluation_weights(&run, (void *const *)(uintptr_t)group->g);
    }
    return query;
}

rv_status rv_optimizer_evaluation_weights(const rv_optimizer *o, const void *const *w, void *const *dst,
                                          bool *differs)
{
    bool any = false;
    for (int k = 0; k < rv_groups_all(o); k++)
        any |= evaluate(o, &o->groups[k], w, dst);
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
