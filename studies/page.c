/* The page of a study.  Its data stay English; beside them stands one table that maps every
 * text of the page to Russian, so the figures are written once and read in two languages. */
#include "studies/page.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "report/page.h"
#include "studies/russian.h"

/* ---- texts ------------------------------------------------------------------------ */

typedef struct texts {
    const json_t *table;           /* of the study: formats to formats */
    json_t *russian, *untranslated; /* of the page: texts to texts */
} texts;

/* Two letters in a row: symbols and numbers are the same in both languages. */
static bool has_word(const char *text)
{
    for (; *text; text++)
        if (isalpha((unsigned char)text[0]) && isalpha((unsigned char)text[1]))
            return true;
    return false;
}

static bool translate(texts *t, const char *text)
{
    rv_text russian = {0};
    bool found = rv_russian_find(t->table, text, &russian);
    if (found && !russian.failed)
        json_object_set_new(t->russian, text, json_stringn(russian.data ? russian.data : "", russian.size));
    rv_text_release(&russian);
    return found;
}

static void add_text(texts *t, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text && *text && has_word(text) && !json_object_get(t->russian, text) && !translate(t, text))
        json_object_set_new(t->untranslated, text, json_null());
}

static void add_field(texts *t, const json_t *object, const char *key)
{
    add_text(t, json_object_get(object, key));
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
static void add_source(texts *t, const json_t *value)
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

static void add_list(texts *t, const json_t *list, const char *const *keys)
{
    json_t *entry;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, entry)
    {
        for (const char *const *key = keys; *key; key++)
            add_field(t, entry, *key);
    }
}

static void add_figure(texts *t, const json_t *figure)
{
    static const char *const name[] = {"name", NULL}, *const label[] = {"label", NULL};
    json_t *frame;
    size_t i;
    add_field(t, figure, "title");
    add_field(t, figure, "caption");
    add_field(t, json_object_get(figure, "x"), "label");
    add_field(t, json_object_get(figure, "y"), "label");
    add_field(t, json_object_get(figure, "field"), "label");
    add_field(t, json_object_get(figure, "trail"), "unit");
    add_list(t, json_object_get(figure, "series"), name);
    add_list(t, json_object_get(figure, "marks"), label);
    add_list(t, json_object_get(figure, "frames"), label);
    json_array_foreach(json_object_get(figure, "frames"), i, frame)
    {
        add_list(t, json_object_get(frame, "series"), name);
    }
}

static void add_body(texts *t, const json_t *body)
{
    static const char *const fields[] = {"title", "question", "method", "data"};
    static const char *const claim_texts[] = {"claim", "quantity", "expected", NULL}, *const help[] = {"help", NULL};
    const char *key;
    json_t *entry;
    size_t i;
    for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++)
        add_field(t, body, fields[k]);
    add_source(t, json_object_get(body, "source"));
    add_list(t, json_object_get(body, "claims"), claim_texts);
    json_array_foreach(json_object_get(body, "claims"), i, entry)
    {
        add_source(t, json_object_get(entry, "source"));
    }
    add_list(t, json_object_get(body, "settings"), help);
    json_array_foreach(json_object_get(body, "figures"), i, entry)
    {
        add_figure(t, entry);
    }
    json_array_foreach(json_object_get(body, "notes"), i, entry)
    {
        add_text(t, entry);
    }
    json_object_foreach(json_object_get(body, "reasons"), key, entry)
    {
        add_text(t, entry);
    }
}

rv_status rv_study_card_texts(const rv_study *study, json_t *card, rv_error *err)
{
    json_t *table = rv_russian_open(study->name, err);
    if (!table)
        return RV_E_MEMORY;
    texts t = {table, json_object(), json_object()};
    json_object_set_new(card, "title", json_string(study->title));
    json_object_set_new(card, "question", json_string(study->question));
    add_field(&t, card, "title");
    add_field(&t, card, "question");
    add_field(&t, card, "data");
    json_object_set_new(card, "ru", t.russian);
    json_decref(t.untranslated);
    json_decref(table);
    return RV_OK;
}

rv_status rv_study_page_texts(const rv_study *study, json_t *body, rv_error *err)
{
    const char *text;
    json_t *table = rv_russian_open(study->name, err), *list = json_array(), *unused;
    if (!table)
        return RV_E_MEMORY;
    texts t = {table, json_object(), json_object()};
    add_body(&t, body);
    json_object_foreach(t.untranslated, text, unused)
    {
        json_array_append_new(list, json_string(text));
    }
    json_decref(t.untranslated);
    json_decref(table);
    json_object_set_new(body, "ru", t.russian);
    json_object_set_new(body, "untranslated", list);
    return RV_OK;
}

/* All studies in the order of the lecture: [{"study", "title", "ru"}, ..], for the way from page to page. */
static rv_status add_lecture(json_t *body, rv_error *err)
{
    json_t *list = json_array();
    for (int i = 0; rv_study_at(i); i++) {
        const rv_study *study = rv_study_at(i);
        json_t *table = rv_russian_open(study->name, err), *entry = json_pack("{s:s,s:s}", "study", study->name, "title", study->title);
        rv_text russian = {0};
        if (table && rv_russian_find(table, study->title, &russian) && !russian.failed)
            json_object_set_new(entry, "ru", json_stringn(russian.data, russian.size));
        json_array_append_new(list, entry);
        rv_text_release(&russian);
        json_decref(table);
        if (!table) {
            json_decref(list);
            return RV_E_MEMORY;
        }
    }
    json_object_set_new(body, "lecture", list);
    return RV_OK;
}

/* ---- the page --------------------------------------------------------------------- */

/* One row of the table of settings: what it is in this run, by default, and what it may be. */
static json_t *setting(const rv_param *row, const json_t *params)
{
    const json_t *value = json_object_get(params, row->name);
    char *text = json_is_string(value) ? NULL : rv_json_text(value, 0);
    json_t *out = json_pack("{s:s,s:s,s:s,s:s}", "name", row->name, "value", text ? text : json_string_value(value), "initial",
                            row->initial, "help", row->help);
    free(text);
    if (row->choices)
        json_object_set_new(out, "choices", json_string(row->choices));
    if (row->type == RV_PARAM_REAL || row->type == RV_PARAM_INT) {
        json_object_set_new(out, "bounds", json_pack("[o,o]", rv_json_from_real(row->lo), rv_json_from_real(row->hi)));
        json_object_set_new(out, "open", json_pack("[b,b]", row->flags & RV_PARAM_OPEN_LO, row->flags & RV_PARAM_OPEN_HI));
    }
    return out;
}

static json_t *settings(const rv_param_table *table, const json_t *params)
{
    json_t *list = json_array();
    for (size_t i = 0; i < table->count; i++)
        json_array_append_new(list, setting(&table->rows[i], params));
    return list;
}

/* What the gallery shows of the study: its first figure, small. */
static rv_status write_still(const rv_study_run *run, const char *dir, rv_error *err)
{
    char path[2048];
    if (json_array_size(run->figures) == 0)
        return RV_OK;
    json_t *still = rv_figure_still(json_array_get(run->figures, 0));
    char *text = still ? rv_json_text(still, 0) : NULL;
    snprintf(path, sizeof path, "%s/still.json", dir);
    rv_status status = text ? rv_file_write(path, text, strlen(text), err) : rv_fail(err, RV_E_MEMORY, "%s: no memory", path);
    free(text);
    json_decref(still);
    return status;
}

rv_status rv_study_page_write(const rv_study_run *run, const char *dir, json_t *result, rv_error *err)
{
    char path[2048];
    const rv_study *study = run->study;
    json_t *page = json_object(), *body = json_copy(result);
    snprintf(path, sizeof path, "%s/index.html", dir);
    rv_page_head(page, NULL);
    if (run->options->language)
        json_object_set_new(page, "language", json_string(run->options->language));
    json_object_set(body, "figures", run->figures);
    json_object_set_new(body, "question", json_string(study->question));
    json_object_set_new(body, "method", json_string(study->method));
    json_object_set_new(body, "source", json_string(study->source));
    json_object_set(body, "reasons", run->reasons); /* all of them, so that a missing text is found while its claim holds */
    json_object_set_new(body, "settings", settings(study->params, json_object_get(result, "params")));
    json_object_set_new(page, "study", body);
    rv_status status = rv_study_page_texts(study, body, err);
    if (status == RV_OK)
        status = add_lecture(body, err);
    if (status == RV_OK)
        status = rv_page_write(path, page, true, err);
    json_decref(page);
    return status == RV_OK ? write_still(run, dir, err) : status;
}
