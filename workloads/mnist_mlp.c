/* Digits with two hidden layers: the smallest network people train. */
#include <math.h>
#include <stdio.h>

#include "objective/network.h"
#include "ravine/nn.h"
#include "ravine/workload.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                     \
    INT(hidden, 512, 1, 65536, 0, "width of the hidden layers")                   \
    INT(layers, 2, 1, 64, 0, "hidden layers")                                     \
    REAL(dropout, 0, 0, 1, RV_PARAM_OPEN_HI, "after each hidden layer") \
    REAL(label_smoothing, 0, 0, 1, RV_PARAM_OPEN_HI, "mass of a label that training spreads over all classes") \
    INT(images, 0, 0, 60000, 0, "training images to keep; 0: all")                             \
    INT(evaluate, 0, 0, 60000, 0, "images of a split that an evaluation reads; 0: all")

RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "mnist-mlp", params, PARAMS);

static void build(rv_graph *graph, const rv_value *inputs, const void *values)
{
    const params *o = values;
    rv_shape shape = rv_graph_shape(graph, inputs[0]); /* [rows, 28, 28, 1] */
    int64_t in = shape.dim[1] * shape.dim[2] * shape.dim[3];
    rv_value x = rv_reshape(graph, inputs[0], RV_SHAPE(shape.dim[0], in));
    for (int i = 0; i < o->layers; i++) {
        char name[32];
        snprintf(name, sizeof name, "hidden%d", i);
        rv_layer layer = {.out = o->hidden, .role = i == 0 ? RV_ROLE_INPUT : RV_ROLE_HIDDEN, .bias = true,
                          .act = RV_ACT_RELU, .weight_init = rv_init_torch_linear(in),
                          .bias_init = rv_init_torch_linear(in)};
        x = rv_dropout(graph, rv_nn_linear(graph, name, x, layer), o->dropout, false);
        in = o->hidden;
    }
    rv_layer head = {.out = 10, .role = RV_ROLE_HEAD, .bias = true,
                     .weight_init = rv_init_torch_linear(in), .bias_init = rv_init_torch_linear(in)};
    rv_value logits = rv_nn_linear(graph, "head", x, head);
    rv_nn_classify(graph, logits, inputs[1], (rv_cross_entropy_options){.label_smoothing = o->label_smoothing});
}

static rv_status make(const void *values, const rv_workload_env *env, rv_objective **out, rv_error *err)
{
    const params *o = values;
    rv_network network = {.name = "mnist-mlp", .build = build, .params = values, .batch = 128, .shards = 2,
                          .undivided = 8, .evaluation_rows = 128, .evaluation_limit = o->evaluate};
    RV_TRY(rv_source_images(&network.source, RV_IMAGES_MNIST, env->data, o->images, 5000, false, err));
    return rv_network_new(out, &network, env, err);
}

const rv_workload rv_workload_mnist_mlp = {
    .name = "mnist-mlp",
    .title = "MLP 784-512-512-10 on MNIST",
    .description = "Two hidden layers of 512 ReLU units, cross entropy, batch 128; the last 5000 training images\n"
                   "validate.  Without the data folder procedurally drawn digits take the place of MNIST.",
    .params = &table,
    .make = make,
    .metric = "accuracy",
    .maximize = true,
    .recipe = "{\"optimizer\": \"adamw\", \"optimizer_params\": {\"lr\": 0.001},"
              " \"schedule\": \"constant\", \"train\": {\"steps\": 2000, \"target\": 0.98, \"eval_every\": 100}}",
};
