/* Tuning methods as data.  A submission is JSON:
 *     {"name", "title", "source", "notes", "tuning": "external" | "self",
 *      "tuning_search_space": as AlgoPerf has it (space.h), "sampler": "halton",
 *      "config": {partial configuration with expressions (expression.h)},
 *      "cases": [{"when": {hyperparameter: value}, "config": {...}}, ...],
 *      "ignored": [hyperparameters without a meaning here],
 *      "batch": {GLOB: factor}, "overhead": cost of a step in gradients of its batch,
 *      "unsupported": why it cannot run here} */
#ifndef RV_BENCH_SUBMISSION_H
#define RV_BENCH_SUBMISSION_H

#include "bench/expression.h"
#include "bench/space.h"
#include "ravine/workload.h"
#include "trial/config.h"

typedef struct rv_entrant {
    json_t *json;       /* owned */
    const char *name;
    bool self_tuning;
    bool has_space;     /* false: one point without hyperparameters */
    rv_space space;
    const rv_point_sampler *sampler;
    double overhead;
} rv_entrant;

/* Reads json (a reference is kept) and tries every expression on every point of a list, or the
 * middle of every range.  RV_E_FORMAT, RV_E_RANGE, RV_E_UNKNOWN name source, key, expected, found;
 * a hyperparameter that nothing uses is an error.  Release also after a failure. */
rv_status rv_entrant_read(rv_entrant *entrant, json_t *json, const char *source, rv_error *err);
void rv_entrant_release(rv_entrant *entrant);

/* The JSON of a text (a built-in name, a path that ends in .json) or of an object.  New reference. */
rv_status rv_submission_json(const json_t *from, json_t **json, rv_error *err);

/* "config" and the cases that hold, expressions filled in; all: those that do not hold are tried as well
 * and thrown away.  A new reference. */
rv_status rv_entrant_fill(const rv_entrant *entrant, const rv_scope *names, bool all, json_t **config, rv_error *err);

/* The configuration of a point: "config", then every case whose conditions hold.  given: steps,
 * batch, ... of the problem.  workload_params that the workload has not are left out; parameters of its
 * optimizer and schedule that it does not give are the method's defaults.  A new reference. */
rv_status rv_entrant_config(const rv_entrant *entrant, const json_t *point, const json_t *given,
                            const rv_workload *workload, json_t **config, rv_error *err);

/* Its batch size as a multiple of the problem's own: the first glob of "batch" that matches; 1: none does. */
double rv_entrant_batch(const rv_entrant *entrant, const char *problem);

#endif
