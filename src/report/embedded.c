/* Inflates the embedded parts.  Sizes and hashes are constants of the build, so what
 * comes out is exactly what the content security policy allows. */
#include "report/embedded.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/embed.h"
#include "embedded_parts.h"

RV_INCBIN(rv_embedded_html_gz, EMBEDDED_PAGE_HTML);
RV_INCBIN(rv_embedded_css_gz, EMBEDDED_PAGE_CSS);
RV_INCBIN(rv_embedded_plotly_gz, EMBEDDED_PLOTLY_JS);
RV_INCBIN(rv_embedded_page_gz, EMBEDDED_PAGE_JS);

typedef struct embedded {
    const unsigned char *begin, *end;
    size_t size; /* inflated */
    const char *sha256;
} embedded;

static const embedded parts[] = {
    [RV_EMBEDDED_HTML] = {rv_embedded_html_gz, rv_embedded_html_gz_end, EMBEDDED_PAGE_HTML_SIZE, EMBEDDED_PAGE_HTML_SHA256},
    [RV_EMBEDDED_CSS] = {rv_embedded_css_gz, rv_embedded_css_gz_end, EMBEDDED_PAGE_CSS_SIZE, EMBEDDED_PAGE_CSS_SHA256},
    [RV_EMBEDDED_PLOTLY] = {rv_embedded_plotly_gz, rv_embedded_plotly_gz_end, EMBEDDED_PLOTLY_JS_SIZE, EMBEDDED_PLOTLY_JS_SHA256},
    [RV_EMBEDDED_PAGE] = {rv_embedded_page_gz, rv_embedded_page_gz_end, EMBEDDED_PAGE_JS_SIZE, EMBEDDED_PAGE_JS_SHA256},
};

rv_status rv_embedded_text(rv_embedded_part part, char **text, size_t *size, rv_error *err)
{
    const embedded *e = &parts[part];
    z_stream stream = {0};
    char *out = malloc(e->size + 1);
    if (!out || inflateInit2(&stream, 15 + 16) != Z_OK) {
        free(out);
        return rv_fail(err, RV_E_MEMORY, "report: no memory for %zu bytes of the page", e->size);
    }
    stream.next_in = (Bytef *)(uintptr_t)e->begin;
    stream.avail_in = (uInt)(e->end - e->begin);
    stream.next_out = (Bytef *)out;
    stream.avail_out = (uInt)e->size + 1;
    int code = inflate(&stream, Z_FINISH);
    size_t made = stream.total_out;
    inflateEnd(&stream);
    if (code != Z_STREAM_END || made != e->size) {
        free(out);
        return rv_fail(err, RV_E_FORMAT, "report: embedded page part %d is damaged (zlib %d)", (int)part, code);
    }
    out[made] = '\0';
    *text = out;
    *size = made;
    return RV_OK;
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

void rv_embedded_packed(rv_embedded_part part, const unsigned char **bytes, size_t *size)
{
    *bytes = parts[part].begin;
    *size = (size_t)(parts[part].end - parts[part].begin);
}

size_t rv_base64(const unsigned char *bytes, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *o = out;
    for (size_t i = 0; i < n; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16 | (i + 1 < n ? (unsigned)bytes[i + 1] << 8 : 0) | (i + 2 < n ? bytes[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            *o++ = (char)(i + k <= n ? digits[group >> (18 - 6 * k) & 63] : '=');
    }
    *o = '\0';
    return (size_t)(o - out);
}

void rv_embedded_hash(rv_embedded_part part, char out[64])
{
    const char *hex = parts[part].sha256;
    unsigned char bytes[32];
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    memcpy(out, "sha256-", 7);
    rv_base64(bytes, sizeof bytes, out + 7);
}
