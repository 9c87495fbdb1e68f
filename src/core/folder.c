/* Folders and the paths in them.  Invariants: a path is whole or refused, and entries come in an
 * order that does not depend on the file system. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"

rv_status rv_path_join(char path[RV_PATH_SIZE], const char *dir, const char *name, rv_error *err)
{
    if (dir[0] == '\0')
        return rv_fail(err, RV_E_ARGUMENT, "expected a folder for %s, found an empty name", name);
    const char *slash = dir[strlen(dir) - 1] == '/' ? "" : "/";
    if (snprintf(path, RV_PATH_SIZE, "%s%s%s", dir, slash, name) >= RV_PATH_SIZE)
        return rv_fail(err, RV_E_RANGE, "%.200s...: a path of more than %d bytes", dir, RV_PATH_SIZE - 1);
    return RV_OK;
}

bool rv_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool rv_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool add_name(char ***names, int *count, int *capacity, const char *name)
{
    if (*count == *capacity) {
        int wanted = *capacity ? 2 * *capacity : 32;
        char **grown = realloc(*names, (size_t)wanted * sizeof *grown);
        if (!grown)
            return false;
        *names = grown;
        *capacity = wanted;
    }
    (*names)[*count] = strdup(name);
    return (*names)[*count] && ++*count;
}

rv_status rv_folder_names(const char *path, char ***names, int *count, rv_error *err)
{
    int capacity = 0;
    bool ready = true;
    *names = NULL;
    *count = 0;
    DIR *folder = opendir(path);
    if (!folder)
        return rv_fail(err, RV_E_IO, "%s: %s", path, strerror(errno));
    for (struct dirent *entry; ready && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            ready = add_name(names, count, &capacity, entry->d_name);
    closedir(folder);
    if (!ready)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for the names in it", path);
    if (*count > 1)
        qsort(*names, (size_t)*count, sizeof **names, compare_names);
    return RV_OK;
}

void rv_folder_names_free(char **names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}
