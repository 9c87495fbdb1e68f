/* ravine list: what there is, one line each. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/kinds.h"
#include "core/text.h"

static json_t *list_json(const cli_kind *kind, const char *glob)
{
    const char *name, *title;
    json_t *list = json_array();
    for (int i = 0; kind->at(i, &name, &title); i++)
        if (name && rv_text_match(glob, name))
            json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "title", title));
    return list;
}

/* How many they are. */
static int list_text(const cli_kind *kind, const char *glob)
{
    const char *name, *title;
    int count = 0;
    for (int i = 0; kind->at(i, &name, &title); i++)
        if (name && rv_text_match(glob, name)) {
            printf("  %-24s %s\n", name, title);
            count++;
        }
    return count;
}

static int print_json(int first, int last, const char *glob)
{
    if (first == last)
        return cli_print_json(list_json(&cli_kinds[first], glob));
    json_t *all = json_object();
    for (int k = first; k <= last; k++)
        json_object_set_new(all, cli_kinds[k].name, list_json(&cli_kinds[k], glob));
    return cli_print_json(all);
}

static int run(const cli_line *cli)
{
    const char *names[CLI_KINDS], *glob = cli->count > 1 ? cli->argument[1] : "*";
    for (int k = 0; k < CLI_KINDS; k++)
        names[k] = cli_kinds[k].name;
    int kind = cli->count > 0 ? cli_choice(cli, "", cli->argument[0], names, CLI_KINDS) : CLI_KINDS;
    if (kind < 0)
        return EXIT_USAGE;
    int first = kind == CLI_KINDS ? 0 : kind, last = kind == CLI_KINDS ? CLI_KINDS - 1 : kind;
    if (cli_has(cli, "json"))
        return print_json(first, last, glob);
    int count = 0;
    for (int k = first; k <= last; k++) {
        if (first != last)
            printf("%s%s\n", k > first ? "\n" : "", cli_kinds[k].name);
        count += list_text(&cli_kinds[k], glob);
    }
    if (count == 0 && !cli_has(cli, "quiet"))
        fprintf(stderr, "ravine list: no name matches '%s'\n", glob);
    return EXIT_DONE;
}

static const cli_option options[] = {{NULL, 0, NULL, NULL, false}};

const cli_command command_list = {
    .name = "list",
    .synopsis = "[optimizers|wrappers|schedules|workloads|studies|measures|suites|...] [GLOB]",
    .summary = "List what there is, one line each",
    .examples = "  ravine list\n  ravine list optimizers 'ada*'\n  ravine list workloads --json\n",
    .options = options,
    .least = 0,
    .most = 2,
    .complete = "kinds",
    .run = run,
};
