/* Finds and reads run folders.  Nothing in a folder is trusted: names are data, logs may
 * end in a torn line, and numbers may be the words "nan", "inf", "-inf". */
#include "trial/runs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "core/json.h"

enum { MAX_DEPTH = 6 };
static const size_t max_log = (size_t)1 << 31;

/* ---- finding ---------------------------------------------------------------- */

static rv_status add_name(rv_runs *runs, const char *name, rv_error *err)
{
    char **grown = realloc(runs->name, ((size_t)runs->count + 1) * sizeof *grown);
    char *copy = strdup(name);
    runs->name = grown ? grown : runs->name;
    if (!grown || !copy) {
        free(copy);
        return rv_fail(err, RV_E_MEMORY, "no memory for the names of %d runs", runs->count);
    }
    runs->name[runs->count++] = copy;
    return RV_OK;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_run(const char *path)
{
    char config[RV_PATH_SIZE];
    return rv_path_join(config, path, "config.json", NULL) == RV_OK && rv_file_exists(config);
}

/* Adds the runs in a folder and below; a run folder holds no further runs.  root: length of the folder
 * that names are told from, with its slash. */
static rv_status search(rv_runs *runs, const char *folder, size_t root, int depth, rv_error *err)
{
    char path[RV_PATH_SIZE], **entries;
    int count;
    rv_status status = rv_folder_names(folder, &entries, &count, err);
    for (int i = 0; i < count && status == RV_OK; i++) {
        status = rv_path_join(path, folder, entries[i], err);
        if (status != RV_OK || !is_folder(path))
            continue;
        if (is_run(path))
            status = add_name(runs, path + root, err);
        else if (depth < MAX_DEPTH)
            status = search(runs, path, root, depth + 1, err);
    }
    rv_folder_names_free(entries, count);
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

rv_status rv_runs_list(rv_runs *runs, const char *dir, rv_error *err)
{
    *runs = (rv_runs){0};
    if (is_run(dir))
        return add_name(runs, ".", err);
    size_t length = strlen(dir);
    rv_status status = search(runs, dir, length + (length == 0 || dir[length - 1] != '/'), 0, err);
    if (status != RV_OK)
        rv_runs_release(runs);
    else if (runs->count > 1)
        qsort(runs->name, (size_t)runs->count, sizeof *runs->name, compare_names);
    return status;
}

void rv_runs_release(rv_runs *runs)
{
    for (int i = 0; i < runs->count; i++)
        free(runs->name[i]);
    free(runs->name);
    *runs = (rv_runs){0};
}

/* ---- reading ---------------------------------------------------------------- */

static rv_status read_object(const char *folder, const char *file, bool required, json_t **out, rv_error *err)
{
    char path[RV_PATH_SIZE];
    *out = NULL;
    RV_TRY(rv_path_join(path, folder, file, err));
    if (!required && !rv_file_exists(path))
        return RV_OK;
    RV_TRY(rv_json_read(path, out, err));
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return rv_fail(err, RV_E_FORMAT, "%s: expected a JSON object", path);
    }
    return RV_OK;
}

static rv_status parse_lines(const rv_reader *reader, json_t *log, rv_error *err)
{
    const char *at = (const char *)reader->data, *end = at + reader->size;
    for (int line = 1; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            return RV_OK; /* torn: the writer was stopped inside this line */
        json_t *object = NULL;
        rv_error inner = {0};
        rv_status status = rv_json_parse(at, (size_t)(newline - at), reader->path, &object, &inner);
        if (status == RV_E_MEMORY || (status == RV_OK && json_array_append_new(log, object) != 0))
            return rv_fail(err, RV_E_MEMORY, "%s: no memory for line %d", reader->path, line);
        if (status != RV_OK)
            return rv_fail(err, RV_E_FORMAT, "%s: line %d is not a JSON object: %.200s", reader->path, line, inner.message);
        at = newline + 1;
    }
    return RV_OK;
}

static rv_status read_log(const char *folder, json_t **log, rv_error *err)
{
    char path[RV_PATH_SIZE];
    *log = json_array();
    RV_TRY(rv_path_join(path, folder, "log.jsonl", err));
    if (!rv_file_exists(path))
        return RV_OK;
    rv_reader reader;
    RV_TRY(rv_reader_open(&reader, path, max_log, err));
    rv_status status = parse_lines(&reader, *log, err);
    rv_reader_close(&reader);
    return status;
}

rv_status rv_run_load(rv_run *run, const char *dir, const char *name, rv_error *err)
{
    char folder[RV_PATH_SIZE];
    *run = (rv_run){.name = name};
    if (strcmp(name, ".") == 0 && strrchr(dir, '/') && strrchr(dir, '/')[1])
        run->name = strrchr(dir, '/') + 1;
    RV_TRY(rv_path_join(folder, dir, name, err));
    rv_status status = read_object(folder, "config.json", true, &run->config, err);
    if (status == RV_OK)
        status = read_object(folder, "meta.json", false, &run->meta, err);
    if (status == RV_OK)
        status = read_object(folder, "result.json", false, &run->result, err);
    if (status == RV_OK)
        status = read_log(folder, &run->log, err);
    if (status != RV_OK)
        rv_run_release(run);
    return status;
}

void rv_run_release(rv_run *run)
{
    json_decref(run->config);
    json_decref(run->meta);
    json_decref(run->result);
    json_decref(run->log);
    *run = (rv_run){0};
}

/* ---- lines ------------------------------------------------------------------ */

const char *rv_run_split(const json_t *line)
{
    const char *split = json_string_value(json_object_get(line, "split"));
    return split ? split : "train";
}

const json_t *rv_run_values(const json_t *line)
{
    const json_t *metrics = json_object_get(line, "metrics");
    return json_is_object(metrics) ? metrics : line;
}

bool rv_run_is_coordinate(const char *key)
{
    static const char *const coordinates[] = {"step", "examples", "seconds", "split", "metrics"};
    for (size_t i = 0; i < sizeof coordinates / sizeof coordinates[0]; i++)
        if (strcmp(key, coordinates[i]) == 0)
            return true;
    return false;
}
