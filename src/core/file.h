/* Files: checked reading, gzip, atomic writing.  Every error names path and offset. */
#ifndef RV_CORE_FILE_H
#define RV_CORE_FILE_H

#include <signal.h>

#include "ravine/core.h"

/* A whole file in memory, with a cursor that never passes the end. */
typedef struct rv_reader {
    char path[512];
    unsigned char *data; /* owned */
    size_t size, at;
} rv_reader;

/* Reads a regular file (not a folder, FIFO or device) of at most limit bytes; a gzip
 * file (by its magic) is inflated, never beyond limit.  RV_E_IO, RV_E_FORMAT (bad gzip,
 * trailing junk, CRC), RV_E_RANGE (too large). */
rv_status rv_reader_open(rv_reader *reader, const char *path, size_t limit, rv_error *err);
/* The same without looking for gzip, for formats whose first bytes may be anything. */
rv_status rv_reader_open_plain(rv_reader *reader, const char *path, size_t limit, rv_error *err);
void rv_reader_close(rv_reader *reader);
/* n bytes at the cursor, which moves on; RV_E_FORMAT at the end. */
rv_status rv_reader_take(rv_reader *reader, size_t n, const unsigned char **bytes, rv_error *err);
rv_status rv_reader_be32(rv_reader *reader, uint32_t *value, rv_error *err);
rv_status rv_reader_le64(rv_reader *reader, uint64_t *value, rv_error *err);
/* a * b without wrap: false when it does not fit. */
bool rv_size_mul(size_t a, size_t b, size_t *product);
bool rv_size_add(size_t a, size_t b, size_t *sum);

/* Beyond RLIMIT_FSIZE the system kills a writer by SIGXFSZ.  Between these two calls, in
 * this thread and in those it starts, the limit is an error (EFBIG) instead; they nest. */
void rv_size_limit_hold(sigset_t *before);
void rv_size_limit_release(const sigset_t *before);

/* Writes path through a temporary file in its folder, fsync, rename and fsync of the
 * folder; on any failure the temporary is removed and path is as before. */
typedef struct rv_writer rv_writer;
rv_status rv_writer_open(rv_writer **out, const char *path, rv_error *err);
rv_status rv_writer_put(rv_writer *writer, const void *bytes, size_t n, rv_error *err);
rv_status rv_writer_commit(rv_writer *writer, rv_error *err); /* frees, whatever it returns */
void rv_writer_abandon(rv_writer *writer);                    /* frees and removes; NULL is fine */
rv_status rv_file_write(const char *path, const void *bytes, size_t n, rv_error *err);

/* Appends whole lines, each flushed to the system before it returns. */
typedef struct rv_log rv_log;
rv_status rv_log_open(rv_log **out, const char *path, rv_error *err); /* cuts a torn last line off */
rv_status rv_log_line(rv_log *log, const char *line, rv_error *err);  /* adds the newline */
rv_status rv_log_sync(rv_log *log, rv_error *err);                    /* to the disk */
rv_status rv_log_close(rv_log *log, rv_error *err);                   /* NULL is fine */

/* Longest path, as the system has it. */
enum { RV_PATH_SIZE = 4096 };
/* "dir/name", never cut short: RV_E_RANGE when it does not fit, RV_E_ARGUMENT for an empty dir, which
 * would be the root of the file system. */
rv_status rv_path_join(char path[RV_PATH_SIZE], const char *dir, const char *name, rv_error *err);
/* With its parents; RV_E_IO also where it is there and nothing can be written in it. */
rv_status rv_folder_make(const char *path, rv_error *err);
bool rv_file_exists(const char *path);
bool rv_is_folder(const char *path);
/* Names of the entries of a folder, sorted, without those that start with a dot.  The caller frees
 * with rv_folder_names_free, also after a failure. */
rv_status rv_folder_names(const char *path, char ***names, int *count, rv_error *err);
void rv_folder_names_free(char **names, int count);
rv_status rv_folder_sync(const char *path, rv_error *err);

#endif
