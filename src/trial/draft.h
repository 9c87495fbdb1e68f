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
    json_t *wrappers;  /* text or list, or NULL */
    json_t *schedules; /* object of texts and objects */
} rv_draft;

/* restart.c: reads "restarts" of a configuration and adds to whole, the configuration resolved
 * without them, what each resolves to. */
rv_status rv_draft_restarts(rv_draft *draft, const json_t *restarts, json_t *whole, rv_error *err);
void rv_restarts_release(rv_config *config);

/* around.c: wrappers and the schedules of single hyperparameters. */
/* The text that rv_optimizer_options.wrappers takes; *text NULL: none. Caller frees. */
rv_status rv_draft_wrappers(const rv_draft *draft, char **text, rv_error *err);
/* Takes one layer of JSON over what is there. */
rv_status rv_draft_around(rv_draft *draft, const json_t *layer, rv_error *err);
/* Resolves the schedules against an optimizer, which knows the names. */
rv_status rv_draft_schedules(rv_draft *draft, const rv_optimizer *optimizer, rv_error *err);
void rv_scheduled_release(rv_config *config);
rv_status rv_draft_find_schedule(const char *name, const rv_schedule_info **out, rv_error *err);

/* "name=value" over what is there. */
rv_status rv_draft_set(rv_draft *draft, const char *assignment, rv_error *err);
/* The same for each of RAVINE_SET="lr=1e-3,train.steps=200". */
rv_status rv_draft_set_environment(rv_draft *draft, rv_error *err);

/* RV_E_UNKNOWN with the nearest of names [count]. */
rv_status rv_draft_unknown(const char *what, const char *name, const char *const *names, int count, rv_error *err);
rv_status rv_draft_no_memory(rv_error *err);

#endif
