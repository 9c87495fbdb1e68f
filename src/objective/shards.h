/* One shard of a batch or of a split, from its examples to its gradient or metrics.  Invariant: what a
 * shard computes depends on its number, never on the worker that runs it. */
#ifndef RV_OBJECTIVE_SHARDS_H
#define RV_OBJECTIVE_SHARDS_H

#include "core/arena.h"
#include "objective/network.h"
#include "objective/reduce.h"
#include "objective/sampler.h"

/* What one shard leaves behind. */
typedef struct rv_shard_result {
    double loss[2]; /* sum, weight */
    double correct, counted;
    rv_status status;
    rv_error error;
} rv_shard_result;

/* A plan for one number of rows, with a runner for every worker or (together) one for all of them. */
typedef struct rv_network_model {
    rv_graph *graph;
    rv_plan *plan;
    rv_runner **runners; /* [workers] or [1] */
    bool together;
    int64_t rows;        /* examples of a shard */
} rv_network_model;

typedef struct rv_network_objective {
    rv_objective base;
    rv_source *source;
    rv_pool *pool;
    int workers, shards;
    int64_t evaluation_limit;
    int64_t classes;        /* of a row of the output "logits"; 0: there are no labels to compare with */
    rv_network_model train, evaluation;
    rv_sampler sampler;
    int64_t *ids;           /* [shards * rows], -1 beyond the batch */
    rv_arena gradients;     /* [shards][layout size]; empty for a single shard */
    void *gradient[RV_SHARDS_MOST]; /* of each shard; of a single one: where the caller wants it */
    rv_arena factors;       /* [shards][rv_layout_factors], made when first asked for; of a single shard also: */
    void *unwanted;         /* [layout size], its gradient where only factors are wanted */
    void *factor[RV_SHARDS_MOST];
    char *statistics;       /* [shards][state size] of the batch just run */
    rv_shard_result *results;  /* [max(shards, evaluation shards)] */
} rv_network_objective;

/* One pass over shards, as the tasks of the pool see it. */
typedef struct rv_network_pass {
    rv_network_objective *o;
    const void *w;
    rv_batch batch;
    rv_split split;
    int64_t examples; /* of the evaluated split */
    bool backward;
    bool drawn; /* labels from the model's output, not the data's */
    bool factors; /* the backward also leaves factor sums */
} rv_network_pass;

/* Tasks of the pool (rv_pool_run); context is an rv_network_pass, the task's number the shard's. */
void rv_network_train_shard(void *context, int task, int worker);
void rv_network_evaluate_shard(void *context, int task, int worker);
/* The running statistics that shard `shard` of the last batch left, NULL: there are none. */
void *rv_network_statistics(const rv_network_objective *o, int shard);
/* The first failure of shards 0 to count - 1, in their order. */
rv_status rv_network_failure(const rv_network_objective *o, int64_t count, rv_error *err);

#endif
