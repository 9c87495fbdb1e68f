/* The worker pool: numbered tasks claimed by a counter.  Invariant: the fields of a
 * job are read only between a successful claim and the report that the claimed tasks
 * are done, and the caller changes them only when every task has been reported. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/spin.h"
#include "ravine/core.h"

/* Of libgomp, which oneDNN is built on: a worker runs its kernels alone. */
extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);

/* A claim takes a SHARE of what is left for each worker, at least one task: neighbouring tasks work on
 * neighbouring memory, and where two workers take them in turn, each prefetches what the other needs. */
enum { RV_POOL_MAX = 1024, SHARE = 8 };
static const double spin_seconds = 30e-6; /* about the price of waking a thread */

typedef struct worker {
    rv_pool *pool;
    pthread_t thread;
    int number;
} worker;

/* Neighbouring tasks with which a worker begins. */
typedef struct share {
    _Alignas(64) atomic_int next;
    int end;
} share;

struct rv_pool {
    int workers;
    worker *worker; /* [workers - 1]: all but the caller; none over threads of the caller's own */
    rv_pool_runner *run; /* NULL: threads of ours */
    void *runner;
    /* The job. */
    rv_task *task;
    void *context;
    int tasks;
    bool near;
    share *shares; /* [workers] */
    _Alignas(64) atomic_int unclaimed;
    _Alignas(64) atomic_int unfinished;
    /* Sleeping, under the lock; the counters are also read without it. */
    _Alignas(64) atomic_int sleepers;
    atomic_bool caller_sleeps, closing;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
};

/* Spins until *counter is zero (or is not), at most spin_seconds; tells whether it came. */
static bool spin(const atomic_int *counter, bool zero, const atomic_bool *closing)
{
    double deadline = rv_clock() + spin_seconds;
    do {
        for (int i = 0; i < 64; i++) {
            if ((atomic_load_explicit(counter, memory_order_acquire) == 0) == zero || atomic_load(closing))
                return true;
            rv_relax();
        }
    } while (rv_clock() < deadline);
    return false;
}

/* A task of the job for one that has been claimed.  There are as many left in the shares as have been
 * claimed and not yet taken, or more, and shares only shrink: one look at each finds one. */
static int take(rv_pool *pool, int number)
{
    for (int i = number;; i = (i + 1) % pool->workers) {
        share *s = &pool->shares[i];
        int next = atomic_load_explicit(&s->next, memory_order_relaxed);
        while (next < s->end)
            if (atomic_compare_exchange_weak_explicit(&s->next, &next, next + 1, memory_order_relaxed, memory_order_relaxed))
                return next;
    }
}

static void work(rv_pool *pool, int number)
{
    int left = atomic_load(&pool->unclaimed);
    for (;;) {
        int taken;
        do {
            if (left == 0)
                return;
            taken = left / (SHARE * pool->workers);
            taken = taken > 1 ? taken : 1;
        } while (!atomic_compare_exchange_weak(&pool->unclaimed, &left, left - taken));
        for (int i = pool->tasks - left, end = i + taken; i < end; i++)
            pool->task(pool->context, pool->near ? take(pool, number) : i, number);
        /* Sequentially consistent against the caller's flag: one of the two sees the other. */
        if (atomic_fetch_sub(&pool->unfinished, taken) == taken && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
        left = atomic_load(&pool->unclaimed);
    }
}

static void *worker_main(void *context)
{
    worker *self = context;
    rv_pool *pool = self->pool;
    omp_set_num_threads(1);
    while (!atomic_load(&pool->closing)) {
        if (!spin(&pool->unclaimed, false, &pool->closing)) {
            pthread_mutex_lock(&pool->lock);
            atomic_fetch_add(&pool->sleepers, 1);
            while (atomic_load(&pool->unclaimed) == 0 && !atomic_load(&pool->closing))
                pthread_cond_wait(&pool->work, &pool->lock);
            atomic_fetch_sub(&pool->sleepers, 1);
            pthread_mutex_unlock(&pool->lock);
        }
        work(pool, self->number);
    }
    return NULL;
}

static void wake_workers(rv_pool *pool)
{
    if (atomic_load(&pool->sleepers) == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_tasks(rv_pool *pool)
{
    if (spin(&pool->unfinished, true, &pool->closing))
        return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (atomic_load(&pool->unfinished) != 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

static rv_status make(rv_pool **out, int workers, rv_error *err)
{
    *out = NULL;
    if (workers < 1 || workers > RV_POOL_MAX)
        return rv_fail(err, RV_E_RANGE, "a pool has 1 to %d workers, not %d", RV_POOL_MAX, workers);
    rv_pool *pool = aligned_alloc(_Alignof(rv_pool), sizeof *pool);
    worker *others = calloc((size_t)workers, sizeof *others);
    share *shares = aligned_alloc(_Alignof(share), (size_t)workers * sizeof *shares);
    if (pool == NULL || others == NULL || shares == NULL) {
        free(pool);
        free(others);
        free(shares);
        return rv_fail(err, RV_E_MEMORY, "no memory for a pool of %d workers", workers);
    }
    memset(pool, 0, sizeof *pool);
    pool->worker = others;
    pool->shares = shares;
    pool->workers = 1;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    *out = pool;
    return RV_OK;
}

rv_status rv_pool_new_over(rv_pool **out, int workers, rv_pool_runner *run, void *runner, rv_error *err)
{
    RV_TRY(make(out, workers, err));
    (*out)->workers = workers;
    (*out)->run = run;
    (*out)->runner = runner;
    return RV_OK;
}

rv_status rv_pool_new(rv_pool **out, int workers, rv_error *err)
{
    rv_pool *pool;
    RV_TRY(make(&pool, workers, err));
    worker *others = pool->worker;
    *out = NULL;
    omp_set_num_threads(1);
    for (int i = 1; i < workers; i++) {
        others[i - 1] = (worker){.pool = pool, .number = i};
        int code = pthread_create(&others[i - 1].thread, NULL, worker_main, &others[i - 1]);
        if (code != 0) {
            rv_pool_free(pool);
            return rv_fail(err, RV_E_IO, "cannot start worker %d of %d: %s", i, workers, strerror(code));
        }
        pool->workers = i + 1;
    }
    *out = pool;
    return RV_OK;
}

void rv_pool_free(rv_pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->closing, true);
    wake_workers(pool);
    for (int i = 1; i < pool->workers && pool->run == NULL; i++)
        pthread_join(pool->worker[i - 1].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->worker);
    free(pool->shares);
    free(pool);
}

int rv_pool_workers(const rv_pool *pool)
{
    return pool == NULL ? 1 : pool->workers;
}

/* A task on a thread that is not ours: products that it asks for run on that thread alone. */
static void run_alone(void *context, int task, int number)
{
    rv_pool *pool = context;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    pool->task(pool->context, task, number);
    omp_set_num_threads(threads);
}

static void set_shares(rv_pool *pool, int tasks)
{
    for (int64_t i = 0; i < pool->workers; i++) {
        atomic_store_explicit(&pool->shares[i].next, (int)(tasks * i / pool->workers), memory_order_relaxed);
        pool->shares[i].end = (int)(tasks * (i + 1) / pool->workers);
    }
}

static void run(rv_pool *pool, int tasks, rv_task *task, void *context, bool near)
{
    if (tasks <= 0)
        return;
    if (pool == NULL || pool->workers == 1 || tasks == 1) {
        for (int i = 0; i < tasks; i++)
            task(context, i, 0);
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->tasks = tasks;
    pool->near = near;
    if (pool->run != NULL) {
        pool->run(pool->runner, tasks, run_alone, pool);
        return;
    }
    if (near)
        set_shares(pool, tasks);
    atomic_store(&pool->unfinished, tasks);
    atomic_store(&pool->unclaimed, tasks);
    wake_workers(pool);
    work(pool, 0);
    wait_for_tasks(pool);
}

void rv_pool_run(rv_pool *pool, int tasks, rv_task *task, void *context)
{
    run(pool, tasks, task, context, false);
}

void rv_pool_run_near(rv_pool *pool, int tasks, rv_task *task, void *context)
{
    run(pool, tasks, task, context, true);
}
