/* Stages of claimed pieces.  Invariant: a stage is opened only when every piece of the one
 * before has been claimed and has ended, so the number of the stage in which a share was claimed
 * from last never exceeds that of the open one, and what stands beside it counts in that stage.
 *
 * Lines of memory that two workers write travel between their caches, at a price of a tenth of a
 * microsecond or several: so a worker claims from a line of its own, counts what it has done
 * once a stage, and runs stages of a single piece without telling anybody. */
#include "core/crew.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/spin.h"

enum {
    PIECES = 4,  /* of a stage, for each worker */
    SPINS = 2000 /* looks before a waiting worker lets others run: some 20 to 50 microseconds */
};

/* The pieces that a worker begins with: number of a stage and, in the lower half, how many of
 * its share have been claimed. */
typedef struct share {
    _Alignas(64) atomic_uint_fast64_t claimed;
} share;

struct rv_crew {
    rv_pool *pool;
    share *shares;    /* [workers] */
    rv_error *errors; /* [most], of the pieces of a stage where their status is not RV_OK */
    int workers, most;
    /* The run. */
    const int *pieces;
    int stages;
    rv_crew_task *task;
    void *context;
    atomic_bool failed;
    _Alignas(64) atomic_int stage; /* the open one; stages: none any more */
    _Alignas(64) atomic_int unfinished;
};

rv_status rv_crew_new(rv_crew **out, rv_pool *pool, rv_error *err)
{
    const int workers = rv_pool_workers(pool), most = workers > 1 ? workers * PIECES : 1;
    rv_crew *crew = aligned_alloc(_Alignof(rv_crew), sizeof *crew);
    share *shares = aligned_alloc(_Alignof(share), (size_t)workers * sizeof *shares);
    rv_error *errors = calloc((size_t)most, sizeof *errors);
    *out = NULL;
    if (crew == NULL || shares == NULL || errors == NULL) {
        free(crew);
        free(shares);
        free(errors);
        return rv_fail(err, RV_E_MEMORY, "no memory for a crew of %d workers", workers);
    }
    *crew = (rv_crew){.pool = pool, .shares = shares, .errors = errors, .workers = workers, .most = most};
    *out = crew;
    return RV_OK;
}

void rv_crew_free(rv_crew *crew)
{
    if (crew == NULL)
        return;
    free(crew->shares);
    free(crew->errors);
    free(crew);
}

int rv_crew_workers(const rv_crew *crew)
{
    return crew->workers;
}

int rv_crew_most(const rv_crew *crew)
{
    return crew->most;
}

static void run_piece(rv_crew *crew, int stage, int piece, int worker)
{
    rv_error *err = &crew->errors[piece];
    err->status = crew->task(crew->context, stage, piece, worker, err);
    if (err->status != RV_OK)
        atomic_store_explicit(&crew->failed, true, memory_order_relaxed);
}

static void open_stage(rv_crew *crew, int stage, int worker)
{
    while (stage < crew->stages && crew->pieces[stage] == 1 && !atomic_load_explicit(&crew->failed, memory_order_relaxed))
        run_piece(crew, stage++, 0, worker);
    if (atomic_load_explicit(&crew->failed, memory_order_relaxed))
        stage = crew->stages;
    if (stage < crew->stages)
        atomic_store_explicit(&crew->unfinished, crew->pieces[stage], memory_order_relaxed);
    atomic_store_explicit(&crew->stage, stage, memory_order_release);
}

/* Claims one more of the `count` pieces of a share: its number there, -1: none is left. */
static int claim(share *s, int stage, int count)
{
    uint_fast64_t seen = atomic_load_explicit(&s->claimed, memory_order_relaxed);
    for (;;) {
        const int last = (int)(seen >> 32), taken = last == stage ? (int)(seen & UINT32_MAX) : 0;
        if (last > stage || taken >= count)
            return -1;
        if (atomic_compare_exchange_weak_explicit(&s->claimed, &seen, (uint_fast64_t)stage << 32 | (unsigned)(taken + 1),
                                                  memory_order_acq_rel, memory_order_relaxed))
            return taken;
    }
}

/* Each worker begins with the share that is its own in every stage, which its caches may
 * know, and then does what is left of the others'. */
static void help(rv_crew *crew, int stage, int worker)
{
    const int64_t pieces = crew->pieces[stage], workers = crew->workers;
    int done = 0;
    for (int64_t i = 0; i < workers; i++) {
        const int64_t whose = (worker + i) % workers;
        const int from = (int)(pieces * whose / workers), count = (int)(pieces * (whose + 1) / workers) - from;
        for (int n = 0; (n = claim(&crew->shares[whose], stage, count)) >= 0; done++)
            run_piece(crew, stage, from + n, worker);
    }
    if (done > 0 && atomic_fetch_sub_explicit(&crew->unfinished, done, memory_order_acq_rel) == done)
        open_stage(crew, stage + 1, worker);
}

/* The stage that is open when this one no longer is. */
static int wait_beyond(rv_crew *crew, int stage)
{
    for (int looks = 0;; looks++) {
        const int now = atomic_load_explicit(&crew->stage, memory_order_acquire);
        if (now > stage)
            return now;
        if (looks < SPINS)
            rv_relax();
        else
            sched_yield();
    }
}

static void join(void *context, int task, int worker)
{
    rv_crew *crew = context;
    (void)task;
    int stage = atomic_load_explicit(&crew->stage, memory_order_acquire);
    while (stage < crew->stages) {
        help(crew, stage, worker);
        stage = wait_beyond(crew, stage);
    }
}

rv_status rv_crew_run(rv_crew *crew, const int *pieces, int stages, rv_crew_task *task, void *context, rv_error *err)
{
    crew->pieces = pieces;
    crew->stages = stages;
    crew->task = task;
    crew->context = context;
    atomic_store(&crew->failed, false);
    for (int i = 0; i < crew->workers; i++)
        atomic_store_explicit(&crew->shares[i].claimed, 0, memory_order_relaxed);
    for (int i = 0; i < crew->most; i++)
        crew->errors[i].status = RV_OK;
    open_stage(crew, 0, 0);
    if (atomic_load(&crew->stage) < stages)
        rv_pool_run(crew->pool, crew->workers, join, crew);
    for (int i = 0; atomic_load(&crew->failed) && i < crew->most; i++)
        if (crew->errors[i].status != RV_OK) {
            if (err)
                *err = crew->errors[i];
            return crew->errors[i].status;
        }
    return RV_OK;
}
