/* Paths to saved weights.  Invariant: nothing is opened but folders, and nothing written. */
#include "trial/find.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "trial/checkpoint_files.h"
#include "trial/runs.h"

static const char expected[] = "expected a run folder, its checkpoint folder, a checkpoint or a file of weights";

static bool is_run(const char *path)
{
    char name[RV_PATH_SIZE];
    return rv_path_join(name, path, "config.json", NULL) == RV_OK && rv_file_exists(name);
}

/* ---- one ------------------------------------------------------------------------------- */

static rv_status no_run(const char *dir, rv_error *err)
{
    rv_runs runs;
    RV_TRY(rv_runs_list(&runs, dir, err));
    rv_status status = runs.count == 0
        ? rv_fail(err, RV_E_IO, "%s: %s, found a folder with neither", dir, expected)
        : rv_fail(err, RV_E_IO, "%s: %s, found %d runs below; one of them: %s/%s", dir, expected, runs.count, dir, runs.name[0]);
    rv_runs_release(&runs);
    return status;
}

/* A finished run has weights to evaluate; the weights that were stepped are in checkpoints only. */
static rv_status locate(const char *path, bool raw, char file[RV_PATH_SIZE], rv_error *err)
{
    char folder[RV_PATH_SIZE];
    struct stat info;
    if (stat(path, &info) != 0)
        return rv_fail(err, RV_E_IO, "%s: %s, found nothing", path, expected);
    if (!S_ISDIR(info.st_mode)) {
        snprintf(file, RV_PATH_SIZE, "%s", path); /* it fits: the system has just read it */
        return RV_OK;
    }
    if (!is_run(path))
        return rv_checkpoint_newest(path, file, RV_PATH_SIZE) ? RV_OK : no_run(path, err);
    RV_TRY(rv_path_join(file, path, "weights.safetensors", err));
    RV_TRY(rv_path_join(folder, path, "checkpoint", err));
    if ((raw || !rv_file_exists(file)) && !rv_checkpoint_newest(folder, file, RV_PATH_SIZE))
        return rv_fail(err, RV_E_IO, "%s: the run has no checkpoint yet", path);
    return RV_OK;
}

rv_status rv_find_saved(const char *path, bool raw, char file[RV_PATH_SIZE], bool *start, rv_error *err)
{
    static const char mark[] = "@start";
    char name[RV_PATH_SIZE];
    size_t n = strlen(path), m = sizeof mark - 1;
    struct stat info;
    *start = n > m && n < sizeof name && strcmp(path + n - m, mark) == 0 && stat(path, &info) != 0;
    if (!*start)
        return locate(path, raw, file, err);
    snprintf(name, sizeof name, "%.*s", (int)(n - m), path);
    return locate(name, false, file, err);
}

/* ---- several ---------------------------------------------------------------------------- */

/* A list of count paths of at most size bytes each, in one allocation. */
static char **list_new(size_t count, size_t size)
{
    char **list = calloc(count, sizeof *list + size);
    for (size_t i = 0; list != NULL && i < count; i++)
        list[i] = (char *)(list + count) + i * size;
    return list;
}

rv_status rv_point_list(const char *path, char ***files, int *count, rv_error *err)
{
    char **names = NULL;
    int found = 0;
    *files = NULL;
    *count = 0;
    if (rv_is_folder(path) && !is_run(path))
        RV_TRY(rv_folder_names(path, &names, &found, err));
    size_t size = strlen(path) + RV_PATH_SIZE;
    char **list = list_new((size_t)found + 1, size);
    for (int i = 0; list != NULL && i < found; i++) /* names are sorted, and steps have as many digits */
        if (rv_checkpoint_step(names[i]) >= 0)
            snprintf(list[(*count)++], size, "%s/%s", path, names[i]);
    rv_folder_names_free(names, found);
    if (list == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its checkpoints", path);
    if (*count == 0)
        snprintf(list[(*count)++], size, "%s", path);
    *files = list;
    return RV_OK;
}
