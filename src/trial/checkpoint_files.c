/* Names of checkpoints.  Invariant: only a name that this program writes is read or removed, whatever else
 * lies in the folder. */
#include "trial/checkpoint_files.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_NAME "step-%012" PRId64 ".safetensors"

rv_status rv_checkpoint_path(const char *folder, int64_t step, char path[RV_PATH_SIZE], rv_error *err)
{
    char name[64];
    snprintf(name, sizeof name, FILE_NAME, step);
    return rv_path_join(path, folder, name, err);
}

int64_t rv_checkpoint_step(const char *name)
{
    int64_t step = 0;
    char again[64];
    if (sscanf(name, "step-%" SCNd64 ".safetensors", &step) != 1 || step < 0)
        return -1;
    snprintf(again, sizeof again, FILE_NAME, step);
    return strcmp(name, again) == 0 ? step : -1;
}

void rv_checkpoint_prune(const char *folder, int64_t newest, int64_t previous)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int64_t step = rv_checkpoint_step(entry->d_name);
        if (step >= 0 && step != newest && step != previous)
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    if (dir != NULL)
        closedir(dir);
}

int64_t rv_checkpoint_below(const char *folder, int64_t below)
{
    int64_t newest = -1;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        int64_t step = rv_checkpoint_step(entry->d_name);
        if (step > newest && step < below)
            newest = step;
    }
    if (dir != NULL)
        closedir(dir);
    return newest;
}

bool rv_checkpoint_newest(const char *folder, char *path, size_t size)
{
    char file[RV_PATH_SIZE];
    int64_t step = rv_checkpoint_below(folder, INT64_MAX);
    return step >= 0 && rv_checkpoint_path(folder, step, file, NULL) == RV_OK && snprintf(path, size, "%s", file) < (int)size;
}
