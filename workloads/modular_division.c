/* Grokking: a small transformer learns a / b mod p from half of the table. */

#include "objective/network.h"
#include "ravine/nn.h"
#include "ravine/workload.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                    \
    INT(p, 97, 3, 9973, 0, "modulus, a prime")                                                   \
    CHOICE(operation, RV_MODULAR_OPERATIONS, "division", "of the table: a / b, .., squares a^2 + b^2, cubic a^3 + a b^2 + b") \
    REAL(fraction, 0.5, 0, 1, RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "of the table that is trained on") \
    INT(split, 0, 0, 4294967295, 0, "seed of the split of the table")                            \
    INT(layers, 2, 1, 64, 0, "transformer blocks")                                               \
    INT(width, 128, 1, 8192, 0, "of the residual stream")                                        \
    INT(heads, 4, 1, 256, 0, "of attention; must divide width")                                  \
    REAL(label_smoothing, 0, 0, 1, RV_PARAM_OPEN_HI, "mass of a label that training spreads over all classes") \
    CHOICE(norm, "post|pre", "post", "where the layer norms stand")                              \
    CHOICE(loss, "softmax|stablemax", "softmax", "what makes logits probabilities")

RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "modular-division", params, PARAMS);

static void build(rv_graph *graph, const rv_value *inputs, const void *values)
{
    const params *o = values;
    int64_t rows = rv_graph_shape(graph, inputs[0]).dim[0];
    rv_transformer block = {.heads = (int)o->heads, .width = o->width, .hidden = 4 * o->width,
                            .causal = true, .bias = true, .post_norm = o->norm == 0, .act = RV_ACT_GELU,
                            .init = rv_init_torch_linear(o->width),
                            .residual_init = rv_init_torch_linear(o->width)};
    rv_value positions = rv_graph_parameter(graph, "positions.weight", RV_ROLE_EMBEDDING,
                                            RV_SHAPE(4, o->width), rv_init_normal(1));
    rv_value x = rv_nn_embedding(graph, "tokens", inputs[0], o->p + 2, o->width, rv_init_normal(1));
    x = rv_add(graph, x, positions); /* [rows, 4, width] */
    for (int i = 0; i < o->layers; i++) {
        rv_graph_push(graph, "block%d", i);
        x = rv_nn_transformer_block(graph, x, &block);
        rv_graph_pop(graph);
    }
    /* the answer is read at the equals sign only */
    x = rv_reshape(graph, rv_slice(graph, x, 1, 3, 1), RV_SHAPE(rows, o->width));
    x = rv_nn_layer_norm(graph, "norm", x, true);
    rv_layer head = {.out = o->p + 2, .role = RV_ROLE_HEAD, .bias = true,
                     .weight_init = rv_init_torch_linear(o->width),
                     .bias_init = rv_init_torch_linear(o->width)};
    rv_value logits = rv_nn_linear(graph, "head", x, head); /* [rows, p + 2] */
    rv_nn_classify(graph, logits, inputs[1], (rv_cross_entropy_options){.label_smoothing = o->label_smoothing,
                                                                        .stablemax = o->loss == 1});
}

static rv_status make(const void *values, const rv_workload_env *env, rv_objective **out, rv_error *err)
{
    const params *o = values;
    rv_network network = {.name = "modular-division", .build = build, .params = values, .batch = 512,
                          .shards = 8, .least_rows = 16, .evaluation_rows = 256};
    rv_modular equations = {.p = (int)o->p, .operation = o->operation, .fraction = o->fraction, .seed = (uint64_t)o->split};
    RV_TRY(rv_source_modular(&network.source, &equations, err));
    return rv_network_new(out, &network, env, err);
}

const rv_workload rv_workload_modular_division = {
    .name = "modular-division",
    .title = "Transformer on a / b mod 97: grokking",
    .description =
        "All equations a / b = c mod p (b not 0) over tokens [a, /, b, =]; half of them are trained on, the\n"
        "other half is the validation split, and only the answer counts in the loss.  Decoder-only\n"
        "transformer, 2 layers, width 128, 4 heads.  Setting: Power, Burda, Edwards, Babuschkin, Misra:\n"
        "\"Grokking: generalization beyond overfitting on small algorithmic datasets\", 2022.",
    .params = &table,
    .make = make,
    .metric = "accuracy",
    .maximize = true,
    .recipe = "{\"optimizer\": \"adamw\", \"optimizer_params\": {\"lr\": 0.001, \"beta2\": 0.98, \"weight_decay\": 1},"
              " \"schedule\": \"warmup\", \"schedule_params\": {\"warmup_steps\": 10},"
              " \"train\": {\"steps\": 10000, \"target\": 0.99}}",
    .tuned = "--optimizer muon --set lr=0.02 --set weight_decay=0.1 --set adamw.lr=0.004 --set adamw.beta2=0.98 --set adamw.weight_decay=1",
};
