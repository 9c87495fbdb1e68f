/* Grokking: memorising comes first, understanding ten or a thousand times later; what makes the wait long
 * and what ends it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "studies/grokking.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                                   \
    INT(p, 97, 5, 997, 0, "modulus of the transformer's table, a prime")                                        \
    INT(width, 128, 8, 1024, 0, "of the transformer, a multiple of 4")                                          \
    INT(steps, 2500, 1, 1000000, 0, "of the transformer without decay, where it is judged, and of Grokfast")    \
    INT(budget, 6000, 1, 1000000, 0, "most steps of the transformers with decay")                               \
    INT(epochs, 7000, 1, 1000000, 0, "full-batch steps of the perceptron without decay")                        \
    INT(stable_epochs, 8000, 1, 1000000, 0, "most full-batch steps with softmax and StableMax")                 \
    INT(modulus, 113, 5, 997, 0, "of the perceptron's other tables, a prime")                                   \
    BOOL(long_run, false, "go on with the first transformer without decay, until it groks or is stopped, up to a million steps")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "grokking", params, PARAMS);

static const rv_claim claims[] = {
    {"memorises", "With weight decay 1 a transformer soon knows its half of the a / b table by heart", "steps to 99 % of the training half", "slide: training accuracy is 100 % at 700 to 900 steps",
     -HUGE_VAL, 900, RV_CLAIM_EVERY, true},
    {"groks", "and suddenly understands: the other half is right as well", "steps to 99 % of the validation half", "Power et al. 2022 (AdamW, decay 1); 2800 steps in a reproduction", -HUGE_VAL, 5000,
     RV_CLAIM_EVERY, true},
    {"delay", "several times later", "steps to understand / to memorise", "Power et al. 2022; 6 to 10 in a reproduction", 2, 20, RV_CLAIM_EVERY, true},
    {"none_memorises", "Without decay it memorises as fast", "steps to 99 % of the training half, no decay", "slide: 700 to 900", -HUGE_VAL, 900, RV_CLAIM_EVERY, true},
    {"none_waits", "and understands nothing in a time in which decay has finished", "validation accuracy at the step where it is judged", "slide: below 3 % before step 40,000", -HUGE_VAL, 0.1,
     RV_CLAIM_EVERY, true},
    {"shrinks", "Between memorising and understanding, decay shrinks the weights", "norm of the weights, understood / memorised", "Nanda et al. 2023: cleanup", -HUGE_VAL, 0.9, RV_CLAIM_EVERY, true},
    {"grows", "while without decay they grow", "norm of the weights, where it is judged / memorised", "Prieto et al. 2025: naive loss minimization", 1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"muon", "Muon needs fewer steps than AdamW", "steps to understand, Muon / AdamW", "Tveit et al. 2025: 102.9 against 153.1 epochs", -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {"grokfast", "Grokfast understands without decay, where the same run without it does not", "steps to 99 % of the validation half, Grokfast-EMA, no decay", "Lee et al. 2024: 910 against 39,890 iterations",
     -HUGE_VAL, 2500, RV_CLAIM_EVERY, true},
    {"division_group", "An embedding that divides lives on few frequencies of the multiplicative group", "concentration after grokking, multiplicative / additive", "Nanda et al. 2023, for addition", 1.5,
     HUGE_VAL, RV_CLAIM_EVERY, true},
    {"division_start", "which it does not at the start", "concentration at the first evaluation, multiplicative / additive", "control: random rows prefer no group", 0.67, 1.5, RV_CLAIM_EVERY, true},
    {"flat_memorises", "A perceptron memorises 40 % of the a + b table in no time", "steps to 99 % of its training rows, no decay", "Prieto et al. 2025; 60 in a reproduction", -HUGE_VAL, 120, RV_CLAIM_EVERY, false},
    {"flat_waits", "and never understands: softmax collapses", "best validation accuracy, no decay", "Prieto et al. 2025: softmax collapse in float32", -HUGE_VAL, 0.05, RV_CLAIM_EVERY, false},
    {"flat_gap", "in a hundred times as many steps", "steps without understanding / to memorise", "slide: 1000 times", 100, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"flat_decay", "With decay 2 it does", "steps to 99 % of the other rows", "Power et al. 2022", -HUGE_VAL, 1000, RV_CLAIM_EVERY, false},
    {"ortho", "and also without decay when the gradient loses its part along the weights", "steps to 99 % of the other rows, orthogonal gradient", "Prieto et al. 2025: 300 steps", -HUGE_VAL, 300,
     RV_CLAIM_EVERY, false},
    {"ortho_delay", "Then the delay is gone", "steps to understand / to memorise, orthogonal gradient", "Prieto et al. 2025; 1.1 in a reproduction", -HUGE_VAL, 2, RV_CLAIM_EVERY, false},
    {"stable", "StableMax understands without decay, on a smaller table, 70 % of it shown", "validation accuracy at the end, StableMax", "Prieto et al. 2025", 0.9, 1, RV_CLAIM_EVERY, true},
    {"stable_flat", "where softmax does not", "validation accuracy at the end, softmax", "control: the same run with softmax", -HUGE_VAL, 0.2, RV_CLAIM_EVERY, true},
    {"addition_group", "An embedding that adds lives on few frequencies of the additive group", "concentration after grokking, additive / multiplicative", "Nanda et al. 2023", 1.5, HUGE_VAL, RV_CLAIM_EVERY, false},
    {"product_group", "and one that multiplies on few of the multiplicative group", "concentration after grokking, multiplicative / additive", "control: the basis follows the operation", 1.5, HUGE_VAL,
     RV_CLAIM_EVERY, true},
    {"operations", "Differences, products, quotients and sums of squares are understood as well", "most steps to 99 %, orthogonal gradient", "Power et al. 2022", -HUGE_VAL, 600, RV_CLAIM_EVERY, true},
    {"cubic", "a^3 + a b^2 + b is not", "validation accuracy after 600 steps", "control: Power et al. 2022 found no share of the table that is enough", -HUGE_VAL, 0.2, RV_CLAIM_EVERY, true},
    {"fraction", "The less of the table is shown, the longer it takes", "steps to understand from 30 % / from 50 %", "Power et al. 2022, figure 1 (right)", 1.2, HUGE_VAL, RV_CLAIM_EVERY, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* ---- the plan ------------------------------------------------------------------------------ */

typedef enum group { TRANSFORMER, PERCEPTRON, TABLES } group;

typedef struct variant {
    group group;
    const char *data;   /* parameters of the workload beside the split */
    const char *method; /* optimizer, its parameters and wrappers */
    int steps;          /* budget; 0: budget_of says */
} variant;

#define DIVISION "\"operation\":\"division\""
#define ADDITION(share) "\"operation\":\"addition\",\"fraction\":" share
#define SMALL_ADDITION ADDITION("0.7") ",\"p\":59"
#define SLOW_ADAM "\"optimizer\":\"adam\",\"optimizer_params\":{\"lr\":0.001,\"beta2\":0.98}"
#define FAST_ADAM "\"optimizer\":\"adam\",\"optimizer_params\":{\"lr\":0.01,\"beta2\":0.99}"
#define STABLE_ADAM "\"optimizer\":\"adam\",\"optimizer_params\":{\"lr\":0.01,\"beta2\":0.999}"
#define ADAMW "\"lr\":0.001,\"beta2\":0.98,\"weight_decay\":1"
#define ORTHO FAST_ADAM ",\"wrappers\":\"orthograd\""

static const variant variants[RV_GROK_KINDS] = {
    [RV_GROK_DECAY] = {TRANSFORMER, DIVISION, "\"optimizer\":\"adamw\",\"optimizer_params\":{" ADAMW "}", 0},
    [RV_GROK_NONE] = {TRANSFORMER, DIVISION, SLOW_ADAM, 0},
    [RV_GROK_MUON] = {TRANSFORMER, DIVISION,
                      "\"optimizer\":\"muon\",\"optimizer_params\":{\"lr\":0.02,\"weight_decay\":0.05,\"adamw\":{" ADAMW "}}", 0},
    [RV_GROK_FAST] = {TRANSFORMER, DIVISION, SLOW_ADAM ",\"wrappers\":\"grokfast_ema(alpha=0.98,lamb=2)\"", 0},
    [RV_GROK_FLAT] = {PERCEPTRON, ADDITION("0.4"), FAST_ADAM, 0},
    [RV_GROK_FLAT_DECAY] = {PERCEPTRON, ADDITION("0.4"),
                            "\"optimizer\":\"adamw\",\"optimizer_params\":{\"lr\":0.01,\"beta2\":0.99,\"weight_decay\":2}", 2000},
    [RV_GROK_ORTHO] = {PERCEPTRON, ADDITION("0.4"), ORTHO, 600},
    [RV_GROK_STABLE_FLAT] = {PERCEPTRON, SMALL_ADDITION, STABLE_ADAM, 0},
    [RV_GROK_STABLE] = {PERCEPTRON, SMALL_ADDITION ",\"loss\":\"stablemax\"", STABLE_ADAM, 0},
    [RV_GROK_SUBTRACT] = {TABLES, "\"operation\":\"subtraction\"", ORTHO, 600},
    [RV_GROK_MULTIPLY] = {TABLES, "\"operation\":\"multiplication\"", ORTHO, 600},
    [RV_GROK_DIVIDE] = {TABLES, DIVISION, ORTHO, 600},
    [RV_GROK_SQUARES] = {TABLES, "\"operation\":\"squares\"", ORTHO, 600},
    [RV_GROK_CUBIC] = {TABLES, "\"operation\":\"cubic\"", ORTHO, 600},
    [RV_GROK_LESS] = {TABLES, ADDITION("0.3"), ORTHO, 600},
    [RV_GROK_MORE] = {TABLES, ADDITION("0.5"), ORTHO, 600},
    [RV_GROK_MOST] = {TABLES, ADDITION("0.7"), ORTHO, 600},
};

enum { LONG_STEPS = 1000000, CONFIG_SIZE = 1024 }; /* steps of the transformer without decay: the slide's axis */

static int64_t budget_of(const params *o, rv_grok_kind kind)
{
    switch (kind) {
    case RV_GROK_DECAY:
    case RV_GROK_MUON:
        return o->budget;
    case RV_GROK_NONE:
        return LONG_STEPS;
    case RV_GROK_FAST:
        return o->steps;
    case RV_GROK_FLAT:
        return o->epochs;
    case RV_GROK_STABLE_FLAT:
    case RV_GROK_STABLE:
        return o->stable_epochs;
    default:
        return variants[kind].steps;
    }
}

/* The trial of a variant; the transformer without decay has a budget for a day and is paused. */
static rv_status configure(rv_study_trial *t, const params *o, rv_grok_kind kind, int seed, rv_error *err)
{
    const variant *v = &variants[kind];
    bool transformer = v->group == TRANSFORMER;
    char size[64] = "";
    if (transformer)
        snprintf(size, sizeof size, "\"p\":%lld,\"width\":%lld,", (long long)o->p, (long long)o->width);
    else if (v->group == TABLES)
        snprintf(size, sizeof size, "\"p\":%lld,", (long long)o->modulus);
    t->pause = kind == RV_GROK_NONE ? o->steps : 0;
    t->config = malloc(CONFIG_SIZE);
    if (!t->config)
        return rv_fail(err, RV_E_MEMORY, "no memory for a configuration");
    snprintf(t->config, CONFIG_SIZE,
             "{\"workload\":\"%s\",\"workload_params\":{%s%s,\"split\":%d},%s,\"train\":{\"seed\":%d,\"steps\":%lld,"
             "\"eval_every\":%d,\"log_every\":100,\"target\":0.99}}",
             transformer ? "modular-division" : "modular-perceptron", size, v->data, seed, v->method, seed,
             (long long)budget_of(o, kind), transformer ? 50 : 10);
    rv_modular_prepare(t);
    return RV_OK;
}

/* ---- what the curves say ------------------------------------------------------------------- */

/* Steps to understand, or as many as were made without. */
static double wait_of(const rv_study_trial *r)
{
    double grokked = rv_grok_grokked(r);
    return isnan(grokked) ? (double)r->steps : grokked;
}

static double best_accuracy(const rv_study_trial *r)
{
    double best = 0;
    for (int i = 0; i < r->count; i++)
        best = fmax(best, rv_modular_curve(r, RV_VALIDATION_ACCURACY)[i]);
    return best;
}

/* The ratio of two measures at a step. */
static double ratio_at(const rv_study_trial *r, rv_measure above, rv_measure below, double step)
{
    return rv_modular_at(r, above, step) / rv_modular_at(r, below, step);
}

static void judge_transformer(rv_study_run *run, const rv_grok *g, int seed)
{
    const rv_study_trial *decay = rv_grok_run(g, RV_GROK_DECAY, seed), *none = rv_grok_run(g, RV_GROK_NONE, seed);
    double memorised = rv_grok_memorised(decay), grokked = rv_grok_grokked(decay), at = (double)g->pause;
    rv_study_measure(run, "memorises", memorised);
    rv_study_measure(run, "groks", grokked);
    rv_study_measure(run, "delay", grokked / memorised);
    if (!isnan(grokked))
        rv_study_note(run, "Seed %d: the transformer with decay 1 took %.0f steps and %.0f s.", seed, grokked, decay->seconds);
    rv_study_measure(run, "none_memorises", rv_grok_memorised(none));
    rv_study_measure(run, "none_waits", rv_modular_at(none, RV_VALIDATION_ACCURACY, at));
    rv_study_measure(run, "shrinks", rv_modular_at(decay, RV_WEIGHT_NORM, grokked) / rv_modular_at(decay, RV_WEIGHT_NORM, memorised));
    rv_study_measure(run, "grows", rv_modular_at(none, RV_WEIGHT_NORM, at) / rv_modular_at(none, RV_WEIGHT_NORM, rv_grok_memorised(none)));
    rv_study_measure(run, "muon", rv_grok_grokked(rv_grok_run(g, RV_GROK_MUON, seed)) / grokked);
    rv_study_measure(run, "grokfast", rv_grok_grokked(rv_grok_run(g, RV_GROK_FAST, seed)));
    rv_study_measure(run, "division_group", ratio_at(decay, RV_MULTIPLICATIVE, RV_ADDITIVE, grokked));
    rv_study_measure(run, "division_start", ratio_at(decay, RV_MULTIPLICATIVE, RV_ADDITIVE, decay->step[0]));
}

static void judge_perceptron(rv_study_run *run, const rv_grok *g, int seed)
{
    const rv_study_trial *flat = rv_grok_run(g, RV_GROK_FLAT, seed), *ortho = rv_grok_run(g, RV_GROK_ORTHO, seed);
    double grokked = rv_grok_grokked(ortho);
    rv_study_measure(run, "flat_memorises", rv_grok_memorised(flat));
    rv_study_measure(run, "flat_waits", best_accuracy(flat));
    rv_study_measure(run, "flat_gap", wait_of(flat) / rv_grok_memorised(flat));
    rv_study_measure(run, "flat_decay", rv_grok_grokked(rv_grok_run(g, RV_GROK_FLAT_DECAY, seed)));
    rv_study_measure(run, "ortho", grokked);
    rv_study_measure(run, "ortho_delay", grokked / rv_grok_memorised(ortho));
    rv_study_measure(run, "addition_group", ratio_at(ortho, RV_ADDITIVE, RV_MULTIPLICATIVE, grokked));
}

static double last_accuracy(const rv_grok *g, rv_grok_kind kind, int seed)
{
    return rv_modular_at(rv_grok_run(g, kind, seed), RV_VALIDATION_ACCURACY, HUGE_VAL);
}

static void judge_stablemax(rv_study_run *run, const rv_grok *g, int seed)
{
    rv_study_measure(run, "stable", last_accuracy(g, RV_GROK_STABLE, seed));
    rv_study_measure(run, "stable_flat", last_accuracy(g, RV_GROK_STABLE_FLAT, seed));
}

static void judge_tables(rv_study_run *run, const rv_grok *g, int seed)
{
    const rv_study_trial *product = rv_grok_run(g, RV_GROK_MULTIPLY, seed);
    double most = 0;
    for (rv_grok_kind k = RV_GROK_SUBTRACT; k <= RV_GROK_SQUARES; k++) {
        double steps = rv_grok_grokked(rv_grok_run(g, k, seed));
        most = fmax(most, isnan(steps) ? HUGE_VAL : steps);
    }
    rv_study_measure(run, "operations", most);
    rv_study_measure(run, "product_group", ratio_at(product, RV_MULTIPLICATIVE, RV_ADDITIVE, rv_grok_grokked(product)));
    rv_study_measure(run, "cubic", last_accuracy(g, RV_GROK_CUBIC, seed));
    rv_study_measure(run, "fraction", wait_of(rv_grok_run(g, RV_GROK_LESS, seed)) / wait_of(rv_grok_run(g, RV_GROK_MORE, seed)));
}

static void judge(rv_study_run *run, const rv_grok *g)
{
    for (int s = 0; s < g->seeds; s++) {
        judge_transformer(run, g, s);
        judge_perceptron(run, g, s);
        judge_stablemax(run, g, s);
        judge_tables(run, g, s);
    }
}

/* ---- running ------------------------------------------------------------------------------- */

/* All trials in one list, as the workers take them. */
static rv_status run_all(rv_study_run *run, const params *o, rv_grok *g, rv_error *err)
{
    int count = RV_GROK_KINDS * g->seeds;
    rv_status status = RV_OK;
    rv_study_trial **list = calloc((size_t)count, sizeof *list);
    if (!list)
        return rv_fail(err, RV_E_MEMORY, "no memory for the runs");
    for (int i = 0; i < count && status == RV_OK; i++) {
        list[i] = &g->runs[i];
        status = configure(list[i], o, (rv_grok_kind)(i / g->seeds), i % g->seeds, err);
    }
    if (status == RV_OK)
        status = rv_study_trials(run, list, count, 0, 1, err);
    free(list);
    return status;
}

/* The run of the slide.  When the user stops it, that is how far it is. */
static rv_status go_on(rv_study_run *run, rv_study_trial *t, rv_error *err)
{
    t->pause = 0;
    t->done = !t->paused;
    rv_status status = rv_study_trials(run, &t, 1, 0, 1, err);
    return status == RV_E_INTERRUPTED ? RV_OK : status;
}

static void tell_long_run(rv_study_run *run, const rv_study_trial *t)
{
    double grokked = rv_grok_grokked(t), memorised = rv_grok_memorised(t);
    if (isnan(memorised))
        return;
    if (isnan(grokked))
        rv_study_note(run, "The first transformer without decay has made %lld steps, %.0f times those to memorise, and has %.1f %% of the "
                           "validation half right; --set long_run=true goes on from there.",
                      (long long)t->steps, (double)t->steps / memorised, 100 * rv_modular_at(t, RV_VALIDATION_ACCURACY, HUGE_VAL));
    else
        rv_study_note(run, "The first transformer without decay has understood after %.0f steps, %.0f times those to memorise.", grokked, grokked / memorised);
}

/* What is known of claims that may fail. */
static void explain(rv_study_run *run)
{
    rv_study_reason(run, "memorises", "Decay slows memorising as well: without it half of the steps are enough.");
    rv_study_reason(run, "delay", "With decay 1 memorising is late and understanding early; the large delay of the slide belongs to small decay.");
    rv_study_reason(run, "grokfast", "Its paper has a decay of 0.005 beside it; without any the norm of the weights grows and nothing is understood within the budget.");
    rv_study_reason(run, "stable", "It is on the way and slower than the source: at the end of the budget the accuracy still rises.");
    rv_study_reason(run, "product_group", "A run that has not understood within its budget has no such embedding yet; the others have.");
    rv_study_reason(run, "operations", "One run of one operation had not understood within its budget.");
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    rv_grok g = {.seeds = run->seeds, .pause = o->steps};
    g.runs = calloc((size_t)RV_GROK_KINDS * (size_t)g.seeds, sizeof *g.runs);
    if (!g.runs)
        return rv_fail(err, RV_E_MEMORY, "no memory for the runs");
    rv_status status = run_all(run, o, &g, err);
    rv_study_trial *longest = &g.runs[(int)RV_GROK_NONE * g.seeds];
    if (status == RV_OK && o->long_run)
        status = go_on(run, longest, err);
    if (status == RV_OK) {
        judge(run, &g);
        explain(run);
        tell_long_run(run, longest);
        rv_grok_draw(run, &g);
    }
    for (int i = 0; i < RV_GROK_KINDS * g.seeds; i++)
        rv_study_trial_release(&g.runs[i]);
    free(g.runs);
    return status;
}

const rv_study rv_study_grokking = {
    .name = "grokking",
    .title = "Grokking: understanding long after memorising",
    .question = "A small network knows half of a table of modular arithmetic by heart after a few hundred steps, and only after a thousand times "
                "as many does it suddenly get the other half right. Why so late, and what makes it sooner?",
    .method = "Transformer (two layers, width 128, post-norm) on a / b mod 97, 50 % of the table, batch 512, Adam, learning rate 0.001, beta2 0.98, ten steps of\n"
              "warm-up; with decay 1, without, with Muon on its matrices, with Grokfast (its paper has decay 0.005, here none). Perceptron 226-200-200-113 on\n"
              "one-hot a + b mod 113, 40 % of the table in one batch, Adam, learning rate 0.01, beta2 0.99, in float32. Decay 2 was chosen from 0.1, 0.5 and 2 on\n"
              "another seed. StableMax needs tens of thousands of steps there, so it is compared with softmax on a + b mod 59, 70 % of it shown, beta2 0.999.\n"
              "Memorised and understood: the first\n"
              "evaluation with 99 % of the training or of the other rows; evaluated every 50 and every 10 steps. Every seed splits its own table. Every run is a\n"
              "trial in the folder trials: a stopped study goes on where it was.",
    .source = "Power, Burda, Edwards, Babuschkin, Misra 2022, Grokking; Prieto, Barsbey, Mediano, Birdal 2025, Grokking at the edge of numerical "
              "stability; Nanda, Chan, Lieberum, Smith, Steinhardt 2023, Progress measures for grokking; Lee, Kang, Kim, Lee 2024, Grokfast",
    .cost = "12 min",
    .params = &table,
    .quick = "p=23,width=32,steps=100,budget=150,epochs=300,stable_epochs=100,modulus=59",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
