/* ravine train: one configuration, one or several seeds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/rules.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/trial.h"
#include "ravine/workload.h"

enum { MAX_SEEDS = 1024 };

typedef struct session {
    const cli_line *cli;
    progress progress;
    const volatile int *stop;
    long threads, keep;
    int count;
    char *config[MAX_SEEDS]; /* resolved */
    rv_trial_result result[MAX_SEEDS];
    rv_status status[MAX_SEEDS];
    rv_error error[MAX_SEEDS];
} session;

/* ---- the command line's own words ---------------------------------------- */

/* "90", "30s", "10m", "2h" -> seconds; negative: not of this form. */
static double parse_duration(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    const char *units = "smh", *unit = *end ? strchr(units, *end) : units;
    if (end == text || !unit || (*end && end[1]) || !(value > 0))
        return -1;
    return value * (unit - units == 2 ? 3600 : unit - units == 1 ? 60 : 1);
}

static bool contains(const long *seeds, int count, long seed)
{
    for (int i = 0; i < count; i++)
        if (seeds[i] == seed)
            return true;
    return false;
}

/* "3", "0..4", "0,2,5..7" -> seeds; their number, or 0 when not of this form or one is there twice: it
 * would be the same run. */
static int parse_seeds(const char *text, long *seeds)
{
    int count = 0;
    while (*text) {
        char *end;
        long first = strtol(text, &end, 10), last = first;
        if (end == text || first < 0)
            return 0;
        if (strncmp(end, "..", 2) == 0) {
            text = end + 2;
            last = strtol(text, &end, 10);
            if (end == text || last < first)
                return 0;
        }
        for (long seed = first; seed <= last; seed++) {
            if (count == MAX_SEEDS || contains(seeds, count, seed))
                return 0;
            seeds[count++] = seed;
        }
        if (*end == ',')
            end++;
        else if (*end)
            return 0;
        text = end;
    }
    return count;
}

/* The partial configuration: --config FILE, then what the options say. */
static rv_status partial_config(const cli_line *cli, json_t **out, rv_error *err)
{
    const char *file = cli_value(cli, "config", NULL);
    if (file) {
        RV_TRY(rv_json_read(file, out, err));
        if (!json_is_object(*out)) {
            json_decref(*out);
            return rv_fail(err, RV_E_FORMAT, "%s: expected a JSON object", file);
        }
    } else {
        *out = json_object();
    }
    if (cli->count > 0)
        json_object_set_new(*out, "workload", json_string(cli->argument[0]));
    const char *names[] = {"optimizer", "wrappers", "schedule"};
    for (int i = 0; i < 3; i++)
        if (cli_has(cli, names[i]))
            json_object_set_new(*out, names[i], json_string(cli_value(cli, names[i], NULL)));
    return RV_OK;
}

/* Overrides in order: --set, then --budget, then the seed. */
static int collect_overrides(const cli_line *cli, double budget, long seed, char text[2][64],
                             const char *overrides[CLI_MAX + 2])
{
    int count = 0;
    const char *set;
    for (int i = 0; (set = cli_each(cli, "set", i)) != NULL; i++)
        overrides[count++] = set;
    if (budget > 0) {
        snprintf(text[0], sizeof text[0], "train.seconds=%.17g", budget);
        overrides[count++] = text[0];
    }
    if (seed >= 0) {
        snprintf(text[1], sizeof text[1], "train.seed=%ld", seed);
        overrides[count++] = text[1];
    }
    return count;
}

static rv_status resolve_all(session *s, double budget, const long *seeds, int count, rv_error *err)
{
    json_t *partial;
    RV_TRY(partial_config(s->cli, &partial, err));
    char *text = rv_json_text(partial, 0);
    json_decref(partial);
    if (!text)
        return rv_fail(err, RV_E_MEMORY, "no memory for the configuration");
    rv_status status = RV_OK;
    for (int i = 0; i < count && status == RV_OK; i++) {
        char extra[2][64];
        const char *overrides[CLI_MAX + 2];
        int n = collect_overrides(s->cli, budget, seeds ? seeds[i] : -1, extra, overrides);
        status = rv_trial_resolve(text, overrides, n, &s->config[i], err);
        s->count += status == RV_OK;
    }
    free(text);
    return status;
}

/* ---- running -------------------------------------------------------------- */

typedef struct trial_context {
    session *session;
    int index;
} trial_context;

static void show_progress(void *context, const rv_progress *p)
{
    const trial_context *c = context;
    char rate[32], eta[32], text[256], seed[32] = "";
    if (c->session->count > 1)
        snprintf(seed, sizeof seed, "trial %d/%d  ", c->index + 1, c->session->count);
    rv_text_duration(p->eta, eta, sizeof eta);
    snprintf(rate, sizeof rate, p->steps_per_second >= 10 ? "%.0f" : "%.2f", p->steps_per_second);
    int n = snprintf(text, sizeof text, "%s%lld/%lld  loss %.4g", seed, (long long)p->step,
                     (long long)p->steps, p->loss);
    if (!isnan(p->metric))
        n += snprintf(text + n, sizeof text - (size_t)n, "  validation %s %.4g", p->metric_name,
                      p->metric);
    snprintf(text + n, sizeof text - (size_t)n, "  %s steps/s  ETA %s", rate, eta);
    progress_show(&c->session->progress, p->steps > 0 ? (double)p->step / (double)p->steps : NAN, text);
}

static void show_note(void *context, const char *line)
{
    const trial_context *c = context;
    if (c->index == 0) /* all seeds read the same data */
        progress_line(&c->session->progress, line);
}

static void run_trial(void *context, int task, int worker)
{
    (void)worker;
    session *s = context;
    trial_context c = {s, task};
    if (*s->stop) {
        s->status[task] = RV_E_INTERRUPTED;
        return;
    }
    rv_trial_options options = {.dir = cli_value(s->cli, "out", "runs"), .data = cli_data(s->cli),
                                .threads = (int)s->threads, .argc = s->cli->argc, .argv = s->cli->argv,
                                .stop = s->stop, .keep = s->keep, .progress = show_progress, .note = show_note,
                                .context = &c};
    s->status[task] = rv_trial_run(s->config[task], &options, &s->result[task], &s->error[task]);
}

static rv_status run_all(session *s, long jobs, rv_error *err)
{
    rv_pool *pool;
    RV_TRY(rv_pool_new(&pool, (int)jobs, err));
    progress_init(&s->progress, cli_has(s->cli, "quiet"));
    s->stop = interrupt_flag();
    rv_pool_run(pool, s->count, run_trial, s);
    progress_end(&s->progress);
    rv_pool_free(pool);
    return RV_OK;
}

/* ---- results --------------------------------------------------------------- */

/* Where settings for the target stand that a whole run missed; "" where none is known. */
static void advise(const char *config, const rv_trial_result *r, char *text, size_t size)
{
    json_t *object = json_loads(config, 0, NULL);
    const char *name = json_string_value(json_object_get(object, "workload"));
    const rv_workload *workload = name ? rv_workload_find(name) : NULL;
    bool wanted = json_is_number(json_object_get(json_object_get(object, "train"), "target"));
    text[0] = '\0';
    if (workload && workload->tuned && wanted && r->outcome == RV_OUTCOME_BUDGET && r->target_step < 0)
        snprintf(text, size, "; 'ravine explain %s' names settings for it", workload->name);
    json_decref(object);
}

static void print_result(const char *config, const rv_trial_result *r)
{
    char seconds[32], advice[128], reached[96] = "not reached";
    rv_text_duration(r->seconds, seconds, sizeof seconds);
    if (r->target_step >= 0) {
        char when[32];
        rv_text_duration(r->target_seconds, when, sizeof when);
        snprintf(reached, sizeof reached, "at step %lld, %lld examples, %s", (long long)r->target_step,
                 (long long)r->target_examples, when);
    }
    printf("%s\n", r->run);
    printf("  outcome   %s%s%s\n", rv_outcome_name(r->outcome), r->why[0] ? ": " : "", r->why);
    printf("  trained   %lld steps, %lld examples, %s\n", (long long)r->steps, (long long)r->examples, seconds);
    if (!isnan(r->best))
        printf("  %-9s best %.5g at step %lld, last %.5g\n", r->metric, r->best, (long long)r->best_step, r->final);
    advise(config, r, advice, sizeof advice);
    printf("  target    %s%s\n", reached, advice);
    if (r->weights[0])
        printf("  weights   %s\n", r->weights);
}

/* The result, or what kept it from being one. */
static json_t *result_json(const session *s, int i)
{
    json_t *value = NULL;
    char *text;
    if (s->status[i] != RV_OK)
        return json_pack("{s:s,s:o}", "status", rv_status_name(s->status[i]), "error",
                         rv_json_from_bytes(s->error[i].message[0] ? s->error[i].message : "stopped before it began"));
    text = rv_trial_result_json(&s->result[i]);
    if (text)
        rv_json_parse(text, strlen(text), "result", &value, NULL);
    free(text);
    return value;
}

/* One object for one trial, a list for several. */
static int print_json(const session *s, json_t *(*item)(const session *, int))
{
    if (s->count == 1)
        return cli_print_json(item(s, 0));
    json_t *list = json_array();
    for (int i = 0; i < s->count; i++)
        json_array_append_new(list, item(s, i));
    return cli_print_json(list);
}

static int print_results(const session *s)
{
    int status = EXIT_DONE;
    bool json = cli_has(s->cli, "json"), stopped = false;
    for (int i = 0; i < s->count; i++) {
        if (s->status[i] == RV_E_INTERRUPTED) {
            stopped = true;
        } else if (s->status[i] != RV_OK) {
            status = cli_error(&s->error[i]);
        } else {
            stopped = stopped || s->result[i].outcome == RV_OUTCOME_INTERRUPTED;
            if (!json)
                print_result(s->config[i], &s->result[i]);
        }
    }
    if (json && (s->count > 1 || s->status[0] == RV_OK) && print_json(s, result_json) != EXIT_DONE)
        return EXIT_FAILED;
    if (stopped)
        fputs("ravine: stopped; the same command goes on where it was\n", stderr);
    return stopped ? interrupt_exit() : status;
}

static json_t *config_json(const session *s, int i)
{
    json_t *config = NULL;
    rv_json_parse(s->config[i], strlen(s->config[i]), "configuration", &config, NULL);
    return config;
}

/* Readable for one, as --config takes it; a list in one line for several or with --json. */
static int print_configs(const session *s)
{
    if (s->count > 1 || cli_has(s->cli, "json"))
        return print_json(s, config_json);
    puts(s->config[0]);
    return EXIT_DONE;
}

static int run_resolved(session *s, long jobs)
{
    rv_error err;
    if (cli_has(s->cli, "dry-run"))
        return print_configs(s);
    if (cli_has(s->cli, "explain"))
        return rules_print(s->config[0], cli_data(s->cli), cli_has(s->cli, "json"));
    if (run_all(s, jobs, &err) != RV_OK)
        return cli_error(&err);
    return print_results(s);
}

static int run(const cli_line *cli)
{
    long jobs, threads, keep, processors = cli_processors(), seeds[MAX_SEEDS];
    int count = 1;
    double budget = 0;
    const char *text;
    rv_error err;
    if (cli->count == 0 && !cli_has(cli, "config"))
        return cli_usage(cli, "expected a WORKLOAD or --config FILE");
    if (!cli_int(cli, "jobs", 1, 1, 1024, &jobs) ||
        !cli_int(cli, "threads", jobs > 1 ? 1 : processors, 1, 1024, &threads) ||
        !cli_int(cli, "keep", 0, 1, 1000000000, &keep))
        return EXIT_USAGE;
    if ((text = cli_value(cli, "seed", NULL)) && (count = parse_seeds(text, seeds)) == 0)
        return cli_usage(cli, "--seed: expected up to %d different seeds like 3, 0..4 or 0,2,5, found '%s'", MAX_SEEDS, text);
    if ((text = cli_value(cli, "budget", NULL)) && (budget = parse_duration(text)) < 0)
        return cli_usage(cli, "--budget: expected a duration like 30s, 10m or 2h, found '%s'", text);
    session *s = calloc(1, sizeof *s);
    if (!s) {
        fputs("ravine: no memory\n", stderr);
        return EXIT_FAILED;
    }
    s->cli = cli;
    s->threads = threads;
    s->keep = keep;
    rv_status resolved = resolve_all(s, budget, cli_has(cli, "seed") ? seeds : NULL, count, &err);
    int status = resolved == RV_OK ? run_resolved(s, jobs) : cli_error(&err);
    for (int i = 0; i < s->count; i++)
        free(s->config[i]);
    free(s);
    return status;
}

static const cli_option options[] = {
    {"optimizer", 0, "NAME", "the method; default: the workload's own", false},
    {"wrappers", 0, "LIST", "around the method: 'clip_norm(max_norm=1),ema(decay=0.999)'", false},
    {"schedule", 0, "NAME", "of the learning rate; default: the workload's own", false},
    {"set", 's', "NAME=VALUE", "any parameter: lr=3e-4, train.steps=500, workload.width=64", true},
    {"config", 0, "FILE", "a JSON file with any part of a configuration", false},
    {"seed", 0, "SEEDS", "3, 0..4 or 0,2,5: one trial each", false},
    {"budget", 0, "TIME", "of training: 30s, 10m, 2h; a bare number is seconds", false},
    {"threads", 't', "N", "workers of a trial; default: one per processor, with -j one; no result depends on it", false},
    {"jobs", 'j', "N", "trials side by side; default: 1", false},
    {"keep", 0, "STEPS", "every so many steps a checkpoint stays, in trajectory/: for 'ravine probe'", false},
    {"data", 0, "DIR", "folder of data sets; default: RAVINE_DATA", false},
    {"out", 'o', "DIR", "where run folders go; default: runs", false},
    {"explain", 0, NULL, "print which tensor gets which method, and stop", false},
    {"dry-run", 'n', NULL, "print the resolved configuration, and stop", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_train = {
    .name = "train",
    .synopsis = "[WORKLOAD]",
    .summary = "Train a workload once per seed",
    .description = "Every run is a folder that can repeat it: config.json, meta.json, log.jsonl, checkpoint/.\n"
                   "The same command again completes what is missing and repeats nothing.  An interrupt\n"
                   "(Ctrl-C) finishes the step, writes a checkpoint and exits with 130.",
    .examples = "  ravine train modular-division\n"
                "  ravine train char-lm --optimizer muon --set lr=0.02 --set adamw.lr=3e-3 --seed 0..2 -j 2\n"
                "  ravine train mnist-mlp --set steps=500 --budget 1m --json\n"
                "  ravine train char-lm --explain\n",
    .options = options,
    .least = 0,
    .most = 1,
    .complete = "workloads",
    .run = run,
};
