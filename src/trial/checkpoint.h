/* Checkpoints: one safetensors file each, everything a run needs to go on bit for bit. */
#ifndef RV_TRIAL_CHECKPOINT_H
#define RV_TRIAL_CHECKPOINT_H

#include "ravine/optim.h"
#include "trial/config.h"

/* How far a run has come; X: what a checkpoint keeps of it. */
#define RV_TALLY_MAP(INT, REAL)                                                                       \
    INT(step) INT(examples) REAL(seconds)                                                             \
    REAL(best) INT(best_step) REAL(final) INT(evaluated) /* step of the last evaluation, -1: none */  \
    INT(target_step) INT(target_examples) REAL(target_seconds)
typedef struct rv_tally {
#define INT(name) int64_t name;
#define REAL(name) double name;
    RV_TALLY_MAP(INT, REAL)
#undef INT
#undef REAL
} rv_tally;

/* What is saved and restored; everything is borrowed. */
typedef struct rv_snapshot {
    const char *folder; /* of the checkpoints */
    const char *kept;   /* of those that stay, the trajectory */
    const rv_config *config;
    const rv_objective *objective;
    rv_optimizer *optimizer;
    void *w;
    rv_tally *tally;
    int64_t previous; /* step of the last file written or loaded here, -1: none */
    /* Before a file of that step is loaded: makes optimizer the one that it belongs to. */
    rv_status (*enter)(void *context, int64_t step, rv_error *err);
    void *context;
} rv_snapshot;

/* Writes step-<step>.safetensors and removes all but it and the previous one. */
rv_status rv_checkpoint_write(rv_snapshot *snapshot, rv_error *err);

/* Writes the same file among those that stay. */
rv_status rv_checkpoint_keep(const rv_snapshot *snapshot, rv_error *err);

/* Restores the newest file that is sound; tells of each that is not.  *found: false when
 * there is none.  RV_E_MISMATCH lists every difference to the configuration, RV_E_UNSUPPORTED
 * refuses a later format; then nothing is changed. */
rv_status rv_checkpoint_load(rv_snapshot *snapshot, void (*note)(void *, const char *), void *context, bool *found,
                             rv_error *err);

/* The tensors of w under their own names, and the running statistics they go with. */
rv_status rv_weights_write(const char *path, const rv_snapshot *snapshot, const void *w, rv_error *err);

/* ---- what reads the files back ----------------------------------------------------- */

#define RV_CHECKPOINT_FORMAT "ravine-checkpoint"
#define RV_WEIGHTS_FORMAT "ravine-weights"
#define RV_CHECKPOINT_WEIGHTS "w."         /* before the names of tensors, in a checkpoint */
#define RV_CHECKPOINT_STATISTICS "statistics"

/* Under "data" the metadata of both kinds of files, and meta.json of a run, have the objective's data:
 * it is missing in older files and for objectives without data.  False: both are known and differ; whole: also in
 * their sizes, which parameters of the workload may change. */
bool rv_checkpoint_same_data(const json_t *meta, const rv_objective *objective, bool whole);
/* The sum over metadata and arrays of a checkpoint, then its version: RV_E_FORMAT,
 * RV_E_MISMATCH (another kind of file), RV_E_UNSUPPORTED.  Takes the checksum out of meta. */
rv_status rv_checkpoint_check(const char *path, json_t *meta, const rv_array_set *set, rv_error *err);
/* The optimizer's state out of a checkpoint's arrays. */
rv_status rv_checkpoint_optimizer(const char *path, const rv_array_set *set, rv_optimizer *optimizer, rv_error *err);
/* The array of this name, or NULL. */
const rv_array *rv_checkpoint_array(const rv_array_set *set, const char *name);

#endif
