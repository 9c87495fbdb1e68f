/* Tables.  Invariant: a field lies within text and ends with a zero that stands where its
 * separator or closing quote stood, so no row costs an allocation. */
#include "core/csv.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 4096 };

rv_status rv_csv_fail(const rv_csv *csv, rv_error *err, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return rv_fail(err, RV_E_FORMAT, "%s:%zu: %s", csv->path, csv->line, message);
}

/* Moves a quoted field's content to the front, over its quotes.  at stands behind the opening
 * quote; returns the place behind the closing one, or NULL when there is none. */
static char *unquote(rv_csv *csv, char *at, char **field)
{
    char *end = csv->text + csv->size, *to = at;
    *field = at;
    for (; at < end; at++) {
        if (*at == '"' && at + 1 < end && at[1] == '"')
            at++;
        else if (*at == '"')
            break;
        csv->next_line += *at == '\n';
        *to++ = *at;
    }
    if (at == end)
        return NULL;
    *to = '\0';
    return at + 1;
}

/* One field from *at on; moves *at behind its separator.  *last: it ended the row. */
static rv_status take_field(rv_csv *csv, char **at, char **field, bool *last, rv_error *err)
{
    char *end = csv->text + csv->size, *stop;
    bool quoted = *at < end && **at == '"';
    if (quoted) {
        stop = unquote(csv, *at + 1, field);
        if (!stop)
            return rv_csv_fail(csv, err, "a quote is not closed");
    } else {
        *field = *at;
        for (stop = *at; stop < end && *stop != ',' && *stop != '\n' && *stop != '\r'; stop++)
            if (*stop == '"')
                return rv_csv_fail(csv, err, "a quote inside a field that is not quoted");
    }
    char *cut = stop;
    if (stop < end && *stop == '\r')
        stop++;
    if (stop < end && stop != cut && *stop != '\n')
        return rv_csv_fail(csv, err, "a carriage return inside a line");
    if (stop < end && *stop != ',' && *stop != '\n')
        return rv_csv_fail(csv, err, "text behind a closing quote");
    *last = stop >= end || *stop == '\n';
    csv->next_line += stop < end && *stop == '\n';
    *cut = '\0';
    *at = stop < end ? stop + 1 : end;
    return RV_OK;
}

static bool skip_empty_lines(rv_csv *csv)
{
    while (csv->at < csv->size && (csv->text[csv->at] == '\n' || csv->text[csv->at] == '\r'))
        csv->next_line += csv->text[csv->at++] == '\n';
    return csv->at < csv->size;
}

/* Heads: counts them first, since their number is not known. */
static rv_status read_heads(rv_csv *csv, rv_error *err)
{
    if (!skip_empty_lines(csv))
        return rv_fail(err, RV_E_FORMAT, "%s: an empty table", csv->path);
    csv->line = csv->next_line;
    csv->head = calloc(MAX_COLUMNS, sizeof *csv->head);
    if (!csv->head)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its heads", csv->path);
    char *at = csv->text + csv->at, *field;
    for (bool last = false; !last;) {
        if (csv->columns == MAX_COLUMNS)
            return rv_csv_fail(csv, err, "more than %d columns", MAX_COLUMNS);
        RV_TRY(take_field(csv, &at, &field, &last, err));
        for (int i = 0; i < csv->columns; i++)
            if (*field && strcmp(csv->head[i], field) == 0)
                return rv_csv_fail(csv, err, "two columns are called '%.80s'", field);
        csv->head[csv->columns++] = field;
    }
    csv->at = (size_t)(at - csv->text);
    csv->field = calloc((size_t)csv->columns, sizeof *csv->field);
    return csv->field ? RV_OK : rv_fail(err, RV_E_MEMORY, "%s: no memory for a row", csv->path);
}

static rv_status start(rv_csv *csv, const void *bytes, size_t size, rv_error *err)
{
    csv->next_line = 1;
    csv->text = malloc(size + 1);
    if (!csv->text)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu bytes", csv->path, size);
    csv->size = size;
    memcpy(csv->text, bytes, size);
    csv->text[size] = '\0';
    if (memchr(csv->text, '\0', size))
        return rv_fail(err, RV_E_FORMAT, "%s: a zero byte at offset %zu: not a table", csv->path,
                       (size_t)((char *)memchr(csv->text, '\0', size) - csv->text));
    if (size >= 3 && memcmp(csv->text, "\xEF\xBB\xBF", 3) == 0)
        csv->at = 3;
    return read_heads(csv, err);
}

rv_status rv_csv_open_bytes(rv_csv *csv, const char *name, const void *bytes, size_t size, rv_error *err)
{
    *csv = (rv_csv){0};
    snprintf(csv->path, sizeof csv->path, "%s", name);
    return start(csv, bytes, size, err);
}

rv_status rv_csv_open(rv_csv *csv, const char *path, size_t limit, rv_error *err)
{
    rv_reader reader;
    *csv = (rv_csv){0};
    RV_TRY(rv_reader_open(&reader, path, limit, err));
    rv_status status = rv_csv_open_bytes(csv, path, reader.data, reader.size, err);
    rv_reader_close(&reader);
    return status;
}

void rv_csv_close(rv_csv *csv)
{
    free(csv->text);
    free(csv->head);
    free(csv->field);
    *csv = (rv_csv){0};
}

rv_status rv_csv_next(rv_csv *csv, bool *more, rv_error *err)
{
    *more = skip_empty_lines(csv);
    if (!*more)
        return RV_OK;
    csv->line = csv->next_line;
    bool whole = csv->text[csv->size - 1] == '\n', last = false;
    char *at = csv->text + csv->at, *field;
    int count = 0;
    for (; !last; count++) {
        RV_TRY(take_field(csv, &at, &field, &last, err));
        if (count < csv->columns)
            csv->field[count] = field;
    }
    csv->at = (size_t)(at - csv->text);
    if (count < csv->columns && csv->at == csv->size && !whole) { /* its writer was killed */
        csv->torn = true;
        *more = false;
        return RV_OK;
    }
    if (count != csv->columns)
        return rv_csv_fail(csv, err, "%d fields, expected %d", count, csv->columns);
    return RV_OK;
}

int rv_csv_column(const rv_csv *csv, const char *head)
{
    for (int i = 0; i < csv->columns; i++)
        if (strcmp(csv->head[i], head) == 0)
            return i;
    return -1;
}

rv_status rv_csv_real(const rv_csv *csv, int column, double *value, rv_error *err)
{
    const char *text = csv->field[column];
    *value = NAN;
    if (*text == '\0' || rv_text_to_real(text, value))
        return RV_OK;
    return rv_csv_fail(csv, err, "'%.80s' is no number (column %s)", text, csv->head[column]);
}

void rv_csv_put(rv_text *row, const char *text)
{
    bool formula = *text != '\0' && strchr("=+-@\t\r", *text) != NULL;
    if (!formula && !strpbrk(text, ",\"\r\n")) {
        rv_text_format(row, "%s", text);
        return;
    }
    rv_text_format(row, "\"%s", formula ? "'" : "");
    for (const char *c = text; *c; c++)
        rv_text_format(row, *c == '"' ? "\"\"" : "%c", *c);
    rv_text_format(row, "\"");
}
