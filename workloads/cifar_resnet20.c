/* The residual networks of He et al. 2016 for CIFAR-10, section 4.2. */
#include "objective/network.h"
#include "ravine/nn.h"
#include "ravine/workload.h"


#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                        \
    CHOICE(depth, "20|32|44|56|110", "20", "weighted layers, 6 n + 2")                               \
    BOOL(skips, true, "residual connections; false: the plain network")                              \
    BOOL(augment, true, "random crops of the padded image and flips")                                \
    REAL(label_smoothing, 0, 0, 1, RV_PARAM_OPEN_HI, "mass of a label that training spreads over all classes") \
    INT(images, 0, 0, 50000, 0, "training images to keep; 0: all")                                   \
    INT(evaluate, 0, 0, 50000, 0, "images of a split that an evaluation reads; 0: all")

RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "cifar-resnet20", params, PARAMS);

static rv_value conv_norm(rv_graph *graph, const char *name, rv_value x, int64_t out, int stride,
                          rv_role role)
{
    int64_t in = rv_graph_shape(graph, x).dim[3];
    rv_graph_push(graph, "%s", name);
    x = rv_nn_conv(graph, "conv", x, out, 3, stride, role, rv_init_he(9 * in));
    x = rv_nn_batch_norm(graph, "norm", x);
    rv_graph_pop(graph);
    return x;
}

/* Option A of the paper: where the stage changes, every second pixel and zeros for the
 * new channels; no parameters. */
static rv_value shortcut(rv_graph *graph, rv_value x, int64_t out, int stride)
{
    if (stride != 1)
        x = rv_average_pool(graph, x, 1, stride, 0);
    while (rv_graph_status(graph, NULL) == RV_OK && rv_graph_shape(graph, x).dim[3] < out)
        x = rv_concat(graph, x, rv_scale(graph, x, 0), 3);
    return x;
}

static rv_value block(rv_graph *graph, rv_value x, int64_t out, int stride, bool skips)
{
    rv_value y = rv_activate(graph, conv_norm(graph, "a", x, out, stride, RV_ROLE_CONV), RV_ACT_RELU);
    y = conv_norm(graph, "b", y, out, 1, RV_ROLE_CONV);
    if (skips)
        y = rv_add(graph, y, shortcut(graph, x, out, stride));
    return rv_activate(graph, y, RV_ACT_RELU);
}

static void build(rv_graph *graph, const rv_value *inputs, const void *values)
{
    static const int blocks[] = {3, 5, 7, 9, 18}; /* n of depth 6 n + 2 */
    const params *o = values;
    rv_value x = conv_norm(graph, "stem", inputs[0], 16, 1, RV_ROLE_FIRST_CONV);
    x = rv_activate(graph, x, RV_ACT_RELU);
    for (int stage = 0; stage < 3; stage++)
        for (int i = 0; i < blocks[o->depth]; i++) {
            rv_graph_push(graph, "stage%d.block%d", stage, i);
            x = block(graph, x, 16 << stage, stage > 0 && i == 0 ? 2 : 1, o->skips);
            rv_graph_pop(graph);
        }
    x = rv_global_pool(graph, x); /* [rows, 64] */
    rv_layer head = {.out = 10, .role = RV_ROLE_HEAD, .bias = true, .weight_init = rv_init_he(64)};
    rv_value logits = rv_nn_linear(graph, "head", x, head);
    rv_nn_classify(graph, logits, inputs[1], (rv_cross_entropy_options){.label_smoothing = o->label_smoothing});
}

static rv_status make(const void *values, const rv_workload_env *env, rv_objective **out, rv_error *err)
{
    const params *o = values;
    rv_network network = {.name = "cifar-resnet20", .build = build, .params = values, .batch = 128,
                          .shards = 8, .least_rows = 4, .drop_last = true, .evaluation_rows = 32,
                          .evaluation_limit = o->evaluate};
    RV_TRY(rv_source_images(&network.source, RV_IMAGES_CIFAR10, env->data, o->images, 2000, o->augment, err));
    return rv_network_new(out, &network, env, err);
}

const rv_workload rv_workload_cifar_resnet20 = {
    .name = "cifar-resnet20",
    .title = "Residual network on CIFAR-10",
    .description = "ResNet-20 of He, Zhang, Ren, Sun: \"Deep residual learning for image recognition\", 2016, section\n"
                   "4.2, with parameter-free shortcuts (option A); also depth 32, 44, 56, 110 and without skips.\n"
                   "Batch 128, SGD 0.1 with momentum 0.9 and decay 1e-4, divided by 10 twice; the last 2000\n"
                   "training images validate.  Without the data folder procedurally drawn digits take the place\n"
                   "of CIFAR-10.",
    .params = &table,
    .make = make,
    .metric = "accuracy",
    .maximize = true,
    .recipe = "{\"optimizer\": \"sgd\", \"optimizer_params\": {\"lr\": 0.1, \"momentum\": 0.9, \"weight_decay\": 0.0001},"
              " \"schedule\": \"multistep\", \"train\": {\"steps\": 64000, \"target\": 0.91, \"eval_every\": 400}}",
};
