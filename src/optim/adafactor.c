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

#include "optim/method.h"

typedef struct factor_args {
    double weight;    /* of the new sample */
    double add;       /* to g^2 */
    double least;     /* of sqrt(V) and of mean(R); 0: no bound */
    double clip;      /* rms of u */
    double lr, decay; /* decay: 1 - the factor on old weights, over e in form timm */
    double beta1;
    bool scale;       /* by rms(x) */
    double eps_scale;
} factor_args;

/* A tensor seen as [outer, a, mid, b, inner], factored over a and b. */
typedef struct factor_view {
    int64_t outer, a, mid, b, inner;
    bool factored;
} factor_view;

enum { SLOT_R, SLOT_C, SLOT_V, SLOT_M };

#define FACTOR_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                           \
    REAL(lr, 1e-2, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate; where it is relative, its upper bound beside 1/sqrt(t)") \
    CHOICE(form, "torch|timm|optax", "torch", "whose: see the equations and factored axes")    \
    BOOL(relative_step, false, "form timm: the learning rate that no one gave there")          \
    BOOL(scale_parameter, true, "forms timm (relative) and optax: times the size of the weights") \
    BOOL(warmup_init, false, "form timm, relative: an upper bound of 1e-4 lr t, not lr")        \
    REAL(beta1, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of updates, of forms timm and optax; 0: none") \
    REAL(decay_rate, 0.8, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "a new square weighs t^-decay_rate")   \
    REAL(clip_threshold, 1, 0, HUGE_VAL, RV_PARAM_OPEN_LO | RV_PARAM_OPEN_HI, "largest root mean square of an update") \
    REAL(eps, 0, 0, 1, RV_PARAM_OPEN_HI, "least root of a second moment (torch), added to squares (others); 0: that form's own") \
    REAL(eps_scale, 1e-3, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "least size of the weights")          \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times lr (torch), e (timm) or nothing (optax)") \
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

static factor_view view_of(const rv_tensor *tensor, const void *params)
{
    const rv_shape *shape = &tensor->shape;
    int first = 0, second = 0;
    factor_view view = {.outer = 1, .a = 1, .mid = 1, .b = 1, .inner = 1};
    view.factored = factored_axes(shape, params, &first, &second);
    for (int k = 0; k < shape->rank && view.factored; k++)
        *(k < first     ? &view.outer
          : k == first  ? &view.a
          : k < second  ? &view.mid
          : k == second ? &view.b
                        : &view.inner) *= shape->dim[k];
    return view;
}

static int64_t rows_of(const factor_view *v)
{
    return v->outer * v->a * v->mid * v->inner;
}

static int64_t columns_of(const factor_view *v)
{
    return v->outer * v->mid * v->b * v->inner;
}

/* Where the columns of line number i of [outer, a, mid] begin. */
static int64_t column_of(const factor_view *v, int64_t i)
{
    return (i / (v->a * v->mid) * v->mid + i % v->mid) * v->b * v->inner;
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
    const factor_view view = view_of(tensor, params);
    *shape = RV_SHAPE(rows_of(&view));
    return view.factored;
}

static bool column_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const factor_view view = view_of(tensor, params);
    *shape = RV_SHAPE(columns_of(&view));
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

/* Sums of rows and columns in double, then u. */
static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    const factor_view view = view_of(tensor, params);
    const size_t sums = view.factored ? (size_t)(rows_of(&view) + columns_of(&view)) : 0;
    return sums * sizeof(double) + (size_t)rv_shape_size(&tensor->shape) * rv_dtype_size(dtype);
}

static rv_fault task(const rv_run *run, const void *context, int tensor, int worker)
{
    return (run->dtype == RV_F32 ? factor_f32 : factor_f64)(run, context, tensor, rv_run_workspace(run, worker));
}

static rv_status step(const rv_run *run)
{
    const factor_params *p = run->params;
    const double t = (double)run->step, own = run->dtype == RV_F32 ? (double)FLT_EPSILON : DBL_EPSILON;
    const double eps = p->eps > 0 ? p->eps : p->form == TORCH ? own : 1e-30;
    const double bound = p->warmup_init ? 1e-4 * run->lr * t : run->lr;
    const bool relative = p->form == TORCH || p->relative_step;
    const factor_args args = {.weight = pow(t, -p->decay_rate),
                              .add = p->form == TORCH ? 0 : eps,
                              .least = p->form == TORCH ? eps : 0,
                              .clip = p->clip_threshold,
                              .lr = relative ? fmin(bound, 1 / sqrt(t)) : run->lr,
                              .decay = p->weight_decay * (p->form == TORCH ? run->lr : 1),
                              .beta1 = p->beta1,
                              .scale = p->form == TORCH || (p->scale_parameter && (relative || p->form == OPTAX)),
                              .eps_scale = p->eps_scale};
    return rv_run_each(run, run->count, task, NULL, &args);
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
    .workspace = workspace,
    .step = step,
};

#else

/* One line [b, inner] of a tensor: its squares into the sums of row [inner] and column [b, inner]. */
static void RV_FN(factor_observe)(const RV_REAL *g, double add, const factor_view *v, double *row, double *column)
{
    for (int64_t j = 0; j < v->b; j++)
        for (int64_t l = 0; l < v->inner; l++) {
            const double x = (double)g[j * v->inner + l], square = x * x + add;
            row[l] += square;
            column[j * v->inner + l] += square;
        }
}

/* u of a line from the roots of its row and column. */
static void RV_FN(factor_divide)(const RV_REAL *g, RV_REAL *u, double most, const factor_view *v, const double *row,
                                 const double *column)
{
    for (int64_t j = 0; j < v->b; j++)
        for (int64_t l = 0; l < v->inner; l++) {
            const int64_t at = j * v->inner + l;
            const double inverse = row[l] * column[at];
            u[at] = (RV_REAL)((double)g[at] * (inverse < most ? inverse : most));
        }
}

static double RV_FN(factor_rms)(const RV_REAL *x, int64_t n)
{
    double lane[RV_SUM_LANES] = {0};
    RV_FN(rv_dot)(x, x, n, lane);
    return sqrt(RV_FN(rv_lanes)(lane) / (double)n);
}

/* slot [n] moves by weight towards sums/size; sums become the new values. */
static void RV_FN(factor_follow)(RV_REAL *slot, double *sums, int64_t n, double size, double weight)
{
    for (int64_t i = 0; i < n; i++) {
        slot[i] = (RV_REAL)((double)slot[i] + weight * (sums[i] / size - (double)slot[i]));
        sums[i] = (double)slot[i];
    }
}

/* row [rows] becomes sqrt(mean/row), the mean over a, and column [columns] 1/sqrt(column). */
static void RV_FN(factor_roots)(const factor_view *v, const factor_args *args, double *row, double *column)
{
    const int64_t stride = v->mid * v->inner;
    for (int64_t o = 0; o < v->outer; o++)
        for (int64_t at = 0; at < stride; at++) {
            double *x = row + o * v->a * stride + at, mean = 0;
            for (int64_t i = 0; i < v->a; i++)
                mean += x[i * stride];
            mean = fmax(mean / (double)v->a, args->least);
            for (int64_t i = 0; i < v->a; i++)
                x[i * stride] = sqrt(mean / x[i * stride]);
        }
    for (int64_t i = 0; i < columns_of(v); i++)
        column[i] = 1 / sqrt(column[i]);
}

/* u = g/sqrt(V) from the factors; sums [rows + columns] is a work area. */
static void RV_FN(factor_direction)(const rv_run *run, const factor_args *args, int tensor, const factor_view *v,
                                    double *sums, RV_REAL *u)
{
    const RV_REAL *g = run->g[tensor];
    double *row = sums, *column = sums + rows_of(v);
    const int64_t lines = v->outer * v->a * v->mid, line = v->b * v->inner;
    const double most = args->least > 0 ? 1 / args->least : HUGE_VAL;
    memset(sums, 0, (size_t)(rows_of(v) + columns_of(v)) * sizeof *sums);
    for (int64_t i = 0; i < lines; i++)
        RV_FN(factor_observe)(g + i * line, args->add, v, row + i * v->inner, column + column_of(v, i));
    RV_FN(factor_follow)(rv_run_slot(run, tensor, SLOT_R), row, rows_of(v), (double)v->b, args->weight);
    RV_FN(factor_follow)(rv_run_slot(run, tensor, SLOT_C), column, columns_of(v), (double)v->a, args->weight);
    RV_FN(factor_roots)(v, args, row, column);
    for (int64_t i = 0; i < lines; i++)
        RV_FN(factor_divide)(g + i * line, u + i * line, most, v, row + i * v->inner, column + column_of(v, i));
}

/* The same from a second moment of the tensor's shape. */
static void RV_FN(factor_plain)(const rv_run *run, const factor_args *args, int tensor, int64_t n, RV_REAL *u)
{
    const RV_REAL *g = run->g[tensor];
    RV_REAL *v = rv_run_slot(run, tensor, SLOT_V);
    const double most = args->least > 0 ? 1 / args->least : HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        const double square = (double)g[i] * (double)g[i] + args->add;
        v[i] = (RV_REAL)((double)v[i] + args->weight * (square - (double)v[i]));
        const double inverse = 1 / sqrt((double)v[i]);
        u[i] = (RV_REAL)((double)g[i] * (inverse < most ? inverse : most));
    }
}

static rv_fault RV_FN(factor)(const rv_run *run, const factor_args *args, int tensor, void *work)
{
    const factor_params *p = run->params;
    const factor_view view = view_of(&run->tensors[tensor], p);
    const int64_t n = rv_shape_size(&run->tensors[tensor].shape);
    RV_REAL *w = run->w[tensor], *m = rv_run_slot(run, tensor, SLOT_M);
    double *sums = work;
    RV_REAL *u = (RV_REAL *)(sums + (view.factored ? rows_of(&view) + columns_of(&view) : 0));
    if (n == 0)
        return RV_FAULT_NONE;
    if (!RV_FN(rv_finite)(run->g[tensor], n))
        return RV_FAULT_GRADIENT;
    if (view.factored)
        RV_FN(factor_direction)(run, args, tensor, &view, sums, u);
    else
        RV_FN(factor_plain)(run, args, tensor, n, u);
    const double size = args->scale ? fmax(args->eps_scale, RV_FN(factor_rms)(w, n)) : 1, e = args->lr * size;
    const RV_REAL rate = (RV_REAL)(e / fmax(1, RV_FN(factor_rms)(u, n) / args->clip));
    const RV_REAL keep = (RV_REAL)(1 - args->decay * (p->form == TIMM ? e : 1));
    const RV_REAL beta1 = (RV_REAL)args->beta1, rest1 = (RV_REAL)(1 - args->beta1);
    for (int64_t i = 0; i < n; i++) {
        RV_REAL down = rate * u[i];
        if (m)
            down = m[i] = beta1 * m[i] + rest1 * down;
        u[i] = keep * w[i] - down;
    }
    if (!RV_FN(rv_finite)(u, n))
        return RV_FAULT_UPDATE;
    memcpy(w, u, (size_t)n * sizeof *w);
    return RV_FAULT_NONE;
}

#endif
