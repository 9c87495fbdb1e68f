/* The C ABI where a host brings its own: memory, threads, closures, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ravine/optim.h"

enum { ROWS = 20, COLS = 30, SIZE = ROWS * COLS };

static const rv_tensor tensors[] = {{.name = "w", .role = RV_ROLE_HIDDEN, .shape = {2, {ROWS, COLS}}},
                                    {.name = "b", .role = RV_ROLE_BIAS, .shape = {1, {ROWS}}}};

typedef struct model {
    float w[SIZE], b[ROWS], gw[SIZE], gb[ROWS];
} model;

static void fill(model *m)
{
    for (int i = 0; i < SIZE; i++)
        m->w[i] = (float)sin(0.3 * i);
    for (int i = 0; i < ROWS; i++)
        m->b[i] = (float)cos(0.5 * i);
}

static void gradient(model *m)
{
    for (int i = 0; i < SIZE; i++)
        m->gw[i] = m->w[i] - 0.1f * (float)(i % 7);
    for (int i = 0; i < ROWS; i++)
        m->gb[i] = m->b[i] + 0.5f;
}

static rv_optimizer *make(rv_optimizer_options options, model *m)
{
    const void *w[] = {m->w, m->b};
    rv_optimizer *optimizer;
    rv_error err;
    options.method = "adamw";
    if (rv_optimizer_new(&optimizer, &options, tensors, 2, w, &err) != RV_OK)
        fail_msg("%s", err.message);
    return optimizer;
}

static void step(rv_optimizer *optimizer, model *m)
{
    void *w[] = {m->w, m->b};
    const void *g[] = {m->gw, m->gb};
    rv_error err;
    gradient(m);
    if (rv_optimizer_step(optimizer, w, g, &err) != RV_OK)
        fail_msg("%s", err.message);
}

static void test_version(void **state)
{
    (void)state;
    assert_int_equal(rv_optim_abi(), RV_OPTIM_ABI);
}

/* ---- memory -------------------------------------------------------------------- */

typedef struct memory {
    int blocks, calls, fail_at; /* call number fail_at is refused; 0: none */
    size_t bytes, skew;
} memory;

static void *allocate(void *context, size_t size)
{
    memory *m = context;
    void *block = NULL;
    if (++m->calls == m->fail_at || posix_memalign(&block, 64, size + 64) != 0)
        return NULL;
    memset(block, 0xA5, size + 64); /* what it holds must not matter */
    m->blocks++;
    m->bytes += size;
    return (char *)block + m->skew;
}

static void release(void *context, void *block, size_t size)
{
    memory *m = context;
    m->blocks--;
    m->bytes -= size;
    free((char *)block - m->skew);
}

static void test_allocator(void **state)
{
    (void)state;
    memory m = {0};
    const rv_allocator allocator = {allocate, release, &m};
    model a, b;
    fill(&a);
    fill(&b);
    const char *wrappers = "clip_norm(max_norm=0.1),ema";
    rv_optimizer *own = make((rv_optimizer_options){.allocator = &allocator, .wrappers = wrappers}, &a);
    rv_optimizer *plain = make((rv_optimizer_options){.wrappers = wrappers}, &b);
    assert_true(m.blocks == 2); /* state and the buffer of the filter; AdamW needs no workspace */
    assert_true(m.bytes >= rv_optimizer_bytes(own) - 64);
    const int calls = m.calls;
    for (int i = 0; i < 5; i++) {
        step(own, &a);
        step(plain, &b);
    }
    assert_int_equal(m.calls, calls);
    assert_memory_equal(&a, &b, sizeof a);
    rv_optimizer_free(own);
    rv_optimizer_free(plain);
    assert_true(m.blocks == 0 && m.bytes == 0);
}

static void test_allocator_fails(void **state)
{
    (void)state;
    model a;
    fill(&a);
    const void *w[] = {a.w, a.b};
    for (int fail_at = 1; fail_at <= 2; fail_at++) {
        memory m = {.fail_at = fail_at};
        const rv_allocator allocator = {allocate, release, &m};
        const rv_optimizer_options options = {.method = "adamw", .wrappers = "clip_norm", .allocator = &allocator};
        rv_optimizer *optimizer;
        rv_error err;
        assert_int_equal(rv_optimizer_new(&optimizer, &options, tensors, 2, w, &err), RV_E_MEMORY);
        assert_null(optimizer);
        assert_int_equal(m.blocks, 0);
    }
    memory m = {.skew = 8};
    const rv_allocator skewed = {allocate, release, &m}, half = {allocate, NULL, &m};
    rv_optimizer *optimizer;
    rv_error err;
    rv_optimizer_options options = {.method = "adamw", .allocator = &skewed};
    assert_int_equal(rv_optimizer_new(&optimizer, &options, tensors, 2, w, &err), RV_E_ARGUMENT);
    assert_non_null(strstr(err.message, "64-byte"));
    assert_int_equal(m.blocks, 0);
    options.allocator = &half;
    assert_int_equal(rv_optimizer_new(&optimizer, &options, tensors, 2, w, &err), RV_E_ARGUMENT);
}

/* ---- threads --------------------------------------------------------------------- */

static int jobs;

/* Backwards, and with another worker each time: nothing may depend on it. */
static void backwards(void *runner, int tasks, rv_task *task, void *context)
{
    assert_ptr_equal(runner, &jobs);
    jobs++;
    for (int i = tasks - 1; i >= 0; i--)
        task(context, i, i % 3);
}

static void test_threads_of_the_caller(void **state)
{
    (void)state;
    enum { BIG = 300, N = BIG * BIG };
    const rv_tensor big = {.name = "w", .role = RV_ROLE_HIDDEN, .shape = {2, {BIG, BIG}}};
    static float w[2][N], g[N];
    rv_pool *pool;
    rv_error err;
    assert_int_equal(rv_pool_new_over(&pool, 0, backwards, &jobs, &err), RV_E_RANGE);
    assert_int_equal(rv_pool_new_over(&pool, 3, backwards, &jobs, &err), RV_OK);
    assert_int_equal(rv_pool_workers(pool), 3);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < N; i++) {
            w[k][i] = (float)sin(0.01 * i);
            g[i] = (float)cos(0.03 * i);
        }
        const rv_optimizer_options options = {.method = "adamw", .wrappers = "clip_norm", .pool = k == 0 ? pool : NULL};
        const void *start[] = {w[k]}, *gradients[] = {g};
        void *weights[] = {w[k]};
        rv_optimizer *optimizer;
        assert_int_equal(rv_optimizer_new(&optimizer, &options, &big, 1, start, &err), RV_OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(rv_optimizer_step(optimizer, weights, gradients, &err), RV_OK);
        rv_optimizer_free(optimizer);
    }
    assert_true(jobs >= 3);
    assert_memory_equal(w[0], w[1], sizeof w[0]);
    rv_pool_free(pool);
}

/* ---- files ------------------------------------------------------------------------- */

static void test_save_and_load(void **state)
{
    (void)state;
    char path[256];
    rv_error err;
    model a, b;
    snprintf(path, sizeof path, "%s/ravine-%ld-optimizer.safetensors", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp",
             (long)getpid());
    fill(&a);
    rv_optimizer_options options = {.wrappers = "ema,lookahead(k=2)", .state_dtype = RV_BF16};
    rv_optimizer *first = make(options, &a);
    for (int i = 0; i < 3; i++)
        step(first, &a);
    assert_int_equal(rv_optimizer_save(first, path, &err), RV_OK);
    b = a;
    rv_optimizer *second = make(options, &b);
    assert_int_equal(rv_optimizer_load(second, path, &err), RV_OK);
    for (int i = 0; i < 3; i++) {
        step(first, &a);
        step(second, &b);
    }
    assert_memory_equal(&a, &b, sizeof a);
    /* The file says what it belongs to. */
    rv_array_set set;
    assert_int_equal(rv_safetensors_read(path, &set, &err), RV_OK);
    assert_non_null(strstr(set.metadata, "adamw"));
    assert_non_null(strstr(set.metadata, "lookahead"));
    rv_array_set_release(&set);
    /* Another optimizer refuses it and names the file. */
    rv_optimizer *other = make((rv_optimizer_options){.wrappers = "ema"}, &b);
    assert_int_equal(rv_optimizer_load(other, path, &err), RV_E_MISMATCH);
    assert_non_null(strstr(err.message, "lookahead.slow.w"));
    assert_non_null(strstr(err.message, path));
    assert_int_equal(rv_optimizer_steps(other), 0);
    remove(path);
    assert_int_equal(rv_optimizer_load(other, path, &err), RV_E_IO);
    rv_optimizer_free(first);
    rv_optimizer_free(second);
    rv_optimizer_free(other);
}

/* ---- closures ------------------------------------------------------------------------ */

typedef struct asked {
    int calls;
    rv_status answer;
    const void *w0;
} asked;

static rv_status closure(void *context, rv_probe probe, const void *const *w, void *const *g, double *loss, rv_error *err)
{
    asked *a = context;
    a->calls++;
    a->w0 = w[0];
    *loss = 1;
    if (probe != RV_PROBE_GRADIENT || a->answer != RV_OK)
        return rv_fail(err, a->answer, "the closure says no");
    for (int i = 0; i < SIZE; i++)
        ((float *)g[0])[i] = ((const float *)w[0])[i];
    for (int i = 0; i < ROWS; i++)
        ((float *)g[1])[i] = ((const float *)w[1])[i];
    return RV_OK;
}

/* The weights that a closure sees are not those that are trained, and its refusal ends the step. */
static void test_closure(void **state)
{
    (void)state;
    model m, before;
    memset(&m, 0, sizeof m);
    fill(&m);
    asked a = {0};
    void *w[] = {m.w, m.b};
    const void *g[] = {m.gw, m.gb};
    rv_error err;
    rv_optimizer *sam = make((rv_optimizer_options){.wrappers = "sam"}, &m);
    assert_true(rv_optimizer_wants_closure(sam));
    gradient(&m);
    assert_int_equal(rv_optimizer_step_closure(sam, w, g, closure, &a, &err), RV_OK);
    assert_true(a.calls == 1 && a.w0 != (const void *)m.w);
    before = m;
    a.answer = RV_E_NUMERIC;
    assert_int_equal(rv_optimizer_step_closure(sam, w, g, closure, &a, &err), RV_E_NUMERIC);
    assert_string_equal(err.message, "the closure says no");
    assert_memory_equal(&m, &before, sizeof m);
    assert_int_equal(rv_optimizer_steps(sam), 1);
    /* A closure on flat vectors needs the layout that only the flat constructor is given. */
    assert_int_equal(rv_optimizer_step_closure_flat(sam, m.w, m.gw, (rv_closure_flat *)(void (*)(void))closure, &a, &err),
                     RV_E_ARGUMENT);
    rv_optimizer_free(sam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version),       cmocka_unit_test(test_allocator),
        cmocka_unit_test(test_allocator_fails), cmocka_unit_test(test_threads_of_the_caller),
        cmocka_unit_test(test_save_and_load), cmocka_unit_test(test_closure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
