/* ravine probe: what can be measured at saved weights. */
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
#include "ravine/measure.h"

static void show_progress(void *context, double fraction, const char *text)
{
    progress_show(context, fraction, text);
}

static void show_note(void *context, const char *line)
{
    progress_line(context, line);
}

static void add_row(rv_table *table, const char *measure, const json_t *value)
{
    char number[32], error[32] = "";
    snprintf(number, sizeof number, "%.5g", rv_json_real(value, "value", NAN));
    if (!json_is_null(json_object_get(value, "error")))
        snprintf(error, sizeof error, "± %.2g", rv_json_real(value, "error", NAN));
    const char *cells[] = {measure, json_string_value(json_object_get(value, "key")), number, error,
                           json_string_value(json_object_get(value, "quantity"))};
    rv_table_row(table, cells);
}

static void print_values(const json_t *result)
{
    static const char *const heads[] = {"measure", "key", "value", "", "quantity"};
    static const bool right[] = {false, false, true, false, false};
    rv_table *table = rv_table_new(5, heads, right);
    const json_t *part, *value;
    size_t i, k;
    json_array_foreach(json_object_get(result, "measures"), i, part)
        json_array_foreach(json_object_get(part, "values"), k, value)
            add_row(table, k ? "" : json_string_value(json_object_get(part, "measure")), value);
    rv_text text = {0};
    rv_table_print(table, &text, cli_colour(STDOUT_FILENO));
    fputs(text.data ? text.data : "", stdout);
    rv_text_release(&text);
    rv_table_free(table);
}

static void print_result(const json_t *result)
{
    char count[32], seconds[32];
    const json_t *note;
    size_t i;
    printf("%s: %s after %lld steps of %s, %s parameters, weights %s\n", json_string_value(json_object_get(result, "file")),
           json_string_value(json_object_get(result, "workload")), (long long)json_integer_value(json_object_get(result, "step")),
           json_string_value(json_object_get(result, "optimizer")),
           rv_text_count(rv_json_real(result, "parameters", NAN), count, sizeof count),
           json_string_value(json_object_get(result, "weights")));
    print_values(result);
    json_array_foreach(json_object_get(result, "notes"), i, note)
        printf("note: %s\n", json_string_value(note));
    printf("%s; page: %s/index.html\n", rv_text_duration(rv_json_real(result, "seconds", NAN), seconds, sizeof seconds),
           json_string_value(json_object_get(result, "folder")));
}

static int print_text(const cli_line *cli, const char *text)
{
    if (cli_has(cli, "json")) {
        puts(text);
        return EXIT_DONE;
    }
    json_t *result = json_loads(text, 0, NULL);
    print_result(result);
    json_decref(result);
    return EXIT_DONE;
}

/* The values of a repeated option; their number. */
static int collect(const cli_line *cli, const char *name, const char **list)
{
    int count = 0;
    for (; count < CLI_MAX && cli_each(cli, name, count); count++)
        list[count] = cli_each(cli, name, count);
    return count;
}

static int run(const cli_line *cli)
{
    const char *set[CLI_MAX], *with[CLI_MAX];
    long threads;
    char *text = NULL;
    rv_error err = {0};
    progress bar;
    static const char *const languages[] = {"en", "ru"};
    int language = cli_choice(cli, "language", cli_value(cli, "lang", "en"), languages, 2);
    if (language < 0)
        return EXIT_USAGE;
    if (!cli_int(cli, "threads", cli_processors(), 1, 1024, &threads))
        return EXIT_USAGE;
    progress_init(&bar, cli_has(cli, "quiet"));
    rv_measure_options options = {.dir = cli_value(cli, "out", NULL), .data = cli_data(cli), .language = languages[language], .threads = (int)threads,
                                  .raw = cli_has(cli, "raw"), .other_data = cli_has(cli, "other-data"), .measures = cli->argument + 1, .measure_count = cli->count - 1,
                                  .with = with, .with_count = collect(cli, "with", with), .set = set,
                                  .set_count = collect(cli, "set", set), .stop = interrupt_flag(),
                                  .progress = show_progress, .note = show_note, .context = &bar};
    rv_status status = rv_measure_execute(cli->argument[0], &options, &text, &err);
    progress_end(&bar);
    int code = status == RV_OK ? print_text(cli, text) : status == RV_E_INTERRUPTED ? interrupt_exit() : cli_error(&err);
    free(text);
    return code;
}

static const cli_option options[] = {
    {"with", 'w', "CHECKPOINT", "a further point, where a line or curve goes; a folder of checkpoints: all of them", true},
    {"raw", 0, NULL, "the weights that were stepped, not the averaged ones to evaluate", false},
    {"set", 's', "NAME=VALUE", "a parameter: seed=1, hessian.products=50, workload.dropout=0, train.precision=f64", true},
    {"threads", 't', "N", "workers; results do not depend on it", false},
    {"data", 0, "DIR", "folder of data sets, that of the training; default: RAVINE_DATA", false},
    {"other-data", 0, NULL, "measure on other data than the weights were trained on", false},
    {"lang", 0, "en|ru", "language in which the page opens; both are in it", false},
    {"out", 'o', "DIR", "where results go; default: runs/probe/RUN-stepN", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_probe = {
    .name = "probe",
    .synopsis = "CHECKPOINT [MEASURE]...",
    .summary = "Measure at saved weights: curvature, sharpness, gradient noise, the loss around them",
    .description = "CHECKPOINT is the folder of a run, one of its checkpoints or its weights.safetensors, or one of them with @start\n"
                   "behind it: the initial weights.  The file itself says which workload and data it belongs to.  Without a MEASURE\n"
                   "the usual ones run; 'ravine list measures' shows all, 'ravine explain hessian' the parameters of one.\n"
                   "DIR gets probe.json, index.html and the figures as CSV.",
    .examples = "  ravine probe runs/mnist-mlp-sgd-1a2b3c4d-s0\n"
                "  ravine probe runs/mnist-mlp-sgd-1a2b3c4d-s0 hessian noise --set batches=16 --json\n"
                "  ravine probe runs/A/checkpoint/step-000000001000.safetensors hessian --set train.precision=f64\n"
                "  ravine probe runs/A line --with runs/B\n"
                "  ravine probe runs/A@start line --set view=training\n"
                "  ravine probe runs/A plane --set axes=pca --with runs/A/trajectory\n"
                "  ravine probe runs/A curve --with runs/B --with runs/C\n"
                "  ravine probe runs/A pattern --set icon=picture.txt\n",
    .options = options,
    .least = 1,
    .most = -1,
    .complete = "files measures",
    .run = run,
};
