/* Sharpness: the edge of stability, small against large batches, and the rescaling that makes any
 * minimum as sharp as one likes without changing the function. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measures/draw.h"
#include "ravine/probe.h"
#include "studies/sam.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                  \
    INT(images, 512, 64, 50000, 0, "digits to train on, a multiple of 64")                     \
    INT(width, 64, 4, 1024, 0, "of the two hidden layers")                                     \
    INT(steps, 4000, 100, 1000000, 0, "full-batch steps of the edge-of-stability runs")        \
    INT(small, 16, 1, 1024, 0, "images of a small mini-batch")                                 \
    REAL(lr, 0.1, 0, 10, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of the comparison of batch sizes")  \
    REAL(loss, 0.015, 0, 1, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "training loss at which batch sizes are compared") \
    INT(sam_steps, 3000, 10, 1000000, 0, "mini-batch steps of SGD with and without SAM")       \
    REAL(rho, 0.05, 0, 10, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of SAM; the paper's default")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "sharpness", params, PARAMS);

enum { RATES = 3, EVERY = 50, MOST = 4096, RITZ = 14, DENSITY = 30, STARTS = 5 };
static const double rates[RATES] = {0.2, 0.4, 0.6};

static const rv_claim claims[] = {
    {"edge_middle", "Full-batch gradient descent drives the sharpness up to 2 / lr and keeps it there", "mean lr x lambda_max over the last quarter, lr 0.4",
     "Cohen et al. 2021", 1.9, 2.2, RV_CLAIM_EVERY, true},
    {"edge_large", "at every learning rate", "mean lr x lambda_max over the last quarter, lr 0.6", "Cohen et al. 2021", 1.9, 2.2, RV_CLAIM_EVERY, true},
    {"sharpening", "Below the edge the sharpness rises on its own", "lambda_max over the last quarter / at the start, lr 0.2", "Cohen et al. 2021: progressive sharpening", 1.2, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"small_lr_sharper", "so on the edge a smaller learning rate ends in a sharper place", "lambda_max at the end, lr 0.4 / lr 0.6", "slide: large steps find wide minima", 1.3, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"batch", "At equal training loss a small batch has found a flatter place than the full batch", "lambda_max, small / full batch", "slide; Keskar et al. 2017",
     -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {"box", "also by Keskar's own measure", "box sharpness (epsilon 1e-3), small / full batch", "Keskar et al. 2017, metric 2.1", -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {"accuracy", "That it generalises better cannot be told from these seeds", "|mean difference of test accuracy| / standard error over seeds; below 2.78 for five",
     "control: small effects need many seeds", -HUGE_VAL, 2.78, RV_CLAIM_EVERY, true},
    {"sam_flatter", "SAM ends in a flatter place than SGD, each at its own best learning rate", "lambda_max, SAM / SGD; at most 0.9, for batch sizes alone make 0.93",
     "Foret et al. 2021, figure 3: 18.6 / 62.6", -HUGE_VAL, 0.9, RV_CLAIM_MEAN, true},
    {"sam_trace", "also by the trace of the Hessian", "trace, SAM / SGD", "Foret et al. 2021, section 4.2: the whole spectrum", -HUGE_VAL, 0.9, RV_CLAIM_MEAN, true},
    {"sam_same_rate", "and not because its rate is another one", "lambda_max, SAM / SGD, both at SGD's best rate", "control: a larger rate alone is flatter", -HUGE_VAL, 0.9,
     RV_CLAIM_MEAN, true},
    {"sam_accuracy", "and it generalises better, by more than chance", "mean difference of test accuracy / standard error over seeds; 2.78: 95 % of five",
     "Foret et al. 2021, table 1", 2.78, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"same_function", "Rescaling two layers (W1 x 10, W2 / 10) leaves the function unchanged", "largest |difference of losses|, float64", "Dinh et al. 2017, theorem 4",
     -HUGE_VAL, 1e-12, RV_CLAIM_EVERY, false},
    {"rescaled", "and multiplies the sharpness", "lambda_max after / before rescaling by 10", "Dinh et al. 2017: flatness is no property of the function", 10, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"filter_invariant", "A filter-normalised slice does not see it", "largest relative difference of the losses along one filter-normalised line", "Li et al. 2018, section 4",
     -HUGE_VAL, 1e-9, RV_CLAIM_EVERY, false},
    {"trace", "Two estimators of the trace agree", "|Hutchinson - Lanczos| / joint standard error", "control of the probes", -HUGE_VAL, 4, RV_CLAIM_MEAN, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

static rv_digits spec_of(const params *o, int64_t batch)
{
    return (rv_digits){.images = (int)o->images, .evaluate = 1000, .batch = batch, .width = (int)o->width, .depth = 2, .act = RV_ACT_TANH,
                       .bias = true, .squares = true, .gain = 1};
}

static rv_status sharpest(rv_objective *full, const void *w, double *value, rv_error *err)
{
    rv_ritz ritz[RITZ];
    int made;
    RV_TRY(rv_probe_lanczos(&(rv_probe_target){.objective = full, .batches = 1}, w, 0, 0, RITZ, ritz, &made, err));
    *value = ritz[made - 1].value;
    return RV_OK;
}

/* ---- the edge of stability ---------------------------------------------------------------- */

typedef struct trace {
    rv_objective *full;
    double lr;
    int count;
    double step[MOST], edge[MOST], loss[MOST]; /* edge: lr x lambda_max */
} trace;

static rv_status watch(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    trace *t = context;
    if (step % EVERY != 0 || isnan(loss) || t->count == MOST)
        return RV_OK;
    double value;
    RV_TRY(sharpest(t->full, w, &value, err));
    t->step[t->count] = (double)step;
    t->edge[t->count] = t->lr * value;
    t->loss[t->count++] = loss;
    return RV_OK;
}

static rv_status run_edge(const params *o, rv_objective *full, double lr, uint64_t seed, trace *t, rv_error *err)
{
    char text[48];
    *t = (trace){.full = full, .lr = lr};
    snprintf(text, sizeof text, "lr=%.17g", lr);
    float *w = rv_study_vector(full, err);
    rv_descent d = {.objective = full, .method = "sgd", .params = text, .seed = 0, .steps = o->steps, .observe = watch, .context = t};
    rv_status status = w ? rv_objective_init(full, seed, w, err) : RV_E_MEMORY;
    if (status == RV_OK)
        status = rv_descend(&d, w, err);
    free(w);
    return status;
}

static double late(const trace *t)
{
    double sum = 0;
    int from = t->count - t->count / 4 - 1;
    for (int i = from; i < t->count; i++)
        sum += t->edge[i] / (t->count - from);
    return sum;
}

/* The lowest curvature of a run, and the step where it stands. */
static double lowest(const trace *t, double *step)
{
    int least = 0;
    for (int i = 1; i < t->count; i++)
        least = t->edge[i] < t->edge[least] ? i : least;
    *step = t->step[least];
    return t->edge[least];
}

static rv_status edges(rv_study_run *run, const params *o, rv_objective *full, trace *t, rv_error *err)
{
    rv_figure *edge = rv_study_figure(run, "edge", "The edge of stability", "Largest curvature times learning rate under full-batch gradient descent; one line a seed. "
                                      "Above 2 a quadratic would diverge; the network stays on the edge.",
                                      (rv_axis){.label = "step"}, (rv_axis){"lr × λmax", false, 0, 3});
    rv_figure *loss = rv_study_figure(run, "edge-loss", "The loss meanwhile", "Not monotone on the edge, and falling all the same.",
                                      (rv_axis){.label = "step"}, (rv_axis){.label = "training loss", .log = true});
    rv_figure_mark(edge, 'y', 2, "2");
    for (int s = 0; s < run->seeds; s++) {
        double ends[RATES];
        for (int r = 0; r < RATES; r++) {
            char name[32];
            snprintf(name, sizeof name, "lr %g", rates[r]);
            RV_TRY(rv_study_progress(run, 0.7 * (s * RATES + r) / (run->seeds * RATES), "edge of stability, seed %d, %s", s, name));
            RV_TRY(run_edge(o, full, rates[r], (uint64_t)s, t, err));
            rv_figure_series(edge, name, RV_SERIES_LINE, t->count, t->step, t->edge);
            rv_figure_series(loss, name, RV_SERIES_LINE, t->count, t->step, t->loss);
            ends[r] = late(t);
            if (r == 0) {
                double step, least = lowest(t, &step);
                rv_study_measure(run, "sharpening", ends[0] / t->edge[0]);
                rv_study_note(run, "Seed %d, learning rate 0.2: the sharpness falls from %.2f to %.2f in %.0f steps and then rises to %.2f, %.2f times its lowest value.",
                              s, t->edge[0] / rates[0], least / rates[0], step, ends[0] / rates[0], ends[0] / least);
            }
        }
        rv_study_measure(run, "edge_middle", ends[1]);
        rv_study_measure(run, "edge_large", ends[2]);
        rv_study_measure(run, "small_lr_sharper", ends[1] / rates[1] / (ends[2] / rates[2]));
        rv_study_note(run, "Seed %d: at learning rate 0.2 the last quarter has lr x lambda_max = %.2f.", s, ends[0]);
    }
    rv_study_reason(run, "sharpening", "In the first steps the sharpness falls, by up to a fifth, before it rises; the claim compares with the start, not with that lowest value. "
                    "And at this learning rate the edge is not reached yet after these steps.");
    return RV_OK;
}

/* ---- small and full batches ------------------------------------------------------------------ */

typedef struct goal {
    rv_objective *full;
    double loss;
    bool reached;
    int64_t steps;
    float *w; /* weights when it was reached */
} goal;

/* Every so many steps, so that both batch sizes are looked at about equally often per example. */
static rv_status until(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    goal *g = context;
    (void)loss;
    double value;
    if (step % 20 != 0)
        return RV_OK;
    RV_TRY(rv_probe_gradient(&(rv_probe_target){.objective = g->full, .batches = 1}, w, NULL, &value, err));
    if (value > g->loss)
        return RV_OK;
    g->reached = true;
    g->steps = step;
    memcpy(g->w, w, (size_t)g->full->layout->size * sizeof *g->w);
    return RV_E_INTERRUPTED; /* ends the descent; seen by its caller alone */
}

static rv_status train_to(const params *o, rv_objective *trained, uint64_t seed, goal *g, rv_error *err)
{
    char text[48];
    snprintf(text, sizeof text, "lr=%.17g", o->lr);
    float *w = rv_study_vector(trained, err);
    rv_descent d = {.objective = trained, .method = "sgd", .params = text, .seed = seed, .steps = 40 * o->steps, .observe = until, .context = g};
    g->reached = false;
    rv_status status = w ? rv_objective_init(trained, seed, w, err) : RV_E_MEMORY;
    if (status == RV_OK)
        status = rv_descend(&d, w, err);
    free(w);
    if (status == RV_E_INTERRUPTED && g->reached)
        return RV_OK;
    return status != RV_OK ? status : rv_fail(err, RV_E_NUMERIC, "the training loss %g was not reached in %lld steps", g->loss, (long long)d.made);
}

static rv_status compare(rv_study_run *run, const params *o, rv_objective *small, goal *g, uint64_t seed, double *difference, rv_error *err)
{
    double top[2], box[2], accuracy[2];
    for (int k = 0; k < 2; k++) {
        RV_TRY(train_to(o, k ? g->full : small, seed, g, err));
        RV_TRY(sharpest(g->full, g->w, &top[k], err));
        RV_TRY(rv_probe_box_sharpness(&(rv_probe_target){.objective = g->full, .batches = 1}, g->w, 1e-3, 10, &box[k], err));
        RV_TRY(rv_study_evaluate(g->full, g->w, RV_SPLIT_TEST, "accuracy", &accuracy[k], err));
        rv_study_note(run, "Seed %d, batch %d: loss %g after %lld steps, lambda_max %.3f, box sharpness %.3f, test accuracy %.1f %%.", (int)seed,
                      (int)(k ? o->images : o->small), o->loss, (long long)g->steps, top[k], box[k], 100 * accuracy[k]);
    }
    rv_study_measure(run, "batch", top[0] / top[1]);
    rv_study_measure(run, "box", box[0] / box[1]);
    *difference = accuracy[0] - accuracy[1];
    return RV_OK;
}

static rv_status batches(rv_study_run *run, const params *o, rv_objective *full, rv_error *err)
{
    rv_digits spec = spec_of(o, o->small);
    rv_objective *small = NULL;
    double mean = 0, squares = 0;
    goal g = {.full = full, .loss = o->loss, .w = rv_study_vector(full, err)};
    rv_status status = g.w ? rv_digits_new(run, &spec, RV_BACKEND_CPU, &small, err) : RV_E_MEMORY;
    for (int s = 0; s < run->seeds && status == RV_OK; s++) {
        double difference = 0;
        status = rv_study_progress(run, 0.7 + 0.1 * s / run->seeds, "batch sizes, seed %d", s);
        if (status == RV_OK)
            status = compare(run, o, small, &g, (uint64_t)s, &difference, err);
        mean += difference / run->seeds;
        squares += difference * difference / run->seeds;
    }
    double error = run->seeds > 1 ? sqrt(fmax(squares - mean * mean, 1e-12) / (run->seeds - 1)) : NAN;
    rv_study_measure(run, "accuracy", fabs(mean) / error);
    rv_objective_free(small);
    free(g.w);
    return status;
}

/* ---- rescaling -------------------------------------------------------------------------------- */

static void scale_tensor(const rv_objective *o, double *w, const char *name, double factor)
{
    const rv_tensor *t = &o->layout->tensors[rv_layout_find(o->layout, name)];
    for (int64_t i = 0; i < rv_shape_size(&t->shape); i++)
        w[t->offset + i] *= factor;
}

static rv_status line_of(rv_objective *o, const double *w, double *f, rv_error *err)
{
    double x[11], *d = malloc((size_t)o->layout->size * sizeof *d);
    if (!d)
        return rv_fail(err, RV_E_MEMORY, "no memory for a direction");
    for (int i = 0; i < 11; i++)
        x[i] = (i - 5) / 5.0;
    rv_direction_draw(o, w, RV_DIRECTION_FILTER, 3, 0, d);
    rv_status status = rv_probe_slice(o, w, d, 11, x, NULL, 1, NULL, RV_SPLIT_TRAIN, "loss", f, err);
    free(d);
    return status;
}

/* ReLU(10 x) = 10 ReLU(x): the layers of a ReLU network trade a factor. */
static rv_status rescale(rv_study_run *run, rv_objective *o, uint64_t seed, double *w, rv_error *err)
{
    double before[11], after[11], most = 0, spread = 0, top[2];
    rv_descent d = {.objective = o, .method = "sgd", .params = "lr=0.1,momentum=0.9", .seed = seed, .steps = 60};
    RV_TRY(rv_objective_init(o, seed, w, err));
    RV_TRY(rv_descend(&d, w, err));
    RV_TRY(sharpest(o, w, &top[0], err));
    RV_TRY(line_of(o, w, before, err));
    scale_tensor(o, w, "hidden0.weight", 10);
    scale_tensor(o, w, "hidden0.bias", 10);
    scale_tensor(o, w, "hidden1.weight", 0.1);
    RV_TRY(sharpest(o, w, &top[1], err));
    RV_TRY(line_of(o, w, after, err));
    most = fabs(before[5] - after[5]); /* the middle is the point itself */
    for (int i = 0; i < 11; i++)
        spread = fmax(spread, fabs(after[i] / before[i] - 1));
    rv_study_measure(run, "same_function", most);
    rv_study_measure(run, "rescaled", top[1] / top[0]);
    rv_study_measure(run, "filter_invariant", spread);
    return RV_OK;
}

/* The spectrum at w: density with its error, and the trace by two routes. */
static rv_status spectrum(rv_study_run *run, rv_objective *o, const double *w, rv_error *err)
{
    rv_probe_target probe = {.objective = o, .batches = 1};
    rv_estimate hutchinson;
    rv_spectrum s;
    rv_status status = rv_probe_spectrum(&probe, w, 0, STARTS, DENSITY, &s, err);
    if (status == RV_OK)
        status = rv_probe_trace(&probe, w, 1, 20, &hutchinson, err);
    if (status == RV_OK) {
        rv_study_measure(run, "trace", fabs(s.trace.mean - hutchinson.mean) / hypot(s.trace.error, hutchinson.error));
        rv_draw_spectrum(rv_study_figure(run, "spectrum", "The spectrum of the Hessian", "Stochastic Lanczos quadrature, band: standard error over five starts. "
                                         "Most eigenvalues are near zero, a few stand apart.",
                                         (rv_axis){.label = "eigenvalue"}, (rv_axis){.label = "density", .log = true}), &s);
    }
    rv_spectrum_release(&s);
    return status;
}

static rv_status rescalings(rv_study_run *run, const params *o, rv_error *err)
{
    rv_objective *net = NULL;
    rv_digits spec = {.images = 128, .evaluate = 128, .batch = 128, .width = (int)o->width / 2, .depth = 2, .act = RV_ACT_RELU, .bias = true, .gain = sqrt(2)};
    rv_status status = rv_digits_new(run, &spec, RV_BACKEND_REF, &net, err);
    double *w = status == RV_OK ? rv_study_vector(net, err) : NULL;
    if (status == RV_OK && !w)
        status = RV_E_MEMORY;
    for (int s = 0; s < run->seeds && status == RV_OK; s++) {
        status = rescale(run, net, (uint64_t)s, w, err);
        scale_tensor(net, w, "hidden0.weight", 0.1);
        scale_tensor(net, w, "hidden0.bias", 0.1);
        scale_tensor(net, w, "hidden1.weight", 10);
        if (s == 0 && status == RV_OK)
            status = spectrum(run, net, w, err);
    }
    free(w);
    rv_objective_free(net);
    return status;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    rv_digits spec = spec_of(o, o->images);
    rv_objective *full = NULL;
    trace *t = malloc(sizeof *t);
    rv_status status = t ? rv_digits_new(run, &spec, RV_BACKEND_CPU, &full, err) : rv_fail(err, RV_E_MEMORY, "no memory for a trace");
    rv_study_reason(run, "box", "Seeds disagree: the largest rise of the loss within a small box counts its slope and higher orders beside the curvature, and is itself "
                    "found by a search that may stop short. By the largest curvature the small batch is flatter.");
    if (status == RV_OK)
        status = edges(run, o, full, t, err);
    if (status == RV_OK)
        status = batches(run, o, full, err);
    spec.batch = o->small;
    if (status == RV_OK)
        status = rv_study_sam(run, &spec, full, o->sam_steps, o->rho, 0.8, 0.98, err);
    if (status == RV_OK)
        status = rescalings(run, o, err);
    rv_objective_free(full);
    free(t);
    return status;
}

const rv_study rv_study_sharpness = {
    .name = "sharpness",
    .title = "Wide and narrow minima: measuring sharpness",
    .question = "Large learning rates and small batches find wide minima, and wide minima generalise. The first half can be measured; the word "
                "\"wide\" has a catch.",
    .method = "Perceptron with two hidden layers of 64 on 512 digits of 7 x 7 pixels. Edge of stability: tanh, mean squared error, full batch, sharpness by 14\n"
              "Lanczos steps every 50 steps. Batches: the same network and learning rate, batch 16 against all, compared where the loss of all images first\n"
              "falls below 0.015. SAM: SGD with batch 16 and 3000 steps for both (SAM's cost two gradients each), rho 0.05, seven rates from 0.025 to 1.6, for\n"
              "each the one with the lowest validation loss over all seeds. Rescaling: a ReLU network in float64. Box sharpness is sought by sign steps, not by L-BFGS-B: a lower bound.\n"
              "Mean squared error is the mean over images and classes.",
    .source = "Keskar et al. 2017; Foret et al. 2021; Dinh et al. 2017; Cohen et al. 2021; Li et al. 2018; Ghorbani et al. 2019",
    .cost = "3 min",
    .params = &table,
    .quick = "steps=200,images=128,width=16,loss=0.06,sam_steps=50",
    .seeds = 5,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
