/* Reports and exports of a folder of runs.
 *
 * What is written replaces a file of that name as a whole or not at all; its folder must be there.
 * RV_E_IO: no run in dir or below, or a file that cannot be read or written; RV_E_FORMAT: a file
 * of a run that is damaged, with its name and line; RV_E_MEMORY. */
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
/* One TensorBoard event file per run below out/<run>/, which is made. */
RV_API rv_status rv_export_tensorboard(const char *dir, const char *out, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
