/* Workloads: a model, its data, its metric and its target under one name. */
#ifndef RAVINE_WORKLOAD_H
#define RAVINE_WORKLOAD_H

#include "ravine/graph.h"
#include "ravine/objective.h"
#include "ravine/param.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_workload_env {
    const char *data;    /* folder of data sets, or NULL: procedural data */
    rv_pool *pool;       /* borrowed; NULL: the calling thread */
    rv_backend backend;  /* RV_BACKEND_REF gives a float64 objective */
    bool bf16;
    int64_t batch;       /* examples of a part; 0: the workload's own */
    /* Receives one line on what was used ("tinyshakespeare/input.txt, 1115394 bytes" or
     * "no data folder: procedural text instead"); may be NULL. */
    void (*note)(void *context, const char *line);
    void *note_context;
} rv_workload_env;

typedef struct rv_workload {
    const char *name;        /* "char-lm" */
    const char *title;       /* one line */
    const char *description; /* model, data, metric, source of the setting */
    const rv_param_table *params;
    rv_status (*make)(const void *params, const rv_workload_env *env, rv_objective **out, rv_error *err);
    const char *metric;      /* of the validation split; decides and ranks */
    bool maximize;
    /* The published recipe: a JSON object as a run's config.json has it, with any of
     * optimizer, optimizer_params, optimizer_rules, schedule, schedule_params, train. */
    const char *recipe;
    /* Options of ravine train that reach the recipe's target sooner than the recipe, or where it
     * does not, one set a line; measured in docs/workloads.md.  NULL: none is known. */
    const char *tuned;
} rv_workload;

RV_API const rv_workload *rv_workload_at(int i);
RV_API const rv_workload *rv_workload_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
