/* What the fuzz targets share: an input as a file of the wished name. */
#ifndef RV_TESTS_FUZZ_H
#define RV_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ravine/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes bytes to name (which may have folders) in a folder of this process and returns its path,
 * valid until the next call for the same buffer. */
static inline const char *fuzz_file(char path[128], const char *name, const uint8_t *data, size_t size)
{
    snprintf(path, 128, "%s/ravine-fuzz-%ld", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (long)getpid());
    mkdir(path, 0700);
    const size_t root = strlen(path);
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(path + root, 128 - root, "/%.*s", (int)(slash - name), name);
        mkdir(path, 0700);
    }
    snprintf(path + root, 128 - root, "/%s", name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        abort();
    return path;
}

/* A refusal says what was wrong. */
static inline void fuzz_refused(const rv_error *err)
{
    if (strlen(err->message) < 5)
        abort();
}

#endif
