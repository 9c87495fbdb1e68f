/* Throw-away folders, runs in them, and the comparison of what they left. */
#include "help.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"

char help_root[256];
char help_notes[4096];
static char *configs[256];
static int config_count;

int help_start(void **state)
{
    (void)state;
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(help_root, sizeof help_root, "%s/ravine-fault-XXXXXX", memory);
    return mkdtemp(help_root) == NULL;
}

int help_end(void **state)
{
    (void)state;
    help_remove(help_root);
    for (int i = 0; i < config_count; i++)
        free(configs[i]);
    config_count = 0;
    return 0;
}

const char *help_path(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", help_root, name);
    return path;
}

void help_remove(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return;
    if (!S_ISDIR(info.st_mode)) {
        unlink(path);
        return;
    }
    chmod(path, 0700);
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char below[1024];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        help_remove(below);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

const char *help_config(const char *partial, ...)
{
    char text[2048];
    va_list args;
    va_start(args, partial);
    vsnprintf(text, sizeof text, partial, args);
    va_end(args);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    rv_error err = {0};
    char *resolved = NULL;
    if (rv_trial_resolve(text, NULL, 0, &resolved, &err) != RV_OK)
        fail_msg("%s: %s", text, err.message);
    assert_true(config_count < 256);
    return configs[config_count++] = resolved;
}

static void note(void *context, const char *line)
{
    (void)context;
    size_t used = strlen(help_notes);
    snprintf(help_notes + used, sizeof help_notes - used, "%s\n", line);
}

rv_status help_run(const char *config, const char *dir, int threads, int *stop, rv_trial_result *result, rv_error *err)
{
    rv_trial_options options = {.dir = help_path(dir), .threads = threads, .stop = stop, .note = note};
    help_notes[0] = '\0';
    return rv_trial_run(config, &options, result, err);
}

/* ---- comparison ------------------------------------------------------------------- */

static const char *run_file(const char *config, const char *dir, const char *name)
{
    static char paths[4][1024];
    static int next;
    char id[256], *path = paths[next++ % 4];
    rv_trial_id(config, id, sizeof id);
    snprintf(path, sizeof paths[0], "%s/%s/%s/%s", help_root, dir, id, name);
    return path;
}

/* A log without its seconds. */
static json_t *read_log(const char *path)
{
    rv_reader reader;
    json_t *log = json_array();
    if (rv_reader_open_plain(&reader, path, 1 << 26, NULL) != RV_OK)
        return log;
    for (const char *at = (char *)reader.data, *end = at + reader.size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        json_t *line = newline == NULL ? NULL : json_loadb(at, (size_t)(newline - at), 0, NULL);
        json_object_del(line, "seconds");
        json_array_append_new(log, line == NULL ? json_string("torn") : line);
        at = newline == NULL ? end : newline + 1;
    }
    rv_reader_close(&reader);
    return log;
}

static const char *newest_checkpoint(const char *config, const char *dir)
{
    static char paths[2][1280];
    static int turn;
    char name[256] = "", *path = paths[turn++ % 2];
    const char *folder = run_file(config, dir, "checkpoint");
    DIR *d = opendir(folder);
    for (struct dirent *entry; d != NULL && (entry = readdir(d)) != NULL;)
        if (strncmp(entry->d_name, "step-", 5) == 0 && strcmp(entry->d_name, name) > 0)
            snprintf(name, sizeof name, "%s", entry->d_name);
    if (d != NULL)
        closedir(d);
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static bool same_metadata(const char *a, const char *b)
{
    static const char *const timed[] = {"seconds", "target_seconds", "checksum"};
    json_t *x = a == NULL ? NULL : json_loads(a, 0, NULL), *y = b == NULL ? NULL : json_loads(b, 0, NULL);
    for (int i = 0; i < 3; i++) {
        json_object_del(x, timed[i]);
        json_object_del(y, timed[i]);
    }
    bool same = json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

static const char *arrays_differ(const char *a, const char *b)
{
    rv_array_set x, y;
    rv_error err = {0};
    const char *what = NULL;
    if (rv_safetensors_read(a, &x, &err) != RV_OK)
        return "the first file of arrays";
    if (rv_safetensors_read(b, &y, &err) != RV_OK) {
        rv_array_set_release(&x);
        return "the second file of arrays";
    }
    if (x.count != y.count || !same_metadata(x.metadata, y.metadata))
        what = "metadata";
    for (int i = 0; what == NULL && i < x.count; i++) {
        size_t n = (size_t)rv_shape_size(&x.arrays[i].shape) * rv_dtype_size(x.arrays[i].dtype);
        if (strcmp(x.arrays[i].name, y.arrays[i].name) != 0 || !rv_shape_equal(&x.arrays[i].shape, &y.arrays[i].shape) ||
            memcmp(x.arrays[i].data, y.arrays[i].data, n) != 0)
            what = "an array";
    }
    rv_array_set_release(&x);
    rv_array_set_release(&y);
    return what;
}

const char *help_difference(const char *config, const char *dir_a, const char *dir_b)
{
    const char *what = arrays_differ(newest_checkpoint(config, dir_a), newest_checkpoint(config, dir_b));
    if (what == NULL)
        what = arrays_differ(run_file(config, dir_a, "weights.safetensors"),
                             run_file(config, dir_b, "weights.safetensors"));
    if (what != NULL)
        return what;
    json_t *a = read_log(run_file(config, dir_a, "log.jsonl")), *b = read_log(run_file(config, dir_b, "log.jsonl"));
    if (!json_equal(a, b) || json_array_size(a) == 0)
        what = "the log";
    json_decref(a);
    json_decref(b);
    return what;
}

void help_same(const char *config, const char *dir_a, const char *dir_b)
{
    const char *what = help_difference(config, dir_a, dir_b);
    if (what != NULL)
        fail_msg("%s and %s differ in %s:\n%s", dir_a, dir_b, what, config);
}
