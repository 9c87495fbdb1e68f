/* Crews: every piece once, no piece before the stage in front of it has ended, the failure that
 * a lone worker would have met first, and threads that come late or not at all.  Meant to be run
 * under TSan as well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/crew.h"

enum { STAGES = 40, MOST = 64, ROUNDS = 60 };

typedef struct job {
    int pieces[STAGES];
    int runs[STAGES][MOST]; /* plain: a piece belongs to one worker, and the barrier orders the rest */
    int sums[STAGES];       /* of runs of the stage before, as piece 0 of a stage finds them */
    int fail_stage, fail_piece, workers;
    atomic_bool bad_worker;
    bool slow;
} job;

static void nap(long nanoseconds)
{
    nanosleep(&(struct timespec){0, nanoseconds}, NULL);
}

static rv_status count(void *context, int stage, int piece, int worker, rv_error *err)
{
    job *j = context;
    j->runs[stage][piece]++;
    if (worker < 0 || worker >= j->workers)
        atomic_store(&j->bad_worker, true);
    if (piece == 0)
        for (int i = 0; stage > 0 && i < j->pieces[stage - 1]; i++)
            j->sums[stage] += j->runs[stage - 1][i];
    if (j->slow && (stage + piece) % 7 == 0)
        nap(100000);
    if (stage == j->fail_stage && piece >= j->fail_piece)
        return rv_fail(err, RV_E_RANGE, "piece %d of stage %d", piece, stage);
    return RV_OK;
}

static void make_job(job *j, const rv_crew *crew, int round)
{
    memset(j, 0, sizeof *j);
    j->fail_stage = -1;
    j->workers = rv_crew_workers(crew);
    for (int s = 0; s < STAGES; s++)
        j->pieces[s] = 1 + (s * 5 + round * 3) % rv_crew_most(crew);
}

static void check_job(job *j, int stages)
{
    assert_false(atomic_load(&j->bad_worker));
    for (int s = 0; s < STAGES; s++) {
        for (int i = 0; i < MOST; i++)
            assert_int_equal(j->runs[s][i], s < stages && i < j->pieces[s]);
        if (s > 0 && s < stages)
            assert_int_equal(j->sums[s], j->pieces[s - 1]);
    }
}

static void check_crew(rv_pool *pool, bool slow)
{
    rv_crew *crew = NULL;
    rv_error err = {0};
    assert_int_equal(rv_crew_new(&crew, pool, &err), RV_OK);
    assert_true(rv_crew_most(crew) <= MOST);
    for (int round = 0; round < (slow ? 4 : ROUNDS); round++) {
        job j;
        make_job(&j, crew, round);
        j.slow = slow;
        assert_int_equal(rv_crew_run(crew, j.pieces, round % (STAGES + 1), count, &j, &err), RV_OK);
        check_job(&j, round % (STAGES + 1));
        /* A crew that has failed works on. */
        make_job(&j, crew, round);
        j.fail_stage = round % STAGES;
        j.fail_piece = j.pieces[j.fail_stage] / 2;
        assert_int_equal(rv_crew_run(crew, j.pieces, STAGES, count, &j, &err), RV_E_RANGE);
        char expected[64];
        snprintf(expected, sizeof expected, "piece %d of stage %d", j.fail_piece, j.fail_stage);
        assert_string_equal(err.message, expected);
        check_job(&j, j.fail_stage + 1);
    }
    rv_crew_free(crew);
}

static void stages_in_order(void **state)
{
    (void)state;
    check_crew(NULL, false);
    for (int workers = 1; workers <= 9; workers += workers < 3 ? 1 : 2) {
        rv_pool *pool = NULL;
        assert_int_equal(rv_pool_new(&pool, workers, NULL), RV_OK);
        check_crew(pool, false);
        check_crew(pool, true);
        rv_pool_free(pool);
    }
}

/* Tasks one after the other on one thread: the first of them has to do it all. */
static void one_by_one(void *runner, int tasks, rv_task *task, void *context)
{
    for (int i = 0; i < tasks; i++)
        task(context, i, (*(int *)runner + i) % tasks);
}

static void one_thread_for_many(void **state)
{
    (void)state;
    for (int first = 0; first < 3; first++) {
        rv_pool *pool = NULL;
        assert_int_equal(rv_pool_new_over(&pool, 3, one_by_one, &first, NULL), RV_OK);
        check_crew(pool, false);
        rv_pool_free(pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stages_in_order), cmocka_unit_test(one_thread_for_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
