/* The network objective: a graph and a source of data, run in shards.
 *
 * A mini-batch is cut into a fixed number of equal shards; a worker runs one shard
 * from input to gradient, and the shards' gradients are added in a fixed binary
 * tree, so the bits do not depend on the number of workers. */
#ifndef RV_OBJECTIVE_NETWORK_H
#define RV_OBJECTIVE_NETWORK_H

#include "ravine/data.h"
#include "ravine/graph.h"
#include "ravine/workload.h"

typedef struct rv_network {
    const char *name;
    /* Puts the model over the source's inputs into graph, sets its loss and the
     * output "logits" [..., classes] for the labels in the last input. */
    void (*build)(rv_graph *graph, const rv_value *inputs, const void *params);
    const void *params;     /* only read while rv_network_new runs */
    rv_source *source;      /* owned by the objective, also when it fails */
    int64_t batch;          /* examples of a part */
    int shards;             /* a power of two: most shards of a batch */
    int64_t least_rows;     /* examples of a shard below which a batch is cut into fewer, down to 2 */
    int64_t undivided;      /* examples up to which a batch is one shard: each shard reads all weights */
    bool drop_last;         /* whole batches only (batch norm); else the last one is padded */
    int64_t evaluation_rows;  /* examples of one evaluation shard */
    int64_t evaluation_limit; /* evaluate at most so many examples of a split; 0: all */
} rv_network;

rv_status rv_network_new(rv_objective **out, const rv_network *network, const rv_workload_env *env,
                         rv_error *err);

#endif
