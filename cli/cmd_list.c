/* ravine list: what there is, one line each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/bench.h"
#include "ravine/optim.h"

/* Name and title of entry i of a kind; false beyond the last. */
typedef bool entry_at(int i, const char **name, const char **title);

static bool optimizer_entry(int i, const char **name, const char **title)
{
    const rv_method_info *method = rv_method_at(i);
    if (method)
        *name = method->name, *title = method->title;
    return method != NULL;
}

static bool schedule_entry(int i, const char **name, const char **title)
{
    const rv_schedule_info *schedule = rv_schedule_at(i);
    if (schedule)
        *name = schedule->name, *title = schedule->title;
    return schedule != NULL;
}

static bool workload_entry(int i, const char **name, const char **title)
{
    const rv_workload *workload = rv_workload_at(i);
    if (workload)
        *name = workload->name, *title = workload->title;
    return workload != NULL;
}

static bool suite_entry(int i, const char **name, const char **title)
{
    const rv_suite *suite = rv_suite_at(i);
    if (suite)
        *name = suite->name, *title = suite->title;
    return suite != NULL;
}

static const struct kind {
    const char *name;
    entry_at *at;
} kinds[] = {
    {"optimizers", optimizer_entry},
    {"schedules", schedule_entry},
    {"workloads", workload_entry},
    {"suites", suite_entry},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static json_t *list_json(const struct kind *kind, const char *glob)
{
    const char *name, *title;
    json_t *list = json_array();
    for (int i = 0; kind->at(i, &name, &title); i++)
        if (rv_text_match(glob, name))
            json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "title", title));
    return list;
}

static void list_text(const struct kind *kind, const char *glob)
{
    const char *name, *title;
    for (int i = 0; kind->at(i, &name, &title); i++)
        if (rv_text_match(glob, name))
            printf("  %-22s %s\n", name, title);
}

static int run(const cli *cli)
{
    const char *wanted = cli->count > 0 ? cli->argument[0] : NULL;
    const char *glob = cli->count > 1 ? cli->argument[1] : "*";
    json_t *all = json_object();
    int found = 0;
    for (int k = 0; k < KINDS; k++) {
        if (wanted && strcmp(wanted, kinds[k].name) != 0)
            continue;
        found++;
        json_object_set_new(all, kinds[k].name, list_json(&kinds[k], glob));
        if (cli_has(cli, "json"))
            continue;
        if (!wanted)
            printf("%s%s\n", k > 0 ? "\n" : "", kinds[k].name);
        list_text(&kinds[k], glob);
    }
    if (found && cli_has(cli, "json")) {
        char *text = rv_json_text(wanted ? json_object_get(all, wanted) : all, 0);
        puts(text ? text : "");
        free(text);
    }
    json_decref(all);
    return found ? EXIT_DONE
                 : cli_usage(cli, "expected optimizers, schedules, workloads or suites, found '%s'", wanted);
}

static const option options[] = {{NULL, 0, NULL, NULL, false}};

const command command_list = {
    .name = "list",
    .synopsis = "[optimizers|schedules|workloads|suites] [GLOB]",
    .summary = "List what there is, one line each",
    .examples = "  ravine list\n  ravine list optimizers 'ada*'\n  ravine list workloads --json\n",
    .options = options,
    .least = 0,
    .most = 2,
    .complete = "kinds",
    .run = run,
};
