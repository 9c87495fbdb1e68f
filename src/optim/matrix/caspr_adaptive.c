/* CASPR Adaptive, as submitted to AlgoPerf under that name: NAdam whose direction comes from two
 * factors, of which the right one sees the gradient whitened by the left one.  Equations and
 * source stand in the descriptor. */
#ifndef RV_REAL

#include <cblas.h>
#include <math.h>

#include "optim/matrix/basis.h"
#include "optim/matrix/blocks.h"
#include "optim/matrix/graft.h"
#include "optim/matrix/part.h"
#include "optim/matrix/ridge_root.h"

#define CASPR_ADAPTIVE_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                       \
    REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                  \
    REAL(beta1, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")                    \
    REAL(beta2, 0.98, 0, 1, RV_PARAM_OPEN_HI, "decay of squared gradients and of the factors")     \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the root of squared gradients") \
    REAL(matrix_epsilon, 1e-6, 0, 1, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "first left factor; ridge of a factor, times its largest eigenvalue") \
    REAL(weight_decay, 0.01, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    BOOL(nesterov, true, "look ahead along the mean of gradients")                                 \
    INT(precondition_frequency, 20, 2, 1e15, RV_PARAM_LOG, "steps between inverse roots")          \
    INT(start_preconditioning_step, 101, 0, 1e15, 0, "NAdam until this step")                      \
    INT(max_preconditioner_dim, 1024, 1, 16384, RV_PARAM_LOG, "longer sides are cut into blocks") \
    INT(max_dim, 40000, 1, 1e15, RV_PARAM_LOG, "tensors with a longer axis take NAdam")            \
    CHOICE(inverse_type, "newton|eigen", "newton", "how inverse roots are taken")                  \
    REAL(error_tolerance, 0.1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "roots of a larger error are not taken over") \
    CHOICE(kernel_matrix, "released|flattened", "released", "a kernel as [all but the last axis, last], or as [out, rest]") \
    BOOL(stagger, false, "blocks take their roots in different steps")
RV_PARAM_STRUCT(caspr_adaptive_params, CASPR_ADAPTIVE_PARAMS);
RV_PARAM_TABLE(caspr_adaptive_table, "caspr_adaptive", caspr_adaptive_params, CASPR_ADAPTIVE_PARAMS);

/* A part as a grid of blocks [r, c]; without blocks it takes NAdam. */
typedef struct grid {
    int64_t rows, cols, down, across; /* of the part; of the grid */
    int r, c;
} grid;

typedef struct args {
    const caspr_adaptive_params *p;
    double lr, bc1, bc2;
    int64_t step;
    bool first, refresh, started;
    bool observe, move; /* what the pass at hand does */
} args;

enum { SLOT_FACTORS, SLOT_ROOTS, SLOT_M, SLOT_V };

static grid grid_of(const rv_tensor *tensor, const caspr_adaptive_params *p)
{
    grid g = {0};
    const rv_shape *shape = &tensor->shape;
    const int last = shape->rank - 1;
    rv_part_matrix(tensor, &g.rows, &g.cols);
    const int64_t size = g.rows * g.cols;
    if (shape->rank > 2 && p->kernel_matrix == 0) {
        g.cols = shape->dim[last];
        if (shape->rank == 3 && shape->dim[0] > shape->dim[2])
            g.cols *= shape->dim[1]; /* the middle axis goes to the shorter side */
        g.rows = g.cols > 0 ? size / g.cols : 0;
    }
    for (int k = 0; k < shape->rank; k++)
        if (shape->dim[k] > p->max_dim)
            return g;
    if (shape->rank < 2 || size == 0)
        return g;
    const int64_t limit = p->max_preconditioner_dim;
    g.r = (int)(g.rows < limit ? g.rows : limit);
    g.c = (int)(g.cols < limit ? g.cols : limit);
    g.down = (g.rows + g.r - 1) / g.r;
    g.across = (g.cols + g.c - 1) / g.c;
    return g;
}

static int64_t squares(int n)
{
    return (int64_t)n * n;
}

/* Whether the roots of block number `block`, of all tensors in turn, are taken at the end of a step. */
static bool due(const args *a, int64_t step, int64_t block)
{
    const int64_t every = a->p->precondition_frequency;
    return step > 0 && step % every == (a->p->stagger ? block % every : 0);
}

/* Roots: two of every block. */
static int units_of(const rv_tensor *tensor, const void *params)
{
    const grid g = grid_of(tensor, params);
    return (int)(2 * rv_parts(tensor) * g.down * g.across);
}

/* Number of a tensor's first block. */
static int64_t first_block(const rv_run *run, int tensor)
{
    int64_t blocks = 0;
    for (int i = 0; i < tensor; i++)
        blocks += units_of(&run->tensors[i], run->params) / 2;
    return blocks;
}

#define RV_KERNEL_FILE "optim/matrix/caspr_adaptive.c"
#include "optim/kernel.h"

/* Left factor, the one before, right factor: of every block. */
static bool factors_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const grid g = grid_of(tensor, params);
    *shape = RV_SHAPE(rv_parts(tensor) * g.down * g.across * (2 * squares(g.r) + squares(g.c)));
    return true;
}

static bool roots_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const grid g = grid_of(tensor, params);
    *shape = RV_SHAPE(rv_parts(tensor) * g.down * g.across * (squares(g.r) + squares(g.c)));
    return true;
}

/* Two buffers of the part and three of a block; then, in double, what a root needs. */
static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    const grid g = grid_of(tensor, params);
    const int most = g.r > g.c ? g.r : g.c;
    const size_t block = (size_t)g.r * (size_t)g.c;
    return ((((size_t)(2 * g.rows * g.cols) + 3 * block) * rv_dtype_size(dtype) + 7) & ~(size_t)7) +
           (3 * (size_t)squares(most) + rv_ridge_root_size(most)) * sizeof(double);
}

static int tasks(const rv_tensor *tensor, const void *params)
{
    const int units = units_of(tensor, params), parts = rv_parts(tensor);
    return units > parts ? units : parts;
}

static int locate_unit(const rv_run *run, int *number)
{
    int tensor = 0;
    for (int n; *number >= (n = units_of(&run->tensors[tensor], run->params)); *number -= n)
        tensor++;
    return tensor;
}

static int tensor_of_unit(const rv_run *run, const void *context, int number)
{
    (void)context;
    return locate_unit(run, &number);
}

static rv_fault part_task(const rv_run *run, const void *context, int number, int worker)
{
    const int tensor = rv_part_locate(run, &number);
    return (run->dtype == RV_F32 ? caspr_f32 : caspr_f64)(run, context, tensor, number, worker);
}

static rv_fault unit_task(const rv_run *run, const void *context, int number, int worker)
{
    const bool now = due(context, run->step, number / 2);
    const int tensor = locate_unit(run, &number);
    if (!now)
        return RV_FAULT_NONE;
    return (run->dtype == RV_F32 ? refresh_f32 : refresh_f64)(run, context, tensor, number, rv_run_workspace(run, worker));
}

static rv_status step(const rv_run *run)
{
    const caspr_adaptive_params *p = run->params;
    const double t = (double)run->step;
    const int64_t units = 2 * first_block(run, run->count), every = p->precondition_frequency;
    args a = {.p = p,
              .lr = run->lr,
              .bc1 = 1 - pow(p->beta1, t),
              .bc2 = 1 - pow(p->beta2, t),
              .first = run->step == 1,
              .step = run->step,
              .refresh = p->stagger ? run->step % every < units / 2 : run->step % every == 0,
              .started = run->step > p->start_preconditioning_step,
              .observe = true};
    a.move = !a.refresh;
    RV_TRY(rv_run_each(run, rv_part_count(run), part_task, rv_part_tensor, &a));
    if (a.move)
        return RV_OK;
    RV_TRY(rv_run_each(run, (int)units, unit_task, tensor_of_unit, &a));
    a.observe = false;
    a.move = true;
    return rv_run_each(run, rv_part_count(run), part_task, rv_part_tensor, &a);
}

static const rv_slot slots[] = {
    {"factors", factors_shape, false}, {"roots", roots_shape, false}, {"m", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_caspr_adaptive = {
    .info = {.name = "caspr_adaptive",
             .version = 1,
             .title = "CASPR Adaptive: one-sided whitening under NAdam's length (AlgoPerf)",
             .equations =
                 "m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2\n"
                 "n = (beta1 m + (1 - beta1) g)/(1 - beta1^t);  a = n/(sqrt(v/(1 - beta2^t)) + eps)\n"
                 "block q [r, c] of g, HL = HR = I, L = P = matrix_epsilon I, R = I at first:\n"
                 "k = tr(HL reg(P) HL)/r and P <- L where t - 1 is a multiple of precondition_frequency, else k = 1\n"
                 "L <- beta2 L + (1 - beta2) q q';  R <- beta2 k R + (1 - beta2) (q' HL)(q' HL)'/r\n"
                 "where t is such a multiple: HL = L^(-1/2), HR = R^(-1/2)\n"
                 "after start_preconditioning_step: U = HL n HR over all blocks, with the length of a; before it U = a\n"
                 "w <- w - lr (U + weight_decay w)\n"
                 "reg(S) = S + matrix_epsilon lmax(S) I\n"
                 "stagger: block i, of all tensors in turn, has t - i in place of t in both conditions",
             .paper = "a submission to AlgoPerf v0.5; the paper of that name (Duvvuri et al. 2024) is another method: caspr",
             .reference = "mlcommons/submissions_algorithms 12c8e4ea previous_leaderboards/algoperf_v05/submissions/"
                          "external_tuning/caspr_adaptive/caspr_adaptive_helper.py",
             .deviations = "written for Flax layouts: rows of a matrix are its inputs there, its outputs here; "
                           "kernel_matrix=flattened takes a kernel as [out, rest].  Roots are taken in double; the first "
                           "vector of the power iteration is another one; the last block of a side is shorter, the "
                           "code pads it and masks the padding.  Both sides may be cut (the code fails there).  stagger is ours",
             .params = &caspr_adaptive_table,
             .state = "factors: r x r, r x r and c x c per block; roots: r x r and c x c; m, v: like the tensor",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-6,
    .slots = slots,
    .slot_count = 4,
    .workspace = workspace,
    .tasks = tasks,
    .step = step,
};

#else
#include "optim/matrix/typed.h"

/* One block [r, c]: where it lies in its part, and its state. */
typedef struct RV_FN(block) {
    int64_t at, stride;
    int r, c;
    RV_REAL *left, *before, *right, *left_root, *right_root;
} RV_FN(block);

static RV_FN(block) RV_FN(block_of)(const rv_run *run, int tensor, int part, const grid *g, int64_t number)
{
    const int64_t i = number / g->across, j = number % g->across, all = (int64_t)part * g->down * g->across + number;
    const int64_t left = squares(g->r), right = squares(g->c);
    RV_REAL *factors = (RV_REAL *)rv_run_slot(run, tensor, SLOT_FACTORS) + all * (2 * left + right);
    RV_REAL *roots = (RV_REAL *)rv_run_slot(run, tensor, SLOT_ROOTS) + all * (left + right);
    const int64_t rows = g->rows - i * g->r, cols = g->cols - j * g->c;
    return (RV_FN(block)){.at = i * g->r * g->cols + j * g->c,
                          .stride = g->cols,
                          .r = (int)(rows < g->r ? rows : g->r),
                          .c = (int)(cols < g->c ? cols : g->c),
                          .left = factors,
                          .before = factors + left,
                          .right = factors + 2 * left,
                          .left_root = roots,
                          .right_root = roots + left};
}

/* The block of x [part]. */
static void RV_FN(take)(const RV_FN(block) *b, const RV_REAL *x, RV_REAL *q)
{
    for (int i = 0; i < b->r; i++)
        memcpy(q + (int64_t)i * b->c, x + b->at + i * b->stride, (size_t)b->c * sizeof *q);
}

static void RV_FN(scaled_identity)(RV_REAL *a, int n, double value)
{
    memset(a, 0, (size_t)n * (size_t)n * sizeof *a);
    for (int64_t i = 0; i < n; i++)
        a[i * n + i] = (RV_REAL)value;
}

/* tr(HL reg(P) HL)/r, at least 0. */
static double RV_FN(drift)(const args *a, const RV_FN(block) *b, double *doubles)
{
    const size_t n = (size_t)squares(b->r);
    double *p = doubles, *h = p + n, *product = h + n, sum = 0;
    RV_FN(rv_widen_lower)(p, b->before, b->r, 1);
    RV_FN(rv_widen_lower)(h, b->left_root, b->r, 1);
    rv_ridge_add(p, b->r, a->p->matrix_epsilon, product);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, b->r, b->r, b->r, 1, p, b->r, h, b->r, 0, product, b->r);
    for (size_t i = 0; i < n; i++)
        sum += product[i] * h[i];
    return fmax(0, sum) / b->r;
}

/* Factors of one block take in q; x [r, c] is work.  rescale: its roots are those of the last step. */
static void RV_FN(observe)(const args *a, const rv_team *team, bool rescale, const RV_FN(block) *b, const RV_REAL *q,
                           RV_REAL *x, double *doubles)
{
    const double beta = a->p->beta2;
    double keep = beta;
    if (a->first) {
        RV_FN(scaled_identity)(b->left, b->r, a->p->matrix_epsilon);
        RV_FN(scaled_identity)(b->before, b->r, a->p->matrix_epsilon);
        RV_FN(scaled_identity)(b->right, b->c, 1);
        RV_FN(scaled_identity)(b->left_root, b->r, 1);
        RV_FN(scaled_identity)(b->right_root, b->c, 1);
    }
    if (rescale) {
        keep *= RV_FN(drift)(a, b, doubles);
        memcpy(b->before, b->left, (size_t)squares(b->r) * sizeof *b->left);
    }
    RV_FN(rv_axis_gram)(team, b->left, q, 1, b->r, b->c, beta, 1 - beta, false);
    RV_FN(rv_axis_apply)(team, b->left_root, false, q, x, 1, b->r, b->c); /* HL is symmetric */
    RV_FN(rv_axis_gram)(team, b->right, x, b->r, b->c, 1, keep, (1 - beta) / b->r, false);
}

static rv_fault RV_FN(refresh)(const rv_run *run, const void *context, int tensor, int unit, void *memory)
{
    const args *a = context;
    const grid g = grid_of(&run->tensors[tensor], a->p);
    const int64_t number = unit / 2, per_part = g.down * g.across;
    const RV_FN(block) b = RV_FN(block_of)(run, tensor, (int)(number / per_part), &g, number % per_part);
    const int n = unit % 2 == 0 ? b.r : b.c;
    double *s = memory, *out = s + squares(n), *work = out + squares(n);
    RV_FN(rv_widen_lower)(s, unit % 2 == 0 ? b.left : b.right, n, 1);
    const double error = rv_ridge_root(s, n, a->p->matrix_epsilon, a->p->inverse_type == 1, out, work);
    if (isnan(error) && a->p->inverse_type == 1)
        return RV_FAULT_EIGEN;
    if (error <= a->p->error_tolerance)
        RV_FN(rv_narrow)(unit % 2 == 0 ? b.left_root : b.right_root, out, (size_t)squares(n));
    return RV_FAULT_NONE;
}

/* m, v from g; n into mean, NAdam's step into adam. */
static void RV_FN(nadam)(const args *a, const RV_REAL *g, RV_REAL *m, RV_REAL *v, RV_REAL *mean, RV_REAL *adam, int64_t n)
{
    const RV_REAL b1 = (RV_REAL)a->p->beta1, r1 = (RV_REAL)(1 - a->p->beta1), b2 = (RV_REAL)a->p->beta2;
    const RV_REAL r2 = (RV_REAL)(1 - a->p->beta2), eps = (RV_REAL)a->p->eps;
    const RV_REAL s1 = (RV_REAL)(1 / a->bc1), s2 = (RV_REAL)(1 / a->bc2);
    for (int64_t i = 0; i < n; i++) {
        m[i] = b1 * m[i] + r1 * g[i];
        v[i] = b2 * v[i] + r2 * g[i] * g[i];
        mean[i] = (a->p->nesterov ? b1 * m[i] + r1 * g[i] : m[i]) * s1;
        adam[i] = mean[i] != 0 ? mean[i] / (RV_MATH(sqrt)(v[i] * s2) + eps) : 0;
    }
}

/* mean <- HL mean HR block by block, with the length of adam; q, x, y [r, c] are work. */
static void RV_FN(whiten)(const rv_run *run, const rv_team *team, int tensor, int part, const grid *g, RV_REAL *mean,
                          const RV_REAL *adam, RV_REAL *q, RV_REAL *x, RV_REAL *y)
{
    const int64_t n = g->rows * g->cols;
    for (int64_t k = 0; k < g->down * g->across; k++) {
        const RV_FN(block) b = RV_FN(block_of)(run, tensor, part, g, k);
        RV_FN(take)(&b, mean, q);
        RV_FN(rv_axis_apply)(team, b.left_root, false, q, x, 1, b.r, b.c);
        RV_FN(rv_axis_apply)(team, b.right_root, false, x, y, b.r, b.c, 1);
        for (int i = 0; i < b.r; i++)
            memcpy(mean + b.at + i * b.stride, y + (int64_t)i * b.c, (size_t)b.c * sizeof *y);
    }
    RV_FN(rv_graft_rescale)(mean, adam, n);
}

static rv_fault RV_FN(caspr)(const rv_run *run, const args *a, int tensor, int part, int worker)
{
    const grid g = grid_of(&run->tensors[tensor], a->p);
    const rv_team team = rv_run_team(run, worker);
    const int64_t n = g.rows * g.cols, at = part * n, block = (int64_t)g.r * g.c;
    const RV_REAL *gradient = (const RV_REAL *)run->g[tensor] + at;
    RV_REAL *mean = rv_run_workspace(run, worker), *adam = mean + n, *q = adam + n, *x = q + block, *y = x + block;
    RV_REAL *w = (RV_REAL *)run->w[tensor] + at, *m = (RV_REAL *)rv_run_slot(run, tensor, SLOT_M) + at;
    double *doubles = (double *)(((uintptr_t)(y + block) + 7) & ~(uintptr_t)7);
    if (!RV_FN(rv_finite)(gradient, n))
        return RV_FAULT_GRADIENT;
    const int64_t here = first_block(run, tensor) + part * g.down * g.across;
    for (int64_t k = 0; k < g.down * g.across && a->observe; k++) {
        const RV_FN(block) b = RV_FN(block_of)(run, tensor, part, &g, k);
        RV_FN(take)(&b, gradient, q);
        RV_FN(observe)(a, &team, due(a, a->step - 1, here + k), &b, q, x, doubles);
    }
    if (!a->move)
        return RV_FAULT_NONE;
    RV_FN(nadam)(a, gradient, m, (RV_REAL *)rv_run_slot(run, tensor, SLOT_V) + at, mean, adam, n);
    if (a->started && g.down > 0)
        RV_FN(whiten)(run, &team, tensor, part, &g, mean, adam, q, x, y);
    else
        memcpy(mean, adam, (size_t)n * sizeof *adam);
    const RV_REAL lr = (RV_REAL)a->lr, decay = (RV_REAL)a->p->weight_decay;
    for (int64_t i = 0; i < n; i++)
        mean[i] = w[i] - lr * (mean[i] + decay * w[i]);
    if (!RV_FN(rv_finite)(mean, n))
        return RV_FAULT_UPDATE;
    memcpy(w, mean, (size_t)n * sizeof *w);
    return RV_FAULT_NONE;
}

#endif
