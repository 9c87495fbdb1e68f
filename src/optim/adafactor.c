/* Adafactor: the second moment as a product of row and column means, updates of limited size.
 *     w_t = t^-decay_rate;  R, C <- means of g^2 over one factored axis each, EMA with weight w_t
 *     V = R C / mean(R), or V <- EMA of g^2 where nothing is factored;  u = g/sqrt(V)
 *     u <- u / max(1, rms(u)/clip_threshold)
 * and then by form (x: the weights before the step):
 *     torch: w <- w (1 - lr weight_decay) - max(eps_scale, rms(x)) min(lr, 1/sqrt(t)) u
 *     timm:  w <- w (1 - e weight_decay) - m,  m <- beta1 m + (1 - beta1) e u;  e = lr, or with
 *            relative_step min(lr, 1/sqrt(t)) max(eps_scale, rms(x))
 *     optax: w <- w (1 - weight_decay) - m,    m as above;  e = lr max(eps_scale, rms(x))
 * References: pytorch 2.6.0 torch/optim/_adafactor.py; timm/optim/adafactor.py aa4b5850; optax
 * alias.adafactor 2edbcbe2 (read, not run). */
#ifndef RV_REAL

#include <float.h>
#include <math.h>

#include "optim/factored.h"
#include "optim/method.h"
#include "optim/rows.h"

typedef struct factor_args {
    double weight;      /* of the new sample */
    double add;         /* to g^2 */
    double least;       /* of sqrt(V) and of mean(R); 0: no bound */
    double most;        /* of 1/sqrt(V) */
    double lr, beta1;
    bool scale;         /* by rms(x) */
    void *const *rooms; /* [tensors], each an rv_factor_room */
} factor_args;

enum { SLOT_R, SLOT_C, SLOT_V, SLOT_M };
enum { SUM_U, SUM_W };

#define FACTOR_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_HP_FREE, "learning rate; where it is relative, its upper bound beside 1/sqrt(t)") \
    CHOICE(form, "torch|timm|optax", "torch", "whose: see the equations and factored axes")       \
    BOOL(relative_step, false, "form timm: the learning rate that no one gave there")             \
    BOOL(scale_parameter, true, "forms timm (relative) and optax: times the size of the weights") \
    BOOL(warmup_init, false, "form timm, relative: an upper bound of 1e-4 lr t, not lr")          \
    REAL(beta1, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of updates, of forms timm and optax; 0: none") \
    REAL(decay_rate, 0.8, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "a new square weighs t^-decay_rate")     \
    REAL(clip_threshold, 1, 0, HUGE_VAL, RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "largest root mean square of an update") \
    REAL(eps, 0, 0, 1, RV_PARAM_OPEN_HI, "least root of a second moment (torch), added to squares (others); 0: that form's own") \
    REAL(eps_scale, 1e-3, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "least size of the weights")             \
    RV_HP_WEIGHT_DECAY(REAL, 0, "decoupled, times lr (torch), e (timm) or nothing (optax)")       \
    INT(min_dim_size_to_factor, 0, 0, 1e9, 0, "axes to factor are longer (timm) or as long (optax); 0: 16 and 128")
RV_PARAM_STRUCT(factor_params, FACTOR_PARAMS);

enum { TORCH, TIMM, OPTAX };

/* The two longest axes, later ones first among equals: *first < *second. */
static void longest_axes(const rv_shape *shape, int *first, int *second)
{
    int most = shape->rank - 1, next = -1;
    for (int k = shape->rank - 2; k >= 0; k--)
        if (shape->dim[k] > shape->dim[most]) {
            next = most;
            most = k;
        } else if (next < 0 || shape->dim[k] > shape->dim[next]) {
            next = k;
        }
    *first = most < next ? most : next;
    *second = most < next ? next : most;
}

/* Which axes are factored: torch the last two; timm the first two of a kernel if both are long
 * enough, else the last two if they are; optax the two longest. */
static bool factored_axes(const rv_shape *shape, const factor_params *p, int *first, int *second)
{
    const int rank = shape->rank;
    const int64_t bound = p->min_dim_size_to_factor;
    if (rank < 2)
        return false;
    *first = rank - 2;
    *second = rank - 1;
    if (p->form == TORCH)
        return true;
    if (p->form == OPTAX) {
        longest_axes(shape, first, second);
        const int64_t least = bound > 0 ? bound : 128;
        return shape->dim[*first] >= least && shape->dim[*second] >= least;
    }
    const int64_t least = bound > 0 ? bound : 16;
    if (rank > 2 && shape->dim[0] > least && shape->dim[1] > least) {
        *first = 0;
        *second = 1;
        return true;
    }
    return shape->dim[rank - 2] > least && shape->dim[rank - 1] > least;
}

static rv_factor_view view_of(const rv_tensor *tensor, const void *params)
{
    const rv_shape *shape = &tensor->shape;
    int first = 0, second = 0;
    rv_factor_view view = {.outer = 1, .a = 1, .mid = 1, .b = 1, .inner = 1};
    view.factored = factored_axes(shape, params, &first, &second);
    for (int k = 0; k < shape->rank && view.factored; k++)
        *(k < first     ? &view.outer
          : k == first  ? &view.a
          : k < second  ? &view.mid
          : k == second ? &view.b
                        : &view.inner) *= shape->dim[k];
    return view;
}

#define RV_KERNEL_FILE "optim/adafactor.c"
#include "optim/kernel.h"

RV_PARAM_TABLE(factor_table, "adafactor", factor_params, FACTOR_PARAMS);

static rv_status check(const void *params, rv_error *err)
{
    const factor_params *p = params;
    if (p->warmup_init && !p->relative_step)
        return rv_fail(err, RV_E_ARGUMENT, "adafactor: warmup_init needs relative_step");
    if (p->form != TIMM && p->relative_step)
        return rv_fail(err, RV_E_ARGUMENT, "adafactor: relative_step is of form=timm (form=torch always has it)");
    if (p->form == TORCH && p->beta1 > 0)
        return rv_fail(err, RV_E_ARGUMENT, "adafactor: form=torch has no beta1, found %g", p->beta1);
    return RV_OK;
}

static bool row_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const rv_factor_view view = view_of(tensor, params);
    *shape = RV_SHAPE(rv_factor_rows(&view));
    return view.factored;
}

static bool column_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const rv_factor_view view = view_of(tensor, params);
    *shape = RV_SHAPE(rv_factor_columns(&view));
    return view.factored;
}

static bool v_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return !view_of(tensor, params).factored && rv_slot_like(tensor, params, shape);
}

static bool m_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const factor_params *)params)->beta1 > 0 && rv_slot_like(tensor, params, shape);
}

static size_t room(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    const rv_factor_view view = view_of(tensor, params);
    return rv_factor_room_size(&view, dtype);
}

/* Tiles; at least one, which takes the roots. */
static int tasks(const rv_tensor *tensor, const void *params)
{
    const rv_factor_view view = view_of(tensor, params);
    const int tiles = rv_factor_tiles(&view);
    return tiles > 1 ? tiles : 1;
}

/* Lays out the rooms; returns the number of tiles. */
static int furnish(const rv_run *run)
{
    int count = 0;
    for (int i = 0; i < run->count; i++) {
        rv_factor_room *r = rv_run_rooms(run)[i];
        const rv_factor_view view = view_of(&run->tensors[i], run->params);
        rv_factor_furnish(r, &view, run->dtype, count);
        count += rv_factor_tiles(&view);
    }
    return count;
}

/* The last tensor whose tiles begin at or before `task`. */
static int tensor_of(const rv_run *run, const void *context, int task)
{
    int low = 0, high = run->count;
    (void)context;
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        const rv_factor_room *r = rv_run_rooms(run)[middle];
        if (r->first_task <= task)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static rv_fault observe_task(const rv_run *run, const void *context, int task, int worker)
{
    (void)worker;
    const factor_args *args = context;
    const int tensor = tensor_of(run, NULL, task);
    const rv_factor_room *r = args->rooms[tensor];
    return rv_factor_observe(r, run->dtype, run->g[tensor], args->add, task - r->first_task);
}

static rv_fault roots_task(const rv_run *run, const void *context, int tensor, int worker)
{
    (void)worker;
    const factor_args *args = context;
    rv_factor_roots(args->rooms[tensor], run->dtype, rv_run_slot(run, tensor, SLOT_R), rv_run_slot(run, tensor, SLOT_C),
                    args->weight, args->least);
    return RV_FAULT_NONE;
}

/* From the sums over a tensor to the length of its step. */
static void decide(const rv_run *run, const factor_args *args, int tensor, const double *sums, double decay)
{
    const factor_params *p = run->params;
    const double n = (double)rv_shape_size(&run->tensors[tensor].shape);
    const double e = args->lr * (args->scale ? fmax(p->eps_scale, sqrt(sums[SUM_W] / n)) : 1);
    rv_factor_room *r = args->rooms[tensor];
    r->rate = e / fmax(1, sqrt(sums[SUM_U] / n) / p->clip_threshold);
    r->keep = 1 - decay * (p->form == TIMM ? e : 1);
}

static factor_args args_of(const rv_run *run)
{
    const factor_params *p = run->params;
    const double t = (double)run->step, own = run->dtype == RV_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    const double eps = p->eps > 0 ? p->eps : p->form == TORCH ? own : 1e-30;
    const double bound = p->warmup_init ? 1e-4 * run->lr * t : run->lr;
    const bool relative = p->form == TORCH || p->relative_step;
    return (factor_args){.weight = pow(t, -p->decay_rate),
                         .add = p->form == TORCH ? 0 : eps,
                         .least = p->form == TORCH ? eps : 0,
                         .most = p->form == TORCH ? 1 / eps : HUGE_VAL,
                         .lr = relative ? fmin(bound, 1 / sqrt(t)) : run->lr,
                         .beta1 = p->beta1,
                         .scale = p->form == TORCH || (p->scale_parameter && (relative || p->form == OPTAX)),
                         .rooms = rv_run_rooms(run)};
}

static rv_status step(const rv_run *run)
{
    const factor_params *p = run->params;
    const factor_args args = args_of(run);
    double total[RV_MAX_SUMS], (*each)[RV_MAX_SUMS] = rv_run_sums(run);
    RV_TRY(rv_run_each(run, furnish(run), observe_task, tensor_of, &args));
    RV_TRY(rv_run_each(run, run->count, roots_task, NULL, &args));
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(factor_measure), &args, total, each));
    for (int i = 0; i < run->count; i++)
        if (rv_shape_size(&run->tensors[i].shape) > 0)
            decide(run, &args, i, each[i], p->weight_decay * (p->form == TORCH ? run->lr : 1));
    return rv_run_map(run, RV_KERNEL_OF(factor), &args);
}

static const rv_slot slots[] = {
    {"row", row_shape, false}, {"column", column_shape, false}, {"v", v_shape, false}, {"m", m_shape, false}};

const rv_method rv_method_adafactor = {
    .info = {.name = "adafactor",
             .version = 1,
             .title = "Adafactor: a factored second moment",
             .equations = "row <- row + t^-decay_rate (mean of g^2 over one factored axis - row);  column: the other axis\n"
                          "V = row column / mean(row), or v, the like mean of g^2, where nothing is factored\n"
                          "u = g/sqrt(V), divided by max(1, rms(u)/clip_threshold)\n"
                          "form torch: w <- w (1 - lr weight_decay) - max(eps_scale, rms(w)) min(lr, 1/sqrt(t)) u;  the last two "
                          "axes are factored; mean(row) >= eps, sqrt(V) >= eps (default: machine epsilon)\n"
                          "form timm: w <- w (1 - e weight_decay) - e u, e = lr, with relative_step min(lr, 1/sqrt(t)) "
                          "max(eps_scale, rms(w));  the first two axes of a kernel or the last two, if longer than "
                          "min_dim_size_to_factor; eps is added to g^2\n"
                          "form optax: w <- w (1 - weight_decay) - lr max(eps_scale, rms(w)) u;  the two longest axes, if not "
                          "shorter than min_dim_size_to_factor; eps is added to g^2\n"
                          "beta1 (timm, optax): m <- beta1 m + (1 - beta1) e u in place of e u",
             .paper = "Shazeer & Stern 2018, Adafactor: adaptive learning rates with sublinear memory cost",
             .reference = "pytorch 2.6.0 torch/optim/_adafactor.py; huggingface/pytorch-image-models aa4b5850 "
                          "timm/optim/adafactor.py; google-deepmind/optax 2edbcbe2 (form optax: read, no trajectory)",
             .deviations = "where the references disagree, form says whose; torch's is the default.  timm's lr=None is "
                           "relative_step with lr=0.01; caution is not offered; mean squares in double",
             .params = &factor_table,
             .state = "row, column: the tensor without one of the factored axes; v: like the tensor, where nothing is "
                      "factored; m: like the tensor, only with beta1 > 0",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 4,
    .check = check,
    .room = room,
    .tasks = tasks,
    .step = step,
};

#else

/* 1/sqrt(V) of a tile from the roots of its rows and columns. */
RV_INLINE void RV_FN(factor_inverse)(const rv_tile *t, const rv_factor_room *r, RV_REAL *inverse)
{
    const rv_factor_view *v = &r->view;
    const int64_t line = v->b * v->inner, inner = v->inner;
    int64_t number = t->at / line, from = t->at % line; /* of the line, and in it */
    for (int done = 0; done < t->n; number++, from = 0) {
        const int64_t panel = r->grid.panels == 1 ? 0 : number / (v->a * v->mid) * v->mid + number % v->mid;
        const RV_REAL *row = (const RV_REAL *)r->row + number * inner;
        const RV_REAL *column = (const RV_REAL *)r->column + panel * line + from;
        const int n = line - from < t->n - done ? (int)(line - from) : t->n - done;
        if (inner == 1) {
            const RV_REAL one = row[0];
            RV_EACH (i, n)
                inverse[done + i] = one * column[i];
        } else {
            for (int i = 0; i < n; i++)
                inverse[done + i] = row[(from + i) % inner] * column[i];
        }
        done += n;
    }
}

/* u of a tile. */
RV_INLINE void RV_FN(factor_direction)(const rv_tile *t, const factor_args *a, const rv_factor_room *r, RV_REAL *u)
{
    const RV_REAL most = (RV_REAL)a->most;
    const RV_REAL *v = t->s[SLOT_V];
    if (r->view.factored) {
        RV_FN(factor_inverse)(t, r, u);
    } else {
        RV_EACH (i, t->n)
            u[i] = 1 / RV_MATH(sqrt)(v[i]);
    }
    RV_EACH (i, t->n)
        u[i] = t->g[i] * (u[i] < most ? u[i] : most);
}

/* Sums of squares of u and of the weights; v, where nothing is factored. */
RV_TILE_FUNCTION(factor_measure, factor_args)
{
    const rv_factor_room *r = a->rooms[t->tensor];
    const RV_REAL weight = (RV_REAL)a->weight, add = (RV_REAL)a->add;
    RV_REAL u[RV_TILE], *v = t->s[SLOT_V];
    if (!r->view.factored) {
        RV_EACH (i, t->n)
            v[i] += weight * (t->g[i] * t->g[i] + add - v[i]);
    }
    RV_FN(factor_direction)(t, a, r, u);
    RV_FN(rv_dot)(u, u, t->n, t->sum[SUM_U]);
    if (a->scale)
        RV_FN(rv_dot)(t->w, t->w, t->n, t->sum[SUM_W]);
}
#define RV_KERNEL factor_measure
#define RV_KERNEL_ARGS factor_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(factor, factor_args)
{
    const rv_factor_room *r = a->rooms[t->tensor];
    const RV_REAL rate = (RV_REAL)r->rate, keep = (RV_REAL)r->keep;
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)(1 - a->beta1);
    RV_REAL u[RV_TILE], *m = t->s[SLOT_M];
    RV_FN(factor_direction)(t, a, r, u);
    RV_EACH (i, t->n)
        u[i] *= rate;
    if (m) {
        RV_EACH (i, t->n)
            u[i] = m[i] = beta1 * m[i] + rest1 * u[i];
    }
    RV_EACH (i, t->n)
        t->out[i] = keep * t->w[i] - u[i];
}
#define RV_KERNEL factor
#define RV_KERNEL_ARGS factor_args
#include "optim/kernel_loop.h"

#endif
