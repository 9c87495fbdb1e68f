/* The page of a study.  Its data stay English; beside them stands one table that maps every
 * text of the page to Russian, so the figures are written once and read in two languages. */
#include "studies/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "report/page.h"
#include "report/russian.h"
#include "report/texts.h"

/* ---- texts ------------------------------------------------------------------------ */

static void add_body(rv_texts *t, const json_t *body)
{
    static const char *const fields[] = {"title", "question", "method", "data"};
    static const char *const claim_texts[] = {"claim", "quantity", "expected", NULL}, *const help[] = {"help", NULL};
    const char *key;
    json_t *entry;
    size_t i;
    for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++)
        rv_texts_field(t, body, fields[k]);
    rv_texts_source(t, json_object_get(body, "source"));
    rv_texts_list(t, json_object_get(body, "claims"), claim_texts);
    json_array_foreach(json_object_get(body, "claims"), i, entry)
    {
        rv_texts_source(t, json_object_get(entry, "source"));
    }
    rv_texts_list(t, json_object_get(body, "settings"), help);
    json_array_foreach(json_object_get(body, "figures"), i, entry)
    {
        rv_texts_figure(t, entry);
    }
    json_array_foreach(json_object_get(body, "notes"), i, entry)
    {
        rv_texts_add(t, entry);
    }
    json_object_foreach(json_object_get(body, "reasons"), key, entry)
    {
        rv_texts_add(t, entry);
    }
}

rv_status rv_study_card_texts(const rv_study *study, json_t *card, rv_error *err)
{
    rv_texts t;
    RV_TRY(rv_texts_open(&t, study->name, err));
    json_object_set_new(card, "title", json_string(study->title));
    json_object_set_new(card, "question", json_string(study->question));
    rv_texts_field(&t, card, "title");
    rv_texts_field(&t, card, "question");
    rv_texts_field(&t, card, "data");
    rv_texts_close(&t, card);
    json_object_del(card, "untranslated"); /* the study's own page tells */
    return RV_OK;
}

rv_status rv_study_page_texts(const rv_study *study, json_t *body, rv_error *err)
{
    rv_texts t;
    RV_TRY(rv_texts_open(&t, study->name, err));
    add_body(&t, body);
    rv_texts_close(&t, body);
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
    char path[RV_PATH_SIZE];
    if (json_array_size(run->figures) == 0)
        return RV_OK;
    RV_TRY(rv_path_join(path, dir, "still.json", err));
    json_t *still = rv_figure_still(json_array_get(run->figures, 0));
    char *text = still ? rv_json_text(still, 0) : NULL;
    rv_status status = text ? rv_file_write(path, text, strlen(text), err) : rv_fail(err, RV_E_MEMORY, "%s: no memory", path);
    free(text);
    json_decref(still);
    return status;
}

rv_status rv_study_page_write(const rv_study_run *run, const char *dir, json_t *result, rv_error *err)
{
    char path[RV_PATH_SIZE];
    RV_TRY(rv_path_join(path, dir, "index.html", err));
    const rv_study *study = run->study;
    json_t *page = json_object(), *body = json_copy(result);
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
