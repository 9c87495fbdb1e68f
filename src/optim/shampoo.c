/* Shampoo (Gupta, Koren, Singer 2018). A tensor is cut into blocks of at most
 * max_preconditioner_dim along every axis; for each of the o axes of a block
 *     L_k <- L_k + unfold_k(G) unfold_k(G)',   P = G times (L_k + epsilon I)^(-1/(2o)) along every k
 *     P <- P ||graft|| / (||P|| + 1e-16) with grafting;  P <- P + weight_decay w
 *     M <- momentum M + P;  w <- w - lr M
 * Before start_preconditioning_step P is the gradient, or grafting's own direction.
 * Reference: facebookresearch/optimizers f6066066 with b1 = 0, b2 = 1, no merging.
 * Deviation: epsilon is added to eigenvalues after those below zero were set to zero. */
#ifndef RV_REAL

#include <cblas.h>
#include <math.h>

#include "optim/eigen.h"
#include "optim/method.h"
#include "optim/shampoo_block.h"

#define SHAMPOO_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                               \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                   \
    REAL(epsilon, 1e-4, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "initial factors are epsilon times I") \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the sum of preconditioned gradients; 0: none") \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    INT(precondition_frequency, 1, 1, 1e15, RV_PARAM_LOG, "steps between inverse roots; above 1 use grafting") \
    INT(start_preconditioning_step, 0, 0, 1e15, 0, "step of the first inverse roots; 0: precondition_frequency") \
    INT(max_preconditioner_dim, 1024, 1, 16384, RV_PARAM_LOG, "longer axes are cut into blocks")    \
    CHOICE(grafting, "none|sgd|adagrad", "none", "the method whose step length each block takes over") \
    REAL(grafting_epsilon, 1e-10, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the root of adagrad's sum")
RV_PARAM_STRUCT(shampoo_params, SHAMPOO_PARAMS);

enum { GRAFT_NONE, GRAFT_SGD, GRAFT_ADAGRAD };
enum { SLOT_FACTORS, SLOT_ROOTS, SLOT_SQUARES, SLOT_MOMENTUM };

typedef struct shampoo_args {
    const shampoo_params *p;
    double lr;
    bool refresh, started; /* started: there are roots to multiply with */
} shampoo_args;

#define RV_KERNEL_FILE "optim/shampoo.c"
#include "optim/kernel.h"

RV_PARAM_TABLE(shampoo_table, "shampoo", shampoo_params, SHAMPOO_PARAMS);

static int64_t first_roots(const shampoo_params *p)
{
    return p->start_preconditioning_step > 0 ? p->start_preconditioning_step : p->precondition_frequency;
}

static rv_status check(const void *params, rv_error *err)
{
    const shampoo_params *p = params;
    if (first_roots(p) < p->precondition_frequency)
        return rv_fail(err, RV_E_ARGUMENT, "shampoo: start_preconditioning_step must be at least "
                       "precondition_frequency (%lld), found %lld",
                       (long long)p->precondition_frequency, (long long)p->start_preconditioning_step);
    return RV_OK;
}

static int64_t limit_of(const void *params)
{
    return ((const shampoo_params *)params)->max_preconditioner_dim;
}

static bool factors_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    *shape = RV_SHAPE(rv_blocks_factors(tensor, limit_of(params)));
    return true;
}

static bool squares_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const shampoo_params *)params)->grafting == GRAFT_ADAGRAD && rv_slot_like(tensor, params, shape);
}

static bool momentum_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const shampoo_params *)params)->momentum > 0 && rv_slot_like(tensor, params, shape);
}

static int tasks(const rv_tensor *tensor, const void *params)
{
    return rv_blocks_count(tensor, limit_of(params));
}

/* G, P and a spare of one block; then, in double, a factor, its root and LAPACK's work. */
static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    int64_t size, longest;
    rv_blocks_largest(tensor, limit_of(params), &size, &longest);
    const size_t n = (size_t)longest;
    return ((3 * (size_t)size * rv_dtype_size(dtype) + 7) & ~(size_t)7) +
           (2 * n * n + rv_inverse_root_size((int)n)) * sizeof(double);
}

/* Tasks are numbered through the blocks of all tensors. */
static int locate(const rv_run *run, int64_t limit, int number, rv_subblock *block)
{
    int tensor = 0;
    for (int n; number >= (n = rv_blocks_count(&run->tensors[tensor], limit)); number -= n)
        tensor++;
    rv_block_find(&run->tensors[tensor], limit, number, block);
    return tensor;
}

static int tensor_of(const rv_run *run, const void *context, int number)
{
    rv_subblock block;
    return locate(run, ((const shampoo_args *)context)->p->max_preconditioner_dim, number, &block);
}

static rv_fault task(const rv_run *run, const void *context, int number, int worker)
{
    const shampoo_args *args = context;
    rv_subblock block;
    const int tensor = locate(run, args->p->max_preconditioner_dim, number, &block);
    return (run->dtype == RV_F32 ? shampoo_f32 : shampoo_f64)(run, args, tensor, &block,
                                                              rv_run_workspace(run, worker));
}

static rv_status step(const rv_run *run)
{
    const shampoo_params *p = run->params;
    const int64_t start = first_roots(p);
    const shampoo_args args = {.p = p,
                               .lr = run->lr,
                               .refresh = run->step == start ||
                                          (run->step > start && run->step % p->precondition_frequency == 0),
                               .started = run->step >= start};
    int count = 0;
    for (int i = 0; i < run->count; i++)
        count += rv_blocks_count(&run->tensors[i], p->max_preconditioner_dim);
    return rv_run_each(run, count, task, tensor_of, &args);
}

static const rv_slot slots[] = {{"factors", factors_shape, false},
                                {"roots", factors_shape, false},
                                {"squares", squares_shape, false},
                                {"momentum", momentum_shape, false}};

const rv_method rv_method_shampoo = {
    .info = {.name = "shampoo",
             .version = 1,
             .title = "Shampoo: a full-matrix preconditioner for every axis",
             .equations = "for each of the o axes k of a block:  L_k <- L_k + unfold_k(G) unfold_k(G)'\n"
                          "P = G multiplied along every axis k by (L_k + epsilon I)^(-1/(2o))\n"
                          "grafting: P <- P ||graft|| / (||P|| + 1e-16), graft = G (sgd) or "
                          "G / (sqrt(sum of G^2) + grafting_epsilon) (adagrad)\n"
                          "before start_preconditioning_step: P = G, or the graft's direction\n"
                          "P <- P + weight_decay w;  M <- momentum M + P;  w <- w - lr M",
             .paper = "Gupta, Koren & Singer 2018, Shampoo: preconditioned stochastic tensor optimization; "
                      "grafting: Anil et al. 2020; blocks: Shi et al. 2023",
             .reference = "facebookresearch/optimizers f6066066 distributed_shampoo (b1 = 0, b2 = 1, no merging)",
             .deviations = "epsilon is added after negative eigenvalues were set to zero; precondition_frequency=1 is the "
                           "paper's algorithm, and older roots enlarge a direction not seen before by up to "
                           "epsilon^(-1/2), so that values above 1 want grafting",
             .params = &shampoo_table,
             .state = "factors, roots: one d x d matrix per axis of every block; squares: like the tensor, only "
                      "with grafting=adagrad; momentum: like the tensor, only with momentum > 0",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-6,
    .slots = slots,
    .slot_count = 4,
    .check = check,
    .workspace = workspace,
    .tasks = tasks,
    .step = step,
};

#else

/* Lower triangle of factor [d, d] += unfold(g) unfold(g)' for g [outer, d, inner]. */
static void RV_FN(accumulate)(RV_REAL *factor, const RV_REAL *g, int outer, int d, int inner)
{
    if (inner == 1) {
        RV_BLAS(syrk)(CblasRowMajor, CblasLower, CblasTrans, d, outer, 1, g, d, 1, factor, d);
        return;
    }
    for (int i = 0; i < outer; i++)
        RV_BLAS(syrk)(CblasRowMajor, CblasLower, CblasNoTrans, d, inner, 1, g + (int64_t)i * d * inner, inner, 1,
                      factor, d);
}

/* to = from [outer, d, inner] multiplied by the symmetric root [d, d] along the middle axis. */
static void RV_FN(multiply)(const RV_REAL *root, const RV_REAL *from, RV_REAL *to, int outer, int d, int inner)
{
    if (inner == 1) {
        RV_BLAS(gemm)(CblasRowMajor, CblasNoTrans, CblasNoTrans, outer, d, d, 1, from, d, root, d, 0, to, d);
        return;
    }
    for (int64_t i = 0; i < outer; i++)
        RV_BLAS(gemm)(CblasRowMajor, CblasNoTrans, CblasNoTrans, d, inner, d, 1, root, d, from + i * d * inner,
                      inner, 0, to + i * d * inner, inner);
}

static bool RV_FN(refresh)(const RV_REAL *factor, RV_REAL *root, int d, double epsilon, double power, double *work)
{
    const size_t n = (size_t)d * (size_t)d;
    double *a = work, *out = a + n;
    for (size_t i = 0; i < n; i++)
        a[i] = (double)factor[i];
    if (!rv_inverse_root(a, d, epsilon, power, out, out + n))
        return false;
    for (size_t i = 0; i < n; i++)
        root[i] = (RV_REAL)out[i];
    return true;
}

static double RV_FN(norm)(const RV_REAL *x, int64_t n)
{
    double lane[RV_SUM_LANES] = {0};
    RV_FN(rv_dot)(x, x, n, lane);
    return sqrt(RV_FN(rv_lanes)(lane));
}

/* The block between the tensor and a contiguous buffer. */
static void RV_FN(gather)(RV_REAL *to, const RV_REAL *from, const rv_subblock *b)
{
    for (int64_t row = 0; row < b->rows; row++)
        memcpy(to + row * b->columns, from + rv_block_offset(b, row), (size_t)b->columns * sizeof *to);
}

static void RV_FN(scatter)(RV_REAL *to, const RV_REAL *from, const rv_subblock *b)
{
    for (int64_t row = 0; row < b->rows; row++)
        memcpy(to + rv_block_offset(b, row), from + row * b->columns, (size_t)b->columns * sizeof *to);
}

/* The direction of the grafted method for gradient g into p [block]. */
static void RV_FN(graft)(const rv_run *run, const shampoo_params *options, int tensor, const rv_subblock *b,
                         const RV_REAL *g, RV_REAL *p)
{
    if (options->grafting != GRAFT_ADAGRAD) {
        memcpy(p, g, (size_t)b->size * sizeof *p);
        return;
    }
    RV_REAL *squares = rv_run_slot(run, tensor, SLOT_SQUARES);
    const RV_REAL epsilon = (RV_REAL)options->grafting_epsilon;
    RV_FN(gather)(p, squares, b);
    for (int64_t i = 0; i < b->size; i++)
        p[i] += g[i] * g[i];
    RV_FN(scatter)(squares, p, b);
    for (int64_t i = 0; i < b->size; i++)
        p[i] = g[i] != 0 ? g[i] / (RV_MATH(sqrt)(p[i]) + epsilon) : 0;
}

/* p, g multiplied by the roots, takes over the length of the graft in spare. */
static void RV_FN(rescale)(RV_REAL *p, const RV_REAL *graft, int64_t n)
{
    const RV_REAL scale = (RV_REAL)(RV_FN(norm)(graft, n) / (RV_FN(norm)(p, n) + 1e-16));
    for (int64_t i = 0; i < n; i++)
        p[i] *= scale;
}

/* w - lr M into p, which holds the direction; spare [block]. */
static void RV_FN(descend)(const rv_run *run, const shampoo_args *args, int tensor, const rv_subblock *b, RV_REAL *p,
                           RV_REAL *spare)
{
    const RV_REAL lr = (RV_REAL)args->lr, decay = (RV_REAL)args->p->weight_decay;
    const RV_REAL mu = (RV_REAL)args->p->momentum;
    RV_REAL *momentum = rv_run_slot(run, tensor, SLOT_MOMENTUM);
    if (decay != 0) {
        RV_FN(gather)(spare, run->w[tensor], b);
        for (int64_t i = 0; i < b->size; i++)
            p[i] += decay * spare[i];
    }
    if (momentum) {
        RV_FN(gather)(spare, momentum, b);
        for (int64_t i = 0; i < b->size; i++)
            p[i] += mu * spare[i];
        RV_FN(scatter)(momentum, p, b);
    }
    RV_FN(gather)(spare, run->w[tensor], b);
    for (int64_t i = 0; i < b->size; i++)
        p[i] = spare[i] - lr * p[i];
}

/* Adds g to the factors of the block and, when due, takes their inverse roots. */
static rv_fault RV_FN(observe)(const shampoo_args *args, const rv_subblock *b, const RV_REAL *g, RV_REAL *factor,
                               RV_REAL *root, double *work)
{
    int64_t inner = b->size, outer = 1;
    for (int k = 0; k < b->rank; k++) {
        const int d = (int)b->length[k];
        inner /= d;
        RV_FN(accumulate)(factor, g, (int)outer, d, (int)inner);
        if (args->refresh && !RV_FN(refresh)(factor, root, d, args->p->epsilon, 0.5 / b->rank, work))
            return RV_FAULT_EIGEN;
        outer *= d;
        factor += (int64_t)d * d;
        root += (int64_t)d * d;
    }
    return RV_FAULT_NONE;
}

/* g multiplied by the root of every axis; the result lies in a or in b. */
static RV_REAL *RV_FN(precondition)(const rv_subblock *block, const RV_REAL *g, const RV_REAL *root, RV_REAL *a,
                                    RV_REAL *b)
{
    int64_t inner = block->size, outer = 1;
    const RV_REAL *from = g;
    for (int k = 0; k < block->rank; k++) {
        const int d = (int)block->length[k];
        RV_REAL *to = from == a ? b : a;
        inner /= d;
        RV_FN(multiply)(root, from, to, (int)outer, d, (int)inner);
        from = to;
        outer *= d;
        root += (int64_t)d * d;
    }
    return from == a ? a : b;
}

static rv_fault RV_FN(shampoo)(const rv_run *run, const shampoo_args *args, int tensor, const rv_subblock *b,
                               void *work)
{
    RV_REAL *g = work, *p = g + b->size, *spare = p + b->size;
    double *doubles = (double *)(((uintptr_t)(spare + b->size) + 7) & ~(uintptr_t)7);
    RV_REAL *factor = (RV_REAL *)rv_run_slot(run, tensor, SLOT_FACTORS) + b->factors;
    RV_REAL *root = (RV_REAL *)rv_run_slot(run, tensor, SLOT_ROOTS) + b->factors;
    RV_FN(gather)(g, run->g[tensor], b);
    if (!RV_FN(rv_finite)(g, b->size))
        return RV_FAULT_GRADIENT;
    const rv_fault fault = RV_FN(observe)(args, b, g, factor, root, doubles);
    if (fault != RV_FAULT_NONE)
        return fault;
    if (args->started) {
        RV_REAL *found = RV_FN(precondition)(b, g, root, p, spare);
        spare = found == p ? spare : p;
        p = found;
    }
    if (args->p->grafting != GRAFT_NONE || !args->started) {
        RV_FN(graft)(run, args->p, tensor, b, g, args->started ? spare : p);
        if (args->started)
            RV_FN(rescale)(p, spare, b->size);
    }
    RV_FN(descend)(run, args, tensor, b, p, spare);
    if (!RV_FN(rv_finite)(p, b->size))
        return RV_FAULT_UPDATE;
    RV_FN(scatter)(run->w[tensor], p, b);
    return RV_FAULT_NONE;
}

#endif
