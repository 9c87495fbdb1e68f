/* The transformer block: attention and feed-forward, each around a residual. */
#include "ravine/nn.h"

static rv_value attention(rv_graph *graph, rv_value x, const rv_transformer *block)
{
    rv_layer qkv = {.out = 3 * block->width, .role = RV_ROLE_HIDDEN, .bias = block->bias,
                    .weight_init = block->init, .parts = 3};
    rv_layer out = {.out = block->width, .role = RV_ROLE_HIDDEN, .bias = block->bias,
                    .weight_init = block->residual_init};
    rv_attention_options options = {.heads = block->heads, .causal = block->causal,
                                    .dropout = block->attention_dropout};
    rv_value packed = rv_nn_linear(graph, "qkv", x, qkv);      /* [batch, time, 3 * width] */
    rv_value mixed = rv_attention(graph, packed, options);     /* [batch, time, width] */
    return rv_dropout(graph, rv_nn_linear(graph, "out", mixed, out), block->dropout, false);
}

static rv_value feed_forward(rv_graph *graph, rv_value x, const rv_transformer *block)
{
    rv_layer in = {.out = block->hidden, .role = RV_ROLE_HIDDEN, .bias = block->bias,
                   .act = block->act, .weight_init = block->init};
    rv_layer out = {.out = block->width, .role = RV_ROLE_HIDDEN, .bias = block->bias,
                    .weight_init = block->residual_init};
    rv_value hidden = rv_nn_linear(graph, "in", x, in);        /* [batch, time, hidden] */
    return rv_dropout(graph, rv_nn_linear(graph, "out", hidden, out), block->dropout, false);
}

typedef rv_value part(rv_graph *graph, rv_value x, const rv_transformer *block);

/* x + f(norm(x)), or norm(x + f(x)). */
static rv_value residual(rv_graph *graph, const char *name, rv_value x, part *f,
                         const rv_transformer *block)
{
    rv_graph_push(graph, "%s", name);
    if (!block->post_norm) {
        x = rv_add(graph, x, f(graph, rv_nn_layer_norm(graph, "norm", x, block->bias), block));
    } else {
        x = rv_nn_layer_norm(graph, "norm", rv_add(graph, x, f(graph, x, block)), block->bias);
    }
    rv_graph_pop(graph);
    return x;
}

rv_value rv_nn_transformer_block(rv_graph *graph, rv_value x, const rv_transformer *block)
{
    x = residual(graph, "attention", x, attention, block);
    return residual(graph, "mlp", x, feed_forward, block);
}
