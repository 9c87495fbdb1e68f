/* The parts of the report's page that live inside the library, compressed. */
#ifndef RV_REPORT_EMBEDDED_H
#define RV_REPORT_EMBEDDED_H

#include "ravine/core.h"

typedef enum rv_embedded_part {
    RV_EMBEDDED_HTML,
    RV_EMBEDDED_CSS,
    RV_EMBEDDED_PLOTLY,
    RV_EMBEDDED_PAGE
} rv_embedded_part;

/* The part as text (NUL-terminated, size without the NUL); caller frees with free(). */
rv_status rv_embedded_text(rv_embedded_part part, char **text, size_t *size, rv_error *err);
/* The part as it is kept, gzip (RFC 1952); the bytes live as long as the program. */
void rv_embedded_packed(rv_embedded_part part, const unsigned char **bytes, size_t *size);
/* Bytes in base64 (RFC 4648) with a NUL; out holds 4 * ((n + 2) / 3) + 1.  Returns the length without it. */
size_t rv_base64(const unsigned char *bytes, size_t n, char *out);
/* Its SHA-256 as a source of a content security policy: "sha256-<base64>". */
void rv_embedded_hash(rv_embedded_part part, char out[64]);

#endif
