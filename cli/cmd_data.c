/* ravine data: which data sets are known and which are there. */
#include <stdio.h>

#include "cli/command.h"
#include "ravine/data.h"

static void print_set(const rv_data_set *set, const char *data, bool check)
{
    rv_error err;
    bool there = data && rv_data_set_check(set, data, &err) == RV_OK;
    printf("  %-16s %-9s %s\n", set->name, there ? "found" : "absent", set->title);
    if (check && data && !there)
        printf("  %-16s %s\n", "", err.message);
    if (check)
        printf("  %-16s licence: %s; from: %s\n", "", set->licence, set->upstream);
}

static json_t *set_json(const rv_data_set *set, const char *data)
{
    bool there = data && rv_data_set_check(set, data, NULL) == RV_OK;
    return json_pack("{s:s,s:s,s:b,s:s,s:s}", "name", set->name, "title", set->title, "found", there,
                     "licence", set->licence, "upstream", set->upstream);
}

static int run(const cli_line *cli)
{
    static const char *const actions[] = {"list", "check"};
    int action = cli->count > 0 ? cli_choice(cli, "", cli->argument[0], actions, 2) : 0;
    if (action < 0)
        return EXIT_USAGE;
    bool check = action == 1, json = cli_has(cli, "json");
    const char *data = cli_data(cli);
    int missing = 0;
    json_t *all = json_array();
    if (!json)
        printf("data folder: %s\n", data ? data : "none (--data DIR or RAVINE_DATA)");
    for (int i = 0; rv_data_set_at(i); i++) {
        missing += !data || rv_data_set_check(rv_data_set_at(i), data, NULL) != RV_OK;
        if (json)
            json_array_append_new(all, set_json(rv_data_set_at(i), data));
        else
            print_set(rv_data_set_at(i), data, check);
    }
    int status = json ? cli_print_json(all) : (json_decref(all), EXIT_DONE);
    if (status != EXIT_DONE)
        return status;
    return check && missing ? EXIT_FAILED : EXIT_DONE;
}

static const cli_option options[] = {
    {"data", 0, "DIR", "folder of data sets; default: RAVINE_DATA", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_data = {
    .name = "data",
    .synopsis = "[list|check]",
    .summary = "List the data sets that Ravine reads, and check which are there",
    .description = "No data is needed: every workload has procedural data of its own.  With a data folder the\n"
                   "official files are read, plain or gzip.  check exits with 1 when something is absent.",
    .examples = "  ravine data list\n  ravine data check --data ~/data\n",
    .options = options,
    .least = 0,
    .most = 1,
    .complete = "data",
    .run = run,
};
