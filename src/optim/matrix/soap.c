/* SOAP: Adam in the eigenbasis of Shampoo's factors.  The mean of gradients and of their squares
 * both live in the basis, which follows the factors by one step of the power method now and
 * then.  Equations and source stand in the descriptor. */
#ifndef RV_REAL

#include <cblas.h>
#include <math.h>

#include "core/share.h"
#include "optim/matrix/basis.h"
#include "optim/matrix/blocks.h"
#include "optim/matrix/graft.h"
#include "optim/matrix/part.h"

#define SOAP_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                 \
    REAL(lr, 3e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                  \
    REAL(beta1, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")                    \
    REAL(beta2, 0.95, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of squared gradients")            \
    REAL(shampoo_beta, -1, -1, 1, RV_PARAM_OPEN_HI, "decay of the factors; -1: beta2")             \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the root before bias correction") \
    REAL(weight_decay, 0.01, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate, after the step") \
    INT(precondition_frequency, 10, 1, 1e15, RV_PARAM_LOG, "steps between changes of the basis")   \
    INT(max_preconditioner_dim, 10000, 1, 16384, RV_PARAM_LOG, "longer axes have no basis")        \
    CHOICE(merging, RV_MERGING_WORDS, "none", "of short axes, while products stay below max_preconditioner_dim") \
    BOOL(precondition_1d, false, "vectors have a basis too; otherwise they take Adam")             \
    BOOL(normalize_grads, false, "the step has mean square 1 in every tensor")                     \
    BOOL(bias_correction, true, "of both means")                                                   \
    BOOL(stagger, false, "tensors change their bases in different steps")
RV_PARAM_STRUCT(soap_params, SOAP_PARAMS);
RV_PARAM_TABLE(soap_table, "soap", soap_params, SOAP_PARAMS);

typedef struct soap_args {
    const soap_params *p;
    rv_blocking how;
    int64_t count;  /* steps after the first: 0 only prepares */
    double factor_beta, rate, keep;
} soap_args;

enum { SLOT_FACTORS, SLOT_BASES, SLOT_M, SLOT_V };

static rv_blocking blocking_of(const soap_params *p)
{
    return (rv_blocking){.merging = (rv_merging)p->merging,
                         .merge_limit = p->max_preconditioner_dim,
                         .merge_to = 1,
                         .bare_above = p->max_preconditioner_dim,
                         .bare_vectors = !p->precondition_1d};
}

#define RV_KERNEL_FILE "optim/matrix/soap.c"
#include "optim/kernel.h"

static bool factors_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const rv_blocking how = blocking_of(params);
    *shape = RV_SHAPE(rv_blocks_factors(tensor, &how));
    return true;
}

/* Three buffers of a part; the new orders of its axes; then, in double, a factor, a basis, a product, eigenvalues
 * and LAPACK's work. */
static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    const rv_blocking how = blocking_of(params);
    int64_t size, longest;
    rv_blocks_largest(tensor, &how, &size, &longest);
    const int64_t limit = ((const soap_params *)params)->max_preconditioner_dim;
    const size_t n = (size_t)(longest < limit ? longest : limit);
    return ((3 * (size_t)size * rv_dtype_size(dtype) + 7) & ~(size_t)7) +
           (RV_MAX_RANK * n + 3 * n * n + n + rv_basis_size((int)n)) * sizeof(double);
}

static rv_fault task(const rv_run *run, const void *context, int number, int worker)
{
    const soap_args *args = context;
    const int64_t every = args->p->precondition_frequency, phase = args->p->stagger ? number % every : 0;
    const bool refresh = (args->count + phase) % every == 0;
    rv_subblock b;
    const int tensor = rv_part_locate(run, &number);
    if (rv_blocks_count(&run->tensors[tensor], &args->how) == 0)
        return RV_FAULT_NONE;
    rv_block_find(&run->tensors[tensor], &args->how, number, &b);
    return (run->dtype == RV_F32 ? soap_f32 : soap_f64)(run, args, tensor, &b, refresh, worker);
}

static rv_status step(const rv_run *run)
{
    const soap_params *p = run->params;
    const double s = (double)(run->step - 1);
    const soap_args args = {
        .p = p,
        .how = blocking_of(p),
        .count = run->step - 1,
        .factor_beta = p->shampoo_beta >= 0 ? p->shampoo_beta : p->beta2,
        .rate = run->lr * (p->bias_correction ? sqrt(1 - pow(p->beta2, s)) / (1 - pow(p->beta1, s)) : 1),
        .keep = 1 - run->lr * p->weight_decay};
    return rv_run_each(run, rv_part_count(run), task, rv_part_tensor, &args);
}

static const rv_slot slots[] = {
    {"factors", factors_shape, false}, {"bases", factors_shape, false}, {"m", rv_slot_like, false}, {"v", rv_slot_like, false}};

const rv_method rv_method_soap = {
    .info = {.name = "soap",
             .version = 1,
             .title = "SOAP: Adam in Shampoo's eigenbasis",
             .equations = "step 1: L_k = (1 - shampoo_beta) unfold_k(G) unfold_k(G)', Q_k = its eigenvectors; no weight moves\n"
                          "after it, with s = 1, 2, ...:  G' = G in the basis (every axis times Q_k')\n"
                          "m <- beta1 m + (1 - beta1) G';  v <- beta2 v + (1 - beta2) G'^2   (both in the basis)\n"
                          "N = m/(sqrt(v) + eps) back from the basis;  w <- w - lr sqrt(1 - beta2^s)/(1 - beta1^s) N\n"
                          "w <- w (1 - lr weight_decay);  L_k <- shampoo_beta L_k + (1 - shampoo_beta) unfold_k(G) unfold_k(G)'\n"
                          "every precondition_frequency steps: axes of Q and v in descending order of diag(Q'LQ),\n"
                          "Q <- QR(L Q).Q, m into the new basis\n"
                          "vectors without precondition_1d and axes above max_preconditioner_dim: no basis",
             .paper = "Vyas et al. 2024, SOAP: improving and stabilizing Shampoo using Adam",
             .reference = "nikhilvyas/SOAP a1e55353 soap.py",
             .deviations = "eigenvectors and QR are always in double (the reference casts to float32, 7e-7 away); the paper "
                           "keeps m in the space of the weights; v is permuted at a change of basis and else left as it "
                           "is.  Where the first gradient has no full rank the first basis depends on the solver.  "
                           "stagger is ours",
             .params = &soap_table,
             .state = "factors, bases: one d x d matrix per axis; m, v: like the tensor",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-6,
    .slots = slots,
    .slot_count = 4,
    .workspace = workspace,
    .tasks = rv_part_tasks,
    .step = step,
};

#else
#include "optim/matrix/typed.h"

/* A part at work: its buffers and state. */
typedef struct RV_FN(work) {
    const rv_run *run;
    const soap_args *args;
    const rv_subblock *b;
    rv_team team;
    const RV_REAL *g;
    RV_REAL *one, *two, *three; /* [size] */
    RV_REAL *factors, *bases, *m, *v;
} RV_FN(work);

/* from along every axis times its basis, or back; the result lies in one, two, or is from. */
static const RV_REAL *RV_FN(rotate)(const RV_FN(work) *k, const RV_REAL *from, bool back)
{
    for (int axis = 0; axis < k->b->rank; axis++) {
        if (k->b->bare[axis])
            continue;
        const RV_FN(rv_axis) a = RV_FN(rv_axis_of)(k->b, axis);
        RV_REAL *to = from == k->one ? k->two : k->one;
        RV_FN(rv_axis_apply)(&k->team, k->bases + a.factor, back, from, to, a.outer, a.d, a.inner);
        from = to;
    }
    return from;
}

static void RV_FN(observe)(const RV_FN(work) *k)
{
    for (int axis = 0; axis < k->b->rank; axis++) {
        const RV_FN(rv_axis) a = RV_FN(rv_axis_of)(k->b, axis);
        if (!k->b->bare[axis])
            RV_FN(rv_axis_gram)(&k->team, k->factors + a.factor, k->g, a.outer, a.d, a.inner, k->args->factor_beta,
                                1 - k->args->factor_beta, false);
    }
}

/* Rows of basis <- eigenvectors of factor, of the largest eigenvalue first. */
static bool RV_FN(first_basis)(const RV_REAL *factor, RV_REAL *basis, int d, double *a)
{
    const size_t n = (size_t)d;
    double *values = a + n * n;
    RV_FN(rv_widen_lower)(a, factor, d, 1);
    for (size_t i = 0; i < n; i++)
        a[i * n + i] += 1e-30;
    if (!rv_eigen(a, d, values, values + n))
        return false;
    for (size_t i = 0; i < n; i++)
        RV_FN(rv_narrow)(basis + i * n, a + (n - 1 - i) * n, n);
    return true;
}

/* One step of the power method: order[i] is the old axis that becomes axis i. */
static bool RV_FN(next_basis)(const RV_REAL *factor, RV_REAL *basis, int d, double *a, int *order)
{
    const size_t n = (size_t)d;
    double *q = a + n * n, *product = q + n * n, *values = product + n * n;
    RV_FN(rv_widen_lower)(a, factor, d, 1);
    for (size_t i = 0; i < n * n; i++)
        q[i] = (double)basis[i];
    /* product = L Q as [d, d]: column j belongs to row j of q */
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, d, d, d, 1, a, d, q, d, 0, product, d);
    for (size_t j = 0; j < n; j++) {
        values[j] = 0;
        for (size_t i = 0; i < n; i++)
            values[j] -= q[j * n + i] * product[i * n + j]; /* negative: the largest first */
    }
    rv_basis_order(values, d, order);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            a[i * n + j] = product[i * n + (size_t)order[j]];
    if (!rv_orthonormal(a, d, d, NULL, values + n))
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            basis[j * n + i] = (RV_REAL)a[i * n + j];
    return true;
}

/* v along one axis in a new order; spare [size]. */
static void RV_FN(permute)(RV_REAL *v, RV_REAL *spare, const RV_FN(rv_axis) *a, const int *order)
{
    for (int64_t o = 0; o < a->outer; o++)
        for (int64_t i = 0; i < a->d; i++)
            memcpy(spare + (o * a->d + i) * a->inner, v + (o * a->d + order[i]) * a->inner,
                   (size_t)a->inner * sizeof *v);
    memcpy(v, spare, (size_t)(a->outer * a->d * a->inner) * sizeof *v);
}

/* The bases of all axes at work: axis i has its new order at order[i], and may have failed. */
typedef struct RV_FN(turn) {
    const RV_FN(work) *k;
    bool first, failed[RV_MAX_RANK];
    int *order[RV_MAX_RANK];
    int64_t skip; /* doubles that the orders take */
} RV_FN(turn);

/* Behind the buffers of a worker. */
static double *RV_FN(doubles_of)(const RV_FN(work) *k, int worker)
{
    const RV_REAL *buffers = rv_run_workspace(k->run, worker);
    return (double *)(((uintptr_t)(buffers + 3 * k->b->size) + 7) & ~(uintptr_t)7);
}

/* The basis of one axis, by any worker in its own workspace. */
static void RV_FN(turn_axis)(void *context, int axis, int worker)
{
    RV_FN(turn) *t = context;
    const RV_FN(work) *k = t->k;
    const RV_FN(rv_axis) a = RV_FN(rv_axis_of)(k->b, axis);
    double *matrices = RV_FN(doubles_of)(k, worker) + t->skip;
    if (k->b->bare[axis])
        return;
    t->failed[axis] = !(t->first ? RV_FN(first_basis)(k->factors + a.factor, k->bases + a.factor, a.d, matrices)
                                 : RV_FN(next_basis)(k->factors + a.factor, k->bases + a.factor, a.d, matrices,
                                                     t->order[axis]));
}

static bool RV_FN(change_basis)(const RV_FN(work) *k, bool first)
{
    RV_FN(turn) t = {.k = k, .first = first};
    int *order = (int *)(void *)RV_FN(doubles_of)(k, k->team.worker);
    if (!first) {
        const RV_REAL *back = RV_FN(rotate)(k, k->m, true);
        if (back != k->m)
            memcpy(k->m, back, (size_t)k->b->size * sizeof *back);
    }
    int64_t used = 0;
    for (int axis = 0; axis < k->b->rank; axis++) {
        t.order[axis] = order + used;
        used += k->b->bare[axis] ? 0 : k->b->length[axis];
    }
    t.skip = (used + 1) / 2;
    rv_pool_share(k->team.pool, k->team.worker, k->b->rank, RV_FN(turn_axis), &t);
    for (int axis = 0; axis < k->b->rank; axis++) {
        const RV_FN(rv_axis) a = RV_FN(rv_axis_of)(k->b, axis);
        if (t.failed[axis])
            return false;
        if (!first && !k->b->bare[axis])
            RV_FN(permute)(k->v, k->one, &a, t.order[axis]);
    }
    if (!first) {
        const RV_REAL *there = RV_FN(rotate)(k, k->m, false);
        if (there != k->m)
            memcpy(k->m, there, (size_t)k->b->size * sizeof *there);
    }
    return true;
}

/* The step of Adam in the basis, into two or one: m/(sqrt(v) + eps). */
static const RV_REAL *RV_FN(direction)(const RV_FN(work) *k)
{
    const soap_params *p = k->args->p;
    const RV_REAL b1 = (RV_REAL)p->beta1, r1 = (RV_REAL)(1 - p->beta1), b2 = (RV_REAL)p->beta2;
    const RV_REAL r2 = (RV_REAL)(1 - p->beta2), eps = (RV_REAL)p->eps;
    const RV_REAL *g = RV_FN(rotate)(k, k->g, false);
    for (int64_t i = 0; i < k->b->size; i++) {
        k->m[i] = b1 * k->m[i] + r1 * g[i];
        k->v[i] = b2 * k->v[i] + r2 * g[i] * g[i];
        k->three[i] = k->m[i] != 0 ? k->m[i] / (RV_MATH(sqrt)(k->v[i]) + eps) : 0;
    }
    return RV_FN(rotate)(k, k->three, true);
}

static bool RV_FN(descend)(const RV_FN(work) *k, const RV_REAL *w, const RV_REAL *direction)
{
    const int64_t n = k->b->size;
    double rate = k->args->rate;
    if (k->args->p->normalize_grads)
        rate /= 1e-30 + RV_FN(rv_length)(direction, n) / sqrt((double)n);
    for (int64_t i = 0; i < n; i++)
        k->three[i] = (w[i] - (RV_REAL)rate * direction[i]) * (RV_REAL)k->args->keep;
    return RV_FN(rv_finite)(k->three, n);
}

static rv_fault RV_FN(soap)(const rv_run *run, const soap_args *args, int tensor, const rv_subblock *b, bool refresh,
                            int worker)
{
    const int64_t n = b->size, at = b->base;
    RV_REAL *buffers = rv_run_workspace(run, worker), *w = (RV_REAL *)run->w[tensor] + at;
    const RV_FN(work) k = {.run = run,
                           .args = args,
                           .b = b,
                           .team = rv_run_team(run, worker),
                           .g = (const RV_REAL *)run->g[tensor] + at,
                           .one = buffers,
                           .two = buffers + n,
                           .three = buffers + 2 * n,
                           .factors = (RV_REAL *)rv_run_slot(run, tensor, SLOT_FACTORS) + b->factors,
                           .bases = (RV_REAL *)rv_run_slot(run, tensor, SLOT_BASES) + b->factors,
                           .m = (RV_REAL *)rv_run_slot(run, tensor, SLOT_M) + at,
                           .v = (RV_REAL *)rv_run_slot(run, tensor, SLOT_V) + at};
    if (!RV_FN(rv_finite)(k.g, n))
        return RV_FAULT_GRADIENT;
    if (args->count > 0) {
        if (!RV_FN(descend)(&k, w, RV_FN(direction)(&k)))
            return RV_FAULT_UPDATE;
        memcpy(w, k.three, (size_t)n * sizeof *w);
    }
    RV_FN(observe)(&k);
    if ((refresh || args->count == 0) && !RV_FN(change_basis)(&k, args->count == 0))
        return RV_FAULT_EIGEN;
    return RV_FAULT_NONE;
}

#endif
