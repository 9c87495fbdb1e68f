/* Adam against SGD on 150 parameters: the linear transformer of Ahn et al., which shows the gap and the noise of
 * large language models in seconds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/probe.h"
#include "studies/bands.h"
#include "studies/descend.h"
#include "studies/errors.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                     \
    INT(steps, 3000, 1000, 20000, 0, "of training, a multiple of 125; the authors: 10000")        \
    INT(prompts, 1000, 8, 100000, 0, "of a mini-batch")                                           \
    INT(noise, 1000, 50, 100000, 0, "mini-batch gradients behind a histogram; the authors: 10000")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "linear-transformer", params, PARAMS);

static const rv_claim claims[] = {
    {"gap_n20", "Prompts of 20 examples: AdamW ends lower than SGD with momentum, each at its best rate", "test loss SGD-M / AdamW",
     "slide; Ahn et al. 2023: adaptive methods win", 1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"gap_n5", "prompts of 5 examples: likewise", "test loss SGD-M / AdamW", "Ahn et al. 2023", 1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"gap_gamma", "points with heavy tails: likewise", "test loss SGD-M / AdamW", "Ahn et al. 2023", 1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"authors_n20", "At the authors' rates the gap is about 9 for prompts of 20 examples", "test loss SGD-M / AdamW, lr 0.02 and 0.02",
     "a run of the authors' setting in NumPy, one seed: 8.8; within a factor 3", 2.9, 27, RV_CLAIM_MEAN, true},
    {"authors_n5", "1.4 for prompts of 5", "test loss SGD-M / AdamW, lr 0.01 and 0.005", "likewise: 1.38; within a factor 1.2", 1.15, 1.66,
     RV_CLAIM_MEAN, true},
    {"authors_gamma", "and 2 for points with heavy tails", "test loss SGD-M / AdamW, lr 0.02 and 0.02", "likewise: 1.97; within a factor 1.5", 1.3, 3,
     RV_CLAIM_MEAN, true},
    {"fixed_batch", "The gap is there without any noise: one batch of prompts, trained on over and over", "loss of that batch, SGD-M / AdamW, each at its best rate",
     "control: noise is not the cause (Kunstner et al. 2023)", 1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"tails_gamma", "Points with heavy tails give gradient noise with heavy tails", "excess kurtosis of the errors at the start", "a run in NumPy: 64; Ahn et al. 2023, stochastic noise",
     10, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"tails_n20", "normal points hardly", "excess kurtosis of the errors at the start", "a run in NumPy: 1.5; within a factor 4", 0.375, 6, RV_CLAIM_EVERY, true},
    {"index", "The tail index says the same", "Hill's index of the largest tenth, heavy tails / normal points", "from the largest error, 7.9 and 1.8 medians", -HUGE_VAL, 0.5,
     RV_CLAIM_EVERY, false},
    {"condition", "Along AdamW's path the curvature is better conditioned", "robust condition number at step 750, SGD-M / AdamW, 20 examples, the authors' rates",
     "Ahn et al. 2023; the authors' notebook prints 2.57 +- 0.91 over 6 seeds", 1, HUGE_VAL, RV_CLAIM_MEAN, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

enum { METHODS = 2, RATES = 8, RACERS = METHODS * RATES, CHUNK = 125, MOST = 20000 / CHUNK + 1, LATE = 4, MOST_SEEDS = 100 };
static const char *const methods[METHODS] = {"sgd", "adamw"}, *const labels[METHODS] = {"SGD-M", "AdamW"};
static const char *const settings[METHODS] = {"momentum=0.9", "beta1=0.9,beta2=0.9,weight_decay=0"};
typedef enum data_set { N20, N5, GAMMA, FIXED, SETS } data_set;
typedef struct setting {
    const char *key, *title, *params;
    double slowest[METHODS]; /* first of a grid of doubling rates */
    int authors[METHODS];    /* their rates' places in it */
} setting;
static const setting sets[SETS] = {{"n20", "20 examples", "points=20", {0.005, 0.00125}, {2, 4}},
                                   {"n5", "5 examples", "points=5", {0.00125, 0.00125}, {3, 2}},
                                   {"gamma", "20 examples, heavy tails", "points=20,data=gamma", {0.005, 0.00125}, {2, 4}},
                                   {"fixed", "20 examples, one batch for ever", "points=20", {0.005, 0.00125}, {2, 4}}};

/* One run among those that share their batches. */
typedef struct racer {
    rv_optimizer *optimizer;
    double *w;
    bool diverged;
    double loss[MOST];      /* after every chunk */
    double condition[MOST]; /* at the authors' rates, after every second chunk */
} racer;

typedef struct group {
    data_set set;
    uint64_t seed;
    rv_objective *objective;
    double *g;
    racer racers[RACERS];
    int chunks; /* done */
    rv_noise noise;
    double *norms; /* [noise] */
    rv_status status;
    rv_error error;
} group;

typedef struct race {
    rv_study_run *run;
    const params *o;
    int groups, first;       /* first: of those that run now */
    group *group;            /* [SETS][seeds] */
    int best[SETS][METHODS]; /* racers */
} race;

/* Of racer k. */
static double lr_of(data_set set, int k)
{
    return ldexp(sets[set].slowest[k / RATES], k % RATES);
}

static int rate_of(const setting *s, int method)
{
    return method * RATES + s->authors[method];
}

/* ---- one group --------------------------------------------------------------------------- */

static rv_status open_group(group *p, const race *r, data_set set, uint64_t seed, rv_error *err)
{
    p->set = set;
    p->seed = seed;
    RV_TRY(rv_study_objective(r->run, "linear-transformer", sets[set].params, RV_BACKEND_REF, r->o->prompts, &p->objective, err));
    p->g = rv_study_vector(p->objective, err);
    p->norms = calloc((size_t)r->o->noise, sizeof *p->norms);
    if (!p->g || !p->norms)
        return rv_fail(err, RV_E_MEMORY, "no memory for gradients");
    for (int k = 0; k < RACERS; k++) {
        char text[128];
        racer *one = &p->racers[k];
        snprintf(text, sizeof text, "lr=%g,%s", lr_of(set, k), settings[k / RATES]);
        rv_optimizer_options options = {.method = methods[k / RATES], .params = text, .dtype = RV_F64, .wrappers = "clip_norm(max_norm=1)"};
        if (!(one->w = rv_study_vector(p->objective, err)))
            return RV_E_MEMORY;
        RV_TRY(rv_objective_init(p->objective, seed, one->w, err));
        RV_TRY(rv_optimizer_new_flat(&one->optimizer, &options, p->objective->layout, one->w, err));
    }
    return RV_OK;
}

static void close_group(group *p)
{
    for (int k = 0; k < RACERS; k++) {
        rv_optimizer_free(p->racers[k].optimizer);
        free(p->racers[k].w);
    }
    rv_objective_free(p->objective);
    free(p->g);
    free(p->norms);
}

/* max |H_ii| / median |H_ii| on one batch of its own; the median is the lower one, as torch's. */
static rv_status condition_number(group *p, const double *w, double *condition, rv_error *err)
{
    int64_t n = rv_layout_parameters(p->objective->layout), size = p->objective->layout->size;
    double *axis = calloc(3 * (size_t)size, sizeof *axis), *product = axis + size, *diagonal = axis + 2 * size;
    rv_status status = axis ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for curvature");
    for (int64_t i = 0; i < n && status == RV_OK; i++) {
        axis[i] = 1;
        status = rv_probe_hessian_vector(&(rv_probe_target){.objective = p->objective, .seed = 1 << 20, .batches = 1}, w, axis, product, err);
        axis[i] = 0;
        diagonal[i] = fabs(product[i]);
    }
    if (status == RV_OK) {
        qsort(diagonal, (size_t)n, sizeof *diagonal, rv_ascending);
        *condition = diagonal[n - 1] / diagonal[(n - 1) / 2];
    }
    free(axis);
    return status;
}

static rv_status look(group *p, rv_error *err)
{
    int at = p->chunks;
    for (int k = 0; k < RACERS; k++) {
        racer *one = &p->racers[k];
        one->loss[at] = INFINITY;
        if (one->diverged)
            continue;
        if (p->set == FIXED)
            RV_TRY(rv_probe_gradient(&(rv_probe_target){.objective = p->objective, .seed = p->seed, .batches = 1}, one->w, NULL, &one->loss[at], err));
        else
            RV_TRY(rv_study_evaluate(p->objective, one->w, RV_SPLIT_TEST, "loss", &one->loss[at], err));
        if (p->set != FIXED && at % 2 == 0 && k == rate_of(&sets[p->set], k / RATES))
            RV_TRY(condition_number(p, one->w, &one->condition[at], err));
    }
    return RV_OK;
}

/* All runs of the group see the same batch before the next one is drawn. */
static rv_status advance(group *p, rv_error *err)
{
    for (int64_t step = (int64_t)p->chunks * CHUNK; step < (int64_t)(p->chunks + 1) * CHUNK; step++) {
        rv_batch batch = {.seed = p->seed, .step = p->set == FIXED ? 0 : (uint64_t)step, .parts = 1};
        for (int k = 0; k < RACERS; k++) {
            racer *one = &p->racers[k];
            double loss;
            rv_status status = one->diverged ? RV_E_NUMERIC : rv_objective_value_grad(p->objective, one->w, batch, p->g, &loss, err);
            if (status == RV_OK)
                status = rv_optimizer_step_flat(one->optimizer, one->w, p->g, err);
            one->diverged = status == RV_E_NUMERIC;
            if (status != RV_OK && !one->diverged)
                return status;
        }
    }
    p->chunks++;
    return look(p, err);
}

static void first_task(void *context, int task, int worker)
{
    const race *r = context;
    group *p = &r->group[r->first + task];
    rv_probe_target probe = {.objective = p->objective, .seed = 1 << 21 | p->seed, .batches = (int)r->o->noise};
    (void)worker;
    p->status = p->set == FIXED ? RV_OK : rv_probe_noise(&probe, p->racers[0].w, &p->noise, p->norms, &p->error);
    if (p->status == RV_OK)
        p->status = look(p, &p->error);
}

static void chunk_task(void *context, int task, int worker)
{
    const race *r = context;
    group *p = &r->group[r->first + task];
    (void)worker;
    p->status = advance(p, &p->error);
}

/* count groups from `first` on, side by side. */
static rv_status run_groups(race *r, int first, int count, rv_task *task, rv_error *err)
{
    r->first = first;
    rv_pool_run(r->run->pool, count, task, r);
    for (int k = first; k < first + count; k++)
        if (r->group[k].status != RV_OK) {
            if (err)
                *err = r->group[k].error;
            return r->group[k].status;
        }
    return RV_OK;
}

/* ---- what was found ------------------------------------------------------------------------ */

static double late_loss(const group *p, int k)
{
    double sum = 0;
    for (int i = p->chunks - LATE + 1; i <= p->chunks; i++)
        sum += p->racers[k].loss[i] / LATE;
    return sum;
}

/* The rate with the lowest mean of log losses over the seeds. */
static int best_rate(const race *r, data_set set, int method)
{
    double best = INFINITY;
    int at = 0;
    for (int k = 0; k < RATES; k++) {
        double sum = 0;
        for (int s = 0; s < r->run->seeds; s++)
            sum += log(late_loss(&r->group[(int)set * r->run->seeds + s], method * RATES + k));
        at = sum < best ? k : at;
        best = fmin(best, sum);
    }
    if (at == 0 || at == RATES - 1)
        rv_study_note(r->run, "%s, %s: the best learning rate, %g, is the last of the grid.", sets[set].title, labels[method], lr_of(set, method * RATES + at));
    return method * RATES + at;
}

static void measure_set(race *r, data_set set)
{
    static const char *const gaps[] = {"gap_n20", "gap_n5", "gap_gamma", "fixed_batch"}, *const authors[] = {"authors_n20", "authors_n5", "authors_gamma"};
    int *best = r->best[set];
    double mean[METHODS] = {0};
    for (int m = 0; m < METHODS; m++)
        best[m] = best_rate(r, set, m);
    for (int s = 0; s < r->run->seeds; s++) {
        const group *p = &r->group[(int)set * r->run->seeds + s];
        for (int m = 0; m < METHODS; m++)
            mean[m] += late_loss(p, best[m]) / r->run->seeds;
        rv_study_measure(r->run, gaps[set], late_loss(p, best[0]) / late_loss(p, best[1]));
        if (set != FIXED)
            rv_study_measure(r->run, authors[set], late_loss(p, rate_of(&sets[set], 0)) / late_loss(p, rate_of(&sets[set], 1)));
    }
    rv_study_note(r->run, "%s: SGD-M %.4g at its best rate %g, AdamW %.4g at %g (mean over seeds).", sets[set].title, mean[0], lr_of(set, best[0]), mean[1],
                  lr_of(set, best[1]));
}

static void measure_points(const race *r)
{
    const int seeds = r->run->seeds, at = 750 / CHUNK;
    for (int s = 0; s < seeds; s++) {
        const group *n20 = &r->group[N20 * seeds + s], *gamma = &r->group[GAMMA * seeds + s];
        rv_study_measure(r->run, "tails_n20", n20->noise.kurtosis);
        rv_study_measure(r->run, "tails_gamma", gamma->noise.kurtosis);
        rv_study_measure(r->run, "index", gamma->noise.tail / n20->noise.tail);
        rv_study_measure(r->run, "condition", n20->racers[rate_of(&sets[N20], 0)].condition[at] / n20->racers[rate_of(&sets[N20], 1)].condition[at]);
    }
    rv_study_note(r->run, "With 5 examples the held-out loss is a polynomial of high degree of a few points, and its mean hangs on rare prompts: at four times the best "
                          "learning rate it is already tens to thousands, and differs as much between seeds.");
    for (int set = 0; set < FIXED; set++) {
        const group *p = &r->group[set * seeds];
        rv_study_note(r->run, "%s, seed 0: excess kurtosis %.2f; Hill's tail index %.1f, of the errors less their median %.1f.", sets[set].title, p->noise.kurtosis,
                      p->noise.tail, rv_errors_tail(p->norms, (int)r->o->noise));
    }
}

/* ---- figures ------------------------------------------------------------------------------- */

/* Of the set, over methods and seeds. */
static double best_of(const race *r, data_set set)
{
    double least = INFINITY;
    for (int k = 0; k < METHODS * r->run->seeds; k++)
        least = fmin(least, late_loss(&r->group[(int)set * r->run->seeds + k / METHODS], r->best[set][k % METHODS]));
    return least;
}

/* The loss of every seed at the best rates, and beside it the loss at the end over the rates. */
static void draw_set(const race *r, data_set set)
{
    char name[32];
    double step[MOST], lr[RATES], values[MOST_SEEDS * RATES];
    for (int i = 0; i < MOST; i++)
        step[i] = i * CHUNK;
    rv_axis loss = {.label = set == FIXED ? "training loss" : "test loss", .log = true};
    snprintf(name, sizeof name, "loss-%s", sets[set].key);
    rv_figure *curves = rv_study_figure(r->run, name, sets[set].title, "Each method at its best learning rate; one line a seed.", (rv_axis){.label = "step"}, loss);
    snprintf(name, sizeof name, "rates-%s", sets[set].key);
    rv_figure *grid = rv_study_figure(r->run, name, "Over the learning rate", "Mean loss over the last 500 steps: geometric mean over seeds in a band that holds them all. Above the picture it is higher than at the start.",
                                      (rv_axis){.label = "learning rate", .log = true}, (rv_axis){loss.label, true, 0.5 * best_of(r, set), 10});
    rv_figure_half(curves);
    rv_figure_half(grid);
    for (int m = 0; m < METHODS; m++) {
        for (int s = 0; s < r->run->seeds; s++) {
            const group *p = &r->group[(int)set * r->run->seeds + s];
            rv_figure_series(curves, labels[m], RV_SERIES_LINE, p->chunks + 1, step, p->racers[r->best[set][m]].loss);
            for (int k = 0; k < RATES; k++)
                values[s * RATES + k] = late_loss(p, m * RATES + k);
        }
        for (int k = 0; k < RATES; k++)
            lr[k] = lr_of(set, m * RATES + k);
        rv_seed_band(grid, labels[m], r->run->seeds, RATES, RATES, lr, values);
    }
}

static void draw_noise(const race *r)
{
    rv_figure *histogram = rv_study_figure(r->run, "noise", "Errors of mini-batch gradients at the start",
                                           "Distance of a mini-batch's gradient from the mean of all, over its median; seed 0. Heavy tails of the points become heavy tails of the noise.",
                                           (rv_axis){.label = "error / median"}, (rv_axis){.label = "density", .log = true});
    rv_figure *quantiles = rv_study_figure(r->run, "quantiles", "Against the normal distribution",
                                           "Quantiles of the standardised errors against normal ones: a right tail bends up.",
                                           (rv_axis){.label = "normal quantile"}, (rv_axis){.label = "quantile of the errors"});
    rv_figure_half(histogram);
    rv_figure_half(quantiles);
    for (int set = 0; set < FIXED; set++) {
        const group *p = &r->group[set * r->run->seeds];
        rv_errors_histogram(histogram, sets[set].title, p->norms, (int)r->o->noise);
        rv_errors_quantiles(quantiles, sets[set].title, p->norms, (int)r->o->noise);
    }
    rv_errors_normal(quantiles, 3);
}

static void draw_condition(const race *r)
{
    double step[MOST], values[MOST_SEEDS * MOST];
    rv_figure *figure = rv_study_figure(r->run, "condition", "Robust condition number along the paths",
                                        "max |H_ii| / median |H_ii| at the authors' rates, 20 examples: geometric mean over seeds in a band that holds them all.",
                                        (rv_axis){.label = "step"}, (rv_axis){.label = "max / median", .log = true});
    int points = r->group[0].chunks / 2 + 1;
    for (int i = 0; i < points; i++)
        step[i] = 2 * i * CHUNK;
    for (int m = 0; m < METHODS; m++) {
        for (int s = 0; s < r->run->seeds; s++)
            for (int i = 0; i < points; i++)
                values[s * points + i] = r->group[N20 * r->run->seeds + s].racers[rate_of(&sets[N20], m)].condition[2 * i];
        rv_seed_band(figure, labels[m], r->run->seeds, points, points, step, values);
    }
}

static rv_status run_race(race *r, rv_error *err)
{
    for (int k = 0; k < r->groups; k++)
        RV_TRY(open_group(&r->group[k], r, (data_set)(k / r->run->seeds), (uint64_t)(k % r->run->seeds), err));
    for (int first = 0; first < r->groups; first += r->run->seeds) { /* in parts, so that one can stop */
        RV_TRY(rv_study_progress(r->run, 0.15 * first / r->groups, "gradient noise, %s", sets[first / r->run->seeds].title));
        RV_TRY(run_groups(r, first, r->run->seeds, first_task, err));
    }
    for (int64_t done = 0; done < r->o->steps; done += CHUNK) {
        RV_TRY(rv_study_progress(r->run, 0.15 + 0.85 * (double)done / (double)r->o->steps, "step %lld of %d runs", (long long)done, r->groups * RACERS));
        RV_TRY(run_groups(r, 0, r->groups, chunk_task, err));
    }
    for (int set = 0; set < SETS; set++)
        measure_set(r, (data_set)set);
    measure_points(r);
    for (int set = 0; set < SETS; set++)
        draw_set(r, (data_set)set);
    draw_noise(r);
    draw_condition(r);
    return RV_OK;
}

/* What is known of claims that may fail. */
static void explain(rv_study_run *run)
{
    rv_study_reason(run, "gap_gamma", "With one seed it is a tie: there AdamW still jumps at its best rate when the run ends.");
    rv_study_reason(run, "authors_n5", "At that rate SGD with momentum is beyond what it bears, and a few rare prompts rule the mean.");
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    race r = {.run = run, .o = values, .groups = SETS * run->seeds};
    if (run->seeds > MOST_SEEDS || r.o->steps % CHUNK != 0)
        return rv_fail(err, RV_E_RANGE, "at most %d seeds and steps in multiples of %d, found %d and %lld", MOST_SEEDS, CHUNK, run->seeds, (long long)r.o->steps);
    if (!(r.group = calloc((size_t)r.groups, sizeof *r.group)))
        return rv_fail(err, RV_E_MEMORY, "no memory for %d groups of runs", r.groups);
    rv_status status = run_race(&r, err);
    explain(run);
    for (int k = 0; k < r.groups; k++)
        close_group(&r.group[k]);
    free(r.group);
    return status;
}

const rv_study rv_study_linear_transformer = {
    .name = "linear-transformer",
    .title = "Adam against SGD on 150 parameters",
    .question = "Adam beats SGD on transformers, and transformers have gradient noise with heavy tails. Both are there in a linear transformer of 150 "
                "parameters that learns to do linear regression from the examples in its prompt.",
    .method = "Three layers of linear attention, five features, a fresh batch of 1000 prompts at every step, gradients clipped to norm 1, SGD with momentum 0.9\n"
              "and AdamW with betas 0.9, 0.9 and no decay: the authors' setting, 3000 steps instead of 10,000. Every method has a grid of eight learning rates; all\n"
              "runs of a seed see the same prompts. Loss: on 10,000 held-out prompts, mean of the last four evaluations. The robust condition number and the noise are\n"
              "the authors', the noise around the mean of 1000 batches. Control: without noise, on one batch for ever. The last layer's P\n"
              "reaches no output: 25 parameters have no gradient, and count in the median as they do in the authors' notebook.",
    .source = "Ahn, Cheng, Song, Yun, Jadbabaie, Sra 2023, Linear attention is (maybe) all you need; Kunstner et al. 2023",
    .cost = "4 min",
    .params = &table,
    .quick = "steps=1000,prompts=200,noise=100",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
