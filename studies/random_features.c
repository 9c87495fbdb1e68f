/* Double descent of random features on digits: the case of Belkin et al. in which more features
 * than examples are better than any smaller number. */
#include <math.h>
#include <stdlib.h>

#include <cblas.h>

#include "studies/bands.h"
#include "studies/digits.h"
#include "studies/least_norm.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    INT(images, 1000, 20, 5000, 0, "digits to train on")                                   \
    INT(test, 1000, 50, 5000, 0, "digits to test on")                                      \
    REAL(sigma, 5, 0, 100, RV_PARAM_OPEN_LO, "features are cos(v x + b), v of deviation 1 / sigma, pixels in [0, 1]") \
    REAL(flipped, 0.1, 0, 1, 0, "share of wrong labels in the noisy variant")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "random-features", params, PARAMS);

static const rv_claim claims[] = {
    {"peak", "Random features peak where their number N is that of the examples n", "N / n at the largest test error", "Belkin et al. 2019, fig. 2",
     0.95, 1.1, RV_CLAIM_EVERY, true},
    {"height", "sharply", "test error at the peak / at N = 10 n", "Belkin et al. 2019, fig. 2", 3, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"win", "Here the second descent does beat the first minimum", "test error at N = 10 n / lowest for N up to n / 2", "slide; Belkin et al. 2019, fig. 2",
     -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {"norm", "The norm of the solution peaks with the error", "norm at N = n / at N = 10 n", "Belkin et al. 2019, fig. 2", 5, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"pairs", "Pairs of cos and sin count twice: their peak is at N = n / 2", "N / n at the largest test error, cos and sin", "control: columns count, not frequencies",
     0.45, 0.55, RV_CLAIM_EVERY, true},
    {"flipped_win", "Wrong labels do not undo it", "test error at N = 10 n / lowest for N up to n / 2, some labels wrong", "Belkin et al. 2019", -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

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

/* n + test digits, drawn by the seed. */
static rv_status load(const rv_study_run *run, sample *t, uint64_t seed, rv_error *err)
{
    int rows = t->n + t->test;
    RV_TRY(rv_digits_draw(run, seed, rows, t->x, t->label, err));
    to_unit(t->x, (int64_t)rows * PIXELS);
    return RV_OK;
}

/* One-hot targets, a share of them of another digit. */
static void set_targets(sample *t, uint64_t seed, double flipped)
{
    for (int i = 0; i < t->n; i++) {
        int32_t label = rv_digits_mislabel(t->label[i], seed, i, flipped);
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

static void judge(rv_study_run *run, variant v, const double *error, const double *norm)
{
    const int half = 6, one = 12, last = GRID - 1;
    double peak = grid[rv_extreme(error, 0, last, true)], first = error[rv_extreme(error, 0, half, false)];
    if (v == COS) {
        rv_study_measure(run, "peak", peak);
        rv_study_measure(run, "height", error[rv_extreme(error, 0, last, true)] / error[last]);
        rv_study_measure(run, "win", error[last] / first);
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
        RV_TRY(rv_study_progress(run, (double)((seed * VARIANTS + (int)v) * GRID + g) / (run->seeds * VARIANTS * GRID),
                                 "seed %d, %s", seed, variants[v]));
    }
    judge(run, v, error, norm);
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
        rv_seed_band(figure, variants[v], run->seeds, points, GRID, grid, errors + v * (unsigned)run->seeds * GRID);
        rv_seed_band(lengths, variants[v], run->seeds, points, GRID, grid, norms + v * (unsigned)run->seeds * GRID);
    }
    rv_figure_half(figure);
    rv_figure_half(lengths);
}

/* errors, norms [VARIANTS][seeds][GRID]; both label variants share their features. */
static rv_status sweep_all(rv_study_run *run, const params *o, sample *t, double *errors, double *norms, rv_error *err)
{
    for (int s = 0; s < run->seeds; s++) {
        RV_TRY(load(run, t, (uint64_t)s, err));
        for (variant v = 0; v < VARIANTS; v++) {
            size_t at = (v * (size_t)run->seeds + (size_t)s) * GRID;
            set_targets(t, (uint64_t)s, v == FLIPPED ? o->flipped : 0);
            if (v != FLIPPED)
                RV_TRY(draw_features(t, v == PAIRS, o->sigma, (uint64_t)s, err));
            RV_TRY(sweep(run, t, v, s, errors + at, norms + at, err));
        }
    }
    draw_sweeps(run, errors, norms);
    return RV_OK;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    sample t = {.n = (int)o->images, .test = (int)o->test, .most = 10 * o->images};
    size_t n = (size_t)t.n, test = (size_t)t.test, most = (size_t)t.most, tables = (size_t)run->seeds * VARIANTS * GRID;
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

const rv_study rv_study_random_features = {
    .name = "random-features",
    .title = "Double descent: more features than examples",
    .question = "The test error of least squares on random features peaks where there are as many features as examples, and beyond it falls below "
                "everything that fewer features reach.",
    .method = "1000 digits of 28 x 28 pixels in [0, 1], one-hot squared loss, N features cos(v x + b) with v of deviation 1/5, least norm; 1000 other digits\n"
              "to test on. With cos and sin of one frequency as two columns, and with a tenth of the labels wrong. The paper has 10,000 digits.",
    .source = "Belkin, Hsu, Ma, Mandal 2019, Reconciling modern machine-learning practice and the bias-variance trade-off",
    .cost = "1 min",
    .params = &table,
    .quick = "images=100,test=200",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
