/* The convolutional network of the lecture's loss-surface plots. */
#include "objective/network.h"
#include "ravine/nn.h"
#include "ravine/workload.h"


#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    REAL(dropout, 0, 0, 1, RV_PARAM_OPEN_HI, "before the dense layer")                           \
    REAL(label_smoothing, 0, 0, 1, RV_PARAM_OPEN_HI, "mass of a label that training spreads over all classes") \
    INT(images, 0, 0, 60000, 0, "training images to keep; 0: all")                             \
    INT(evaluate, 0, 0, 60000, 0, "images of a split that an evaluation reads; 0: all")

RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "fashion-cnn", params, PARAMS);

static rv_value stage(rv_graph *graph, const char *name, rv_value x, int64_t out, rv_role role)
{
    int64_t in = rv_graph_shape(graph, x).dim[3];
    x = rv_nn_conv(graph, name, x, out, 3, 1, role, rv_init_lecun(9 * in));
    x = rv_activate(graph, x, RV_ACT_RELU);
    return rv_average_pool(graph, x, 2, 2, 0);
}

static void build(rv_graph *graph, const rv_value *inputs, const void *values)
{
    const params *o = values;
    rv_value x = stage(graph, "conv1", inputs[0], 16, RV_ROLE_FIRST_CONV); /* [rows, 14, 14, 16] */
    x = stage(graph, "conv2", x, 32, RV_ROLE_CONV);                        /* [rows, 7, 7, 32] */
    rv_shape shape = rv_graph_shape(graph, x);
    int64_t flat = shape.dim[1] * shape.dim[2] * shape.dim[3];
    x = rv_dropout(graph, rv_reshape(graph, x, RV_SHAPE(shape.dim[0], flat)), o->dropout, false);
    rv_layer dense = {.out = 64, .role = RV_ROLE_HIDDEN, .bias = true, .act = RV_ACT_RELU,
                      .weight_init = rv_init_lecun(flat)};
    rv_layer head = {.out = 10, .role = RV_ROLE_HEAD, .bias = true, .weight_init = rv_init_lecun(64)};
    rv_value logits = rv_nn_linear(graph, "head", rv_nn_linear(graph, "dense", x, dense), head);
    rv_nn_classify(graph, logits, inputs[1], (rv_cross_entropy_options){.label_smoothing = o->label_smoothing});
}

static rv_status make(const void *values, const rv_workload_env *env, rv_objective **out, rv_error *err)
{
    const params *o = values;
    rv_network network = {.name = "fashion-cnn", .build = build, .params = values, .batch = 512, .shards = 8, .least_rows = 8,
                          .evaluation_rows = 64, .evaluation_limit = o->evaluate};
    RV_TRY(rv_source_images(&network.source, RV_IMAGES_FASHION, env->data, o->images, 5000, false, err));
    return rv_network_new(out, &network, env, err);
}

const rv_workload rv_workload_fashion_cnn = {
    .name = "fashion-cnn",
    .title = "Small convolutional network on Fashion-MNIST",
    .description = "conv 3x3-16, ReLU, average pool, conv 3x3-32, ReLU, average pool, dense 64, ReLU, dense 10;\n"
                   "batch 512; the last 5000 training images validate.  Source: the course notebook\n"
                   "NN_Surface_Visualization (MerkulovDaniil/optim), SGD 0.01 with momentum 0.9, 25 epochs.\n"
                   "Without the data folder procedurally drawn digits take the place of Fashion-MNIST.",
    .params = &table,
    .make = make,
    .metric = "accuracy",
    .maximize = true,
    .recipe = "{\"optimizer\": \"sgd\", \"optimizer_params\": {\"lr\": 0.01, \"momentum\": 0.9},"
              " \"schedule\": \"constant\", \"train\": {\"steps\": 2925, \"target\": 0.87, \"eval_every\": 100}}",
};
