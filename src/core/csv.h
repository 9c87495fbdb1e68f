/* Tables as RFC 4180 has them: a line of heads, then rows of as many fields; quotes, doubled
 * quotes, CRLF and a byte order mark are understood.  Errors name file and line. */
#ifndef RV_CORE_CSV_H
#define RV_CORE_CSV_H

#include "core/file.h"
#include "core/text.h"

typedef struct rv_csv {
    char path[512];
    char *text;         /* owned; fields are terminated in place */
    size_t size, at;
    size_t line;        /* of the row in hand, from 1 */
    size_t next_line;
    int columns;
    const char **head;  /* [columns] */
    const char **field; /* [columns] of the row in hand */
    bool torn;          /* the last line is short and has no line end: it was left out */
} rv_csv;

/* Reads the file (plain or gzip, at most limit bytes) and its heads. */
rv_status rv_csv_open(rv_csv *csv, const char *path, size_t limit, rv_error *err);
/* The same from memory; bytes are copied, name stands for the path. */
rv_status rv_csv_open_bytes(rv_csv *csv, const char *name, const void *bytes, size_t size, rv_error *err);
void rv_csv_close(rv_csv *csv); /* also after a failed open */
/* The next row; *more is false behind the last.  Empty lines are skipped. */
rv_status rv_csv_next(rv_csv *csv, bool *more, rv_error *err);
int rv_csv_column(const rv_csv *csv, const char *head); /* -1: none of this name */
/* A field of the row in hand as a number; NaN when it is empty. */
rv_status rv_csv_real(const rv_csv *csv, int column, double *value, rv_error *err);
/* An error about the row in hand: "path:line: ...". */
rv_status rv_csv_fail(const rv_csv *csv, rv_error *err, const char *format, ...) RV_PRINTF(3, 4);

/* A field as it is written: quoted where it must be; text that a spreadsheet would run as a
 * formula gets an apostrophe. */
void rv_csv_put(rv_text *row, const char *text);

#endif
