/* The files of a run folder.  Invariant: only the holder of the lock writes here, and
 * every file is replaced as a whole or appended to by whole lines. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "trial/folder.h"

enum { PATH_SIZE = RV_RUN_SIZE + 32 };

static void path_in(const rv_folder *folder, const char *name, char *path)
{
    snprintf(path, PATH_SIZE, "%s/%s", folder->path, name);
}

rv_status rv_folder_name(rv_folder *folder, const char *dir, const rv_config *config, rv_error *err)
{
    char id[RV_NAME_SIZE * 4], path[RV_PATH_SIZE];
    *folder = (rv_folder){.lock = -1};
    rv_config_id(config, id, sizeof id);
    RV_TRY(rv_path_join(path, dir, id, err));
    if (strlen(path) >= sizeof folder->path)
        return rv_fail(err, RV_E_RANGE, "%s: a path of %zu bytes, at most %zu fit", path, strlen(path), sizeof folder->path - 1);
    memcpy(folder->path, path, strlen(path) + 1);
    snprintf(folder->checkpoints, sizeof folder->checkpoints, "%s/checkpoint", folder->path);
    snprintf(folder->trajectory, sizeof folder->trajectory, "%s/trajectory", folder->path);
    return RV_OK;
}

/* ---- lock and leftovers ---------------------------------------------------------- */

static rv_status take_lock(rv_folder *folder, rv_error *err)
{
    char path[PATH_SIZE], owner[32] = {0};
    path_in(folder, "lock", path);
    /* The kernel drops the lock with its process, so a dead owner never blocks anyone. */
    int fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
    if (fd < 0)
        return rv_fail(err, RV_E_IO, "%s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int code = errno;
        ssize_t n = pread(fd, owner, sizeof owner - 1, 0);
        owner[n < 0 ? 0 : strcspn(owner, "\n")] = '\0';
        close(fd);
        if (code != EWOULDBLOCK)
            return rv_fail(err, RV_E_IO, "%s: %s", path, strerror(code));
        return rv_fail(err, RV_E_BUSY, "%s: in use by process %s", folder->path, owner);
    }
    int n = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    /* Who holds it is told for people only: the lock itself is what counts. */
    (void)!ftruncate(fd, 0);
    (void)!pwrite(fd, owner, (size_t)n, 0);
    folder->lock = fd;
    return RV_OK;
}

static void remove_temporaries(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        if (rv_text_match("*.tmp", entry->d_name))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
}

void rv_json_differences(const json_t *there, const json_t *here, const char *path, rv_text *out)
{
    const char *key = NULL;
    json_t *value = NULL;
    char name[256];
    if (json_is_object(there) && json_is_object(here)) {
        json_object_foreach ((json_t *)(uintptr_t)there, key, value) {
            snprintf(name, sizeof name, "%s%s%s", path, path[0] != '\0' ? "." : "", key);
            rv_json_differences(value, json_object_get(here, key), name, out);
        }
        json_object_foreach ((json_t *)(uintptr_t)here, key, value)
            if (json_object_get(there, key) == NULL)
                rv_text_format(out, "%s%s%s%s: only here", out->size > 0 ? "; " : "", path, path[0] != '\0' ? "." : "",
                               key);
        return;
    }
    if (here != NULL && json_equal(there, here))
        return;
    char *a = rv_json_text(there, 0), *b = here == NULL ? NULL : rv_json_text(here, 0);
    rv_text_format(out, "%s%s: %.60s there, %.60s here", out->size > 0 ? "; " : "", path, a == NULL ? "?" : a,
                   b == NULL ? "nothing" : b);
    free(a);
    free(b);
}

static rv_status check_config(const char *path, const rv_config *config, rv_error *err)
{
    json_t *there = NULL, *here = NULL;
    RV_TRY(rv_json_read(path, &there, err));
    rv_status status = rv_json_parse(config->text, strlen(config->text), "configuration", &here, err);
    rv_text list = {0};
    if (status == RV_OK)
        rv_json_differences(there, here, "", &list);
    if (status == RV_OK && (list.size > 0 || list.failed))
        status = rv_fail(err, RV_E_MISMATCH, "%s: the folder belongs to another configuration: %s", path,
                         list.failed ? "no memory to list the differences" : list.data);
    rv_text_release(&list);
    json_decref(there);
    json_decref(here);
    return status;
}

/* Takes over json, which may be NULL for want of memory; ends the file with a newline. */
static rv_status write_text(const char *path, char *json, rv_error *err)
{
    rv_text text = {0};
    if (json != NULL)
        rv_text_format(&text, "%s\n", json);
    rv_status status = text.data == NULL || text.failed ? rv_fail(err, RV_E_MEMORY, "%s: no memory to write it", path)
                                                        : rv_file_write(path, text.data, text.size, err);
    rv_text_release(&text);
    free(json);
    return status;
}

static rv_status write_config(const rv_folder *folder, const rv_config *config, rv_error *err)
{
    char path[PATH_SIZE];
    path_in(folder, "config.json", path);
    if (rv_file_exists(path))
        return check_config(path, config, err);
    return write_text(path, strdup(config->text), err);
}

rv_status rv_folder_open(rv_folder *folder, const rv_config *config, rv_error *err)
{
    RV_TRY(rv_folder_make(folder->checkpoints, err));
    RV_TRY(take_lock(folder, err));
    remove_temporaries(folder->path);
    remove_temporaries(folder->checkpoints);
    rv_status status = write_config(folder, config, err);
    if (status != RV_OK)
        rv_folder_close(folder);
    return status;
}

void rv_folder_close(rv_folder *folder)
{
    if (folder->lock >= 0)
        close(folder->lock);
    folder->lock = -1;
}

/* ---- meta.json -------------------------------------------------------------------- */

/* "avx2 fma ...", as far as kernels care. */
static json_t *cpu_features(void)
{
    char text[128] = "";
#if defined(__x86_64__)
#define FEATURE(name) strcat(text, __builtin_cpu_supports(name) ? text[0] != '\0' ? " " name : name : "")
    FEATURE("sse4.2");
    FEATURE("avx");
    FEATURE("avx2");
    FEATURE("fma");
    FEATURE("avx512f");
    FEATURE("avx512bw");
    FEATURE("avx512vl");
    FEATURE("avx512bf16");
#undef FEATURE
#endif
    return json_string(text);
}

static json_t *now_text(void)
{
    char text[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_string(text);
}

rv_status rv_folder_write_meta(const rv_folder *folder, const rv_trial_options *options, const char *data, bool over,
                               rv_error *err)
{
    char path[PATH_SIZE];
    path_in(folder, "meta.json", path);
    json_t *before = NULL, *argv = json_array();
    int failed = argv == NULL;
    for (int i = 0; i < options->argc; i++)
        failed |= json_array_append_new(argv, rv_json_from_bytes(options->argv[i]));
    if (!rv_file_exists(path) || rv_json_read(path, &before, NULL) != RV_OK)
        before = NULL; /* for people only: what cannot be read is written anew */
    json_t *start = json_object_get(before, "start");
    json_int_t sessions = json_integer_value(json_object_get(before, "sessions")) + (over ? 0 : 1);
    json_t *meta = json_pack("{s:s, s:s, s:o, s:i, s:o, s:I, s:o, s:o}", "version", rv_version(), "compiler",
                             __VERSION__, "cpu", cpu_features(), "threads", options->threads, "argv", argv,
                             "sessions", sessions, "start", start != NULL ? json_incref(start) : now_text(), "end",
                             over ? now_text() : json_null());
    failed |= data != NULL && json_object_set_new(meta, "data", json_string(data)) != 0;
    rv_status status = write_text(path, meta == NULL || failed ? NULL : rv_json_text(meta, 2), err);
    json_decref(before);
    json_decref(meta);
    return status;
}

/* ---- log.jsonl --------------------------------------------------------------------- */

/* Whether a line was written at or before step; test metrics are measured anew at the end. */
static bool keeps(const char *line, size_t n, int64_t step)
{
    json_t *object = json_loadb(line, n, 0, NULL);
    const char *split = json_string_value(json_object_get(object, "split"));
    const json_t *at = json_object_get(object, "step");
    bool keep = json_is_integer(at) && json_integer_value(at) <= step;
    keep = keep && (split == NULL || strcmp(split, rv_split_name(RV_SPLIT_TEST)) != 0);
    json_decref(object);
    return keep;
}

rv_status rv_folder_trim_log(const rv_folder *folder, int64_t step, rv_error *err)
{
    char path[PATH_SIZE];
    path_in(folder, "log.jsonl", path);
    if (!rv_file_exists(path))
        return RV_OK;
    rv_reader reader;
    RV_TRY(rv_reader_open_plain(&reader, path, SIZE_MAX / 2, err));
    rv_text kept = {0};
    for (const char *at = (const char *)reader.data, *end = at + reader.size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL)
            break;
        if (keeps(at, (size_t)(newline - at), step))
            rv_text_put(&kept, at, (size_t)(newline + 1 - at));
        at = newline + 1;
    }
    rv_status status = RV_OK;
    if (kept.failed)
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory to cut it back to step %lld", path, (long long)step);
    else if (kept.size != reader.size)
        status = rv_file_write(path, kept.data == NULL ? "" : kept.data, kept.size, err);
    rv_text_release(&kept);
    rv_reader_close(&reader);
    return status;
}

rv_status rv_folder_write_result(const rv_folder *folder, const rv_trial_result *result, rv_error *err)
{
    char path[PATH_SIZE];
    path_in(folder, "result.json", path);
    return write_text(path, rv_trial_result_json(result), err);
}
