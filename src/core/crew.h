/* All workers of a pool through one sequence of stages, with a barrier between a stage and
 * the next.
 *
 * A stage consists of pieces, which workers claim; whoever ends its last piece opens the
 * next stage.  A worker that comes late, or never, holds up nobody: the others do its
 * share.  So threads that are fewer than the workers, or on fewer cores, are slow at worst. */
#ifndef RV_CORE_CREW_H
#define RV_CORE_CREW_H

#include "ravine/core.h"

typedef struct rv_crew rv_crew;

/* One piece of one stage: what it computes depends on these numbers, never on the worker. */
typedef rv_status rv_crew_task(void *context, int stage, int piece, int worker, rv_error *err);

/* pool (NULL: the caller alone) stays the caller's and outlives the crew.  RV_E_MEMORY. */
rv_status rv_crew_new(rv_crew **out, rv_pool *pool, rv_error *err);
void rv_crew_free(rv_crew *crew); /* NULL is fine */
int rv_crew_workers(const rv_crew *crew);
/* The most pieces of one stage: a few for every worker, so that one who is held up loses little. */
int rv_crew_most(const rv_crew *crew);

/* Runs pieces[s] >= 1 pieces of every stage s in [0, stages); allocates nothing.  Where pieces
 * fail the stage is the last one, and the failure of its first such piece is returned.  Like
 * rv_pool_run it is not re-entrant and must not stand inside a task of the pool. */
rv_status rv_crew_run(rv_crew *crew, const int *pieces, int stages, rv_crew_task *task, void *context, rv_error *err);

#endif
