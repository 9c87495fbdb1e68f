/* The algebra behind Muon and Shampoo: every identity of the slide against a singular value
 * decomposition in float64, and what Newton-Schulz really does to singular values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "optim/matrix/roots.h"
#include "optim/newton_schulz.h"
#include "ravine/optim.h"
#include "studies/study.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                          \
    INT(rows, 48, 2, 512, 0, "of the matrices")                        \
    INT(cols, 32, 2, 512, 0, "of the matrices; at most rows")          \
    INT(matrices, 20, 1, 10000, 0, "per seed; the worst one counts")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "muon-algebra", params, PARAMS);

static const rv_claim claims[] = {
    {"quarter_roots", "(GG')^(-1/4) G (G'G)^(-1/4) = UV'", "largest Frobenius norm of the difference, over matrices", "slide; Muon",
     -HUGE_VAL, 1e-8, RV_CLAIM_EVERY, false},
    {"half_root", "It is also G (G'G)^(-1/2): one root instead of two", "largest Frobenius norm of the difference", "polar decomposition",
     -HUGE_VAL, 1e-8, RV_CLAIM_EVERY, false},
    {"dual_norm", "UV' is the steepest descent direction in the spectral norm: <G, UV'> is the nuclear norm",
     "largest |<G, UV'> / sum of singular values - 1|", "Bernstein, Newhouse 2024", -HUGE_VAL, 1e-12, RV_CLAIM_EVERY, false},
    {"shampoo_first", "The first step of Shampoo without epsilon is UV'", "largest Frobenius norm of step / lr - UV', square G, epsilon 1e-30",
     "slide; Gupta et al. 2018", -HUGE_VAL, 1e-6, RV_CLAIM_EVERY, false},
    {"muon_first", "A step of Muon without momentum is the Newton-Schulz image of G, times sqrt(max(1, rows / cols))",
     "largest Frobenius norm of the difference", "Jordan et al. 2024", -HUGE_VAL, 1e-10, RV_CLAIM_EVERY, false},
    {"same_vectors", "Newton-Schulz keeps singular vectors: U' NS(G) V is diagonal", "largest off-diagonal Frobenius norm", "odd polynomial of G",
     -HUGE_VAL, 1e-10, RV_CLAIM_EVERY, false},
    {"band_low", "Five iterations bring relative singular values from 0.01 up above 0.68", "smallest image of [0.01, 1]", "slide: 0.68 to 1.13",
     0.68, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"band_high", "and none of them above 1.14", "largest image of [0.01, 1]", "slide: 0.68 to 1.13", -HUGE_VAL, 1.14, RV_CLAIM_EVERY, false},
    {"overshoot", "Values below 0.01 can leave that band upwards, to the polynomial's own maximum 1.2024", "largest image of [0, 1]",
     "control: maximum of 3.4445 x - 4.7750 x^3 + 2.0315 x^5", 1.195, 1.2024, RV_CLAIM_EVERY, false},
    {"not_polar", "The image is not UV': singular values stay apart by tenths", "largest - smallest image of [0.01, 1]", "control: Newton-Schulz is no polar factor",
     0.2, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"small_values", "Relative singular values below 0.001 do not get there", "image of 0.0001", "control: 3.4445^5 = 485", -HUGE_VAL, 0.1, RV_CLAIM_EVERY, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* Fortran's dgesvd: a [m, n] column-major is destroyed. */
extern void dgesvd_(const char *jobu, const char *jobvt, const int *m, const int *n, double *a, const int *lda, double *s,
                    double *u, const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork, int *info,
                    size_t jobu_length, size_t jobvt_length);

/* All matrices are row-major; m >= n. */
typedef struct bench {
    int m, n;
    double *g;        /* [m, n] */
    double *polar;    /* [m, n]: U V' */
    double *u, *v;    /* [m, n], [n, n]: columns are singular vectors */
    double *s;        /* [n] */
    double *left, *right; /* [m, m], [n, n] */
    double *a, *b;    /* scratch [m, m] */
    double *work;     /* doubles for LAPACK, inverse roots and Newton-Schulz */
    int lwork;
    double *memory;
} bench;

static rv_status reserve(bench *t, int m, int n, rv_error *err)
{
    size_t mm = (size_t)m * (size_t)m, mn = (size_t)m * (size_t)n, nn = (size_t)n * (size_t)n;
    size_t work = rv_root_size(m) + rv_newton_schulz_size(m, n) + 16 * (size_t)(m + n);
    *t = (bench){.m = m, .n = n, .lwork = (int)work};
    double *p = t->memory = calloc(4 * mm + 3 * mn + 2 * nn + (size_t)n + work, sizeof *p);
    if (!p)
        return rv_fail(err, RV_E_MEMORY, "no memory for %d x %d matrices", m, n);
    t->g = p, p += mn;
    t->polar = p, p += mn;
    t->u = p, p += mn;
    t->v = p, p += nn;
    t->s = p, p += n;
    t->left = p, p += mm;
    t->right = p, p += nn;
    t->a = p, p += mm;
    t->b = p, p += 2 * mm;
    t->work = p;
    return RV_OK;
}

/* c [m, n] = a b with either transposed. */
static void product(int m, int n, int k, const double *a, bool ta, const double *b, bool tb, double *c)
{
    cblas_dgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, m, n, k, 1, a, ta ? m : k, b,
                tb ? k : n, 0, c, n);
}

static double distance(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

/* g, and its decomposition: row-major [m, n] is column-major [n, m] = V S U'. */
static rv_status draw(bench *t, uint64_t seed, uint64_t index, rv_error *err)
{
    int info;
    for (int i = 0; i < t->m * t->n; i++)
        t->g[i] = rv_random_normal((rv_random){seed, RV_RANDOM_DATA, index}, (uint64_t)i);
    memcpy(t->a, t->g, (size_t)(t->m * t->n) * sizeof *t->g);
    /* of the transpose: its left vectors (columns, column-major) are rows of V', its right ones columns of U */
    dgesvd_("S", "S", &t->n, &t->m, t->a, &t->n, t->s, t->b, &t->n, t->u, &t->n, t->work, &t->lwork, &info, 1, 1);
    if (info != 0)
        return rv_fail(err, RV_E_NUMERIC, "no singular value decomposition (dgesvd %d)", info);
    for (int i = 0; i < t->n; i++)
        for (int j = 0; j < t->n; j++)
            t->v[i * t->n + j] = t->b[j * t->n + i]; /* column j of b is v_j */
    product(t->m, t->n, t->n, t->u, false, t->v, true, t->polar);
    return RV_OK;
}

/* root [n, n] <- (x' x)^-power or, on the left, (x x')^-power of g, on the space where they are not zero. */
static rv_status gram_root(bench *t, bool left, double power, double *root, rv_error *err)
{
    int n = left ? t->m : t->n;
    product(n, n, left ? t->n : t->m, t->g, !left, t->g, left, t->a);
    const rv_root how = {.solver = RV_ROOT_EIGEN, .perturb = RV_PERTURB_PSEUDO, .power = power};
    if (!rv_inverse_root(&how, t->a, n, root, t->work))
        return rv_fail(err, RV_E_NUMERIC, "no eigenvalues of a Gram matrix");
    return RV_OK;
}

/* The first step of a method from zero weights along gradient g, divided by -lr. */
static rv_status first_step(const bench *t, const char *method, const char *settings, double lr, double *step, rv_error *err)
{
    size_t size = (size_t)(t->m * t->n);
    double *w = calloc(size, sizeof *w);
    rv_tensor tensor = {.name = "w", .role = RV_ROLE_HIDDEN, .shape = RV_SHAPE(t->m, t->n)};
    rv_optimizer_options options = {.method = method, .params = settings, .dtype = RV_F64};
    rv_optimizer *optimizer = NULL;
    if (!w)
        return rv_fail(err, RV_E_MEMORY, "no memory for a step");
    rv_status status = rv_optimizer_new(&optimizer, &options, &tensor, 1, (const void *const[]){w}, err);
    if (status == RV_OK)
        status = rv_optimizer_step(optimizer, (void *const[]){w}, (const void *const[]){t->g}, err);
    for (size_t i = 0; i < size; i++)
        step[i] = -w[i] / lr;
    rv_optimizer_free(optimizer);
    free(w);
    return status;
}

/* The largest value of every claim over the matrices of a seed. */
typedef struct worst {
    double quarter, half, dual, shampoo, muon, vectors;
} worst;

static rv_status tall(bench *t, worst *w, rv_error *err)
{
    double sum = 0, inner = 0, off = 0;
    int64_t size = t->m * t->n;
    RV_TRY(gram_root(t, false, 0.5, t->right, err));
    product(t->m, t->n, t->n, t->g, false, t->right, false, t->a);
    w->half = fmax(w->half, distance(t->a, t->polar, size));
    for (int i = 0; i < t->n; i++)
        sum += t->s[i];
    for (int64_t i = 0; i < size; i++)
        inner += t->g[i] * t->polar[i];
    w->dual = fmax(w->dual, fabs(inner / sum - 1));
    memcpy(t->b, t->g, (size_t)size * sizeof *t->b);
    rv_newton_schulz_f64(NULL, t->b, t->m, t->n, 5, t->work);
    RV_TRY(first_step(t, "muon", "lr=0.1,momentum=0,weight_decay=0", 0.1, t->a, err));
    for (int64_t i = 0; i < size; i++)
        t->a[i] /= sqrt(fmax(1, (double)t->m / t->n));
    w->muon = fmax(w->muon, distance(t->a, t->b, size));
    product(t->n, t->n, t->m, t->u, true, t->b, false, t->a); /* U' NS(G) */
    product(t->n, t->n, t->n, t->a, false, t->v, false, t->right);
    for (int i = 0; i < t->n * t->n; i++)
        off += i % (t->n + 1) ? t->right[i] * t->right[i] : 0;
    w->vectors = fmax(w->vectors, sqrt(off));
    return RV_OK;
}

/* Both quarter roots exist for square matrices only. */
static rv_status square(bench *t, worst *w, rv_error *err)
{
    int n = t->n;
    RV_TRY(gram_root(t, true, 0.25, t->left, err));
    RV_TRY(gram_root(t, false, 0.25, t->right, err));
    product(n, n, n, t->left, false, t->g, false, t->b);
    product(n, n, n, t->b, false, t->right, false, t->a);
    w->quarter = fmax(w->quarter, distance(t->a, t->polar, n * n));
    RV_TRY(first_step(t, "shampoo", "lr=0.1,epsilon=1e-30,momentum=0,weight_decay=0", 0.1, t->a, err));
    w->shampoo = fmax(w->shampoo, distance(t->a, t->polar, n * n));
    return RV_OK;
}

/* A square Gaussian matrix may be nearly singular, and then 1e-8 is out of reach for any method
 * that forms G'G: its condition is kept below 1000 by lifting the small singular values. */
static void lift(bench *t)
{
    for (int i = 0; i < t->n; i++)
        for (int r = 0; r < t->n; r++)
            for (int c = 0; c < t->n && t->s[i] < 1e-3 * t->s[0]; c++)
                t->g[r * t->n + c] += (1e-3 * t->s[0] - t->s[i]) * t->u[r * t->n + i] * t->v[c * t->n + i];
}

static rv_status one_seed(rv_study_run *run, const params *o, int seed, bench *wide, bench *even, rv_error *err)
{
    worst w = {0};
    for (int k = 0; k < o->matrices; k++) {
        RV_TRY(draw(wide, (uint64_t)seed, (uint64_t)k, err));
        RV_TRY(tall(wide, &w, err));
        RV_TRY(draw(even, (uint64_t)seed, (uint64_t)(k + o->matrices), err));
        lift(even);
        RV_TRY(square(even, &w, err));
    }
    rv_study_measure(run, "quarter_roots", w.quarter);
    rv_study_measure(run, "half_root", w.half);
    rv_study_measure(run, "dual_norm", w.dual);
    rv_study_measure(run, "shampoo_first", w.shampoo);
    rv_study_measure(run, "muon_first", w.muon);
    rv_study_measure(run, "same_vectors", w.vectors);
    return rv_study_progress(run, (double)(seed + 1) / run->seeds, "seed %d", seed);
}

/* ---- the polynomial ----------------------------------------------------------------------- */

/* Five iterations on a single singular value: a diagonal 2 x 2 matrix whose norm is one. */
static double image(double x, int iterations)
{
    for (int k = 0; k < iterations; k++)
        x = 3.4445 * x - 4.7750 * x * x * x + 2.0315 * pow(x, 5);
    return x;
}

static void polynomial(rv_study_run *run)
{
    enum { N = 2000, SHOWN = 400 };
    double low = HUGE_VAL, high = 0, highest = 0, x[SHOWN], y[SHOWN];
    for (int i = 0; i <= N; i++) {
        double at = (double)i / N, f = image(at, 5);
        highest = fmax(highest, f);
        if (at >= 0.01) {
            low = fmin(low, f);
            high = fmax(high, f);
        }
    }
    rv_study_measure(run, "band_low", low);
    rv_study_measure(run, "band_high", high);
    rv_study_measure(run, "overshoot", highest);
    rv_study_measure(run, "not_polar", high - low);
    rv_study_measure(run, "small_values", image(1e-4, 5));
    rv_figure *figure = rv_study_figure(run, "newton-schulz", "What Newton–Schulz does to a singular value",
                                        "x is the singular value divided by the Frobenius norm of the matrix; the slider counts iterations. "
                                        "The coefficients are chosen for a steep start, not for convergence to 1.",
                                        (rv_axis){"relative singular value", true, 1e-4, 1}, (rv_axis){"after the iterations", false, 0, 1.3});
    for (int k = 1; k <= 10; k++) {
        char label[24];
        snprintf(label, sizeof label, "iteration %d", k);
        rv_figure_frame(figure, label);
        for (int i = 0; i < SHOWN; i++) {
            x[i] = pow(10, -4 + 4.0 * i / (SHOWN - 1));
            y[i] = image(x[i], k);
        }
        rv_figure_series(figure, "image of a singular value", RV_SERIES_LINE, SHOWN, x, y);
    }
    rv_figure_mark(figure, 'y', 0.68, "0.68");
    rv_figure_mark(figure, 'y', 1.13, "1.13");
}

/* The singular values of one matrix before and after. */
static void spectrum(rv_study_run *run, const bench *t)
{
    double index[512], before[512], after[512], norm = 0;
    for (int i = 0; i < t->n; i++)
        norm += t->s[i] * t->s[i];
    for (int i = 0; i < t->n; i++) {
        index[i] = i + 1;
        before[i] = t->s[i] / sqrt(norm);
        after[i] = image(before[i], 5);
    }
    rv_figure *figure = rv_study_figure(run, "spectrum", "The singular values of one Gaussian matrix", "Before (divided by the Frobenius norm) and after five iterations.",
                                        (rv_axis){.label = "index"}, (rv_axis){.label = "singular value"});
    rv_figure_series(figure, "G / |G|", RV_SERIES_BOTH, t->n, index, before);
    rv_figure_series(figure, "Newton–Schulz", RV_SERIES_BOTH, t->n, index, after);
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    bench wide = {0}, even = {0};
    if (o->cols > o->rows)
        return rv_fail(err, RV_E_RANGE, "cols must be at most rows (%lld), found %lld", (long long)o->rows, (long long)o->cols);
    rv_status status = reserve(&wide, (int)o->rows, (int)o->cols, err);
    if (status == RV_OK)
        status = reserve(&even, (int)o->cols, (int)o->cols, err);
    for (int s = 0; s < run->seeds && status == RV_OK; s++)
        status = one_seed(run, o, s, &wide, &even, err);
    if (status == RV_OK) {
        polynomial(run);
        spectrum(run, &wide);
        rv_study_note(run, "Square matrices have their singular values lifted to at least 1/1000 of the largest: forming G'G squares the "
                           "condition, and the identity then holds to about condition^2 x 1e-16.");
    }
    free(wide.memory);
    free(even.memory);
    return status;
}

const rv_study rv_study_muon_algebra = {
    .name = "muon-algebra",
    .title = "Muon and Shampoo: the algebra, checked",
    .question = "Shampoo without accumulation is (GG')^(-1/4) G (G'G)^(-1/4) = UV', and Muon computes UV' by Newton–Schulz. The first is an "
                "identity; the second is deliberately only roughly true.",
    .method = "Gaussian matrices in float64, 48 x 32 and 32 x 32, against LAPACK's singular value decomposition; optimizers through the registry.\n"
              "Quarter roots on both sides need a square invertible G. Newton-Schulz: five iterations with (3.4445, -4.7750, 2.0315).",
    .source = "Jordan et al. 2024, Muon; Gupta, Koren, Singer 2018, Shampoo; Bernstein, Newhouse 2024, Old Optimizer, New Norm",
    .cost = "1 s",
    .params = &table,
    .quick = "matrices=3",
    .seeds = 5,
    .quick_seeds = 2,
    .claims = claims,
    .run = run_study,
};
