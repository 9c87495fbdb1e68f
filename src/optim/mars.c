/* MARS: momentum and preconditioning of a gradient whose variance is reduced by the last one.
 *     c = g + gamma beta1/(1 - beta1) (g - g_before), g_before = 0 in the first step; it is the
 *         last gradient or, exact, this batch's gradient at the last weights
 *     c <- c/max(1, ||c||) per tensor;  m <- beta1 m + (1 - beta1) c
 *     adamw:   v <- beta2 v + (1 - beta2) c^2;  u = m/(1 - beta1^t) / (sqrt(v)/sqrt(1 - beta2^t) + eps)
 *     lion:    u = sign(m)
 *     shampoo: u = sqrt(max(1, rows/cols)) NewtonSchulz(m/(1 - beta1)), matrices only, others adamw
 *     w <- w - lr (u + weight_decay w)
 * Matrices go to MARS, all else to AdamW by the rule list below, as in the reference.
 * Reference: AGI-Arena/MARS MARS/optimizers/mars.py 4831e28e.  Deviation:
 * Newton-Schulz in the dtype of the run, the reference's is bfloat16. */
#ifndef RV_REAL

#include "optim/method.h"
#include "optim/newton_schulz.h"
#include "optim/rows.h"

typedef struct mars_args {
    double ahead; /* gamma beta1/(1 - beta1) */
    double beta1, rest1, beta2, rest2;
    double lr, keep, rate, root, eps; /* rate: lr/(1 - beta1^t); keep: 1 - lr weight_decay */
    const double (*squares)[RV_MAX_SUMS]; /* [tensors], ||c||^2 */
    int ns_steps;
} mars_args;

enum { SLOT_M, SLOT_V, SLOT_BEFORE, SLOT_W };

/* One of the matrices [rows, cols] that a tensor of rank 2 consists of. */
static void matrix_of(const rv_tensor *tensor, int64_t *rows, int64_t *cols)
{
    const int parts = tensor->parts > 1 ? tensor->parts : 1;
    *rows = tensor->shape.dim[0] / parts;
    *cols = tensor->shape.dim[1];
}

#define RV_KERNEL_FILE "optim/mars.c"
#include "optim/kernel.h"

#define MARS_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    RV_HP_LR(REAL, 3e-3)                                                                           \
    REAL(beta1, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of corrected gradients")          \
    REAL(beta2, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of their squares, of type adamw") \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_HP_FREE | RV_PARAM_OPEN_LO, "added to the denominator after bias correction") \
    RV_HP_DECOUPLED(REAL, 0)                                                                       \
    REAL(gamma, 0.025, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "strength of the variance reduction")        \
    BOOL(exact, false, "take the gradient before at the last weights, not of the last batch: a second one per step") \
    CHOICE(type, "adamw|lion|shampoo", "adamw", "how the corrected gradient is preconditioned")    \
    INT(ns_steps, 5, 1, 100, 0, "Newton-Schulz iterations of type shampoo")
RV_PARAM_STRUCT(mars_params, MARS_PARAMS);
RV_PARAM_TABLE(mars_table, "mars", mars_params, MARS_PARAMS);

enum { ADAMW, LION, SHAMPOO };

static bool v_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const int type = ((const mars_params *)params)->type;
    return (type == ADAMW || (type == SHAMPOO && tensor->shape.rank != 2)) && rv_slot_like(tensor, params, shape);
}

static bool is_exact(const void *params)
{
    return ((const mars_params *)params)->exact;
}

static bool w_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return is_exact(params) && rv_slot_like(tensor, params, shape);
}

/* Type shampoo: u and what Newton-Schulz needs. */
static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    int64_t rows, cols;
    if (((const mars_params *)params)->type != SHAMPOO || tensor->shape.rank != 2)
        return 0;
    matrix_of(tensor, &rows, &cols);
    return ((size_t)(rows * cols) + rv_newton_schulz_size(rows, cols)) * rv_dtype_size(dtype);
}

static rv_fault task(const rv_run *run, const void *context, int tensor, int worker)
{
    const int parts = run->tensors[tensor].parts > 1 ? run->tensors[tensor].parts : 1;
    rv_fault fault = RV_FAULT_NONE;
    if (run->tensors[tensor].shape.rank != 2)
        return fault;
    for (int part = 0; part < parts && fault == RV_FAULT_NONE; part++)
        fault = (run->dtype == RV_F32 ? mars_matrix_f32 : mars_matrix_f64)(run, context, tensor, part, worker);
    return fault;
}

static size_t bytes_of(const rv_run *run, int tensor)
{
    return (size_t)rv_shape_size(&run->tensors[tensor].shape) * rv_dtype_size(run->dtype);
}

/* The gradient of this batch at the weights before the last step, into its slot. */
static rv_status look_back(const rv_run *run)
{
    const void *const *g;
    for (int i = 0; i < run->count; i++)
        memcpy(rv_run_probe_weights(run)[i], rv_run_slot(run, i, SLOT_W), bytes_of(run, i));
    RV_TRY(rv_run_probe(run, RV_PROBE_GRADIENT, true, &g));
    for (int i = 0; i < run->count; i++)
        memcpy(rv_run_slot(run, i, SLOT_BEFORE), g[i], bytes_of(run, i));
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const mars_params *p = run->params;
    const double t = (double)run->step;
    mars_args args = {.ahead = p->gamma * p->beta1 / (1 - p->beta1),
                      .beta1 = p->beta1,
                      .rest1 = 1 - p->beta1,
                      .beta2 = p->beta2,
                      .rest2 = 1 - p->beta2,
                      .lr = run->lr,
                      .keep = 1 - run->lr * p->weight_decay,
                      .rate = run->lr / (1 - pow(p->beta1, t)),
                      .root = 1 / sqrt(1 - pow(p->beta2, t)),
                      .eps = p->eps,
                      .ns_steps = (int)p->ns_steps};
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    if (p->exact && run->step > 1)
        RV_TRY(look_back(run));
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(mars_measure), &args, total, each));
    args.squares = (const double (*)[RV_MAX_SUMS])each;
    if (p->type == LION)
        return rv_run_map(run, RV_KERNEL_OF(mars_lion), &args);
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(mars_adamw), &args));
    return p->type == SHAMPOO ? rv_run_each(run, run->count, task, NULL, &args) : RV_OK;
}

static const rv_slot slots[] = {{"m", rv_slot_like, false},
                                {"v", v_shape, false},
                                {"before", rv_slot_like, false},
                                {"w_before", w_shape, true}};

static const rv_rule rules[] = {
    {.rank_min = 2, .rank_max = 2, .method = "mars"},
    {.rank_max = RV_MAX_RANK, .method = "adamw", .params = "lr=3e-3,beta1=0.9,beta2=0.95,weight_decay=0"},
};

const rv_method rv_method_mars = {
    .info = {.name = "mars",
             .version = 1,
             .title = "MARS: variance-reduced AdamW, Lion or Shampoo",
             .equations = "c = g + gamma beta1/(1 - beta1) (g - g_before), g_before = 0 in the first step, then the last "
                          "gradient or, exact, this batch's gradient at the weights before the last step\n"
                          "c <- c/max(1, ||c||) per tensor;  m <- beta1 m + (1 - beta1) c\n"
                          "type adamw: v <- beta2 v + (1 - beta2) c^2;  "
                          "u = m/(1 - beta1^t) / (sqrt(v)/sqrt(1 - beta2^t) + eps)\n"
                          "type lion: u = sign(m)\n"
                          "type shampoo: u = sqrt(max(1, rows/cols)) NewtonSchulz(m/(1 - beta1)), as Muon's but from "
                          "m/(||m|| + eps); tensors that are no matrices as type adamw\n"
                          "w <- w - lr (u + weight_decay w);  tensors that are no matrices: adamw",
             .paper = "Yuan et al. 2024, MARS: unleashing the power of variance reduction for training large models",
             .reference = "AGI-Arena/MARS 4831e28e MARS/optimizers/mars.py (exact=false: is_approx)",
             .deviations = "exact takes other rules' tensors at their weights in force, there all are the last; "
                           "optimize_1d is the rule list [{\"method\": \"mars\"}]; AdamW of the other tensors has no "
                           "decay by default (there 0.1); Newton-Schulz in the dtype of the run, on the parts of a fused "
                           "tensor apart",
             .params = &mars_table,
             .state = "m, before (g_before): like the tensor; w_before: like the tensor, only if exact; v: like the "
                      "tensor, not for matrices of type shampoo nor of type lion",
             .bytes_per_parameter = 12},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 4,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .workspace = workspace,
    .step = step,
    .probes = true,
    .probes_if = is_exact,
};

#else

/* c before it is cut to length 1. */
RV_INLINE RV_REAL RV_FN(mars_corrected)(const mars_args *a, RV_REAL g, RV_REAL before)
{
    return g + (RV_REAL)a->ahead * (g - before);
}

RV_TILE_FUNCTION(mars_measure, mars_args)
{
    RV_REAL *before = t->s[2], c[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n)
        c[i] = RV_FN(mars_corrected)(a, t->g[i], before[i]);
    RV_FN(rv_dot)(c, c, t->n, t->sum[0]);
}
#define RV_KERNEL mars_measure
#define RV_KERNEL_ARGS mars_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

/* m and g_before; c [n] is left for the second moment. */
RV_INLINE void RV_FN(mars_mean)(const rv_tile *t, const mars_args *a, RV_REAL *c)
{
    const double square = a->squares[t->tensor][0];
    const RV_REAL scale = (RV_REAL)(square > 1 ? 1 / sqrt(square) : 1);
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    RV_REAL *m = t->s[0], *before = t->s[2];
    if (t->s[3])
        memcpy(t->s[3], t->w, (size_t)t->n * sizeof *t->w);
    RV_EACH (i, t->n) {
        c[i] = scale * RV_FN(mars_corrected)(a, t->g[i], before[i]);
        m[i] = beta1 * m[i] + rest1 * c[i];
        before[i] = t->g[i];
    }
}

RV_TILE_FUNCTION(mars_adamw, mars_args)
{
    const RV_REAL beta2 = (RV_REAL)a->beta2, rest2 = (RV_REAL)a->rest2, keep = (RV_REAL)a->keep;
    const RV_REAL rate = (RV_REAL)a->rate, root = (RV_REAL)a->root, eps = (RV_REAL)a->eps;
    RV_REAL *m = t->s[0], *v = t->s[1], c[512 / sizeof(RV_REAL)];
    RV_FN(mars_mean)(t, a, c);
    if (!v) { /* a matrix of type shampoo, which moves afterwards */
        memcpy(t->out, t->w, (size_t)t->n * sizeof *t->out);
        return;
    }
    RV_EACH (i, t->n) {
        v[i] = beta2 * v[i] + rest2 * c[i] * c[i];
        t->out[i] = keep * t->w[i] - rate * m[i] / (RV_MATH(sqrt)(v[i]) * root + eps);
    }
}
#define RV_KERNEL mars_adamw
#define RV_KERNEL_ARGS mars_args
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(mars_lion, mars_args)
{
    const RV_REAL keep = (RV_REAL)a->keep, lr = (RV_REAL)a->lr;
    RV_REAL *m = t->s[0], c[512 / sizeof(RV_REAL)];
    RV_FN(mars_mean)(t, a, c);
    RV_EACH (i, t->n)
        t->out[i] = keep * t->w[i] - lr * (RV_REAL)((m[i] > 0) - (m[i] < 0));
}
#define RV_KERNEL mars_lion
#define RV_KERNEL_ARGS mars_args
#include "optim/kernel_loop.h"

/* Type shampoo: the step of one part from its momentum; the workspace: u, then what Newton-Schulz needs. */
static rv_fault RV_FN(mars_matrix)(const rv_run *run, const mars_args *a, int tensor, int part, int worker)
{
    int64_t rows, cols;
    matrix_of(&run->tensors[tensor], &rows, &cols);
    const int64_t n = rows * cols;
    if (n == 0)
        return RV_FAULT_NONE;
    RV_REAL *w = (RV_REAL *)run->w[tensor] + part * n, *u = rv_run_workspace(run, worker);
    const rv_team team = rv_run_team(run, worker);
    const RV_REAL *m = (const RV_REAL *)rv_run_slot(run, tensor, SLOT_M) + part * n;
    /* Newton-Schulz divides by ||u|| + 1e-7, the reference by ||u|| + eps. */
    const RV_REAL enlarge = (RV_REAL)(fmin(1e-7 / a->eps, 1e6) / a->rest1), keep = (RV_REAL)a->keep;
    const RV_REAL rate = (RV_REAL)(a->lr * sqrt(fmax(1, (double)rows / (double)cols)));
    for (int64_t i = 0; i < n; i++)
        u[i] = enlarge * m[i];
    RV_FN(rv_newton_schulz)(&team, u, rows, cols, a->ns_steps, u + n);
    for (int64_t i = 0; i < n; i++)
        u[i] = keep * w[i] - rate * u[i];
    if (!RV_FN(rv_finite)(u, n))
        return RV_FAULT_UPDATE;
    memcpy(w, u, (size_t)n * sizeof *w);
    return RV_FAULT_NONE;
}

#endif
