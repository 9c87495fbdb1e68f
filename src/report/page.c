/* Writes the page: a template whose {{places}} are filled with the embedded parts and the
 * data.  The content security policy allows exactly the two embedded scripts, by hash. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/report.h"
#include "report/embedded.h"
#include "report/page.h"
#include "report/page_data.h"

/* An embedded part goes out as it is: it was checked for "</script" when it was packed. */
static rv_status put_part(rv_writer *writer, rv_embedded_part part, rv_error *err)
{
    char *text = NULL;
    size_t size = 0;
    RV_TRY(rv_embedded_text(part, &text, &size, err));
    rv_status status = rv_writer_put(writer, text, size, err);
    free(text);
    return status;
}

static rv_status put_hash(rv_writer *writer, rv_embedded_part part, rv_error *err)
{
    char hash[64];
    rv_embedded_hash(part, hash);
    return rv_writer_put(writer, hash, strlen(hash), err);
}

/* The chart script, nine tenths of a page, goes in as it is kept: gzip, in base64, inflated by the
 * page.  What the page runs has the hash of the policy all the same. */
static rv_status put_charts(rv_writer *writer, rv_error *err)
{
    enum { BLOCK = 3 * 4096 };
    static const char open[] = "<script type=\"application/octet-stream\" id=\"charts\">", close[] = "</script>";
    const unsigned char *bytes;
    char text[4 * BLOCK / 3 + 1];
    size_t size;
    rv_embedded_packed(RV_EMBEDDED_PLOTLY, &bytes, &size);
    rv_status status = rv_writer_put(writer, open, sizeof open - 1, err);
    for (size_t at = 0; at < size && status == RV_OK; at += BLOCK)
        status = rv_writer_put(writer, text, rv_base64(bytes + at, size - at < BLOCK ? size - at : BLOCK, text), err);
    return status == RV_OK ? rv_writer_put(writer, close, sizeof close - 1, err) : status;
}

static rv_status put_place(rv_writer *writer, const char *place, size_t n, const char *data, bool charts, rv_error *err)
{
    static const struct {
        const char *name;
        rv_embedded_part part;
        bool hash;
    } places[] = {
        {"css", RV_EMBEDDED_CSS, false},
        {"page", RV_EMBEDDED_PAGE, false},
        {"plotly-hash", RV_EMBEDDED_PLOTLY, true},
        {"page-hash", RV_EMBEDDED_PAGE, true},
    };
    if (n == 4 && memcmp(place, "data", 4) == 0)
        return rv_writer_put(writer, data, strlen(data), err);
    if (n == 6 && memcmp(place, "charts", 6) == 0)
        return charts ? put_charts(writer, err) : RV_OK;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (strlen(places[i].name) == n && memcmp(place, places[i].name, n) == 0)
            return places[i].hash ? put_hash(writer, places[i].part, err) : put_part(writer, places[i].part, err);
    return rv_fail(err, RV_E_FORMAT, "report: the template has an unknown place '%.*s'", (int)n, place);
}

static rv_status fill(rv_writer *writer, const char *template, const char *data, bool charts, rv_error *err)
{
    for (const char *at = template;;) {
        const char *open = strstr(at, "{{"), *close = open ? strstr(open, "}}") : NULL;
        if (!close)
            return rv_writer_put(writer, at, strlen(at), err);
        RV_TRY(rv_writer_put(writer, at, (size_t)(open - at), err));
        RV_TRY(put_place(writer, open + 2, (size_t)(close - open - 2), data, charts, err));
        at = close + 2;
    }
}

/* In JSON '<' stands inside strings only, where \u003c means the same. */
static char *escaped(const char *json)
{
    rv_text out = {0};
    for (const char *at = json; *at;) {
        size_t n = strcspn(at, "<");
        rv_text_put(&out, at, n);
        at += n;
        if (*at == '<') {
            rv_text_put(&out, "\\u003c", 6);
            at++;
        }
    }
    if (out.failed)
        rv_text_release(&out);
    return out.failed ? NULL : out.data;
}

void rv_page_head(json_t *data, const char *subject)
{
    char when[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    json_object_set_new(data, "version", json_string(rv_version()));
    json_object_set_new(data, "made", json_string(when));
    if (subject) {
        json_t *folder = json_string(subject);
        json_object_set_new(data, "folder", folder ? folder : json_string("(not UTF-8)"));
    }
}

static rv_status write_filled(const char *path, const char *template, const char *data, bool charts, rv_error *err)
{
    rv_writer *writer = NULL;
    RV_TRY(rv_writer_open(&writer, path, err));
    rv_status status = fill(writer, template, data, charts, err);
    if (status == RV_OK)
        return rv_writer_commit(writer, err);
    rv_writer_abandon(writer);
    return status;
}

rv_status rv_page_write(const char *path, const json_t *data, bool charts, rv_error *err)
{
    char *json = rv_json_text(data, 0), *text = json ? escaped(json) : NULL, *template = NULL;
    size_t size = 0;
    free(json);
    rv_status status = text ? rv_embedded_text(RV_EMBEDDED_HTML, &template, &size, err)
                            : rv_fail(err, RV_E_MEMORY, "%s: no memory for the data of the page", path);
    if (status == RV_OK)
        status = write_filled(path, template, text, charts, err);
    free(template);
    free(text);
    return status;
}

rv_status rv_report_write(const char *dir, const char *path, rv_error *err)
{
    json_t *data = NULL;
    RV_TRY(rv_page_data(dir, &data, err));
    rv_status status = rv_page_write(path, data, true, err);
    json_decref(data);
    return status;
}

rv_status rv_report_write_score(const char *score_json, const char *path, rv_error *err)
{
    json_t *data = NULL;
    RV_TRY(rv_page_score(score_json, &data, err));
    rv_status status = rv_page_write(path, data, true, err);
    json_decref(data);
    return status;
}
