/* "SGD diverges with any learning rate": on least squares it does not converge, which is
 * another thing.  Its stationary distance is predicted exactly and measured. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "studies/descend.h"
#include "studies/stationary.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                   \
    INT(steps, 60000, 1000, 100000000, 0, "steps of a run; the second half is averaged")        \
    INT(samples, 40000, 100, 10000000, 0, "mini-batches behind the prediction")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "least-squares", params, PARAMS);

enum { BATCHES = 4, RATES = 5, SHOWN = 300 };
static const int batches[BATCHES] = {1, 2, 10, 100};
static const double rates[RATES] = {0.01, 0.03, 0.1, 0.3, 1};

static const rv_claim claims[] = {
    {"gd", "Gradient descent at the same learning rate reaches machine precision", "f - f* of GD, lr 0.3, last step",
     "slide; sgd_divergence.md", -HUGE_VAL, 1e-15, RV_CLAIM_EVERY, false},
    {"sgd_stays", "SGD at that learning rate stays away from the minimum", "mean f - f* over the second half, batch 2, lr 0.3",
     "slide; sgd_divergence.md", 1e-4, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"bounded", "but it does not diverge: at no learning rate up to 1 does a run leave its ball",
     "largest mean f - f* over the second half, all batches and lr 0.01 ... 1", "sgd_divergence.md: \"it still reaches a neighbourhood\"",
     -HUGE_VAL, 0.1, RV_CLAIM_EVERY, false},
    {"prediction", "The ball has the size that the stationary covariance equation gives", "measured / predicted mean f - f*, mean over batches and rates",
     "S = E[(I - lr H_b) S (I - lr H_b)] + lr^2 Cov(g_b)", 0.95, 1.05, RV_CLAIM_MEAN, true},
    {"prediction_worst", "at every batch and learning rate", "largest |measured / predicted - 1| of the mean over seeds",
     "the same equation", -HUGE_VAL, 0.15, RV_CLAIM_EVERY, true},
    {"linear", "The distance is proportional to the learning rate", "plateau at lr 0.1 / at 0.01, batch 2", "small steps: lr/4 tr Cov(g_b)",
     9, 12, RV_CLAIM_MEAN, true},
    {"batch", "and inversely proportional to the batch", "plateau at batch 1 / at batch 2, lr 0.1; (N-1)/(N-2) * 2 = 2.02 expected",
     "small steps, drawn without replacement", 1.85, 2.2, RV_CLAIM_MEAN, true},
    {"true_divergence", "Past its limit it does diverge", "share of runs at 1.5 x the mean-square limit (batch 1) that exceed f = 1000", "the covariance equation has no solution",
     1, 1, RV_CLAIM_MEAN, true},
    {"interpolation", "Without noise in the targets the same constant step converges", "f - f* after the last step, noise 0, batch 2, lr 0.3",
     "control: sigma = 0 removes the cause", -HUGE_VAL, 1e-20, RV_CLAIM_EVERY, false},
    {"decay", "A decaying step converges", "mean f - f* over the last tenth, lr 1 / (1 + 0.05 k), batch 2, relative to constant lr 0.3",
     "sgd_divergence.md", -HUGE_VAL, 0.02, RV_CLAIM_EVERY, true},
    {"svrg", "Variance reduction converges with a constant step", "f - f* after the last step, SVRG, lr 0.3, batch 2", "Johnson, Zhang 2013; sgd_divergence.md",
     -HUGE_VAL, 1e-15, RV_CLAIM_EVERY, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* ---- runs --------------------------------------------------------------------------- */

typedef struct tail {
    const rv_quadratic *q;
    int64_t steps, from;
    double sum, count, last, highest;
    double *x, *y, *f; /* [SHOWN + 1] of the first steps, or NULL */
} tail;

static rv_status observe(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    (void)loss;
    (void)err;
    tail *t = context;
    t->last = rv_quadratic_excess(t->q, w);
    t->highest = fmax(t->highest, t->last);
    if (step >= t->from && step < t->steps) {
        t->sum += t->last;
        t->count += 1;
    }
    if (t->x && step <= SHOWN) {
        t->x[step] = ((const double *)w)[0];
        t->y[step] = ((const double *)w)[1];
        t->f[step] = fmax(t->last, 1e-18);
    }
    return RV_OK;
}

static double decaying(const void *context, int64_t step)
{
    (void)context;
    return 1 / (1 + 0.05 * (double)step);
}

/* Mean f - f* from step `from` on; infinite when the run leaves the finite numbers. */
static rv_status run_sgd(const rv_quadratic *q, double lr, bool decay, uint64_t seed, int64_t steps, tail *t, rv_error *err)
{
    double w[RV_QUADRATIC_VECTOR];
    char text[48];
    snprintf(text, sizeof text, "lr=%.17g", lr);
    t->q = q;
    t->steps = steps;
    rv_descent d = {.objective = q->o, .method = "sgd", .params = text, .seed = seed, .steps = steps,
                    .factor = decay ? decaying : NULL, .observe = observe, .context = t};
    RV_TRY(rv_objective_init(q->o, seed, w, err));
    RV_TRY(rv_descend(&d, w, err));
    if (d.diverged)
        t->sum = t->highest = HUGE_VAL;
    return RV_OK;
}

/* SVRG (Johnson, Zhang 2013, option I): the full gradient is taken anew every epoch of 50 batches. */
static rv_status run_svrg(const rv_quadratic *q, uint64_t seed, int64_t steps, double *last, rv_error *err)
{
    double w[RV_QUADRATIC_VECTOR], anchor[RV_QUADRATIC_VECTOR], g[RV_QUADRATIC_VECTOR], old[RV_QUADRATIC_VECTOR], loss;
    RV_TRY(rv_objective_init(q->o, seed, w, err));
    for (int64_t k = 0; k < steps; k++) {
        rv_batch batch = {.seed = seed, .step = (uint64_t)k, .parts = 1};
        for (int i = 0; k % 50 == 0 && i < RV_QUADRATIC_VECTOR; i++)
            anchor[i] = w[i];
        RV_TRY(rv_objective_value_grad(q->o, w, batch, g, &loss, err));
        RV_TRY(rv_objective_value_grad(q->o, anchor, batch, old, &loss, err));
        const double x = anchor[0] - q->best[0], y = anchor[1] - q->best[1], *h = q->hessian;
        w[0] -= 0.3 * (g[0] - old[0] + h[0] * x + h[1] * y);
        w[1] -= 0.3 * (g[1] - old[1] + h[2] * x + h[3] * y);
    }
    *last = rv_quadratic_excess(q, w);
    return RV_OK;
}

/* ---- the study ------------------------------------------------------------------------ */

typedef struct grid {
    double measured[BATCHES][RATES], predicted[BATCHES][RATES]; /* measured: mean over seeds */
    double *seeds; /* [BATCHES][RATES][seeds] */
} grid;

static rv_status measure_batch(rv_study_run *run, const params *o, const rv_quadratic *q, int b, grid *all, rv_error *err)
{
    rv_moments m;
    RV_TRY(rv_moments_sample(q, o->samples, &m, err));
    for (int r = 0; r < RATES; r++) {
        all->predicted[b][r] = rv_stationary_excess(q, &m, rates[r]);
        for (int s = 0; s < run->seeds; s++) {
            tail t = {.from = o->steps / 2};
            RV_TRY(run_sgd(q, rates[r], false, (uint64_t)s, o->steps, &t, err));
            all->seeds[(b * RATES + r) * run->seeds + s] = t.sum / t.count;
            all->measured[b][r] += t.sum / t.count / run->seeds;
        }
        RV_TRY(rv_study_progress(run, 0.9 * (b * RATES + r + 1) / (BATCHES * RATES), "batch %d, lr %g", batches[b], rates[r]));
    }
    for (int s = 0; batches[b] == 1 && s < run->seeds; s++) {
        tail t = {.from = o->steps / 2};
        RV_TRY(run_sgd(q, 1.5 * rv_stationary_limit(q, &m), false, (uint64_t)s, o->steps, &t, err));
        rv_study_measure(run, "true_divergence", t.highest > 1000);
    }
    if (batches[b] == 1)
        rv_study_note(run, "The mean-square limit of batch 1 is lr = %.3g; that of gradient descent, 2 / lambda_max, is %.3g.",
                      rv_stationary_limit(q, &m), 4 / (q->hessian[0] + q->hessian[3] + hypot(q->hessian[0] - q->hessian[3], 2 * q->hessian[1])));
    return RV_OK;
}

static void judge(rv_study_run *run, const grid *all)
{
    double worst = 0, highest = 0;
    for (int b = 0; b < BATCHES - 1; b++)
        for (int r = 0; r < RATES; r++) {
            worst = fmax(worst, fabs(all->measured[b][r] / all->predicted[b][r] - 1));
            for (int s = 0; s < run->seeds; s++)
                highest = fmax(highest, all->seeds[(b * RATES + r) * run->seeds + s]);
        }
    rv_study_measure(run, "bounded", highest);
    rv_study_measure(run, "prediction_worst", worst);
    for (int s = 0; s < run->seeds; s++) {
        const double *one = all->seeds + s;
        double mean = 0;
        for (int b = 0; b < BATCHES - 1; b++)
            for (int r = 0; r < RATES; r++)
                mean += one[(b * RATES + r) * run->seeds] / all->predicted[b][r] / ((BATCHES - 1) * RATES);
        rv_study_measure(run, "prediction", mean);
        rv_study_measure(run, "sgd_stays", one[(1 * RATES + 3) * run->seeds]);
        rv_study_measure(run, "linear", one[(1 * RATES + 2) * run->seeds] / one[(1 * RATES + 0) * run->seeds]);
        rv_study_measure(run, "batch", one[(0 * RATES + 2) * run->seeds] / one[(1 * RATES + 2) * run->seeds]);
    }
}

static void draw_grid(rv_study_run *run, const grid *all)
{
    rv_figure *figure = rv_study_figure(run, "plateaus", "How far SGD stays from the minimum",
                                        "Points: mean f - f* over the second half of a run, mean over seeds. Lines: the stationary "
                                        "covariance equation, without a fitted constant.",
                                        (rv_axis){.label = "learning rate", .log = true}, (rv_axis){.label = "mean f − f*", .log = true});
    for (int b = 0; b < BATCHES - 1; b++) {
        char name[32];
        snprintf(name, sizeof name, "batch %d", batches[b]);
        rv_figure_series(figure, name, RV_SERIES_LINE, RATES, rates, all->predicted[b]);
        rv_figure_series(figure, name, RV_SERIES_POINTS, RATES, rates, all->measured[b]);
    }
    rv_figure_half(figure);
}

/* One path over the level sets of f, and f - f* along it. */
static void draw_run(rv_figure *paths, rv_figure *values, const char *name, const tail *t)
{
    double step[SHOWN + 1];
    for (int i = 0; i <= SHOWN; i++)
        step[i] = i;
    rv_figure_series(paths, name, RV_SERIES_LINE, SHOWN + 1, t->x, t->y);
    rv_figure_series(values, name, RV_SERIES_LINE, SHOWN + 1, step, t->f);
}

static void draw_levels(rv_figure *figure, const rv_quadratic *q)
{
    enum { N = 61 };
    static double x[N], y[N], z[N * N];
    for (int i = 0; i < N; i++) {
        x[i] = 1.5 + 4.5 * i / (N - 1);
        y[i] = 1 + 4.0 * i / (N - 1);
    }
    for (int i = 0; i < N * N; i++)
        z[i] = rv_quadratic_excess(q, (double[]){x[i % N], y[i / N]}) + 1e-4;
    rv_figure_field(figure, "f − f*", true, N, x, N, y, z);
}

static rv_status draw_paths(rv_study_run *run, const rv_quadratic *gd, const rv_quadratic *sgd, rv_error *err)
{
    static const struct { const char *name; double lr; bool full, decay; } shown[] = {
        {"GD, lr 0.3", 0.3, true, false}, {"SGD, batch 2, lr 1", 1, false, false},
        {"SGD, batch 2, lr 0.1", 0.1, false, false}, {"SGD, batch 2, lr 1/(1+0.05k)", 1, false, true}};
    rv_figure *paths = rv_study_figure(run, "paths", "The first 300 steps",
                                       "Every mini-batch step heads for the minimum of another problem.",
                                       (rv_axis){"slope", false, 1.5, 6}, (rv_axis){"offset", false, 1, 5});
    rv_figure *values = rv_study_figure(run, "values", "Distance from the minimum", "The same runs.",
                                        (rv_axis){.label = "step"}, (rv_axis){.label = "f − f*", .log = true});
    draw_levels(paths, gd);
    rv_figure_trail(paths, "step", 1);
    rv_figure_half(values);
    for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++) {
        double x[SHOWN + 1], y[SHOWN + 1], f[SHOWN + 1];
        tail t = {.x = x, .y = y, .f = f};
        RV_TRY(run_sgd(shown[k].full ? gd : sgd, shown[k].lr, shown[k].decay, 0, SHOWN, &t, err));
        draw_run(paths, values, shown[k].name, &t);
    }
    return RV_OK;
}

/* The cures, each on its own, and the control. */
static rv_status cures(rv_study_run *run, const params *o, const rv_quadratic *q, const rv_quadratic *clean,
                       const double *constant, rv_error *err)
{
    for (int s = 0; s < run->seeds; s++) {
        double last;
        tail decayed = {.from = o->steps - o->steps / 10}, control = {.from = 0};
        RV_TRY(run_sgd(q, 1, true, (uint64_t)s, o->steps, &decayed, err));
        rv_study_measure(run, "decay", decayed.sum / decayed.count / constant[s]);
        RV_TRY(run_svrg(q, (uint64_t)s, o->steps, &last, err));
        rv_study_measure(run, "svrg", last);
        RV_TRY(run_sgd(clean, 0.3, false, (uint64_t)s, o->steps, &control, err));
        rv_study_measure(run, "interpolation", control.last);
    }
    return RV_OK;
}

static rv_status experiment(rv_study_run *run, const params *o, rv_quadratic *q, rv_quadratic *clean, grid *all, rv_error *err)
{
    for (int b = 0; b < BATCHES; b++)
        RV_TRY(rv_quadratic_open(run, batches[b], 0.2, &q[b], err));
    RV_TRY(rv_quadratic_open(run, 2, 0, clean, err));
    for (int b = 0; b < BATCHES - 1; b++)
        RV_TRY(measure_batch(run, o, &q[b], b, all, err));
    tail gd = {.from = 0};
    RV_TRY(run_sgd(&q[BATCHES - 1], 0.3, false, 0, o->steps, &gd, err));
    rv_study_measure(run, "gd", gd.last);
    judge(run, all);
    RV_TRY(draw_paths(run, &q[BATCHES - 1], &q[1], err));
    draw_grid(run, all);
    return cures(run, o, &q[1], clean, all->seeds + (1 * RATES + 3) * run->seeds, err);
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    rv_quadratic q[BATCHES] = {{0}}, clean = {0};
    grid all = {.seeds = calloc((size_t)(BATCHES * RATES * run->seeds), sizeof(double))};
    rv_status status = all.seeds ? experiment(run, values, q, &clean, &all, err)
                                 : rv_fail(err, RV_E_MEMORY, "no memory for %d seeds", run->seeds);
    for (int b = 0; b < BATCHES; b++)
        rv_objective_free(q[b].o);
    rv_objective_free(clean.o);
    free(all.seeds);
    return status;
}

const rv_study rv_study_least_squares = {
    .name = "least-squares",
    .title = "Does SGD diverge on least squares?",
    .question = "The slide says that SGD diverges with any learning rate on linear least squares. What it does is not to converge: "
                "it reaches a ball around the minimum whose size the learning rate sets.",
    .method = "100 points, x uniform on (-0.5, 0.5) with a constant column, targets with noise 0.2, f = |Xw - y|^2 / 2N, start (5.5, 1.5);\n"
              "mini-batches without replacement, float64. The plateau is a time average (the smallest value of a run can be tiny by luck).\n"
              "The prediction is the exact stationary covariance of the linear recursion; its moments come from sampled mini-batches.",
    .source = "MerkulovDaniil/optim, SGD_2d_visualization.ipynb and docs/visualizations/sgd_divergence.md",
    .cost = "20 s",
    .params = &table,
    .quick = "steps=4000,samples=4000",
    .seeds = 5,
    .quick_seeds = 2,
    .claims = claims,
    .run = run_study,
};
