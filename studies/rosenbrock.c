/* "A lot of them": four methods at one learning rate in Rosenbrock's valley, and what the
 * picture looks like when each method may choose its own. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ravine/probe.h"
#include "studies/descend.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                \
    INT(steps, 2000, 400, 1000000, 0, "iterations")                                          \
    REAL(lr, 0.003, 0, 10, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "learning rate of the picture")  \
    REAL(noise, 0, 0, 1000, 0, "deviation of the noise on each partial derivative")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "rosenbrock", params, PARAMS);

enum { METHODS = 5, FIELD = 121, SWEEP = 13, SHOWN = 400 };
static const struct {
    const char *method, *name, *rest; /* rest: parameters beside lr */
} methods[METHODS] = {
    {"fromage", "Fromage", ""},
    {"adamw", "AdamW", ",weight_decay=1e-4"},
    {"nag_gs", "NAG-GS", ",mu=150,gamma=150"},
    {"lion", "Lion", ",beta1=0.9,beta2=0.99,weight_decay=1e-3"},
    {"sgd", "GD", ""},
};
enum { FROMAGE, ADAMW, NAG_GS, LION, GD };

static const rv_claim claims[] = {
    {"adamw_slowest", "At learning rate 0.003 AdamW is the slowest of the four", "f of AdamW / largest f of the other three, last step",
     "slide; SG_animation.ipynb", 1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"adamw_last", "AdamW is where an independent float32 replay of the optax rules puts it", "f of AdamW after 2000 steps, relative to 0.2186",
     "replay of SG_animation.ipynb", 0.98, 1.02, RV_CLAIM_EVERY, true},
    {"fromage_last", "Fromage is where the replay puts it", "f of Fromage after 2000 steps, relative to 0.0145",
     "replay of SG_animation.ipynb", 0.98, 1.02, RV_CLAIM_EVERY, true},
    {"nag_gs_best", "NAG-GS reaches the neighbourhood of the minimum", "smallest f of NAG-GS", "SG_animation.ipynb",
     -HUGE_VAL, 1e-4, RV_CLAIM_EVERY, true},
    {"lion_best", "Lion reaches the neighbourhood of the minimum", "smallest f of Lion", "SG_animation.ipynb",
     -HUGE_VAL, 1e-4, RV_CLAIM_EVERY, true},
    {"lion_cycle", "Lion does not settle: its steps keep the size of the learning rate", "largest / smallest f of Lion over the last 200 steps",
     "sign methods have a limit cycle", 10, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"gd_limit", "Plain gradient descent cannot converge at 0.003", "learning rate x largest curvature at (1, 1)",
     "stability: below 2", 2, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"gd_unsettled", "and it does not", "largest f of GD over the last 200 steps", "stability", 1e-2, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"adamw_own_lr", "The ranking belongs to the learning rate: with its own, AdamW ends a hundred times lower",
     "f of AdamW at 0.003 / at the best of the sweep, last step", "control: one learning rate ranks nothing", 100, HUGE_VAL, RV_CLAIM_EVERY, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

typedef struct path {
    int64_t steps;
    double *x, *y, *f; /* [steps + 1] */
    double best, last, high, low; /* high, low: over the last 200 steps */
} path;

static double height(double x, double y)
{
    return (1 - x) * (1 - x) + 100 * (y - x * x) * (y - x * x);
}

static rv_status observe(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    (void)loss;
    (void)err;
    path *p = context;
    double x = ((const float *)w)[0], y = ((const float *)w)[1], f = height(x, y);
    p->x[step] = x;
    p->y[step] = y;
    p->f[step] = f;
    p->best = fmin(p->best, f);
    p->last = f;
    if (step > p->steps - 200) {
        p->high = fmax(p->high, f);
        p->low = fmin(p->low, f);
    }
    return RV_OK;
}

/* A run that leaves the finite numbers ends at infinity. */
static rv_status run_method(rv_objective *o, int method, double lr, int64_t steps, path *p, rv_error *err)
{
    char text[128];
    float w[16];
    *p = (path){steps, p->x, p->y, p->f, HUGE_VAL, HUGE_VAL, -HUGE_VAL, HUGE_VAL};
    for (int64_t i = 0; i <= steps; i++)
        p->x[i] = p->y[i] = p->f[i] = NAN;
    snprintf(text, sizeof text, "lr=%.17g%s", lr, methods[method].rest);
    rv_descent d = {.objective = o, .method = methods[method].method, .params = text, .steps = steps,
                    .observe = observe, .context = p};
    RV_TRY(rv_objective_init(o, 0, w, err));
    RV_TRY(rv_descend(&d, w, err));
    if (d.diverged)
        p->last = p->high = HUGE_VAL;
    return RV_OK;
}

static void draw_field(rv_figure *figure)
{
    static double x[FIELD], y[FIELD], z[FIELD * FIELD];
    for (int i = 0; i < FIELD; i++) {
        x[i] = -2 + 4.0 * i / (FIELD - 1);
        y[i] = -1 + 4.0 * i / (FIELD - 1);
    }
    for (int j = 0; j < FIELD; j++)
        for (int i = 0; i < FIELD; i++)
            z[j * FIELD + i] = fmax(height(x[i], y[j]), 1e-3);
    rv_figure_field(figure, "f", true, FIELD, x, FIELD, y, z);
}

static void thin(const double *from, int64_t every, int64_t n, double *to)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = from[i * every];
}

static void draw_paths(rv_study_run *run, const path *paths, int64_t steps, double lr)
{
    double x[SHOWN + 1], y[SHOWN + 1], f[SHOWN + 1], t[SHOWN + 1];
    char caption[256];
    int64_t every = (steps + SHOWN - 1) / SHOWN, n = steps / every + 1;
    snprintf(caption, sizeof caption, "All at learning rate %g from (0.1, 3); the star of the slide is at (1, 1). "
             "Press play, or drag the slider.", lr);
    rv_figure *paths_figure = rv_study_figure(run, "paths", "Five methods, one learning rate", caption,
                                              (rv_axis){"x", false, -2, 2}, (rv_axis){"y", false, -1, 3});
    rv_figure *curves = rv_study_figure(run, "values", "The function along the way",
                                        "Oscillation is part of the picture: sign steps keep their size.",
                                        (rv_axis){.label = "iteration"}, (rv_axis){.label = "f", .log = true});
    draw_field(paths_figure);
    rv_figure_trail(paths_figure, "iteration", (double)every);
    for (int m = 0; m < METHODS; m++) {
        for (int64_t i = 0; i < n; i++)
            t[i] = (double)(i * every);
        thin(paths[m].x, every, n, x);
        thin(paths[m].y, every, n, y);
        thin(paths[m].f, every, n, f);
        rv_figure_series(paths_figure, methods[m].name, RV_SERIES_LINE, n, x, y);
        rv_figure_series(curves, methods[m].name, RV_SERIES_LINE, n, t, f);
    }
    static const double star[] = {1};
    rv_figure_series(paths_figure, "minimum", RV_SERIES_POINTS, 1, star, star);
}

/* The last f of every method over learning rates 1e-4 ... 1; best[m] becomes its smallest. */
static rv_status sweep(rv_study_run *run, rv_objective *o, int64_t steps, path *scratch, double *best, rv_error *err)
{
    rv_figure *figure = rv_study_figure(run, "sweep", "The same race at other learning rates",
                                        "f after the last iteration. A gap is a run that left the finite numbers. "
                                        "A ranking at one learning rate is one vertical line of this picture.",
                                        (rv_axis){.label = "learning rate", .log = true},
                                        (rv_axis){.label = "f after the last iteration", .log = true});
    for (int m = 0; m < METHODS; m++) {
        double lr[SWEEP], last[SWEEP];
        for (int i = 0; i < SWEEP; i++) {
            lr[i] = pow(10, -4 + i / 3.0);
            RV_TRY(run_method(o, m, lr[i], steps, scratch, err));
            last[i] = scratch->last > 1e6 ? NAN : fmax(scratch->last, 1e-14);
            best[m] = fmin(best[m], scratch->last);
        }
        rv_figure_series(figure, methods[m].name, RV_SERIES_BOTH, SWEEP, lr, last);
        RV_TRY(rv_study_progress(run, 0.1 + 0.9 * (m + 1) / METHODS, "%s", methods[m].name));
    }
    return RV_OK;
}

/* The largest curvature at the minimum, by power iteration in float64. */
static rv_status curvature(rv_study_run *run, double *value, rv_error *err)
{
    rv_objective *o;
    double w[16] = {1, 1};
    rv_eigen top;
    RV_TRY(rv_study_objective(run, "rosenbrock", "", RV_BACKEND_REF, 0, &o, err));
    rv_status status = rv_probe_power(&(rv_probe_target){.objective = o, .batches = 1}, w, 0, 50, 1e-12, &top, err);
    *value = top.value;
    rv_objective_free(o);
    return status;
}

static void measure(rv_study_run *run, const path *p)
{
    double others = fmax(p[FROMAGE].last, fmax(p[NAG_GS].last, p[LION].last));
    rv_study_measure(run, "adamw_slowest", p[ADAMW].last / others);
    rv_study_measure(run, "adamw_last", p[ADAMW].last / 0.2186);
    rv_study_measure(run, "fromage_last", p[FROMAGE].last / 0.0145);
    rv_study_measure(run, "nag_gs_best", p[NAG_GS].best);
    rv_study_measure(run, "lion_best", p[LION].best);
    rv_study_measure(run, "lion_cycle", p[LION].high / p[LION].low);
    rv_study_measure(run, "gd_unsettled", p[GD].high);
}

static rv_status race(rv_study_run *run, const params *o, rv_objective *objective, path *paths, rv_error *err)
{
    double sharp, best[METHODS];
    for (int m = 0; m < METHODS; m++) {
        RV_TRY(run_method(objective, m, o->lr, o->steps, &paths[m], err));
        best[m] = paths[m].last;
    }
    measure(run, paths);
    draw_paths(run, paths, o->steps, o->lr);
    RV_TRY(curvature(run, &sharp, err));
    rv_study_measure(run, "gd_limit", o->lr * sharp);
    RV_TRY(sweep(run, objective, o->steps, &paths[METHODS], best, err));
    rv_study_measure(run, "adamw_own_lr", paths[ADAMW].last / best[ADAMW]);
    rv_study_note(run, "Best last f over the sweep: Fromage %.2g, AdamW %.2g, NAG-GS %.2g, Lion %.2g, GD %.2g.",
                  best[FROMAGE], best[ADAMW], best[NAG_GS], best[LION], best[GD]);
    rv_study_note(run, "There is no noise in the animation: \"stochastic\" names the family of methods. "
                       "--set noise=5 adds some.");
    return RV_OK;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    rv_objective *objective;
    path paths[METHODS + 1] = {{0}};
    char noise[64];
    size_t n = (size_t)o->steps + 1;
    double *memory = malloc((METHODS + 1) * 3 * n * sizeof *memory);
    if (!memory)
        return rv_fail(err, RV_E_MEMORY, "no memory for %lld steps", (long long)o->steps);
    for (size_t m = 0; m <= METHODS; m++) {
        paths[m].x = memory + 3 * m * n;
        paths[m].y = paths[m].x + n;
        paths[m].f = paths[m].y + n;
    }
    snprintf(noise, sizeof noise, "noise=%.17g", o->noise);
    rv_status status = rv_study_objective(run, "rosenbrock", noise, RV_BACKEND_CPU, 0, &objective, err);
    if (status == RV_OK) {
        status = race(run, o, objective, paths, err);
        rv_objective_free(objective);
    }
    free(memory);
    return status;
}

const rv_study rv_study_rosenbrock = {
    .name = "rosenbrock",
    .title = "Adaptive stochastic gradient algorithms in Rosenbrock's valley",
    .question = "Fromage, AdamW, NAG-GS and Lion at learning rate 0.003: AdamW is the one still far from the star after 2000 "
                "iterations. Is that about AdamW, or about 0.003?",
    .method = "f(x, y) = (1 - x)^2 + 100 (y - x^2)^2 from (0.1, 3), 2000 iterations in float32, exact gradients.\n"
              "AdamW with weight decay 1e-4 and Lion with 0.001, optax's defaults; NAG-GS with mu = gamma = 150.\n"
              "The sweep repeats the race at 13 learning rates from 1e-4 to 1. An illustration, not evidence.",
    .source = "MerkulovDaniil/optim, SG_animation.ipynb; Rosenbrock 1960. NAG-GS: Leplat, Merkulov, Katrutsa et al. 2022",
    .cost = "1 s",
    .params = &table,
    .quick = "steps=500",
    .seeds = 1,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
