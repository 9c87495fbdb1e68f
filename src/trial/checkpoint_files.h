/* Which checkpoints a folder has: their names are their steps. */
#ifndef RV_TRIAL_CHECKPOINT_FILES_H
#define RV_TRIAL_CHECKPOINT_FILES_H

#include "core/file.h"

rv_status rv_checkpoint_path(const char *folder, int64_t step, char path[RV_PATH_SIZE], rv_error *err);
/* The step in a checkpoint's name, or -1: it is not of that form. */
int64_t rv_checkpoint_step(const char *name);
/* The path of the newest checkpoint in a folder; false: there is none, or it does not fit. */
bool rv_checkpoint_newest(const char *folder, char *path, size_t size);
/* The greatest step below `below` that has a file, or -1. */
int64_t rv_checkpoint_below(const char *folder, int64_t below);
/* Removes the files of all other steps. */
void rv_checkpoint_prune(const char *folder, int64_t newest, int64_t previous);

#endif
