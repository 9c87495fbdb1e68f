/* Help inside a task: a task cuts a piece of its work into parts, and workers that have run
 * out of tasks take some of them over. */
#ifndef RV_CORE_SHARE_H
#define RV_CORE_SHARE_H

#include "ravine/core.h"

/* Called by a task that pool runs on `worker`: runs parts 0..parts-1 and returns when all are
 * done.  part is called with the worker that runs it, which is the calling one or one without a
 * task of its own; which is not fixed.  Parts share nothing on.  A pool of NULL, or one over the
 * caller's own threads: the calling worker runs all of them in order. */
void rv_pool_share(rv_pool *pool, int worker, int parts, rv_task *part, void *context);

#endif
