/* Every operation with every option: one line each.
 *
 * A(name, extents) is an operand as activations are, P a parameter, Q one of another
 * kind of values, I an input of the data.  B is the batch (0 in the empty regime), S0 to
 * S2 are drawn sizes, H and W a height and width of at least what is given. */
#include "problem.h"

#define G p->graph
#define B p->batch
#define S0 p->size[0]
#define S1 p->size[1]
#define S2 p->size[2]
#define H(least) (p->room[0] + (least))
#define W(least) (p->room[1] + (least))
#define A(name, ...) problem_activation(p, #name, RV_SHAPE(__VA_ARGS__))
#define P(name, ...) problem_parameter(p, #name, FEED_SPREAD, RV_SHAPE(__VA_ARGS__))
#define Q(name, kind, ...) problem_parameter(p, #name, FEED_##kind, RV_SHAPE(__VA_ARGS__))
#define I(name, kind, limit, ...) problem_input(p, #name, FEED_##kind, limit, RV_SHAPE(__VA_ARGS__))

#define LINEAR(act) rv_linear(G, A(x, B, S0), P(w, S1, S0), P(b, S1), act)
#define ATTEND(heads_, size, ...) \
    rv_attention(G, A(qkv, B, S0, 3 * (heads_) * (size)), (rv_attention_options){.heads = heads_, __VA_ARGS__})
#define CONV(in, out, kh, kw, least_h, least_w, groups_, ...)                  \
    rv_conv2d(G, A(x, B, H(least_h), W(least_w), in), P(k, out, (in) / (groups_), kh, kw), P(b, out), \
              (rv_conv_options){.groups = groups_, __VA_ARGS__})
#define IMAGE(least) A(x, B, H(least), W(least), S0)
#define ENTROPY(label_kind, ...)                                          \
    rv_cross_entropy(G, A(x, B, S0, S1), I(labels, label_kind, S1, B, S0), \
                     (rv_cross_entropy_options){__VA_ARGS__})

/* Weights for as many classes as the regimes draw. */
static const double class_weights[65] = {
    [0] = 0.5, [1] = 2, [2] = 1.25, [3] = 0.25, [4] = 3, [5] = 1, [6] = 0.75, [7] = 1.5, [8] = 1,
    [13] = 1,  [21] = 2, [34] = 0.5, [55] = 4,  [62] = 1, [63] = 0.3, [64] = 2};

/* A block as networks have it: residuals, so that gradients of activations meet. */
static rv_value block(problem *p)
{
    const int64_t width = 2 * S1;
    const rv_value x = A(x, B, S0, width);
    const rv_value h = rv_rms_norm(G, x, P(gain, width), 1e-2);
    const rv_value qkv = rv_linear(G, h, P(wqkv, 3 * width, width), RV_NONE, RV_ACT_NONE);
    const rv_value heads = rv_attention(G, qkv, (rv_attention_options){.heads = 2, .causal = true});
    const rv_value r = rv_add(G, x, rv_linear(G, heads, P(wo, width, width), P(bo, width), RV_ACT_NONE));
    const rv_value f = rv_linear(G, r, P(wf, S2, width), P(bf, S2), RV_ACT_GELU);
    return rv_add(G, r, rv_linear(G, f, P(wp, width, S2), RV_NONE, RV_ACT_NONE));
}

/* Operations behind each other, so that with bf16 products results live in bf16; x is made small, so that
 * weights of attention stay apart. */
static rv_value small_linear(problem *p, int64_t width)
{
    return rv_linear(G, rv_scale(G, A(x, B, S0, S1), 0.02), P(w, width, S1), P(b, width), RV_ACT_NONE);
}

#define ATTEND_LINEAR(...) \
    rv_attention(G, small_linear(p, 12 * S2), (rv_attention_options){.heads = 2, __VA_ARGS__})

/* X(kind, name, value) */
#define CASES(X)                                                                                            \
    X(PLAIN, linear, LINEAR(RV_ACT_NONE))                                                                   \
    X(PLAIN, linear_relu, LINEAR(RV_ACT_RELU))                                                              \
    X(PLAIN, linear_relu2, LINEAR(RV_ACT_RELU2))                                                            \
    X(PLAIN, linear_gelu, LINEAR(RV_ACT_GELU))                                                              \
    X(PLAIN, linear_gelu_tanh, LINEAR(RV_ACT_GELU_TANH))                                                    \
    X(PLAIN, linear_silu, LINEAR(RV_ACT_SILU))                                                              \
    X(PLAIN, linear_tanh, LINEAR(RV_ACT_TANH))                                                              \
    X(PLAIN, linear_sigmoid, LINEAR(RV_ACT_SIGMOID))                                                        \
    X(PLAIN, linear_softplus, LINEAR(RV_ACT_SOFTPLUS))                                                      \
    X(PLAIN, linear_no_bias, rv_linear(G, A(x, B, S0), P(w, S1, S0), RV_NONE, RV_ACT_NONE))                 \
    X(PLAIN, linear_no_bias_gelu, rv_linear(G, A(x, B, S0), P(w, S1, S0), RV_NONE, RV_ACT_GELU))            \
    X(PLAIN, linear_rank3, rv_linear(G, A(x, B, S2, S0), P(w, S1, S0), P(b, S1), RV_ACT_RELU))              \
    X(PLAIN, linear_of_parameter, rv_linear(G, P(x, S2, S0), P(w, S1, S0), P(b, S1), RV_ACT_NONE))          \
    X(PLAIN, linear_tied,                                                                                   \
      rv_linear(G, rv_linear(G, A(x, B, S0), P(w, S0, S0), RV_NONE, RV_ACT_TANH), P(w, S0, S0), P(b, S0),   \
                RV_ACT_NONE))                                                                               \
    X(PLAIN, linear_of_layer_norm,                                                                          \
      rv_linear(G, rv_layer_norm(G, A(x, B, S2, 2 * S0), P(gain, 2 * S0), P(shift, 2 * S0), 1e-2),          \
                P(w, S1, 2 * S0), P(b, S1), RV_ACT_NONE))                                                   \
    X(PLAIN, linear_of_rms_norm_and_sum,                                                                    \
      rv_add(G, rv_linear(G, rv_rms_norm(G, A(x, B, S2, 2 * S0), P(gain, 2 * S0), 1e-2),                    \
                          P(w, 2 * S0, 2 * S0), RV_NONE, RV_ACT_RELU),                                      \
             rv_rms_norm(G, A(x, B, S2, 2 * S0), P(gain, 2 * S0), 1e-2)))                                   \
    X(PLAIN, linear_of_gelu,                                                                                \
      rv_linear(G, rv_linear(G, rv_scale(G, A(x, B, S2, S0), 0.1), P(w, 2 * S1, S0), P(b, 2 * S1), RV_ACT_GELU), \
                P(v, S0, 2 * S1), RV_NONE, RV_ACT_NONE))                                                    \
    X(PLAIN, attention_of_linear, ATTEND_LINEAR(.causal = false))                                           \
    X(PLAIN, attention_of_linear_causal, ATTEND_LINEAR(.causal = true))                                     \
    X(MODAL, attention_of_linear_dropout, ATTEND_LINEAR(.causal = true, .dropout = 0.3))                    \
    X(PLAIN, linear_of_attention,                                                                           \
      rv_linear(G, ATTEND_LINEAR(.causal = true), P(wo, S1, 4 * S2), P(bo, S1), RV_ACT_NONE))               \
    X(PLAIN, matmul, rv_matmul(G, A(a, B, S0, S1), A(b, B, S1, S2), false, false))                          \
    X(PLAIN, matmul_transpose_a, rv_matmul(G, A(a, B, S1, S0), A(b, B, S1, S2), true, false))               \
    X(PLAIN, matmul_transpose_b, rv_matmul(G, A(a, B, S0, S1), A(b, B, S2, S1), false, true))               \
    X(PLAIN, matmul_transpose_both, rv_matmul(G, A(a, B, S1, S0), A(b, B, S2, S1), true, true))             \
    X(PLAIN, matmul_rank2, rv_matmul(G, A(a, B, S1), P(b, S1, S2), false, false))                           \
    X(PLAIN, matmul_rank4, rv_matmul(G, A(a, B, 2, S0, S1), A(b, B, 2, S1, S2), false, false))              \
    X(PLAIN, matmul_with_itself, rv_matmul(G, A(a, B, S0, S1), A(a, B, S0, S1), false, true))               \
    X(PLAIN, embedding, rv_embedding(G, I(ids, IDS, S1, B, S0), P(table, S1, S2)))                          \
    X(PLAIN, activate_none, rv_activate(G, A(x, B, S0), RV_ACT_NONE))                                       \
    X(PLAIN, activate_relu, rv_activate(G, A(x, B, S0), RV_ACT_RELU))                                       \
    X(PLAIN, activate_relu2, rv_activate(G, A(x, B, S0), RV_ACT_RELU2))                                     \
    X(PLAIN, activate_gelu, rv_activate(G, A(x, B, S0), RV_ACT_GELU))                                       \
    X(PLAIN, activate_gelu_tanh, rv_activate(G, A(x, B, S0), RV_ACT_GELU_TANH))                             \
    X(PLAIN, activate_silu, rv_activate(G, A(x, B, S0), RV_ACT_SILU))                                       \
    X(PLAIN, activate_tanh, rv_activate(G, A(x, B, S0), RV_ACT_TANH))                                       \
    X(PLAIN, activate_sigmoid, rv_activate(G, A(x, B, S0), RV_ACT_SIGMOID))                                 \
    X(PLAIN, activate_softplus, rv_activate(G, A(x, B, S0), RV_ACT_SOFTPLUS))                               \
    X(PLAIN, add, rv_add(G, A(a, B, S0, S1), A(b, B, S0, S1)))                                              \
    X(PLAIN, add_last_axis, rv_add(G, A(a, B, S0, S1), P(b, S1)))                                           \
    X(PLAIN, add_two_axes, rv_add(G, A(a, B, S0, S1), P(b, S0, S1)))                                        \
    X(PLAIN, add_itself, rv_add(G, A(a, B, S0), A(a, B, S0)))                                               \
    X(PLAIN, add_same_parameter, rv_add(G, P(a, S0, S1), P(a, S0, S1)))                                     \
    X(PLAIN, multiply, rv_multiply(G, A(a, B, S0, S1), A(b, B, S0, S1)))                                    \
    X(PLAIN, multiply_last_axis, rv_multiply(G, A(a, B, S0, S1), P(b, S1)))                                 \
    X(PLAIN, multiply_two_axes, rv_multiply(G, A(a, B, S0, S1), P(b, S0, S1)))                              \
    X(PLAIN, multiply_same_parameter, rv_multiply(G, P(a, S0, S1), P(a, S0, S1)))                           \
    X(PLAIN, scale, rv_scale(G, A(x, B, S0), -2.5))                                                         \
    X(PLAIN, layer_norm, rv_layer_norm(G, A(x, B, S0), P(gain, S0), P(shift, S0), 1e-2))                    \
    X(PLAIN, layer_norm_bare, rv_layer_norm(G, A(x, B, S0, S1), RV_NONE, RV_NONE, 1e-2))                    \
    X(PLAIN, layer_norm_gain, rv_layer_norm(G, A(x, B, S0, S1), P(gain, S1), RV_NONE, 1e-2))                \
    X(PLAIN, layer_norm_shift, rv_layer_norm(G, A(x, B, S0, S1), RV_NONE, P(shift, S1), 1e-2))              \
    X(PLAIN, rms_norm, rv_rms_norm(G, A(x, B, S0), P(gain, S0), 1e-2))                                      \
    X(PLAIN, rms_norm_bare, rv_rms_norm(G, A(x, B, S0, S1), RV_NONE, 1e-2))                                 \
    X(MODAL, batch_norm, rv_batch_norm(G, A(x, B, S0), P(gain, S0), P(shift, S0), 1e-2))                    \
    X(MODAL, batch_norm_image, rv_batch_norm(G, IMAGE(1), P(gain, S0), P(shift, S0), 1e-2))                 \
    X(MODAL, batch_norm_bare, rv_batch_norm(G, IMAGE(1), RV_NONE, RV_NONE, 1e-2))                           \
    X(PLAIN, group_norm, rv_group_norm(G, IMAGE(1), P(gain, S0), P(shift, S0), 1, 1e-2))                    \
    X(PLAIN, group_norm_2,                                                                                  \
      rv_group_norm(G, A(x, B, H(1), W(1), 2 * S0), P(gain, 2 * S0), P(shift, 2 * S0), 2, 1e-2))            \
    X(PLAIN, instance_norm, rv_group_norm(G, IMAGE(1), P(gain, S0), P(shift, S0), (int)S0, 1e-2))           \
    X(PLAIN, group_norm_bare, rv_group_norm(G, A(x, B, S1, 2 * S0), RV_NONE, RV_NONE, 2, 1e-2))             \
    X(MODAL, dropout, rv_dropout(G, A(x, B, S0, S1), 0.4, false))                                           \
    X(MODAL, dropout_channels, rv_dropout(G, A(x, B, S0, S1), 0.4, true))                                   \
    X(MODAL, dropout_none, rv_dropout(G, A(x, B, S0), 0, false))                                            \
    X(PLAIN, attention, ATTEND(2, S1, .causal = false))                                                     \
    X(PLAIN, attention_one_head, ATTEND(1, S1, .causal = false))                                            \
    X(PLAIN, attention_causal, ATTEND(2, S1, .causal = true))                                               \
    X(PLAIN, attention_rotary, ATTEND(2, 2 * S1, .rotary = true))                                           \
    X(PLAIN, attention_qk_norm, ATTEND(3, 2 * S1, .qk_norm = true))                                         \
    X(PLAIN, attention_soft_cap, ATTEND(2, S1, .soft_cap = 0.5))                                            \
    X(MODAL, attention_dropout, ATTEND(2, S1, .dropout = 0.3))                                              \
    X(MODAL, attention_all,                                                                                 \
      ATTEND(2, 2 * S1, .causal = true, .rotary = true, .qk_norm = true, .soft_cap = 1.5, .dropout = 0.25)) \
    X(PLAIN, conv2d_1x1, CONV(S0, S1, 1, 1, 1, 1, 1, .stride = 1))                                          \
    X(PLAIN, conv2d_3x3, CONV(S0, S1, 3, 3, 3, 3, 1, .stride = 1))                                          \
    X(PLAIN, conv2d_padding, CONV(S0, S1, 3, 3, 1, 1, 1, .padding = 1))                                     \
    X(PLAIN, conv2d_stride, CONV(S0, S1, 3, 3, 1, 1, 1, .stride = 2, .padding = 1))                         \
    X(PLAIN, conv2d_1x1_stride, CONV(S0, S1, 1, 1, 1, 1, 1, .stride = 2))                                   \
    X(PLAIN, conv2d_dilation, CONV(S0, S1, 3, 2, 5, 3, 1, .dilation = 2))                                   \
    X(PLAIN, conv2d_groups, CONV(2 * S0, 2 * S1, 3, 3, 1, 1, 2, .padding = 1))                              \
    X(PLAIN, conv2d_depthwise, CONV(S0, S0, 3, 3, 1, 1, (int)S0, .padding = 1))                             \
    X(PLAIN, conv2d_even, CONV(S0, S1, 2, 4, 1, 2, 1, .stride = 3, .padding = 1))                           \
    X(PLAIN, conv2d_all, CONV(2 * S0, 2 * S1, 3, 2, 1, 1, 2, .stride = 2, .padding = 2, .dilation = 2))     \
    X(PLAIN, conv2d_wide_dilation, CONV(33, 3, 3, 2, 5, 3, 1, .dilation = 2))                               \
    X(PLAIN, conv2d_no_bias,                                                                                \
      rv_conv2d(G, IMAGE(2), P(k, S1, S0, 2, 2), RV_NONE, (rv_conv_options){.padding = 1}))                 \
    X(PLAIN, max_pool, rv_max_pool(G, IMAGE(2), 2, 2, 0))                                                   \
    X(PLAIN, max_pool_overlapping, rv_max_pool(G, IMAGE(3), 3, 1, 0))                                       \
    X(PLAIN, max_pool_padding, rv_max_pool(G, IMAGE(1), 3, 2, 1))                                           \
    X(PLAIN, average_pool, rv_average_pool(G, IMAGE(2), 2, 2, 0))                                           \
    X(PLAIN, average_pool_overlapping, rv_average_pool(G, IMAGE(3), 3, 1, 0))                               \
    X(PLAIN, average_pool_padding, rv_average_pool(G, IMAGE(1), 3, 2, 1))                                   \
    X(PLAIN, global_pool, rv_global_pool(G, IMAGE(1)))                                                      \
    X(PLAIN, concat_last, rv_concat(G, A(a, B, S0, S1), A(b, B, S0, S2), 2))                                \
    X(PLAIN, concat_middle, rv_concat(G, A(a, B, S0, S2), A(b, B, S1, S2), 1))                              \
    X(PLAIN, concat_first, rv_concat(G, A(a, B, S1), A(b, S0, S1), 0))                                      \
    X(PLAIN, slice_last, rv_slice(G, A(x, B, S0, S1 + 2), 2, 1, S1))                                        \
    X(PLAIN, slice_middle, rv_slice(G, A(x, B, S0 + 1, S1), 1, 1, S0))                                      \
    X(PLAIN, slice_first, rv_slice(G, A(x, S0 + 1, S1), 0, 0, S0))                                          \
    X(PLAIN, reshape, rv_scale(G, rv_reshape(G, A(x, B, S0, S1), RV_SHAPE(B * S0, S1)), 1.5))               \
    X(PLAIN, reduce_sum_first, rv_reduce(G, A(x, S2, S0, S1), 0, RV_REDUCE_SUM))                            \
    X(PLAIN, reduce_sum_middle, rv_reduce(G, A(x, B, S0, S1), 1, RV_REDUCE_SUM))                            \
    X(PLAIN, reduce_mean_middle, rv_reduce(G, A(x, B, S0, S1), 1, RV_REDUCE_MEAN))                          \
    X(PLAIN, reduce_mean_last, rv_reduce(G, A(x, B, S0, S1), 2, RV_REDUCE_MEAN))                            \
    X(DEEP, block, block(p))                                                                                \
    X(LOSS, cross_entropy, ENTROPY(IDS, .label_smoothing = 0))                                              \
    X(LOSS, cross_entropy_smoothing, ENTROPY(IDS, .label_smoothing = 0.2))                                  \
    X(LOSS, cross_entropy_weights, ENTROPY(IDS, .class_weights = class_weights))                            \
    X(LOSS, cross_entropy_ignored, ENTROPY(PARTIAL, .ignore_negative = true))                               \
    X(LOSS, cross_entropy_all,                                                                              \
      ENTROPY(PARTIAL, .label_smoothing = 0.1, .class_weights = class_weights, .ignore_negative = true))    \
    X(LOSS, stablemax, ENTROPY(IDS, .stablemax = true))                                                     \
    X(LOSS, stablemax_all,                                                                                  \
      ENTROPY(PARTIAL, .label_smoothing = 0.1, .class_weights = class_weights, .ignore_negative = true,     \
              .stablemax = true))                                                                           \
    X(LOSS, cross_entropy_of_parameter,                                                                     \
      rv_cross_entropy(G, P(x, S0, S1), I(labels, IDS, S1, S0), (rv_cross_entropy_options){0}))             \
    X(LOSS, mse, rv_mse(G, A(x, B, S0), I(goal, SPREAD, 0, B, S0), RV_NONE))                                \
    X(LOSS, mse_weight, rv_mse(G, A(x, B, S0), Q(goal, SPREAD, B, S0), Q(weight, UNIT, B, S0)))             \
    X(LOSS, l1, rv_l1(G, A(x, B, S0), I(goal, FAR, 0, B, S0), RV_NONE))                                     \
    X(LOSS, l1_weight, rv_l1(G, A(x, B, S0), Q(goal, FAR, B, S0), Q(weight, UNIT, B, S0)))                  \
    X(LOSS, binary_cross_entropy,                                                                           \
      rv_binary_cross_entropy(G, A(x, B, S0), I(goal, UNIT, 0, B, S0), RV_NONE))                            \
    X(LOSS, binary_cross_entropy_weight,                                                                    \
      rv_binary_cross_entropy(G, A(x, B, S0), Q(goal, UNIT, B, S0), Q(weight, UNIT, B, S0)))

#define X(kind, name, value)                   \
    static rv_value build_##name(problem *p)   \
    {                                          \
        return value;                                                                                       \
    }
CASES(X)
#undef X

const check_case check_cases[] = {
#define X(kind, name, value) {#name, CASE_##kind, build_##name},
    CASES(X)
#undef X
};

const int check_case_count = sizeof check_cases / sizeof check_cases[0];
