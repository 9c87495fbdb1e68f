/* Grokking at its cheapest: a perceptron on one-hot pairs learns a + b mod p from 40 % of the table. */
#include <stdio.h>

#include "objective/network.h"
#include "ravine/nn.h"
#include "ravine/workload.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    INT(p, 113, 3, 9973, 0, "modulus, a prime")                                                  \
    CHOICE(operation, RV_MODULAR_OPERATIONS, "addition", "of the table: a / b, .., squares a^2 + b^2, cubic a^3 + a b^2 + b") \
    REAL(fraction, 0.4, 0, 1, RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "of the table that is trained on") \
    INT(split, 0, 0, 4294967295, 0, "seed of the split of the table")                            \
    INT(hidden, 200, 1, 65536, 0, "width of the hidden layers")                                  \
    INT(layers, 2, 1, 64, 0, "hidden layers")                                                    \
    CHOICE(loss, "softmax|stablemax", "softmax", "what makes logits probabilities")

RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "modular-perceptron", params, PARAMS);

/* A linear layer on the one-hot codes of a and b side by side is the sum of two rows of a table. */
static rv_value first_layer(rv_graph *graph, rv_value pairs, const params *o)
{
    rv_init init = rv_init_torch_linear(2 * o->p);
    rv_value weight = rv_graph_parameter(graph, "hidden0.weight", RV_ROLE_INPUT, RV_SHAPE(2 * o->p, o->hidden), init);
    rv_value bias = rv_graph_parameter(graph, "hidden0.bias", RV_ROLE_BIAS, RV_SHAPE(o->hidden), init);
    rv_value rows = rv_embedding(graph, pairs, weight);           /* [rows, 2, hidden] */
    rv_value sum = rv_reduce(graph, rows, 1, RV_REDUCE_SUM);
    return rv_activate(graph, rv_add(graph, sum, bias), RV_ACT_RELU);
}

static void build(rv_graph *graph, const rv_value *inputs, const void *values)
{
    const params *o = values;
    rv_value x = first_layer(graph, inputs[0], o);
    rv_layer layer = {.bias = true, .weight_init = rv_init_torch_linear(o->hidden),
                      .bias_init = rv_init_torch_linear(o->hidden)};
    for (int i = 1; i < o->layers; i++) {
        char name[32];
        snprintf(name, sizeof name, "hidden%d", i);
        layer.out = o->hidden;
        layer.role = RV_ROLE_HIDDEN;
        layer.act = RV_ACT_RELU;
        x = rv_nn_linear(graph, name, x, layer);
    }
    layer.out = o->p;
    layer.role = RV_ROLE_HEAD;
    layer.act = RV_ACT_NONE;
    rv_nn_classify(graph, rv_nn_linear(graph, "head", x, layer), inputs[1],
                   (rv_cross_entropy_options){.stablemax = o->loss == 1});
}

static rv_status make(const void *values, const rv_workload_env *env, rv_objective **out, rv_error *err)
{
    const params *o = values;
    rv_network network = {.name = "modular-perceptron", .build = build, .params = values, .shards = 8, .least_rows = 16,
                          .evaluation_rows = 512};
    rv_modular equations = {.p = (int)o->p, .operation = o->operation, .fraction = o->fraction,
                            .seed = (uint64_t)o->split, .pairs = true};
    RV_TRY(rv_source_modular(&network.source, &equations, err));
    network.batch = network.source->examples[RV_SPLIT_TRAIN];
    return rv_network_new(out, &network, env, err);
}

const rv_workload rv_workload_modular_perceptron = {
    .name = "modular-perceptron",
    .title = "Perceptron on a + b mod 113, full batch: grokking at its cheapest",
    .description =
        "All equations a + b = c mod p; 40 % of them are trained on, all in one batch, the others are the validation\n"
        "split.  The one-hot codes of a and b go through two hidden layers of 200 ReLU units.  Softmax never\n"
        "generalises; wrappers=orthograd does within 300 steps.  Setting: Prieto, Barsbey, Mediano, Birdal: \"Grokking\n"
        "at the edge of numerical stability\", 2025.",
    .params = &table,
    .make = make,
    .metric = "accuracy",
    .maximize = true,
    .recipe = "{\"optimizer\": \"adam\", \"optimizer_params\": {\"lr\": 0.01, \"beta2\": 0.99},"
              " \"schedule\": \"constant\", \"train\": {\"steps\": 300, \"target\": 0.99, \"eval_every\": 10}}",
};
