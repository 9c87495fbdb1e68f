/* ravine bench: a suite, its ranking, its report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/plan.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/bench.h"
#include "ravine/report.h"
#include "ravine/score.h"

static void show_progress(void *context, const rv_bench_progress *p)
{
    char eta[32], text[256];
    rv_text_duration(p->eta, eta, sizeof eta);
    snprintf(text, sizeof text, "%d/%d trials  %s%s%s  ETA %s", p->done, p->trials, p->optimizer ? p->optimizer : "",
             p->optimizer ? " on " : "", p->problem ? p->problem : "", eta);
    progress_show(context, p->trials > 0 ? (double)p->done / p->trials : 0, text);
}

static void show_note(void *context, const char *line)
{
    progress_line(context, line);
}

/* The JSON of --suite: a name, or a file that ends in .json. */
static rv_status suite_text(const char *name, char **text, rv_error *err)
{
    const rv_suite *suite = rv_suite_find(name);
    if (suite) {
        *text = strdup(suite->json);
        return *text ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory");
    }
    const char *names[64];
    int count = 0;
    for (; rv_suite_at(count) && count < 64; count++)
        names[count] = rv_suite_at(count)->name;
    size_t length = strlen(name);
    if (length < 5 || strcmp(name + length - 5, ".json") != 0) {
        const char *near = rv_text_nearest(name, names, count);
        return rv_fail(err, RV_E_UNKNOWN, "no suite '%s'%s%s%s (a file must end in .json)", name,
                       near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    json_t *json;
    RV_TRY(rv_json_read(name, &json, err));
    *text = rv_json_text(json, 0);
    json_decref(json);
    return *text ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory");
}

/* What would run: one line per trial, or the list of their configurations. */
static int print_plan(const cli_line *cli, const char *suite, const rv_bench_options *bench)
{
    rv_plan plan;
    rv_error err;
    json_t *list = json_array(), *config;
    if (rv_plan_make(&plan, suite, bench, &err) != RV_OK) {
        rv_plan_release(&plan);
        json_decref(list);
        return cli_error(&err);
    }
    bool json = cli_has(cli, "json");
    for (int i = 0; i < plan.count; i++) {
        const rv_plan_trial *t = &plan.trials[i];
        if (!json)
            printf("%s\n", t->id);
        else if (rv_json_parse(t->config, strlen(t->config), t->id, &config, NULL) == RV_OK)
            json_array_append_new(list, json_pack("{s:s,s:o}", "run", t->id, "config", config));
    }
    rv_plan_release(&plan);
    if (json)
        return cli_print_json(list);
    json_decref(list);
    return EXIT_DONE;
}

static int print_scores(const char *dir)
{
    char path[RV_PATH_SIZE];
    json_t *bench;
    rv_error err;
    if (rv_path_join(path, dir, "bench.json", &err) != RV_OK || rv_json_read(path, &bench, &err) != RV_OK)
        return cli_error(&err);
    json_t *scores = json_incref(json_object_get(bench, "scores"));
    json_decref(bench);
    return cli_print_json(scores);
}

/* DIR/score.json, as `ravine score DIR` would leave it: profiles, intervals and what takes credits away. */
static rv_status write_score(const char *dir, rv_error *err)
{
    rv_trials *trials = NULL;
    rv_ruleset *ruleset = NULL;
    char path[RV_PATH_SIZE], *json = NULL;
    RV_TRY(rv_path_join(path, dir, "score.json", err));
    RV_TRY(rv_trials_read(&trials, &ruleset, &dir, 1, &(rv_trials_options){0}, err));
    rv_status status =
        rv_score_report(&json, trials, ruleset, &(rv_score_report_options){.resamples = RV_SCORE_RESAMPLES}, err);
    if (status == RV_OK)
        status = rv_file_write(path, json, strlen(json), err);
    free(json);
    rv_trials_free(trials);
    rv_ruleset_free(ruleset);
    return status;
}

static int finish(const cli_line *cli, const char *dir)
{
    char report[RV_PATH_SIZE], *table = NULL;
    rv_error err;
    if (rv_path_join(report, dir, "report.html", &err) != RV_OK || write_score(dir, &err) != RV_OK || rv_report_write(dir, report, &err) != RV_OK)
        return cli_error(&err);
    if (cli_has(cli, "json"))
        return print_scores(dir);
    if (rv_bench_table(dir, cli_width(), cli_colour(STDOUT_FILENO), &table, &err) != RV_OK)
        return cli_error(&err);
    printf("%s\nreport: %s\n", table, report);
    free(table);
    return EXIT_DONE;
}

static int run(const cli_line *cli)
{
    long jobs, studies;
    char *suite = NULL;
    rv_error err;
    const char *name = cli_value(cli, "suite", "quick");
    char fallback[256];
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    snprintf(fallback, sizeof fallback, "runs/bench-%.*s", (int)strcspn(base, "."), base);
    const char *dir = cli_value(cli, "out", fallback);
    if (!cli_int(cli, "jobs", cli_processors(), 1, 1024, &jobs) || !cli_int(cli, "studies", 0, 0, 10000, &studies))
        return EXIT_USAGE;
    if (suite_text(name, &suite, &err) != RV_OK)
        return cli_error(&err);
    progress bar;
    rv_bench_options options = {.dir = dir, .data = cli_data(cli), .jobs = (int)jobs, .studies = (int)studies,
                                .optimizers = cli_value(cli, "optimizers", NULL),
                                .submissions = cli_value(cli, "submissions", NULL),
                                .ruleset = cli_value(cli, "ruleset", NULL), .stop = interrupt_flag(),
                                .progress = show_progress, .note = show_note, .context = &bar,
                                .argc = cli->argc, .argv = cli->argv};
    if (cli_has(cli, "dry-run")) {
        int planned = print_plan(cli, suite, &options);
        free(suite);
        return planned;
    }
    progress_init(&bar, cli_has(cli, "quiet"));
    rv_status status = rv_bench_run(suite, &options, &err);
    progress_end(&bar);
    free(suite);
    if (status == RV_E_INTERRUPTED) {
        fprintf(stderr, "ravine: stopped; the same command goes on where it was\n");
        return interrupt_exit();
    }
    return status == RV_OK ? finish(cli, dir) : cli_error(&err);
}

static const cli_option options[] = {
    {"suite", 0, "NAME|FILE.json", "what to run; default: quick", false},
    {"optimizers", 0, "A,B,...", "only these of the suite", false},
    {"submissions", 0, "A,FILE.json,...", "these in place of all that the suite compares", false},
    {"ruleset", 0, "NAME|FILE.json", "external, self, or any of 'list rulesets'; default: the suite's", false},
    {"studies", 0, "N", "repetitions, with seeds 0 to N - 1; default: as the suite or the ruleset says", false},
    {"jobs", 'j', "N", "trials side by side; default: one per processor", false},
    {"data", 0, "DIR", "folder of data sets; default: RAVINE_DATA", false},
    {"out", 'o', "DIR", "where runs and report go; default: runs/bench-NAME", false},
    {"dry-run", 'n', NULL, "print which trials it has, and stop", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_bench = {
    .name = "bench",
    .synopsis = "",
    .summary = "Compare optimizers on a suite of problems and write the report",
    .description = "Every optimizer gets the same problems, budgets, seeds and search effort.  The ranking is by\n"
                   "time to target: median over seeds, misses shown as misses.  The same command again\n"
                   "completes what is missing and repeats nothing; started several times on one folder, the\n"
                   "processes share the trials.  Under a ruleset every submission has its trials per study, its\n"
                   "batch sizes and the ruleset's budget, and evaluation is not counted.",
    .examples = "  ravine bench --suite quick\n"
                "  ravine bench --suite quick --optimizers adamw,muon -j 2 -o /tmp/two\n"
                "  ravine bench --suite my-suite.json --dry-run\n"
                "  ravine bench --suite my-suite.json --ruleset external --submissions baseline,my-method.json\n"
                "  ravine bench --suite my-suite.json --json\n",
    .options = options,
    .least = 0,
    .most = 0,
    .run = run,
};
