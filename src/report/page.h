/* The page that every report is: embedded template, style and scripts, and one JSON value. */
#ifndef RV_REPORT_PAGE_H
#define RV_REPORT_PAGE_H

#include <jansson.h>

#include "ravine/core.h"

/* The fields of every page: version and time; subject (a folder) may be NULL. */
void rv_page_head(json_t *data, const char *subject);
/* Writes the page that draws data; every '<' is escaped, so the text is inert in a script element.
 * charts: with the chart script, which is nearly all of the page's size. */
rv_status rv_page_write(const char *path, const json_t *data, bool charts, rv_error *err);

#endif
