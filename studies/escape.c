/* One-dimensional toys: ripples that stop gradient descent, noise that carries it on, wide and
 * narrow minima told apart by the learning rate, and Langevin dynamics. */
#include <math.h>
#include <stdio.h>

#include "studies/study.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    INT(walkers, 500, 10, 1000000, 0, "particles of a stochastic experiment, per seed")  \
    INT(langevin, 1000, 100, 10000000, 0, "steps of the Langevin experiment of the course") \
    INT(equilibrium, 20000, 100, 10000000, 0, "steps after which it is compared with Gibbs")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "escape", params, PARAMS);

static const rv_claim claims[] = {
    {"rippled", "Gradient descent stops in the first ripple", "x after 150 steps, |f'| < 1e-6 there; 0.8733 in an independent replay",
     "slide; SGD_1d_visualization.ipynb", 0.8732, 0.8734, RV_CLAIM_EVERY, false},
    {"local_minima", "The rippled bowl has six local minima on [-2, 2]", "sign changes of f' from - to +", "SGD_1d_visualization.ipynb",
     6, 6, RV_CLAIM_EVERY, false},
    {"escapes", "Noise on the gradient carries SGD to the global minimum", "share of walkers with |x| < 0.5 after 300 steps",
     "slide: \"SGD jumps out of local minima\"", 0.7, 0.9, RV_CLAIM_EVERY, true},
    {"not_all", "It is a matter of chance: some walkers leave the bowl for good", "share of walkers with |x| > 2.5 after 300 steps",
     "control: a probability, not a law", 1e-3, 0.1, RV_CLAIM_MEAN, true},
    {"narrow_small_lr", "From x = 2 a small learning rate finds the near, narrow minimum", "x after 150 steps at lr 0.1", "slide; SGD_1d_visualization.ipynb",
     -0.1, 0.1, RV_CLAIM_EVERY, false},
    {"wide_large_lr", "and a large one the wide minimum", "x after 75 steps at lr 12.9; 12.998 in an independent replay", "slide; SGD_1d_visualization.ipynb",
     12.99, 13.01, RV_CLAIM_EVERY, false},
    {"narrow_limit", "because the narrow one is unstable there", "12.9 x curvature of the narrow minimum; stable below 2", "stability: lr f'' < 2",
     2, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"wide_limit", "and the wide one is stable", "12.9 x curvature of the wide minimum", "stability: lr f'' < 2", -HUGE_VAL, 2, RV_CLAIM_EVERY, false},
    {"threshold", "2 / curvature is the learning rate at which the narrow minimum is lost", "smallest lr of a fine scan that leaves it / (2 / curvature)",
     "stability, measured", 0.97, 1.03, RV_CLAIM_EVERY, false},
    {"sam_gap", "A shift of the curve costs the narrow minimum far more than the wide one", "test - train gap, narrow / wide", "slide (SAM picture)",
     10, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"deeper_narrow", "although the narrow one is the deeper in training", "f(narrow) - f(wide) on the training curve", "control: depth misleads",
     -HUGE_VAL, 0, RV_CLAIM_EVERY, false},
    {"flow", "Without noise no walker crosses the barrier", "share of walkers that cross, gradient flow", "control: sigma = 0", 0, 0, RV_CLAIM_EVERY, false},
    {"langevin", "With noise about half have crossed after 1000 steps", "share of walkers left of the barrier", "stochastic_escape.py; 0.54 in an independent replay",
     0.47, 0.61, RV_CLAIM_EVERY, true},
    {"gibbs", "and in the long run the share is that of the Gibbs measure", "share left of the barrier / Gibbs share", "Gibbs density exp(-2V / sigma^2)",
     0.95, 1.05, RV_CLAIM_MEAN, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* ---- the curves ---------------------------------------------------------------------- */

/* A curve: f'(x) and, if value is not NULL, f(x). */
typedef double curve(double x, double *value);

/* g(x; m, s): minus the density of N(m, s^2); derivative. */
static double well(double x, double m, double s, double *value)
{
    double z = (x - m) / s, density = exp(-z * z / 2) / (s * sqrt(2 * acos(-1)));
    *value = -density;
    return density * z / s;
}

static double bowl(double x, double *value)
{
    double f, slope = well(x, 0, 1, &f);
    if (value)
        *value = f;
    return slope;
}

static double rippled(double x, double *value)
{
    double f, slope = well(x, 0, 1, &f), ripple = 1 + 0.07 * sin(15 * x);
    if (value)
        *value = f * ripple;
    return slope * ripple + f * 0.07 * 15 * cos(15 * x);
}

static double two_wells(double x, double *value)
{
    double narrow, wide, slope = well(x, 0, 0.9, &narrow) + 5 * well(x, 13, 5, &wide);
    if (value)
        *value = narrow + 5 * wide;
    return slope;
}

static double double_well(double x, double *value)
{
    if (value)
        *value = (x * x - 1) * (x * x - 1) + 0.15 * x;
    return 4 * x * (x * x - 1) + 0.15;
}

static double value_of(curve *f, double x)
{
    double value;
    f(x, &value);
    return value;
}

static double curvature(curve *f, double x)
{
    return (f(x + 1e-5, NULL) - f(x - 1e-5, NULL)) / 2e-5;
}

/* Newton on f' from a point near a minimum. */
static double minimum_near(curve *f, double x)
{
    for (int k = 0; k < 50; k++)
        x -= f(x, NULL) / curvature(f, x);
    return x;
}

/* x <- x - lr (f'(x) + sigma n), kept within +-bound; path [steps + 1] may be NULL. */
static double walk(curve *f, double x, double lr, double sigma, int64_t steps, rv_random noise, double bound, double *path)
{
    for (int64_t k = 0; k <= steps; k++) {
        if (path)
            path[k] = x;
        if (k == steps)
            break;
        double n = sigma > 0 ? rv_random_normal(noise, (uint64_t)k) : 0;
        x -= lr * (f(x, NULL) + sigma * n);
        x = fmin(fmax(x, -bound), bound);
    }
    return x;
}

static double descend(curve *f, double x, double lr, int64_t steps, double *path)
{
    return walk(f, x, lr, 0, steps, (rv_random){0}, HUGE_VAL, path);
}

/* ---- figures -------------------------------------------------------------------------- */

enum { CURVE = 400, PATH = 301 };

static void draw_curve(rv_figure *figure, const char *name, curve *f, double low, double high)
{
    double x[CURVE], y[CURVE];
    for (int i = 0; i < CURVE; i++) {
        x[i] = low + (high - low) * i / (CURVE - 1);
        y[i] = value_of(f, x[i]);
    }
    rv_figure_series(figure, name, RV_SERIES_LINE, CURVE, x, y);
}

/* The positions of a path on its curve, one frame a step. */
static void draw_frames(rv_figure *figure, curve *f, int paths, const char *const *names, const double *const *path,
                        const int64_t *steps)
{
    int64_t most = 0;
    for (int p = 0; p < paths; p++)
        most = steps[p] > most ? steps[p] : most;
    for (int64_t k = 0; k <= most; k++) {
        char label[32];
        snprintf(label, sizeof label, "step %lld", (long long)k);
        rv_figure_frame(figure, label);
        for (int p = 0; p < paths; p++) {
            double x = path[p][k < steps[p] ? k : steps[p]], y = value_of(f, x);
            rv_figure_series(figure, names[p], RV_SERIES_POINTS, 1, &x, &y);
        }
    }
}

/* ---- the experiments ------------------------------------------------------------------ */

static void ripples(rv_study_run *run)
{
    static double gd[PATH], smooth[PATH], sgd[PATH];
    int minima = 0;
    double x = descend(rippled, 1.9, 0.1, 150, gd), slope = rippled(x, NULL);
    rv_study_measure(run, "rippled", fabs(slope) < 1e-6 ? x : NAN);
    for (double at = -2; at < 2; at += 1e-3)
        minima += rippled(at, NULL) < 0 && rippled(at + 1e-3, NULL) >= 0;
    rv_study_measure(run, "local_minima", minima);
    descend(bowl, 1.9, 0.1, 150, smooth);
    walk(rippled, 1.9, 0.1, 0.9, 300, (rv_random){0, RV_RANDOM_NOISE, 0}, HUGE_VAL, sgd);
    rv_figure *figure = rv_study_figure(run, "ripples", "Ripples stop gradient descent, noise carries SGD on",
                                        "All from x = 1.9 at learning rate 0.1; SGD has gradient noise of deviation 0.9. One of many runs: "
                                        "the claims count them.", (rv_axis){"x", false, -3, 3}, (rv_axis){.label = "f"});
    draw_curve(figure, "rippled bowl", rippled, -3, 3);
    draw_frames(figure, rippled, 3, (const char *const[]){"GD", "GD on the bowl without ripples", "SGD"},
                (const double *const[]){gd, smooth, sgd}, (const int64_t[]){150, 150, 300});
}

static void noisy_ripples(rv_study_run *run, int64_t walkers)
{
    for (int s = 0; s < run->seeds; s++) {
        int64_t home = 0, lost = 0;
        for (int64_t k = 0; k < walkers; k++) {
            double x = walk(rippled, 1.9, 0.1, 0.9, 300, (rv_random){(uint64_t)s, RV_RANDOM_NOISE, (uint64_t)k}, HUGE_VAL, NULL);
            home += fabs(x) < 0.5;
            lost += fabs(x) > 2.5;
        }
        rv_study_measure(run, "escapes", (double)home / (double)walkers);
        rv_study_measure(run, "not_all", (double)lost / (double)walkers);
    }
}

/* Descent at learning rates past and below 2 / curvature, from beside the narrow minimum. */
static double lost_at(double narrow)
{
    double limit = 2 / curvature(two_wells, narrow);
    for (double factor = 0.9; factor < 1.2; factor += 1e-3) {
        double x = descend(two_wells, narrow + 1e-3, factor * limit, 5000, NULL);
        if (fabs(x - narrow) > 1e-3)
            return factor;
    }
    return NAN;
}

static void draw_rates(rv_study_run *run, double narrow)
{
    enum { N = 240 };
    static double lr[N], last[N];
    for (int i = 0; i < N; i++) {
        lr[i] = 0.1 * pow(1500, (double)i / (N - 1));
        last[i] = descend(two_wells, 2, lr[i], 500, NULL);
        last[i] = last[i] > -10 && last[i] < 30 ? last[i] : NAN;
    }
    rv_figure *figure = rv_study_figure(run, "rates", "Where gradient descent ends, by learning rate",
                                        "From x = 2, 500 steps. Below 2 / curvature a minimum holds; between the two limits only the wide one does. "
                                        "Bouncing in between is not noise: nothing here is random.",
                                        (rv_axis){.label = "learning rate", .log = true}, (rv_axis){.label = "x after 500 steps"});
    rv_figure_series(figure, "x", RV_SERIES_POINTS, N, lr, last);
    rv_figure_mark(figure, 'x', 2 / curvature(two_wells, narrow), "2 / curvature, narrow");
    rv_figure_mark(figure, 'x', 2 / curvature(two_wells, minimum_near(two_wells, 13)), "wide");
}

static void wells(rv_study_run *run)
{
    static double small[PATH], large[PATH];
    double narrow = minimum_near(two_wells, 0), wide = minimum_near(two_wells, 13);
    rv_study_measure(run, "narrow_small_lr", descend(two_wells, 2, 0.1, 150, small));
    rv_study_measure(run, "wide_large_lr", descend(two_wells, 2, 12.9, 75, large));
    rv_study_measure(run, "narrow_limit", 12.9 * curvature(two_wells, narrow));
    rv_study_measure(run, "wide_limit", 12.9 * curvature(two_wells, wide));
    rv_study_measure(run, "threshold", lost_at(narrow));
    double gap_narrow = value_of(two_wells, narrow - 1) - value_of(two_wells, narrow);
    double gap_wide = value_of(two_wells, wide - 1) - value_of(two_wells, wide);
    rv_study_measure(run, "sam_gap", gap_narrow / gap_wide);
    rv_study_measure(run, "deeper_narrow", value_of(two_wells, narrow) - value_of(two_wells, wide));
    rv_study_note(run, "Curvature %.4g (narrow, x = %.3f) and %.4g (wide, x = %.3f): learning rates are stable below %.3g and %.3g.",
                  curvature(two_wells, narrow), narrow, curvature(two_wells, wide), wide, 2 / curvature(two_wells, narrow),
                  2 / curvature(two_wells, wide));
    rv_figure *figure = rv_study_figure(run, "wells", "A narrow and a wide minimum",
                                        "Gradient descent from x = 2 without any noise: the learning rate chooses the minimum.",
                                        (rv_axis){"x", false, -6, 26}, (rv_axis){.label = "f"});
    draw_curve(figure, "narrow and wide", two_wells, -6, 26);
    draw_frames(figure, two_wells, 2, (const char *const[]){"lr 0.1", "lr 12.9"}, (const double *const[]){small, large},
                (const int64_t[]){150, 75});
    draw_rates(run, narrow);
}

/* ---- Langevin ------------------------------------------------------------------------- */

static const double DT = 0.012, SIGMA = 0.9, BOUND = 2.1;

/* The barrier between the wells: the local maximum of V near 0. */
static double barrier(void)
{
    return minimum_near(double_well, 0.04);
}

static double gibbs(double x)
{
    return exp(-2 * value_of(double_well, x) / (SIGMA * SIGMA));
}

static double gibbs_share(double left_of)
{
    double left = 0, all = 0;
    for (double x = -BOUND + 5e-4; x < BOUND; x += 1e-3) {
        left += x < left_of ? gibbs(x) : 0;
        all += gibbs(x);
    }
    return left / all;
}

/* dx = -V' dt + sigma dW, which is SGD with lr = dt and noise sigma / sqrt(dt). */
static double diffuse(double sigma, uint64_t seed, uint64_t walker, int64_t steps)
{
    rv_random stream = {seed, RV_RANDOM_NOISE, walker};
    double start = 1 + 0.05 * rv_random_normal((rv_random){seed, RV_RANDOM_DATA, walker}, 0);
    return walk(double_well, start, DT, sigma / sqrt(DT), steps, stream, BOUND, NULL);
}

static double share_left(double sigma, uint64_t seed, int64_t walkers, int64_t steps, double middle)
{
    int64_t left = 0;
    for (int64_t k = 0; k < walkers; k++)
        left += diffuse(sigma, seed, (uint64_t)k, steps) < middle;
    return (double)left / (double)walkers;
}

static void draw_langevin(rv_study_run *run, const params *o)
{
    enum { BINS = 42, FINE = 211 };
    double x[BINS], count[BINS] = {0}, at[FINE], density[FINE], all = 0, width = 2 * BOUND / BINS;
    for (int64_t k = 0; k < o->walkers; k++) {
        double place = (diffuse(SIGMA, 0, (uint64_t)k, o->equilibrium) + BOUND) / width;
        count[(int)fmin(fmax(place, 0), BINS - 1)] += 1 / ((double)o->walkers * width);
    }
    for (int i = 0; i < BINS; i++)
        x[i] = -BOUND + (i + 0.5) * width;
    for (int i = 0; i < FINE; i++) {
        at[i] = -BOUND + 2 * BOUND * i / (FINE - 1);
        density[i] = gibbs(at[i]);
        all += density[i] * 2 * BOUND / (FINE - 1);
    }
    for (int i = 0; i < FINE; i++)
        density[i] /= all;
    rv_figure *figure = rv_study_figure(run, "langevin", "Where the walkers are in the long run",
                                        "Langevin dynamics in V = (x² − 1)² + 0.15 x with σ = 0.9, all walkers started at x = 1, against the Gibbs density.",
                                        (rv_axis){.label = "x"}, (rv_axis){.label = "density"});
    rv_figure_series(figure, "walkers", RV_SERIES_BARS, BINS, x, count);
    rv_figure_series(figure, "Gibbs density", RV_SERIES_LINE, FINE, at, density);
}

static rv_status langevin(rv_study_run *run, const params *o)
{
    double middle = barrier(), expected = gibbs_share(middle);
    for (int s = 0; s < run->seeds; s++) {
        RV_TRY(rv_study_progress(run, 0.3 + 0.7 * s / run->seeds, "Langevin, seed %d", s));
        rv_study_measure(run, "flow", share_left(0, (uint64_t)s, o->walkers, o->langevin, middle));
        rv_study_measure(run, "langevin", share_left(SIGMA, (uint64_t)s, o->walkers, o->langevin, middle));
        rv_study_measure(run, "gibbs", share_left(SIGMA, (uint64_t)s, o->walkers, o->equilibrium, middle) / expected);
    }
    draw_langevin(run, o);
    rv_study_note(run, "Gibbs share left of the barrier (x = %.3f): %.3f.", middle, expected);
    return RV_OK;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    (void)err;
    const params *o = values;
    ripples(run);
    noisy_ripples(run, o->walkers);
    wells(run);
    return langevin(run, o);
}

const rv_study rv_study_escape = {
    .name = "escape",
    .title = "Local minima, wide and narrow: what escapes, and why",
    .question = "SGD jumps out of local minima, and a large learning rate finds wide minima. The first is a probability, the second "
                "a threshold: 2 / curvature.",
    .method = "Curves made of minus Gaussian densities, exact gradients with added noise where said.\n"
              "Rippled bowl: g(x; 0, 1)(1 + 0.07 sin 15x), from 1.9 at lr 0.1, noise 0.9. Two wells: g(x; 0, 0.9) + 5 g(x; 13, 5), from 2.\n"
              "SAM picture: the test curve is the training curve shifted by 1. Langevin: 500 walkers from 1 +- 0.05, dt 0.012, sigma 0.9,\n"
              "kept within +-2.1. A share over walkers is reported, never one run.",
    .source = "MerkulovDaniil/optim, SGD_1d_visualization.ipynb, docs/visualizations/sgd_scalar.md, stochastic_escape.py",
    .cost = "5 s",
    .params = &table,
    .quick = "walkers=100,equilibrium=2000",
    .seeds = 5,
    .quick_seeds = 2,
    .claims = claims,
    .run = run_study,
};
