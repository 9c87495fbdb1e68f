/* A temporary data folder for tests, and gzip to put into it. */
#ifndef RV_TEST_DATA_FOLDER_H
#define RV_TEST_DATA_FOLDER_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

enum { FOLDER_SIZE = 64, FILE_SIZE = 192 };

static inline void folder_make(char folder[FOLDER_SIZE])
{
    strcpy(folder, "/tmp/ravine-data-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static inline int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static inline void folder_remove(const char *folder)
{
    assert_int_equal(nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes folder/name; path, where given, receives the whole name. */
static inline void folder_put(const char *folder, const char *name, const void *bytes, size_t size,
                              char path[FILE_SIZE])
{
    char full[FILE_SIZE];
    snprintf(full, sizeof full, "%s/%s", folder, name);
    for (char *slash = full + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    if (path)
        strcpy(path, full);
}

/* Compresses into out, which holds at least size + 64 bytes; returns the length. */
static inline size_t gzip(const void *bytes, size_t size, unsigned char *out)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)bytes;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)size + 64;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

#endif
