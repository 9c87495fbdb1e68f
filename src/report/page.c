/* Writes the page: a template whose {{places}} are filled with the embedded parts and the
 * data.  The content security policy allows exactly the two embedded scripts, by hash. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "ravine/report.h"
#include "report/embedded.h"
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

static rv_status put_place(rv_writer *writer, const char *place, size_t n, const char *data, rv_error *err)
{
    static const struct {
        const char *name;
        rv_embedded_part part;
        bool hash;
    } places[] = {
        {"css", RV_EMBEDDED_CSS, false},        {"plotly", RV_EMBEDDED_PLOTLY, false},
        {"page", RV_EMBEDDED_PAGE, false},      {"plotly-hash", RV_EMBEDDED_PLOTLY, true},
        {"page-hash", RV_EMBEDDED_PAGE, true},
    };
    if (n == 4 && memcmp(place, "data", 4) == 0)
        return rv_writer_put(writer, data, strlen(data), err);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (strlen(places[i].name) == n && memcmp(place, places[i].name, n) == 0)
            return places[i].hash ? put_hash(writer, places[i].part, err) : put_part(writer, places[i].part, err);
    return rv_fail(err, RV_E_FORMAT, "report: the template has an unknown place '%.*s'", (int)n, place);
}

static rv_status fill(rv_writer *writer, const char *template, const char *data, rv_error *err)
{
    for (const char *at = template;;) {
        const char *open = strstr(at, "{{"), *close = open ? strstr(open, "}}") : NULL;
        if (!close)
            return rv_writer_put(writer, at, strlen(at), err);
        RV_TRY(rv_writer_put(writer, at, (size_t)(open - at), err));
        RV_TRY(put_place(writer, open + 2, (size_t)(close - open - 2), data, err));
        at = close + 2;
    }
}

static rv_status write_page(const char *path, const char *data, rv_error *err)
{
    char *template = NULL;
    size_t size = 0;
    rv_writer *writer = NULL;
    RV_TRY(rv_embedded_text(RV_EMBEDDED_HTML, &template, &size, err));
    rv_status status = rv_writer_open(&writer, path, err);
    if (status == RV_OK) {
        status = fill(writer, template, data, err);
        if (status == RV_OK)
            status = rv_writer_commit(writer, err);
        else
            rv_writer_abandon(writer);
    }
    free(template);
    return status;
}

rv_status rv_report_write(const char *dir, const char *path, rv_error *err)
{
    char *data = NULL;
    RV_TRY(rv_page_data(dir, &data, err));
    rv_status status = write_page(path, data, err);
    free(data);
    return status;
}

rv_status rv_report_write_score(const char *score_json, const char *path, rv_error *err)
{
    char *data = NULL;
    RV_TRY(rv_page_score(score_json, &data, err));
    rv_status status = write_page(path, data, err);
    free(data);
    return status;
}
