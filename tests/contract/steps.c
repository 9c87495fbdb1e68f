/* Steps of every method: the same bits for any number of workers and across a restart at
 * any step, still weights for zero gradients, descent, and counters beyond 2^31. */
#include "fixture.h"

/* Weights and state after some steps on the bowl with `workers` workers. */
static saved trained(fixture *f, const rv_method_info *info, int count, rv_dtype dtype, int workers, int steps)
{
    rv_pool *pool = NULL;
    rv_error err;
    fixture_init(f, count, dtype);
    if (workers > 1)
        must(rv_pool_new(&pool, workers, &err), &err);
    must(fixture_optimizer(f, full_name(info), test_params(info), pool, &err), &err);
    for (int step = 0; step < steps; step++) {
        bowl_gradient(f);
        fixture_step(f);
    }
    saved s = save(f->optimizer);
    rv_optimizer_free(f->optimizer);
    f->optimizer = NULL;
    rv_pool_free(pool);
    return s;
}

static void test_threads(void **state)
{
    (void)state;
    static const int workers[] = {1, 2, 3, 7};
    EACH_METHOD(info)
    {
        for (int dtype = RV_F32; dtype <= RV_F64; dtype++) {
            fixture first, other;
            saved a = trained(&first, info, TENSORS, (rv_dtype)dtype, 1, 4);
            for (int i = 0; i < 4; i++) {
                saved b = trained(&other, info, TENSORS, (rv_dtype)dtype, workers[i], 4);
                const size_t bytes = (size_t)first.layout.size * rv_dtype_size(first.dtype);
                if (memcmp(first.w, other.w, bytes) != 0 || !saved_equal(&a, &b))
                    fail_msg("%s: other bits with %d workers", info->name, workers[i]);
                saved_release(&b);
                fixture_release(&other);
            }
            saved_release(&a);
            fixture_release(&first);
        }
    }
}

/* k steps, a new optimizer with the saved state, and the rest: at every k. */
static void test_resume_at_every_step(void **state)
{
    (void)state;
    enum { STEPS = 8 };
    EACH_METHOD(info)
    {
        fixture whole;
        saved end = trained(&whole, info, LARGE, RV_F32, 1, STEPS);
        for (int stop = 0; stop <= STEPS; stop++) {
            fixture f;
            rv_error err;
            saved half = trained(&f, info, LARGE, RV_F32, 1, stop);
            must(fixture_optimizer(&f, full_name(info), test_params(info), NULL, &err), &err);
            must(rv_optimizer_restore(f.optimizer, half.arrays, half.count, &err), &err);
            assert_int_equal(rv_optimizer_steps(f.optimizer), stop);
            for (int step = stop; step < STEPS; step++) {
                bowl_gradient(&f);
                fixture_step(&f);
            }
            saved again = save(f.optimizer);
            assert_true(saved_equal(&end, &again));
            assert_memory_equal(f.w, whole.w, (size_t)f.layout.size * sizeof(float));
            saved_release(&again);
            saved_release(&half);
            fixture_release(&f);
        }
        saved_release(&end);
        fixture_release(&whole);
    }
}

/* The smallest numbers of the type, in gradients and in weights. */
static void test_denormals(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        for (int dtype = RV_F32; dtype <= RV_F64; dtype++) {
            fixture f;
            rv_error err;
            fixture_init(&f, LARGE, (rv_dtype)dtype);
            const double tiny = dtype == RV_F32 ? 1e-44 : 5e-324;
            must(fixture_optimizer(&f, full_name(info), "", NULL, &err), &err);
            EACH_ELEMENT(&f, i)
            {
                put(f.g, f.dtype, i, i % 2 ? tiny : -tiny);
                if (i % 3 == 0)
                    put(f.w, f.dtype, i, tiny);
            }
            for (int step = 0; step < 3; step++)
                fixture_step(&f);
            EACH_ELEMENT(&f, i)
            assert_true(isfinite(get(f.w, f.dtype, i)));
            fixture_release(&f);
        }
    }
}

static bool leaves_tensors_to_adamw(const rv_method_info *info)
{
    const rv_method *method = NULL;
    assert_int_equal(rv_method_lookup(info->name, &method, NULL), RV_OK);
    for (int i = 0; i < method->rule_count; i++)
        if (strcmp(method->rules[i].method, "adamw") == 0)
            return true;
    return false;
}

/* Parameters without decay of any kind; NULL: the method shrinks weights by its nature. */
static const char *still_params(const rv_method_info *info)
{
    if (strcmp(info->name, "fromage") == 0)
        return NULL;
    if (strcmp(info->name, "asgd") == 0)
        return "lambd=0";
    if (rv_params_find(info->params, "unconstrained"))
        return "unconstrained=true";
    if (leaves_tensors_to_adamw(info))
        return "weight_decay=0,adamw.weight_decay=0";
    return rv_params_find(info->params, "weight_decay") ? "weight_decay=0" : "";
}

/* Without decay, zero gradients move nothing at all. */
static void test_zero_gradients(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        if (!still_params(info))
            continue;
        fixture f;
        rv_error err;
        fixture_init(&f, LARGE, RV_F32);
        must(fixture_optimizer(&f, full_name(info), still_params(info), NULL, &err), &err);
        float *before = malloc((size_t)f.layout.size * sizeof *before);
        memcpy(before, f.w, (size_t)f.layout.size * sizeof *before);
        for (int step = 0; step < 3; step++)
            fixture_step(&f);
        if (memcmp(before, f.w, (size_t)f.layout.size * sizeof *before) != 0)
            fail_msg("%s moves without a gradient", info->name);
        free(before);
        fixture_release(&f);
    }
}

/* What else a method needs for the bowl; sophia_g's default is the batch size of a language model, and the bound
 * of K-FAC's steps, which no rate lifts, is made for losses of a few nats: 400 of them end short of the middle. */
static const char *descent_params(const rv_method_info *info)
{
    if (looks_at_layers(info))
        return ",adamw.lr=0.03,kl_clip=0.1";
    if (leaves_tensors_to_adamw(info))
        return ",adamw.lr=0.03";
    if (rv_params_find(info->params, "unconstrained"))
        return ",unconstrained=true";
    return strcmp(info->name, "sophia_g") == 0 ? ",bs=1" : "";
}

/* Some learning rate of a coarse grid takes the bowl below a hundredth of its start. */
static void test_descent(void **state)
{
    (void)state;
    static const char *const grid[] = {"lr=0.003", "lr=0.01", "lr=0.03", "lr=0.1", "lr=0.3", "lr=1", "lr=3"};
    EACH_METHOD(info)
    {
        double best = HUGE_VAL, start = 0;
        for (size_t k = 0; k < sizeof grid / sizeof grid[0]; k++) {
            fixture f;
            rv_error err;
            char params[128];
            fixture_init(&f, LARGE, RV_F32);
            start = bowl(&f);
            snprintf(params, sizeof params, "%s%s", grid[k], descent_params(info));
            must(fixture_optimizer(&f, full_name(info), params, NULL, &err), &err);
            for (int step = 0; step < 400; step++) {
                bowl_gradient(&f);
                rv_optimizer_set_lr_factor(f.optimizer, 1 - step / 400.0);
                if (rv_optimizer_step_closure_flat(f.optimizer, f.w, f.g, bowl_closure, &f, &err) != RV_OK)
                    break;
            }
            rv_optimizer_evaluation_weights_flat(f.optimizer, f.w, f.g, NULL);
            memcpy(f.w, f.g, (size_t)f.layout.size * sizeof(float));
            best = fmin(best, bowl(&f));
            fixture_release(&f);
        }
        if (!(best < 0.01 * start))
            fail_msg("%s: from %g only to %g", info->name, start, best);
    }
}

/* Counters are exact where a float or an int would not be. */
static void test_large_counters(void **state)
{
    (void)state;
    static const double counts[] = {16777216, 16777217, 2147483647, 2147483648, 4294967296, 1099511627776};
    EACH_METHOD(info)
    {
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            fixture f;
            rv_error err;
            saved s = trained(&f, info, LARGE, RV_F32, 1, 1);
            must(fixture_optimizer(&f, full_name(info), test_params(info), NULL, &err), &err);
            assert_string_equal(s.arrays[0].name, "steps");
            *(double *)s.arrays[0].data = counts[k];
            must(rv_optimizer_restore(f.optimizer, s.arrays, s.count, &err), &err);
            bowl_gradient(&f);
            fixture_step(&f);
            fixture_step(&f);
            assert_int_equal(rv_optimizer_steps(f.optimizer), (int64_t)counts[k] + 2);
            EACH_ELEMENT(&f, i)
            assert_true(isfinite(get(f.w, f.dtype, i)));
            saved_release(&s);
            fixture_release(&f);
        }
    }
}

/* Tensors without a layout have no layers: who needs them says so, and where to turn. */
static void scattered_is_refused(fixture *g, const rv_method_info *info)
{
    rv_error err;
    const void *w[LARGE];
    for (int i = 0; i < LARGE; i++)
        w[i] = (float *)g->w + g->tensors[i].offset;
    const rv_optimizer_options options = {.method = full_name(info), .params = test_params(info)};
    assert_int_equal(rv_optimizer_new(&g->optimizer, &options, g->tensors, LARGE, w, &err), RV_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "ravine/kfac.h"));
    fixture_release(g);
}

/* Pointers to tensors anywhere, aligned to their elements only, give the bits of the flat call. */
static void test_scattered_tensors(void **state)
{
    (void)state;
    EACH_METHOD(info)
    {
        fixture f, g;
        rv_error err;
        fixture_init(&g, LARGE, RV_F32);
        if (looks_at_layers(info)) {
            scattered_is_refused(&g, info);
            continue;
        }
        saved s = trained(&f, info, LARGE, RV_F32, 1, 3);
        void *w[TENSORS], *grads[TENSORS];
        for (int i = 0; i < LARGE; i++) {
            const size_t bytes = (size_t)rv_shape_size(&g.tensors[i].shape) * sizeof(float);
            w[i] = (char *)malloc(bytes + 8) + 4;
            grads[i] = (char *)malloc(bytes + 8) + 4;
            memcpy(w[i], (float *)g.w + g.tensors[i].offset, bytes);
        }
        const rv_optimizer_options options = {.method = full_name(info), .params = test_params(info)};
        must(rv_optimizer_new(&g.optimizer, &options, g.tensors, LARGE, (const void *const *)w, &err), &err);
        for (int step = 0; step < 3; step++) {
            for (int i = 0; i < LARGE; i++)
                memcpy((float *)g.w + g.tensors[i].offset, w[i], (size_t)rv_shape_size(&g.tensors[i].shape) * sizeof(float));
            bowl_gradient(&g);
            for (int i = 0; i < LARGE; i++)
                memcpy(grads[i], (float *)g.g + g.tensors[i].offset, (size_t)rv_shape_size(&g.tensors[i].shape) * sizeof(float));
            must(rv_optimizer_step(g.optimizer, w, (const void *const *)grads, &err), &err);
        }
        for (int i = 0; i < LARGE; i++) {
            assert_memory_equal(w[i], (float *)f.w + f.tensors[i].offset,
                                (size_t)rv_shape_size(&f.tensors[i].shape) * sizeof(float));
            free((char *)w[i] - 4);
            free((char *)grads[i] - 4);
        }
        saved_release(&s);
        fixture_release(&f);
        fixture_release(&g);
    }
}

/* Long beside short: rows, columns and single elements in one optimizer. */
static void test_lopsided_shapes(void **state)
{
    (void)state;
    static const rv_shape shapes[] = {{2, {1, 700}},          {2, {700, 1}}, {2, {1, 1}},    {1, {70000}}, {0, {0}},
                                      {5, {1, 1, 1, 1, 9}},   {2, {2, 701}}, {4, {3, 1, 1, 1}}, {2, {700, 0}}};
    enum { SHAPES = sizeof shapes / sizeof shapes[0] };
    EACH_METHOD(info)
    {
        void *ends[2] = {NULL, NULL};
        int64_t size = 0;
        for (int pass = 0; pass < 2; pass++) {
            fixture f;
            rv_error err;
            rv_pool *pool = NULL;
            fixture_init(&f, SHAPES, RV_F32);
            size = 0;
            for (int i = 0; i < SHAPES; i++) {
                f.tensors[i].shape = shapes[i];
                f.tensors[i].role = i == 3 || i == 4 ? RV_ROLE_BIAS : RV_ROLE_HIDDEN;
                f.tensors[i].offset = size;
                size += (rv_shape_size(&shapes[i]) + 15) / 16 * 16;
            }
            f.layout.size = size;
            f.layout.layer_count = 0;
            for (int i = 0; i < SHAPES; i++)
                if (shapes[i].rank > 1 && rv_shape_size(&shapes[i]) > 0)
                    f.layers[f.layout.layer_count++] = (rv_linear_layer){.weight = i, .bias = -1, .out = shapes[i].dim[0],
                        .in = rv_shape_size(&shapes[i]) / shapes[i].dim[0], .positions = 1};
            f.w = realloc(f.w, (size_t)size * sizeof(float));
            f.g = realloc(f.g, (size_t)size * sizeof(float));
            for (int64_t i = 0; i < size; i++)
                ((float *)f.w)[i] = (float)sin(0.3 * (double)i + 0.1);
            memset(f.g, 0, (size_t)size * sizeof(float));
            if (pass == 1)
                must(rv_pool_new(&pool, 3, &err), &err);
            must(fixture_optimizer(&f, full_name(info), test_params(info), pool, &err), &err);
            for (int step = 0; step < 4; step++) {
                bowl_gradient(&f);
                fixture_step(&f);
            }
            EACH_ELEMENT(&f, i)
            assert_true(isfinite(get(f.w, RV_F32, i)));
            ends[pass] = f.w;
            f.w = NULL;
            fixture_release(&f);
            rv_pool_free(pool);
        }
        assert_memory_equal(ends[0], ends[1], (size_t)size * sizeof(float));
        free(ends[0]);
        free(ends[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),        cmocka_unit_test(test_resume_at_every_step),
        cmocka_unit_test(test_zero_gradients), cmocka_unit_test(test_denormals),
        cmocka_unit_test(test_descent),        cmocka_unit_test(test_large_counters),
        cmocka_unit_test(test_scattered_tensors), cmocka_unit_test(test_lopsided_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
