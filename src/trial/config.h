/* A configuration: what a run depends on, resolved to the last default. */
#ifndef RV_TRIAL_CONFIG_H
#define RV_TRIAL_CONFIG_H

#include "core/json.h"
#include "ravine/optim.h"
#include "ravine/trial.h"

/* A schedule of one hyperparameter: a factor on its configured value. */
typedef struct rv_scheduled {
    char name[2 * RV_NAME_SIZE]; /* "momentum", "ema.decay" */
    const rv_schedule_info *schedule;
    void *params;
    double base; /* the configured value */
} rv_scheduled;

/* From a step on the run starts again: initial weights, another setting of the method. */
typedef struct rv_restart rv_restart;

typedef struct rv_config {
    const rv_workload *workload;
    void *workload_params;
    char optimizer[RV_NAME_SIZE];
    char *optimizer_params; /* JSON object, complete */
    char *optimizer_rules;  /* JSON list, or NULL: the method's own */
    const rv_schedule_info *schedule;
    void *schedule_params;
    char *wrappers; /* JSON list, complete, or NULL */
    rv_scheduled *scheduled;
    int scheduled_count;
    rv_train_params train;
    rv_restart *restart; /* in ascending order */
    int restart_count;
    char *text;    /* the whole as canonical JSON */
    uint64_t hash; /* of the whole without its seed */
} rv_config;

struct rv_restart {
    int64_t at;       /* made before the step after this one */
    rv_config config; /* whole; its method, schedules, horizon and clip are in force from there on */
};

/* Puts part over config, both partial configurations; parameters belong to the method they were given
 * for, so those of another optimizer or schedule go.  0, or -1 without memory. */
int rv_config_merge(json_t *config, json_t *part);

/* Defaults, then the workload's recipe, then text, then RAVINE_SET where environment is
 * set, then overrides.  Release also after a failure. */
rv_status rv_config_resolve(rv_config *config, const char *text, bool environment, const char *const *overrides,
                            int count, rv_error *err);
void rv_config_release(rv_config *config);

/* The workload's objective as this configuration trains it; data and note as in rv_workload_env. */
rv_status rv_config_objective(const rv_config *config, const char *data, rv_pool *pool,
                              void (*note)(void *, const char *), void *context, rv_objective **out, rv_error *err);

/* The state_dtype option of the optimizer. */
rv_dtype rv_config_state_dtype(const rv_config *config);

/* "<workload>-<optimizer>-<8 hex digits>-s<seed>". */
void rv_config_id(const rv_config *config, char *id, size_t size);

#endif
