/* Distance over gradients: the step size is the largest distance r from the first weights
 * over the root of the sum of squared gradients.
 *     g <- g + weight_decay w;  r = reps_rel (1 + ||x0||) in the first step, then max(r, ||moved||)
 *     DoG, L-DoG:  G <- G + ||g||^2 (from eps);    w <- w - lr r / sqrt(G) g
 *     DoWG:        G <- G + r^2 ||g||^2 (from eps); w <- w - lr r^2 / sqrt(G) g
 *     average <- average + (gamma + 1)/(gamma + t) (w - average), the weights to evaluate
 * Norms run over the tensors of one rule, in double; in L-DoG over each tensor.
 * Reference: formll/dog 8d45cf56 src/dog/dog.py, averager.py; DoWG from its paper.
 * Deviation: moved = w - x0 is the sum of the updates; between floats that difference is
 * rounding noise while r is of the order of 1e-6 of the weights. */
#ifndef RV_REAL

#include "optim/distance.h"
#include "optim/method.h"

typedef struct dog_args {
    double coupled, rate, share;           /* share of the new weights in the average */
    bool settle;                           /* moved counts from the new weights on */
    const double (*rates)[RV_MAX_SUMS];    /* [tensors], of L-DoG; NULL: rate */
} dog_args;

#define RV_KERNEL_FILE "optim/dog.c"
#include "optim/kernel.h"

#define DOG_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    REAL(lr, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "factor on the step size that is found") \
    REAL(reps_rel, 1e-6, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "first distance over 1 + ||x0||; 1e-4 with batch norm") \
    REAL(init_eta, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "first step size, in place of what reps_rel gives; 0: none") \
    REAL(eps, 1e-8, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "start of the sum of squares")       \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to the gradient (L2)")  \
    BOOL(averaging, true, "evaluate at the average with weights of polynomial decay")                  \
    REAL(gamma, 8, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "power of the decay; 0: the mean of all weights")   \
    CHOICE(origin, "start|first_step", "start", "distances from the first weights, or from those after one step")
RV_PARAM_STRUCT(dog_params, DOG_PARAMS);
RV_PARAM_TABLE(dog_table, "dog", dog_params, DOG_PARAMS);

/* L-DoG keeps both scalars of a tensor in a slot of four reals, each as a rounded value and
 * what the rounding took away: a sum of many squares stalls in a float. */
enum { SLOT_MOVED, SLOT_AVERAGE, SLOT_NORMS };
enum { DISTANCE, SQUARES };
enum { START, FIRST_STEP };

static bool average_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const dog_params *)params)->averaging && rv_slot_like(tensor, params, shape);
}

static bool norms_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    (void)tensor;
    (void)params;
    *shape = RV_SHAPE(4);
    return true;
}

/* Takes one step of r and G from the sums ||moved||^2 (in the first step ||w||^2) and
 * ||g||^2; returns the step size. */
static double advance(const rv_run *run, const double *sums, bool weighted, double *r, double *squares)
{
    const dog_params *p = run->params;
    const double distance = sqrt(sums[0]);
    if (run->step == 1) {
        *r = p->reps_rel * (1 + distance);
        *squares = p->eps;
    } else {
        *r = fmax(*r, distance);
    }
    const double reach = weighted ? *r * *r : 1;
    *squares += reach * sums[1];
    if (run->step == 1 && p->init_eta > 0)
        return p->init_eta;
    return *squares > 0 ? run->lr * (weighted ? reach : *r) / sqrt(*squares) : 0;
}

/* What the step needs for its sums: ||moved||^2 or, in the first step, ||w||^2; and ||g||^2. */
static rv_status sum(const rv_run *run, dog_args *args, double *total, double (*each)[RV_MAX_SUMS])
{
    const dog_params *p = run->params;
    *args = (dog_args){.coupled = p->weight_decay, .share = (p->gamma + 1) / (p->gamma + (double)run->step),
                       .settle = p->origin == FIRST_STEP && run->step == 1};
    return run->step == 1 ? rv_run_sum(run, RV_KERNEL_OF(dog_first), args, total, each)
                          : rv_run_sum(run, RV_KERNEL_OF(dog_measure), args, total, each);
}

static rv_status step_together(const rv_run *run, bool weighted)
{
    double total[RV_MAX_SUMS], r = run->scalars[DISTANCE], squares = run->scalars[SQUARES];
    dog_args args;
    RV_TRY(sum(run, &args, total, NULL));
    args.rate = advance(run, total, weighted, &r, &squares);
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(dog), &args));
    run->scalars[DISTANCE] = r;
    run->scalars[SQUARES] = squares;
    return RV_OK;
}

static rv_status step_dog(const rv_run *run)
{
    return step_together(run, false);
}

static rv_status step_dowg(const rv_run *run)
{
    return step_together(run, true);
}

static rv_status step_ldog(const rv_run *run)
{
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    dog_args args;
    RV_TRY(sum(run, &args, total, each));
    for (int k = 0; k < run->count; k++) {
        void *norms = rv_run_slot(run, k, SLOT_NORMS);
        double pair[2];
        if (run->dtype == RV_F32)
            dog_load_f32(norms, pair);
        else
            dog_load_f64(norms, pair);
        each[k][0] = advance(run, each[k], false, &pair[DISTANCE], &pair[SQUARES]);
        if (run->dtype == RV_F32)
            dog_store_f32(norms, pair);
        else
            dog_store_f64(norms, pair);
    }
    args.rates = (const double (*)[RV_MAX_SUMS])each;
    return rv_run_map(run, RV_KERNEL_OF(dog), &args);
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    for (int k = 0; k < run->count; k++) {
        const void *average = rv_run_slot(run, k, SLOT_AVERAGE);
        memcpy(dst[k], average ? average : run->w[k],
               (size_t)rv_shape_size(&run->tensors[k].shape) * rv_dtype_size(run->dtype));
    }
}

static const rv_slot slots[] = {
    {"moved", rv_slot_like, false}, {"average", average_shape, true}, {"norms", norms_shape, false}};
static const char *const scalars[] = {"distance", "squares"};

#define DOG_STATE "moved: like the tensor; average: like the tensor, only with averaging; "
#define DOG_AVERAGE                                                                                    \
    "\nevaluated at average <- average + (gamma + 1)/(gamma + t) (w - average), with averaging\n"

const rv_method rv_method_dog = {
    .info = {.name = "dog",
             .version = 1,
             .title = "DoG: distance over gradients",
             .equations = "g <- g + weight_decay w\n"
                          "r = reps_rel (1 + ||x0||) in the first step, then max(r, ||moved||), moved = w - x0\n"
                          "G <- G + ||g||^2, from eps;  w <- w - lr r / sqrt(G) g" DOG_AVERAGE
                          "norms run over the tensors of one rule",
             .paper = "Ivgi, Hinder & Carmon 2023, DoG is SGD's best friend: a parameter-free dynamic step size schedule",
             .reference = "formll/dog 8d45cf56 src/dog/dog.py, src/dog/averager.py",
             .deviations = "moved is the sum of the updates, the reference subtracts rounded weights; reps_rel has the "
                           "default that the reference recommends; sums in double; with eps=0 a zero gradient moves "
                           "nothing (the reference stops)",
             .params = &dog_table,
             .state = DOG_STATE "distance (r), squares (G): scalars",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .scalars = scalars,
    .scalar_count = 2,
    .step = step_dog,
    .evaluation_weights = evaluation_weights,
};

const rv_method rv_method_ldog = {
    .info = {.name = "ldog",
             .version = 1,
             .title = "L-DoG: distance over gradients, each tensor by itself",
             .equations = "for every tensor:  g <- g + weight_decay w\n"
                          "r = reps_rel (1 + ||x0||) in the first step, then max(r, ||moved||), moved = w - x0\n"
                          "G <- G + ||g||^2, from eps;  w <- w - lr r / sqrt(G) g" DOG_AVERAGE "norms are per tensor",
             .paper = "Ivgi, Hinder & Carmon 2023, DoG is SGD's best friend, appendix: layer-wise DoG",
             .reference = "formll/dog 8d45cf56 src/dog/dog.py (LDoG), src/dog/averager.py",
             .deviations = "moved is the sum of the updates, as in dog; r and G of a tensor are kept as a rounded value and its remainder; sums in double",
             .params = &dog_table,
             .state = DOG_STATE "norms: r and G, [4] per tensor",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 3,
    .step = step_ldog,
    .evaluation_weights = evaluation_weights,
};

const rv_method rv_method_dowg = {
    .info = {.name = "dowg",
             .version = 1,
             .title = "DoWG: distance over weighted gradients",
             .equations = "g <- g + weight_decay w\n"
                          "r = reps_rel (1 + ||x0||) in the first step, then max(r, ||moved||), moved = w - x0\n"
                          "G <- G + r^2 ||g||^2, from eps;  w <- w - lr r^2 / sqrt(G) g" DOG_AVERAGE
                          "norms run over the tensors of one rule",
             .paper = "Khaled, Mishchenko & Jin 2023, DoWG unleashed: an efficient universal parameter-free gradient "
                      "descent method",
             .reference = "derived from the paper's algorithm 1, with the start of formll/dog",
             .deviations = "moved, the first distance and the average are DoG's; origin=first_step is what the golden file "
                           "replays, start is the paper's",
             .params = &dog_table,
             .state = DOG_STATE "distance (r), squares (G): scalars",
             .bytes_per_parameter = 8},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 2,
    .scalars = scalars,
    .scalar_count = 2,
    .step = step_dowg,
    .evaluation_weights = evaluation_weights,
};

#else

/* Two doubles in four reals: value and remainder. */
static void RV_FN(dog_load)(const RV_REAL *norms, double pair[2])
{
    for (int k = 0; k < 2; k++)
        pair[k] = (double)norms[2 * k] + (double)norms[2 * k + 1];
}

static void RV_FN(dog_store)(RV_REAL *norms, const double pair[2])
{
    for (int k = 0; k < 2; k++) {
        norms[2 * k] = (RV_REAL)pair[k];
        norms[2 * k + 1] = (RV_REAL)(pair[k] - (double)norms[2 * k]);
    }
}

RV_INLINE void RV_FN(dog_norms)(const rv_tile *t, const dog_args *a, const RV_REAL *way)
{
    RV_REAL grad[512 / sizeof(RV_REAL)];
    const RV_REAL coupled = (RV_REAL)a->coupled;
    RV_EACH (i, t->n)
        grad[i] = t->g[i] + coupled * t->w[i];
    RV_FN(rv_dot)(way, way, t->n, t->sum[0]);
    RV_FN(rv_dot)(grad, grad, t->n, t->sum[1]);
}

RV_TILE_FUNCTION(dog_first, dog_args)
{
    RV_FN(dog_norms)(t, a, t->w);
}
#define RV_KERNEL dog_first
#define RV_KERNEL_ARGS dog_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dog_measure, dog_args)
{
    RV_FN(dog_norms)(t, a, t->s[0]);
}
#define RV_KERNEL dog_measure
#define RV_KERNEL_ARGS dog_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(dog, dog_args)
{
    const RV_REAL rate = (RV_REAL)(a->rates ? a->rates[t->tensor][0] : a->rate);
    const RV_REAL coupled = (RV_REAL)a->coupled, share = (RV_REAL)a->share;
    RV_REAL *moved = t->s[0], *average = t->s[1];
    RV_EACH (i, t->n) {
        const RV_REAL down = rate * (t->g[i] + coupled * t->w[i]);
        moved[i] -= down;
        t->out[i] = t->w[i] - down;
    }
    if (average)
        RV_EACH (i, t->n)
            average[i] += share * (t->out[i] - average[i]);
    if (a->settle)
        memset(moved, 0, (size_t)t->n * sizeof *moved);
}
#define RV_KERNEL dog
#define RV_KERNEL_ARGS dog_args
#include "optim/kernel_loop.h"

#endif
