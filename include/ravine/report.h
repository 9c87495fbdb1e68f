/* Reports and exports of a folder of runs. */
#ifndef RAVINE_REPORT_H
#define RAVINE_REPORT_H

#include "ravine/core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One self-contained HTML page (charts' script inlined, nothing is loaded from
 * anywhere) of a folder of runs: a benchmark, or any runs of `train -o`. */
RV_API rv_status rv_report_write(const char *dir, const char *path, rv_error *err);

/* The same page about a score alone: score_json is what rv_score_report gives. */
RV_API rv_status rv_report_write_score(const char *score_json, const char *path, rv_error *err);

/* Logs of all runs below dir, one row per log line, as CSV (RFC 4180; text that a
 * spreadsheet would take for a formula is quoted with a leading apostrophe). */
RV_API rv_status rv_export_csv(const char *dir, const char *path, rv_error *err);
/* One TensorBoard event file per run below out/<run>/. */
RV_API rv_status rv_export_tensorboard(const char *dir, const char *out, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
