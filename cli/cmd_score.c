/* ravine score: a leaderboard from tables, AlgoPerf's logs or Ravine's own runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/score.h"

static void show_note(void *context, const char *line)
{
    if (!cli_has(context, "quiet"))
        fprintf(stderr, "ravine: %s\n", line);
}

static int run(const cli_line *cli)
{
    rv_trials *trials;
    rv_ruleset *ruleset;
    rv_error err;
    char *json;
    long resamples, seed;
    if (!cli_int(cli, "resamples", 1000, 0, 1000000, &resamples) || !cli_int(cli, "seed", 0, 0, 4294967295, &seed))
        return EXIT_USAGE;
    rv_trials_options options = {.ruleset = cli_value(cli, "ruleset", NULL), .clock = cli_value(cli, "clock", NULL),
                                 .note = show_note, .context = (void *)(uintptr_t)cli};
    if (rv_trials_read(&trials, &ruleset, cli->argument, cli->count, &options, &err) != RV_OK)
        return cli_error(&err);
    rv_score_report_options report = {.resamples = (int)resamples, .seed = (uint64_t)seed,
                                      .reference = cli_value(cli, "reference", NULL)};
    rv_status status = rv_score_report(&json, trials, ruleset, &report, &err);
    rv_trials_free(trials);
    rv_ruleset_free(ruleset);
    if (status != RV_OK)
        return cli_error(&err);
    puts(json);
    free(json);
    return EXIT_DONE;
}

static const cli_option options[] = {
    {"ruleset", 0, "NAME|FILE.json", "default: recognised from the workloads", false},
    {"clock", 0, "seconds|examples|steps|COLUMN", "what is charged; default: the ruleset's", false},
    {"reference", 0, "SUBMISSION", "what speed-ups refer to; default: baseline, else the best", false},
    {"resamples", 0, "N", "of the studies, for intervals; 0: none; default: 1000", false},
    {"seed", 0, "N", "of the resampling; default: 0", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_score = {
    .name = "score",
    .synopsis = "FILE|DIR...",
    .summary = "Score a comparison by a published or an own set of rules",
    .examples = "  ravine score median_times.csv\n",
    .options = options,
    .least = 1,
    .most = -1,
    .complete = "files",
    .run = run,
};
