/* Adam-mini: AdamW with one second moment per block of a tensor.
 *     w <- w (1 - lr weight_decay);  m <- beta1 m + (1 - beta1) g
 *     v <- beta2 v + (1 - beta2) mean of g^2 over the block
 *     w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)
 * Which blocks a tensor has is declared: by its role, or by a rule with `blocks`.
 * Reference: zyushun/Adam-mini adam_mini.py 402aadfe.  Deviation: the reference looks for
 * words in the tensors' names. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/rows.h"
#include "optim/segments.h"

typedef struct mini_args {
    double beta1, rest1, keep, rate;
    double root; /* sqrt(1 - beta2^t) */
    double beta2, rest2, eps;
    const rv_tensor *tensors; /* NULL: keep is for all of them; else not for vectors */
} mini_args;

static bool is_vector(rv_role role)
{
    return role == RV_ROLE_BIAS || role == RV_ROLE_NORM;
}

static double mini_keep(const mini_args *a, int tensor)
{
    return a->tensors && is_vector(a->tensors[tensor].role) ? 1 : a->keep;
}

#define RV_KERNEL_FILE "optim/adam_mini.c"
#include "optim/kernel.h"

#define MINI_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                   \
    RV_HP_LR(REAL, 1e-3)                                                                             \
    RV_HP_BETA1(REAL, 0.9)                                                                           \
    RV_HP_BETA2(REAL, 0.999)                                                                         \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_HP_FREE | RV_PARAM_OPEN_LO, "added to the denominator after bias correction") \
    RV_HP_DECOUPLED(REAL, 0)                                                                         \
    BOOL(decay_vectors, false, "decay biases and norms too")                                         \
    CHOICE(blocks, "role|rows|heads|tensor|elements", "role", "what has a second moment of its own") \
    INT(heads, 0, 0, 65536, 0, "attention heads: blocks of query and key; 0: not declared, blocks are rows")
RV_PARAM_STRUCT(mini_params, MINI_PARAMS);
RV_PARAM_TABLE(mini_table, "adam_mini", mini_params, MINI_PARAMS);

enum { SLOT_M, SLOT_V };
enum { BY_ROLE, ROWS, HEADS, TENSOR, ELEMENTS };

static rv_status check(const void *params, rv_error *err)
{
    const mini_params *p = params;
    if (p->blocks == HEADS && p->heads == 0)
        return rv_fail(err, RV_E_ARGUMENT, "adam_mini: blocks=heads needs heads, the number of attention heads");
    return RV_OK;
}

/* What the reference decides by name: biases are as in Adam, matrices have rows, the rest is one block. */
static int blocks_of(const rv_tensor *tensor, const mini_params *p)
{
    if (p->blocks != BY_ROLE)
        return p->blocks;
    if (tensor->role == RV_ROLE_BIAS)
        return ELEMENTS;
    const bool kernel = tensor->role == RV_ROLE_CONV || tensor->role == RV_ROLE_FIRST_CONV;
    return tensor->shape.rank >= 2 && !kernel && tensor->role != RV_ROLE_NORM ? ROWS : TENSOR;
}

/* Rows of query and key in a fused tensor of three parts, which are cut by head; 0: none. */
static int64_t fused_rows(const rv_tensor *tensor, const mini_params *p)
{
    const int64_t rows = tensor->shape.rank > 0 ? tensor->shape.dim[0] : 0;
    const bool fused = p->blocks == BY_ROLE && p->heads > 0 && tensor->parts == 3 && rows % 3 == 0;
    return fused && rows / 3 % p->heads == 0 ? rows / 3 * 2 : 0;
}

static int64_t count(const rv_tensor *tensor, const void *params)
{
    const mini_params *p = params;
    const int64_t size = rv_shape_size(&tensor->shape), rows = tensor->shape.rank > 0 ? tensor->shape.dim[0] : 1;
    switch (blocks_of(tensor, p)) {
    case ROWS: return fused_rows(tensor, p) ? 2 * p->heads + rows / 3 : rows;
    case HEADS: return size % p->heads == 0 ? p->heads : 1;
    case ELEMENTS: return size;
    default: return 1;
    }
}

/* Of a fused tensor: heads of query and key, then rows of value; else blocks of one size. */
static int64_t start(const rv_tensor *tensor, const void *params, int64_t segment)
{
    const mini_params *p = params;
    const int64_t size = rv_shape_size(&tensor->shape), fused = fused_rows(tensor, p);
    if (fused == 0)
        return size / count(tensor, params) * segment;
    const int64_t width = size / tensor->shape.dim[0], heads = 2 * p->heads;
    return width * (segment <= heads ? fused / heads * segment : fused + segment - heads);
}

static bool block_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const int64_t size = rv_shape_size(&tensor->shape);
    *shape = RV_SHAPE(size > 0 ? count(tensor, params) : 0);
    return true;
}

static void decide(const rv_run *run, const void *context, int tensor, int64_t segment, int64_t size,
                   const double *sums, void *args)
{
    const mini_params *p = run->params;
    const mini_args *common = context;
    const double v = p->beta2 * rv_segment_get(run, tensor, SLOT_V, segment) + (1 - p->beta2) * (sums[0] / (double)size);
    mini_args *a = args;
    rv_segment_put(run, tensor, SLOT_V, segment, v);
    *a = *common;
    a->keep = mini_keep(common, tensor);
    a->rate = common->rate / (sqrt(v) / common->root + p->eps);
}

static const rv_segments walk = {.count = count,
                                 .start = start,
                                 .decide = decide,
                                 .update = {mini_loop_f32, mini_loop_f64},
                                 .single = {mini_single_loop_f32, mini_single_loop_f64},
                                 .like = 1u << SLOT_M,
                                 .single_like = 1u << SLOT_V};

static const rv_segments *segments(const void *params)
{
    (void)params;
    return &walk;
}

static rv_status step(const rv_run *run)
{
    const mini_params *p = run->params;
    const mini_args args = {.beta1 = p->beta1,
                            .rest1 = 1 - p->beta1,
                            .keep = 1 - run->lr * p->weight_decay,
                            .rate = run->lr / (1 - pow(p->beta1, (double)run->step)),
                            .root = sqrt(1 - pow(p->beta2, (double)run->step)),
                            .beta2 = p->beta2,
                            .rest2 = 1 - p->beta2,
                            .eps = p->eps,
                            .tensors = p->decay_vectors ? NULL : run->tensors};
    return rv_segments_run(run, &walk, &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"v", block_shape, false}};

const rv_method rv_method_adam_mini = {
    .info = {.name = "adam_mini",
             .version = 1,
             .title = "Adam-mini: one second moment per block",
             .equations = "w <- w (1 - lr weight_decay), but for biases and norms\n"
                          "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) mean of g^2 over the block\n"
                          "w <- w - lr/(1 - beta1^t) m / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "blocks=role: elements of a bias; rows of matrices, embeddings, heads; norms and kernels whole;\n"
                          "with heads, query and key of a fused (query, key, value) tensor by attention head\n"
                          "blocks=heads, in a rule for query and key: so many blocks of consecutive elements",
             .paper = "Zhang et al. 2024, Adam-mini: use fewer learning rates to gain more",
             .reference = "zyushun/Adam-mini 402aadfe adam_mini/adam_mini.py",
             .deviations = "blocks come from roles and rules, in the reference from words in names; a tensor that heads do "
                           "not divide is one block",
             .params = &mini_table,
             .state = "m: like the tensor; v: one per block",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .check = check,
    .segments = segments,
    .step = step,
};

#else

RV_TILE_FUNCTION(mini, mini_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    const RV_REAL keep = (RV_REAL)a->keep, rate = (RV_REAL)a->rate;
    RV_REAL *m = t->s[0];
    RV_EACH (i, t->n) {
        m[i] = beta1 * m[i] + rest1 * t->g[i];
        t->out[i] = keep * t->w[i] - rate * m[i];
    }
}
#define RV_KERNEL mini
#define RV_KERNEL_ARGS mini_args
#include "optim/kernel_loop.h"

/* A block of each element: AdamW. */
RV_TILE_FUNCTION(mini_single, mini_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1, beta2 = (RV_REAL)a->beta2;
    const RV_REAL rest2 = (RV_REAL)a->rest2, eps = (RV_REAL)a->eps, rate = (RV_REAL)a->rate;
    const RV_REAL keep = (RV_REAL)mini_keep(a, t->tensor), root = (RV_REAL)(1 / a->root);
    RV_REAL *m = t->s[0], *v = t->s[1];
    RV_EACH (i, t->n) {
        m[i] = beta1 * m[i] + rest1 * t->g[i];
        v[i] = beta2 * v[i] + rest2 * t->g[i] * t->g[i];
        t->out[i] = keep * t->w[i] - rate * m[i] / (RV_MATH(sqrt)(v[i]) * root + eps);
    }
}
#define RV_KERNEL mini_single
#define RV_KERNEL_ARGS mini_args
#include "optim/kernel_loop.h"

#endif
