/* Double descent of the lecture's animation: polynomials of growing degree through fifty noisy
 * points, by least squares of least norm. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "studies/bands.h"
#include "studies/least_norm.h"
#include "studies/study.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    INT(points, 50, 10, 200, 0, "equispaced points of the polynomial fit")                 \
    INT(degree, 100, 60, 400, 0, "highest degree")                                         \
    REAL(noise, 0.25, 0, 10, 0, "deviation of the noise on the points")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "double-descent", params, PARAMS);

static const rv_claim claims[] = {
    {"peak", "The test error of the polynomial peaks where it begins to interpolate, at degree n - 1", "degree of the largest test error - (points - 1)",
     "slide; double_descent_visualization.ipynb", -5, 3, RV_CLAIM_EVERY, false},
    {"descent", "and falls again by many orders of magnitude", "test error at the peak / at the highest degree", "slide; 17 orders in the notebook",
     1e10, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"interpolates", "Past the threshold the training error is zero", "largest training error at degrees n + 5 and above", "n coefficients interpolate n points",
     -HUGE_VAL, 1e-8, RV_CLAIM_EVERY, false},
    {"classical", "The first minimum is at a low degree", "degree of the smallest test error below the threshold", "the classical U", 3, 12, RV_CLAIM_EVERY, false},
    {"second_not_better", "The second descent does not beat the first minimum", "lowest test error past the peak / lowest before", "control: the picture alone says nothing of that",
     1, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"legendre", "Legendre polynomials descend a second time as well", "test error at the peak / at the highest degree", "control: another basis",
     1e8, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"monomials", "Monomials do not: the least norm depends on the basis", "test error at the highest degree / lowest before the threshold", "control: another basis",
     1e6, HUGE_VAL, RV_CLAIM_EVERY, false},
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

static void judge_fit(rv_study_run *run, basis kind, const fits *f)
{
    int top = rv_extreme(f->test, 0, f->degree, true), first = rv_extreme(f->test, 0, f->n - 10, false);
    if (kind == CHEBYSHEV) {
        rv_study_measure(run, "peak", top - (f->n - 1));
        rv_study_measure(run, "descent", f->test[top] / f->test[f->degree]);
        rv_study_measure(run, "interpolates", f->train[rv_extreme(f->train, f->n + 5, f->degree, true)]);
        rv_study_measure(run, "classical", first);
        rv_study_measure(run, "second_not_better", f->test[rv_extreme(f->test, f->n, f->degree, false)] / f->test[first]);
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
    rv_seed_band(figure, "training, Chebyshev", run->seeds, f->degree + 1, DEGREES, degree, train);
    for (basis k = 0; k < BASES; k++) {
        char name[48];
        snprintf(name, sizeof name, "test, %s", bases[k]);
        rv_seed_band(figure, name, run->seeds, f->degree + 1, DEGREES, degree, all + k * (unsigned)run->seeds * DEGREES);
    }
    rv_figure_mark(figure, 'x', f->n - 1, "n − 1");
    return RV_OK;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    if (o->degree < o->points + 10)
        return rv_fail(err, RV_E_RANGE, "degree: at least points + 10 = %lld, found %lld", (long long)o->points + 10, (long long)o->degree);
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

const rv_study rv_study_double_descent = {
    .name = "double-descent",
    .title = "Double descent: a polynomial calms down",
    .question = "Degree 5 fits, degree 49 goes wild, degree 100 is calm again: with more coefficients than points the test error falls a second "
                "time. By many orders, and yet never below its first minimum.",
    .method = "50 equispaced points on [-1, 1], sin(4.5 x) with noise 0.25, degrees 0 ... 100 in three bases, pseudoinverse with cut-off 1e-15, noiseless\n"
              "test on 100 points. The coefficients are those of least norm, so the result depends on the basis. The height of the peak is set by\n"
              "rounding; only its place and the order of the ends are claimed. For the case in which the second descent wins: random-features.",
    .source = "MerkulovDaniil/optim, double_descent_visualization.ipynb",
    .cost = "2 s",
    .params = &table,
    .quick = NULL,
    .seeds = 5,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
