/* The entries of a folder, in an order that does not depend on the file system. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

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
        return rv_fail(err, RV_E_IO, "%s: not a folder that can be read", path);
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
