/* The worker pool: numbered tasks claimed by a counter, and parts of tasks likewise.
 * Invariant: the fields of a job are read only between a successful claim and the report
 * that the claimed tasks are done, and its owner changes them only when every task has been
 * reported. */
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/share.h"
#include "core/spin.h"

/* Of libgomp, which oneDNN is built on: a worker runs its kernels alone. */
extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);

/* A claim takes a SHARE of what is left for each worker, at least one task: neighbouring tasks work on
 * neighbouring memory, and where two workers take them in turn, each prefetches what the other needs. */
enum { RV_POOL_MAX = 1024, SHARE = 8 };
static const double spin_seconds = 30e-6; /* about the price of waking a thread */

/* Tasks of the caller, or parts of one task. */
typedef struct job {
    rv_task *task;
    void *context;
    int tasks;
    _Alignas(64) atomic_int unclaimed;
    _Alignas(64) atomic_int unfinished;
} job;

typedef struct worker {
    job shared; /* parts of the task it is at */
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
    worker *worker; /* [workers], of which the first is the caller, without a thread of ours */
    rv_pool_runner *run; /* NULL: threads of ours */
    void *runner;
    job job;
    bool near;
    share *shares; /* [workers] */
    _Alignas(64) atomic_int offered; /* parts that no one has claimed, of all workers */
    /* Sleeping, under the lock; the counters are also read without it. */
    _Alignas(64) atomic_int sleepers;
    atomic_bool caller_sleeps, closing;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
};

/* Sequentially consistent against the flags of those who sleep: see work and wake_workers. */
typedef bool condition(rv_pool *pool);

static bool has_work(rv_pool *pool)
{
    return atomic_load(&pool->job.unclaimed) != 0 || atomic_load(&pool->offered) > 0 || atomic_load(&pool->closing);
}

static bool is_done(rv_pool *pool)
{
    return atomic_load(&pool->job.unfinished) == 0;
}

static bool is_done_or_has_parts(rv_pool *pool)
{
    return is_done(pool) || atomic_load(&pool->offered) > 0;
}

/* Spins until the condition holds, at most spin_seconds; tells whether it does. */
static bool spin(rv_pool *pool, condition *holds)
{
    double deadline = rv_clock() + spin_seconds;
    do {
        for (int i = 0; i < 64; i++) {
            if (holds(pool))
                return true;
            rv_relax();
        }
    } while (rv_clock() < deadline);
    return false;
}

/* Takes the next tasks of a job: one for every `of` that are left, at least one; how many, from *first on. */
static int claim(job *j, int of, int *first)
{
    int left = atomic_load(&j->unclaimed), taken;
    do {
        if (left == 0)
            return 0;
        taken = left / of > 1 ? left / of : 1;
    } while (!atomic_compare_exchange_weak(&j->unclaimed, &left, left - taken));
    *first = j->tasks - left;
    return taken;
}

/* Parts are few and long: one at a time. */
static void run_parts(rv_pool *pool, job *j, int number)
{
    for (int part; claim(j, INT_MAX, &part) > 0;) {
        atomic_fetch_sub(&pool->offered, 1);
        j->task(j->context, part, number);
        atomic_fetch_sub(&j->unfinished, 1);
    }
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
    for (int first, taken; (taken = claim(&pool->job, SHARE * pool->workers, &first)) > 0;) {
        for (int i = first; i < first + taken; i++)
            pool->job.task(pool->job.context, pool->near ? take(pool, number) : i, number);
        /* Sequentially consistent against the caller's flag: one of the two sees the other. */
        if (atomic_fetch_sub(&pool->job.unfinished, taken) == taken && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
    for (int i = 0; atomic_load(&pool->offered) > 0 && i < pool->workers; i++)
        run_parts(pool, &pool->worker[(number + i) % pool->workers].shared, number);
}

static void *worker_main(void *context)
{
    worker *self = context;
    rv_pool *pool = self->pool;
    omp_set_num_threads(1);
    while (!atomic_load(&pool->closing)) {
        if (!spin(pool, has_work)) {
            pthread_mutex_lock(&pool->lock);
            atomic_fetch_add(&pool->sleepers, 1);
            while (!has_work(pool))
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
    if (atomic_load(&pool->sleepers) == 0 && !atomic_load(&pool->caller_sleeps))
        return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->work);
    pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->lock);
}

/* The caller has no more tasks: it helps the others with theirs. */
static void wait_for_tasks(rv_pool *pool)
{
    while (!is_done(pool)) {
        if (!spin(pool, is_done_or_has_parts)) {
            pthread_mutex_lock(&pool->lock);
            atomic_store(&pool->caller_sleeps, true);
            while (!is_done_or_has_parts(pool))
                pthread_cond_wait(&pool->done, &pool->lock);
            atomic_store(&pool->caller_sleeps, false);
            pthread_mutex_unlock(&pool->lock);
        }
        work(pool, 0);
    }
}

void rv_pool_share(rv_pool *pool, int number, int parts, rv_task *part, void *context)
{
    if (pool == NULL || pool->workers == 1 || pool->run != NULL || parts == 1) {
        for (int i = 0; i < parts; i++)
            part(context, i, number);
        return;
    }
    job *j = &pool->worker[number].shared;
    j->task = part;
    j->context = context;
    j->tasks = parts;
    atomic_store(&j->unfinished, parts);
    atomic_store(&j->unclaimed, parts);
    atomic_fetch_add(&pool->offered, parts);
    wake_workers(pool);
    run_parts(pool, j, number);
    for (double deadline = rv_clock() + spin_seconds; atomic_load(&j->unfinished) != 0;) {
        rv_relax();
        if (rv_clock() > deadline)
            sched_yield(); /* who has the last part has lost its core */
    }
}

static rv_status make(rv_pool **out, int workers, rv_error *err)
{
    *out = NULL;
    if (workers < 1 || workers > RV_POOL_MAX)
        return rv_fail(err, RV_E_RANGE, "a pool has 1 to %d workers, not %d", RV_POOL_MAX, workers);
    rv_pool *pool = aligned_alloc(_Alignof(rv_pool), sizeof *pool);
    const size_t size = (size_t)workers * sizeof(worker);
    worker *all = aligned_alloc(_Alignof(worker), size);
    share *shares = aligned_alloc(_Alignof(share), (size_t)workers * sizeof *shares);
    if (pool == NULL || all == NULL || shares == NULL) {
        free(pool);
        free(all);
        free(shares);
        return rv_fail(err, RV_E_MEMORY, "no memory for a pool of %d workers", workers);
    }
    memset(pool, 0, sizeof *pool);
    memset(all, 0, size);
    pool->worker = all;
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
    *out = NULL;
    omp_set_num_threads(1);
    for (int i = 1; i < workers; i++) {
        worker *self = &pool->worker[i];
        self->pool = pool;
        self->number = i;
        int code = pthread_create(&self->thread, NULL, worker_main, self);
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
        pthread_join(pool->worker[i].thread, NULL);
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
    pool->job.task(pool->job.context, task, number);
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
    pool->job.task = task;
    pool->job.context = context;
    pool->job.tasks = tasks;
    pool->near = near;
    if (pool->run != NULL) {
        pool->run(pool->runner, tasks, run_alone, pool);
        return;
    }
    if (near)
        set_shares(pool, tasks);
    atomic_store(&pool->job.unfinished, tasks);
    atomic_store(&pool->job.unclaimed, tasks);
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
