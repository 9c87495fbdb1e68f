/* Adam against SGD on 150 parameters: the linear transformer of Ahn et al., which shows the gap and the noise of
 * large language models in seconds. */
#include <math.h>
#include <stdio.h>

#include "studies/bands.h"
#include "studies/errors.h"
#include "studies/prompt_race.h"

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

/* ---- what was found ------------------------------------------------------------------------ */

enum { LATE = 4 }; /* looks whose mean is the loss at the end */

static double late_loss(const rv_prompt_group *p, int k)
{
    double sum = 0;
    for (int i = p->chunks - LATE + 1; i <= p->chunks; i++)
        sum += p->racers[k].loss[i] / LATE;
    return sum;
}

/* The rate with the lowest mean of log losses over the seeds. */
static int best_rate(const rv_prompt_race *r, rv_prompt_set set, int method)
{
    double best = INFINITY;
    int at = 0;
    for (int k = 0; k < RV_PROMPT_RATES; k++) {
        double sum = 0;
        for (int s = 0; s < r->run->seeds; s++)
            sum += log(late_loss(&r->group[(int)set * r->run->seeds + s], method * RV_PROMPT_RATES + k));
        at = sum < best ? k : at;
        best = fmin(best, sum);
    }
    if (at == 0 || at == RV_PROMPT_RATES - 1)
        rv_study_note(r->run, "%s, %s: the best learning rate, %g, is the last of the grid.", rv_prompt_sets[set].title, rv_prompt_labels[method], rv_prompt_lr(set, method * RV_PROMPT_RATES + at));
    return method * RV_PROMPT_RATES + at;
}

static void measure_set(rv_prompt_race *r, rv_prompt_set set)
{
    static const char *const gaps[] = {"gap_n20", "gap_n5", "gap_gamma", "fixed_batch"}, *const authors[] = {"authors_n20", "authors_n5", "authors_gamma"};
    int *best = r->best[set];
    double mean[RV_PROMPT_METHODS] = {0};
    for (int m = 0; m < RV_PROMPT_METHODS; m++)
        best[m] = best_rate(r, set, m);
    for (int s = 0; s < r->run->seeds; s++) {
        const rv_prompt_group *p = &r->group[(int)set * r->run->seeds + s];
        for (int m = 0; m < RV_PROMPT_METHODS; m++)
            mean[m] += late_loss(p, best[m]) / r->run->seeds;
        rv_study_measure(r->run, gaps[set], late_loss(p, best[0]) / late_loss(p, best[1]));
        if (set != RV_PROMPT_FIXED)
            rv_study_measure(r->run, authors[set], late_loss(p, rv_prompt_authors(&rv_prompt_sets[set], 0)) / late_loss(p, rv_prompt_authors(&rv_prompt_sets[set], 1)));
    }
    rv_study_note(r->run, "%s: SGD-M %.4g at its best rate %g, AdamW %.4g at %g (mean over seeds).", rv_prompt_sets[set].title, mean[0], rv_prompt_lr(set, best[0]), mean[1],
                  rv_prompt_lr(set, best[1]));
}

static void measure_points(const rv_prompt_race *r)
{
    const int seeds = r->run->seeds, at = 750 / RV_PROMPT_CHUNK;
    for (int s = 0; s < seeds; s++) {
        const rv_prompt_group *n20 = &r->group[RV_PROMPT_N20 * seeds + s], *gamma = &r->group[RV_PROMPT_GAMMA * seeds + s];
        rv_study_measure(r->run, "tails_n20", n20->noise.kurtosis);
        rv_study_measure(r->run, "tails_gamma", gamma->noise.kurtosis);
        rv_study_measure(r->run, "index", gamma->noise.tail / n20->noise.tail);
        rv_study_measure(r->run, "condition", n20->racers[rv_prompt_authors(&rv_prompt_sets[RV_PROMPT_N20], 0)].condition[at] / n20->racers[rv_prompt_authors(&rv_prompt_sets[RV_PROMPT_N20], 1)].condition[at]);
    }
    rv_study_note(r->run, "With 5 examples the held-out loss is a polynomial of high degree of a few points, and its mean hangs on rare prompts: at four times the best "
                          "learning rate it is already tens to thousands, and differs as much between seeds.");
    for (int set = 0; set < RV_PROMPT_FIXED; set++) {
        const rv_prompt_group *p = &r->group[set * seeds];
        rv_study_note(r->run, "%s, seed 0: excess kurtosis %.2f; Hill's tail index %.1f, of the errors less their median %.1f.", rv_prompt_sets[set].title, p->noise.kurtosis,
                      p->noise.tail, rv_errors_tail(p->norms, r->noise));
    }
}

/* ---- figures ------------------------------------------------------------------------------- */

/* Of the set, over methods and seeds. */
static double best_of(const rv_prompt_race *r, rv_prompt_set set)
{
    double least = INFINITY;
    for (int k = 0; k < RV_PROMPT_METHODS * r->run->seeds; k++)
        least = fmin(least, late_loss(&r->group[(int)set * r->run->seeds + k / RV_PROMPT_METHODS], r->best[set][k % RV_PROMPT_METHODS]));
    return least;
}

/* The loss of every seed at the best rates, and beside it the loss at the end over the rates. */
static void draw_set(const rv_prompt_race *r, rv_prompt_set set)
{
    char name[32];
    double step[RV_PROMPT_MOST], lr[RV_PROMPT_RATES], values[RV_PROMPT_MOST_SEEDS * RV_PROMPT_RATES];
    for (int i = 0; i < RV_PROMPT_MOST; i++)
        step[i] = i * RV_PROMPT_CHUNK;
    rv_axis loss = {.label = set == RV_PROMPT_FIXED ? "training loss" : "test loss", .log = true};
    snprintf(name, sizeof name, "loss-%s", rv_prompt_sets[set].key);
    rv_figure *curves = rv_study_figure(r->run, name, rv_prompt_sets[set].title, "Each method at its best learning rate; one line a seed.", (rv_axis){.label = "step"}, loss);
    snprintf(name, sizeof name, "rates-%s", rv_prompt_sets[set].key);
    rv_figure *grid = rv_study_figure(r->run, name, "Over the learning rate", "Mean loss over the last 500 steps: geometric mean over seeds in a band that holds them all. Above the picture it is higher than at the start.",
                                      (rv_axis){.label = "learning rate", .log = true}, (rv_axis){loss.label, true, 0.5 * best_of(r, set), 10});
    rv_figure_half(curves);
    rv_figure_half(grid);
    for (int m = 0; m < RV_PROMPT_METHODS; m++) {
        for (int s = 0; s < r->run->seeds; s++) {
            const rv_prompt_group *p = &r->group[(int)set * r->run->seeds + s];
            rv_figure_series(curves, rv_prompt_labels[m], RV_SERIES_LINE, p->chunks + 1, step, p->racers[r->best[set][m]].loss);
            for (int k = 0; k < RV_PROMPT_RATES; k++)
                values[s * RV_PROMPT_RATES + k] = late_loss(p, m * RV_PROMPT_RATES + k);
        }
        for (int k = 0; k < RV_PROMPT_RATES; k++)
            lr[k] = rv_prompt_lr(set, m * RV_PROMPT_RATES + k);
        rv_seed_band(grid, rv_prompt_labels[m], r->run->seeds, RV_PROMPT_RATES, RV_PROMPT_RATES, lr, values);
    }
}

static void draw_noise(const rv_prompt_race *r)
{
    rv_figure *histogram = rv_study_figure(r->run, "noise", "Errors of mini-batch gradients at the start",
                                           "Distance of a mini-batch's gradient from the mean of all, over its median; seed 0. Heavy tails of the points become heavy tails of the noise.",
                                           (rv_axis){.label = "error / median"}, (rv_axis){.label = "density", .log = true});
    rv_figure *quantiles = rv_study_figure(r->run, "quantiles", "Against the normal distribution",
                                           "Quantiles of the standardised errors against normal ones: a right tail bends up.",
                                           (rv_axis){.label = "normal quantile"}, (rv_axis){.label = "quantile of the errors"});
    rv_figure_half(histogram);
    rv_figure_half(quantiles);
    for (int set = 0; set < RV_PROMPT_FIXED; set++) {
        const rv_prompt_group *p = &r->group[set * r->run->seeds];
        rv_errors_histogram(histogram, rv_prompt_sets[set].title, p->norms, r->noise);
        rv_errors_quantiles(quantiles, rv_prompt_sets[set].title, p->norms, r->noise);
    }
    rv_errors_normal(quantiles, 3);
}

static void draw_condition(const rv_prompt_race *r)
{
    double step[RV_PROMPT_MOST], values[RV_PROMPT_MOST_SEEDS * RV_PROMPT_MOST];
    rv_figure *figure = rv_study_figure(r->run, "condition", "Robust condition number along the paths",
                                        "max |H_ii| / median |H_ii| at the authors' rates, 20 examples: geometric mean over seeds in a band that holds them all.",
                                        (rv_axis){.label = "step"}, (rv_axis){.label = "max / median", .log = true});
    int points = r->group[0].chunks / 2 + 1;
    for (int i = 0; i < points; i++)
        step[i] = 2 * i * RV_PROMPT_CHUNK;
    for (int m = 0; m < RV_PROMPT_METHODS; m++) {
        for (int s = 0; s < r->run->seeds; s++)
            for (int i = 0; i < points; i++)
                values[s * points + i] = r->group[RV_PROMPT_N20 * r->run->seeds + s].racers[rv_prompt_authors(&rv_prompt_sets[RV_PROMPT_N20], m)].condition[2 * i];
        rv_seed_band(figure, rv_prompt_labels[m], r->run->seeds, points, points, step, values);
    }
}

/* What is known of claims that may fail. */
static void explain(rv_study_run *run)
{
    rv_study_reason(run, "gap_gamma", "With one seed it is a tie: there AdamW still jumps at its best rate when the run ends.");
    rv_study_reason(run, "authors_n5", "At that rate SGD with momentum is beyond what it bears, and a few rare prompts rule the mean.");
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    rv_prompt_race r = {.run = run, .steps = o->steps, .prompts = o->prompts, .noise = (int)o->noise};
    if (run->seeds > RV_PROMPT_MOST_SEEDS || r.steps % RV_PROMPT_CHUNK != 0)
        return rv_fail(err, RV_E_RANGE, "at most %d seeds and steps in multiples of %d, found %d and %lld", RV_PROMPT_MOST_SEEDS, RV_PROMPT_CHUNK, run->seeds, (long long)r.steps);
    rv_status status = rv_prompt_race_run(&r, err);
    explain(run);
    if (status == RV_OK) {
        for (int set = 0; set < RV_PROMPT_SETS; set++)
            measure_set(&r, (rv_prompt_set)set);
        measure_points(&r);
        for (int set = 0; set < RV_PROMPT_SETS; set++)
            draw_set(&r, (rv_prompt_set)set);
        draw_noise(&r);
        draw_condition(&r);
    }
    rv_prompt_race_release(&r);
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
