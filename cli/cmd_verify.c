/* ravine verify: trajectories of reference implementations, replayed by our methods.
 * Every file is tried, whatever became of those before it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "core/json.h"
#include "core/text.h"
#include "optim/verify.h"

/* "1: 2.2e-16  10: 4e-15": the largest error of each stored step, in order of the file. */
static void format_steps(const rv_verify_result *r, rv_text *out)
{
    for (int i = 0; i < r->count; i++) {
        double largest = r->rows[i].error;
        bool seen = false;
        for (int k = 0; k < r->count; k++) {
            if (r->rows[k].step != r->rows[i].step)
                continue;
            seen = seen || k < i;
            if (!(r->rows[k].error <= largest)) /* NaN counts as largest */
                largest = r->rows[k].error;
        }
        if (!seen)
            rv_text_format(out, "%s%lld: %.1e", out->size ? "  " : "", (long long)r->rows[i].step, largest);
    }
}

static void print_result(const rv_verify_result *r, bool steps)
{
    rv_text text = {0};
    char *lines = NULL;
    if (steps && (lines = rv_verify_text(r)) != NULL) {
        fputs(lines, stdout);
    } else {
        format_steps(r, &text);
        printf("%-4s  %s  %s  %s  tolerance %.0e\n", r->pass ? "ok" : "FAIL", r->name, r->optimizer,
               text.data ? text.data : "no stored step", r->tolerance);
    }
    free(lines);
    rv_text_release(&text);
}

/* A file that could not be replayed, in the same list as those that were. */
static void print_failure(const char *path, const rv_error *err, bool json, bool first)
{
    if (!json) {
        bool named = strncmp(err->message, path, strlen(path)) == 0;
        printf("FAIL  %s%s%s\n", named ? "" : path, named ? "" : ": ", err->message);
        return;
    }
    json_t *object = json_pack("{s:s,s:s,s:s,s:b}", "file", path, "status", rv_status_name(err->status), "error",
                               err->message, "pass", 0);
    char *text = rv_json_text(object, 0);
    printf("%s%s", first ? "" : ",", text ? text : "null");
    free(text);
    json_decref(object);
}

static bool verify_file(const char *path, double tolerance, const cli_line *cli, bool first)
{
    rv_verify_result result;
    rv_error err;
    bool json = cli_has(cli, "json");
    if (rv_verify_file(path, tolerance, &result, &err) != RV_OK) {
        print_failure(path, &err, json, first);
        return false;
    }
    if (json) {
        char *text = rv_verify_json(&result);
        printf("%s%s", first ? "" : ",", text ? text : "null");
        free(text);
    } else {
        print_result(&result, cli_has(cli, "steps"));
    }
    return result.pass;
}

static int run(const cli_line *cli)
{
    const char *text = cli_value(cli, "tolerance", NULL);
    double tolerance = NAN;
    if (text && (!rv_text_to_real(text, &tolerance) || !(tolerance >= 0) || isinf(tolerance)))
        return cli_usage(cli, "--tolerance: expected a number that is not negative, found '%s'", text);
    bool json = cli_has(cli, "json");
    int failed = 0;
    if (json)
        putchar('[');
    for (int i = 0; i < cli->count; i++)
        failed += !verify_file(cli->argument[i], tolerance, cli, i == 0);
    if (json)
        puts("]");
    else if (cli->count > 1)
        printf("%d of %d files agree\n", cli->count - failed, cli->count);
    return failed ? EXIT_FAILED : EXIT_DONE;
}

static const cli_option options[] = {
    {"tolerance", 0, "ERROR", "largest relative error that passes; default: the method's own", false},
    {"steps", 0, NULL, "a line for every stored step", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_verify = {
    .name = "verify",
    .synopsis = "FILE.json...",
    .summary = "Replay trajectories of reference implementations and print the largest errors",
    .description = "A file holds initial weights, hyperparameters and the weights after some steps of a published\n"
                   "implementation; the problem with its gradients stands beside it.  Each is replayed in\n"
                   "float64 by the code that trains.  An error is max |ours - theirs| / (1 + max |theirs|),\n"
                   "the largest over tensors.  Exit 1 when a file is beyond its tolerance, cannot be read, or\n"
                   "names a method that is not here.",
    .examples = "  ravine verify tests/golden/adamw.json\n"
                "  ravine verify tests/golden/muon*.json --steps\n"
                "  ravine verify mine.json --tolerance 1e-9 --json\n",
    .options = options,
    .least = 1,
    .most = -1,
    .complete = "files",
    .run = run,
};
