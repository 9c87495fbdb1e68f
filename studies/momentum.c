/* Momentum and initialisation after Sutskever et al.: a deep sigmoid autoencoder, the schedule of momentum,
 * classical and Nesterov's, and sparse initialisation at three scales. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "studies/autoencoder.h"
#include "studies/bands.h"
#include "studies/descend.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    INT(steps, 20000, 200, 1000000, 0, "updates; the paper: 750,000")                             \
    INT(period, 50, 1, 100000, 0, "updates between two values of the momentum; the paper: 250")   \
    INT(settle, 1000, 0, 100000, 0, "last updates, with momentum 0.9 at most")                    \
    INT(batch, 100, 2, 1000, 0, "images of a mini-batch; the paper: 200")                         \
    INT(images, 1000, 100, 50000, 0, "to train on")                                               \
    INT(incoming, 15, 1, 100, 0, "weights of a unit that are not zero at the start")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "momentum", params, PARAMS);

static const rv_claim claims[] = {
    {"first", "With momentum up to 0.9 Nesterov's method gets further than plain SGD", "training error, NAG(0.9) / SGD, each at its best rate", "Sutskever et al. 2013, table 1: 0.16 / 0.48",
     -HUGE_VAL, 0.95, RV_CLAIM_EVERY, true},
    {"second", "and with momentum up to 0.99 further still", "training error, NAG(0.99) / NAG(0.9)", "Sutskever et al. 2013, table 1: 0.096 / 0.16", -HUGE_VAL, 0.95, RV_CLAIM_EVERY, true},
    {"classical", "Classical momentum does so as well", "training error, CM(0.99) / SGD", "Sutskever et al. 2013, table 1", -HUGE_VAL, 0.95, RV_CLAIM_EVERY, true},
    {"nesterov", "At a large momentum Nesterov's is no worse than the classical one", "training error, NAG(0.99) / CM(0.99)", "Sutskever et al. 2013, section 3", -HUGE_VAL, 1.05, RV_CLAIM_MEAN, true},
    {"large", "Initial weights four times too large spoil it", "training error of NAG(0.99), scale 4 / scale 1, each at its best rate", "Sutskever et al. 2013, table of scales", 2, HUGE_VAL, RV_CLAIM_MEAN, true},
    {"small", "and so do weights four times too small", "training error of NAG(0.99), scale 1/4 / scale 1, each at its best rate", "Sutskever et al. 2013, table of scales", 2, HUGE_VAL, RV_CLAIM_MEAN, true},
    {"schedule", "The schedule is min(1 - 1 / (2 (floor(t / period) + 1)), the largest)", "largest deviation from 1 - 2^(-1 - log2(floor(t / 250) + 1)) over 750,000 updates", "Sutskever et al. 2013, eq. 5",
     -HUGE_VAL, 1e-12, RV_CLAIM_EVERY, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* ---- what is compared ------------------------------------------------------------------------- */

typedef struct setting {
    const char *name;
    double largest, scale; /* momentum; of the initial weights */
    bool nesterov;
} setting;
enum { SGD, CM9, NAG9, CM99, NAG99, LARGE, SMALL, SETTINGS, RATES = 6, CURVE = 50, MOST_SEEDS = 64 };
static const setting settings[SETTINGS] = {
    {"SGD", 0, 1, false},           {"CM(0.9)", 0.9, 1, false},   {"NAG(0.9)", 0.9, 1, true},       {"CM(0.99)", 0.99, 1, false},
    {"NAG(0.99)", 0.99, 1, true}, {"scale 4", 0.99, 4, true}, {"scale 1/4", 0.99, 0.25, true},
};
static const double rates[RATES] = {3, 10, 30, 100, 300, 1000};

/* mu_t of the paper's equation 5. */
static double momentum_at(double largest, int64_t t, int64_t period)
{
    return fmin(1 - 1 / (2 * (double)(t / period + 1)), largest);
}

typedef struct trial {
    double final, curve[CURVE + 1];
} trial;

typedef struct sweep {
    rv_study_run *run;
    const params *o;
    rv_pixels pixels;
    trial *trials;        /* [SETTINGS][RATES][seeds] */
    pthread_mutex_t lock; /* of all below */
    int finished, count;
    rv_status status;
    rv_error *err;
} sweep;

typedef struct walk {
    sweep *sweep;
    const setting *setting;
    rv_objective *objective;
    rv_optimizer *optimizer;
    trial *trial;
} walk;

static void prepare(void *context, rv_optimizer *optimizer)
{
    ((walk *)context)->optimizer = optimizer;
}

static rv_status watch(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    (void)loss;
    walk *k = context;
    const params *o = k->sweep->o;
    const rv_study_options *options = k->sweep->run->options;
    if (options->stop && *options->stop)
        return RV_E_INTERRUPTED;
    int64_t every = o->steps / CURVE;
    if (step % every == 0 && step / every <= CURVE)
        RV_TRY(rv_autoencoder_error(k->objective, w, &k->trial->curve[step / every], err));
    if (step == o->steps)
        return rv_autoencoder_error(k->objective, w, &k->trial->final, err);
    if (k->setting->largest == 0)
        return RV_OK;
    double mu = momentum_at(k->setting->largest, step, o->period);
    return rv_optimizer_set(k->optimizer, "momentum", step >= o->steps - o->settle ? fmin(mu, 0.9) : mu, err);
}

/* A trial that diverges ends with an infinite error. */
static rv_status one_trial(sweep *s, const setting *what, double lr, uint64_t seed, trial *t, rv_error *err)
{
    char text[96];
    walk k = {.sweep = s, .setting = what, .trial = t};
    snprintf(text, sizeof text, "lr=%.17g,momentum=%g,nesterov=%s", lr, what->largest == 0 ? 0 : 0.5, what->nesterov ? "true" : "false");
    for (int i = 0; i <= CURVE; i++)
        t->curve[i] = NAN;
    t->final = HUGE_VAL;
    rv_status status = rv_autoencoder_new(&k.objective, &s->pixels, s->o->batch, err);
    float *w = status == RV_OK ? rv_study_vector(k.objective, err) : NULL;
    if (status == RV_OK)
        status = w ? rv_objective_init(k.objective, seed, w, err) : RV_E_MEMORY;
    if (status == RV_OK) {
        rv_autoencoder_sparse(k.objective, seed, s->o->incoming, what->scale, w);
        rv_descent d = {.objective = k.objective, .method = "sgd", .params = text, .seed = seed, .steps = s->o->steps, .prepare = prepare,
                        .observe = watch, .context = &k};
        status = rv_descend(&d, w, err);
    }
    free(w);
    rv_objective_free(k.objective);
    return status;
}

static void run_task(void *context, int task, int worker)
{
    sweep *s = context;
    rv_error err = {0};
    int seeds = s->run->seeds, seed = task % seeds, rate = task / seeds % RATES, what = task / seeds / RATES;
    (void)worker;
    pthread_mutex_lock(&s->lock);
    bool over = s->status != RV_OK;
    pthread_mutex_unlock(&s->lock);
    if (over)
        return;
    rv_status status = one_trial(s, &settings[what], rates[rate], (uint64_t)seed, &s->trials[task], &err);
    pthread_mutex_lock(&s->lock);
    s->finished++;
    if (status == RV_OK)
        status = rv_study_progress(s->run, (double)s->finished / s->count, "%d of %d trainings", s->finished, s->count);
    if (status != RV_OK && s->status == RV_OK) {
        s->status = status;
        if (s->err)
            *s->err = err;
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- what it says ------------------------------------------------------------------------------ */

static const trial *at(const sweep *s, int what, int rate, int seed)
{
    return &s->trials[(what * RATES + rate) * s->run->seeds + seed];
}

static double mean_final(const sweep *s, int what, int rate)
{
    double sum = 0;
    for (int seed = 0; seed < s->run->seeds; seed++)
        sum += at(s, what, rate, seed)->final / s->run->seeds;
    return sum;
}

/* The rate with the lowest mean error over the seeds. */
static int best_rate(const sweep *s, int what)
{
    int best = 0;
    for (int r = 1; r < RATES; r++)
        if (mean_final(s, what, r) < mean_final(s, what, best))
            best = r;
    return best;
}

static void judge(sweep *s, const int *best)
{
    static const struct { const char *key; int above, below; } ratios[] = {
        {"first", NAG9, SGD}, {"second", NAG99, NAG9}, {"classical", CM99, SGD}, {"nesterov", NAG99, CM99}, {"large", LARGE, NAG99}, {"small", SMALL, NAG99}};
    for (size_t k = 0; k < sizeof ratios / sizeof ratios[0]; k++)
        for (int seed = 0; seed < s->run->seeds; seed++)
            rv_study_measure(s->run, ratios[k].key, at(s, ratios[k].above, best[ratios[k].above], seed)->final /
                                                        at(s, ratios[k].below, best[ratios[k].below], seed)->final);
    for (int what = 0; what < SETTINGS; what++)
        rv_study_note(s->run, "%s: error %.3f at rate %g, the best of %g to %g%s.", settings[what].name, mean_final(s, what, best[what]), rates[best[what]],
                      rates[0], rates[RATES - 1], best[what] == 0 || best[what] == RATES - 1 ? ", at the edge of the grid" : "");
    int apart = 0;
    for (int r = 1; r < RATES; r++)
        apart = mean_final(s, CM99, r) / mean_final(s, NAG99, r) > mean_final(s, CM99, apart) / mean_final(s, NAG99, apart) ? r : apart;
    rv_study_note(s->run, "Nesterov's method bears larger steps: at rate %g the errors at momentum 0.99 are %.3f with it and %.3f with the classical one.",
                  rates[apart], mean_final(s, NAG99, apart), mean_final(s, CM99, apart));
    rv_study_reason(s->run, "small", "Small weights cost time, not the end: training waits on a plateau, the error of a constant picture, and then catches up. "
                    "The paper's networks have eight and twelve layers and do not leave it; six layers do.");
    double most = 0;
    for (int64_t t = 0; t < 750000; t++)
        most = fmax(most, fabs(momentum_at(1, t, 250) - (1 - pow(2, -1 - log2((double)(t / 250 + 1))))));
    rv_study_measure(s->run, "schedule", most);
}

static void draw(sweep *s, const int *best)
{
    double step[CURVE + 1], *values = calloc((size_t)s->run->seeds * (CURVE + 1), sizeof *values);
    rv_figure *figures[2];
    static const char *const captions[] = {"Squared error of a training image, each method at its best rate; line: geometric mean, band: all seeds.",
                                           "Nesterov's method, momentum up to 0.99, each scale of the initial weights at its best rate."};
    for (int f = 0; f < 2; f++)
        figures[f] = rv_study_figure(s->run, f ? "scales" : "methods", f ? "The scale of the initial weights" : "Momentum on a deep autoencoder", captions[f],
                                     (rv_axis){.label = "update"}, (rv_axis){.label = "training error", .log = true});
    for (int i = 0; i <= CURVE; i++)
        step[i] = (double)(i * (s->o->steps / CURVE));
    for (int what = 0; values && what < SETTINGS; what++) {
        for (int seed = 0; seed < s->run->seeds; seed++)
            memcpy(values + seed * (CURVE + 1), at(s, what, best[what], seed)->curve, (CURVE + 1) * sizeof *values);
        if (what <= NAG99)
            rv_seed_band(figures[0], settings[what].name, s->run->seeds, CURVE + 1, CURVE + 1, step, values);
        if (what >= NAG99)
            rv_seed_band(figures[1], what == NAG99 ? "scale 1" : settings[what].name, s->run->seeds, CURVE + 1, CURVE + 1, step, values);
    }
    rv_figure *figure = rv_study_figure(s->run, "rates", "Every rate", "Mean error after the last update; a missing point diverged.",
                                        (rv_axis){.label = "learning rate", .log = true}, (rv_axis){.label = "training error", .log = true});
    for (int what = 0; what < SETTINGS; what++) {
        double final[RATES];
        for (int r = 0; r < RATES; r++)
            final[r] = mean_final(s, what, r);
        rv_figure_series(figure, settings[what].name, RV_SERIES_BOTH, RATES, rates, final);
    }
    free(values);
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    sweep s = {.run = run, .o = values, .count = SETTINGS * RATES * run->seeds, .lock = PTHREAD_MUTEX_INITIALIZER, .err = err};
    int best[SETTINGS];
    if (s.o->batch > s.o->images)
        return rv_fail(err, RV_E_RANGE, "batch: at most the %lld images, found %lld", (long long)s.o->images, (long long)s.o->batch);
    s.trials = calloc((size_t)s.count, sizeof *s.trials);
    if (!s.trials)
        return rv_fail(err, RV_E_MEMORY, "no memory for %d trainings", s.count);
    s.status = rv_pixels_read(run, s.o->images, &s.pixels, err);
    if (s.status == RV_OK)
        rv_pool_run(run->pool, s.count, run_task, &s);
    pthread_mutex_destroy(&s.lock);
    for (int what = 0; s.status == RV_OK && what < SETTINGS; what++)
        best[what] = best_rate(&s, what);
    if (s.status == RV_OK) {
        judge(&s, best);
        draw(&s, best);
    }
    free(s.trials);
    free(s.pixels.at);
    return s.status;
}

const rv_study rv_study_momentum = {
    .name = "momentum",
    .title = "Momentum and initialisation on a deep autoencoder",
    .question = "Deep autoencoders were thought to need second-order methods. With a sparse initialisation of the right scale and a momentum that grows, "
                "gradient descent trains them: the more momentum, the better, and Nesterov's better than the classical one.",
    .method = "Sigmoid autoencoder 49-32-16-8-16-32-49 on digits of 7 x 7 pixels in [0, 1]. Rates are for the mean over the\n"
              "pixels, so 49 times the paper's; errors are sums, as there. Sparse initialisation: 15 of each unit's\n"
              "incoming weights are N(0, 1), biases zero. Momentum min(1 - 1 / (2 (floor(t / period) + 1)), largest), 0.9 for the last updates. Scaled down from\n"
              "750,000 updates: 20,000, hence period 50 for 250. Every setting has its best of six rates. Nesterov's step is in the\n"
              "usual rearranged form, which looks ahead by the momentum of this update rather than the next one's.",
    .source = "Sutskever, Martens, Dahl, Hinton 2013, On the importance of initialization and momentum in deep learning; Martens 2010 (sparse initialisation)",
    .cost = "2 min",
    .params = &table,
    .quick = "steps=200,images=200,batch=20,period=1,settle=10",
    .seeds = 5,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
