/* Builds bench.json from a plan and what became of its trials.  Misses are the string
 * "inf", what was not run yet is "nan". */
#include "bench/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/json.h"

static void put_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, rv_json_from_real(value));
}

static void put_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, rv_json_from_bytes(text));
}

/* ---- trials -------------------------------------------------------------- */

/* overhead: examples to the target are charged that many times. */
static void put_result(json_t *entry, const rv_trial_result *result, double overhead)
{
    bool reached = result->target_step >= 0;
    put_text(entry, "outcome", rv_outcome_name(result->outcome));
    put_text(entry, "why", result->why);
    json_object_set_new(entry, "steps", json_integer(result->steps));
    json_object_set_new(entry, "examples", json_integer(result->examples));
    put_real(entry, "seconds", result->seconds);
    put_real(entry, "best", result->best);
    put_real(entry, "final", result->final);
    put_real(entry, "target_step", reached ? (double)result->target_step : INFINITY);
    put_real(entry, "target_examples", reached ? (double)result->target_examples * overhead : INFINITY);
    put_real(entry, "target_seconds", reached ? result->target_seconds : INFINITY);
}

static json_t *trial_list(const rv_plan *plan, const rv_record_trial *trials)
{
    static const char *const states[] = {"pending", "done", "failed"};
    json_t *list = json_array();
    for (int i = 0; i < plan->count; i++) {
        const rv_plan_trial *planned = &plan->trials[i];
        json_t *entry = json_object();
        put_text(entry, "run", planned->id);
        json_object_set_new(entry, "problem", json_integer(planned->problem));
        json_object_set_new(entry, "optimizer", json_integer(planned->optimizer));
        json_object_set_new(entry, "point", json_integer(planned->point));
        json_object_set_new(entry, "study", json_integer(planned->study));
        json_object_set_new(entry, "seed", json_integer(planned->seed));
        put_text(entry, "state", states[trials[i].state]);
        if (trials[i].state == RV_TRIAL_DONE)
            put_result(entry, &trials[i].result, rv_plan_overhead(plan, planned->optimizer));
        else if (trials[i].state == RV_TRIAL_FAILED)
            put_text(entry, "error", trials[i].error);
        json_array_append_new(list, entry);
    }
    return list;
}

/* ---- the record ---------------------------------------------------------- */

static json_t *command_line(const rv_bench_options *options)
{
    json_t *list = json_array();
    for (int i = 0; i < options->argc; i++)
        json_array_append_new(list, rv_json_from_bytes(options->argv[i]));
    return list;
}

/* "Intel(R) Xeon(R) ..., 2 cores", as people tell machines apart. */
static void machine_name(char *text, size_t size)
{
    char line[256], model[192] = "unknown processor";
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(model, sizeof model, "%.190s", colon + 1 + strspn(colon + 1, " "));
        break;
    }
    if (file)
        fclose(file);
    snprintf(text, size, "%s, %ld cores", model, sysconf(_SC_NPROCESSORS_ONLN));
}

json_t *rv_record_make(const rv_plan *plan, const rv_record_trial *trials, const rv_bench_options *options,
                       json_t *notes)
{
    const char *ruleset = json_string_value(json_object_get(plan->suite, "ruleset"));
    json_t *ranking = rv_record_scores(plan, trials, ruleset ? ruleset : "ravine");
    if (!ranking)
        return NULL;
    bool complete = true;
    for (int i = 0; i < plan->count; i++)
        complete = complete && trials[i].state != RV_TRIAL_PENDING;
    char when[32], machine[256];
    machine_name(machine, sizeof machine);
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    json_t *record = json_object();
    json_object_set_new(record, "format", json_integer(1));
    put_text(record, "ravine", rv_version());
    put_text(record, "machine", machine);
    put_text(record, "finished", when);
    json_object_set_new(record, "complete", json_boolean(complete));
    json_object_set_new(record, "jobs", json_integer(options->jobs));
    json_object_set_new(record, "command", command_line(options));
    json_object_set(record, "suite", plan->suite);
    if (notes)
        json_object_set(record, "notes", notes);
    json_object_set_new(record, "trials", trial_list(plan, trials));
    json_object_set_new(record, "scores", ranking);
    return record;
}
