/* Which file a path means, that somebody gives for saved weights. */
#ifndef RV_TRIAL_FIND_H
#define RV_TRIAL_FIND_H

#include "core/file.h"
#include "ravine/trial.h"

/* file <- a checkpoint or weights: those of a run (raw: a checkpoint), the newest of a folder of checkpoints, or
 * path itself.  *start: path ended in "@start", so the file is only to tell the configuration. */
rv_status rv_find_saved(const char *path, bool raw, char file[RV_PATH_SIZE], bool *start, rv_error *err);

#endif
