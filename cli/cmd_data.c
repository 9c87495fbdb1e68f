/* ravine data: which data sets are known and which are there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "core/json.h"
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

static int run(const cli *cli)
{
    bool check = cli->count > 0 && strcmp(cli->argument[0], "check") == 0;
    if (cli->count > 0 && !check && strcmp(cli->argument[0], "list") != 0)
        return cli_usage(cli, "expected list or check, found '%s'", cli->argument[0]);
    const char *data = cli_data(cli);
    int missing = 0;
    json_t *all = json_array();
    if (!cli_has(cli, "json"))
        printf("data folder: %s\n", data ? data : "none (--data DIR or RAVINE_DATA)");
    for (int i = 0; rv_data_set_at(i); i++) {
        missing += !data || rv_data_set_check(rv_data_set_at(i), data, NULL) != RV_OK;
        if (cli_has(cli, "json"))
            json_array_append_new(all, set_json(rv_data_set_at(i), data));
        else
            print_set(rv_data_set_at(i), data, check);
    }
    if (cli_has(cli, "json")) {
        char *text = rv_json_text(all, 0);
        puts(text ? text : "");
        free(text);
    }
    json_decref(all);
    return check && missing ? EXIT_FAILED : EXIT_DONE;
}

static const option options[] = {
    {"data", 0, "DIR", "folder of data sets; default: RAVINE_DATA", false},
    {NULL, 0, NULL, NULL, false},
};

const command command_data = {
    .name = "data",
    .synopsis = "[list|check]",
    .summary = "List the data sets that Ravine reads, and check which are there",
    .description = "No data is needed: every workload has procedural data of its own.  With a data folder the\n"
                   "official files are read, plain or gzip.  check exits with 1 when something is absent.",
    .examples = "  ravine data list\n  ravine data check --data ~/data\n",
    .options = options,
    .least = 0,
    .most = 1,
    .run = run,
};
