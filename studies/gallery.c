/* The gallery: one page that links the studies of a folder in the order of studies.def, which
 * is that of the lecture.  It is read off what the studies left behind, so it does not matter
 * whether they ran together or one by one. */
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "report/page.h"
#include "studies/page.h"

/* NULL when the file is not there; an error only for one that cannot be read. */
static rv_status read_part(const char *dir, const rv_study *study, const char *file, json_t **out, rv_error *err)
{
    char folder[RV_PATH_SIZE], path[RV_PATH_SIZE];
    *out = NULL;
    RV_TRY(rv_path_join(folder, dir, study->name, err));
    RV_TRY(rv_path_join(path, folder, file, err));
    return rv_file_exists(path) ? rv_json_read(path, out, err) : RV_OK;
}

static json_t *count_verdicts(const json_t *claims)
{
    int held = 0, failed = 0, unjudged = 0;
    json_t *claim;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)claims, i, claim)
    {
        const json_t *holds = json_object_get(claim, "holds");
        held += json_is_true(holds);
        failed += json_is_false(holds);
        unjudged += json_is_null(holds);
    }
    return json_pack("{s:i,s:i,s:i}", "held", held, "failed", failed, "unjudged", unjudged);
}

static rv_status add_card(json_t *cards, const char *dir, const rv_study *study, rv_error *err)
{
    static const char *const kept[] = {"study", "quick", "seeds", "data", "seconds", NULL};
    json_t *result, *still;
    RV_TRY(read_part(dir, study, "study.json", &result, err));
    if (!result)
        return RV_OK;
    rv_status status = read_part(dir, study, "still.json", &still, err);
    if (status == RV_OK) {
        json_t *card = json_object();
        for (const char *const *key = kept; *key; key++)
            if (json_object_get(result, *key))
                json_object_set(card, *key, json_object_get(result, *key));
        status = rv_study_card_texts(study, card, err);
        json_object_set_new(card, "verdicts", count_verdicts(json_object_get(result, "claims")));
        if (still)
            json_object_set(card, "still", still);
        json_array_append_new(cards, card);
    }
    json_decref(still);
    json_decref(result);
    return status;
}

rv_status rv_study_gallery(const char *dir, const char *language, rv_error *err)
{
    char path[RV_PATH_SIZE];
    RV_TRY(rv_path_join(path, dir, "index.html", err));
    json_t *page = json_object(), *cards = json_array();
    rv_status status = RV_OK;
    for (int i = 0; rv_study_at(i) && status == RV_OK; i++)
        status = add_card(cards, dir, rv_study_at(i), err);
    rv_page_head(page, NULL);
    json_object_set_new(page, "gallery", cards);
    if (language)
        json_object_set_new(page, "language", json_string(language));
    if (status == RV_OK)
        status = rv_page_write(path, page, false, err);
    json_decref(page);
    return status;
}

/* A page that is not ours is never written over. */
static bool is_ours(const char *path)
{
    rv_reader reader;
    rv_error ignored;
    if (!rv_file_exists(path))
        return true;
    if (rv_reader_open(&reader, path, (size_t)1 << 28, &ignored) != RV_OK)
        return false;
    static const char mark[] = "<meta name=\"generator\" content=\"Ravine\">";
    bool ours = memmem(reader.data, reader.size < 4096 ? reader.size : 4096, mark, sizeof mark - 1) != NULL;
    rv_reader_close(&reader);
    return ours;
}

bool rv_study_gallery_wanted(const char *dir)
{
    char folder[RV_PATH_SIZE], path[RV_PATH_SIZE];
    int studies = 0;
    for (int i = 0; rv_study_at(i); i++)
        studies += rv_path_join(folder, dir, rv_study_at(i)->name, NULL) == RV_OK &&
                   rv_path_join(path, folder, "study.json", NULL) == RV_OK && rv_file_exists(path);
    return studies > 1 && rv_path_join(path, dir, "index.html", NULL) == RV_OK && is_ours(path);
}
