/* Scion: every step is the point of a norm ball that goes furthest along the momentum.
 *     m <- (1 - momentum) m + momentum g;  w <- (1 - lr) w - lr scale lmo(m)
 * The ball depends on the tensor: spectral for matrices and kernels, root mean square for
 * vectors, or the norm that is asked for.  Equations and source stand in the descriptor. */
#ifndef RV_REAL

#include <math.h>

#include "optim/matrix/part.h"
#include "optim/newton_schulz.h"

#define SCION_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                \
    REAL(lr, 1e-3, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                  \
    REAL(momentum, 1, 0, 1, RV_PARAM_OPEN_LO, "weight of the new gradient: one minus the usual momentum") \
    REAL(scale, 1, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "radius of the ball")             \
    BOOL(unconstrained, false, "no shrinking of the weights by 1 - lr")                            \
    INT(ns_steps, 5, 1, 100, 0, "Newton-Schulz iterations")                                        \
    CHOICE(coefficients, RV_POLAR_WORDS, "muon", "set of Newton-Schulz coefficients")              \
    CHOICE(norm, "auto|spectral|column|row|rms|sign", "auto", "of the ball; auto: spectral, rms for vectors") \
    BOOL(at_least_one, false, "spectral: sqrt(out/in) is taken as 1 where it is less")
RV_PARAM_STRUCT(scion_params, SCION_PARAMS);
RV_PARAM_TABLE(scion_table, "scion", scion_params, SCION_PARAMS);

enum { NORM_AUTO, NORM_SPECTRAL, NORM_COLUMN, NORM_ROW, NORM_RMS, NORM_SIGN };

typedef struct scion_args {
    const scion_params *p;
    double lr;
} scion_args;

static int norm_of(const rv_tensor *tensor, int norm)
{
    if (norm != NORM_AUTO)
        return norm;
    return tensor->shape.rank < 2 ? NORM_RMS : NORM_SPECTRAL;
}

/* sqrt(out/in), over the number of places of a kernel. */
static double spectral_scale(const rv_tensor *tensor, int64_t rows, const scion_params *p)
{
    const rv_shape *shape = &tensor->shape;
    double places = 1;
    for (int k = 2; k < shape->rank; k++)
        places *= (double)shape->dim[k];
    const double ratio = sqrt((double)rows / (shape->rank > 1 ? (double)shape->dim[1] : 1));
    return (p->at_least_one ? fmax(1, ratio) : ratio) / places;
}

#define RV_KERNEL_FILE "optim/matrix/scion.c"
#include "optim/kernel.h"

static bool m_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const scion_params *)params)->momentum < 1 && rv_slot_like(tensor, params, shape);
}

static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    int64_t rows, cols;
    rv_part_matrix(tensor, &rows, &cols);
    const bool spectral = norm_of(tensor, ((const scion_params *)params)->norm) == NORM_SPECTRAL;
    return ((size_t)(rows * cols) + (spectral ? rv_newton_schulz_size(rows, cols) : 0)) * rv_dtype_size(dtype);
}

static rv_fault task(const rv_run *run, const void *context, int number, int worker)
{
    const int tensor = rv_part_locate(run, &number);
    return (run->dtype == RV_F32 ? scion_f32 : scion_f64)(run, context, tensor, number, worker);
}

static rv_status step(const rv_run *run)
{
    const scion_args args = {.p = run->params, .lr = run->lr};
    return rv_run_each(run, rv_part_count(run), task, rv_part_tensor, &args);
}

static const rv_slot slots[] = {{"m", m_shape, false}};

const rv_method rv_method_scion = {
    .info = {.name = "scion",
             .version = 1,
             .title = "Scion: steps to the boundary of a norm ball",
             .equations = "m <- (1 - momentum) m + momentum g\n"
                          "w <- (1 - lr) w - lr scale lmo(m)    (unconstrained: w - lr scale lmo(m))\n"
                          "lmo: spectral  NewtonSchulz(m as [out, rest]) sqrt(out/in) / (kernel places)\n"
                          "     rms       m / (rms(m) + 1e-8)\n"
                          "     column    m / (rms of its column + 1e-8)\n"
                          "     row       m / (||row|| sqrt(in) + 1e-8)\n"
                          "     sign      sign(m) / in\n"
                          "auto: rms for vectors, spectral for all else",
             .paper = "Pethick et al. 2025, Training deep learning models with norm-constrained LMOs",
             .reference = "LIONS-EPFL/scion f58a393e scion.py",
             .deviations = "Newton-Schulz in the dtype of the run instead of bfloat16; places of a kernel are kh x kw "
                           "(the code squares kh).  The authors train with scale 50 for hidden layers and norm=sign, "
                           "scale=3000 for the output layer, given here as rules; weights should start on the ball",
             .params = &scion_table,
             .state = "m: like the tensor, only with momentum < 1",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-10,
    .slots = slots,
    .slot_count = 1,
    .workspace = workspace,
    .tasks = rv_part_tasks,
    .step = step,
};

#else

/* Every line of x divided by factor times its norm, plus 1e-8. */
static void RV_FN(divide_lines)(RV_REAL *x, int64_t lines, int64_t length, int64_t stride, int64_t gap, double factor)
{
    for (int64_t i = 0; i < lines; i++) {
        RV_REAL *line = x + i * stride;
        double sum = 0;
        for (int64_t j = 0; j < length; j++)
            sum += (double)line[j * gap] * (double)line[j * gap];
        const RV_REAL scale = (RV_REAL)(1 / (factor * sqrt(sum) + 1e-8));
        for (int64_t j = 0; j < length; j++)
            line[j * gap] *= scale;
    }
}

/* The point of the ball of radius 1 that x [rows, cols] points to, in its place. */
static void RV_FN(lmo)(const rv_team *team, const scion_params *p, const rv_tensor *tensor, RV_REAL *x, int64_t rows,
                       int64_t cols, RV_REAL *work)
{
    const int64_t n = rows * cols;
    switch (norm_of(tensor, p->norm)) {
    case NORM_SPECTRAL: {
        const RV_REAL scale = (RV_REAL)spectral_scale(tensor, rows, p);
        RV_FN(rv_polar)(team, (rv_polar)p->coefficients, x, rows, cols, (int)p->ns_steps, work);
        for (int64_t i = 0; i < n; i++)
            x[i] *= scale;
        break;
    }
    case NORM_COLUMN: RV_FN(divide_lines)(x, cols, rows, 1, cols, 1 / sqrt((double)rows)); break;
    case NORM_ROW: RV_FN(divide_lines)(x, rows, cols, cols, 1, sqrt((double)cols)); break;
    case NORM_RMS: RV_FN(divide_lines)(x, 1, n, n, 1, 1 / sqrt((double)n)); break;
    default:
        for (int64_t i = 0; i < n; i++)
            x[i] = (RV_REAL)((x[i] > 0) - (x[i] < 0)) / (RV_REAL)cols;
    }
}

static rv_fault RV_FN(scion)(const rv_run *run, const scion_args *a, int tensor, int part, int worker)
{
    const scion_params *p = a->p;
    int64_t rows, cols;
    rv_part_matrix(&run->tensors[tensor], &rows, &cols);
    const int64_t n = rows * cols, at = part * n;
    const RV_REAL *g = (const RV_REAL *)run->g[tensor] + at;
    const RV_REAL fresh = (RV_REAL)p->momentum, old = (RV_REAL)(1 - p->momentum);
    RV_REAL *w = (RV_REAL *)run->w[tensor] + at, *m = rv_run_slot(run, tensor, 0);
    RV_REAL *u = rv_run_workspace(run, worker);
    const rv_team team = rv_run_team(run, worker);
    if (n == 0)
        return RV_FAULT_NONE;
    if (!RV_FN(rv_finite)(g, n))
        return RV_FAULT_GRADIENT;
    if (m) {
        m += at;
        for (int64_t i = 0; i < n; i++)
            m[i] = old * m[i] + fresh * g[i];
    }
    memcpy(u, m ? m : g, (size_t)n * sizeof *u);
    RV_FN(lmo)(&team, p, &run->tensors[tensor], u, rows, cols, u + n);
    const RV_REAL keep = (RV_REAL)(p->unconstrained ? 1 : 1 - a->lr), rate = (RV_REAL)(a->lr * p->scale);
    for (int64_t i = 0; i < n; i++)
        u[i] = keep * w[i] - rate * u[i];
    if (!RV_FN(rv_finite)(u, n))
        return RV_FAULT_UPDATE;
    memcpy(w, u, (size_t)n * sizeof *w);
    return RV_FAULT_NONE;
}

#endif
