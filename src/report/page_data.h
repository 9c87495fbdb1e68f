/* What the page draws, as one JSON value. */
#ifndef RV_REPORT_PAGE_DATA_H
#define RV_REPORT_PAGE_DATA_H

#include <jansson.h>

#include "ravine/core.h"

/* {"version", "folder", "made", "bench": bench.json or null,
 *  "score": score.json of the folder or null, "runs": [{"run", "config", "meta", "result", "curves": {"train": {"step": [..], "loss": [..]}, ..}}]}
 * Of a benchmark the runs at the best setting of each optimizer; otherwise all runs below
 * dir.  A line has at most about 1000 points.  Caller owns the reference. */
rv_status rv_page_data(const char *dir, json_t **out, rv_error *err);

/* The same about a score alone. */
rv_status rv_page_score(const char *score_json, json_t **out, rv_error *err);

#endif
