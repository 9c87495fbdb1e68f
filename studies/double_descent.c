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
    INT(images, 400, 20, 5000, 0, "digits to train random features on")                    \
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

enum { CLASSES = 10, GRID = 21, PIXELS = 49 };
static const double grid[GRID] = {0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5, 2, 3, 5, 10};
typedef enum variant { COS, PAIRS, FLIPPED, VARIANTS } variant;
static const char *const variants[] = {"cos(vx + b)", "cos and sin", "cos(vx + b), 10 % wrong labels"};

typedef struct sample {
    int n, test;
    double *x;       /* [n + test, 49]: 4 x 4 means */
    int32_t *label;  /* [n + test] */
    double *target;  /* [n, 10] column-major */
    double *a;       /* features [rows, most], column-major: first of the training, then of the test rows */
    double *c;       /* [most, 10] */
} sample;

/* Digits number first ... of the training split (the test rows come after the training rows). */
static rv_status load(const rv_study_run *run, sample *t, uint64_t seed, double flipped, rv_error *err)
{
    rv_source *source;
    RV_TRY(rv_digits_source(run, 10000, &source, err));
    double *pixels = malloc(28 * 28 * sizeof *pixels);
    int64_t all = source->examples[RV_SPLIT_TRAIN];
    uint32_t *order = malloc((size_t)all * sizeof *order);
    if (!pixels || !order || all < t->n + t->test) {
        rv_source_free(source);
        free(pixels);
        free(order);
        return rv_fail(err, RV_E_MEMORY, "no memory, or fewer than %d digits", t->n + t->test);
    }
    rv_random_permutation((rv_random){seed, RV_RANDOM_ORDER, 0}, (uint32_t)all, order);
    for (int i = 0; i < t->n + t->test; i++) {
        int64_t id = order[i];
        source->fill(source, RV_SPLIT_TRAIN, &id, 1, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F64, (void *const[]){pixels, &t->label[i]});
        for (int p = 0; p < PIXELS; p++) {
            double sum = 0;
            for (int k = 0; k < 16; k++)
                sum += pixels[(p / 7 * 4 + k / 4) * 28 + p % 7 * 4 + k % 4] / 16;
            t->x[i * PIXELS + p] = sum;
        }
    }
    for (int i = 0; i < t->n; i++) {
        rv_random coin = {seed, RV_RANDOM_NOISE, (uint64_t)i};
        int32_t label = t->label[i];
        if (rv_random_uniform(coin, 0) < flipped)
            label = (label + 1 + (int32_t)rv_random_below(coin, 1, 9)) % CLASSES;
        for (int k = 0; k < CLASSES; k++)
            t->target[i + k * t->n] = k == label;
    }
    rv_source_free(source);
    free(pixels);
    free(order);
    return RV_OK;
}

/* Column j of the features of rows from ... of x: frequency j, or j / 2 with cos and sin in turn. */
static void features(const sample *t, int from, int rows, int count, bool pairs, double sigma, uint64_t seed, double *a)
{
    for (int j = 0; j < count; j++) {
        double v[PIXELS];
        rv_random stream = {seed, RV_RANDOM_PROBE, (uint64_t)(pairs ? j / 2 : j)};
        for (int p = 0; p < PIXELS; p++)
            v[p] = rv_random_normal(stream, (uint64_t)p) / sigma;
        double shift = pairs ? (j % 2) * -acos(-1) / 2 : 2 * acos(-1) * rv_random_uniform(stream, PIXELS);
        for (int i = 0; i < rows; i++) {
            double z = shift;
            for (int p = 0; p < PIXELS; p++)
                z += v[p] * t->x[(from + i) * PIXELS + p];
            a[i + (int64_t)j * rows] = cos(z);
        }
    }
}

/* Test error (share of wrong digits) and norm of the solution with `count` columns. */
static rv_status fit_features(sample *t, int count, bool pairs, double sigma, uint64_t seed, double *error, double *norm, rv_error *err)
{
    double *scores = malloc((size_t)t->test * CLASSES * sizeof *scores);
    if (!scores)
        return rv_fail(err, RV_E_MEMORY, "no memory for scores");
    features(t, 0, t->n, count, pairs, sigma, seed, t->a);
    rv_status status = rv_least_norm(t->n, count, CLASSES, t->a, t->target, 1e-15, t->c, err);
    if (status == RV_OK) {
        features(t, t->n, t->test, count, pairs, sigma, seed, t->a);
        cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, t->test, CLASSES, count, 1, t->a, t->test, t->c, count, 0, scores, t->test);
        *norm = cblas_dnrm2(count * CLASSES, t->c, 1);
        *error = 0;
        for (int i = 0; i < t->test; i++) {
            int best = 0;
            for (int k = 1; k < CLASSES; k++)
                best = scores[i + k * t->test] > scores[i + best * t->test] ? k : best;
            *error += (best != t->label[t->n + i]) / (double)t->test;
        }
    }
    free(scores);
    return status;
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

static rv_status sweep_features(rv_study_run *run, const params *o, sample *t, double *errors, double *norms, rv_error *err)
{
    for (int s = 0; s < run->seeds; s++)
        for (variant v = 0; v < VARIANTS; v++) {
            double *error = errors + (v * (unsigned)run->seeds + (unsigned)s) * DEGREES, *norm = norms + (v * (unsigned)run->seeds + (unsigned)s) * DEGREES;
            RV_TRY(load(run, t, (uint64_t)s, v == FLIPPED ? o->flipped : 0, err));
            for (int g = 0; g < GRID; g++) {
                int count = (int)lround(grid[g] * t->n) * (v == PAIRS ? 2 : 1);
                RV_TRY(fit_features(t, count, v == PAIRS, o->sigma, (uint64_t)s, &error[g], &norm[g], err));
                RV_TRY(rv_study_progress(run, 0.1 + 0.9 * ((s * VARIANTS + (int)v) * GRID + g) / (run->seeds * VARIANTS * GRID), "random features, seed %d", s));
            }
            judge_features(run, v, error, norm);
        }
    rv_figure *figure = rv_study_figure(run, "features", "Random features on digits", "Share of wrong test digits, geometric mean over seeds and all seeds as a band.",
                                        (rv_axis){.label = "features N / examples n", .log = true}, (rv_axis){.label = "test error", .log = true});
    rv_figure *lengths = rv_study_figure(run, "norms", "The norm of the solution", "Where the error peaks, so does the norm of the coefficients.",
                                         (rv_axis){.label = "features N / examples n", .log = true}, (rv_axis){.label = "norm", .log = true});
    for (variant v = 0; v < VARIANTS; v++) {
        draw_band(figure, variants[v], errors + v * (unsigned)run->seeds * DEGREES, run->seeds, GRID, grid);
        draw_band(lengths, variants[v], norms + v * (unsigned)run->seeds * DEGREES, run->seeds, GRID, grid);
    }
    rv_figure_half(figure);
    rv_figure_half(lengths);
    return RV_OK;
}

static rv_status run_features(rv_study_run *run, const params *o, rv_error *err)
{
    sample t = {.n = (int)o->images, .test = (int)o->test};
    size_t rows = (size_t)(t.n + t.test), most = 20 * (size_t)t.n, tall = (size_t)(t.n > t.test ? t.n : t.test), tables = (size_t)run->seeds * VARIANTS * DEGREES;
    double *memory = malloc((rows * PIXELS + (size_t)t.n * CLASSES + tall * most + most * CLASSES + 2 * tables) * sizeof *memory);
    t.label = malloc(rows * sizeof *t.label);
    rv_status status = memory && t.label ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for %zu features", most);
    if (status == RV_OK) {
        t.x = memory;
        t.target = t.x + rows * PIXELS;
        t.a = t.target + (size_t)t.n * CLASSES;
        t.c = t.a + tall * most;
        double *errors = t.c + most * CLASSES;
        status = sweep_features(run, o, &t, errors, errors + tables, err);
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
              "test on 100 points. Random features: 400 digits averaged to 7 x 7, one-hot squared loss, cos(v x + b) with v of deviation 1/5, least norm,\n"
              "1000 other digits to test on. The height of a peak is limited by rounding; only its place and the order of the ends are claimed.",
    .source = "MerkulovDaniil/optim, double_descent_visualization.ipynb; Belkin, Hsu, Ma, Mandal 2019, Reconciling modern machine-learning practice",
    .cost = "1 min",
    .params = &table,
    .quick = "images=100,test=200",
    .seeds = 5,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
