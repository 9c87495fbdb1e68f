/* LeNet-5 and the language model of PyTorch's tutorial, with the initial weights that torch gives them. */
#include "studies/gap_models.h"

#include <math.h>

#include "ravine/nn.h"

static rv_value conv(rv_graph *graph, const char *name, rv_value x, int64_t out, int padding, rv_role role)
{
    enum { KERNEL = 5 };
    int64_t in = rv_graph_shape(graph, x).dim[3];
    rv_init init = rv_init_torch_linear(in * KERNEL * KERNEL);
    rv_graph_push(graph, "%s", name);
    rv_value kernel = rv_graph_parameter(graph, "weight", role, RV_SHAPE(out, in, KERNEL, KERNEL), init);
    rv_value bias = rv_graph_parameter(graph, "bias", RV_ROLE_BIAS, RV_SHAPE(out), init);
    rv_graph_pop(graph);
    x = rv_activate(graph, rv_conv2d(graph, x, kernel, bias, (rv_conv_options){.padding = padding}), RV_ACT_TANH);
    return rv_average_pool(graph, x, 2, 2, 0);
}

static rv_value dense(rv_graph *graph, const char *name, rv_value x, int64_t out, rv_role role, rv_activation act)
{
    rv_init init = rv_init_torch_linear(rv_graph_shape(graph, x).dim[1]);
    rv_layer layer = {.out = out, .role = role, .bias = true, .act = act, .weight_init = init, .bias_init = init};
    return rv_nn_linear(graph, name, x, layer);
}

void rv_gap_lenet(rv_graph *graph, const rv_value *inputs, const void *unused)
{
    (void)unused;
    rv_value x = conv(graph, "conv1", inputs[0], 6, 2, RV_ROLE_FIRST_CONV); /* [rows, 14, 14, 6] */
    x = conv(graph, "conv2", x, 16, 0, RV_ROLE_CONV);                       /* [rows, 5, 5, 16] */
    rv_shape shape = rv_graph_shape(graph, x);
    x = rv_reshape(graph, x, RV_SHAPE(shape.dim[0], shape.dim[1] * shape.dim[2] * shape.dim[3]));
    x = dense(graph, "dense1", x, 120, RV_ROLE_HIDDEN, RV_ACT_TANH);
    x = dense(graph, "dense2", x, 84, RV_ROLE_HIDDEN, RV_ACT_TANH);
    rv_nn_classify(graph, dense(graph, "head", x, 10, RV_ROLE_HEAD, RV_ACT_NONE), inputs[1], (rv_cross_entropy_options){0});
}

void rv_gap_language_model(rv_graph *graph, const rv_value *inputs, const void *language)
{
    const rv_gap_language *m = language;
    const rv_init tenth = {RV_INIT_UNIFORM, 0.1}; /* of embedding and head, as the tutorial has them */
    rv_transformer block = {.heads = 2, .width = m->width, .hidden = m->width, .causal = true, .bias = true, .post_norm = true,
                            .act = RV_ACT_RELU, .init = rv_init_torch_linear(m->width), .residual_init = rv_init_torch_linear(m->width)};
    rv_value x = rv_nn_embedding(graph, "words", inputs[0], m->classes, m->width, tenth);
    rv_value positions = rv_graph_parameter(graph, "positions.weight", RV_ROLE_EMBEDDING, RV_SHAPE(m->block, m->width), tenth);
    x = rv_add(graph, rv_scale(graph, x, sqrt((double)m->width)), positions); /* [rows, block, width] */
    for (int i = 0; i < 2; i++) {
        rv_graph_push(graph, "block%d", i);
        x = rv_nn_transformer_block(graph, x, &block);
        rv_graph_pop(graph);
    }
    rv_layer head = {.out = m->classes, .role = RV_ROLE_HEAD, .bias = true, .weight_init = tenth, .bias_init = rv_init_zero()};
    rv_nn_classify(graph, rv_nn_linear(graph, "head", x, head), inputs[1], (rv_cross_entropy_options){0});
}
