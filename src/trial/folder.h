/* The folder of a run: who may write in it, and the files beside the checkpoints. */
#ifndef RV_TRIAL_FOLDER_H
#define RV_TRIAL_FOLDER_H

#include "core/file.h"
#include "core/text.h"
#include "trial/config.h"

typedef struct rv_folder {
    char path[RV_RUN_SIZE];             /* DIR/<id> */
    char checkpoints[RV_RUN_SIZE + 16]; /* DIR/<id>/checkpoint */
    char trajectory[RV_RUN_SIZE + 16];  /* DIR/<id>/trajectory: checkpoints that stay; made where wanted */
    int lock;                           /* descriptor of the lock that is held, or -1 */
} rv_folder;

/* Names only; nothing is made. */
rv_status rv_folder_name(rv_folder *folder, const char *dir, const rv_config *config, rv_error *err);
/* Makes the folder, takes its lock (RV_E_BUSY when a live process holds it), removes what a
 * killed writer left, and writes config.json or checks that it is this configuration. */
rv_status rv_folder_open(rv_folder *folder, const rv_config *config, rv_error *err);
void rv_folder_close(rv_folder *folder);

/* meta.json at the start of a session and, with its end, after it; data: of the objective, or NULL. */
rv_status rv_folder_write_meta(const rv_folder *folder, const rv_trial_options *options, const char *data, bool over,
                               rv_error *err);
/* Cuts log.jsonl back to what an uninterrupted run had written at this step. */
rv_status rv_folder_trim_log(const rv_folder *folder, int64_t step, rv_error *err);
rv_status rv_folder_write_result(const rv_folder *folder, const rv_trial_result *result, rv_error *err);

/* Appends "a.b: 1 there, 2 here" for every difference of two JSON values. */
void rv_json_differences(const json_t *there, const json_t *here, const char *path, rv_text *out);

#endif
