/* The NanoGPT speedrun in small: the same network, data and batch for every optimizer, each with its
 * own sweep of learning rates, and fewest steps and seconds to a loss. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/score.h"
#include "studies/speedrun.h"

RV_PARAM_TABLE(table, "speedrun", rv_speedrun_params, RV_SPEEDRUN_PARAMS);

#define TRACK3 "modded-nanogpt, track 3"
#define RECORD6 "modded-nanogpt, code of record 6, every method 5100 steps"
static const rv_claim claims[] = {
    {"gain", "Muon needs fewer steps than AdamW for the loss at which AdamW ends", "AdamW's steps / Muon's, runs of their own length",
     "between Essential AI's 1.1 and " TRACK3 ": 5625 / 3250 = 1.73; up to 2 for one small network", 1.1, 2, RV_CLAIM_MEAN, true},
    {"gain_narrow", "also at half the width", "AdamW's steps / Muon's, runs of their own length", "as above", 1.1, 2, RV_CLAIM_MEAN, true},
    {"gain_wide", "and at twice the width", "AdamW's steps / Muon's, runs of their own length", "as above", 1.1, 2, RV_CLAIM_MEAN, true},
    {"persists", "The gain persists with scale", "gain at twice the width / at half of it", "slide: NanoGPT at 124M and 1.5B; Jordan et al. 2024", 0.85, HUGE_VAL, RV_CLAIM_MEAN,
     true},
    {"chance", "Muon's lead over AdamW at equal steps is beyond chance", "z over the pooled spread of a run", TRACK3 ": p < 0.001", 3.09, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"lowest", "No method but SOAP ends below Muon", "final loss, Muon - lowest of the others", RECORD6, -HUGE_VAL, 0, RV_CLAIM_MEAN, true},
    {"soap", "Muon and SOAP tie", "(SOAP - Muon) / (AdamW - Muon), mean final losses", RECORD6 ": -0.01", -1.0 / 3, 1.0 / 3, RV_CLAIM_EVERY, true},
    {"shampoo", "Shampoo lies between AdamW and Muon", "(Shampoo - Muon) / (AdamW - Muon), mean final losses", RECORD6 ": 0.15", 0, 1, RV_CLAIM_EVERY, true},
    {"sgd", "SGD with momentum is last", "final loss, SGD-M - highest of the other seven", "Kunstner et al. 2023, fig. 1: transformers", 0, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"lion", "Lion is no better than AdamW at a batch this small", "z by which Lion is ahead", "Chen et al. 2023, limitations: batches below 64", -HUGE_VAL, 3.09, RV_CLAIM_EVERY, true},
    {"nadamw", "Nesterov's momentum does not hurt AdamW", "z by which AdamW is ahead of NAdamW", "Dahl et al. 2023: NAdamW is AlgoPerf's baseline", -HUGE_VAL, 3.09, RV_CLAIM_EVERY, true},
    {"schedule_free", "Schedule-Free loses nothing against a schedule", "z by which AdamW is ahead of Schedule-Free", "Defazio et al. 2024", -HUGE_VAL, 3.09, RV_CLAIM_EVERY, true},
    {"cost", "Newton-Schulz is not free at so few tokens a step", "CPU seconds of a step, Muon / AdamW, twice the width", "arithmetic: 2.5 GFLOP beside 3.7 at width 128 and 768 tokens, 1.68",
     1.3, 2, RV_CLAIM_EVERY, true},
    {"seconds", "so that what Muon saves in steps it pays in seconds", "AdamW's CPU seconds / Muon's to AdamW's loss, twice the width", "a gain of 1.5 against a cost of 1.68", -HUGE_VAL, 1,
     RV_CLAIM_MEAN, true},
    {"no_momentum", "Orthogonal steps without momentum are worse than AdamW", "final loss, Muon without momentum - AdamW", "control: " TRACK3 ", 8225 steps against 5625", 0, HUGE_VAL,
     RV_CLAIM_MEAN, true},
    {"untuned", "An AdamW that is not tuned makes Muon look better than it is", "Muon's lead over AdamW at nanoGPT's 0.001 / over the best AdamW, seed 0",
     "control: " TRACK3 " calls its Adam under-tuned", 1.25, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"inside", "Every best learning rate lies inside its sweep", "sweeps whose best rate is at an end", "control: a comparison of tuned methods", 0, 0, RV_CLAIM_EVERY, true},
    {"records", "Every public record is faster than the one before", "records that are not", "modded-nanogpt, table of records", 0, 0, RV_CLAIM_EVERY, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* ---- the races ------------------------------------------------------------------------------ */

static rv_status sweeps(rv_race *race, rv_error *err)
{
    enum { WHOLE = 5, REST = 6 };
    /* AdamW first: its rate is that of embeddings and vectors beside the matrix methods. */
    static const int whole[WHOLE] = {RV_ADAMW, RV_NADAMW, RV_SCHEDULE_FREE, RV_LION, RV_SGD};
    static const int rest[REST] = {RV_MUON, RV_SOAP, RV_SHAMPOO, RV_NO_MOMENTUM, RV_NARROW, RV_WIDE};
    static const int muons[2] = {RV_NARROW + 1, RV_WIDE + 1};
    for (int i = 0; i < RV_METHODS; i++)
        rv_race_start(race, i, NAN);
    RV_TRY(rv_race_sweep(race, whole, WHOLE, 0, 0.15, err));
    for (int i = RV_NARROW; i < RV_RACERS; i += 2)
        rv_race_start(race, i, race->racer[RV_ADAMW].best);
    RV_TRY(rv_race_sweep(race, rest, REST, 0.15, 0.45, err));
    for (int i = 0; i < 2; i++)
        rv_race_start(race, muons[i], race->racer[RV_MUON].best);
    return rv_race_sweep(race, muons, 2, 0.45, 0.6, err);
}

/* ---- statistics of the third track ------------------------------------------------------------- */

/* Rows of all seeds of the methods at the middle width, for `ravine evidence` too. */
static rv_status write_table(const rv_race *race, const char *path, rv_error *err)
{
    rv_text text = {0};
    rv_text_format(&text, "submission,seed,step,loss\n");
    for (int i = 0; i < RV_METHODS; i++)
        for (int s = 0; s < race->run->seeds; s++) {
            const rv_study_trial *t = rv_race_trial(race, i, race->racer[i].best, race->params->steps, (uint64_t)s);
            for (int k = 0; t && k < t->count; k++)
                rv_text_format(&text, "%s,%d,%.0f,%.9g\n", rv_race_name(i), s, t->step[k], t->value[k]);
        }
    rv_status status = text.failed ? rv_fail(err, RV_E_MEMORY, "%s: no memory", path) : rv_file_write(path, text.data, text.size, err);
    rv_text_release(&text);
    return status;
}

static rv_status evidence(const char *path, double target, json_t **report, rv_error *err)
{
    rv_evidence_options o = {.target = target, .sigma = NAN, .margin = NAN};
    char *text;
    RV_TRY(rv_evidence_report(&text, path, &o, err));
    rv_status status = rv_json_parse(text, strlen(text), path, report, err);
    free(text);
    return status;
}

static bool is_named(const json_t *object, const char *key, const char *name)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && strcmp(text, name) == 0;
}

/* z by which a is ahead of b. */
static double ahead(const json_t *report, const char *a, const char *b)
{
    size_t i;
    json_t *pair;
    json_array_foreach(json_object_get(report, "pairs"), i, pair)
    {
        double z = rv_json_real(pair, "z", NAN);
        if (is_named(pair, "better", a) && is_named(pair, "than", b))
            return z;
        if (is_named(pair, "better", b) && is_named(pair, "than", a))
            return -z;
    }
    return NAN;
}

/* Steps to the absolute target; NAN: not reached. */
static double reached_by(const json_t *report, const char *name)
{
    size_t i;
    json_t *method;
    json_array_foreach(json_object_get(report, "methods"), i, method)
        if (is_named(method, "submission", name) && json_is_true(json_object_get(method, "reached")))
            return rv_json_real(method, "step", NAN);
    return NAN;
}

static void take_reached(rv_study_run *run, const json_t *report, rv_race *race)
{
    for (int i = 0; i < RV_METHODS; i++) {
        rv_racer *r = &race->racer[i];
        r->reached = reached_by(report, rv_race_name(i));
        if (isnan(r->reached))
            rv_study_note(run, "%s is not below %g with p < 0.001 in %lld steps.", rv_race_name(i), race->params->target, (long long)race->params->steps);
        else
            rv_study_note(run, "%s is below %g with p < 0.001 after %.0f steps or %.1f CPU seconds.", rv_race_name(i), race->params->target, r->reached,
                          r->reached * r->step_seconds);
    }
}

static rv_status compare(rv_study_run *run, rv_race *race, rv_error *err)
{
    char path[RV_PATH_SIZE];
    json_t *reached = NULL, *last = NULL;
    RV_TRY(rv_path_join(path, run->options->dir, "evaluations.csv", err));
    RV_TRY(write_table(race, path, err));
    /* A spread needs two seeds; a target that nobody reaches compares the ends. */
    rv_status status = run->seeds < 2 ? RV_OK : evidence(path, race->params->target, &reached, err);
    if (status == RV_OK && run->seeds > 1)
        status = evidence(path, -1, &last, err);
    if (status == RV_OK) {
        rv_study_measure(run, "chance", ahead(last, "Muon", "AdamW"));
        rv_study_measure(run, "lion", ahead(last, "Lion", "AdamW"));
        rv_study_measure(run, "nadamw", ahead(last, "AdamW", "NAdamW"));
        rv_study_measure(run, "schedule_free", ahead(last, "AdamW", "Schedule-Free"));
        rv_study_note(run, "One run of a method spreads by %.4f over seeds (pooled).", rv_json_real(last, "sigma", NAN));
        if (reached)
            take_reached(run, reached, race);
    }
    json_decref(reached);
    json_decref(last);
    return status;
}

/* ---- what the claims ask ---------------------------------------------------------------------------- */

static void measure_gains(rv_study_run *run, const rv_race *race)
{
    const rv_racer *adamw = &race->racer[RV_WIDE], *muon = &race->racer[RV_WIDE + 1];
    double steps = (double)race->params->steps, cost = muon->step_seconds / adamw->step_seconds;
    for (int s = 0; s < run->seeds; s++) {
        uint64_t seed = (uint64_t)s;
        double narrow = steps / rv_race_needed(race, RV_NARROW + 1, seed), wide = steps / rv_race_needed(race, RV_WIDE + 1, seed);
        rv_study_measure(run, "gain", steps / rv_race_needed(race, RV_MUON, seed));
        rv_study_measure(run, "gain_narrow", narrow);
        rv_study_measure(run, "gain_wide", wide);
        rv_study_measure(run, "persists", wide / narrow);
        rv_study_measure(run, "seconds", wide / cost);
    }
    rv_study_measure(run, "cost", cost);
}

static void measure_ends(rv_study_run *run, const rv_race *race)
{
    int64_t steps = race->params->steps;
    for (int s = 0; s < run->seeds; s++) {
        double low = HUGE_VAL, high = -HUGE_VAL, of[RV_METHODS];
        for (int i = 0; i < RV_METHODS; i++) {
            of[i] = rv_race_final(race, i, steps, (uint64_t)s);
            if (i != RV_MUON && i != RV_SOAP && i != RV_NO_MOMENTUM)
                low = fmin(low, of[i]);
            if (i != RV_SGD && i != RV_NO_MOMENTUM)
                high = fmax(high, of[i]);
        }
        rv_study_measure(run, "lowest", of[RV_MUON] - low);
        rv_study_measure(run, "sgd", of[RV_SGD] - high);
        rv_study_measure(run, "no_momentum", of[RV_NO_MOMENTUM] - of[RV_ADAMW]);
    }
    double muon = rv_race_mean(race, RV_MUON, steps), lead = rv_race_mean(race, RV_ADAMW, steps) - muon;
    rv_study_measure(run, "soap", (rv_race_mean(race, RV_SOAP, steps) - muon) / lead);
    rv_study_measure(run, "shampoo", (rv_race_mean(race, RV_SHAMPOO, steps) - muon) / lead);
    double first = rv_race_final(race, RV_MUON, steps, 0);
    const rv_study_trial *published = rv_race_trial(race, RV_ADAMW, 1e-3, steps, 0);
    rv_study_measure(run, "untuned", ((published ? published->final : NAN) - first) / (rv_race_final(race, RV_ADAMW, steps, 0) - first));
}

static void note_racers(rv_study_run *run, const rv_race *race)
{
    int ends = 0;
    for (int i = 0; i < RV_RACERS; i++) {
        const rv_racer *r = &race->racer[i];
        double needed = 0;
        for (int s = 0; s < run->seeds; s++)
            needed += rv_race_needed(race, i, (uint64_t)s) / run->seeds;
        ends += !r->inside;
        if (isnan(needed))
            rv_study_note(run, "%s, width %d: best rate %g of %d, final loss %.4f, %.1f ms of CPU a step; AdamW's loss is not reached in as many steps.", rv_race_name(r->method), (int)r->width,
                          r->best, r->rates, rv_race_mean(race, i, race->params->steps), 1e3 * r->step_seconds);
        else
            rv_study_note(run, "%s, width %d: best rate %g of %d, final loss %.4f, %.1f ms of CPU a step; AdamW's loss after %.0f steps or %.1f CPU seconds.", rv_race_name(r->method),
                          (int)r->width, r->best, r->rates, rv_race_mean(race, i, race->params->steps), 1e3 * r->step_seconds, needed, needed * r->step_seconds);
    }
    rv_study_measure(run, "inside", ends);
}

/* Where on the way Muon is ahead: 2.5 is the loss of pairs of characters, which is reached before attention has learnt anything. */
static void note_way(rv_study_run *run, const rv_race *race)
{
    static const int muon[] = {RV_NARROW + 1, RV_MUON, RV_WIDE + 1};
    for (int i = 0; i < 3; i++) {
        const rv_racer *r = &race->racer[muon[i]];
        double ratio[3];
        for (int k = 0; k < 3; k++)
            ratio[k] = rv_race_crossing(race, r->adamw, 2.5 - 0.1 * k) / rv_race_crossing(race, muon[i], 2.5 - 0.1 * k);
        rv_study_note(run, "On the way, width %d: AdamW's steps / Muon's are %.2f to a loss of 2.5, where pairs of characters end, %.2f to 2.4, %.2f to 2.3.", (int)r->width,
                      ratio[0], ratio[1], ratio[2]);
    }
}

static rv_status run_race(rv_study_run *run, rv_race *race, rv_error *err)
{
    RV_TRY(sweeps(race, err));
    RV_TRY(rv_race_seeds(race, 0.6, 0.8, err));
    RV_TRY(rv_race_shorten(race, 0.8, 0.98, err));
    RV_TRY(rv_race_cost(race, err));
    RV_TRY(compare(run, race, err));
    measure_gains(run, race);
    measure_ends(run, race);
    note_racers(run, race);
    note_way(run, race);
    rv_race_draw(race);
    return RV_OK;
}

/* What is known of claims that may fail. */
static void explain(rv_study_run *run)
{
    rv_study_reason(run, "gain", "Muon gains more here than in any source. It is neither the rate of AdamW, nor one rate for all tensors, nor the length of the run; why is not known.");
    rv_study_reason(run, "gain_narrow", "The gain is largest in the smallest network.");
    rv_study_reason(run, "persists", "It persists, and is a little smaller in the wider network; seeds differ by more than what is missing.");
    rv_study_reason(run, "seconds", "A tie: at this width the time of Newton-Schulz and the steps saved are worth the same.");
    rv_study_reason(run, "no_momentum", "Orthogonalising alone gives most of the gain at this batch; momentum adds little.");
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const rv_speedrun_params *p = values;
    if (p->width % 8 != 0 || p->steps % 20 != 0)
        return rv_fail(err, RV_E_ARGUMENT, "expected a width that is a multiple of 8 and steps that are one of 20, found %lld and %lld", (long long)p->width, (long long)p->steps);
    rv_race race;
    rv_race_init(&race, run, p);
    rv_status status = run_race(run, &race, err);
    rv_race_release(&race);
    RV_TRY(status);
    rv_study_measure(run, "records", rv_records_slower());
    rv_records_draw(run);
    explain(run);
    return RV_OK;
}

const rv_study rv_study_speedrun = {
    .name = "speedrun",
    .title = "The NanoGPT speedrun in small: eight optimizers to one loss",
    .question = "Fixed architecture, data and batch: which optimizer needs the fewest steps, and which the fewest seconds, to reach a loss? Does Muon's gain persist with scale?",
    .method =
        "nanoGPT's CPU network (4 layers, 4 heads, context 64, batch 12) on characters, at width 64 for all methods and at 32 and 128 for AdamW and Muon, so that\n"
        "all is done in a quarter of an hour. Runs of 800 steps, warm-up over 5 %, decay to zero over the last 30 % (Schedule-Free: warm-up only), clipped at norm 1,\n"
        "without weight decay. Learning rates a factor 2 apart with seed 0, the sweep widened until its best rate has a worse one on each side; then all seeds at\n"
        "the best rate, or at the rate below where their mean is worse than that had. Muon, SOAP and Shampoo have the hidden matrices; embeddings and vectors have AdamW at the rate that is best for AdamW, as in the speedrun.\n"
        "Steps to AdamW's loss: a method that ends below AdamW is run again with 1/2, 3/8, .. of the steps and a schedule of that length, until it ends above; linear\n"
        "in the logarithm of the steps between. Reading the crossing off one run instead would be too kind to whoever is slow: there the schedule's decay, which is\n"
        "common to all, does most of the falling. Steps to the absolute target are the track's own: the first evaluation, the same for all seeds, at which the mean\n"
        "is below it with p < 0.001.\n"
        "Seconds are CPU time of a step, measured alone on one core (the fastest of five times ten steps), times steps; evaluation is not counted. At 768 tokens a step matrix methods\n"
        "are dear; on the speedrun's 524,288 tokens Newton-Schulz costs 1 %.\n"
        "Validation is on the first 256 windows of the last tenth of the text, so that losses are not those of docs/workloads.md. width=128 steps=2000 is nanoGPT's own size.",
    .source = "github.com/KellerJordan/modded-nanogpt (README, track 3, code of record 6); Jordan et al. 2024, Muon",
    .cost = "12 min",
    .params = &table,
    .quick = "width=16,layers=1,block=16,batch=8,steps=40,evaluate=32",
    .seeds = 3,
    .quick_seeds = 2,
    .claims = claims,
    .run = run_study,
};
