/* Recognises sources and rulesets.  Invariant: what is left out is told in a note. */
#include "bench/read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"

/* ---- folders ----------------------------------------------------------------- */

rv_status rv_read_folders(const char *path, rv_names *names, rv_error *err)
{
    char full[RV_PATH_SIZE], **entries;
    int count;
    rv_status status = rv_folder_names(path, &entries, &count, err);
    for (int i = 0; i < count && status == RV_OK; i++) {
        status = rv_path_join(full, path, entries[i], err);
        if (status == RV_OK && rv_is_folder(full) && rv_names_put(names, entries[i]) < 0)
            status = rv_fail(err, RV_E_MEMORY, "%s: no memory for its entries", path);
    }
    rv_folder_names_free(entries, count);
    return status;
}

/* ---- what takes part --------------------------------------------------------- */

bool rv_read_scans(const rv_reading *reading)
{
    return reading->ruleset == NULL;
}

bool rv_read_workload(rv_reading *r, const char *workload)
{
    if (rv_read_scans(r)) {
        rv_names_put(&r->workloads, workload);
        return false;
    }
    if (r->ruleset->workload_count == 0 || rv_ruleset_find(r->ruleset, workload) >= 0)
        return true;
    rv_names_put(&r->unknown, workload);
    return false;
}

void rv_read_trial_label(rv_reading *r, const char *label)
{
    char start[sizeof r->first_trial];
    snprintf(start, sizeof start, "%.60s", label);
    if (r->trials_seen == 0) {
        memcpy(r->first_trial, start, sizeof start);
        r->trials_seen = 1;
    } else if (strcmp(r->first_trial, start) != 0) {
        r->trials_seen = 2;
    }
}

bool rv_read_tuning(rv_reading *r, rv_tuning tuning)
{
    if (rv_read_scans(r)) {
        r->external |= tuning == RV_TUNING_EXTERNAL;
        r->self |= tuning == RV_TUNING_SELF;
        return true;
    }
    bool mixed = r->external && r->self, own = (tuning == RV_TUNING_SELF) == r->ruleset->self_tuning;
    if (!mixed || own || tuning == RV_TUNING_UNKNOWN)
        return true;
    r->foreign++;
    return false;
}

/* ---- the ruleset ------------------------------------------------------------- */

/* "external" and "self" in place of a ruleset's name ask for the one that fits of that tuning. */
static rv_tuning asked_tuning(const rv_reading *r)
{
    const char *name = r->options->ruleset ? r->options->ruleset : "";
    return strcmp(name, "external") == 0 ? RV_TUNING_EXTERNAL
           : strcmp(name, "self") == 0   ? RV_TUNING_SELF
                                         : RV_TUNING_UNKNOWN;
}

/* Whether a ruleset is for such trials.  Where no row or folder says so, several trials in a
 * study are external tuning, and one in each is self-tuning; medians may be either. */
static bool fits_tuning(const rv_reading *r, const rv_ruleset *ruleset)
{
    rv_tuning asked = asked_tuning(r);
    if (asked != RV_TUNING_UNKNOWN)
        return ruleset->self_tuning == (asked == RV_TUNING_SELF);
    if (r->external || r->self)
        return ruleset->self_tuning == r->self;
    return r->trials_seen == 0 || ruleset->self_tuning == (r->trials_seen == 1);
}

/* How well a ruleset fits: names it knows, less a little for each that was not run. */
static double fit(const rv_reading *r, const rv_ruleset *ruleset)
{
    int matched = 0;
    for (int i = 0; i < r->workloads.count; i++)
        matched += rv_ruleset_find(ruleset, r->workloads.name[i]) >= 0;
    return matched == 0 || !fits_tuning(r, ruleset) ? 0 : matched - 0.001 * (ruleset->workload_count - matched);
}

static rv_status recognise(rv_reading *r, rv_ruleset **out, rv_error *err)
{
    const char *best = r->own_ruleset[0] ? r->own_ruleset : "ravine";
    double best_fit = 0;
    rv_tuning asked = asked_tuning(r);
    if (asked == RV_TUNING_UNKNOWN && r->external && r->self)
        return rv_fail(err, RV_E_ARGUMENT,
                       "score: external and self-tuning trials stand side by side; "
                       "choose with --ruleset external or --ruleset self");
    for (int i = 0; rv_ruleset_name(i) && !r->ravine; i++) {
        rv_ruleset *ruleset;
        RV_TRY(rv_ruleset_load(&ruleset, rv_ruleset_name(i), err));
        double own = fit(r, ruleset);
        rv_ruleset_free(ruleset);
        if (own > best_fit) {
            best_fit = own;
            best = rv_ruleset_name(i);
        }
    }
    if (best_fit == 0 && asked != RV_TUNING_UNKNOWN)
        best = asked == RV_TUNING_SELF ? "ravine-self" : "ravine-external";
    return rv_ruleset_load(out, best, err);
}

/* ---- notes ------------------------------------------------------------------- */

static void note(const rv_reading *r, const char *format, ...) RV_PRINTF(2, 3);
static void note(const rv_reading *r, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    if (!r->options->note)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    r->options->note(r->options->context, line);
}

static void tell(const rv_reading *r)
{
    rv_text list = {0};
    for (int i = 0; i < r->unknown.count; i++)
        rv_text_format(&list, "%s%s", i ? ", " : "", r->unknown.name[i]);
    if (!r->options->ruleset)
        note(r, "ruleset %s (%s), %s", r->ruleset->name, r->ruleset->title,
             r->own_ruleset[0] ? "as the benchmark was run" : "recognised from the workloads");
    if (list.data)
        note(r, "not in the ruleset %s, left out: %s", r->ruleset->name, list.data);
    if (r->unscored)
        note(r, "%zu rows are marked as not scored", r->unscored);
    if (r->foreign)
        note(r, "%zu rows are of the other tuning", r->foreign);
    if (r->unindexed && r->ruleset->pick == RV_PICK_EVALUATION)
        note(r, "%zu trials have no index of evaluation (eval_index): the fastest of a study counts", r->unindexed);
    if (r->empty)
        note(r, "%zu trials left no evaluation behind and are ignored, as the official scorer does", r->empty);
    rv_text_release(&list);
}

/* ---- the whole --------------------------------------------------------------- */

static rv_status read_path(rv_reading *r, const char *path, rv_error *err)
{
    if (!rv_file_exists(path))
        return rv_fail(err, RV_E_IO, "%s: no such file or folder", path);
    if (rv_is_runs(path))
        return rv_read_runs(r, path, err);
    if (!rv_is_folder(path))
        return rv_read_table(r, path, err);
    if (rv_is_logs(path))
        return rv_read_logs(r, path, err);
    return rv_fail(err, RV_E_FORMAT,
                   "%s: expected a table (CSV), AlgoPerf's logs (study_*/WORKLOAD_FRAMEWORK/trial_*), a benchmark "
                   "(bench.json) or runs (config.json); found none of them",
                   path);
}

static rv_status read_all(rv_reading *r, const char *const *paths, int count, rv_error *err)
{
    for (int i = 0; i < count; i++)
        RV_TRY(read_path(r, paths[i], err));
    return RV_OK;
}

rv_status rv_trials_read(rv_trials **out, rv_ruleset **ruleset, const char *const *paths, int count,
                         const rv_trials_options *options, rv_error *err)
{
    rv_reading r = {.options = options};
    *out = NULL;
    *ruleset = NULL;
    rv_status status = read_all(&r, paths, count, err);
    bool named = options->ruleset && asked_tuning(&r) == RV_TUNING_UNKNOWN;
    if (status == RV_OK)
        status = named ? rv_ruleset_load(ruleset, options->ruleset, err) : recognise(&r, ruleset, err);
    if (status == RV_OK)
        status = rv_trials_new(&r.trials, err);
    if (status == RV_OK) {
        r.ruleset = *ruleset;
        r.clock = options->clock ? options->clock : r.ruleset->clock;
        snprintf(r.trials->clock_name, sizeof r.trials->clock_name, "%.63s", r.clock);
        status = read_all(&r, paths, count, err);
    }
    if (status == RV_OK)
        tell(&r);
    rv_names_release(&r.workloads);
    rv_names_release(&r.unknown);
    if (status != RV_OK) {
        rv_trials_free(r.trials);
        rv_ruleset_free(*ruleset);
        *ruleset = NULL;
    } else {
        *out = r.trials;
    }
    return status;
}
