/* "An exponential learning rate schedule": for a scale-invariant loss, a constant learning rate
 * with weight decay and a growing one without are the same run, weight for weight up to scale. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "studies/digits.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                         \
    INT(steps, 1500, 200, 1000000, 0, "optimizer steps")                                              \
    REAL(lr, 0.1, 0, 10, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "constant learning rate of the first run")  \
    REAL(weight_decay, 0.005, 0, 1, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of the first run (L2)")         \
    INT(width, 32, 4, 1024, 0, "of the two hidden layers")                                            \
    INT(batch, 64, 8, 1024, 0, "images of a mini-batch")                                              \
    INT(images, 1000, 64, 60000, 0, "images to train on")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "exponential-lr", params, PARAMS);

static const rv_claim claims[] = {
    {"same", "Without momentum the two runs are one: equal losses at every step", "largest |difference of the mini-batch losses|, gamma = 0",
     "slide; Li, Arora 2020, theorem 2.1", -HUGE_VAL, 1e-10, RV_CLAIM_EVERY, false},
    {"weights", "and equal weights up to the predicted scale", "|w_exp| alpha^steps / |w_decay| - 1, gamma = 0", "Li, Arora 2020, theorem 2.1",
     -1e-9, 1e-9, RV_CLAIM_EVERY, false},
    {"momentum_start", "With momentum 0.9 they begin as one", "largest |difference|, first 50 steps, gamma = 0.9", "Li, Arora 2020, theorem 2.2",
     -HUGE_VAL, 1e-9, RV_CLAIM_EVERY, false},
    {"momentum_mean", "and agree on average to the end, however far rounding has grown", "mean loss of the last half, exponential / weight decay, gamma = 0.9",
     "Li, Arora 2020, theorem 2.2", 0.8, 1.25, RV_CLAIM_MEAN, true},
    {"correction", "The initial velocity matters: started from rest the second run is another run", "largest |difference|, first 50 steps, without the correction",
     "control: theta_-1 = alpha theta_0 is part of the theorem", 1e-6, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"unnormalised", "One layer without normalisation breaks the equivalence", "largest |difference|, gamma = 0, output layer not normalised",
     "control: scale invariance is the cause", 1e-3, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"growth", "The learning rate of the second run grows without bound", "lr at the last step / at the first, gamma = 0.9", "slide: exponentially increasing",
     1e4, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"paper", "At the paper's setting the factor is 4.5e13 over 80 epochs", "alpha^(-2 * 80 * 391), lr 0.1, gamma 0.9, weight decay 5e-4, relative to 4.5e13",
     "Li, Arora 2020, section 3 (PreResNet-32, CIFAR-10)", 0.97, 1.03, RV_CLAIM_EVERY, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* Larger root of x^2 - (1 + gamma - lr decay) x + gamma. */
static double root_of(double lr, double decay, double gamma)
{
    double b = 1 + gamma - lr * decay;
    return (b + sqrt(b * b - 4 * gamma)) / 2;
}

/* One run of a pair. */
typedef struct run_of {
    const params *o;
    double gamma, alpha;
    bool exponential, correct; /* correct: with the initial velocity of the theorem */
    const double *start;       /* weights [layout size] */
    const rv_layout *layout;
    double *loss;              /* [steps] */
    double norm;               /* of the last weights */
} run_of;

static double factor(const void *context, int64_t step)
{
    const run_of *r = context;
    return r->exponential ? pow(r->alpha, -2 * (double)step - 1) : 1;
}

/* theta_-1 = alpha theta_0: the buffer is (theta_-1 - theta_0) / lr_-1, lr_-1 = lr alpha. */
static void set_velocity(void *context, rv_optimizer *optimizer)
{
    run_of *r = context;
    rv_array arrays[64];
    int count = rv_optimizer_state(optimizer, arrays, 64);
    if (!r->exponential || !r->correct)
        return;
    for (int i = 0; i < count && i < 64; i++) {
        bool buffer = strncmp(arrays[i].name, "sgd.b.", 6) == 0;
        int tensor = buffer ? rv_layout_find(r->layout, arrays[i].name + 6) : -1;
        int64_t n = tensor < 0 ? 0 : rv_shape_size(&arrays[i].shape);
        double *b = arrays[i].data;
        for (int64_t k = 0; k < n; k++)
            b[k] = (r->alpha - 1) * r->start[r->layout->tensors[tensor].offset + k] / (r->o->lr * r->alpha);
    }
}

static rv_status observe(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    (void)err;
    run_of *r = context;
    if (step < r->o->steps)
        r->loss[step] = loss;
    r->norm = 0;
    for (int64_t i = 0; step == r->o->steps && i < r->layout->size; i++)
        r->norm += ((const double *)w)[i] * ((const double *)w)[i];
    r->norm = sqrt(r->norm);
    return RV_OK;
}

static rv_status go(rv_objective *objective, run_of *r, uint64_t seed, double *w, rv_error *err)
{
    char text[128];
    memcpy(w, r->start, (size_t)r->layout->size * sizeof *w);
    for (int64_t i = 0; i < r->o->steps; i++)
        r->loss[i] = NAN;
    snprintf(text, sizeof text, "lr=%.17g,momentum=%.17g,weight_decay=%.17g", r->o->lr, r->gamma,
             r->exponential ? 0 : r->o->weight_decay);
    rv_descent d = {.objective = objective, .method = "sgd", .params = text, .seed = seed, .steps = r->o->steps,
                    .factor = factor, .observe = observe, .prepare = set_velocity, .context = r};
    return rv_descend(&d, w, err);
}

/* Both runs from the same weights on the same mini-batches; loss [2][steps]. */
typedef struct pair {
    rv_objective *objective;
    double *start, *w, *loss;
    double norm[2], alpha;
} pair;

static rv_status run_pair(const params *o, pair *p, double gamma, bool correct, uint64_t seed, rv_error *err)
{
    p->alpha = root_of(o->lr, o->weight_decay, gamma);
    RV_TRY(rv_objective_init(p->objective, seed, p->start, err));
    for (int k = 0; k < 2; k++) {
        run_of r = {.o = o, .gamma = gamma, .alpha = p->alpha, .exponential = k == 1, .correct = correct, .start = p->start,
                    .layout = p->objective->layout, .loss = p->loss + k * o->steps};
        RV_TRY(go(p->objective, &r, seed, p->w, err));
        p->norm[k] = r.norm;
    }
    return RV_OK;
}

static double apart(const pair *p, int64_t stride, int64_t steps)
{
    double most = 0;
    for (int64_t i = 0; i < steps; i++) {
        double d = fabs(p->loss[i] - p->loss[stride + i]);
        most = isnan(d) || d > most ? d : most;
    }
    return most;
}

static double late_mean(const double *loss, int64_t steps)
{
    double sum = 0;
    for (int64_t i = steps / 2; i < steps; i++)
        sum += loss[i] / (double)(steps - steps / 2);
    return sum;
}

static void draw(rv_study_run *run, const params *o, const pair *p, const char *name, const char *title, const char *caption)
{
    enum { SHOWN = 500 };
    double x[SHOWN], y[2][SHOWN], gap[SHOWN];
    int64_t every = (o->steps + SHOWN - 1) / SHOWN, n = o->steps / every;
    for (int64_t i = 0; i < n; i++) {
        x[i] = (double)(i * every);
        for (int k = 0; k < 2; k++)
            y[k][i] = p->loss[k * o->steps + i * every];
        gap[i] = fmax(fabs(y[0][i] - y[1][i]), 1e-17);
    }
    rv_figure *figure = rv_study_figure(run, name, title, caption, (rv_axis){.label = "step"}, (rv_axis){.label = "mini-batch loss", .log = true});
    rv_figure_series(figure, "constant lr, weight decay", RV_SERIES_LINE, n, x, y[0]);
    rv_figure_series(figure, "exponential lr, no decay", RV_SERIES_LINE, n, x, y[1]);
    rv_figure_series(figure, "|difference|", RV_SERIES_LINE, n, x, gap);
    rv_figure_half(figure);
}

static void draw_rate(rv_study_run *run, const params *o)
{
    double x[101], y[2][101];
    rv_figure *figure = rv_study_figure(run, "rate", "The learning rate that replaces weight decay", "lr_t = lr alpha^(-2t - 1).",
                                        (rv_axis){.label = "step"}, (rv_axis){.label = "learning rate", .log = true});
    for (int k = 0; k < 2; k++) {
        double alpha = root_of(o->lr, o->weight_decay, k ? 0.9 : 0);
        for (int i = 0; i <= 100; i++) {
            x[i] = (double)o->steps * i / 100;
            y[k][i] = o->lr * pow(alpha, -2 * x[i] - 1);
        }
        rv_figure_series(figure, k ? "momentum 0.9" : "no momentum", RV_SERIES_LINE, 101, x, y[k]);
    }
}

static rv_status one_seed(rv_study_run *run, const params *o, pair *full, pair *head, uint64_t seed, rv_error *err)
{
    RV_TRY(run_pair(o, full, 0, true, seed, err));
    rv_study_measure(run, "same", apart(full, o->steps, o->steps));
    rv_study_measure(run, "weights", full->norm[1] * pow(full->alpha, (double)o->steps) / full->norm[0] - 1);
    if (seed == 0)
        draw(run, o, full, "plain", "Without momentum: one run, twice", "The difference of the losses is rounding.");
    RV_TRY(run_pair(o, full, 0.9, true, seed, err));
    rv_study_measure(run, "momentum_start", apart(full, o->steps, 50));
    rv_study_measure(run, "momentum_mean", late_mean(full->loss + o->steps, o->steps) / late_mean(full->loss, o->steps));
    if (seed == 0) {
        draw(run, o, full, "momentum", "With momentum 0.9", "The same run as far as rounding, which training amplifies, allows.");
        rv_study_measure(run, "growth", pow(full->alpha, -2 * (double)(o->steps - 1)));
        rv_study_note(run, "Momentum 0.9: |w| ends at %.3g with weight decay and %.3g with the exponential rate.", full->norm[0], full->norm[1]);
    }
    rv_study_note(run, "Seed %d, momentum 0.9: the losses of the two runs differ by at most %.2g over all steps.", (int)seed,
                  apart(full, o->steps, o->steps));
    RV_TRY(run_pair(o, full, 0.9, false, seed, err));
    rv_study_measure(run, "correction", apart(full, o->steps, 50));
    RV_TRY(run_pair(o, head, 0, true, seed, err));
    rv_study_measure(run, "unnormalised", apart(head, o->steps, o->steps));
    return rv_study_progress(run, (double)(seed + 1) / run->seeds, "seed %d", (int)seed);
}

static rv_status make_pair(rv_study_run *run, const params *o, int norm, pair *p, rv_error *err)
{
    rv_digits spec = {.images = (int)o->images, .evaluate = 500, .batch = o->batch, .width = (int)o->width, .depth = 2,
                      .act = RV_ACT_RELU, .norm = norm, .gain = sqrt(2)};
    RV_TRY(rv_digits_new(run, &spec, RV_BACKEND_REF, &p->objective, err));
    p->start = rv_study_vector(p->objective, err);
    p->w = rv_study_vector(p->objective, err);
    p->loss = calloc(2 * (size_t)o->steps, sizeof *p->loss);
    return p->start && p->w && p->loss ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for two runs");
}

static void release(pair *p)
{
    rv_objective_free(p->objective);
    free(p->start);
    free(p->w);
    free(p->loss);
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    pair full = {0}, head = {0};
    rv_status status = make_pair(run, o, 2, &full, err);
    if (status == RV_OK)
        status = make_pair(run, o, 1, &head, err);
    for (int s = 0; s < run->seeds && status == RV_OK; s++)
        status = one_seed(run, o, &full, &head, (uint64_t)s, err);
    if (status == RV_OK) {
        draw_rate(run, o);
        rv_study_measure(run, "paper", pow(root_of(0.1, 5e-4, 0.9), -2.0 * 80 * 391) / 4.5e13);
    }
    release(&full);
    release(&head);
    return status;
}

const rv_study rv_study_exponential_lr = {
    .name = "exponential-lr",
    .title = "An exponential learning rate is weight decay in disguise",
    .question = "With normalised layers, training with an exponentially growing learning rate and no weight decay is exactly training with a "
                "constant learning rate and weight decay.",
    .method = "Perceptron on 7 x 7 digits, batch norm without gain, shift and epsilon after every linear layer, the output included, so that the loss\n"
              "does not change when a weight matrix is scaled; SGD in float64; both runs see the same mini-batches.\n"
              "alpha is the larger root of x^2 - (1 + gamma - lr decay) x + gamma; the second run starts with the velocity for which\n"
              "theta_-1 = alpha theta_0. With momentum the equality is chaotic: rounding grows, so late losses are compared on average.",
    .source = "Li, Arora 2020, An Exponential Learning Rate Schedule for Deep Learning, arXiv 1910.07454",
    .cost = "1 min",
    .params = &table,
    .quick = "steps=200,width=16,batch=32,images=500",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
