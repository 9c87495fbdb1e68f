/* Dion: momentum that is orthogonalised in a subspace of low rank, found by one step of the
 * power method from the last one; what the subspace misses stays in the momentum.  Equations
 * and source stand in the descriptor. */
#ifndef RV_REAL

#include <math.h>

#include "optim/matrix/basis.h"
#include "optim/matrix/part.h"
#include "optim/products.h"

#define DION_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    REAL(lr, 0.02, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                  \
    REAL(mu, 0.95, 0, 1, RV_PARAM_OPEN_HI, "part of the momentum's subspace that stays in it")     \
    REAL(weight_decay, 0.01, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    REAL(epsilon, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the norms of columns") \
    INT(rank, 768, 1, 1e6, RV_PARAM_LOG, "of the subspace, at most the shorter side")
RV_PARAM_STRUCT(dion_params, DION_PARAMS);
RV_PARAM_TABLE(dion_table, "dion", dion_params, DION_PARAMS);

typedef struct dion_args {
    const dion_params *p;
    double lr;
    bool first;
} dion_args;

enum { SLOT_M, SLOT_Q };

static int64_t rank_of(int64_t rows, int64_t cols, int64_t rank)
{
    const int64_t most = rows < cols ? rows : cols;
    return rank < most ? rank : most;
}

#define RV_KERNEL_FILE "optim/matrix/dion.c"
#include "optim/kernel.h"

static bool q_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    int64_t rows, cols;
    rv_part_matrix(tensor, &rows, &cols);
    *shape = RV_SHAPE(rv_parts(tensor) * cols, rank_of(rows, cols, ((const dion_params *)params)->rank));
    return true;
}

/* P and R of the run's type, the new weights; then P in double and LAPACK's work. */
static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    int64_t rows, cols;
    rv_part_matrix(tensor, &rows, &cols);
    const int64_t r = rank_of(rows, cols, ((const dion_params *)params)->rank);
    return (size_t)((rows + cols) * r + rows * cols + 8) * rv_dtype_size(dtype) +
           ((size_t)(rows * r) + rv_basis_size((int)r)) * sizeof(double);
}

static rv_fault task(const rv_run *run, const void *context, int number, int worker)
{
    const int tensor = rv_part_locate(run, &number);
    return (run->dtype == RV_F32 ? dion_f32 : dion_f64)(run, context, tensor, number, worker);
}

static rv_status step(const rv_run *run)
{
    const dion_args args = {.p = run->params, .lr = run->lr, .first = run->step == 1};
    return rv_run_each(run, rv_part_count(run), task, rv_part_tensor, &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}, {"q", q_shape, false}};

static const rv_rule rules[] = {
    {.roles = RV_ROLE_BIT(RV_ROLE_HIDDEN), .rank_min = 2, .rank_max = 2, .method = "dion"},
    {.rank_max = RV_MAX_RANK, .method = "adamw", .params = "lr=3e-4,beta1=0.9,beta2=0.95,weight_decay=0"},
};

const rv_method rv_method_dion = {
    .info = {.name = "dion",
             .version = 1,
             .title = "Dion: orthonormal updates of low rank with error feedback",
             .equations = "M <- M + g;  P = orthonormal factor of QR(M Q);  R = M' P\n"
                          "M <- M - (1 - mu) P R';  Q <- columns of R / (norm + epsilon)\n"
                          "w <- w (1 - lr weight_decay) - lr sqrt(rows/cols) P Q'\n"
                          "Q starts normal [cols, min(rank, rows, cols)]\n"
                          "hidden matrices; every other tensor: adamw",
             .paper = "Ahn et al. 2025, Dion: distributed orthonormalized updates",
             .reference = "microsoft/dion 0a059a45 dion/dion_simple.py",
             .deviations = "the QR is always in double; Q is drawn from Philox (seed of the optimizer, number of the tensor) in the "
                           "first step unless the state was given one; the reference offers Lion beside AdamW for the "
                           "other tensors, a rule list does so here",
             .params = &dion_table,
             .state = "m: like the tensor; q: [cols, rank]",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-10,
    .slots = slots,
    .slot_count = 2,
    .rules = rules,
    .rule_count = sizeof rules / sizeof rules[0],
    .workspace = workspace,
    .tasks = rv_part_tasks,
    .step = step,
};

#else

/* A basis that is still zero is drawn. */
static void RV_FN(draw)(RV_REAL *q, int64_t n, uint64_t seed, uint64_t tensor)
{
    for (int64_t i = 0; i < n; i++)
        if (q[i] != 0)
            return;
    for (int64_t i = 0; i < n; i++)
        q[i] = (RV_REAL)rv_random_normal((rv_random){seed, RV_RANDOM_OPTIMIZER, tensor}, (uint64_t)i);
}

/* p [rows, r] becomes orthonormal; work: p in double, then LAPACK's. */
static bool RV_FN(orthonormal)(RV_REAL *p, int rows, int r, double *work)
{
    const int64_t n = (int64_t)rows * r;
    for (int64_t i = 0; i < n; i++)
        work[i] = (double)p[i];
    if (!rv_orthonormal(work, rows, r, NULL, work + n))
        return false;
    for (int64_t i = 0; i < n; i++)
        p[i] = (RV_REAL)work[i];
    return true;
}

/* q <- columns of x [cols, r] over their norm plus epsilon. */
static void RV_FN(unit_columns)(const RV_REAL *x, RV_REAL *q, int64_t cols, int64_t r, double epsilon)
{
    for (int64_t j = 0; j < r; j++) {
        double sum = 0;
        for (int64_t i = 0; i < cols; i++)
            sum += (double)x[i * r + j] * (double)x[i * r + j];
        const RV_REAL scale = (RV_REAL)(1 / (sqrt(sum) + epsilon));
        for (int64_t i = 0; i < cols; i++)
            q[i * r + j] = x[i * r + j] * scale;
    }
}

static rv_fault RV_FN(dion)(const rv_run *run, const dion_args *a, int tensor, int part, int worker)
{
    int64_t rows, cols;
    rv_part_matrix(&run->tensors[tensor], &rows, &cols);
    const int64_t n = rows * cols, at = part * n, r = rank_of(rows, cols, a->p->rank);
    const rv_team team = rv_run_team(run, worker);
    const RV_REAL *g = (const RV_REAL *)run->g[tensor] + at;
    RV_REAL *w = (RV_REAL *)run->w[tensor] + at, *m = (RV_REAL *)rv_run_slot(run, tensor, SLOT_M) + at;
    RV_REAL *q = (RV_REAL *)rv_run_slot(run, tensor, SLOT_Q) + part * cols * r;
    RV_REAL *u = rv_run_workspace(run, worker), *p = u + n, *x = p + rows * r;
    double *doubles = (double *)(((uintptr_t)(x + cols * r) + 7) & ~(uintptr_t)7);
    if (n == 0)
        return RV_FAULT_NONE;
    if (!RV_FN(rv_finite)(g, n))
        return RV_FAULT_GRADIENT;
    if (a->first)
        RV_FN(draw)(q, cols * r, run->seed, (uint64_t)tensor * 64 + (uint64_t)part);
    for (int64_t i = 0; i < n; i++)
        m[i] += g[i];
    RV_FN(rv_multiply)(&team, rows, r, cols, m, false, q, false, 1, 0, NULL, p);
    if (!RV_FN(orthonormal)(p, (int)rows, (int)r, doubles))
        return RV_FAULT_UPDATE;
    RV_FN(rv_multiply)(&team, cols, r, rows, m, true, p, false, 1, 0, NULL, x);
    RV_FN(rv_multiply)(&team, rows, cols, r, p, false, x, true, a->p->mu - 1, 1, m, m);
    RV_FN(unit_columns)(x, q, cols, r, a->p->epsilon);
    const RV_REAL keep = (RV_REAL)(1 - a->p->weight_decay * a->lr);
    for (int64_t i = 0; i < n; i++)
        u[i] = keep * w[i];
    const double rate = a->lr * sqrt((double)rows / (double)cols);
    RV_FN(rv_multiply)(&team, rows, cols, r, p, false, q, true, -rate, 1, u, u);
    if (!RV_FN(rv_finite)(u, n))
        return RV_FAULT_UPDATE;
    memcpy(w, u, (size_t)n * sizeof *w);
    return RV_FAULT_NONE;
}

#endif
