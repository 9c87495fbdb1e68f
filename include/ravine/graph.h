/* Static computation graphs: build once for a fixed shard shape, plan once, run
 * without allocating.
 *
 * A graph is a list of operations on values.  Shapes are inferred and checked as
 * it is built; the first error sticks, later calls do nothing, and
 * rv_graph_status tells it: operation, operand, expected and found.
 * Images are [batch, height, width, channels]; sequences [batch, time, width].
 * The element type of float values is the backend's; tokens and labels are i32. */
#ifndef RAVINE_GRAPH_H
#define RAVINE_GRAPH_H

#include "ravine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_graph rv_graph;

/* A value of a graph; 0 is "none" (an absent operand, or the result of a failed call). */
typedef int rv_value;
#define RV_NONE 0

/* ---- building -------------------------------------------------------- */

RV_API rv_graph *rv_graph_new(void); /* NULL: out of memory */
RV_API void rv_graph_free(rv_graph *graph);
/* RV_OK, or the first error of the construction. */
RV_API rv_status rv_graph_status(const rv_graph *graph, rv_error *err);

/* How a parameter is drawn at the start, from (seed, its name, element index). */
typedef struct rv_init {
    enum { RV_INIT_ZERO, RV_INIT_CONSTANT, RV_INIT_NORMAL, RV_INIT_UNIFORM, RV_INIT_TRUNCATED } kind;
    double scale; /* the constant; standard deviation; half-width; std before truncation at 2 std */
} rv_init;

/* An input filled by the data: dtype RV_F32 means "the backend's float", or RV_I32. */
RV_API rv_value rv_graph_input(rv_graph *graph, const char *name, rv_dtype dtype, rv_shape shape);
/* A trained tensor.  The same value may be used several times (tied weights). */
RV_API rv_value rv_graph_parameter(rv_graph *graph, const char *name, rv_role role, rv_shape shape,
                                   rv_init init);
/* Says that a parameter is `parts` matrices stacked along its first axis (3: fused query,
 * key, value), which matrix methods treat apart; the extent must be a multiple. */
RV_API void rv_graph_set_parts(rv_graph *graph, rv_value parameter, int parts);
/* Prefixes the names of parameters and nodes made until the matching pop ("block0"). */
RV_API void rv_graph_push(rv_graph *graph, const char *format, ...) RV_PRINTF(2, 3);
RV_API void rv_graph_pop(rv_graph *graph);
RV_API rv_shape rv_graph_shape(const rv_graph *graph, rv_value value);

/* The scalar that is differentiated.  A loss operation leaves [2]: the sum over
 * its examples and their total weight; the value of a batch is the ratio of the
 * two sums over all shards, so a shard may be empty. */
RV_API void rv_graph_set_loss(rv_graph *graph, rv_value loss);
/* A value that evaluation reads ("logits"); several may be named. */
RV_API void rv_graph_set_output(rv_graph *graph, const char *name, rv_value value);
RV_API rv_value rv_graph_output(const rv_graph *graph, const char *name); /* RV_NONE: no such output */

/* ---- operations ------------------------------------------------------ */

/* y = act(x w^T + b): x [..., in], w [out, in], b [out] or RV_NONE -> [..., out]. */
RV_API rv_value rv_linear(rv_graph *graph, rv_value x, rv_value w, rv_value b, rv_activation act);
/* Batched product of the last two axes, either transposed: a [..., m, k], b [..., k, n]. */
RV_API rv_value rv_matmul(rv_graph *graph, rv_value a, rv_value b, bool transpose_a, bool transpose_b);
/* rows of table [tokens, width] at ids [...] -> [..., width].  An id outside is an error of the run. */
RV_API rv_value rv_embedding(rv_graph *graph, rv_value ids, rv_value table);
RV_API rv_value rv_activate(rv_graph *graph, rv_value x, rv_activation act);
RV_API rv_value rv_add(rv_graph *graph, rv_value a, rv_value b);   /* b may lack leading axes */
RV_API rv_value rv_multiply(rv_graph *graph, rv_value a, rv_value b); /* likewise */
RV_API rv_value rv_scale(rv_graph *graph, rv_value x, double factor);

/* Normalisations; gain and shift [width] or RV_NONE.  Layer and RMS norm over the
 * last axis; batch norm over all but the last, with running statistics as buffers;
 * group norm over space and width/groups channels of each example (instance norm:
 * groups = width). */
RV_API rv_value rv_layer_norm(rv_graph *graph, rv_value x, rv_value gain, rv_value shift, double eps);
RV_API rv_value rv_rms_norm(rv_graph *graph, rv_value x, rv_value gain, double eps);
RV_API rv_value rv_batch_norm(rv_graph *graph, rv_value x, rv_value gain, rv_value shift, double eps);
RV_API rv_value rv_group_norm(rv_graph *graph, rv_value x, rv_value gain, rv_value shift, int groups,
                              double eps);

/* Training only; identity in evaluation.  channels: one draw per example and channel. */
RV_API rv_value rv_dropout(rv_graph *graph, rv_value x, double rate, bool channels);

typedef struct rv_attention_options {
    int heads;
    bool causal;
    bool rotary;      /* rotary position embedding, base 10000, halves convention */
    bool qk_norm;     /* RMS norm of every query and key, eps 1e-6 */
    double soft_cap;  /* scores <- cap * tanh(scores / cap); 0: off */
    double dropout;   /* of the attention weights */
} rv_attention_options;

/* Multi-head attention over packed qkv [batch, time, 3 * width] (q, k, v; each
 * heads x width/heads) -> [batch, time, width]; scores scaled by 1/sqrt(width/heads). */
RV_API rv_value rv_attention(rv_graph *graph, rv_value qkv, rv_attention_options options);

typedef struct rv_conv_options {
    int stride, padding, dilation, groups; /* 0 means: 1, 0, 1, 1 */
} rv_conv_options;

/* x [n, h, w, in], kernel [out, in / groups, kh, kw], bias [out] or RV_NONE. */
RV_API rv_value rv_conv2d(rv_graph *graph, rv_value x, rv_value kernel, rv_value bias,
                          rv_conv_options options);
RV_API rv_value rv_max_pool(rv_graph *graph, rv_value x, int size, int stride, int padding);
RV_API rv_value rv_average_pool(rv_graph *graph, rv_value x, int size, int stride, int padding);
RV_API rv_value rv_global_pool(rv_graph *graph, rv_value x); /* [n, h, w, c] -> [n, c], mean */

RV_API rv_value rv_concat(rv_graph *graph, rv_value a, rv_value b, int axis);
RV_API rv_value rv_slice(rv_graph *graph, rv_value x, int axis, int64_t start, int64_t length);
RV_API rv_value rv_reshape(rv_graph *graph, rv_value x, rv_shape shape); /* no copy */
typedef enum rv_reduction { RV_REDUCE_SUM, RV_REDUCE_MEAN } rv_reduction;
RV_API rv_value rv_reduce(rv_graph *graph, rv_value x, int axis, rv_reduction kind);

typedef struct rv_cross_entropy_options {
    double label_smoothing;      /* in [0, 1): mass spread evenly over all classes, in training only */
    const double *class_weights; /* [classes] or NULL; copied */
    bool ignore_negative;        /* labels < 0 do not count; otherwise they are an error of the run */
    /* p[c] = s(x[c]) / sum of s instead of softmax, s(x) = x + 1 for x >= 0 and 1 / (1 - x) below:
     * StableMax; Prieto, Barsbey, Mediano, Birdal 2025, arXiv 2501.04697, section 4. */
    bool stablemax;
} rv_cross_entropy_options;

/* Losses, each -> [2] (sum, weight).  logits [..., classes], labels i32 [...]. */
RV_API rv_value rv_cross_entropy(rv_graph *graph, rv_value logits, rv_value labels,
                                 rv_cross_entropy_options options);
/* x and target of one shape; weight (RV_NONE: all 1) of that shape. */
RV_API rv_value rv_mse(rv_graph *graph, rv_value x, rv_value target, rv_value weight);
RV_API rv_value rv_l1(rv_graph *graph, rv_value x, rv_value target, rv_value weight);
/* logits; target in [0, 1]. */
RV_API rv_value rv_binary_cross_entropy(rv_graph *graph, rv_value x, rv_value target, rv_value weight);

/* ---- planning and running -------------------------------------------- */

typedef enum rv_backend {
    RV_BACKEND_REF, /* float64, plain loops: the oracle */
    RV_BACKEND_CPU, /* float32 */
    RV_BACKEND_COUNT
} rv_backend;

RV_API const char *rv_backend_name(rv_backend backend);
RV_API rv_dtype rv_backend_dtype(rv_backend backend); /* of parameters and gradients */

typedef struct rv_plan_options {
    rv_backend backend;
    bool gradient;     /* plan the backward pass as well */
    bool bf16;         /* cpu: products and stored activations in bf16, sums in f32 */
} rv_plan_options;

typedef struct rv_plan rv_plan;

/* Places every value in one arena by liveness and writes the two programs.  The
 * graph must outlive the plan.  RV_E_UNSUPPORTED names an operation that the
 * backend lacks. */
RV_API rv_status rv_plan_new(rv_plan **out, const rv_graph *graph, rv_plan_options options,
                             rv_error *err);
RV_API void rv_plan_free(rv_plan *plan);

/* Parameters in order of their creation; owned by the plan. */
RV_API const rv_layout *rv_plan_layout(const rv_plan *plan);
/* Running statistics (batch norm) as a flat vector of the backend's type. */
RV_API int64_t rv_plan_buffer_size(const rv_plan *plan);

typedef struct rv_plan_bytes {
    size_t arena;       /* of one runner: activations, gradients of activations, scratch */
    size_t lower_bound; /* largest sum of values alive at one time */
    size_t work;        /* beside the arena for every worker of a runner: what a kernel needs while it runs */
    size_t packed;      /* weights as the kernels want them, shared by all runners */
} rv_plan_bytes;
RV_API rv_plan_bytes rv_plan_memory(const rv_plan *plan);

/* Floating-point operations of one shard, a multiply-add counted as two: of the
 * forward pass or, if backward, of both passes. */
RV_API double rv_plan_flops(const rv_plan *plan, bool backward);

/* Draws the initial parameters into w [layout size] (gaps zero) and the initial
 * running statistics into buffers (mean 0, variance 1; may be NULL if there are none). */
RV_API void rv_plan_init(const rv_plan *plan, uint64_t seed, void *w, void *buffers);

/* The arena in which one worker runs one shard at a time. */
typedef struct rv_runner rv_runner;
RV_API rv_status rv_runner_new(rv_runner **out, const rv_plan *plan, rv_error *err);
/* A runner whose runs all workers of pool (NULL: the caller) share: the work of one operation
 * after the other is divided between them.  Same results, bit for bit.  Its runs must not stand
 * inside a task of the pool, which stays the caller's and outlives the runner. */
RV_API rv_status rv_runner_new_over(rv_runner **out, const rv_plan *plan, rv_pool *pool, rv_error *err);
RV_API void rv_runner_free(rv_runner *runner);

/* Where the data of input number i (in order of creation) is to be written; runs
 * leave it as it is.  NULL: no such input. */
RV_API void *rv_runner_input(rv_runner *runner, int input);
/* Holds from a forward until the backward that follows it.  NULL: no such output. */
RV_API const void *rv_runner_output(const rv_runner *runner, const char *name);

typedef struct rv_shard {
    uint64_t seed, step; /* key of the dropout masks */
    int shard;           /* number of the shard in its batch */
    bool training;       /* batch statistics and dropout on */
} rv_shard;

/* Prepares weights for the kernels (packing, conversion); once per change of w,
 * before any runner of the plan runs.  w must stay unchanged while they run. */
RV_API rv_status rv_plan_pack(rv_plan *plan, const void *w, rv_pool *pool, rv_error *err);

/* Forward.  loss: the pair (sum, weight).  statistics: in training receives this
 * shard's batch statistics [buffer size]; in evaluation they are read.
 * RV_E_NUMERIC / RV_E_RANGE: names the first operation with a non-finite result
 * (only looked for when the loss is not finite) or the label or token outside. */
RV_API rv_status rv_runner_forward(rv_runner *runner, const void *w, void *statistics, rv_shard shard,
                                   double loss[2], rv_error *err);
/* Backward of the last forward: g [layout size] receives the gradient of the loss *sum*. */
RV_API rv_status rv_runner_backward(rv_runner *runner, const void *w, void *g, rv_error *err);
/* Backwards from now on also add to factors [rv_layout_factors of the plan's layout] the sums of
 * every layer over the first `used` of the shard's `of` examples (rv_layout_factors; the number of
 * losses is left to the caller).  factors NULL: no more. */
RV_API void rv_runner_tap(rv_runner *runner, void *factors, int64_t used, int64_t of);

#ifdef __cplusplus
}
#endif
#endif
