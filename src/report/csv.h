/* Text cells of CSV files. */
#ifndef RV_REPORT_CSV_H
#define RV_REPORT_CSV_H

#include "core/text.h"

/* RFC 4180 quoting; text that a spreadsheet would run as a formula gets an apostrophe. */
void rv_csv_text(rv_text *row, const char *text);

#endif
