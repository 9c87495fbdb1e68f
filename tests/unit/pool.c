/* The pool: every task runs exactly once, whatever the number of workers and however
 * often and in whatever rhythm it is asked.  Meant to be run under TSan as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "core/arena.h"
#include "core/share.h"

enum { TASKS = 64 };

typedef struct job {
    int runs[TASKS]; /* plain: a task belongs to one worker, and run() orders it before the caller */
    int workers;
    bool bad_worker;
} job;

static void count(void *context, int task, int worker)
{
    job *j = context;
    j->runs[task]++;
    if (worker < 0 || worker >= j->workers)
        j->bad_worker = true;
}

static void each_task_once(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 7; workers++) {
        rv_pool *pool = NULL;
        assert_int_equal(rv_pool_new(&pool, workers, NULL), RV_OK);
        assert_int_equal(rv_pool_workers(pool), workers);
        for (int round = 0; round < 300; round++) {
            job j = {.workers = workers};
            int tasks = round % (TASKS + 1);
            (round % 2 ? rv_pool_run_near : rv_pool_run)(pool, tasks, count, &j);
            for (int i = 0; i < TASKS; i++)
                assert_int_equal(j.runs[i], i < tasks);
            assert_false(j.bad_worker);
        }
        rv_pool_free(pool);
    }
}

/* Pauses longer than the spinning put the workers to sleep; they must wake again. */
static void after_sleep(void **state)
{
    (void)state;
    rv_pool *pool = NULL;
    assert_int_equal(rv_pool_new(&pool, 3, NULL), RV_OK);
    for (int round = 0; round < 50; round++) {
        job j = {.workers = 3};
        nanosleep(&(struct timespec){0, (round % 5) * 30000}, NULL);
        (round % 2 ? rv_pool_run_near : rv_pool_run)(pool, 8, count, &j);
        for (int i = 0; i < 8; i++)
            assert_int_equal(j.runs[i], 1);
    }
    rv_pool_free(pool);
}

static void slow(void *context, int task, int worker)
{
    if (task % 2)
        nanosleep(&(struct timespec){0, 300000}, NULL);
    count(context, task, worker);
}

static void caller_sleeps(void **state)
{
    (void)state;
    rv_pool *pool = NULL;
    assert_int_equal(rv_pool_new(&pool, 4, NULL), RV_OK);
    for (int round = 0; round < 50; round++) {
        job j = {.workers = 4};
        rv_pool_run(pool, 4, slow, &j);
        for (int i = 0; i < 4; i++)
            assert_int_equal(j.runs[i], 1);
    }
    rv_pool_free(pool);
}

/* ---- parts of tasks ---- */

enum { PARTS = 40, SHARERS = 6 };

/* A task that hands out parts of itself, three times over. */
typedef struct sharing {
    rv_pool *pool;
    job parts[SHARERS];
    atomic_int inside[8]; /* parts or tasks that a worker is at */
    atomic_bool crowded;
} sharing;

typedef struct share {
    sharing *s;
    job *parts;
    int owner;
} share;

static void part(void *context, int number, int worker)
{
    share *h = context;
    /* The owner is at its task, a helper at nothing else. */
    if (atomic_fetch_add(&h->s->inside[worker], 1) != (worker == h->owner))
        atomic_store(&h->s->crowded, true);
    count(h->parts, number, worker);
    if (number % 8 == 0)
        nanosleep(&(struct timespec){0, 20000}, NULL);
    atomic_fetch_sub(&h->s->inside[worker], 1);
}

static void share_parts(void *context, int task, int worker)
{
    sharing *s = context;
    share h = {s, &s->parts[task], worker};
    if (atomic_fetch_add(&s->inside[worker], 1) != 0)
        atomic_store(&s->crowded, true);
    for (int turn = 0; turn < 3; turn++) {
        rv_pool_share(s->pool, worker, turn == 2 ? 1 : PARTS, part, &h);
        if (turn == 0 && task % 2 == 0) /* long enough for the others to fall asleep */
            nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    atomic_fetch_sub(&s->inside[worker], 1);
}

static void parts_once(void **state)
{
    (void)state;
    for (int workers = 1; workers <= 7; workers += 2) {
        rv_pool *pool;
        assert_int_equal(rv_pool_new(&pool, workers, NULL), RV_OK);
        for (int round = 0; round < 60; round++) {
            sharing s = {.pool = pool};
            const int tasks = round % (SHARERS + 1);
            for (int i = 0; i < SHARERS; i++)
                s.parts[i].workers = workers;
            rv_pool_run(pool, tasks, share_parts, &s);
            assert_false(atomic_load(&s.crowded));
            for (int i = 0; i < tasks; i++)
                for (int k = 0; k < PARTS; k++)
                    assert_int_equal(s.parts[i].runs[k], k == 0 ? 3 : 2);
        }
        rv_pool_free(pool);
    }
}

/* Two workers meet in the parts of one task: each waits for the other. */
typedef struct meeting {
    rv_pool *pool;
    atomic_int there;
} meeting;

static void meet(void *context, int number, int worker)
{
    (void)number;
    (void)worker;
    meeting *m = context;
    atomic_fetch_add(&m->there, 1);
    while (atomic_load(&m->there) < 2)
        nanosleep(&(struct timespec){0, 10000}, NULL);
}

static void call_a_meeting(void *context, int task, int worker)
{
    (void)task;
    rv_pool_share(((meeting *)context)->pool, worker, 2, meet, context);
}

static void helpers_come(void **state)
{
    (void)state;
    rv_pool *pool;
    assert_int_equal(rv_pool_new(&pool, 2, NULL), RV_OK);
    for (int tasks = 1; tasks <= 2; tasks++) { /* alone on the caller; beside another task */
        meeting m = {.pool = pool};
        rv_pool_run(pool, tasks, call_a_meeting, &m);
        assert_int_equal(atomic_load(&m.there), 2 * tasks);
    }
    rv_pool_free(pool);
}

typedef struct trace {
    int order[TASKS], n;
} trace;

static void note(void *context, int task, int worker)
{
    trace *t = context;
    assert_int_equal(worker, 0);
    t->order[t->n++] = task;
}

static void no_pool_runs_in_order(void **state)
{
    (void)state;
    trace t = {.n = 0};
    rv_pool_run(NULL, TASKS, note, &t);
    assert_int_equal(t.n, TASKS);
    for (int i = 0; i < TASKS; i++)
        assert_int_equal(t.order[i], i);
    assert_int_equal(rv_pool_workers(NULL), 1);
}

static void refused(void **state)
{
    (void)state;
    rv_pool *pool = NULL;
    rv_error err = {0};
    assert_int_equal(rv_pool_new(&pool, 0, &err), RV_E_RANGE);
    assert_int_equal(rv_pool_new(&pool, 100000, &err), RV_E_RANGE);
    assert_null(pool);
    assert_string_equal(err.message, "a pool has 1 to 1024 workers, not 100000");
    rv_pool_free(NULL);
}

static void arenas(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, 4097, (4u << 20) - 1, 4u << 20, (9u << 20) + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        rv_arena arena;
        assert_int_equal(rv_arena_init(&arena, sizes[i], NULL), RV_OK);
        assert_int_equal((uintptr_t)arena.base % (sizes[i] >= 4u << 20 ? 2u << 20 : 64), 0);
        for (size_t k = 0; k < sizes[i]; k += 512)
            assert_int_equal(((unsigned char *)arena.base)[k], 0);
        memset(arena.base, 1, sizes[i]);
        rv_arena_release(&arena);
        rv_arena_release(&arena);
    }
    rv_arena arena;
    rv_error err = {0};
    assert_int_equal(rv_arena_init(&arena, SIZE_MAX - 5, &err), RV_E_MEMORY);
    assert_int_equal(rv_arena_init(&arena, SIZE_MAX / 2, &err), RV_E_MEMORY);
    assert_null(arena.base);
    assert_int_equal(rv_arena_align(1), 64);
    assert_int_equal(rv_arena_align(128), 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_task_once),        cmocka_unit_test(after_sleep), cmocka_unit_test(caller_sleeps),
        cmocka_unit_test(parts_once),            cmocka_unit_test(helpers_come), cmocka_unit_test(no_pool_runs_in_order),
        cmocka_unit_test(refused),               cmocka_unit_test(arenas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
