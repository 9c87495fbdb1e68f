/* One step of the Shampoo family on one block.  Invariant: a pass over a block touches the
 * block's own state only, and roots are taken of whole factors, one task each. */
#ifndef RV_REAL

#include <math.h>

#include "optim/matrix/basis.h"
#include "optim/matrix/shampoo_family.h"
#include "optim/newton_schulz.h"

#define RV_KERNEL_FILE "optim/matrix/shampoo_step.c"
#include "optim/kernel.h"

#else
#include "optim/matrix/typed.h"

/* A block at work: its buffers, and where its state lies. */
typedef struct RV_FN(work) {
    const rv_run *run;
    const rv_shampoo_args *args;
    const rv_subblock *b;
    int tensor;
    rv_team team;
    RV_REAL *g, *f, *p, *spare, *extra; /* [size] */
    RV_REAL *factors, *roots;
} RV_FN(work);

static RV_REAL *RV_FN(slot)(const RV_FN(work) *k, int slot)
{
    return rv_run_slot(k->run, k->tensor, slot);
}

/* to <- root of the axis times from; powers of zero leave the axis alone. */
static void RV_FN(apply)(const RV_FN(work) *k, int axis, bool transposed, const RV_REAL *from, RV_REAL *to)
{
    const RV_FN(rv_axis) a = RV_FN(rv_axis_of)(k->b, axis);
    if (k->b->diagonal)
        RV_FN(rv_axis_scale)(k->roots + a.factor, from, to, a.outer, a.d, a.inner);
    else
        RV_FN(rv_axis_apply)(&k->team, k->roots + a.factor, transposed, from, to, a.outer, a.d, a.inner);
}

/* from times the roots of all axes but `left_out`, of which those with power zero are skipped
 * unless all are wanted.  The result lies in one of the two buffers, or is from itself. */
static const RV_REAL *RV_FN(apply_all)(const RV_FN(work) *k, const RV_REAL *from, int left_out, bool transposed,
                                       bool bases, RV_REAL *one, RV_REAL *two)
{
    for (int axis = 0; axis < k->b->rank; axis++) {
        if (axis == left_out || (!bases && k->args->power[k->b->rank][axis] == 0))
            continue;
        RV_REAL *to = from == one ? two : one;
        RV_FN(apply)(k, axis, transposed, from, to);
        from = to;
    }
    return from;
}

/* ---- factors and their roots -------------------------------------------------------- */

static void RV_FN(observe)(const RV_FN(work) *k)
{
    const rv_shampoo_args *args = k->args;
    for (int axis = 0; axis < k->b->rank; axis++) {
        const RV_FN(rv_axis) a = RV_FN(rv_axis_of)(k->b, axis);
        const RV_REAL *seen = k->g;
        double weight = args->weight;
        /* The roots of the step before: none are there until the first were taken. */
        if (args->p->preconditioner == RV_PRE_KL && args->step > args->start)
            seen = RV_FN(apply_all)(k, k->g, axis, false, false, k->p, k->spare);
        if (args->p->kl_mean)
            weight *= (double)a.d / (double)k->b->size;
        RV_FN(rv_axis_gram)(&k->team, k->factors + a.factor, seen, a.outer, a.d, a.inner, args->keep, weight,
                            k->b->diagonal);
    }
}

/* The inverse root of a diagonal factor as AdaGrad takes it: epsilon is added to the root of
 * the squares, and (sqrt + epsilon)^(-2 power) stands for (squares)^(-power). */
static bool RV_FN(root_of_diagonal)(const RV_REAL *factor, RV_REAL *root, int d, const rv_root *how, double scale)
{
    for (int i = 0; i < d; i++) {
        const double value = sqrt((double)factor[i] * scale) + how->epsilon;
        root[i] = (RV_REAL)pow(value, -2 * how->power);
        if (!(value > 0) || !isfinite((double)root[i]))
            return false;
    }
    return true;
}

/* The eigenvectors of a, or one sweep of the QR algorithm from the old ones (rows of old; NULL:
 * the identity), in order of ascending values.  Rows of basis [d, d]. */
static bool RV_FN(new_basis)(int how, const RV_REAL *old, double *a, int d, double *basis, double *work)
{
    const size_t n = (size_t)d * (size_t)d;
    if (how == RV_BASIS_EIGEN) {
        if (!rv_eigen(a, d, work, work + d))
            return false;
        memcpy(basis, a, n * sizeof *a);
        return true;
    }
    double *q = basis;
    memset(q, 0, n * sizeof *q);
    for (int i = 0; i < d; i++)
        q[(size_t)i * (size_t)d + (size_t)i] = 1;
    for (size_t i = 0; i < n && old; i++)
        q[i] = (double)old[i];
    return rv_basis_sweep(a, q, d, work);
}

static rv_fault RV_FN(refresh_basis)(const rv_shampoo_args *args, const RV_REAL *factor, RV_REAL *root, int d,
                                     double *a, double *out, double *work)
{
    RV_FN(rv_widen_lower)(a, factor, d, 1 / args->correction);
    for (int i = 0; i < d; i++)
        a[(size_t)i * (size_t)d + (size_t)i] += args->p->epsilon;
    if (!RV_FN(new_basis)(args->p->basis, args->step > args->start ? root : NULL, a, d, out, work))
        return RV_FAULT_EIGEN;
    RV_FN(rv_narrow)(root, out, (size_t)d * (size_t)d);
    return RV_FAULT_NONE;
}

rv_fault RV_FN(rv_shampoo_refresh)(const rv_run *run, const rv_shampoo_args *args, int tensor, const rv_subblock *b,
                                   int axis, void *memory)
{
    const RV_FN(rv_axis) at = RV_FN(rv_axis_of)(b, axis);
    const size_t n = (size_t)at.d * (size_t)at.d;
    const RV_REAL *factor = (RV_REAL *)rv_run_slot(run, tensor, RV_SHAMPOO_FACTORS) + b->factors + at.factor;
    RV_REAL *root = (RV_REAL *)rv_run_slot(run, tensor, RV_SHAMPOO_ROOTS) + b->factors + at.factor;
    double *a = memory, *out = a + n, *work = out + n, scale = 1 / args->correction, trace = 0;
    rv_root how = args->root;
    if (args->p->preconditioner == RV_PRE_EIGENVALUES)
        return RV_FN(refresh_basis)(args, factor, root, at.d, a, out, work);
    how.power = args->power[b->rank][axis];
    if (how.power == 0)
        return RV_FAULT_NONE;
    if (b->diagonal)
        return RV_FN(root_of_diagonal)(factor, root, at.d, &how, scale) ? RV_FAULT_NONE : RV_FAULT_EIGEN;
    if (args->p->trace_exponent > 0) {
        for (int i = 0; i < at.d; i++)
            trace += (double)factor[(size_t)i * (size_t)at.d + (size_t)i] * scale;
        scale *= trace > 0 ? pow(trace, -args->p->trace_exponent) : 1;
    }
    RV_FN(rv_widen_lower)(a, factor, at.d, scale);
    if (!rv_inverse_root(&how, a, at.d, out, work))
        return RV_FAULT_EIGEN;
    RV_FN(rv_narrow)(root, out, n);
    return RV_FAULT_NONE;
}

/* ---- the direction ------------------------------------------------------------------- */

/* The filtered gradient: g itself, or the mean of gradients with its look ahead. */
static const RV_REAL *RV_FN(filter)(const RV_FN(work) *k)
{
    const rv_shampoo_args *args = k->args;
    RV_REAL *m = RV_FN(slot)(k, RV_SHAMPOO_M);
    if (!m)
        return k->g;
    const RV_REAL look = (RV_REAL)(args->look * args->look_scale), now = (RV_REAL)((1 - args->look) * args->look_scale);
    const RV_REAL beta = (RV_REAL)args->p->beta1, rest = (RV_REAL)(1 - args->p->beta1);
    RV_FN(rv_block_gather)(k->spare, m, k->b);
    for (int64_t i = 0; i < k->b->size; i++) {
        k->f[i] = look * k->spare[i] + now * k->g[i];
        k->spare[i] = beta * k->spare[i] + rest * k->g[i];
    }
    RV_FN(rv_block_scatter)(m, k->spare, k->b);
    return k->f;
}

/* f over the root of the mean squares of gradients, both in the eigenbasis. */
static const RV_REAL *RV_FN(by_eigenvalues)(const RV_FN(work) *k, const RV_REAL *f)
{
    const rv_shampoo_args *args = k->args;
    const int64_t n = k->b->size;
    RV_REAL *squares = RV_FN(slot)(k, RV_SHAMPOO_SQUARES);
    const RV_REAL keep = (RV_REAL)args->keep, weight = (RV_REAL)args->weight, epsilon = (RV_REAL)args->p->epsilon;
    const RV_REAL scale = (RV_REAL)(1 / args->correction);
    const RV_REAL *g = args->started ? RV_FN(apply_all)(k, k->g, -1, false, true, k->p, k->spare) : k->g;
    RV_FN(rv_block_gather)(k->extra, squares, k->b);
    for (int64_t i = 0; i < n; i++)
        k->extra[i] = keep * k->extra[i] + weight * g[i] * g[i];
    RV_FN(rv_block_scatter)(squares, k->extra, k->b);
    if (f != k->g)
        g = args->started ? RV_FN(apply_all)(k, f, -1, false, true, k->p, k->spare) : f;
    RV_REAL *to = g == k->p ? k->spare : k->p;
    for (int64_t i = 0; i < n; i++) {
        const RV_REAL below = RV_MATH(sqrt)(k->extra[i] * scale) + epsilon;
        to[i] = g[i] != 0 ? g[i] / below : 0;
    }
    return args->started ? RV_FN(apply_all)(k, to, -1, true, true, k->p, k->spare) : to;
}

/* ((sum of roots over axes) / axes)^2 f */
static const RV_REAL *RV_FN(by_sums)(const RV_FN(work) *k, const RV_REAL *f)
{
    const RV_REAL share = 1 / (RV_REAL)k->b->rank;
    const RV_REAL *from = f;
    RV_REAL *to = k->p;
    for (int turn = 0; turn < 2; turn++) {
        for (int axis = 0; axis < k->b->rank; axis++) {
            RV_FN(apply)(k, axis, false, from, k->spare);
            for (int64_t i = 0; i < k->b->size; i++)
                to[i] = (axis == 0 ? 0 : to[i]) + share * k->spare[i];
        }
        from = to;
        to = k->extra;
    }
    return from;
}

static const RV_REAL *RV_FN(by_spectrum)(const RV_FN(work) *k, const RV_REAL *f)
{
    const int64_t rows = k->b->length[0];
    memcpy(k->p, f, (size_t)k->b->size * sizeof *f);
    RV_FN(rv_polar)(&k->team, RV_POLAR_SHAMPOO, k->p, rows, k->b->size / rows, 5, k->extra + k->b->size);
    return k->p;
}

static const RV_REAL *RV_FN(by_sign)(const RV_FN(work) *k, const RV_REAL *f)
{
    for (int64_t i = 0; i < k->b->size; i++)
        k->p[i] = (RV_REAL)((f[i] > 0) - (f[i] < 0));
    return k->p;
}

/* f, preconditioned, in one of the buffers p, spare, extra; or f or g itself. */
static const RV_REAL *RV_FN(precondition)(const RV_FN(work) *k, const RV_REAL *f)
{
    const rv_shampoo_args *args = k->args;
    switch (args->p->preconditioner) {
    case RV_PRE_EIGENVALUES: return RV_FN(by_eigenvalues)(k, f);
    case RV_PRE_SPECTRAL: return RV_FN(by_spectrum)(k, f);
    case RV_PRE_SIGN: return RV_FN(by_sign)(k, f);
    case RV_PRE_NONE: return f;
    default: break;
    }
    if (!args->started) {
        if (args->p->roots_start == RV_START_IDENTITY)
            return f;
        memset(k->p, 0, (size_t)k->b->size * sizeof *k->p);
        return k->p;
    }
    if (args->p->preconditioner == RV_PRE_CASPR)
        return RV_FN(by_sums)(k, f);
    return RV_FN(apply_all)(k, f, -1, false, false, k->p, k->spare);
}

/* The direction into p, with the length of the grafted one. */
static void RV_FN(direction)(const RV_FN(work) *k, const RV_REAL *f)
{
    const rv_shampoo_args *args = k->args;
    const int64_t n = k->b->size;
    RV_REAL *squares = args->graft.squares ? RV_FN(slot)(k, RV_SHAMPOO_SQUARES) : NULL;
    const RV_REAL *found = RV_FN(precondition)(k, f);
    if (found != k->p)
        memcpy(k->p, found, (size_t)n * sizeof *found);
    if (args->p->grafting == RV_GRAFT_NONE)
        return;
    if (squares)
        RV_FN(rv_block_gather)(k->extra, squares, k->b);
    RV_FN(rv_graft_direction)(&args->graft, k->g, f, k->extra, k->spare, n);
    if (squares)
        RV_FN(rv_block_scatter)(squares, k->extra, k->b);
    if (args->started || !rv_shampoo_has_factors(args->p))
        RV_FN(rv_graft_rescale)(k->p, k->spare, n);
    else
        memcpy(k->p, k->spare, (size_t)n * sizeof *k->p);
}

/* ---- decay, momentum, the new weights --------------------------------------------------- */

/* p takes in momentum; spare is work. */
static void RV_FN(gain_momentum)(const RV_FN(work) *k)
{
    RV_REAL *momentum = RV_FN(slot)(k, RV_SHAMPOO_MOMENTUM);
    if (!momentum)
        return;
    const RV_REAL mu = (RV_REAL)k->args->p->momentum, weight = (RV_REAL)k->args->momentum_weight;
    const bool ahead = k->args->p->nesterov;
    RV_FN(rv_block_gather)(k->spare, momentum, k->b);
    for (int64_t i = 0; i < k->b->size; i++) {
        k->spare[i] = mu * k->spare[i] + weight * k->p[i];
        k->p[i] = ahead ? weight * k->p[i] + mu * k->spare[i] : k->spare[i];
    }
    RV_FN(rv_block_scatter)(momentum, k->spare, k->b);
}

/* New weights into p, which holds the direction; tells whether they are finite. */
static bool RV_FN(descend)(const RV_FN(work) *k)
{
    const RV_REAL lr = (RV_REAL)k->args->lr, decay = (RV_REAL)k->args->decay;
    RV_FN(rv_block_gather)(k->extra, k->run->w[k->tensor], k->b);
    for (int64_t i = 0; i < k->b->size && decay != 0; i++)
        k->p[i] += decay * k->extra[i];
    RV_FN(gain_momentum)(k);
    for (int64_t i = 0; i < k->b->size; i++)
        k->p[i] = k->extra[i] - lr * k->p[i];
    return RV_FN(rv_finite)(k->p, k->b->size);
}

rv_fault RV_FN(rv_shampoo_block)(const rv_run *run, const rv_shampoo_args *args, int tensor, const rv_subblock *b,
                                 int worker)
{
    const int64_t n = b->size;
    RV_REAL *buffers = rv_run_workspace(run, worker);
    RV_FN(work) k = {.run = run, .args = args, .b = b, .tensor = tensor, .team = rv_run_team(run, worker), .g = buffers,
                     .f = buffers + n, .p = buffers + 2 * n, .spare = buffers + 3 * n, .extra = buffers + 4 * n};
    if (rv_shampoo_has_factors(args->p)) {
        k.factors = RV_FN(slot)(&k, RV_SHAMPOO_FACTORS) + b->factors;
        k.roots = RV_FN(slot)(&k, RV_SHAMPOO_ROOTS) + b->factors;
    }
    RV_FN(rv_block_gather)(k.g, run->g[tensor], b);
    if (!RV_FN(rv_finite)(k.g, n))
        return RV_FAULT_GRADIENT;
    if (args->p->decay == RV_DECAY_L2 && args->p->weight_decay > 0) {
        RV_FN(rv_block_gather)(k.spare, run->w[tensor], b);
        for (int64_t i = 0; i < n; i++)
            k.g[i] += (RV_REAL)args->p->weight_decay * k.spare[i];
    }
    if (args->observe && k.factors)
        RV_FN(observe)(&k);
    if (!args->move)
        return RV_FAULT_NONE;
    RV_FN(direction)(&k, RV_FN(filter)(&k));
    if (!RV_FN(descend)(&k))
        return RV_FAULT_UPDATE;
    RV_FN(rv_block_scatter)(run->w[tensor], k.p, b);
    return RV_FAULT_NONE;
}

#endif
