/* Text for people and numbers in text.  Invariant: the process locale changes
 * nothing here, neither what is read nor what is written. */
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

enum { NEAREST_MAX = 64 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Edit distance with transpositions of neighbours (optimal string alignment). */
static int distance(const char *a, int n, const char *b, int m)
{
    int rows[3][NEAREST_MAX + 1];
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

/* Parts of two letters are everywhere. */
static const char *first_with(const char *part, const char *const *candidates, int count)
{
    for (int i = 0; i < count && strlen(part) > 2; i++)
        if (strcasestr(candidates[i], part))
            return candidates[i];
    return NULL;
}

const char *rv_text_nearest(const char *name, const char *const *candidates, int count)
{
    size_t n = strlen(name);
    const char *nearest = NULL;
    int best = NEAREST_MAX;
    for (int i = 0; i < count && n <= NEAREST_MAX; i++) {
        size_t m = strlen(candidates[i]);
        if (m > NEAREST_MAX)
            continue;
        int d = distance(name, (int)n, candidates[i], (int)m);
        if (d < best && (size_t)d * 3 <= (n > m ? n : m)) {
            best = d;
            nearest = candidates[i];
        }
    }
    return nearest ? nearest : first_with(name, candidates, count);
}

bool rv_text_match(const char *glob, const char *name)
{
    const char *star = NULL, *resume = NULL;
    while (*name != '\0') {
        if (*glob == '*') {
            star = glob++;
            resume = name;
        } else if (*glob == '?' || *glob == *name) {
            glob++;
            name++;
        } else if (star != NULL) {
            glob = star + 1;
            name = ++resume;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

const char *rv_text_duration(double seconds, char *text, size_t size)
{
    double s = fabs(seconds);
    const char *sign = seconds < 0 ? "-" : "";
    if (!isfinite(seconds))
        snprintf(text, size, "-");
    else if (s >= 3599.5)
        snprintf(text, size, "%s%.0f h %02.0f min", sign, floor((s + 30) / 3600), floor(fmod(s + 30, 3600) / 60));
    else if (s >= 59.95)
        snprintf(text, size, "%s%.0f min %02.0f s", sign, floor((s + 0.5) / 60), floor(fmod(s + 0.5, 60)));
    else if (s >= 0.9995)
        snprintf(text, size, "%s%.1f s", sign, s);
    else if (s >= 0.9995e-3)
        snprintf(text, size, "%s%.0f ms", sign, s * 1e3);
    else if (s > 0)
        snprintf(text, size, "%s%.0f us", sign, s * 1e6);
    else
        snprintf(text, size, "0 s");
    return text;
}

const char *rv_text_count(double count, char *text, size_t size)
{
    static const char unit[] = " kMGTP";
    int i = 0;
    while (fabs(count) >= 999.95 && i < 5) {
        count /= 1000;
        i++;
    }
    if (isnan(count))
        snprintf(text, size, "-");
    else if (i == 0)
        snprintf(text, size, "%.4g", count);
    else
        snprintf(text, size, "%.1f %c", count, unit[i]);
    return text;
}

static bool decimal(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "+-.0123456789eE")] == '\0';
}

bool rv_text_to_real(const char *text, double *value)
{
    if (strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0) {
        *value = text[0] == '-' ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (strcmp(text, "nan") == 0) {
        *value = (double)NAN;
        return true;
    }
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!decimal(text) || c == (locale_t)0)
        return false;
    char *end = NULL;
    double number = strtod_l(text, &end, c);
    freelocale(c);
    if (*end != '\0' || end == text || isinf(number))
        return false;
    *value = number;
    return true;
}

/* ---- growing strings -------------------------------------------------- */

static bool reserve(rv_text *text, size_t more)
{
    if (text->failed)
        return false;
    size_t need = text->size + more + 1;
    if (need <= text->capacity)
        return true;
    size_t capacity = need > 2 * text->capacity ? need : 2 * text->capacity;
    char *data = realloc(text->data, capacity);
    if (data == NULL) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void rv_text_put(rv_text *text, const char *bytes, size_t n)
{
    if (!reserve(text, n))
        return;
    if (n > 0)
        memcpy(text->data + text->size, bytes, n);
    text->size += n;
    text->data[text->size] = '\0';
}

void rv_text_format(rv_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && reserve(text, (size_t)n)) {
        vsnprintf(text->data + text->size, (size_t)n + 1, format, again);
        text->size += (size_t)n;
    }
    va_end(again);
}

void rv_text_release(rv_text *text)
{
    free(text->data);
    *text = (rv_text){0};
}

/* ---- tables ------------------------------------------------------------ */

struct rv_table {
    int columns, rows;
    bool *right;
    char **cells; /* [rows + 1, columns]; the first row are the heads */
    bool failed;
};

static int display_width(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80; /* UTF-8: count the leading bytes */
    return width;
}

static void add_row(rv_table *table, const char *const *cells, int row)
{
    size_t columns = (size_t)table->columns, first = (size_t)row * columns;
    char **grown = realloc(table->cells, (first + columns) * sizeof *grown);
    if (grown == NULL) {
        table->failed = true;
        return;
    }
    table->cells = grown;
    for (size_t i = 0; i < columns; i++) {
        grown[first + i] = strdup(cells[i]);
        table->failed |= grown[first + i] == NULL;
    }
    table->rows = row;
}

rv_table *rv_table_new(int columns, const char *const *heads, const bool *right)
{
    rv_table *table = calloc(1, sizeof *table);
    bool *aligned = calloc((size_t)columns, sizeof *aligned);
    if (table == NULL || aligned == NULL) {
        free(table);
        free(aligned);
        return NULL;
    }
    memcpy(aligned, right, (size_t)columns * sizeof *aligned);
    *table = (rv_table){.columns = columns, .rows = -1, .right = aligned};
    add_row(table, heads, 0);
    if (table->failed) {
        rv_table_free(table);
        return NULL;
    }
    return table;
}

void rv_table_row(rv_table *table, const char *const *cells)
{
    if (table != NULL && !table->failed)
        add_row(table, cells, table->rows + 1);
}

static void print_row(const rv_table *table, rv_text *out, int row, const int *width)
{
    for (int i = 0; i < table->columns; i++) {
        const char *cell = table->cells[row * table->columns + i];
        int pad = width[i] - display_width(cell);
        bool last = i == table->columns - 1;
        if (table->right[i])
            rv_text_format(out, "%*s%s", pad, "", cell);
        else
            rv_text_format(out, "%s%*s", cell, last ? 0 : pad, "");
        if (!last)
            rv_text_put(out, "  ", 2);
    }
}

void rv_table_print(const rv_table *table, rv_text *out, bool colour)
{
    int *width = table == NULL || table->failed ? NULL : calloc((size_t)table->columns, sizeof *width);
    if (width == NULL) {
        out->failed = true;
        return;
    }
    for (int i = 0; i < (table->rows + 1) * table->columns; i++) {
        int w = display_width(table->cells[i]), column = i % table->columns;
        width[column] = w > width[column] ? w : width[column];
    }
    for (int row = 0; row <= table->rows; row++) {
        bool bold = colour && row == 0;
        rv_text_format(out, "%s", bold ? "\033[1m" : "");
        print_row(table, out, row, width);
        rv_text_format(out, "%s\n", bold ? "\033[0m" : "");
    }
    free(width);
}

void rv_table_free(rv_table *table)
{
    if (table == NULL)
        return;
    for (int i = 0; table->cells != NULL && i < (table->rows + 1) * table->columns; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table->right);
    free(table);
}
