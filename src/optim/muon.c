/* Muon: momentum, orthogonalised by Newton-Schulz, for hidden matrices and kernels; the
 * other tensors go to AdamW by the rule list below.  The parts of a fused tensor (query, key,
 * value) are matrices of their own.
 *     m <- momentum m + (1 - momentum) g;  u = (1 - momentum) g + momentum m if nesterov, else m
 *     O = NewtonSchulz(u as [rows, cols]);  w <- w (1 - lr weight_decay)
 *     w <- w - lr sqrt(max(1, rows/cols)) O
 * Reference: KellerJordan/Muon muon.py 857d1adc.  Deviation: Newton-Schulz in the dtype of the
 * run, the reference's is bfloat16.  kernel_scale says what rows/cols mean for kernels. */
#ifndef RV_REAL

#include <math.h>

#include "optim/method.h"
#include "optim/newton_schulz.h"

typedef struct muon_args {
    double lr, keep, momentum;
    bool nesterov;
    int ns_steps, kernel_scale;
} muon_args;

static int parts_of(const rv_tensor *tensor)
{
    return tensor->parts > 1 ? tensor->parts : 1;
}

/* A tensor, or one of its parts, as the matrix [out, rest]. */
static void matrix_of(const rv_tensor *tensor, int64_t *rows, int64_t *cols)
{
    *rows = tensor->shape.rank > 0 ? tensor->shape.dim[0] / parts_of(tensor) : 1;
    *cols = 1;
    for (int k = 1; k < tensor->shape.rank; k++)
        *cols *= tensor->shape.dim[k];
}

enum { RELEASED, FLATTENED };

/* The released code takes rows and columns from the last two axes, of a kernel too. */
static double scale_of(const rv_tensor *tensor, int kernel_scale)
{
    int64_t rows, cols;
    matrix_of(tensor, &rows, &cols);
    if (kernel_scale == RELEASED && tensor->shape.rank > 2) {
        rows = tensor->shape.dim[tensor->shape.rank - 2];
        cols = tensor->shape.dim[tensor->shape.rank - 1];
    }
    return sqrt(fmax(1, (double)rows / (double)cols));
}

#define RV_KERNEL_FILE "optim/muon.c"
#include "optim/kernel.h"

#define MUON_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                             \
    REAL(lr, 0.02, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")              \
    REAL(momentum, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")             \
    BOOL(nesterov, true, "look ahead along the momentum")                                      \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    INT(ns_steps, 5, 1, 100, 0, "Newton-Schulz iterations")                                    \
    CHOICE(kernel_scale, "released|flattened", "released", "rows/cols of a kernel: its last two axes, or [out, rest]")
RV_PARAM_STRUCT(muon_params, MUON_PARAMS);
RV_PARAM_TABLE(muon_table, "muon", muon_params, MUON_PARAMS);

static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    (void)params;
    int64_t rows, cols;
    matrix_of(tensor, &rows, &cols);
    return ((size_t)(rows * cols) + rv_newton_schulz_size(rows, cols)) * rv_dtype_size(dtype);
}

static int tasks(const rv_tensor *tensor, const void *params)
{
    (void)params;
    return parts_of(tensor);
}

/* Tasks are numbered through the parts of all tensors. */
static int locate(const rv_run *run, int *number)
{
    int tensor = 0;
    for (int n; *number >= (n = parts_of(&run->tensors[tensor])); *number -= n)
        tensor++;
    return tensor;
}

static int tensor_of(const rv_run *run, const void *context, int number)
{
    (void)context;
    return locate(run, &number);
}

static rv_fault task(const rv_run *run, const void *context, int number, int worker)
{
    const int tensor = locate(run, &number);
    return (run->dtype == RV_F32 ? muon_f32 : muon_f64)(run, context, tensor, number,
                                                        rv_run_workspace(run, worker));
}

static rv_status step(const rv_run *run)
{
    const muon_params *p = run->params;
    const muon_args args = {.lr = run->lr,
                            .keep = 1 - run->lr * p->weight_decay,
                            .momentum = p->momentum,
                            .nesterov = p->nesterov,
                            .ns_steps = (int)p->ns_steps,
                            .kernel_scale = p->kernel_scale};
    int count = 0;
    for (int i = 0; i < run->count; i++)
        count += parts_of(&run->tensors[i]);
    return rv_run_each(run, count, task, tensor_of, &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}};

static const rv_rule rules[] = {
    {.roles = RV_ROLE_BIT(RV_ROLE_HIDDEN) | RV_ROLE_BIT(RV_ROLE_CONV),
     .rank_min = 2,
     .rank_max = RV_MAX_RANK,
     .method = "muon"},
    {.rank_max = RV_MAX_RANK,
     .method = "adamw",
     .params = "lr=3e-4,beta1=0.9,beta2=0.95,eps=1e-10,weight_decay=0"},
};

const rv_method rv_method_muon = {
    .info = {.name = "muon",
             .version = 1,
             .title = "Muon: momentum orthogonalised by Newton-Schulz",
             .equations = "m <- momentum m + (1 - momentum) g\n"
                          "u = (1 - momentum) g + momentum m if nesterov, else m\n"
                          "X = u/(||u|| + 1e-7), ns_steps times X <- 3.4445 X - 4.7750 (XX')X + 2.0315 (XX')^2 X\n"
                          "w <- w (1 - lr weight_decay) - lr sqrt(max(1, rows/cols)) X\n"
                          "hidden matrices and all kernels but the first; every other tensor: adamw",
             .paper = "Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks",
             .reference = "KellerJordan/Muon 857d1adc muon.py",
             .deviations = "Newton-Schulz runs in the dtype of the run (the reference casts to bfloat16, 3e-3 away); "
                           "kernel_scale=flattened takes rows/cols of a kernel from [out, rest], the released code "
                           "from its last two axes",
             .params = &muon_table,
             .state = "m: like the tensor",
             .bytes_per_parameter = 4},
    .tolerance = 1e-10,
    .slots = slots,
    .slot_count = 1,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .workspace = workspace,
    .tasks = tasks,
    .step = step,
};

#else

/* m and u from g. */
RV_CLONES static void RV_FN(momentum)(RV_REAL *m, RV_REAL *u, const RV_REAL *g, int64_t n, const muon_args *a)
{
    const RV_REAL mu = (RV_REAL)a->momentum, rest = (RV_REAL)(1 - a->momentum);
    const RV_REAL ahead = a->nesterov ? mu : 1, now = a->nesterov ? rest : 0;
    for (int64_t i = 0; i < n; i++) {
        m[i] = mu * m[i] + rest * g[i];
        u[i] = now * g[i] + ahead * m[i];
    }
}

/* u <- keep w - rate u; tells whether it is finite. */
RV_CLONES static bool RV_FN(update)(RV_REAL *u, const RV_REAL *w, int64_t n, RV_REAL keep, RV_REAL rate)
{
    for (int64_t i = 0; i < n; i++)
        u[i] = keep * w[i] - rate * u[i];
    return RV_FN(rv_finite)(u, n);
}

/* One part of a tensor; work: u, then what Newton-Schulz needs. */
static rv_fault RV_FN(muon)(const rv_run *run, const muon_args *a, int tensor, int part, void *work)
{
    int64_t rows, cols;
    matrix_of(&run->tensors[tensor], &rows, &cols);
    const int64_t n = rows * cols, at = part * n;
    const RV_REAL *g = (const RV_REAL *)run->g[tensor] + at;
    RV_REAL *w = (RV_REAL *)run->w[tensor] + at, *m = (RV_REAL *)rv_run_slot(run, tensor, 0) + at, *u = work;
    if (n == 0)
        return RV_FAULT_NONE;
    if (!RV_FN(rv_finite)(g, n))
        return RV_FAULT_GRADIENT;
    RV_FN(momentum)(m, u, g, n, a);
    RV_FN(rv_newton_schulz)(u, rows, cols, a->ns_steps, u + n);
    const double scale = scale_of(&run->tensors[tensor], a->kernel_scale);
    if (!RV_FN(update)(u, w, n, (RV_REAL)a->keep, (RV_REAL)(a->lr * scale)))
        return RV_FAULT_UPDATE;
    memcpy(w, u, (size_t)n * sizeof *w);
    return RV_FAULT_NONE;
}

#endif
