/* A score's JSON as text for a terminal and as CSV.  Both show what the JSON says and compute
 * nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/blocks.h"
#include "core/csv.h"
#include "core/json.h"
#include "ravine/score.h"

enum { MAX_COLUMNS = 64, FIXED = 3, CELL = 160 };

static const char *text_in(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* ---- the leaderboard --------------------------------------------------------- */

typedef struct board {
    const json_t *scores, *workloads; /* base workloads only */
    bool doubt, speed;
} board;

static bool is_base(const json_t *workload)
{
    return json_object_get(workload, "guards") == NULL;
}

static const char *workload_at(const board *b, int i)
{
    return text_in(json_array_get(b->workloads, (size_t)i), "workload");
}

/* "conformer" for "librispeech_conformer" where no other name ends so. */
static const char *short_name(const board *b, int i)
{
    const char *name = workload_at(b, i), *tail = strrchr(name, '_');
    for (int k = 0; tail && k < (int)json_array_size(b->workloads); k++) {
        const char *other = strrchr(workload_at(b, k), '_');
        if (k != i && strcmp(other ? other + 1 : workload_at(b, k), tail + 1) == 0)
            return name;
    }
    return tail && tail[1] ? tail + 1 : name;
}

static void credit_text(const json_t *cell, char *text)
{
    static const char *const words[] = {[RV_CAUSE_NO_TRIAL] = "none", [RV_CAUSE_MISSED] = "miss", [RV_CAUSE_BASE] = "base",
                                        [RV_CAUSE_CUT] = "slow", [RV_CAUSE_HELD_OUT] = "held"};
    snprintf(text, CELL, "%.2f", rv_json_real(cell, "credit", NAN));
    for (size_t i = 1; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text_in(cell, "cause"), rv_cause_name((rv_cause)i)) == 0)
            snprintf(text, CELL, "%s", words[i]);
}

static void rank_cells(const json_t *entry, char store[][CELL])
{
    snprintf(store[0], CELL, "%lld", json_integer_value(json_object_get(entry, "rank")));
    snprintf(store[1], CELL, "%.150s", text_in(entry, "submission"));
    snprintf(store[2], CELL, "%.4f", rv_json_real(entry, "score", NAN));
}

static void put_row(rv_table *table, char store[][CELL], int columns)
{
    const char *cells[MAX_COLUMNS];
    for (int c = 0; c < columns; c++)
        cells[c] = store[c];
    rv_table_row(table, cells);
}

static void print_credits(const void *context, int first, int count, bool colour, rv_text *out)
{
    const board *b = context;
    const char *heads[MAX_COLUMNS] = {"#", "submission", "score"};
    bool right[MAX_COLUMNS] = {true, false, true};
    char store[MAX_COLUMNS][CELL];
    for (int w = 0; w < count; w++) {
        heads[FIXED + w] = short_name(b, first + w);
        right[FIXED + w] = true;
    }
    rv_table *table = rv_table_new(FIXED + count, heads, right);
    for (size_t i = 0; table && i < json_array_size(b->scores); i++) {
        const json_t *entry = json_array_get(b->scores, i), *own = json_object_get(entry, "cells");
        rank_cells(entry, store);
        for (int w = 0; w < count; w++)
            credit_text(json_object_get(own, workload_at(b, first + w)), store[FIXED + w]);
        put_row(table, store, FIXED + count);
    }
    rv_table_print(table, out, colour);
    rv_table_free(table);
}

/* How sure the ranking is, and the plain number beside it. */
static void print_doubt(const board *b, bool colour, rv_text *out)
{
    static const char *const heads[] = {"#", "submission", "score", "exact", "speed", "95 %", "ranks"};
    static const bool right[] = {true, false, true, true, true, true, true};
    int columns = b->doubt ? 7 : 5;
    char store[7][CELL];
    rv_table *table = rv_table_new(columns, heads, right);
    for (size_t i = 0; table && i < json_array_size(b->scores); i++) {
        const json_t *entry = json_array_get(b->scores, i);
        const json_t *interval = json_object_get(entry, "interval"), *ranks = json_object_get(entry, "rank_interval");
        double speed = rv_json_real(entry, "speed", NAN);
        rank_cells(entry, store);
        snprintf(store[3], CELL, "%.4f", rv_json_real(entry, "exact", NAN));
        snprintf(store[4], CELL, isnan(speed) ? "-" : "%.3f", speed);
        snprintf(store[5], CELL, "%.3f-%.3f", json_number_value(json_array_get(interval, 0)),
                 json_number_value(json_array_get(interval, 1)));
        snprintf(store[6], CELL, "%lld-%lld", json_integer_value(json_array_get(ranks, 0)),
                 json_integer_value(json_array_get(ranks, 1)));
        put_row(table, store, columns);
    }
    rv_text_format(out, "\n");
    rv_table_print(table, out, colour);
    rv_table_free(table);
}

/* ---- what took credits away -------------------------------------------------- */

static void print_reasons(const json_t *report, bool colour, rv_text *out)
{
    static const char *const heads[] = {"submission", "workload", "no credit", "why"};
    static const bool right[] = {false, false, false, false};
    rv_table *table = rv_table_new(4, heads, right);
    json_t *entry, *workload;
    size_t i, w;
    json_array_foreach(json_object_get(report, "scores"), i, entry)
    {
        json_array_foreach(json_object_get(report, "workloads"), w, workload)
        {
            const char *name = text_in(workload, "workload");
            const json_t *cell = json_object_get(json_object_get(entry, "cells"), name);
            const char *row[] = {text_in(entry, "submission"), name, text_in(cell, "cause"), text_in(cell, "why")};
            if (table && is_base(workload) && *row[3])
                rv_table_row(table, row);
        }
    }
    rv_text_format(out, "\n");
    if (table)
        rv_table_print(table, out, colour);
    rv_table_free(table);
}

static void print_legend(const json_t *report, const board *b, rv_text *out)
{
    json_int_t points = json_integer_value(json_object_get(report, "points"));
    size_t departures = json_array_size(json_object_get(report, "departures"));
    char limit[40];
    rv_json_number(rv_json_real(report, "tau_max", NAN), limit, sizeof limit);
    rv_text_format(out, "\n%s; by %s.\n", text_in(report, "title"), text_in(report, "clock"));
    if (departures > 0)
        rv_text_format(out, "%zu cells have another number of studies than the %lld of the rules.\n", departures,
                       (long long)json_integer_value(json_object_get(report, "studies")));
    rv_text_format(out, "Score: mean height of the performance profile for ratios 1 to %s", limit);
    if (points > 0)
        rv_text_format(out, ", a trapezoid over %lld points; exact: its integral", (long long)points);
    rv_text_format(out, ".\nCredits: miss, too few studies reached the target; slow, beyond the cut; held, a held-out workload\n"
                        "was missed or cut; none, no trial left an evaluation.");
    if (b->speed)
        rv_text_format(out, "  Speed: geometric mean of times\nover those of %s, a miss counted as the budget.", text_in(report, "reference"));
    if (b->doubt)
        rv_text_format(out, "  95 %%, ranks: the middle of %lld resamples of the studies.",
                       (long long)json_integer_value(json_object_get(json_object_get(report, "uncertainty"), "resamples")));
    rv_text_format(out, "\n");
}

static rv_status parse(const char *json, json_t **report, rv_error *err)
{
    return rv_json_parse(json, strlen(json), "score", report, err);
}

static rv_status finish(rv_text *out, char **text, rv_error *err)
{
    if (!out->failed && out->data) {
        *text = out->data;
        return RV_OK;
    }
    rv_text_release(out);
    return rv_fail(err, RV_E_MEMORY, "score: no memory for the table");
}

rv_status rv_score_table(const char *json, int width, bool colour, bool reasons, char **text, rv_error *err)
{
    json_t *report, *workload, *base = json_array();
    size_t i;
    rv_text out = {0};
    *text = NULL;
    RV_TRY(parse(json, &report, err));
    json_array_foreach(json_object_get(report, "workloads"), i, workload)
    {
        if (is_base(workload))
            json_array_append(base, workload);
    }
    board b = {.scores = json_object_get(report, "scores"), .workloads = base,
               .doubt = json_object_get(report, "uncertainty") != NULL};
    for (i = 0; i < json_array_size(b.scores); i++)
        b.speed |= json_is_number(json_object_get(json_array_get(b.scores, i), "speed"));
    rv_blocks_print(&b, (int)json_array_size(base), MAX_COLUMNS - FIXED, width, colour, print_credits, &out);
    if (b.doubt || b.speed)
        print_doubt(&b, colour, &out);
    print_legend(report, &b, &out);
    if (reasons)
        print_reasons(report, colour, &out);
    json_decref(base);
    json_decref(report);
    return finish(&out, text, err);
}

/* ---- CSV --------------------------------------------------------------------- */

static void put_number(rv_text *out, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char number[40] = "";
    if (json_is_integer(value))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    else if (value && !json_is_null(value))
        rv_json_number(rv_json_real(object, key, NAN), number, sizeof number);
    rv_text_format(out, ",%s", number);
}

static void put_text(rv_text *out, const json_t *object, const char *key)
{
    rv_text_format(out, ",");
    rv_csv_put(out, text_in(object, key));
}

rv_status rv_score_csv(const char *json, char **text, rv_error *err)
{
    json_t *report, *entry, *workload;
    size_t i, w;
    rv_text out = {0};
    *text = NULL;
    RV_TRY(parse(json, &report, err));
    rv_text_format(&out, "submission,rank,score,exact,workload,guards,time,ratio,credit,area,studies,solved,cause,why\r\n");
    json_array_foreach(json_object_get(report, "scores"), i, entry)
    {
        json_array_foreach(json_object_get(report, "workloads"), w, workload)
        {
            const json_t *cell = json_object_get(json_object_get(entry, "cells"), text_in(workload, "workload"));
            static const char *const numbers[] = {"time", "ratio", "credit", "area", "studies", "solved"};
            rv_csv_put(&out, text_in(entry, "submission"));
            put_number(&out, entry, "rank");
            put_number(&out, entry, "score");
            put_number(&out, entry, "exact");
            put_text(&out, workload, "workload");
            put_text(&out, workload, "guards");
            for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
                put_number(&out, cell, numbers[k]);
            put_text(&out, cell, "cause");
            put_text(&out, cell, "why");
            rv_text_format(&out, "\r\n");
        }
    }
    json_decref(report);
    return finish(&out, text, err);
}
