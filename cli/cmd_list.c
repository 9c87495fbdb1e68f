/* ravine list: what there is, one line each. */
#include <stdio.h>

#include "cli/command.h"
#include "core/text.h"
#include "ravine/bench.h"
#include "ravine/optim.h"

/* Name and title of entry i of a kind; false beyond the last. */
typedef bool entry_at(int i, const char **name, const char **title);

/* An old version that stays registered is no entry of its own: name NULL. */
static bool method_entry(const rv_method_info *method, const rv_method_info *newest, const char **name, const char **title)
{
    if (method)
        *name = method == newest ? method->name : NULL, *title = method->title;
    return method != NULL;
}

static bool optimizer_entry(int i, const char **name, const char **title)
{
    const rv_method_info *method = rv_method_at(i);
    return method_entry(method, method ? rv_method_find(method->name) : NULL, name, title);
}

static bool wrapper_entry(int i, const char **name, const char **title)
{
    const rv_method_info *wrapper = rv_wrapper_at(i);
    return method_entry(wrapper, wrapper ? rv_wrapper_find(wrapper->name) : NULL, name, title);
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
    {"wrappers", wrapper_entry},
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
        if (name && rv_text_match(glob, name))
            json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "title", title));
    return list;
}

static void list_text(const struct kind *kind, const char *glob)
{
    const char *name, *title;
    for (int i = 0; kind->at(i, &name, &title); i++)
        if (name && rv_text_match(glob, name))
            printf("  %-22s %s\n", name, title);
}

static int print_json(int first, int last, const char *glob)
{
    if (first == last)
        return cli_print_json(list_json(&kinds[first], glob));
    json_t *all = json_object();
    for (int k = first; k <= last; k++)
        json_object_set_new(all, kinds[k].name, list_json(&kinds[k], glob));
    return cli_print_json(all);
}

static int run(const cli_line *cli)
{
    const char *names[KINDS], *glob = cli->count > 1 ? cli->argument[1] : "*";
    for (int k = 0; k < KINDS; k++)
        names[k] = kinds[k].name;
    int kind = cli->count > 0 ? cli_choice(cli, "", cli->argument[0], names, KINDS) : KINDS;
    if (kind < 0)
        return EXIT_USAGE;
    int first = kind == KINDS ? 0 : kind, last = kind == KINDS ? KINDS - 1 : kind;
    if (cli_has(cli, "json"))
        return print_json(first, last, glob);
    for (int k = first; k <= last; k++) {
        if (first != last)
            printf("%s%s\n", k > first ? "\n" : "", kinds[k].name);
        list_text(&kinds[k], glob);
    }
    return EXIT_DONE;
}

static const cli_option options[] = {{NULL, 0, NULL, NULL, false}};

const cli_command command_list = {
    .name = "list",
    .synopsis = "[optimizers|wrappers|schedules|workloads|suites] [GLOB]",
    .summary = "List what there is, one line each",
    .examples = "  ravine list\n  ravine list optimizers 'ada*'\n  ravine list workloads --json\n",
    .options = options,
    .least = 0,
    .most = 2,
    .complete = "kinds",
    .run = run,
};
