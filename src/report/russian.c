/* Finds the translation of a printed text by matching it against the formats of the table.
 * Invariant: what a conversion printed is carried over unchanged, so that both languages
 * show the same numbers. */
#include "report/russian.h"

#include <string.h>

#include "core/embed.h"
#include "core/json.h"
#include "study_texts.h"

RV_INCBIN(rv_study_texts, STUDY_TEXTS);

enum { MOST_HOLES = 24 };

/* ---- conversions ------------------------------------------------------------------ */

/* Length of the conversion that text begins with, its letter in *kind; 0: it begins with none.  A space is
 * no flag here: "50 % of them" is plain text. */
static size_t conversion(const char *text, char *kind)
{
    if (text[0] != '%' || text[1] == '%' || text[1] == '\0')
        return 0;
    size_t n = 1 + strspn(text + 1, "-+#0123456789.*hlLzjt");
    *kind = text[n];
    return text[n] && strchr("diuxXgGfFeEsc", text[n]) ? n + 1 : 0;
}

/* Length of the number that text begins with (with printf's padding before it), or 0. */
static size_t number_length(const char *text, bool real)
{
    size_t n = strspn(text, " ");
    n += text[n] == '-' || text[n] == '+';
    if (strncmp(text + n, "nan", 3) == 0 || strncmp(text + n, "inf", 3) == 0)
        return real ? n + 3 : 0;
    size_t digits = strspn(text + n, "0123456789");
    if (digits == 0)
        return 0;
    n += digits;
    size_t decimals = real && text[n] == '.' ? strspn(text + n + 1, "0123456789") : 0;
    n += decimals ? 1 + decimals : 0; /* a full stop may follow the number */
    if (real && (text[n] == 'e' || text[n] == 'E')) {
        size_t sign = n + 1 + (text[n + 1] == '-' || text[n + 1] == '+'), power = strspn(text + sign, "0123456789");
        n = power ? sign + power : n;
    }
    return n;
}

/* ---- matching ---------------------------------------------------------------------- */

typedef struct hole {
    const char *text;
    size_t size;
    char kind;
} hole;

/* Whether format could have printed text; fills the holes from index n on. */
static bool match(const char *format, const char *text, hole *holes, int n)
{
    char kind;
    size_t length = conversion(format, &kind);
    if (length == 0) {
        if (*format == '\0')
            return *text == '\0';
        format += format[0] == '%' && format[1] == '%';
        return *format == *text && match(format + 1, text + 1, holes, n);
    }
    if (n == MOST_HOLES)
        return false;
    if (kind != 's' && kind != 'c') {
        size_t size = number_length(text, strchr("gGfFeE", kind) != NULL);
        holes[n] = (hole){text, size, kind};
        return size > 0 && match(format + length, text + size, holes, n + 1);
    }
    size_t most = kind == 'c' ? 1 : strlen(text);
    for (size_t size = kind == 'c'; size <= most; size++) {
        holes[n] = (hole){text, size, kind};
        if (match(format + length, text + size, holes, n + 1))
            return true;
    }
    return false;
}

/* Characters of a format outside its conversions. */
static size_t literals(const char *format)
{
    char kind;
    size_t count = 0;
    while (*format) {
        size_t n = conversion(format, &kind);
        count += n == 0;
        format += n ? n : 1;
    }
    return count;
}

static void put_hole(const json_t *table, const hole *h, rv_text *out)
{
    char word[256];
    if (h->kind == 's' && h->size > 0 && h->size < sizeof word) {
        memcpy(word, h->text, h->size);
        word[h->size] = '\0';
        if (rv_russian_find(table, word, out))
            return;
    }
    rv_text_put(out, h->text, h->size);
}

static void print(const json_t *table, const char *format, const hole *holes, rv_text *out)
{
    char kind;
    for (int n = 0; *format;) {
        size_t length = conversion(format, &kind);
        if (length > 0) {
            put_hole(table, &holes[n++], out);
            format += length;
        } else {
            format += format[0] == '%' && format[1] == '%';
            rv_text_put(out, format++, 1);
        }
    }
}

bool rv_russian_find(const json_t *table, const char *text, rv_text *out)
{
    const char *key, *best = NULL;
    json_t *value, *exact = json_object_get(table, text);
    hole holes[MOST_HOLES];
    if (exact) {
        rv_text_put(out, json_string_value(exact), json_string_length(exact));
        return true;
    }
    json_object_foreach((json_t *)(uintptr_t)table, key, value)
    {
        /* a format of a bare %s would match everything */
        if (strchr(key, '%') && literals(key) > 0 && match(key, text, holes, 0) && (!best || literals(key) > literals(best)))
            best = key;
    }
    if (!best)
        return false;
    match(best, text, holes, 0);
    print(table, json_string_value(json_object_get(table, best)), holes, out);
    return true;
}

/* ---- the tables --------------------------------------------------------------------- */

json_t *rv_russian_open(const char *study, rv_error *err)
{
    json_t *all = NULL, *table = NULL;
    if (rv_json_parse((const char *)rv_study_texts, (size_t)(rv_study_texts_end - rv_study_texts), "texts of the studies", &all, err) != RV_OK)
        return NULL;
    const json_t *own = json_object_get(all, study);
    table = json_copy(json_object_get(all, "common"));
    if (own && table && json_object_update(table, (json_t *)(uintptr_t)own) != 0) {
        json_decref(table);
        table = NULL;
    }
    json_decref(all);
    if (!table)
        rv_fail(err, RV_E_MEMORY, "study %s: no memory for its texts", study);
    return table;
}

static bool same_conversions(const char *a, const char *b)
{
    char kind;
    for (;;) {
        size_t m = 0, n = 0;
        while (*a && (m = conversion(a, &kind)) == 0)
            a += 1 + (a[0] == '%' && a[1] == '%');
        while (*b && (n = conversion(b, &kind)) == 0)
            b += 1 + (b[0] == '%' && b[1] == '%');
        if (m != n || memcmp(a, b, n) != 0)
            return false;
        if (n == 0)
            return true;
        a += n;
        b += n;
    }
}

rv_status rv_russian_check(const json_t *table, rv_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)table, key, value)
    {
        if (!json_is_string(value) || json_string_length(value) == 0)
            return rv_fail(err, RV_E_FORMAT, "'%s' has no Russian text", key);
        if (!same_conversions(key, json_string_value(value)))
            return rv_fail(err, RV_E_FORMAT, "'%s' and '%s' differ in their conversions", key, json_string_value(value));
    }
    return RV_OK;
}
