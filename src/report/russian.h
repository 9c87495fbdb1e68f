/* Russian for the texts of a page.  studies/ru/NAME.json (and measures/ru/probe.json) maps English, as it
 * stands in the source, to Russian; a printf format stands for every text that it can print. */
#ifndef RV_REPORT_RUSSIAN_H
#define RV_REPORT_RUSSIAN_H

#include <jansson.h>

#include "core/text.h"

/* The table of a study, or of "probe", together with the common one (ru/common.json); without one of its
 * own the common one alone.  New reference; NULL with err when the embedded texts are damaged. */
json_t *rv_russian_open(const char *study, rv_error *err);
/* Appends the translation of text to out and returns true: that of the text itself, else of the
 * format with the most literal characters that could have printed it, whose numbers are kept and
 * whose %s are translated where they can be.  False, and nothing appended: there is none. */
bool rv_russian_find(const json_t *table, const char *text, rv_text *out);
/* Both sides of every row have the same conversions in the same order; err names the row. */
rv_status rv_russian_check(const json_t *table, rv_error *err);

#endif
