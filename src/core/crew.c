/* Stages of claimed pieces.  Invariant: a stage is opened only when every piece of the one
 * before has been claimed and has ended, so the number of the stage that claimed a slot
 * last never exceeds that of the open one, and says whether the slot is free. */
#include "core/crew.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/spin.h"

enum {
    PIECES = 4,  /* of a stage, for each worker */
    SPINS = 2000 /* looks before a waiting worker lets others run: some 20 to 50 microseconds */
};

typedef struct slot {
    _Alignas(64) atomic_int claimed; /* by this stage last */
    rv_error error;                  /* of its piece, where the status is not RV_OK */
} slot;

struct rv_crew {
    rv_pool *pool;
    slot *slots; /* [most] */
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
    slot *slots = aligned_alloc(_Alignof(slot), (size_t)most * sizeof *slots);
    *out = NULL;
    if (crew == NULL || slots == NULL) {
        free(crew);
        free(slots);
        return rv_fail(err, RV_E_MEMORY, "no memory for a crew of %d workers", workers);
    }
    *crew = (rv_crew){.pool = pool, .slots = slots, .workers = workers, .most = most};
    *out = crew;
    return RV_OK;
}

void rv_crew_free(rv_crew *crew)
{
    if (crew == NULL)
        return;
    free(crew->slots);
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

/* Whether the calling worker is the one to run this piece of the stage. */
static bool claim(slot *s, int stage)
{
    int last = atomic_load_explicit(&s->claimed, memory_order_relaxed);
    return last < stage &&
           atomic_compare_exchange_strong_explicit(&s->claimed, &last, stage, memory_order_acq_rel, memory_order_relaxed);
}

static void open_stage(rv_crew *crew, int stage)
{
    if (atomic_load_explicit(&crew->failed, memory_order_relaxed))
        stage = crew->stages;
    if (stage < crew->stages)
        atomic_store_explicit(&crew->unfinished, crew->pieces[stage], memory_order_relaxed);
    atomic_store_explicit(&crew->stage, stage, memory_order_release);
}

/* Each worker begins with the share that is its own in every stage, which its caches may
 * know, and then does what is left of the others'. */
static void help(rv_crew *crew, int stage, int worker)
{
    const int pieces = crew->pieces[stage], own = (int)((int64_t)worker * pieces / crew->workers);
    for (int i = 0; i < pieces; i++) {
        const int piece = (own + i) % pieces;
        slot *s = &crew->slots[piece];
        if (!claim(s, stage))
            continue;
        s->error.status = crew->task(crew->context, stage, piece, worker, &s->error);
        if (s->error.status != RV_OK)
            atomic_store_explicit(&crew->failed, true, memory_order_relaxed);
        if (atomic_fetch_sub_explicit(&crew->unfinished, 1, memory_order_acq_rel) == 1) {
            open_stage(crew, stage + 1);
            return;
        }
    }
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
    for (int i = 0; i < crew->most; i++) {
        atomic_store_explicit(&crew->slots[i].claimed, -1, memory_order_relaxed);
        crew->slots[i].error.status = RV_OK;
    }
    open_stage(crew, 0);
    rv_pool_run(crew->pool, crew->workers, join, crew);
    for (int i = 0; atomic_load(&crew->failed) && i < crew->most; i++)
        if (crew->slots[i].error.status != RV_OK) {
            if (err)
                *err = crew->slots[i].error;
            return crew->slots[i].error.status;
        }
    return RV_OK;
}
