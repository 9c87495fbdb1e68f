/* ravine explain: everything that is declared about one name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/kinds.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/bench.h"
#include "ravine/measure.h"
#include "ravine/optim.h"
#include "ravine/score.h"
#include "ravine/study.h"

static void bounds(const rv_param *row, char *text, size_t size)
{
    char lo[32] = "", hi[32] = "";
    if (row->type == RV_PARAM_CHOICE) {
        snprintf(text, size, "%s", row->choices);
    } else if (row->type == RV_PARAM_REAL || row->type == RV_PARAM_INT) {
        rv_json_number(row->lo, lo, sizeof lo);
        rv_json_number(row->hi, hi, sizeof hi);
        snprintf(text, size, "%c%s, %s%c%s", row->flags & RV_PARAM_OPEN_LO ? '(' : '[',
                 isinf(row->lo) ? "-inf" : lo, isinf(row->hi) ? "inf" : hi,
                 row->flags & RV_PARAM_OPEN_HI || isinf(row->hi) ? ')' : ']',
                 row->flags & RV_PARAM_LOG ? " log" : "");
    } else {
        snprintf(text, size, "%s", row->type == RV_PARAM_BOOL ? "true|false" : "text");
    }
}

static void print_params(const rv_param_table *table)
{
    static const char *const heads[] = {"parameter", "default", "allowed", "meaning"};
    static const bool right[] = {false, false, false, false};
    if (!table || table->count == 0)
        return;
    void *values = malloc(table->size);
    rv_table *out = rv_table_new(4, heads, right);
    if (values && out) {
        rv_params_init(table, values);
        for (size_t i = 0; i < table->count; i++) {
            char initial[RV_PARAM_TEXT_SIZE], allowed[256];
            rv_params_get(&table->rows[i], values, initial, sizeof initial);
            bounds(&table->rows[i], allowed, sizeof allowed);
            const char *cells[] = {table->rows[i].name, strcmp(initial, "nan") == 0 ? "none" : initial,
                                   allowed, table->rows[i].help};
            rv_table_row(out, cells);
        }
        rv_text text = {0};
        rv_table_print(out, &text, false);
        printf("\n%s", text.data ? text.data : "");
        rv_text_release(&text);
    }
    rv_table_free(out);
    free(values);
}

static json_t *params_json(const rv_param_table *table)
{
    json_t *list = json_array();
    for (size_t i = 0; table && i < table->count; i++) {
        char allowed[256];
        bounds(&table->rows[i], allowed, sizeof allowed);
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "name", table->rows[i].name, "default",
                                              table->rows[i].initial, "allowed", allowed, "help",
                                              table->rows[i].help));
    }
    return list;
}

/* What explain knows of a name, whatever kind it is. */
typedef struct topic {
    const char *kind, *name, *title;
    struct { const char *head, *text; } part[6];
    int parts;
    char bytes[64]; /* text of its own */
    const rv_param_table *params;
    rv_text owned; /* text made for this topic */
} topic;

static void add(topic *t, const char *head, const char *text)
{
    if (text && *text) {
        t->part[t->parts].head = head;
        t->part[t->parts++].text = text;
    }
}

static bool describe_method(const rv_method_info *method, const char *kind, topic *t)
{
    if (!method)
        return false;
    *t = (topic){.kind = kind, .name = method->name, .title = method->title, .params = method->params};
    add(t, "equations", method->equations);
    add(t, "paper", method->paper);
    add(t, "proved against", method->reference);
    add(t, "deviations", method->deviations);
    add(t, "state", method->state);
    if (!isnan(method->bytes_per_parameter)) {
        snprintf(t->bytes, sizeof t->bytes, "%g, in float32 and with the default parameters", method->bytes_per_parameter);
        add(t, "bytes of state per parameter", t->bytes);
    }
    return true;
}

static bool find_method(const char *name, topic *t)
{
    return describe_method(rv_method_find(name), "optimizer", t);
}

static bool find_wrapper(const char *name, topic *t)
{
    return describe_method(rv_wrapper_find(name), "wrapper", t);
}

static bool find_schedule(const char *name, topic *t)
{
    const rv_schedule_info *schedule = rv_schedule_find(name);
    if (!schedule)
        return false;
    *t = (topic){.kind = "schedule", .name = schedule->name, .title = schedule->title,
                 .params = schedule->params};
    add(t, "equation", schedule->equation);
    add(t, "source", schedule->reference);
    return true;
}

/* The tuned settings as commands. */
static void add_tuned(topic *t, const rv_workload *workload)
{
    for (const char *line = workload->tuned; line && *line;) {
        size_t length = strcspn(line, "\n");
        rv_text_format(&t->owned, "ravine train %s %.*s\n", workload->name, (int)length, line);
        line += length + (line[length] == '\n');
    }
    add(t, "reaches the target sooner", t->owned.data);
}

static bool find_workload(const char *name, topic *t)
{
    const rv_workload *workload = rv_workload_find(name);
    if (!workload)
        return false;
    *t = (topic){.kind = "workload", .name = workload->name, .title = workload->title,
                 .params = workload->params};
    add(t, "description", workload->description);
    add(t, "metric", workload->metric);
    add(t, "recipe", workload->recipe);
    add_tuned(t, workload);
    return true;
}

/* The claims as a list: sentence, quantity, interval, source. */
static void add_claims(topic *t, const rv_claim *claims)
{
    char expected[96];
    for (const rv_claim *c = claims; c->key; c++)
        rv_text_format(&t->owned, "%s\n    %s: %s (%s)\n", c->text, c->quantity, rv_claim_expected(c, expected, sizeof expected),
                       c->source);
    add(t, "claims", t->owned.data);
}

static bool find_study(const char *name, topic *t)
{
    const rv_study *study = rv_study_find(name);
    if (!study)
        return false;
    *t = (topic){.kind = "study", .name = study->name, .title = study->title, .params = study->params};
    add(t, "question", study->question);
    add_claims(t, study->claims);
    add(t, "method", study->method);
    add(t, "source", study->source);
    add(t, "cost on two cores", study->cost);
    return true;
}

static bool find_measure(const char *name, topic *t)
{
    const rv_measure *measure = rv_measure_find(name);
    if (!measure)
        return false;
    *t = (topic){.kind = "measure", .name = measure->name, .title = measure->title, .params = measure->params};
    add(t, "description", measure->description);
    add(t, "source", measure->source);
    return true;
}

static bool find_suite(const char *name, topic *t)
{
    const rv_suite *suite = rv_suite_find(name);
    if (!suite)
        return false;
    *t = (topic){.kind = "suite", .name = suite->name, .title = suite->title};
    add(t, "definition", suite->json);
    return true;
}

static bool find_sampler(const char *name, topic *t)
{
    for (int i = 0; rv_sampler_at(i); i++) {
        const rv_sampler_info *sampler = rv_sampler_at(i);
        if (strcmp(sampler->name, name) != 0)
            continue;
        *t = (topic){.kind = "sampler", .name = sampler->name, .title = sampler->title};
        add(t, "points", sampler->description);
        add(t, "source", sampler->reference);
        return true;
    }
    return false;
}

/* A topic whose texts stand in a JSON object; they are valid until the next call. */
static void describe(topic *t, const char *kind, const char *name, const char *json)
{
    static json_t *object;
    json_decref(object);
    object = json_loads(json, 0, NULL);
    const char *title = json_string_value(json_object_get(object, "title"));
    *t = (topic){.kind = kind, .name = name, .title = title ? title : ""};
    add(t, "source", json_string_value(json_object_get(object, "source")));
    add(t, "notes", json_string_value(json_object_get(object, "notes")));
}

static bool find_ruleset(const char *name, topic *t)
{
    const char *json = rv_ruleset_json(name);
    if (!json)
        return false;
    describe(t, "ruleset", name, json);
    add(t, "definition", json);
    return true;
}

static bool find_submission(const char *name, topic *t)
{
    static char missing[256];
    const rv_submission *submission = rv_submission_find(name);
    if (!submission)
        return false;
    describe(t, "submission", submission->name, submission->json);
    rv_submission_missing(submission->json, missing, sizeof missing);
    add(t, "missing here", missing);
    add(t, "definition", submission->json);
    return true;
}

static const char *nearest_topic(const char *name)
{
    const char *names[1024], *title;
    int count = 0;
    for (int k = 0; k < CLI_KINDS; k++)
        for (int i = 0; count < 1024 && cli_kinds[k].at(i, &names[count], &title); i++)
            count += names[count] != NULL;
    return rv_text_nearest(name, names, count);
}

/* How much of a line fits: all of it, or as many words as do; a word that is longer stands whole. */
static size_t fitting(const char *line, size_t length, size_t width)
{
    size_t end = length;
    if (length > width) {
        for (end = width; end > 0 && line[end] != ' ';)
            end--;
        for (end = end > 0 ? end : width; end < length && line[end] != ' ';)
            end++;
    }
    return end;
}

static void print_indented(const char *text, size_t width)
{
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n"), end = fitting(line, length, width);
        printf("  %.*s\n", (int)end, line);
        line += end + strspn(line + end, " ");
        line += *line == '\n';
    }
}

/* Prose is broken into lines for a person who looks; what can be copied stays as it is. */
static void print_topic(const topic *t)
{
    const size_t looked_at = isatty(STDOUT_FILENO) ? (size_t)cli_width() - 2 : SIZE_MAX;
    printf("%s: %s (%s)\n", t->name, t->title, t->kind);
    for (int i = 0; i < t->parts; i++) {
        bool data = strcmp(t->part[i].head, "definition") == 0 || strcmp(t->part[i].head, "recipe") == 0;
        printf("\n%s\n", t->part[i].head);
        print_indented(t->part[i].text, data ? SIZE_MAX : looked_at);
    }
    print_params(t->params);
}

static json_t *topic_json(const topic *t)
{
    json_t *out = json_pack("{s:s,s:s,s:s}", "kind", t->kind, "name", t->name, "title", t->title);
    for (int i = 0; i < t->parts; i++)
        json_object_set_new(out, t->part[i].head, json_string(t->part[i].text));
    json_object_set_new(out, "parameters", params_json(t->params));
    return out;
}

/* A name may stand for several things: one after the other, or a JSON list of them. */
static int run(const cli_line *cli)
{
    static bool (*const finders[])(const char *, topic *) = {find_method,  find_wrapper, find_schedule,   find_workload,
                                                            find_study,   find_measure, find_suite,      find_ruleset,
                                                            find_submission, find_sampler};
    json_t *list = json_array();
    topic t;
    for (size_t i = 0; i < sizeof finders / sizeof finders[0]; i++) {
        if (!finders[i](cli->argument[0], &t))
            continue;
        if (!cli_has(cli, "json")) {
            fputs(json_array_size(list) > 0 ? "\n" : "", stdout);
            print_topic(&t);
        }
        json_array_append_new(list, topic_json(&t));
        rv_text_release(&t.owned);
    }
    size_t found = json_array_size(list);
    json_t *result = found == 1 ? json_incref(json_array_get(list, 0)) : json_incref(list);
    json_decref(list);
    if (found > 0 && cli_has(cli, "json"))
        return cli_print_json(result);
    json_decref(result);
    if (found > 0)
        return EXIT_DONE;
    const char *near = nearest_topic(cli->argument[0]);
    if (near)
        return cli_usage(cli, "nothing is called '%s'; did you mean '%s'?", cli->argument[0], near);
    return cli_usage(cli, "nothing is called '%s'; 'ravine list' shows all names", cli->argument[0]);
}

static const cli_option options[] = {{NULL, 0, NULL, NULL, false}};

const cli_command command_explain = {
    .name = "explain",
    .synopsis = "NAME",
    .summary = "Explain an optimizer, wrapper, schedule, workload, study, measure, suite, ruleset, ...",
    .description = "Equations, source, state, every parameter with its default and bounds.",
    .examples = "  ravine explain muon\n  ravine explain char-lm\n  ravine explain warmup_cosine --json\n",
    .options = options,
    .least = 1,
    .most = 1,
    .complete = "names",
    .run = run,
};
