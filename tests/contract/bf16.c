/* State in bf16, for every method: what is declared to shrink does, bits do not depend on workers
 * or restarts, and 1000 steps stay beside the double path, how close is stated here. */
#include "fixture.h"
#include "optim/dice.h"

static void make_seeded(fixture *f, const rv_method_info *info, int count, rv_dtype dtype, rv_dtype state_dtype,
                        rv_pool *pool, uint64_t seed)
{
    rv_error err;
    fixture_init(f, count, dtype);
    const rv_optimizer_options options = {.method = full_name(info), .params = test_params(info), .dtype = dtype,
                                          .state_dtype = state_dtype, .pool = pool, .seed = seed};
    must(rv_optimizer_new_flat(&f->optimizer, &options, &f->layout, f->w, &err), &err);
}

static void make(fixture *f, const rv_method_info *info, int count, rv_dtype dtype, rv_dtype state_dtype, rv_pool *pool)
{
    make_seeded(f, info, count, dtype, state_dtype, pool, 7);
}

static void walk(fixture *f, int steps)
{
    for (int step = 0; step < steps; step++) {
        bowl_gradient(f);
        fixture_step(f);
    }
}

/* ---- memory ----------------------------------------------------------------- */

/* Arrays that are bf16 take half; only slots of the tensor's shape are. */
static void test_bytes(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        fixture f, wide;
        make(&f, info, LARGE, RV_F32, RV_BF16, NULL);
        make(&wide, info, LARGE, RV_F32, RV_F32, NULL);
        saved a = save(f.optimizer), b = save(wide.optimizer);
        size_t bytes = 0;
        assert_int_equal(a.count, b.count);
        for (int i = 0; i < a.count; i++) {
            assert_string_equal(a.arrays[i].name, b.arrays[i].name);
            assert_true(rv_shape_equal(&a.arrays[i].shape, &b.arrays[i].shape));
            assert_true(a.arrays[i].dtype == RV_BF16 || a.arrays[i].dtype == b.arrays[i].dtype);
            assert_true(saved_bytes(&a.arrays[i]) == saved_bytes(&b.arrays[i]) / (a.arrays[i].dtype == RV_BF16 ? 2 : 1));
            bytes += saved_bytes(&a.arrays[i]);
        }
        assert_int_equal(rv_optimizer_bytes(f.optimizer), bytes);
        saved_release(&a);
        saved_release(&b);
        fixture_release(&f);
        fixture_release(&wide);
    }
    /* The promise by name: AdamW's state is four bytes a parameter in place of eight. */
    fixture f;
    rv_optimizer_row row[TENSORS];
    make(&f, rv_method_find("adamw"), LARGE, RV_F32, RV_BF16, NULL);
    rv_optimizer_rows(f.optimizer, row, TENSORS);
    assert_int_equal(row[0].bytes, 4 * 17 * 8);
    fixture_release(&f);
}

/* ---- bits -------------------------------------------------------------------- */

static void test_threads_and_restart(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        fixture first;
        make(&first, info, TENSORS, RV_F32, RV_BF16, NULL);
        walk(&first, 6);
        saved a = save(first.optimizer);
        for (int workers = 2; workers <= 7; workers += 5) {
            rv_pool *pool;
            rv_error err;
            fixture f;
            must(rv_pool_new(&pool, workers, &err), &err);
            make(&f, info, TENSORS, RV_F32, RV_BF16, pool);
            walk(&f, workers == 2 ? 3 : 6);
            if (workers == 2) { /* a restart in the middle as well */
                saved half = save(f.optimizer);
                fixture g;
                make(&g, info, TENSORS, RV_F32, RV_BF16, pool);
                must(rv_optimizer_restore(g.optimizer, half.arrays, half.count, &err), &err);
                memcpy(g.w, f.w, (size_t)f.layout.size * sizeof(float));
                saved_release(&half);
                fixture_release(&f);
                f = g;
                walk(&f, 3);
            }
            saved b = save(f.optimizer);
            if (memcmp(first.w, f.w, (size_t)f.layout.size * sizeof(float)) != 0 || !saved_equal(&a, &b))
                fail_msg("%s: other bits with %d workers", info->name, workers);
            saved_release(&b);
            fixture_release(&f);
            rv_pool_free(pool);
        }
        saved_release(&a);
        fixture_release(&first);
    }
}

/* Float32 state is refused by an optimizer with bf16 state, and the other way round. */
static void test_restore_refuses_another_type(void **state)
{
    (void)state;
    fixture f, wide;
    rv_error err;
    make(&f, rv_method_find("adamw"), LARGE, RV_F32, RV_BF16, NULL);
    make(&wide, rv_method_find("adamw"), LARGE, RV_F32, RV_F32, NULL);
    saved a = save(f.optimizer), b = save(wide.optimizer);
    assert_int_equal(rv_optimizer_restore(f.optimizer, b.arrays, b.count, &err), RV_E_MISMATCH);
    assert_non_null(strstr(err.message, "bf16"));
    assert_int_equal(rv_optimizer_restore(wide.optimizer, a.arrays, a.count, &err), RV_E_MISMATCH);
    saved_release(&a);
    saved_release(&b);
    fixture_release(&f);
    fixture_release(&wide);
}

/* ---- distance ----------------------------------------------------------------- */

/* With a drift, so that the weights go somewhere. */
static void drifting_gradient(fixture *f, int64_t step)
{
    fixed_gradient(f, step);
    EACH_ELEMENT(f, i)
    put(f->g, f->dtype, i, get(f->g, f->dtype, i) + (i % 2 ? 0.25 : -0.25));
}

typedef struct distance {
    double largest, mean; /* over the elements, of what they differ by; relative to 1 + max |w| */
} distance;

static distance measure_seed(const rv_method_info *info, rv_dtype dtype, uint64_t seed)
{
    fixture f, d;
    make_seeded(&f, info, LARGE, dtype, RV_BF16, NULL, seed);
    make(&d, info, LARGE, RV_F64, RV_F64, NULL);
    const bool estimates = estimates_a_distance(info);
    for (int64_t step = 0; step < (estimates ? 100 : 1000); step++) {
        if (estimates) {
            bowl_gradient(&f);
            bowl_gradient(&d);
        } else {
            drifting_gradient(&f, step);
            drifting_gradient(&d, step);
        }
        fixture_step(&f);
        fixture_step(&d);
    }
    double most = 0, count = 0;
    distance found = {0, 0};
    EACH_ELEMENT(&d, i)
    {
        const double apart = get(f.w, dtype, i) - get(d.w, RV_F64, i);
        found.largest = fmax(found.largest, fabs(apart));
        found.mean += apart;
        most = fmax(most, fabs(get(d.w, RV_F64, i)));
        count++;
    }
    fixture_release(&f);
    fixture_release(&d);
    return (distance){found.largest / (1 + most), fabs(found.mean) / count / (1 + most)};
}

/* Of three seeds on average: one alone can be lucky. */
static distance measure(const rv_method_info *info, rv_dtype dtype)
{
    enum { SEEDS = 3 };
    distance sum = {0, 0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const distance one = measure_seed(info, dtype, seed);
        sum.largest += one.largest / SEEDS;
        sum.mean += one.mean / SEEDS;
    }
    return sum;
}

static bool packs(const rv_method_info *info)
{
    fixture f;
    make(&f, info, LARGE, RV_F32, RV_BF16, NULL);
    saved s = save(f.optimizer);
    bool any = false;
    for (int i = 0; i < s.count; i++)
        any |= s.arrays[i].dtype == RV_BF16;
    saved_release(&s);
    fixture_release(&f);
    return any;
}

/* A rounding of 2^-9 on average, a thousand times, lets an element wander by some hundredths of
 * the way that weights went; without a bias the elements' mean stays far closer.  Where the state
 * also says how long all steps are, twice as far. */
static void test_bf16_follows_double(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        for (int dtype = RV_F32; dtype <= RV_F64; dtype++) {
            if (!packs(info))
                continue; /* nothing is bf16: precision.c holds its float path */
            const distance found = measure(info, (rv_dtype)dtype);
            print_message("%-20s %s  largest %.1e  mean %.1e\n", info->name, rv_dtype_name((rv_dtype)dtype), found.largest,
                          found.mean);
            const double allowed = estimates_a_distance(info) ? 5e-2 : 2e-2;
            if (!(found.largest <= allowed && found.mean <= 1e-3))
                fail_msg("%s: %.2e apart, %.2e in the mean; %.0e and 1e-3 allowed", info->name, found.largest, found.mean,
                         allowed);
        }
    }
}

/* ---- rounding ------------------------------------------------------------------- */

static float round_trip(float x, uint32_t die)
{
    return rv_bf16_open(rv_bf16_close(x, die) & 0xFFFF0000u);
}

/* Over all dice the mean is the number, and what bf16 holds stays. */
static void test_rounding(void **state)
{
    (void)state;
    static const float values[] = {1.0f, 1.001f, -3.14159f, 1e-30f, 1e-44f, 3e38f, 0.0f, -0.0f};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        double sum = 0;
        for (uint32_t die = 0; die < 65536; die++)
            sum += (double)round_trip(values[i], die);
        assert_true(fabs(sum / 65536 - (double)values[i]) <= 1e-9 * fabs((double)values[i]) || values[i] == 3e38f);
        const float held = round_trip(values[i], 0);
        for (uint32_t die = 0; die < 65536; die += 13)
            assert_true(round_trip(held, die) == held);
    }
    assert_true(isfinite(round_trip(3.4e38f, 65535))); /* not rounded beyond the type */
    assert_true(isinf(round_trip(INFINITY, 65535)));
}

/* Dice are uniform: their sum, the product of neighbours, of both halves, and of two blocks have the mean and
 * spread of independent ones. */
static void test_dice(void **state)
{
    (void)state;
    enum { N = 1 << 20 };
    static double x[2][N], y[2][N];
    for (int block = 0; block < 2; block++) {
        uint32_t words[4];
        rv_random_block((rv_random){.seed = 7, .purpose = RV_RANDOM_OPTIMIZER, .step = 77}, (uint64_t)block, words);
        const rv_dice_key key = {words[0], words[1]};
        for (uint32_t i = 0; i < N; i++) {
            const uint32_t dice = rv_dice_roll(key, i);
            x[block][i] = (dice & 0xFFFF) / 65535.0 - 0.5;
            y[block][i] = (dice >> 16) / 65535.0 - 0.5;
        }
    }
    double sum[6] = {0}, square = 0;
    for (int i = 0; i < N; i++) {
        const int next = (i + 1) % N;
        square += x[0][i] * x[0][i];
        sum[0] += x[0][i] * sqrt(1 / 12.0);
        sum[1] += y[0][i] * sqrt(1 / 12.0);
        sum[2] += x[0][i] * x[0][next];
        sum[3] += y[0][i] * y[0][next];
        sum[4] += x[0][i] * y[0][i];
        sum[5] += x[0][i] * x[1][i];
    }
    assert_true(fabs(square / N * 12 - 1) < 5 * sqrt(0.8 / N)); /* the square's spread is sqrt(0.8) of its mean */
    for (int k = 0; k < 6; k++)
        assert_true(fabs(sum[k] * 12) < 5 * sqrt(N));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_threads_and_restart),
        cmocka_unit_test(test_restore_refuses_another_type),
        cmocka_unit_test(test_bf16_follows_double),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_dice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
