/* Parsing of the command line from the option tables: --name value, --name=value,
 * -n value, -nvalue, "--" ends the options.  Unknown options get the nearest one. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "core/file.h"
#include "core/text.h"

const cli_option common_options[] = {
    {"json", 0, NULL, "results as JSON on standard output", false},
    {"quiet", 'q', NULL, "no progress and no notes", false},
    {"help", 'h', NULL, "this text", false},
    {NULL, 0, NULL, NULL, false},
};

static const cli_option *find_option(const cli_command *command, const char *name, size_t length, char letter)
{
    const cli_option *tables[] = {command->options, common_options};
    for (int t = 0; t < 2; t++)
        for (const cli_option *o = tables[t]; o && o->name; o++) {
            bool named = name && strlen(o->name) == length && strncmp(o->name, name, length) == 0;
            if (named || (letter && o->letter == letter))
                return o;
        }
    return NULL;
}

static const char *nearest_option(const cli_command *command, const char *name)
{
    const char *names[64];
    int count = 0;
    for (const cli_option *o = command->options; o && o->name && count < 60; o++)
        names[count++] = o->name;
    for (const cli_option *o = common_options; o->name; o++)
        names[count++] = o->name;
    return rv_text_nearest(name, names, count);
}

static int unknown(const cli_line *cli, const char *text, size_t length)
{
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)length, text);
    const char *near = nearest_option(cli->command, name + strspn(name, "-"));
    if (near)
        return cli_usage(cli, "unknown option %s; did you mean --%s?", name, near);
    return cli_usage(cli, "unknown option %s", name);
}

static int add_given(cli_line *cli, const cli_option *o, const char *value)
{
    if (cli->given_count == CLI_MAX)
        return cli_usage(cli, "more than %d options", CLI_MAX);
    if (!o->repeats && cli_has(cli, o->name) && o->value)
        return cli_usage(cli, "--%s is given twice", o->name);
    cli->given[cli->given_count].option = o;
    cli->given[cli->given_count++].value = value;
    return EXIT_DONE;
}

/* One option at argv[*at]; moves *at over a separate value. */
static int parse_option(cli_line *cli, int argc, char *const *argv, int *at)
{
    const char *text = argv[*at], *value = NULL;
    const cli_option *o;
    if (text[1] == '-') {
        size_t length = strcspn(text + 2, "=");
        o = find_option(cli->command, text + 2, length, 0);
        if (!o)
            return unknown(cli, text, length + 2);
        if (text[2 + length] == '=')
            value = text + 2 + length + 1;
    } else {
        o = find_option(cli->command, NULL, 0, text[1]);
        if (!o)
            return unknown(cli, text, 2);
        if (text[2] != '\0')
            value = text + 2;
    }
    if (!o->value && value)
        return cli_usage(cli, "--%s takes no value, found '%s'", o->name, value);
    if (o->value && !value) {
        if (*at + 1 >= argc)
            return cli_usage(cli, "--%s needs a value: %s", o->name, o->value);
        value = argv[++*at];
    }
    return add_given(cli, o, value);
}

int cli_parse(cli_line *out, const cli_command *command, int argc, char *const *argv, int first)
{
    *out = (cli_line){.command = command, .argc = argc, .argv = argv};
    bool options = true;
    for (int i = first; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            int status = parse_option(out, argc, argv, &i);
            if (status != EXIT_DONE)
                return status;
        } else if (out->count < CLI_MAX) {
            out->argument[out->count++] = argv[i];
        } else {
            return cli_usage(out, "more than %d arguments", CLI_MAX);
        }
    }
    if (cli_has(out, "help"))
        return EXIT_DONE;
    if (out->count < command->least)
        return cli_usage(out, "%s: %s", out->count ? "an argument is missing" : "expected arguments", command->synopsis);
    if (command->most >= 0 && out->count > command->most)
        return cli_usage(out, "unexpected argument '%s'", out->argument[command->most]);
    return EXIT_DONE;
}

const char *cli_each(const cli_line *cli, const char *name, int i)
{
    for (int k = 0; k < cli->given_count; k++)
        if (strcmp(cli->given[k].option->name, name) == 0 && i-- == 0)
            return cli->given[k].value ? cli->given[k].value : "";
    return NULL;
}

bool cli_has(const cli_line *cli, const char *name)
{
    return cli_each(cli, name, 0) != NULL;
}

const char *cli_value(const cli_line *cli, const char *name, const char *fallback)
{
    const char *value = fallback, *next;
    for (int i = 0; (next = cli_each(cli, name, i)) != NULL; i++)
        value = next;
    return value;
}

bool cli_int(const cli_line *cli, const char *name, long fallback, long lo, long hi, long *out)
{
    const char *text = cli_value(cli, name, NULL);
    char *end;
    *out = text ? strtol(text, &end, 10) : fallback;
    if (text && (end == text || *end != '\0' || *out < lo || *out > hi)) {
        cli_usage(cli, "--%s: expected an integer from %ld to %ld, found '%s'", name, lo, hi, text);
        return false;
    }
    return true;
}

const char *cli_data(const cli_line *cli)
{
    const char *data = cli_value(cli, "data", getenv("RAVINE_DATA"));
    return data && *data ? data : NULL;
}

bool cli_folders_ok(const cli_line *cli)
{
    const char *data = cli_value(cli, "data", NULL), *out = cli_value(cli, "out", NULL);
    if (data && *data && !rv_is_folder(data)) {
        cli_usage(cli, "--data: expected a folder of data sets, found %s '%s'; without --data every workload has procedural data",
                  rv_file_exists(data) ? "a file" : "nothing at", data);
        return false;
    }
    if (out && !*out) {
        cli_usage(cli, "--out: expected a path, found an empty word");
        return false;
    }
    return true;
}

int cli_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}
