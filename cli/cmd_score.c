/* ravine score: a leaderboard from tables, AlgoPerf's logs or Ravine's own runs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "core/file.h"
#include "core/text.h"
#include "ravine/report.h"
#include "ravine/score.h"

static void show_note(void *context, const char *line)
{
    if (!cli_has(context, "quiet"))
        fprintf(stderr, "ravine: %s\n", line);
}

/* What the command line changes in the rules. */
static int change_rules(const cli_line *cli, rv_ruleset *ruleset)
{
    const char *text = cli_value(cli, "tau-max", NULL);
    double tau_max = ruleset->tau_max;
    if (text && (!rv_text_to_real(text, &tau_max) || !(tau_max > 1) || isinf(tau_max)))
        return cli_usage(cli, "--tau-max: expected a number above 1, found '%s'", text);
    ruleset->tau_max = tau_max;
    if (cli_has(cli, "exact"))
        ruleset->points = 0;
    return EXIT_DONE;
}

static int make_report(const cli_line *cli, char **json)
{
    rv_trials *trials;
    rv_ruleset *ruleset;
    rv_error err;
    long resamples, seed;
    if (!cli_int(cli, "resamples", RV_SCORE_RESAMPLES, 0, 1000000, &resamples) || !cli_int(cli, "seed", 0, 0, 4294967295, &seed))
        return EXIT_USAGE;
    rv_trials_options source = {.ruleset = cli_value(cli, "ruleset", NULL),
                                .clock = cli_value(cli, "clock", NULL),
                                .note = show_note,
                                .context = (void *)(uintptr_t)cli};
    rv_score_report_options options = {
        .resamples = (int)resamples, .seed = (uint64_t)seed, .reference = cli_value(cli, "reference", NULL)};
    if (rv_trials_read(&trials, &ruleset, cli->argument, cli->count, &source, &err) != RV_OK)
        return cli_error(&err);
    int status = change_rules(cli, ruleset);
    if (status == EXIT_DONE && rv_score_report(json, trials, ruleset, &options, &err) != RV_OK)
        status = cli_error(&err);
    rv_trials_free(trials);
    rv_ruleset_free(ruleset);
    return status;
}

/* The files that were asked for. */
static int write_files(const cli_line *cli, const char *json)
{
    rv_error err;
    const char *out = cli_value(cli, "out", NULL), *page = cli_value(cli, "report", NULL);
    if (out && rv_file_write(out, json, strlen(json), &err) != RV_OK)
        return cli_error(&err);
    if (page && rv_report_write_score(json, page, &err) != RV_OK)
        return cli_error(&err);
    return EXIT_DONE;
}

static int show(const cli_line *cli, const char *json)
{
    rv_error err;
    char *text = NULL;
    rv_status status = RV_OK;
    if (cli_has(cli, "json")) {
        puts(json);
        return EXIT_DONE;
    }
    if (cli_has(cli, "csv"))
        status = rv_score_csv(json, &text, &err);
    else
        status = rv_score_table(json, cli_width(), cli_colour(STDOUT_FILENO), cli_has(cli, "why"), &text, &err);
    if (status != RV_OK)
        return cli_error(&err);
    fputs(text, stdout);
    free(text);
    return EXIT_DONE;
}

static int run(const cli_line *cli)
{
    char *json = NULL;
    int status = make_report(cli, &json);
    if (status == EXIT_DONE)
        status = write_files(cli, json);
    if (status == EXIT_DONE)
        status = show(cli, json);
    free(json);
    return status;
}

static const cli_option options[] = {
    {"ruleset", 0, "NAME|FILE.json", "rules to score by, or external, or self; default: recognised", false},
    {"clock", 0, "CLOCK", "seconds, examples, steps, or a column; default: the ruleset's", false},
    {"exact", 0, NULL, "the exact integral of the profile in place of the ruleset's trapezoid", false},
    {"tau-max", 0, "X", "largest ratio to the fastest that earns credit; default: the ruleset's", false},
    {"reference", 0, "SUBMISSION", "what speeds refer to; default: baseline, else the best", false},
    {"resamples", 0, "N", "of the studies, for intervals; 0: none; default: 1000", false},
    {"seed", 0, "N", "of the resampling; default: 0", false},
    {"why", 0, NULL, "also list what took every missing credit away", false},
    {"csv", 0, NULL, "results as CSV, a row per submission and workload", false},
    {"report", 0, "FILE.html", "also write a page with profiles, credits and intervals", false},
    {"out", 'o', "FILE.json", "also write the JSON; as DIR/score.json it joins the report of DIR", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_score = {
    .name = "score",
    .synopsis = "FILE|DIR...",
    .summary = "Score a comparison by published rules or your own",
    .description = "Reads what was measured, each source by what it holds: a table (CSV) of trials, with the columns\n"
                   "submission, workload, study, trial and a time; a table of medians, with a time per submission and\n"
                   "workload or with a column per workload; AlgoPerf's logs (study_*/WORKLOAD_FRAMEWORK/trial_*/\n"
                   "eval_measurements.csv) of one or of many submissions; a benchmark or runs of this program.\n"
                   "Rulesets are data: v0.5-external, v0.5-self, v0.6-external, v0.6-self, v0.6-self-a100, ravine,\n"
                   "ravine-external, ravine-self, or a file that may say \"extends\".  `ravine explain v0.5-external`\n"
                   "prints one.  The JSON has profiles, resampled intervals and ranks, scores without each submission\n"
                   "and without each workload, and what other targets and limits would have given.",
    .examples = "  ravine score median_times.csv\n"
                "  ravine score logs/external_tuning --why\n"
                "  ravine score times.csv --clock examples --reference adamw --json\n"
                "  ravine score runs/bench-quick --ruleset ravine-external --report score.html\n",
    .options = options,
    .least = 1,
    .most = -1,
    .complete = "files",
    .run = run,
};
