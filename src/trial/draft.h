/* A configuration while it is being resolved. */
#ifndef RV_TRIAL_DRAFT_H
#define RV_TRIAL_DRAFT_H

#include "trial/config.h"

enum { RV_DRAFT_NAMES = 256 };

/* The tables' values stand in config; the optimizer's are JSON, because they may address
 * the methods of several rules. */
typedef struct rv_draft {
    rv_config *config;
    const rv_method_info *method;
    json_t *optimizer_params;
} rv_draft;

/* "name=value" over what is there. */
rv_status rv_draft_set(rv_draft *draft, const char *assignment, rv_error *err);
/* The same for each of RAVINE_SET="lr=1e-3,train.steps=200". */
rv_status rv_draft_set_environment(rv_draft *draft, rv_error *err);

/* RV_E_UNKNOWN with the nearest of names [count]. */
rv_status rv_draft_unknown(const char *what, const char *name, const char *const *names, int count, rv_error *err);
rv_status rv_draft_no_memory(rv_error *err);

#endif
