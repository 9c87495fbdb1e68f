/* Layers: each draws its parameters and applies one operation to them. */
#include "ravine/nn.h"

#include <stdio.h>

/* "name.weight": the parameter of a layer below the graph's prefix. */
static rv_value parameter(rv_graph *graph, const char *name, const char *part, rv_role role,
                          rv_shape shape, rv_init init)
{
    char full[RV_NAME_SIZE];
    snprintf(full, sizeof full, "%s.%s", name, part);
    return rv_graph_parameter(graph, full, role, shape, init);
}

static int64_t last_extent(const rv_graph *graph, rv_value x)
{
    rv_shape shape = rv_graph_shape(graph, x);
    return shape.rank > 0 ? shape.dim[shape.rank - 1] : 0;
}

rv_value rv_nn_linear(rv_graph *graph, const char *name, rv_value x, rv_layer layer)
{
    int64_t in = last_extent(graph, x);
    rv_value weight =
        parameter(graph, name, "weight", layer.role, RV_SHAPE(layer.out, in), layer.weight_init);
    if (layer.parts > 1)
        rv_graph_set_parts(graph, weight, layer.parts);
    rv_value bias = RV_NONE;
    if (layer.bias)
        bias = parameter(graph, name, "bias", RV_ROLE_BIAS, RV_SHAPE(layer.out), layer.bias_init);
    return rv_linear(graph, x, weight, bias, layer.act);
}

rv_value rv_nn_embedding(rv_graph *graph, const char *name, rv_value ids, int64_t tokens, int64_t width,
                         rv_init init)
{
    rv_value table =
        parameter(graph, name, "weight", RV_ROLE_EMBEDDING, RV_SHAPE(tokens, width), init);
    return rv_embedding(graph, ids, table);
}

rv_value rv_nn_layer_norm(rv_graph *graph, const char *name, rv_value x, bool shift)
{
    rv_shape width = RV_SHAPE(last_extent(graph, x));
    rv_value gain =
        parameter(graph, name, "gain", RV_ROLE_NORM, width, (rv_init){RV_INIT_CONSTANT, 1});
    rv_value offset = RV_NONE;
    if (shift)
        offset = parameter(graph, name, "shift", RV_ROLE_NORM, width, rv_init_zero());
    return rv_layer_norm(graph, x, gain, offset, 1e-5);
}

rv_value rv_nn_batch_norm(rv_graph *graph, const char *name, rv_value x)
{
    rv_shape width = RV_SHAPE(last_extent(graph, x));
    rv_value gain =
        parameter(graph, name, "gain", RV_ROLE_NORM, width, (rv_init){RV_INIT_CONSTANT, 1});
    rv_value shift = parameter(graph, name, "shift", RV_ROLE_NORM, width, rv_init_zero());
    return rv_batch_norm(graph, x, gain, shift, 1e-5);
}

rv_value rv_nn_conv(rv_graph *graph, const char *name, rv_value x, int64_t out, int kernel, int stride,
                    rv_role role, rv_init init)
{
    rv_shape shape = RV_SHAPE(out, last_extent(graph, x), kernel, kernel);
    rv_value weight = parameter(graph, name, "weight", role, shape, init);
    rv_conv_options options = {.stride = stride, .padding = kernel / 2};
    return rv_conv2d(graph, x, weight, RV_NONE, options);
}

void rv_nn_classify(rv_graph *graph, rv_value logits, rv_value labels, rv_cross_entropy_options options)
{
    options.ignore_negative = true;
    rv_graph_set_output(graph, "logits", logits);
    rv_graph_set_loss(graph, rv_cross_entropy(graph, logits, labels, options));
}
