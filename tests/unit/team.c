/* Large products against sums in double, every orientation and combination; the same bits for any
 * number of workers, whoever computes a part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "matrix_help.h"
#include "tensor/kernels/cpu/team.h"

static rv_team team_of(rv_pool *pool)
{
    return (rv_team){pool, 0, aligned_alloc(64, (size_t)rv_pool_workers(pool) * RV_TEAM_ROOM)};
}

/* What a task of a pool computes, so that the other workers help. */
typedef struct call {
    rv_team team;
    int64_t m, n, k;
    rv_matrix a, b;
    bool symmetric, whole;
    rv_sum to;
} call;

static void run_call(void *context, int task, int worker)
{
    (void)task;
    call c = *(const call *)context;
    c.team.worker = worker;
    if (c.symmetric)
        rv_team_symmetric(&c.team, c.n, c.k, c.a, c.b, c.whole, &c.to);
    else
        rv_team_product(&c.team, c.m, c.n, c.k, c.a, c.b, &c.to);
}

/* c [m, ld] of the call with as many workers, from what stands in `from`. */
static float *computed(call c, int workers, const float *from, bool in_place)
{
    const size_t bytes = (size_t)(c.m * c.to.ld + 1) * sizeof(float);
    rv_pool *pool;
    float *out = malloc(bytes);
    assert_non_null(out);
    assert_int_equal(rv_pool_new(&pool, workers, NULL), RV_OK);
    for (int64_t i = 0; i < c.m * c.to.ld; i++)
        out[i] = in_place ? from[i] : NAN; /* what is not a base is not read */
    c.team = team_of(pool);
    c.to.base = in_place ? out : c.to.keep != 0 ? from : NULL;
    c.to.c = out;
    rv_pool_run(pool, 1, run_call, &c);
    rv_pool_free(pool);
    free(c.team.rooms);
    return out;
}

static double element(rv_matrix x, int64_t i, int64_t j)
{
    return (double)(x.transposed ? x.data[j * x.ld + i] : x.data[i * x.ld + j]);
}

static void expect(const call *c, const float *base, const float *found)
{
    for (int64_t i = 0; i < c->m; i++)
        for (int64_t j = 0; j < c->n; j++) {
            double sum = 0, scale = 1;
            if (c->symmetric && !c->whole && j > i)
                continue;
            for (int64_t p = 0; p < c->k; p++) {
                const double term = element(c->a, i, p) * element(c->b, p, j);
                sum += term;
                scale += fabs(term);
            }
            const double want = (double)c->to.weight * sum + (c->to.keep != 0 ? (double)c->to.keep * (double)base[i * c->to.ld + j] : 0);
            if (!(fabs((double)found[i * c->to.ld + j] - want) <= 4e-6 * scale))
                fail_msg("%lld x %lld x %lld (%d, %d) at %lld, %lld: expected %g, found %g", (long long)c->m,
                         (long long)c->n, (long long)c->k, c->a.transposed, c->b.transposed, (long long)i, (long long)j,
                         want, (double)found[i * c->to.ld + j]);
        }
}

/* With one worker right, with three the same bits. */
static void check(call c, const float *base, bool in_place)
{
    float *one = computed(c, 1, base, in_place);
    expect(&c, base, one);
    float *three = computed(c, 3, base, in_place);
    for (int64_t i = 0; i < c.m; i++)
        if (memcmp(one + i * c.to.ld, three + i * c.to.ld, (size_t)(c.symmetric && !c.whole ? i + 1 : c.n) * sizeof *one) != 0)
            fail_msg("%lld x %lld x %lld: other bits with three workers", (long long)c.m, (long long)c.n, (long long)c.k);
    free(three);
    free(one);
}

/* Below and above the edges of tiles, panels, groups, depths, and of what is read in place. */
static const int64_t shapes[][3] = {{1, 1, 1}, {13, 33, 7}, {70, 65, 71}, {200, 129, 257}, {49, 1100, 90}, {1030, 40, 110}, {97, 260, 1600}};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static void products(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++)
        for (int mode = 0; mode < 4; mode++) {
            const int64_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2], ld = n + 3;
            const bool ta = mode & 1, tb = mode & 2;
            const int64_t lda = (ta ? m : k) + 2, ldb = (tb ? k : n) + 1;
            float *a = filled((ta ? k : m) * lda, 1), *b = filled((tb ? n : k) * ldb, 2), *base = filled(m * ld, 3);
            call c = {.m = m, .n = n, .k = k, .a = {a, lda, ta}, .b = {b, ldb, tb}, .to = {.weight = 1, .ld = ld}};
            check(c, base, false);
            c.to.weight = -0.5f;
            c.to.keep = 3;
            check(c, base, false);
            check(c, base, true);
            free(a);
            free(b);
            free(base);
        }
}

static void make_symmetric(float *x, int64_t n, int64_t ld)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++)
            x[j * ld + i] = x[i * ld + j];
}

static void symmetric_products(void **state)
{
    (void)state;
    static const int64_t sizes[][2] = {{1, 1}, {16, 5}, {33, 70}, {100, 31}, {193, 800}, {390, 48}, {1040, 20}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (int mode = 0; mode < 4; mode++) {
            const int64_t n = sizes[s][0], k = sizes[s][1], ld = n + 5;
            const bool turned = mode & 1;
            const int64_t lda = turned ? n : k;
            float *a = filled(n * k, 4), *base = filled(n * ld, 5);
            make_symmetric(base, n, ld);
            call c = {.m = n, .n = n, .k = k, .a = {a, lda, turned}, .b = {a, lda, !turned}, .symmetric = true,
                      .whole = mode & 2, .to = {.weight = 1, .ld = ld}};
            check(c, base, false);
            c.to.weight = 0.25f;
            c.to.keep = -2;
            check(c, base, false);
            check(c, base, true);
            float *whole = computed(c, 2, base, false);
            for (int64_t i = 0; i < n && c.whole; i++)
                for (int64_t j = 0; j < i; j++)
                    assert_true(whole[i * ld + j] == whole[j * ld + i]);
            free(whole);
            free(a);
            free(base);
        }
}

/* A symmetric matrix times itself, as a x a and as a x a'. */
static void squares(void **state)
{
    (void)state;
    enum { N = 210 };
    float *a = filled(N * N, 6);
    make_symmetric(a, N, N);
    call c = {.m = N, .n = N, .k = N, .a = {a, N, false}, .b = {a, N, false}, .symmetric = true, .whole = true,
              .to = {.weight = 2, .keep = -4, .ld = N}};
    check(c, a, false);
    float *plain = computed(c, 1, a, false);
    c.b.transposed = true;
    float *turned = computed(c, 1, a, false);
    assert_memory_equal(plain, turned, N * N * sizeof *a);
    free(plain);
    free(turned);
    free(a);
}

static void empty(void **state)
{
    (void)state;
    float c[6] = {1, 2, 3, 4, 5, 6};
    const rv_team team = team_of(NULL);
    const rv_sum keep = {1, 2, c, c, 3}, clear = {1, 0, NULL, c, 3};
    rv_team_product(&team, 2, 3, 0, (rv_matrix){NULL, 0, false}, (rv_matrix){NULL, 3, false}, &keep);
    for (int i = 0; i < 6; i++)
        assert_true(c[i] == 2.0f * (float)(i + 1));
    rv_team_product(&team, 0, 3, 5, (rv_matrix){NULL, 5, false}, (rv_matrix){NULL, 3, false}, &clear);
    assert_true(c[0] == 2);
    rv_team_product(&team, 2, 3, 0, (rv_matrix){NULL, 0, false}, (rv_matrix){NULL, 3, false}, &clear);
    for (int i = 0; i < 6; i++)
        assert_true(c[i] == 0);
    free(team.rooms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products),
        cmocka_unit_test(symmetric_products),
        cmocka_unit_test(squares),
        cmocka_unit_test(empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
