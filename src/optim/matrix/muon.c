/* Muon, and the step of its family: momentum, orthogonalised by Newton-Schulz, for hidden
 * matrices and kernels; the other tensors go to AdamW by the rule list.  The parts of a fused
 * tensor (query, key, value) are matrices of their own.  Equations and sources stand in the
 * descriptors, here and in moonlight.c and normuon.c. */
#ifndef RV_REAL

#include <math.h>

#include "optim/matrix/muon_family.h"

typedef struct muon_args {
    const rv_muon_params *p;
    double lr, keep;
} muon_args;

/* Rows and columns as the reference sees them: of a kernel the released code takes its last
 * two axes, not [out, rest].  slices: how many such matrices one part holds. */
static void seen_as(const rv_tensor *tensor, int kernel_scale, int64_t *slices, int64_t *rows, int64_t *cols)
{
    const int rank = tensor->shape.rank;
    rv_part_matrix(tensor, rows, cols);
    const int64_t size = *rows * *cols;
    if (kernel_scale == RV_MUON_RELEASED && rank > 2) {
        *rows = tensor->shape.dim[rank - 2];
        *cols = tensor->shape.dim[rank - 1];
    }
    *slices = size > 0 ? size / (*rows * *cols) : 0;
}

static double scale_of(const rv_tensor *tensor, const rv_muon_params *p)
{
    int64_t slices, rows, cols;
    seen_as(tensor, p->kernel_scale, &slices, &rows, &cols);
    switch (p->scale) {
    case RV_MUON_TALL: return sqrt(fmax(1, (double)rows / (double)cols));
    case RV_MUON_RMS: return 0.2 * sqrt(fmax((double)rows, (double)cols));
    default: return 1;
    }
}

/* Whether v holds one value per row; otherwise one per column. */
static bool by_rows(int normalise, int64_t rows, int64_t cols)
{
    return normalise == RV_MUON_ROWS || rows >= cols;
}

#define RV_KERNEL_FILE "optim/matrix/muon.c"
#include "optim/kernel.h"

#define MUON_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                         \
    REAL(lr, 0.02, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "learning rate")                          \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "decoupled, times the learning rate") \
    RV_MUON_ROWS_SHARED(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    CHOICE(scale, "tall|rms|none", "tall", "of the step: sqrt(max(1, rows/cols)), 0.2 sqrt(max(rows, cols)), or 1") \
    CHOICE(coefficients, RV_POLAR_WORDS, "muon", "set of Newton-Schulz coefficients")                      \
    CHOICE(momentum_form, "mean|sum", "mean", "m <- momentum m + (1 - momentum) g, or m <- momentum m + g")
RV_PARAM_TABLE(muon_table, "muon", rv_muon_params, MUON_PARAMS);

size_t rv_muon_workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    (void)params;
    int64_t rows, cols;
    rv_part_matrix(tensor, &rows, &cols);
    return ((size_t)(rows * cols) + rv_newton_schulz_size(rows, cols)) * rv_dtype_size(dtype);
}

static rv_fault task(const rv_run *run, const void *context, int number, int worker)
{
    const int tensor = rv_part_locate(run, &number);
    return (run->dtype == RV_F32 ? muon_f32 : muon_f64)(run, context, tensor, number, worker);
}

rv_status rv_muon_step(const rv_run *run)
{
    const rv_muon_params *p = run->params;
    const muon_args args = {.p = p, .lr = run->lr, .keep = 1 - run->lr * p->weight_decay};
    return rv_run_each(run, rv_part_count(run), task, rv_part_tensor, &args);
}

/* One value per normalised row or column, of all parts. */
static bool v_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const rv_muon_params *p = params;
    int64_t slices, rows, cols;
    if (p->normalise == RV_MUON_AS_IT_IS)
        return false;
    seen_as(tensor, p->kernel_scale, &slices, &rows, &cols);
    *shape = RV_SHAPE(rv_parts(tensor) * slices * (by_rows(p->normalise, rows, cols) ? rows : cols));
    return true;
}

const rv_slot rv_muon_slots[RV_MUON_SLOTS] = {{"m", rv_slot_like, false}, {"v", v_shape, false}};

static const rv_rule rules[] = RV_MUON_RULES("muon", RV_MAX_RANK, RV_MUON_REST);

const rv_method rv_method_muon = {
    .info = {.name = "muon",
             .version = 2,
             .title = "Muon: momentum orthogonalised by Newton-Schulz",
             .equations = "m <- momentum m + (1 - momentum) g\n"
                          "u = (1 - momentum) g + momentum m if nesterov, else m\n"
                          "X = u/(||u|| + 1e-7), ns_steps times X <- 3.4445 X - 4.7750 (XX')X + 2.0315 (XX')^2 X\n"
                          "w <- w (1 - lr weight_decay) - lr sqrt(max(1, rows/cols)) X\n"
                          "hidden matrices and all kernels but the first; every other tensor: adamw",
             .paper = "Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks; coefficients: "
                      "Amsel et al. 2025, The Polar Express",
             .reference = "KellerJordan/Muon 857d1adc muon.py; coefficients: KellerJordan/modded-nanogpt f411b3d3, "
                          "microsoft/dion 0a059a45",
             .deviations = "Newton-Schulz runs in the dtype of the run.  The reference casts to bfloat16, whose 8 bits "
                           "leave each step about 3e-3 away from the exact iteration; singular values end anywhere "
                           "between 0.68 and 1.13 in any case, so that this is no difference in use, but a trajectory "
                           "of the unpatched reference cannot be met more closely.  kernel_scale=flattened takes "
                           "rows/cols of a kernel from [out, rest], the released code from its last two axes.  "
                           "momentum_form=sum is the form of the blog, the same up to the 1e-7",
             .params = &muon_table,
             .state = "m: like the tensor",
             .bytes_per_parameter = 4},
    RV_MUON_PARTS(rules, 1),
};

#else

/* m and u from g. */
RV_CLONES static void RV_FN(momentum)(RV_REAL *m, RV_REAL *u, const RV_REAL *g, int64_t n, const rv_muon_params *p)
{
    const RV_REAL mu = (RV_REAL)p->momentum, rest = p->momentum_form == RV_MUON_SUM ? 1 : (RV_REAL)(1 - p->momentum);
    const RV_REAL ahead = p->nesterov ? mu : 1, now = p->nesterov ? rest : 0;
    for (int64_t i = 0; i < n; i++) {
        m[i] = mu * m[i] + rest * g[i];
        u[i] = now * g[i] + ahead * m[i];
    }
}

/* u <- w after the step -rate u; tells whether it is finite. */
RV_CLONES static bool RV_FN(update)(RV_REAL *u, const RV_REAL *w, int64_t n, RV_REAL keep, RV_REAL rate)
{
    for (int64_t i = 0; i < n; i++)
        u[i] = keep * w[i] - rate * u[i];
    return RV_FN(rv_finite)(u, n);
}

/* The same with decay where the step moves w towards zero. */
static bool RV_FN(update_cautious)(RV_REAL *u, const RV_REAL *w, int64_t n, RV_REAL decay, RV_REAL rate)
{
    for (int64_t i = 0; i < n; i++)
        u[i] = w[i] - rate * u[i] - (u[i] * w[i] >= 0 ? decay * w[i] : 0);
    return RV_FN(rv_finite)(u, n);
}

/* Rows (or columns) of x [rows, cols] divided by the root of v, the mean of their squares over
 * time; x then takes its length back. */
static void RV_FN(normalise)(const rv_muon_params *p, RV_REAL *x, int64_t rows, int64_t cols, RV_REAL *v)
{
    const bool along = by_rows(p->normalise, rows, cols), longer = p->normalise == RV_MUON_LONGER;
    const int64_t lines = along ? rows : cols, length = along ? cols : rows, stride = along ? cols : 1;
    const int64_t gap = along ? 1 : cols;
    double before = 0, after = 0;
    for (int64_t i = 0; i < lines; i++) {
        RV_REAL *line = x + i * stride;
        double sum = 0;
        for (int64_t j = 0; j < length; j++)
            sum += (double)line[j * gap] * (double)line[j * gap];
        const double mean = p->beta2 * (double)v[i] + (1 - p->beta2) * (sum / (double)length);
        v[i] = (RV_REAL)mean;
        const double factor = longer ? 1 / sqrt(fmax(mean, 1e-10)) : 1 / (sqrt(mean) + 1e-10);
        for (int64_t j = 0; j < length; j++)
            line[j * gap] *= (RV_REAL)factor;
        before += sum;
        after += sum * factor * factor;
    }
    const double back = sqrt(before) / (longer ? fmax(sqrt(after), 1e-10) : sqrt(after) + 1e-10);
    for (int64_t i = 0; i < rows * cols; i++)
        x[i] *= (RV_REAL)back;
}

/* One part of a tensor; the workspace: u, then what Newton-Schulz needs. */
static rv_fault RV_FN(muon)(const rv_run *run, const muon_args *a, int tensor, int part, int worker)
{
    const rv_muon_params *p = a->p;
    const rv_team team = rv_run_team(run, worker);
    int64_t rows, cols, slices;
    rv_part_matrix(&run->tensors[tensor], &rows, &cols);
    const int64_t n = rows * cols, at = part * n;
    const RV_REAL *g = (const RV_REAL *)run->g[tensor] + at;
    RV_REAL *w = (RV_REAL *)run->w[tensor] + at, *m = (RV_REAL *)rv_run_slot(run, tensor, 0) + at;
    RV_REAL *u = rv_run_workspace(run, worker);
    if (n == 0)
        return RV_FAULT_NONE;
    if (!RV_FN(rv_finite)(g, n))
        return RV_FAULT_GRADIENT;
    RV_FN(momentum)(m, u, g, n, p);
    RV_FN(rv_polar)(&team, (rv_polar)p->coefficients, u, rows, cols, (int)p->ns_steps, u + n);
    if (p->normalise != RV_MUON_AS_IT_IS) {
        seen_as(&run->tensors[tensor], p->kernel_scale, &slices, &rows, &cols);
        const int64_t lines = by_rows(p->normalise, rows, cols) ? rows : cols;
        RV_REAL *v = (RV_REAL *)rv_run_slot(run, tensor, 1) + part * slices * lines;
        for (int64_t i = 0; i < slices; i++)
            RV_FN(normalise)(p, u + i * rows * cols, rows, cols, v + i * lines);
    }
    const RV_REAL rate = (RV_REAL)(a->lr * scale_of(&run->tensors[tensor], p));
    const bool finite = p->decay == RV_MUON_CAUTIOUS
                            ? RV_FN(update_cautious)(u, w, n, (RV_REAL)(a->lr * a->lr * p->weight_decay), rate)
                            : RV_FN(update)(u, w, n, (RV_REAL)a->keep, rate);
    if (!finite)
        return RV_FAULT_UPDATE;
    memcpy(w, u, (size_t)n * sizeof *w);
    return RV_FAULT_NONE;
}

#endif
