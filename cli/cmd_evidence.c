/* ravine evidence: did methods reach a target, and is one better than another. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/score.h"

static bool take_real(const cli_line *cli, const char *name, double fallback, double lo, double *out)
{
    const char *text = cli_value(cli, name, NULL);
    *out = fallback;
    if (!text || (rv_text_to_real(text, out) && *out >= lo && isfinite(*out)))
        return true;
    cli_usage(cli, "--%s: expected a number, found '%s'", name, text);
    return false;
}

static const char *text_in(const json_t *entry, const char *key)
{
    const char *text = json_string_value(json_object_get(entry, key));
    return text ? text : "";
}

/* A setting's name says more than the method's, where there is one. */
static const char *method_in(const json_t *entry, const char *name, const char *setting)
{
    return *text_in(entry, setting) ? text_in(entry, setting) : text_in(entry, name);
}

static void print_methods(const json_t *report, rv_text *out)
{
    static const char *const heads[] = {"submission", "setting", "seeds", "reached", "step", "mean", "z", "p"};
    static const bool right[] = {false, false, true, false, true, true, true, true};
    rv_table *table = rv_table_new(8, heads, right);
    json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(report, "methods"), i, entry)
    {
        char seeds[24], step[32], mean[32], z[32], p[32];
        snprintf(seeds, sizeof seeds, "%lld", json_integer_value(json_object_get(entry, "seeds")));
        snprintf(step, sizeof step, "%.0f", rv_json_real(entry, "step", NAN));
        snprintf(mean, sizeof mean, "%.5g", rv_json_real(entry, "mean", NAN));
        snprintf(z, sizeof z, "%.2f", rv_json_real(entry, "z", NAN));
        snprintf(p, sizeof p, "%.2g", rv_json_real(entry, "p", NAN));
        const char *cells[] = {text_in(entry, "submission"),
                               text_in(entry, "setting"),
                               seeds,
                               json_is_true(json_object_get(entry, "reached")) ? "yes" : "no",
                               step,
                               mean,
                               z,
                               p};
        if (table)
            rv_table_row(table, cells);
    }
    if (table)
        rv_table_print(table, out, cli_colour(STDOUT_FILENO));
    rv_table_free(table);
}

static void print_pairs(const json_t *report, rv_text *out)
{
    static const char *const heads[] = {"better", "than", "z", "p", "significant"};
    static const bool right[] = {false, false, true, true, false};
    rv_table *table = rv_table_new(5, heads, right);
    json_t *entry;
    size_t i;
    json_array_foreach(json_object_get(report, "pairs"), i, entry)
    {
        char z[32], p[32];
        snprintf(z, sizeof z, "%.2f", rv_json_real(entry, "z", NAN));
        snprintf(p, sizeof p, "%.2g", rv_json_real(entry, "p", NAN));
        const char *cells[] = {method_in(entry, "better", "better_setting"), method_in(entry, "than", "than_setting"),
                               z, p, json_is_true(json_object_get(entry, "significant")) ? "yes" : "no"};
        if (table)
            rv_table_row(table, cells);
    }
    rv_text_format(out, "\n");
    if (table)
        rv_table_print(table, out, cli_colour(STDOUT_FILENO));
    rv_table_free(table);
    rv_text_format(out, "\nTarget %g, spread of one run %g, margin %g.\n", rv_json_real(report, "target", NAN),
                   rv_json_real(report, "sigma", NAN), rv_json_real(report, "margin", NAN));
}

static int show(const cli_line *cli, const char *json)
{
    json_t *report;
    rv_error err;
    rv_text out = {0};
    if (cli_has(cli, "json")) {
        puts(json);
        return EXIT_DONE;
    }
    if (rv_json_parse(json, strlen(json), "evidence", &report, &err) != RV_OK)
        return cli_error(&err);
    print_methods(report, &out);
    if (json_array_size(json_object_get(report, "pairs")) > 0)
        print_pairs(report, &out);
    fputs(out.data ? out.data : "", stdout);
    rv_text_release(&out);
    json_decref(report);
    return EXIT_DONE;
}

static int run(const cli_line *cli)
{
    rv_evidence_options o = {.maximize = cli_has(cli, "maximize"), .workload = cli_value(cli, "workload", NULL)};
    rv_error err;
    char *json = NULL;
    if (!take_real(cli, "target", NAN, -HUGE_VAL, &o.target) || !take_real(cli, "sigma", NAN, 0, &o.sigma) ||
        !take_real(cli, "margin", NAN, 0, &o.margin) || !take_real(cli, "loss-per-step", 0, 0, &o.loss_per_step))
        return EXIT_USAGE;
    if (isnan(o.target))
        return cli_usage(cli, "--target: expected the loss that is claimed to be reached");
    if (rv_evidence_report(&json, cli->argument[0], &o, &err) != RV_OK)
        return cli_error(&err);
    int status = show(cli, json);
    free(json);
    return status;
}

static const cli_option options[] = {
    {"target", 0, "LOSS", "what the mean over seeds is claimed to be below", false},
    {"sigma", 0, "X", "spread of one run; default: pooled over the methods", false},
    {"margin", 0, "X", "needed (target - mean) x sqrt(seeds); default: 3.09 sigma, p = 0.001", false},
    {"loss-per-step", 0, "X", "what a step less costs, to compare unequal stops; default: 0", false},
    {"workload", 0, "NAME", "which one, where there are runs on several", false},
    {"maximize", 0, NULL, "larger values are better (runs know)", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_evidence = {
    .name = "evidence",
    .synopsis = "FILE.csv|DIR",
    .summary = "Test whether methods reached a target, and which is better",
    .description =
        "The statistics of the third track of the NanoGPT speedrun.  A table has the columns submission, seed,\n"
        "step and loss, a row per evaluation; a folder holds runs of this program.  A step counts only when\n"
        "all seeds of a method were evaluated there: no run may stop on its own.  Reached is the earliest\n"
        "such step at which the mean is below the target with evidence; methods are compared there.",
    .examples = "  ravine evidence losses.csv --target 3.28 --sigma 0.0013 --margin 0.004 --loss-per-step 4.5e-5\n"
                "  ravine evidence runs --workload char-lm --target 2.1 --json\n",
    .options = options,
    .least = 1,
    .most = 1,
    .complete = "files",
    .run = run,
};
