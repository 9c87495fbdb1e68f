/* The ranking for a terminal.  It is computed from bench.json alone, so the table of an
 * old folder is the table that was shown when it ran. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/blocks.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/bench.h"

enum { FIXED_COLUMNS = 4, MAX_COLUMNS = 64 };

typedef struct ranking {
    const json_t *problems, *optimizers, *cells;
    int problem_count, optimizer_count;
    int *order; /* optimizers from best to worst */
} ranking;

static double real_in(const json_t *object, const char *group, const char *key)
{
    return rv_json_real(json_object_get(object, group), key, NAN);
}

static const json_t *optimizer_at(const ranking *r, int i)
{
    return json_array_get(r->optimizers, (size_t)i);
}

/* By score in examples, then in seconds, then as the suite lists them. */
static bool goes_before(const ranking *r, int a, int b)
{
    static const char *const units[] = {"examples", "seconds"};
    for (int i = 0; i < 2; i++) {
        double x = real_in(optimizer_at(r, a), "score", units[i]), y = real_in(optimizer_at(r, b), "score", units[i]);
        if (x != y)
            return x > y;
    }
    return a < b;
}

static void sort_order(ranking *r)
{
    for (int i = 0; i < r->optimizer_count; i++) {
        int at = i;
        for (; at > 0 && goes_before(r, i, r->order[at - 1]); at--)
            r->order[at] = r->order[at - 1];
        r->order[at] = i;
    }
}

/* "12.3 k 4.1 s @0.003": median examples and seconds to the target, at the best setting where one
 * counts for all studies; a miss shows the setting that came nearest. */
static void cell_text(const ranking *r, int problem, int optimizer, char *text, size_t size)
{
    const json_t *cell = json_array_get(r->cells, (size_t)(problem * r->optimizer_count + optimizer));
    json_int_t best = json_integer_value(json_object_get(cell, "best"));
    const json_t *point = best < 0 ? NULL : json_array_get(json_object_get(cell, "points"), (size_t)best);
    char examples[32], seconds[32], lr[40] = "";
    if (!point) {
        snprintf(text, size, "not run");
        return;
    }
    const json_t *settings = json_object_get(point, "settings");
    if (json_is_number(json_object_get(settings, "lr")))
        snprintf(lr, sizeof lr, " @%.3g", rv_json_real(settings, "lr", NAN));
    const json_t *times = json_object_get(cell, "time");
    times = times ? times : point; /* records of old have one setting for all studies, and its times alone */
    double time = rv_json_real(times, "examples", NAN);
    if (isfinite(time))
        snprintf(text, size, "%s %s%s", rv_text_count(time, examples, sizeof examples),
                 rv_text_duration(rv_json_real(times, "seconds", NAN), seconds, sizeof seconds), lr);
    else
        snprintf(text, size, "miss%s", lr);
}

static void score_text(double score, char *text, size_t size)
{
    snprintf(text, size, isfinite(score) ? "%.3f" : "-", score);
}

static void add_row(const ranking *r, rv_table *table, int optimizer, int first, int count)
{
    char store[MAX_COLUMNS][96];
    const char *cells[MAX_COLUMNS];
    const json_t *entry = optimizer_at(r, optimizer);
    const char *label = json_string_value(json_object_get(entry, "label"));
    snprintf(store[0], sizeof store[0], "%.0f", real_in(entry, "rank", "examples"));
    snprintf(store[1], sizeof store[1], "%s", label ? label : "?");
    score_text(real_in(entry, "score", "examples"), store[2], sizeof store[2]);
    score_text(real_in(entry, "score", "seconds"), store[3], sizeof store[3]);
    for (int p = 0; p < count; p++)
        cell_text(r, first + p, optimizer, store[FIXED_COLUMNS + p], sizeof store[0]);
    for (int i = 0; i < FIXED_COLUMNS + count; i++)
        cells[i] = store[i];
    rv_table_row(table, cells);
}

/* Problems first..first+count-1 beside the scores. */
static void print_block(const void *context, int first, int count, bool colour, rv_text *out)
{
    const ranking *r = context;
    const char *heads[MAX_COLUMNS] = {"#", "optimizer", "score", "time"};
    bool right[MAX_COLUMNS] = {true, false, true, true};
    for (int p = 0; p < count; p++) {
        const char *label = json_string_value(json_object_get(json_array_get(r->problems, (size_t)(first + p)), "label"));
        heads[FIXED_COLUMNS + p] = label ? label : "?";
    }
    rv_table *table = rv_table_new(FIXED_COLUMNS + count, heads, right);
    for (int i = 0; table && i < r->optimizer_count; i++)
        add_row(r, table, r->order[i], first, count);
    rv_table_print(table, out, colour);
    rv_table_free(table);
}

static void print_targets(const ranking *r, rv_text *out)
{
    rv_text_format(out, "\nTime to target: median over studies of examples and training seconds, @ the best lr.\nTargets:");
    for (int p = 0; p < r->problem_count; p++) {
        const json_t *problem = json_array_get(r->problems, (size_t)p);
        const char *label = json_string_value(json_object_get(problem, "label"));
        const char *metric = json_string_value(json_object_get(problem, "metric"));
        rv_text_format(out, "%s %s %s %s %g", p ? "," : "", label ? label : "?", metric ? metric : "metric",
                       json_is_true(json_object_get(problem, "maximize")) ? ">=" : "<=",
                       rv_json_real(problem, "target", NAN));
    }
    rv_text_format(out, ".\nScore: performance profile over ratios 1 to 4 to the fastest (1 is best), in examples and in time.\n");
}

static void print_ranking(const ranking *r, int width, bool colour, bool complete, rv_text *out)
{
    rv_blocks_print(r, r->problem_count, MAX_COLUMNS - FIXED_COLUMNS, width, colour, print_block, out);
    print_targets(r, out);
    if (!complete)
        rv_text_format(out, "Not complete: some trials have not run; the same command goes on.\n");
}

rv_status rv_bench_table(const char *dir, int width, bool colour, char **text, rv_error *err)
{
    char path[RV_PATH_SIZE];
    json_t *record;
    RV_TRY(rv_path_join(path, dir, "bench.json", err));
    RV_TRY(rv_json_read(path, &record, err));
    const json_t *scores = json_object_get(record, "scores");
    ranking r = {.problems = json_object_get(scores, "problems"),
                 .optimizers = json_object_get(scores, "optimizers"),
                 .cells = json_object_get(scores, "cells")};
    r.problem_count = (int)json_array_size(r.problems);
    r.optimizer_count = (int)json_array_size(r.optimizers);
    if (r.problem_count == 0 || r.optimizer_count == 0) {
        json_decref(record);
        return rv_fail(err, RV_E_FORMAT, "%s: no scores in this file", path);
    }
    rv_text out = {0};
    r.order = calloc((size_t)r.optimizer_count, sizeof *r.order);
    if (r.order) {
        sort_order(&r);
        print_ranking(&r, width, colour, json_is_true(json_object_get(record, "complete")), &out);
    }
    bool failed = !r.order || out.failed;
    free(r.order);
    json_decref(record);
    if (failed) {
        rv_text_release(&out);
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for the table", path);
    }
    *text = out.data;
    return RV_OK;
}
