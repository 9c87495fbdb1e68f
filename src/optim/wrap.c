/* What wrappers may ask of a step, and making their groups.  Invariant: a wrapper's group
 * holds every tensor in the caller's order, so its tensor i is the optimizer's. */
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "optim/optimizer.h"
#include "optim/spec.h"

static rv_status add(rv_optimizer *o, const json_t *item, rv_error *err)
{
    if (o->wrapper_count == RV_MAX_WRAPPERS)
        return rv_fail(err, RV_E_ARGUMENT, "wrappers: at most %d are possible", RV_MAX_WRAPPERS);
    const rv_wrapper *wrapper = NULL;
    RV_TRY(rv_wrapper_lookup(json_string_value(json_object_get(item, "name")), &wrapper, err));
    rv_group *group = &o->groups[rv_groups_all(o)];
    o->wrapper_count++;
    group->method = &wrapper->method;
    RV_TRY(rv_group_init(o, group, err));
    RV_TRY(rv_group_set_json(group, json_object_get(item, "params"), err));
    group->wrapper = wrapper;
    return RV_OK;
}

rv_status rv_wrappers_new(rv_optimizer *o, const char *text, rv_error *err)
{
    json_t *list = NULL;
    if (!text)
        return RV_OK;
    RV_TRY(rv_spec_parse(text, "wrappers", &list, err));
    rv_status status = RV_OK;
    for (size_t i = 0; i < json_array_size(list) && status == RV_OK; i++)
        status = add(o, json_array_get(list, i), err);
    json_decref(list);
    return status;
}

/* ---- the gradient ---------------------------------------------------------- */

void rv_run_use_gradient(const rv_run *run, const void *const *g)
{
    for (int i = 0; i < run->count; i++)
        run->group->g[i] = g[i];
}

rv_status rv_run_filter(const rv_run *run, rv_kernel kernel, const void *args)
{
    RV_TRY(rv_run_map(run, kernel, args));
    rv_run_use_gradient(run, (const void *const *)run->group->filtered);
    return RV_OK;
}

typedef struct copy_job {
    const rv_run *run;
    const void *const *from;
    void *const *to;
} copy_job;

static void copy_span(void *context, int task, int worker)
{
    (void)worker;
    const copy_job *job = context;
    const rv_group *group = job->run->group;
    const size_t size = rv_dtype_size(job->run->dtype);
    for (int i = group->spans[task].first; i < group->spans[task].first + group->spans[task].count; i++) {
        const rv_piece *piece = &group->pieces[i];
        const size_t skip = (size_t)piece->start * size;
        memcpy((char *)job->to[piece->tensor] + skip, (const char *)job->from[piece->tensor] + skip,
               (size_t)piece->size * size);
    }
}

void rv_run_copy(const rv_run *run, const void *const *from, void *const *to)
{
    copy_job job = {run, from, to};
    rv_pool_run_near(run->group->pool, run->group->span_count, copy_span, &job);
}

void *const *rv_run_own_gradient(const rv_run *run)
{
    rv_group *group = run->group;
    if (run->count > 0 && run->g[0] != group->filtered[0]) {
        rv_run_copy(run, run->g, group->filtered);
        rv_run_use_gradient(run, (const void *const *)group->filtered);
    }
    return group->filtered;
}

void rv_run_hold(const rv_run *run)
{
    run->group->hold = true;
}

void *const *rv_run_scratch(const rv_run *run)
{
    return run->group->scratch;
}

/* ---- more gradients ---------------------------------------------------------- */

void *const *rv_run_probe_weights(const rv_run *run)
{
    return run->group->probe.own_w;
}

/* Tensors of other groups stand in the room with their weights in force. */
static void fill_room(const rv_optimizer *o, const rv_group *group)
{
    for (int k = 0; k < o->group_count; k++) {
        const rv_group *other = &o->groups[k];
        if (other == group || group->wrapper)
            continue;
        for (int i = 0; i < other->count; i++) {
            const int at = other->index[i];
            memcpy(group->probe.w[at], o->step_w[at],
                   (size_t)rv_shape_size(&other->tensors[i].shape) * rv_dtype_size(o->dtype));
        }
    }
}

rv_status rv_run_probe(const rv_run *run, rv_probe probe, bool elsewhere, const void *const **g)
{
    const rv_group *group = run->group;
    const rv_optimizer *o = group->owner;
    const rv_probe_room *room = &group->probe;
    double loss = 0;
    if (!o->closure && !o->closure_flat)
        return rv_fail(run->err, RV_E_ARGUMENT, "%s needs more than one gradient in a step: rv_optimizer_step_closure",
                       group->label);
    if (elsewhere)
        fill_room(o, group);
    if (o->closure_flat)
        RV_TRY(o->closure_flat(o->closure_context, probe, elsewhere ? room->w_base : o->step_w_flat, room->g_base, &loss,
                               run->err));
    else
        RV_TRY(o->closure(o->closure_context, probe,
                          elsewhere ? (const void *const *)room->w : (const void *const *)o->step_w, room->g, &loss,
                          run->err));
    *g = (const void *const *)room->own_g;
    return RV_OK;
}
