/* DIR/index.sqlite: a table of the runs below DIR, which can be made again from them. */
#ifndef RV_TRIAL_INDEX_H
#define RV_TRIAL_INDEX_H

#include "ravine/trial.h"

/* Adds or replaces one run; safe from many processes at once. */
rv_status rv_index_put(const char *dir, const char *config, const rv_trial_result *result, rv_error *err);
/* Throws the table away and reads every finished run below dir again. */
rv_status rv_index_rebuild(const char *dir, rv_error *err);

#endif
