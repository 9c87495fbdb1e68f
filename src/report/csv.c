/* Logs as CSV: one row per log line, one column per measured value of any run. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/report.h"
#include "report/csv.h"
#include "report/runs.h"

void rv_csv_text(rv_text *row, const char *text)
{
    bool formula = *text != '\0' && strchr("=+-@\t\r", *text) != NULL;
    if (!formula && !strpbrk(text, ",\"\r\n")) {
        rv_text_format(row, "%s", text);
        return;
    }
    rv_text_format(row, "\"%s", formula ? "'" : "");
    for (const char *c = text; *c; c++)
        rv_text_format(row, *c == '"' ? "\"\"" : "%c", *c);
    rv_text_format(row, "\"");
}

static void put_number(rv_text *row, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char number[40] = "";
    if (json_is_integer(value))
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
    else if (json_is_number(value) || json_is_string(value))
        rv_json_number(rv_json_real(object, key, NAN), number, sizeof number);
    rv_text_format(row, ",%s", number);
}

static const char *text_in(const json_t *config, const char *key)
{
    const char *text = json_string_value(json_object_get(config, key));
    return text ? text : "";
}

/* Adds to names (a JSON object used as an ordered set) what this log measures. */
static void collect_columns(const json_t *log, json_t *names)
{
    size_t i;
    json_t *line, *value;
    const char *key;
    json_array_foreach(log, i, line)
    {
        json_object_foreach((json_t *)(uintptr_t)rv_run_values(line), key, value)
        {
            if (!rv_run_is_coordinate(key) && !json_object_get(names, key))
                json_object_set_new(names, key, json_null());
        }
    }
}

static void put_line(rv_text *row, const rv_run *run, const json_t *line, json_t *names)
{
    const char *key;
    json_t *unused;
    rv_csv_text(row, run->name);
    rv_text_format(row, ",");
    rv_csv_text(row, text_in(run->config, "workload"));
    rv_text_format(row, ",");
    rv_csv_text(row, text_in(run->config, "optimizer"));
    put_number(row, json_object_get(run->config, "train"), "seed");
    put_number(row, line, "step");
    put_number(row, line, "examples");
    put_number(row, line, "seconds");
    rv_text_format(row, ",");
    rv_csv_text(row, rv_run_split(line));
    json_object_foreach(names, key, unused)
    {
        put_number(row, rv_run_values(line), key);
    }
    rv_text_format(row, "\r\n");
}

static rv_status flush(rv_text *text, rv_writer *writer, rv_error *err)
{
    rv_status status = text->failed ? rv_fail(err, RV_E_MEMORY, "export: no memory for rows")
                                    : rv_writer_put(writer, text->data, text->size, err);
    rv_text_release(text);
    *text = (rv_text){0};
    return status;
}

static rv_status put_head(json_t *names, rv_writer *writer, rv_error *err)
{
    rv_text head = {0};
    const char *key;
    json_t *unused;
    rv_text_format(&head, "run,workload,optimizer,seed,step,examples,seconds,split");
    json_object_foreach(names, key, unused)
    {
        rv_text_format(&head, ",");
        rv_csv_text(&head, key);
    }
    rv_text_format(&head, "\r\n");
    return flush(&head, writer, err);
}

static rv_status put_run(const rv_run *run, json_t *names, rv_writer *writer, rv_error *err)
{
    rv_text rows = {0};
    size_t i;
    json_t *line;
    json_array_foreach(run->log, i, line)
    {
        put_line(&rows, run, line, names);
    }
    return rows.size || rows.failed ? flush(&rows, writer, err) : RV_OK;
}

/* One pass over all runs: with a writer the rows, without one the columns. */
static rv_status for_all(const char *dir, const rv_runs *runs, json_t *names, rv_writer *writer, rv_error *err)
{
    for (int i = 0; i < runs->count; i++) {
        rv_run run;
        RV_TRY(rv_run_load(&run, dir, runs->name[i], err));
        rv_status status = RV_OK;
        if (writer)
            status = put_run(&run, names, writer, err);
        else
            collect_columns(run.log, names);
        rv_run_release(&run);
        RV_TRY(status);
    }
    return RV_OK;
}

static rv_status export_runs(const char *dir, const rv_runs *runs, const char *path, json_t *names, rv_error *err)
{
    if (runs->count == 0)
        return rv_fail(err, RV_E_IO, "%s: no run folder (with a config.json) here or below", dir);
    rv_writer *writer = NULL;
    RV_TRY(for_all(dir, runs, names, NULL, err));
    RV_TRY(rv_writer_open(&writer, path, err));
    rv_status status = put_head(names, writer, err);
    if (status == RV_OK)
        status = for_all(dir, runs, names, writer, err);
    if (status == RV_OK)
        return rv_writer_commit(writer, err);
    rv_writer_abandon(writer);
    return status;
}

rv_status rv_export_csv(const char *dir, const char *path, rv_error *err)
{
    rv_runs runs;
    RV_TRY(rv_runs_list(&runs, dir, err));
    json_t *names = json_object();
    rv_status status = names ? export_runs(dir, &runs, path, names, err)
                             : rv_fail(err, RV_E_MEMORY, "export: no memory");
    json_decref(names);
    rv_runs_release(&runs);
    return status;
}
