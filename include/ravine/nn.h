/* Layers and blocks: functions that put operations and parameters into a graph.
 *
 * Each names its parameters below the graph's current prefix ("name.weight",
 * "name.bias") and draws them as said.  A shape that does not fit is the graph's error,
 * which sticks (ravine/graph.h): what is returned then is RV_NONE, and may be passed on. */
#ifndef RAVINE_NN_H
#define RAVINE_NN_H

#include "ravine/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Initial distributions.  fan_in, fan_out: of the weight, kernel area counted. */
RV_API rv_init rv_init_zero(void);
RV_API rv_init rv_init_normal(double std);
RV_API rv_init rv_init_he(int64_t fan_in);                        /* normal, variance 2 / fan_in; He et al. 2015, eq. 10 */
RV_API rv_init rv_init_lecun(int64_t fan_in);                     /* normal, variance 1 / fan_in */
RV_API rv_init rv_init_glorot(int64_t fan_in, int64_t fan_out);   /* uniform, variance 2 / (in + out); Glorot, Bengio 2010, eq. 16 */
RV_API rv_init rv_init_torch_linear(int64_t fan_in);              /* uniform +-1/sqrt(fan_in): torch.nn.Linear's weight and bias */

typedef struct rv_layer {
    int64_t out;
    rv_role role;        /* of the weight */
    bool bias;
    rv_activation act;
    rv_init weight_init, bias_init;
    int parts;           /* matrices stacked in the weight, as rv_tensor.parts */
} rv_layer;

/* x [..., in] -> [..., out] */
RV_API rv_value rv_nn_linear(rv_graph *graph, const char *name, rv_value x, rv_layer layer);
/* ids [...] -> [..., width] */
RV_API rv_value rv_nn_embedding(rv_graph *graph, const char *name, rv_value ids, int64_t tokens,
                                int64_t width, rv_init init);
/* Gain 1 and, if shift, shift 0. */
RV_API rv_value rv_nn_layer_norm(rv_graph *graph, const char *name, rv_value x, bool shift);
RV_API rv_value rv_nn_batch_norm(rv_graph *graph, const char *name, rv_value x);
/* Square kernel, no bias. */
RV_API rv_value rv_nn_conv(rv_graph *graph, const char *name, rv_value x, int64_t out, int kernel,
                           int stride, rv_role role, rv_init init);

typedef struct rv_transformer {
    int heads;
    int64_t width, hidden;   /* hidden: of the feed-forward part */
    bool causal, bias, post_norm;
    rv_activation act;
    double dropout, attention_dropout; /* after each branch; of the attention weights */
    rv_init init, residual_init; /* of matrices; of those that write into the residual stream */
} rv_transformer;

/* One block, x [batch, time, width]: attention and feed-forward, each around a residual;
 * pre-norm x + f(norm(x)), or post-norm norm(x + f(x)) as in Vaswani et al. 2017. */
RV_API rv_value rv_nn_transformer_block(rv_graph *graph, rv_value x, const rv_transformer *block);

/* The end of a classifier: logits [..., classes] become the output "logits", their cross
 * entropy with labels [...] the loss; labels below 0 do not count, whatever options say. */
RV_API void rv_nn_classify(rv_graph *graph, rv_value logits, rv_value labels, rv_cross_entropy_options options);

#ifdef __cplusplus
}
#endif
#endif
