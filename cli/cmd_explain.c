/* ravine explain: everything that is declared about one name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/bench.h"
#include "ravine/optim.h"

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
} topic;

static void add(topic *t, const char *head, const char *text)
{
    if (text && *text) {
        t->part[t->parts].head = head;
        t->part[t->parts++].text = text;
    }
}

static bool describe(const rv_method_info *method, const char *kind, topic *t)
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
    return describe(rv_method_find(name), "optimizer", t);
}

static bool find_wrapper(const char *name, topic *t)
{
    return describe(rv_wrapper_find(name), "wrapper", t);
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

static const char *nearest_topic(const char *name)
{
    const char *names[512];
    int count = 0;
    for (int i = 0; rv_method_at(i) && count < 500; i++)
        names[count++] = rv_method_at(i)->name;
    for (int i = 0; rv_wrapper_at(i) && count < 500; i++)
        names[count++] = rv_wrapper_at(i)->name;
    for (int i = 0; rv_schedule_at(i) && count < 500; i++)
        names[count++] = rv_schedule_at(i)->name;
    for (int i = 0; rv_workload_at(i) && count < 500; i++)
        names[count++] = rv_workload_at(i)->name;
    for (int i = 0; rv_suite_at(i) && count < 500; i++)
        names[count++] = rv_suite_at(i)->name;
    return rv_text_nearest(name, names, count);
}

static void print_indented(const char *text)
{
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        printf("  %.*s\n", (int)length, line);
        line += length + (line[length] == '\n');
    }
}

static void print_topic(const topic *t)
{
    printf("%s: %s (%s)\n", t->name, t->title, t->kind);
    for (int i = 0; i < t->parts; i++) {
        printf("\n%s\n", t->part[i].head);
        print_indented(t->part[i].text);
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
    static bool (*const finders[])(const char *, topic *) = {find_method, find_wrapper, find_schedule,
                                                            find_workload, find_suite};
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
    .summary = "Explain an optimizer, wrapper, schedule, workload or suite",
    .description = "Equations, source, state, every parameter with its default and bounds.",
    .examples = "  ravine explain muon\n  ravine explain char-lm\n  ravine explain warmup_cosine --json\n",
    .options = options,
    .least = 1,
    .most = 1,
    .complete = "names",
    .run = run,
};
