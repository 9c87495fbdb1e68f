/* The layers of a layout, for methods that look at them.  Invariant: a group's layers are those whose
 * weight it was given, in the order of the layout. */
#include <stdlib.h>
#include <string.h>

#include "optim/optimizer.h"

enum { MOST = 16384 }; /* extent of a layer, whose factors have its square */

static rv_status check_layer(const rv_layout *layout, const rv_linear_layer *l, rv_error *err)
{
    if (l->weight < 0 || l->weight >= layout->count || l->bias < -1 || l->bias >= layout->count)
        return rv_fail(err, RV_E_ARGUMENT, "optimizer: a layer has tensors %d and %d of %d", l->weight, l->bias, layout->count);
    const rv_tensor *w = &layout->tensors[l->weight];
    const bool fits = l->in >= 1 && l->out >= 1 && l->in <= INT64_MAX / l->out && l->positions >= 1 &&
                      l->positions <= INT32_MAX && rv_shape_size(&w->shape) == l->in * l->out &&
                      (l->bias < 0 || rv_shape_size(&layout->tensors[l->bias].shape) == l->out);
    return fits ? RV_OK
                : rv_fail(err, RV_E_SHAPE, "optimizer: a layer of %lld inputs and %lld outputs does not fit tensor '%s'%s",
                          (long long)l->in, (long long)l->out, w->name, l->bias < 0 ? "" : " and its bias");
}

rv_status rv_optimizer_copy_layers(rv_optimizer *o, const rv_layout *layout, rv_error *err)
{
    o->layers = calloc((size_t)layout->layer_count + 1, sizeof *o->layers);
    if (!o->layers)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    for (int i = 0; i < layout->layer_count; i++) {
        RV_TRY(check_layer(layout, &layout->layers[i], err));
        o->layers[o->layer_count++] = layout->layers[i];
    }
    return RV_OK;
}

bool rv_optimizer_is_layered(const rv_optimizer *o, int tensor)
{
    for (int i = 0; i < o->layer_count; i++)
        if (o->layers[i].weight == tensor || o->layers[i].bias == tensor)
            return true;
    return false;
}

/* Number within the group of a tensor of the optimizer, or -1. */
static int place_in(const rv_group *group, int tensor)
{
    for (int i = 0; i < group->count; i++)
        if (group->index[i] == tensor)
            return i;
    return -1;
}

static rv_status take(rv_group *group, const rv_linear_layer *layer, int64_t sums, rv_error *err)
{
    const int weight = place_in(group, layer->weight), bias = layer->bias < 0 ? -1 : place_in(group, layer->bias);
    if (weight < 0)
        return RV_OK;
    const char *name = group->tensors[weight].name;
    if (layer->bias >= 0 && bias < 0)
        return rv_fail(err, RV_E_ARGUMENT, "%s: a rule gives the bias of the layer of '%s' to another method", group->label,
                       name);
    if (layer->in >= MOST || layer->out > MOST)
        return rv_fail(err, RV_E_RANGE, "%s: tensor '%s': a layer of %lld inputs and %lld outputs is too large, at most %d are "
                       "possible: give it to another method by a rule", group->label, name, (long long)layer->in,
                       (long long)layer->out, MOST - 1);
    group->layers[group->layer_count++] = (rv_run_layer){.weight = weight, .bias = bias, .in = (int)layer->in,
                                                         .width = (int)rv_layer_width(layer), .out = (int)layer->out,
                                                         .positions = (int)layer->positions, .sums = sums};
    return RV_OK;
}

static rv_status assign(const rv_optimizer *o, rv_group *group, rv_error *err)
{
    if (o->layer_count == 0)
        return rv_fail(err, RV_E_UNSUPPORTED,
                       "%s needs to know the linear layers of a network, and there are none here (products in bf16 show none; "
                       "through the C ABI: rv_optimizer_new_flat with a layout that has layers, or ravine/kfac.h)", group->label);
    group->layers = calloc((size_t)o->layer_count, sizeof *group->layers);
    if (!group->layers)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    int64_t sums = 0;
    for (int i = 0; i < o->layer_count; i++) {
        RV_TRY(take(group, &o->layers[i], sums, err));
        sums += rv_layer_factors(&o->layers[i]);
    }
    return RV_OK;
}

rv_status rv_optimizer_assign_layers(rv_optimizer *o, rv_error *err)
{
    for (int k = 0; k < o->group_count && o->count > 0; k++)
        if (o->groups[k].method->layer_shape) {
            RV_TRY(assign(o, &o->groups[k], err));
            o->factors_size = rv_layout_factors(&(rv_layout){.layer_count = o->layer_count, .layers = o->layers});
        }
    return RV_OK;
}

rv_status rv_run_factors(const rv_run *run, bool sampled, const void **sums)
{
    rv_optimizer *o = run->group->owner;
    double loss = 0;
    if (!o->closure_flat)
        return rv_fail(run->err, RV_E_ARGUMENT, "%s needs the factors of its layers in a step: rv_optimizer_step_closure_flat",
                       run->group->label);
    *sums = o->factors;
    if (o->have == (sampled ? RV_SAMPLED_FACTORS : RV_DATA_FACTORS))
        return RV_OK;
    o->have = RV_NO_FACTORS;
    RV_TRY(o->closure_flat(o->closure_context, sampled ? RV_PROBE_SAMPLED_FACTORS : RV_PROBE_FACTORS, o->step_w_flat,
                           o->factors, &loss, run->err));
    o->have = sampled ? RV_SAMPLED_FACTORS : RV_DATA_FACTORS;
    return RV_OK;
}

int64_t rv_run_factor_losses(const rv_run *run)
{
    return run->group->owner->factors_size - 1;
}
