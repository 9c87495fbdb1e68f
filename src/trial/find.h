/* Which file a path means, that somebody gives for saved weights. */
#ifndef RV_TRIAL_FIND_H
#define RV_TRIAL_FIND_H

#include "ravine/trial.h"

enum { RV_FIND_SIZE = 512 };

/* file <- a checkpoint or weights: those of a run (raw: a checkpoint), the newest of a folder of checkpoints, or
 * path itself.  *start: path ended in "@start", so the file is only to tell the configuration. */
rv_status rv_find_saved(const char *path, bool raw, char file[RV_FIND_SIZE], bool *start, rv_error *err);

#endif
