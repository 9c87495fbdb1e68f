/* Double descent: polynomials of growing degree through fifty noisy points, and random features
 * of growing number on digits, both by least squares of least norm. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>

#include "studies/digits.h"
#include "studies/least_norm.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    INT(points, 50, 10, 200, 0, "equispaced points of the polynomial fit")                 \
    INT(degree, 100, 60, 400, 0, "highest degree")                                         \
    REAL(noise, 0.25, 0, 10, 0, "deviation of the noise on the points")                    \
    INT(images, 1000, 20, 5000, 0, "digits to train random features on")                    \
    INT(test, 1000, 50, 2000, 0, "digits to test on")                                      \
    REAL(sigma, 5, 0, 100, RV_PARAM_OPEN_LO, "random features are cos(v x + b), v of deviation 1 / sigma") \
    REAL(flipped, 0.1, 0, 1, 0, "share of wrong labels in the noisy variant")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "double-descent", params, PARAMS);

static const rv_claim claims[] = {
    {"peak", "The test error of the polynomial peaks where it begins to interpolate, at degree n - 1", "degree of the largest test error - (points - 1)",
     "slide; double_descent_visualization.ipynb", -5, 3, RV_CLAIM_EVERY, false},
    {"descent", "and falls again by many orders of magnitude", "test error at the peak / at the highest degree", "slide; 17 orders in the notebook",
     1e10, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"interpolates", "Past the threshold the training error is zero", "largest training error at degrees n + 5 and above", "n coefficients interpolate n points",
     -HUGE_VAL, 1e-8, RV_CLAIM_EVERY, false},
    {"classical", "The first minimum is at a low degree", "degree of the smallest test error below the threshold", "the classical U", 3, 12, RV_CLAIM_EVERY, true},
    {"second_not_better", "The second descent does not beat the first minimum", "lowest test error past the peak / lowest before", "control: the picture alone says nothing of that",
     1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"legendre", "Legendre polynomials descend a second time as well", "test error at the peak / at the highest degree", "control: another basis",
     1e8, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"monomials", "Monomials do not: the least norm depends on the basis", "test error at the highest degree / lowest before the threshold", "control: another basis",
     1e6, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"features_peak", "Random features peak where their number N is that of the examples n", "N / n at the largest test error", "Belkin et al. 2019, fig. 2",
     0.95, 1.1, RV_CLAIM_EVERY, true},
    {"features_height", "sharply", "test error at the peak / at N = 10 n", "Belkin et al. 2019, fig. 2", 3, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"features_win", "Here the second descent does beat the first minimum", "test error at N = 10 n / lowest for N up to n / 2", "slide; Belkin et al. 2019, fig. 2",
     -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {"norm", "The norm of the solution peaks with the error", "norm at N = n / at N = 10 n", "Belkin et al. 2019, fig. 2", 5, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"pairs", "Pairs of cos and sin count twice: their peak is at N = n / 2", "N / n at the largest test error, cos and sin", "control: columns count, not frequencies",
     0.45, 0.55, RV_CLAIM_EVERY, true},
    {"flipped_win", "Wrong labels do not undo it", "test error at N = 10 n / lowest for N up to n / 2, some labels wrong", "Belkin et al. 2019", -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* ---- polynomials ---------------------------------------------------------------------- */

enum { DEGREES = 401, TEST = 100, FINE = 201 };
typedef enum basis { CHEBYSHEV, LEGENDRE, MONOMIAL, BASES } basis;
static const char *const bases[] = {"Chebyshev", "Legendre", "monomials"};

/* column [i + k m] <- basis polynomial k at x[i], k = 0 ... degree, by the three-term recurrences. */
static void columns(basis kind, int m, const double *x, int degree, double *a)
{
    for (int i = 0; i < m; i++) {
        double before = 0, now = 1;
        for (int k = 0; k <= degree; k++) {
            a[i + k * m] = now;
            double next = kind == MONOMIAL || (kind == CHEBYSHEV && k == 0) ? x[i] * now
                          : kind == CHEBYSHEV ? 2 * x[i] * now - before
                                              : ((2 * k + 1) * x[i] * now - k * before) / (k + 1);
            before = now;
            now = next;
        }
    }
}

static double truth(double x)
{
    return sin(4.5 * x);
}

static double at_equal_steps(int i, int n)
{
    return -1 + 2.0 * i / (n - 1);
}

/* Everything of one fit by degree. */
typedef struct fits {
    int n, degree;
    double x[200], y[200];                /* the points */
    double train[DEGREES], test[DEGREES]; /* mean squared errors */
    double *a, *b, *c;                    /* columns at the points, at TEST and at FINE places */
    double *curve;                        /* [degree + 1][FINE], or NULL */
} fits;

static double squares(int m, int n, const double *a, const double *c, const double *target)
{
    double sum = 0;
    for (int i = 0; i < m; i++) {
        double value = 0;
        for (int k = 0; k < n; k++)
            value += a[i + k * m] * c[k];
        sum += (value - target[i]) * (value - target[i]) / m;
    }
    return sum;
}

static rv_status fit_all(fits *f, basis kind, rv_error *err)
{
    double at[FINE], wanted[TEST], coefficients[DEGREES];
    columns(kind, f->n, f->x, f->degree, f->a);
    for (int i = 0; i < TEST; i++) {
        at[i] = at_equal_steps(i, TEST);
        wanted[i] = truth(at[i]);
    }
    columns(kind, TEST, at, f->degree, f->b);
    for (int i = 0; i < FINE; i++)
        at[i] = at_equal_steps(i, FINE);
    columns(kind, FINE, at, f->degree, f->c);
    for (int d = 0; d <= f->degree; d++) {
        RV_TRY(rv_least_norm(f->n, d + 1, 1, f->a, f->y, 1e-15, coefficients, err));
        f->train[d] = squares(f->n, d + 1, f->a, coefficients, f->y);
        f->test[d] = squares(TEST, d + 1, f->b, coefficients, wanted);
        for (int i = 0; f->curve && i < FINE; i++) {
            double value = 0;
            for (int k = 0; k <= d; k++)
                value += f->c[i + k * FINE] * coefficients[k];
            f->curve[d * FINE + i] = value;
        }
    }
    return RV_OK;
}

static int arg(const double *x, int from, int to, bool largest)
{
    int best = from;
    for (int i = from; i <= to; i++)
        if (largest ? x[i] > x[best] : x[i] < x[best])
            best = i;
    return best;
}

static void judge_fit(rv_study_run *run, basis kind, const fits *f)
{
    int top = arg(f->test, 0, f->degree, true), first = arg(f->test, 0, f->n - 10, false);
    if (kind == CHEBYSHEV) {
        rv_study_measure(run, "peak", top - (f->n - 1));
        rv_study_measure(run, "descent", f->test[top] / f->test[f->degree]);
        rv_study_measure(run, "interpolates", f->train[arg(f->train, f->n + 5, f->degree, true)]);
        rv_study_measure(run, "classical", first);
        rv_study_measure(run, "second_not_better", f->test[arg(f->test, f->n, f->degree, false)] / f->test[first]);
    } else if (kind == LEGENDRE) {
        rv_study_measure(run, "legendre", f->test[top] / f->test[f->degree]);
    } else {
        rv_study_measure(run, "monomials", f->test[f->degree] / f->test[first]);
    }
}

static void draw_animation(rv_study_run *run, const fits *f)
{
    double at[FINE], right[FINE];
    for (int i = 0; i < FINE; i++) {
        at[i] = at_equal_steps(i, FINE);
        right[i] = truth(at[i]);
    }
    rv_figure *figure = rv_study_figure(run, "animation", "Polynomials through fifty points",
                                        "Least squares of least norm in the Chebyshev basis. Drag the slider: good at 5, wild at 49, calm again at 100.",
                                        (rv_axis){"x", false, -1, 1}, (rv_axis){"y", false, -2.5, 2.5});
    rv_figure_series(figure, "data", RV_SERIES_POINTS, f->n, f->x, f->y);
    rv_figure_series(figure, "truth", RV_SERIES_LINE, FINE, at, right);
    for (int d = 0; d <= f->degree; d++) {
        char label[48];
        snprintf(label, sizeof label, "degree %d", d);
        rv_figure_frame(figure, label);
        rv_figure_series(figure, "fit", RV_SERIES_LINE, FINE, at, f->curve + d * FINE);
    }
}

/* Geometric mean and extremes over seeds. */
static void draw_band(rv_figure *figure, const char *name, const double *values, int seeds, int n, const double *x)
{
    double mean[DEGREES], low[DEGREES], high[DEGREES];
    for (int i = 0; i < n; i++) {
        mean[i] = 0;
        low[i] = HUGE_VAL;
        high[i] = 0;
        for (int s = 0; s < seeds; s++) {
            double v = fmax(values[s * DEGREES + i], 1e-30);
            mean[i] += log(v) / seeds;
            low[i] = fmin(low[i], v);
            high[i] = fmax(high[i], v);
        }
        mean[i] = exp(mean[i]);
    }
    rv_figure_band(figure, name, n, x, mean, low, high);
}

static rv_status polynomials(rv_study_run *run, const params *o, fits *f, double *all, rv_error *err)
{
    double degree[DEGREES];
    double *curve = f->curve, *train = all + BASES * run->seeds * DEGREES;
    for (int i = 0; i <= f->degree; i++)
        degree[i] = i;
    for (int s = 0; s < run->seeds; s++) {
        for (int i = 0; i < f->n; i++) {
            f->x[i] = at_equal_steps(i, f->n);
            f->y[i] = truth(f->x[i]) + o->noise * rv_random_normal((rv_random){(uint64_t)s, RV_RANDOM_DATA, 0}, (uint64_t)i);
        }
        for (basis k = 0; k < BASES; k++) {
            f->curve = s == 0 && k == CHEBYSHEV ? curve : NULL;
            RV_TRY(fit_all(f, k, err));
            judge_fit(run, k, f);
            memcpy(all + (k * (unsigned)run->seeds + (unsigned)s) * DEGREES, f->test, sizeof f->test);
            if (k == CHEBYSHEV)
                memcpy(train + s * DEGREES, f->train, sizeof f->train);
            f->curve = curve;
            if (s == 0 && k == CHEBYSHEV)
                draw_animation(run, f);
        }
    }
    rv_figure *figure = rv_study_figure(run, "degrees", "Error by degree", "Geometric mean over seeds, band: all seeds. The height of the peak is set by rounding; its place is not.",
                                        (rv_axis){.label = "degree"}, (rv_axis){"mean squared error", true, 1e-5, 1e18});
    draw_band(figure, "training, Chebyshev", train, run->seeds, f->degree + 1, degree);
    for (basis k = 0; k < BASES; k++) {
        char name[48];
        snprintf(name, sizeof name, "test, %s", bases[k]);
        draw_band(figure, name, all + k * (unsigned)run->seeds * DEGREES, run->seeds, f->degree + 1, degree);
    }
    rv_figure_mark(figure, 'x', f->n - 1, "n − 1");
    return RV_OK;
}

static rv_status run_polynomials(rv_study_run *run, const params *o, rv_error *err)
{
    fits *f = calloc(1, sizeof *f);
    size_t columns_of = (size_t)o->degree + 1, tables = (size_t)run->seeds * (BASES + 1) * DEGREES;
    double *memory = malloc((columns_of * ((size_t)o->points + TEST + 2 * FINE) + tables) * sizeof *memory);
    rv_status status = f && memory ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for the fits");
    if (status == RV_OK) {
        f->n = (int)o->points;
        f->degree = (int)o->degree;
        f->a = memory;
        f->b = f->a + columns_of * (size_t)o->points;
        f->c = f->b + columns_of * TEST;
        f->curve = f->c + columns_of * FINE;
        status = polynomials(run, o, f, f->curve + columns_of * FINE, err);
    }
    free(memory);
    free(f);
    return status;
}

/* ---- random features -------------------------------------------------------------------- */

enum { CLASSES = 10, GRID = 21, PIXELS = 784, PAIRS_GRID = 20, BLOCK = 128 };
static const double grid[GRID] = {0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5, 2, 3, 5, 10};
typedef enum variant { COS, FLIPPED, PAIRS, VARIANTS } variant;
static const char *const variants[] = {"cos(vx + b)", "cos(vx + b), wrong labels", "cos and sin"};

typedef struct sample {
    int n, test;
    int64_t most;    /* columns */
    double *x;       /* [n + test, 784], pixels in [0, 1] */
    int32_t *label;  /* [n + test] */
    double *target;  /* [n, 10] column-major */
    double *a, *b;   /* features of the training [n, most] and of the test rows [test, most], column-major */
    double *c;       /* [most, 10] */
    double *scores;  /* [test, 10] column-major */
} sample;

/* Standardised pixels back to [0, 1]: every set has black and white ones. */
static void to_unit(double *x, int64_t n)
{
    double low = HUGE_VAL, high = -HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
    }
    for (int64_t i = 0; i < n; i++)
        x[i] = (x[i] - low) / (high - low);
}

/* n + test digits of the training split, drawn by the seed. */
static rv_status load(const rv_study_run *run, sample *t, uint64_t seed, rv_error *err)
{
    rv_source *source;
    RV_TRY(rv_digits_source(run, 10000, &source, err));
    int rows = t->n + t->test;
    int64_t all = source->examples[RV_SPLIT_TRAIN], *ids = malloc((size_t)rows * sizeof *ids);
    uint32_t *order = malloc((size_t)all * sizeof *order);
    rv_status status = ids && order && all >= rows ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory, or fewer than %d digits", rows);
    if (status == RV_OK) {
        rv_random_permutation((rv_random){seed, RV_RANDOM_ORDER, 0}, (uint32_t)all, order);
        for (int i = 0; i < rows; i++)
            ids[i] = order[i];
        source->fill(source, RV_SPLIT_TRAIN, ids, rows, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F64, (void *const[]){t->x, t->label});
        to_unit(t->x, (int64_t)rows * PIXELS);
    }
    rv_source_free(source);
    free(ids);
    free(order);
    return status;
}

/* One-hot targets, a share of them of another digit. */
static void set_targets(sample *t, uint64_t seed, double flipped)
{
    for (int i = 0; i < t->n; i++) {
        rv_random coin = {seed, RV_RANDOM_NOISE, (uint64_t)i};
        int32_t label = t->label[i];
        if (rv_random_uniform(coin, 0) < flipped)
            label = (label + 1 + (int32_t)rv_random_below(coin, 1, 9)) % CLASSES;
        for (int k = 0; k < CLASSES; k++)
            t->target[i + k * t->n] = k == label;
    }
}

/* Columns j ... j + count of both matrices: cos(v x + b), or cos and sin of one frequency in turn. */
static void block_of_features(sample *t, int64_t j, int count, bool pairs, double sigma, uint64_t seed, double *v)
{
    double shift[BLOCK];
    for (int k = 0; k < count; k++) {
        rv_random stream = {seed, RV_RANDOM_PROBE, (uint64_t)(pairs ? (j + k) / 2 : j + k)};
        for (int p = 0; p < PIXELS; p++)
            v[k * PIXELS + p] = rv_random_normal(stream, (uint64_t)p) / sigma;
        shift[k] = pairs ? -(double)((j + k) % 2) * acos(0) : 4 * acos(0) * rv_random_uniform(stream, PIXELS);
    }
    for (int side = 0; side < 2; side++) {
        int rows = side ? t->test : t->n;
        double *columns_of = (side ? t->b : t->a) + j * rows;
        cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, rows, count, PIXELS, 1, t->x + (side ? (int64_t)t->n * PIXELS : 0), PIXELS, v,
                    PIXELS, 0, columns_of, rows);
        for (int64_t i = 0; i < (int64_t)rows * count; i++)
            columns_of[i] = cos(columns_of[i] + shift[i / rows]);
    }
}

static rv_status draw_features(sample *t, bool pairs, double sigma, uint64_t seed, rv_error *err)
{
    double *v = malloc(BLOCK * PIXELS * sizeof *v);
    if (!v)
        return rv_fail(err, RV_E_MEMORY, "no memory for frequencies");
    for (int64_t j = 0; j < t->most; j += BLOCK)
        block_of_features(t, j, (int)(t->most - j < BLOCK ? t->most - j : BLOCK), pairs, sigma, seed, v);
    free(v);
    return RV_OK;
}

/* Test error (share of wrong digits) and norm of the solution with the first `count` columns. */
static rv_status fit_features(sample *t, int count, double *error, double *norm, rv_error *err)
{
    RV_TRY(rv_least_norm(t->n, count, CLASSES, t->a, t->target, -1, t->c, err));
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, t->test, CLASSES, count, 1, t->b, t->test, t->c, count, 0, t->scores, t->test);
    *norm = cblas_dnrm2(count * CLASSES, t->c, 1);
    *error = 0;
    for (int i = 0; i < t->test; i++) {
        int best = 0;
        for (int k = 1; k < CLASSES; k++)
            best = t->scores[i + k * t->test] > t->scores[i + best * t->test] ? k : best;
        *error += (best != t->label[t->n + i]) / (double)t->test;
    }
    return RV_OK;
}

static void judge_features(rv_study_run *run, variant v, const double *error, const double *norm)
{
    const int half = 6, one = 12, last = GRID - 1;
    double peak = grid[arg(error, 0, last, true)], first = error[arg(error, 0, half, false)];
    if (v == COS) {
        rv_study_measure(run, "features_peak", peak);
        rv_study_measure(run, "features_height", error[arg(error, 0, last, true)] / error[last]);
        rv_study_measure(run, "features_win", error[last] / first);
        rv_study_measure(run, "norm", norm[one] / norm[last]);
    } else if (v == PAIRS) {
        rv_study_measure(run, "pairs", peak);
    } else {
        rv_study_measure(run, "flipped_win", error[last] / first);
    }
}

/* One row of the grid: the error and the norm at every number of features. */
static rv_status sweep(rv_study_run *run, sample *t, variant v, int seed, double *error, double *norm, rv_error *err)
{
    int columns_each = v == PAIRS ? 2 : 1, points = v == PAIRS ? PAIRS_GRID : GRID;
    for (int g = 0; g < points; g++) {
        RV_TRY(fit_features(t, (int)lround(grid[g] * t->n) * columns_each, &error[g], &norm[g], err));
        RV_TRY(rv_study_progress(run, 0.1 + 0.9 * ((seed * VARIANTS + (int)v) * GRID + g) / (run->seeds * VARIANTS * GRID),
                                 "random features, seed %d", seed));
    }
    judge_features(run, v, error, norm);
    return RV_OK;
}

static void draw_sweeps(rv_study_run *run, const double *errors, const double *norms)
{
    rv_axis x = {.label = "features N / examples n", .log = true};
    rv_figure *figure = rv_study_figure(run, "features", "Random features on digits", "Share of wrong test digits, geometric mean over seeds and all seeds as a band.",
                                        x, (rv_axis){.label = "test error", .log = true});
    rv_figure *lengths = rv_study_figure(run, "norms", "The norm of the solution", "Where the error peaks, so does the norm of the coefficients.",
                                         x, (rv_axis){.label = "norm", .log = true});
    for (variant v = 0; v < VARIANTS; v++) {
        int points = v == PAIRS ? PAIRS_GRID : GRID;
        draw_band(figure, variants[v], errors + v * (unsigned)run->seeds * DEGREES, run->seeds, points, grid);
        draw_band(lengths, variants[v], norms + v * (unsigned)run->seeds * DEGREES, run->seeds, points, grid);
    }
    rv_figure_half(figure);
    rv_figure_half(lengths);
}

/* errors, norms [VARIANTS][seeds][DEGREES]; both label variants share their features. */
static rv_status sweep_all(rv_study_run *run, const params *o, sample *t, double *errors, double *norms, rv_error *err)
{
    for (int s = 0; s < run->seeds; s++) {
        RV_TRY(load(run, t, (uint64_t)s, err));
        for (variant v = 0; v < VARIANTS; v++) {
            size_t at = (v * (size_t)run->seeds + (size_t)s) * DEGREES;
            set_targets(t, (uint64_t)s, v == FLIPPED ? o->flipped : 0);
            if (v != FLIPPED)
                RV_TRY(draw_features(t, v == PAIRS, o->sigma, (uint64_t)s, err));
            RV_TRY(sweep(run, t, v, s, errors + at, norms + at, err));
        }
    }
    draw_sweeps(run, errors, norms);
    return RV_OK;
}

static rv_status run_features(rv_study_run *run, const params *o, rv_error *err)
{
    sample t = {.n = (int)o->images, .test = (int)o->test, .most = 10 * o->images};
    size_t n = (size_t)t.n, test = (size_t)t.test, most = (size_t)t.most, tables = (size_t)run->seeds * VARIANTS * DEGREES;
    double *memory = malloc(((n + test) * (PIXELS + most + CLASSES) + most * CLASSES + 2 * tables) * sizeof *memory);
    t.label = malloc((n + test) * sizeof *t.label);
    rv_status status = memory && t.label ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for %zu features", most);
    if (status == RV_OK) {
        t.x = memory;
        t.a = t.x + (n + test) * PIXELS;
        t.b = t.a + n * most;
        t.c = t.b + test * most;
        t.target = t.c + most * CLASSES;
        t.scores = t.target + n * CLASSES;
        status = sweep_all(run, o, &t, t.scores + test * CLASSES, t.scores + test * CLASSES + tables, err);
    }
    free(memory);
    free(t.label);
    return status;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    if (o->degree < o->points + 10)
        return rv_fail(err, RV_E_RANGE, "degree: at least points + 10 = %lld, found %lld", (long long)o->points + 10, (long long)o->degree);
    RV_TRY(run_polynomials(run, o, err));
    return run_features(run, o, err);
}

const rv_study rv_study_double_descent = {
    .name = "double-descent",
    .title = "Double descent, and when the second one wins",
    .question = "More parameters than points, and the test error falls a second time. For the polynomial of the slide it does, by many orders, "
                "without ever reaching the first minimum; for random features on digits it does.",
    .method = "Polynomials: 50 equispaced points on [-1, 1], sin(4.5 x) with noise 0.25, degrees 0 ... 100, pseudoinverse with cut-off 1e-15, noiseless\n"
              "test on 100 points. Random features: 1000 digits of 28 x 28 pixels in [0, 1], one-hot squared loss, cos(v x + b) with v of deviation 1/5, least norm,\n"
              "1000 other digits to test on. The height of a peak is limited by rounding; only its place and the order of the ends are claimed.",
    .source = "MerkulovDaniil/optim, double_descent_visualization.ipynb; Belkin, Hsu, Ma, Mandal 2019, Reconciling modern machine-learning practice",
    .cost = "1 min",
    .params = &table,
    .quick = "images=100,test=200",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
