/* Which examples make a mini-batch: a pure function of (seed, step), so there is no
 * position to save.  The order of an epoch is kept only to be quick. */
#ifndef RV_OBJECTIVE_SAMPLER_H
#define RV_OBJECTIVE_SAMPLER_H

#include "ravine/objective.h"

typedef struct rv_sampler {
    int64_t examples; /* of the training split */
    int64_t batch;
    bool draw;        /* with replacement */
    bool drop_last;
    uint32_t *order;  /* [examples]: the permutation of (seed, epoch), when valid */
    uint64_t seed;
    int64_t epoch;    /* -1: none yet */
} rv_sampler;

rv_status rv_sampler_init(rv_sampler *sampler, int64_t examples, int64_t batch, bool draw,
                          bool drop_last, rv_error *err);
void rv_sampler_release(rv_sampler *sampler);
/* ids [batch]; -1 beyond the end of an epoch's last batch. */
void rv_sampler_batch(rv_sampler *sampler, rv_batch batch, int64_t *ids);

#endif
