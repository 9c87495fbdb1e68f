/* The texts of a page.  Its data stay English; beside them stands one table that maps every text of the
 * page to Russian, so that figures are written once and read in two languages. */
#include "report/texts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "report/russian.h"

rv_status rv_texts_open(rv_texts *t, const char *name, rv_error *err)
{
    *t = (rv_texts){.table = rv_russian_open(name, err)};
    if (!t->table)
        return RV_E_MEMORY;
    t->russian = json_object();
    t->untranslated = json_object();
    return RV_OK;
}

void rv_texts_close(rv_texts *t, json_t *body)
{
    const char *text;
    json_t *list = json_array(), *unused;
    json_object_foreach(t->untranslated, text, unused)
    {
        json_array_append_new(list, json_string(text));
    }
    json_decref(t->untranslated);
    json_decref(t->table);
    json_object_set_new(body, "ru", t->russian);
    json_object_set_new(body, "untranslated", list);
}

/* Two letters in a row: symbols and numbers are the same in both languages. */
static bool has_word(const char *text)
{
    for (; *text; text++)
        if (isalpha((unsigned char)text[0]) && isalpha((unsigned char)text[1]))
            return true;
    return false;
}

static bool translate(rv_texts *t, const char *text)
{
    rv_text russian = {0};
    bool found = rv_russian_find(t->table, text, &russian);
    if (found && !russian.failed)
        json_object_set_new(t->russian, text, json_stringn(russian.data ? russian.data : "", russian.size));
    rv_text_release(&russian);
    return found;
}

void rv_texts_add(rv_texts *t, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text && *text && has_word(text) && !json_object_get(t->russian, text) && !translate(t, text))
        json_object_set_new(t->untranslated, text, json_null());
}

void rv_texts_field(rv_texts *t, const json_t *object, const char *key)
{
    rv_texts_add(t, json_object_get(object, key));
}

/* A year or the name of a file: a reference, which is the same in both languages. */
static bool is_citation(const char *text)
{
    static const char *const endings[] = {".ipynb", ".py", ".md"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
        if (strstr(text, endings[i]))
            return true;
    for (; (text = strpbrk(text, "12")); text++)
        if ((strncmp(text, "19", 2) == 0 || strncmp(text, "20", 2) == 0) && isdigit((unsigned char)text[2]) && isdigit((unsigned char)text[3]))
            return true;
    return false;
}

/* A source is translated as a whole, or else reference by reference: "slide; Gupta et al. 2018". */
void rv_texts_source(rv_texts *t, const json_t *value)
{
    const char *source = json_string_value(value);
    rv_text russian = {0};
    if (!source || translate(t, source))
        return;
    for (const char *at = source; *at;) {
        char piece[512];
        const char *end = strstr(at, "; ");
        size_t n = end ? (size_t)(end - at) : strlen(at);
        snprintf(piece, sizeof piece, "%.*s", (int)n, at);
        if (!rv_russian_find(t->table, piece, &russian)) {
            rv_text_put(&russian, piece, strlen(piece));
            if (has_word(piece) && !is_citation(piece))
                json_object_set_new(t->untranslated, piece, json_null());
        }
        rv_text_put(&russian, "; ", end ? 2 : 0);
        at += n + (end ? 2 : 0);
    }
    if (!russian.failed && russian.data)
        json_object_set_new(t->russian, source, json_string(russian.data));
    rv_text_release(&russian);
}

void rv_texts_list(rv_texts *t, const json_t *list, const char *const *keys)
{
    json_t *entry;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, entry)
    {
        for (const char *const *key = keys; *key; key++)
            rv_texts_field(t, entry, *key);
    }
}

void rv_texts_figure(rv_texts *t, const json_t *figure)
{
    static const char *const name[] = {"name", NULL}, *const label[] = {"label", NULL};
    json_t *frame;
    size_t i;
    rv_texts_field(t, figure, "title");
    rv_texts_field(t, figure, "caption");
    rv_texts_field(t, json_object_get(figure, "x"), "label");
    rv_texts_field(t, json_object_get(figure, "y"), "label");
    rv_texts_field(t, json_object_get(figure, "field"), "label");
    rv_texts_field(t, json_object_get(figure, "trail"), "unit");
    rv_texts_list(t, json_object_get(figure, "series"), name);
    rv_texts_list(t, json_object_get(figure, "marks"), label);
    rv_texts_list(t, json_object_get(figure, "frames"), label);
    json_array_foreach(json_object_get(figure, "frames"), i, frame)
    {
        rv_texts_list(t, json_object_get(frame, "series"), name);
    }
}
