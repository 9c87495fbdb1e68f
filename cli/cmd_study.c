/* ravine study: an experiment of the lecture, its page, and the verdict on its claims. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/study.h"

enum { MAX_STUDIES = 128 };

typedef struct session {
    const cli_line *cli;
    progress bar;
    const rv_study *study; /* that runs now */
    json_t *results;
    int failed;            /* claims */
} session;

static void show_progress(void *context, double fraction, const char *text)
{
    char line[320];
    session *s = context;
    snprintf(line, sizeof line, "%s: %s", s->study->name, text);
    progress_show(&s->bar, fraction, line);
}

static void show_note(void *context, const char *line)
{
    progress_line(&((session *)context)->bar, line);
}

/* "1.23e-05" with its spread where there are several values. */
static void measured_text(const json_t *claim, char *text, size_t size)
{
    const json_t *spread = json_object_get(claim, "spread");
    double ends[2] = {rv_json_value(json_array_get(spread, 0), NAN), rv_json_value(json_array_get(spread, 1), NAN)};
    double mean = rv_json_real(claim, "measured", NAN);
    size_t n = json_array_size(json_object_get(claim, "values"));
    if (n == 0)
        snprintf(text, size, "-");
    else if (n == 1 || ends[0] == ends[1])
        snprintf(text, size, "%.4g", mean);
    else
        snprintf(text, size, "%.4g (%.3g to %.3g, n = %zu)", mean, ends[0], ends[1], n);
}

static void print_claims(const json_t *result)
{
    static const char *const heads[] = {"", "claim", "expected", "measured"};
    static const bool right[] = {false, false, false, false};
    rv_table *table = rv_table_new(4, heads, right);
    json_t *claim;
    size_t i;
    json_array_foreach(json_object_get(result, "claims"), i, claim)
    {
        char measured[128];
        const json_t *held = json_object_get(claim, "holds");
        measured_text(claim, measured, sizeof measured);
        const char *cells[] = {json_is_true(held) ? "holds" : json_is_null(held) ? "-" : "FAILS",
                               json_string_value(json_object_get(claim, "claim")),
                               json_string_value(json_object_get(claim, "expected")), measured};
        rv_table_row(table, cells);
    }
    rv_text text = {0};
    rv_table_print(table, &text, cli_colour(STDOUT_FILENO));
    fputs(text.data ? text.data : "", stdout);
    rv_text_release(&text);
    rv_table_free(table);
}

static void print_result(const json_t *result, const rv_study_verdict *v, const char *dir)
{
    char seconds[32], skipped[64] = "";
    json_t *note;
    size_t i;
    rv_text_duration(v->seconds, seconds, sizeof seconds);
    if (v->unjudged > 0)
        snprintf(skipped, sizeof skipped, ", %d not judged with --quick", v->unjudged);
    print_claims(result);
    json_array_foreach(json_object_get(result, "notes"), i, note)
    {
        printf("note: %s\n", json_string_value(note));
    }
    printf("%s: %d of %d claims hold%s; %s; page: %s/index.html\n",
           json_string_value(json_object_get(result, "study")), v->held, v->held + v->failed, skipped, seconds, dir);
}

static rv_status run_study(session *s, const rv_study *study, rv_study_options *options, rv_error *err)
{
    rv_study_verdict verdict;
    char *text = NULL;
    json_t *result = NULL;
    s->study = study;
    RV_TRY(rv_study_execute(study, options, &verdict, &text, err));
    rv_status status = rv_json_parse(text, strlen(text), study->name, &result, err);
    free(text);
    RV_TRY(status);
    progress_clear(&s->bar);
    if (!cli_has(s->cli, "json"))
        print_result(result, &verdict, options->dir);
    s->failed += verdict.failed;
    json_array_append_new(s->results, result);
    return RV_OK;
}

/* The studies that a name stands for; their number, 0 after a message of use. */
static int choose(const cli_line *cli, const rv_study **list)
{
    const char *names[MAX_STUDIES], *wanted = cli->argument[0];
    int count = 0;
    for (; rv_study_at(count) && count < MAX_STUDIES - 1; count++) {
        list[count] = rv_study_at(count);
        names[count] = list[count]->name;
    }
    if (strcmp(wanted, "all") == 0)
        return count;
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], wanted) == 0) {
            list[0] = list[i];
            return 1;
        }
    const char *near = rv_text_nearest(wanted, names, count);
    cli_usage(cli, "no study '%s'%s%s%s; 'ravine list studies' shows them", wanted, near ? "; did you mean '" : "",
              near ? near : "", near ? "'?" : "");
    return 0;
}

/* What would be checked, without running anything. */
static int print_plan(const cli_line *cli, const rv_study **list, int count)
{
    json_t *all = json_array();
    for (int i = 0; i < count; i++) {
        json_t *claims = json_array();
        if (!cli_has(cli, "json"))
            printf("%s%s: %s (%s)\n", i ? "\n" : "", list[i]->name, list[i]->title, list[i]->cost);
        for (const rv_claim *c = list[i]->claims; c->key; c++) {
            char expected[96];
            rv_claim_expected(c, expected, sizeof expected);
            if (!cli_has(cli, "json"))
                printf("  %s\n      %s: %s\n", c->text, c->quantity, expected);
            json_array_append_new(claims, json_pack("{s:s,s:s,s:s,s:s,s:s}", "key", c->key, "claim", c->text, "quantity",
                                                    c->quantity, "source", c->source, "expected", expected));
        }
        json_array_append_new(all, json_pack("{s:s,s:o}", "study", list[i]->name, "claims", claims));
    }
    json_t *result = json_incref(count == 1 ? json_array_get(all, 0) : all);
    json_decref(all);
    if (cli_has(cli, "json"))
        return cli_print_json(result);
    json_decref(result);
    return EXIT_DONE;
}

/* Studies that lie beside each other get a page that links them. */
static rv_status update_gallery(const char *dir, const rv_study *study, const char *language, rv_error *err)
{
    char root[1024];
    snprintf(root, sizeof root, "%s", dir);
    for (size_t n = strlen(root); n > 1 && root[n - 1] == '/'; n--)
        root[n - 1] = '\0';
    char *slash = strrchr(root, '/'), *name = slash ? slash + 1 : root;
    if (strcmp(name, study->name) != 0)
        return RV_OK;
    if (!slash)
        snprintf(root, sizeof root, ".");
    else
        slash[slash == root] = '\0';
    return rv_study_gallery_wanted(root) ? rv_study_gallery(root, language, err) : RV_OK;
}

static int run_all(session *s, const rv_study **list, int count, rv_study_options *options)
{
    const cli_line *cli = s->cli;
    const char *given = cli_value(cli, "out", NULL);
    rv_error err = {0};
    rv_status status = RV_OK;
    for (int i = 0; i < count && status == RV_OK; i++) {
        char dir[1024];
        if (given && count == 1)
            snprintf(dir, sizeof dir, "%s", given);
        else
            snprintf(dir, sizeof dir, "%s/%s", given ? given : "runs/study", list[i]->name);
        options->dir = dir;
        status = run_study(s, list[i], options, &err);
        if (status == RV_OK)
            status = update_gallery(dir, list[i], options->language, &err);
    }
    progress_end(&s->bar);
    if (status != RV_OK)
        return cli_error(&err);
    if (cli_has(cli, "json"))
        cli_print_json(json_incref(count == 1 ? json_array_get(s->results, 0) : s->results));
    return cli_has(cli, "check") && s->failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

static int run(const cli_line *cli)
{
    const rv_study *list[MAX_STUDIES];
    const char *set[CLI_MAX];
    long seeds, threads;
    if (!cli_int(cli, "seeds", 0, 1, 1000, &seeds) ||
        !cli_int(cli, "threads", cli_processors(), 1, 1024, &threads))
        return EXIT_USAGE;
    static const char *const languages[] = {"en", "ru"};
    int language = cli_choice(cli, "--lang", cli_value(cli, "lang", "en"), languages, 2);
    if (language < 0)
        return EXIT_USAGE;
    int count = choose(cli, list), sets = 0;
    if (count == 0)
        return EXIT_USAGE;
    for (; sets < CLI_MAX && cli_each(cli, "set", sets); sets++)
        set[sets] = cli_each(cli, "set", sets);
    session s = {.cli = cli};
    rv_study_options options = {.data = cli_data(cli), .language = languages[language], .seeds = (int)seeds, .quick = cli_has(cli, "quick"),
                                .threads = (int)threads, .set = set, .set_count = sets, .progress = show_progress, .note = show_note,
                                .context = &s};
    rv_error err;
    for (int i = 0; i < count; i++)
        if (rv_study_options_check(list[i], &options, &err) != RV_OK)
            return cli_error(&err);
    if (cli_has(cli, "dry-run"))
        return print_plan(cli, list, count);
    s.results = json_array();
    progress_init(&s.bar, cli_has(cli, "quiet"));
    options.stop = interrupt_flag();
    int status = run_all(&s, list, count, &options);
    json_decref(s.results);
    if (status == EXIT_DONE && *options.stop) { /* it ended early and has its page: a long run goes on */
        fputs("ravine: stopped; the same command goes on where it was\n", stderr);
        return interrupt_exit();
    }
    return status;
}

static const cli_option options[] = {
    {"check", 0, NULL, "exit 1 when a claim does not hold", false},
    {"quick", 0, NULL, "smaller and shorter; claims that need the full size are not judged", false},
    {"dry-run", 'n', NULL, "print the claims, and stop", false},
    {"seeds", 0, "N", "number of seeds; default: the study's own", false},
    {"set", 's', "NAME=VALUE", "a parameter of the study", true},
    {"threads", 't', "N", "workers; default: one per processor; results do not depend on it", false},
    {"data", 0, "DIR", "folder of data sets; default: RAVINE_DATA", false},
    {"lang", 0, "en|ru", "language in which the page opens; both are in it", false},
    {"out", 'o', "DIR", "where results go; default: runs/study/NAME", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_study = {
    .name = "study",
    .synopsis = "NAME|all",
    .summary = "Replay an experiment of the lecture and check its claims",
    .description = "Every claim is a measured number and the interval it must lie in, declared beforehand.  DIR gets\n"
                   "study.json, index.html (self-contained, for the screen) and the figures' numbers as CSV.\n"
                   "Studies that lie beside each other get a gallery, index.html in the folder above them.",
    .examples = "  ravine study rosenbrock\n"
                "  ravine study double-descent --set points=40 -o /tmp/dd\n"
                "  ravine study all --quick --check\n"
                "  ravine study escape --seeds 5 --json\n"
                "  ravine study sharpness --dry-run\n"
                "  ravine study all --lang ru -o lecture\n",
    .options = options,
    .least = 1,
    .most = 1,
    .complete = "studies",
    .run = run,
};
