/* Adam against SGD: a convolutional network on which they end alike and a transformer on which they do not, the
 * noise of both, and the run without noise in which the gap remains. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objective/network.h"
#include "ravine/probe.h"
#include "studies/descend.h"
#include "studies/errors.h"
#include "studies/gap_models.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                            \
    INT(images, 4096, 256, 50000, 0, "digits to train on")                               \
    INT(words, 65536, 2048, 900000, 0, "of the text to train on")                       \
    INT(vocabulary, 1000, 16, 10000, 0, "most classes of them; the rest is one")       \
    INT(steps, 600, 20, 1000000, 0, "of training with mini-batches")                    \
    INT(full_words, 8192, 512, 100000, 0, "of the text of the full-batch runs")          \
    INT(full_steps, 80, 20, 1000000, 0, "of the full-batch runs")                       \
    INT(noise, 300, 20, 100000, 0, "mini-batch gradients behind a histogram")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "adam-vs-sgd", params, PARAMS);

static const rv_claim claims[] = {
    {"cnn", "A convolutional network: Adam is no better than SGD with momentum, each at its best rate", "|training loss SGD-M - Adam|, nats",
     "slide; Kunstner et al. 2023, fig. 1: both about 1e-5", -HUGE_VAL, 0.05, RV_CLAIM_EVERY, true},
    {"language", "A transformer on words: Adam is clearly lower", "training loss SGD-M - Adam, nats", "slide; Kunstner et al. 2023, fig. 1: 0.5 after 100 epochs; a fifth of it here",
     0.1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"momentum", "momentum is not the reason: Adam without it is lower than SGD without it", "training loss SGD - Adam with beta1 = 0, nats", "Kunstner et al. 2023, fig. 1",
     0.1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"full_batch", "The gap is there without any noise, on the full batch", "training loss SGD-M - Adam, nats, full batch", "control: noise is not the cause (Kunstner et al. 2023, section 3)",
     0.1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"noise_cnn", "The noise of the convolutional network's gradients has tails like a normal distribution's", "excess kurtosis of the errors at the start, LeNet-5",
     "slide; Kunstner et al. 2023, fig. 1", -1, 1, RV_CLAIM_MEAN, true},
    {"noise_language", "the transformer's has a heavy right tail", "excess kurtosis of the errors at the start, transformer", "slide; Kunstner et al. 2023, fig. 1", 1, HUGE_VAL,
     RV_CLAIM_MEAN, true},
    {"index", "also by the tail index", "Hill's index of the largest tenth, transformer / LeNet-5", "slide", -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

enum { RATES = 5, POINTS = 25, MOST_SEEDS = 20, BLOCK = 32, WIDTH = 64 };
typedef enum method { SGD, SGD_M, ADAM_0, ADAM, METHODS } method;
static const struct {
    const char *label, *name, *params;
} methods[METHODS] = {{"SGD", "sgd", "momentum=0"},
                      {"SGD-M", "sgd", "momentum=0.9"},
                      {"Adam, β₁ = 0", "adam", "beta1=0,beta2=0.999"},
                      {"Adam", "adam", "beta1=0.9,beta2=0.999"}};

typedef enum problem { CNN, LANGUAGE, FULL, PROBLEMS } problem;
static const struct {
    const char *key, *title;
    bool only_momentum;       /* SGD-M and Adam alone */
    double slowest[METHODS];  /* first of a grid of half decades */
} problems[PROBLEMS] = {{"cnn", "LeNet-5 on digits", false, {0.03, 0.01, 3e-4, 3e-4}},
                        {"language", "Transformer on words", false, {0.1, 0.03, 3e-4, 3e-4}},
                        {"full", "The transformer, full batch", true, {0, 0.03, 0, 1e-3}}};

/* One training run. */
typedef struct job {
    problem p;
    method m;
    int rate;
    uint64_t seed;
    bool done;
    double loss;          /* of the training examples at the end; infinite: diverged */
    double curve[POINTS]; /* mini-batch losses, averaged over equal numbers of steps */
    rv_status status;
    rv_error error;
} job;

typedef struct contest {
    rv_study_run *run;
    const params *o;
    rv_source *sources[PROBLEMS];
    job *jobs; /* [PROBLEMS][METHODS][RATES][seeds] */
    int best[PROBLEMS][METHODS];
    job *wave[8];
} contest;

static bool competes(problem p, method m)
{
    return !problems[p].only_momentum || m == SGD_M || m == ADAM;
}

static double rate_at(problem p, method m, int k)
{
    return problems[p].slowest[m] * pow(10, k / 2.0);
}

static job *job_at(const contest *c, problem p, method m, int rate, int seed)
{
    return &c->jobs[(((int)p * METHODS + (int)m) * RATES + rate) * c->run->seeds + seed];
}

static int64_t steps_of(const contest *c, problem p)
{
    return p == FULL ? c->o->full_steps : c->o->steps;
}

/* ---- data and networks --------------------------------------------------------------------- */

static rv_status open_sources(contest *c, rv_error *err)
{
    const params *o = c->o;
    rv_words words = {.text = c->run->data ? RV_WORDS_PTB : RV_WORDS_GRAMMAR, .block = BLOCK, .vocabulary = (int)o->vocabulary, .limit = o->words + 1};
    RV_TRY(rv_source_images(&c->sources[CNN], c->run->data ? RV_IMAGES_MNIST : RV_IMAGES_GLYPHS, c->run->data, o->images, 1000, false, err));
    RV_TRY(rv_source_words(&c->sources[LANGUAGE], &words, c->run->data, err));
    words.limit = o->full_words + 1;
    return rv_source_words(&c->sources[FULL], &words, c->run->data, err);
}

static rv_status network_of(const contest *c, problem p, rv_objective **out, rv_error *err)
{
    rv_gap_language language = {.classes = c->sources[p]->classes, .block = BLOCK, .width = WIDTH};
    rv_network network = {.name = problems[p].key, .build = p == CNN ? rv_gap_lenet : rv_gap_language_model, .params = &language,
                          .source = rv_source_lend(c->sources[p]), .shards = 8, .least_rows = 8, .evaluation_rows = 32};
    network.batch = p == CNN ? 64 : p == LANGUAGE ? 16 : c->sources[FULL]->examples[RV_SPLIT_TRAIN];
    network.evaluation_limit = p == CNN ? 4096 : p == LANGUAGE ? 512 : 0;
    if (!network.source)
        return rv_fail(err, RV_E_MEMORY, "no memory for a source");
    return rv_network_new(out, &network, &(rv_workload_env){.backend = RV_BACKEND_CPU}, err);
}

/* ---- one run --------------------------------------------------------------------------------- */

typedef struct watcher {
    const contest *c;
    job *j;
    int64_t steps;
} watcher;

static rv_status watch(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    (void)w;
    (void)err;
    watcher *v = context;
    const volatile int *stop = v->c->run->options->stop;
    if (step < v->steps) {
        int64_t point = step * POINTS / v->steps, first = (point * v->steps + POINTS - 1) / POINTS, next = ((point + 1) * v->steps + POINTS - 1) / POINTS;
        v->j->curve[point] += loss / (double)(next - first);
    }
    return stop && *stop ? RV_E_INTERRUPTED : RV_OK;
}

static rv_status train(const contest *c, job *j, rv_objective *objective, rv_error *err)
{
    char text[96];
    watcher v = {c, j, steps_of(c, j->p)};
    snprintf(text, sizeof text, "lr=%.17g,%s", rate_at(j->p, j->m, j->rate), methods[j->m].params);
    rv_descent d = {.objective = objective, .method = methods[j->m].name, .params = text, .seed = j->seed, .steps = v.steps, .observe = watch, .context = &v};
    float *w = rv_study_vector(objective, err);
    rv_status status = w ? rv_objective_init(objective, j->seed, w, err) : RV_E_MEMORY;
    if (status == RV_OK)
        status = rv_descend(&d, w, err);
    if (status == RV_OK && !d.diverged)
        status = rv_study_evaluate(objective, w, RV_SPLIT_TRAIN, "loss", &j->loss, err);
    free(w);
    return status;
}

static void job_task(void *context, int task, int worker)
{
    const contest *c = context;
    job *j = c->wave[task];
    rv_objective *objective = NULL;
    (void)worker;
    j->loss = INFINITY;
    j->status = network_of(c, j->p, &objective, &j->error);
    if (j->status == RV_OK)
        j->status = train(c, j, objective, &j->error);
    if (j->status == RV_E_NUMERIC) /* the last weights are finite, their loss is not */
        j->status = RV_OK;
    j->done = true;
    rv_objective_free(objective);
}

/* ---- all runs -------------------------------------------------------------------------------- */

static rv_status run_wave(contest *c, int count, rv_error *err)
{
    rv_pool_run(c->run->pool, count, job_task, c);
    for (int k = 0; k < count; k++)
        if (c->wave[k]->status != RV_OK) {
            if (err)
                *err = c->wave[k]->error;
            return c->wave[k]->status;
        }
    return RV_OK;
}

/* Runs what has not been run: every rate with the first seed, or the best rates with every seed. */
static rv_status run_jobs(contest *c, bool all_rates, double from, double to, rv_error *err)
{
    int count = 0, most = (int)(sizeof c->wave / sizeof *c->wave), seeds = all_rates ? 1 : c->run->seeds;
    int all = PROBLEMS * METHODS * RATES * seeds;
    for (int k = 0; k < all; k++) {
        problem p = (problem)(k / (METHODS * RATES * seeds));
        method m = (method)(k / (RATES * seeds) % METHODS);
        int rate = k / seeds % RATES, seed = k % seeds;
        job *j = job_at(c, p, m, rate, seed);
        if (competes(p, m) && !j->done && (all_rates || rate == c->best[p][m])) {
            *j = (job){.p = p, .m = m, .rate = rate, .seed = (uint64_t)seed};
            c->wave[count++] = j;
        }
        if (count > 0 && (count == most || k == all - 1)) {
            RV_TRY(rv_study_progress(c->run, from + (to - from) * k / all, "%s, %s, lr %.2g, seed %d", problems[p].title, methods[m].label, rate_at(p, m, rate), seed));
            RV_TRY(run_wave(c, count, err));
            count = 0;
        }
    }
    return RV_OK;
}

static void choose_rates(contest *c)
{
    for (problem p = 0; p < PROBLEMS; p++)
        for (method m = 0; m < METHODS; m++) {
            int best = 0;
            for (int k = 1; k < RATES; k++)
                if (job_at(c, p, m, k, 0)->loss < job_at(c, p, m, best, 0)->loss)
                    best = k;
            c->best[p][m] = best;
            if (competes(p, m) && (best == 0 || best == RATES - 1))
                rv_study_note(c->run, "%s, %s: the best learning rate, %.2g, is the last of the grid.", problems[p].title, methods[m].label, rate_at(p, m, best));
        }
}

static double best_loss(const contest *c, problem p, method m, int seed)
{
    return job_at(c, p, m, c->best[p][m], seed)->loss;
}

static void measure(const contest *c)
{
    for (int s = 0; s < c->run->seeds; s++) {
        rv_study_measure(c->run, "cnn", fabs(best_loss(c, CNN, SGD_M, s) - best_loss(c, CNN, ADAM, s)));
        rv_study_measure(c->run, "language", best_loss(c, LANGUAGE, SGD_M, s) - best_loss(c, LANGUAGE, ADAM, s));
        rv_study_measure(c->run, "momentum", best_loss(c, LANGUAGE, SGD, s) - best_loss(c, LANGUAGE, ADAM_0, s));
        rv_study_measure(c->run, "full_batch", best_loss(c, FULL, SGD_M, s) - best_loss(c, FULL, ADAM, s));
    }
    for (problem p = 0; p < PROBLEMS; p++)
        for (method m = 0; m < METHODS; m++) {
            double mean = 0;
            for (int s = 0; s < c->run->seeds; s++)
                mean += best_loss(c, p, m, s) / c->run->seeds;
            if (competes(p, m))
                rv_study_note(c->run, "%s, %s: training loss %.4g at lr %.2g (mean over seeds).", problems[p].title, methods[m].label, mean, rate_at(p, m, c->best[p][m]));
        }
}

/* ---- noise ------------------------------------------------------------------------------------ */

static rv_status noise_of(const contest *c, problem p, uint64_t seed, rv_noise *noise, double *norms, rv_error *err)
{
    rv_objective *objective = NULL;
    RV_TRY(network_of(c, p, &objective, err));
    float *w = rv_study_vector(objective, err);
    rv_status status = w ? rv_objective_init(objective, seed, w, err) : RV_E_MEMORY;
    if (status == RV_OK)
        status = rv_probe_noise(&(rv_probe_target){.objective = objective, .seed = seed, .batches = (int)c->o->noise}, w, noise, norms, err);
    free(w);
    rv_objective_free(objective);
    return status;
}

static rv_status measure_noise(contest *c, double *norms, rv_error *err)
{
    rv_figure *histogram = rv_study_figure(c->run, "noise", "Errors of mini-batch gradients at the start", "Distance of a mini-batch's gradient from the mean of all, over its median; seed 0.",
                                           (rv_axis){.label = "error / median"}, (rv_axis){.label = "density", .log = true});
    rv_figure *quantiles = rv_study_figure(c->run, "quantiles", "Against the normal distribution", "Quantiles of the standardised errors against normal ones: a right tail bends up.",
                                           (rv_axis){.label = "normal quantile"}, (rv_axis){.label = "quantile of the errors"});
    rv_figure_half(histogram);
    rv_figure_half(quantiles);
    for (int s = 0; s < c->run->seeds; s++) {
        rv_noise noise[2];
        for (problem p = CNN; p <= LANGUAGE; p++) {
            RV_TRY(rv_study_progress(c->run, 0.1 * (2 * s + (int)p) / (2 * c->run->seeds), "gradient noise, %s, seed %d", problems[p].title, s));
            RV_TRY(noise_of(c, p, (uint64_t)s, &noise[p], norms, err));
            if (s > 0)
                continue;
            rv_errors_histogram(histogram, problems[p].title, norms, (int)c->o->noise);
            rv_errors_quantiles(quantiles, problems[p].title, norms, (int)c->o->noise);
            rv_study_note(c->run, "%s, seed 0: excess kurtosis %.2f; Hill's tail index %.1f, of the errors less their median %.1f.", problems[p].title, noise[p].kurtosis,
                          noise[p].tail, rv_errors_tail(norms, (int)c->o->noise));
        }
        rv_study_measure(c->run, "noise_cnn", noise[CNN].kurtosis);
        rv_study_measure(c->run, "noise_language", noise[LANGUAGE].kurtosis);
        rv_study_measure(c->run, "index", noise[LANGUAGE].tail / noise[CNN].tail);
    }
    rv_errors_normal(quantiles, 3);
    return RV_OK;
}

/* ---- figures ---------------------------------------------------------------------------------- */

static void draw(const contest *c, problem p)
{
    char name[32];
    double step[POINTS], lr[RATES], loss[RATES];
    bool log = p == CNN;
    snprintf(name, sizeof name, "loss-%s", problems[p].key);
    rv_figure *curves = rv_study_figure(c->run, name, problems[p].title, "Mini-batch losses, averaged, each method at its best learning rate; one line a seed.",
                                        (rv_axis){.label = "step"}, (rv_axis){.label = "training loss", .log = log});
    snprintf(name, sizeof name, "rates-%s", problems[p].key);
    rv_figure *grid = rv_study_figure(c->run, name, "Over the learning rate", "Training loss at the end, seed 0; a run that diverged has no point.",
                                      (rv_axis){.label = "learning rate", .log = true}, (rv_axis){.label = "training loss", .log = log});
    rv_figure_half(curves);
    rv_figure_half(grid);
    for (int i = 0; i < POINTS; i++)
        step[i] = (i + 0.5) * (double)steps_of(c, p) / POINTS;
    for (method m = 0; m < METHODS; m++) {
        int made = 0;
        for (int s = 0; s < c->run->seeds && competes(p, m); s++)
            rv_figure_series(curves, methods[m].label, RV_SERIES_LINE, POINTS, step, job_at(c, p, m, c->best[p][m], s)->curve);
        for (int k = 0; k < RATES && competes(p, m); k++)
            if (isfinite(job_at(c, p, m, k, 0)->loss)) {
                lr[made] = rate_at(p, m, k);
                loss[made++] = job_at(c, p, m, k, 0)->loss;
            }
        if (made > 0)
            rv_figure_series(grid, methods[m].label, RV_SERIES_BOTH, made, lr, loss);
    }
}

static rv_status run_contest(contest *c, double *norms, rv_error *err)
{
    RV_TRY(open_sources(c, err));
    for (int p = 0; p < PROBLEMS; p++)
        rv_study_note(c->run, "%s: %s.", problems[p].title, c->sources[p]->description);
    RV_TRY(run_jobs(c, true, 0.1, 0.7, err));
    choose_rates(c);
    RV_TRY(run_jobs(c, false, 0.7, 1, err));
    measure(c);
    for (problem p = 0; p < PROBLEMS; p++)
        draw(c, p);
    return measure_noise(c, norms, err);
}

/* What is known of claims that may fail. */
static void explain(rv_study_run *run)
{
    rv_study_reason(run, "index", "Hill's index of lengths that lie far from zero measures their spread, which is smaller for the transformer; the kurtosis sees its tail.");
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    contest c = {.run = run, .o = values};
    if (run->seeds > MOST_SEEDS)
        return rv_fail(err, RV_E_RANGE, "at most %d seeds, found %d", MOST_SEEDS, run->seeds);
    c.jobs = calloc((size_t)(PROBLEMS * METHODS * RATES * run->seeds), sizeof *c.jobs);
    double *norms = calloc((size_t)c.o->noise, sizeof *norms);
    rv_status status = c.jobs && norms ? run_contest(&c, norms, err) : rv_fail(err, RV_E_MEMORY, "no memory for the runs");
    for (int p = 0; p < PROBLEMS; p++)
        rv_source_free(c.sources[p]);
    free(c.jobs);
    free(norms);
    explain(run);
    return status;
}

const rv_study rv_study_adam_vs_sgd = {
    .name = "adam-vs-sgd",
    .title = "Adam against SGD: networks for images and for words",
    .question = "On convolutional networks SGD with momentum does as well as Adam, on transformers it does not. The transformer's gradient noise has heavy "
                "tails; but without any noise the gap remains.",
    .method = "LeNet-5 (tanh, average pooling) on 4096 MNIST digits, batch 64; PyTorch's tutorial transformer (post-norm, two layers, width 64, two heads, no\n"
              "dropout) on the first 65,536 words of PTB with 1000 classes, 16 windows of 32 words; 600 steps each. SGD, SGD with momentum 0.9, Adam with beta1 = 0\n"
              "and Adam, beta2 0.999, constant rates from a grid of half decades chosen with seed 0, no clipping, three seeds at the best. Full batch: the\n"
              "first 8192 words, also with 1000 classes, 80 steps; of 4096 words both methods had learned every one after 120, and there is no gap at zero.\n"
              "Losses are the mean over training examples in nats: 4096 digits, 16,384 words, all words.\n"
              "The paper trains 100 epochs of all of MNIST and PTB (width 200, all 10,000 words, dropout 0.2).",
    .source = "Kunstner, Chen, Lavington, Schmidt 2023, Noise is not the main factor behind the gap between SGD and Adam on transformers, but sign descent might be",
    .cost = "2 min",
    .params = &table,
    .quick = "images=512,words=8192,vocabulary=300,steps=60,full_words=1024,full_steps=20,noise=30",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
