/* SAM against SGD: every rate of one grid for both, the same number of steps, and for each the rate with the
 * lowest validation loss over all seeds. */
#include "studies/sam.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "ravine/probe.h"
#include "studies/bands.h"

enum { RATES = 7, METHODS = 2, LANCZOS = 20, SAMPLES = 20 };
static const double rates[RATES] = {0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6};
static const char *const names[METHODS] = {"SGD", "SGD with SAM"};

/* What is known of the runs of one method: [seed][rate]. */
typedef struct outcomes {
    double *validation, *top, *trace, *accuracy, *training;
} outcomes;

typedef struct comparison {
    rv_study_run *run;
    rv_objective *small, *full; /* trained on; probed */
    int64_t steps;
    double rho, from, to;
    float *w;
    outcomes method[METHODS];
    double *memory;
} comparison;

/* A run that diverges counts as an infinite loss and has no curvature. */
static rv_status one_run(comparison *c, int method, int rate, int seed, rv_error *err)
{
    char text[48], wrapper[48];
    int at = seed * RATES + rate;
    outcomes *o = &c->method[method];
    snprintf(text, sizeof text, "lr=%.17g", rates[rate]);
    snprintf(wrapper, sizeof wrapper, "sam(rho=%.17g)", c->rho);
    RV_TRY(rv_objective_init(c->small, (uint64_t)seed, c->w, err));
    rv_descent d = {.objective = c->small, .method = "sgd", .params = text, .wrappers = method ? wrapper : NULL, .seed = (uint64_t)seed,
                    .steps = c->steps};
    RV_TRY(rv_descend(&d, c->w, err));
    o->validation[at] = HUGE_VAL;
    o->top[at] = o->trace[at] = o->accuracy[at] = o->training[at] = NAN;
    if (d.diverged)
        return RV_OK;
    rv_probe_target probe = {.objective = c->full, .batches = 1};
    rv_ritz ritz[LANCZOS];
    rv_estimate trace;
    int made;
    RV_TRY(rv_probe_lanczos(&probe, c->w, 0, 0, LANCZOS, ritz, &made, err));
    RV_TRY(rv_probe_trace(&probe, c->w, 1, SAMPLES, &trace, err));
    RV_TRY(rv_probe_gradient(&probe, c->w, NULL, &o->training[at], err));
    o->top[at] = ritz[made - 1].value;
    o->trace[at] = trace.mean;
    RV_TRY(rv_study_evaluate(c->full, c->w, RV_SPLIT_VALIDATION, "loss", &o->validation[at], err));
    return rv_study_evaluate(c->full, c->w, RV_SPLIT_TEST, "accuracy", &o->accuracy[at], err);
}

static rv_status all_runs(comparison *c, rv_error *err)
{
    int done = 0, all = c->run->seeds * RATES * METHODS;
    for (int s = 0; s < c->run->seeds; s++)
        for (int r = 0; r < RATES; r++)
            for (int m = 0; m < METHODS; m++, done++) {
                RV_TRY(rv_study_progress(c->run, c->from + (c->to - c->from) * done / all, "%s, lr %g, seed %d", names[m], rates[r], s));
                RV_TRY(one_run(c, m, r, s, err));
            }
    return RV_OK;
}

/* The rate with the lowest mean validation loss over seeds. */
static int best_rate(const comparison *c, int method)
{
    int best = 0;
    double lowest = HUGE_VAL;
    for (int r = 0; r < RATES; r++) {
        double mean = 0;
        for (int s = 0; s < c->run->seeds; s++)
            mean += c->method[method].validation[s * RATES + r] / c->run->seeds;
        if (mean < lowest) {
            lowest = mean;
            best = r;
        }
    }
    return best;
}

static void judge(comparison *c)
{
    rv_study_run *run = c->run;
    int best[METHODS] = {best_rate(c, 0), best_rate(c, 1)};
    double mean = 0, squares = 0;
    for (int s = 0; s < run->seeds; s++) {
        const outcomes *sgd = &c->method[0], *sam = &c->method[1];
        int a = s * RATES + best[0], b = s * RATES + best[1];
        double difference = sam->accuracy[b] - sgd->accuracy[a];
        rv_study_measure(run, "sam_flatter", sam->top[b] / sgd->top[a]);
        rv_study_measure(run, "sam_trace", sam->trace[b] / sgd->trace[a]);
        rv_study_measure(run, "sam_same_rate", sam->top[a] / sgd->top[a]);
        rv_study_note(run, "Seed %d, SAM against SGD: lambda_max %.2f and %.2f, trace %.1f and %.1f, training loss %.2g and %.2g, test accuracy %.1f and %.1f %%.",
                      s, sam->top[b], sgd->top[a], sam->trace[b], sgd->trace[a], sam->training[b], sgd->training[a],
                      100 * sam->accuracy[b], 100 * sgd->accuracy[a]);
        mean += difference / run->seeds;
        squares += difference * difference / run->seeds;
    }
    double error = run->seeds > 1 ? sqrt(fmax(squares - mean * mean, 1e-12) / (run->seeds - 1)) : NAN;
    rv_study_measure(run, "sam_accuracy", mean / error);
    rv_study_reason(run, "sam_accuracy", "On a few hundred digits the difference is smaller than its standard error. The place is flatter and generalises no better: "
                    "the paper's gains are on large networks and tens of thousands of images.");
    rv_study_note(run, "SAM's test accuracy is %.2f points above SGD's, standard error %.2f. Rates by validation loss: SGD %g, SAM %g, of a grid from %g to %g.",
                  100 * mean, 100 * error, rates[best[0]], rates[best[1]], rates[0], rates[RATES - 1]);
}

static void draw(comparison *c)
{
    rv_figure *top = rv_study_figure(c->run, "sam-curvature", "SAM against SGD: curvature", "Largest eigenvalue where training ends, by learning rate; band: all seeds.",
                                     (rv_axis){.label = "learning rate", .log = true}, (rv_axis){.label = "λmax", .log = true});
    rv_figure *accuracy = rv_study_figure(c->run, "sam-accuracy", "SAM against SGD: test accuracy", "At the same points; band: all seeds.",
                                          (rv_axis){.label = "learning rate", .log = true}, (rv_axis){.label = "test accuracy"});
    for (int m = 0; m < METHODS; m++) {
        rv_seed_band(top, names[m], c->run->seeds, RATES, RATES, rates, c->method[m].top);
        rv_seed_band(accuracy, names[m], c->run->seeds, RATES, RATES, rates, c->method[m].accuracy);
    }
    rv_figure_half(top);
    rv_figure_half(accuracy);
}

static rv_status reserve(comparison *c, rv_error *err)
{
    size_t n = (size_t)c->run->seeds * RATES;
    c->memory = calloc(5 * METHODS * n, sizeof *c->memory);
    if (!c->memory)
        return rv_fail(err, RV_E_MEMORY, "no memory for the outcomes of SAM");
    for (int m = 0; m < METHODS; m++) {
        double *own = c->memory + 5 * n * (size_t)m;
        c->method[m] = (outcomes){own, own + n, own + 2 * n, own + 3 * n, own + 4 * n};
    }
    return RV_OK;
}

rv_status rv_study_sam(rv_study_run *run, const rv_digits *spec, rv_objective *full, int64_t steps, double rho,
                       double from, double to, rv_error *err)
{
    comparison c = {.run = run, .full = full, .steps = steps, .rho = rho, .from = from, .to = to, .w = rv_study_vector(full, err)};
    rv_status status = c.w ? reserve(&c, err) : RV_E_MEMORY;
    if (status == RV_OK)
        status = rv_digits_new(run, spec, RV_BACKEND_CPU, &c.small, err);
    if (status == RV_OK)
        status = all_runs(&c, err);
    if (status == RV_OK) {
        judge(&c);
        draw(&c);
    }
    rv_objective_free(c.small);
    free(c.memory);
    free(c.w);
    return status;
}
