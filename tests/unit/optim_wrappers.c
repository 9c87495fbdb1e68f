/* Identities and closed forms of wrappers: what no reference run shows, and what no tuning can
 * make true by chance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ravine/optim.h"

enum { ROWS = 3, COLS = 4, SIZE = ROWS * COLS, STEPS = 12 };

static const rv_tensor tensors[] = {
    {.name = "matrix", .role = RV_ROLE_HIDDEN, .shape = {2, {ROWS, COLS}}, .offset = 0},
    {.name = "bias", .role = RV_ROLE_BIAS, .shape = {1, {ROWS}}, .offset = 16},
};
static const rv_layout layout = {.count = 2, .tensors = (rv_tensor *)(uintptr_t)tensors, .size = 24};
enum { FLAT = 24, BIAS = 16 };

static void initial(double *w)
{
    memset(w, 0, FLAT * sizeof *w);
    for (int i = 0; i < SIZE; i++)
        w[i] = sin(1.1 * i + 0.3);
    for (int i = 0; i < ROWS; i++)
        w[BIAS + i] = cos(0.7 * i);
}

/* A gradient that does not depend on the weights. */
static void gradient(double *g, int call)
{
    memset(g, 0, FLAT * sizeof *g);
    for (int i = 0; i < SIZE; i++)
        g[i] = sin(0.9 * i + 1.3 * call);
    for (int i = 0; i < ROWS; i++)
        g[BIAS + i] = cos(0.4 * i + 0.6 * call);
}

static void must(rv_status status, const rv_error *err)
{
    if (status != RV_OK)
        fail_msg("%s", err->message);
}

static rv_optimizer *make(const char *method, const char *params, const char *wrappers, const double *w)
{
    const rv_optimizer_options options = {.method = method, .params = params, .wrappers = wrappers, .dtype = RV_F64};
    rv_optimizer *optimizer;
    rv_error err;
    must(rv_optimizer_new_flat(&optimizer, &options, &layout, w, &err), &err);
    return optimizer;
}

static void step(rv_optimizer *optimizer, double *w, const double *g)
{
    rv_error err;
    must(rv_optimizer_step_flat(optimizer, w, g, &err), &err);
}

/* Weights after STEPS steps; path [STEPS][FLAT] unless NULL. */
static void run(const char *method, const char *params, const char *wrappers, double *w, double (*path)[FLAT],
                double *evaluated)
{
    double g[FLAT];
    initial(w);
    rv_optimizer *optimizer = make(method, params, wrappers, w);
    for (int k = 0; k < STEPS; k++) {
        gradient(g, k);
        rv_optimizer_set_lr_factor(optimizer, 1 - 0.05 * k);
        step(optimizer, w, g);
        if (path)
            memcpy(path[k], w, sizeof path[k]);
    }
    if (evaluated)
        rv_optimizer_evaluation_weights_flat(optimizer, w, evaluated, NULL);
    rv_optimizer_free(optimizer);
}

static double apart(const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < FLAT; i++)
        most = fmax(most, fabs(a[i] - b[i]));
    return most;
}

/* ---- accumulation ------------------------------------------------------------ */

/* k gradients are one step with their mean, and steps count so. */
static void test_accumulate(void **state)
{
    (void)state;
    double a[FLAT], b[FLAT], g[FLAT], mean[FLAT];
    initial(a);
    initial(b);
    rv_optimizer *gathers = make("adamw", "", "accumulate(steps=3)", a), *plain = make("adamw", "", NULL, b);
    for (int k = 0; k < STEPS; k++) {
        memset(mean, 0, sizeof mean);
        for (int part = 0; part < 3; part++) {
            gradient(g, 3 * k + part);
            for (int i = 0; i < FLAT; i++)
                mean[i] = part == 0 ? g[i] : mean[i] + g[i];
            double before[FLAT];
            memcpy(before, a, sizeof a);
            step(gathers, a, g);
            if (part < 2)
                assert_memory_equal(a, before, sizeof a);
        }
        for (int i = 0; i < FLAT; i++)
            mean[i] *= 1.0 / 3;
        step(plain, b, mean);
        assert_memory_equal(a, b, sizeof a);
        assert_int_equal(rv_optimizer_steps(gathers), k + 1);
    }
    rv_optimizer_free(gathers);
    rv_optimizer_free(plain);
}

/* ---- decay --------------------------------------------------------------------- */

static void test_decay_forms(void **state)
{
    (void)state;
    double a[FLAT], b[FLAT];
    /* Decoupled around a method without decay is the method with it, whatever the schedule. */
    run("adamw", "lr=0.01,weight_decay=0.3", NULL, a, NULL, NULL);
    run("adamw", "lr=0.01,weight_decay=0", "decay(weight_decay=0.3)", b, NULL, NULL);
    assert_true(apart(a, b) < 1e-15);
    /* Coupled decay is that of SGD, to the bit. */
    run("sgd", "lr=0.1,momentum=0.9,weight_decay=0.3", NULL, a, NULL, NULL);
    run("sgd", "lr=0.1,momentum=0.9", "decay(weight_decay=0.3,form=l2)", b, NULL, NULL);
    assert_memory_equal(a, b, sizeof a);
    /* A rank of one is left alone on request. */
    run("adamw", "weight_decay=0", NULL, a, NULL, NULL);
    run("adamw", "weight_decay=0", "decay(vectors=false)", b, NULL, NULL);
    assert_memory_equal(a + BIAS, b + BIAS, ROWS * sizeof *a);
    assert_true(apart(a, b) > 1e-4);
}

/* One step of SGD without gradient: only what the form multiplies is left. */
static void test_decay_strength(void **state)
{
    (void)state;
    static const struct {
        const char *form;
        double strength;
    } forms[] = {{"decoupled", 0.2 * 0.5 * 0.1}, {"independent", 0.5 * 0.1}, {"corrected", 0.2 * 0.5 * 0.5 * 0.1},
                 {"cautious", 0}};
    for (int i = 0; i < 4; i++) {
        double w[FLAT], start[FLAT], g[FLAT] = {0};
        char wrapper[64];
        snprintf(wrapper, sizeof wrapper, "decay(weight_decay=0.1,form=%s)", forms[i].form);
        initial(w);
        initial(start);
        rv_optimizer *optimizer = make("sgd", "lr=0.2", wrapper, w);
        rv_optimizer_set_lr_factor(optimizer, 0.5);
        step(optimizer, w, g);
        for (int k = 0; k < SIZE; k++)
            assert_true(fabs(w[k] - start[k] * (1 - forms[i].strength)) < 1e-16);
        rv_optimizer_free(optimizer);
    }
}

static void test_cautious_decay(void **state)
{
    (void)state;
    double w[FLAT] = {1, 1, -1, -1}, g[FLAT] = {0.5, -0.5, 0.5, -0.5};
    rv_optimizer *optimizer = make("sgd", "lr=0.1", "decay(weight_decay=0.2,form=cautious)", w);
    step(optimizer, w, g);
    /* A step towards zero decays, one away from it does not. */
    const double expected[] = {1 - 0.05 - 0.02, 1 + 0.05, -1 - 0.05, -1 + 0.05 + 0.02};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(w[i] - expected[i]) < 1e-15);
    rv_optimizer_free(optimizer);
}

/* ---- averages -------------------------------------------------------------------- */

/* Averages leave the weights alone and are the sums of their definition. */
static void test_averages(void **state)
{
    (void)state;
    static double path[STEPS][FLAT];
    double plain[FLAT], w[FLAT], found[FLAT];
    run("adamw", "lr=0.05", NULL, plain, path, NULL);

    run("adamw", "lr=0.05", "poly_average(eta=3)", w, NULL, found);
    assert_memory_equal(w, plain, sizeof w);
    for (int i = 0; i < SIZE; i++) {
        double sum = 0, mass = 0;
        for (int k = 0; k < STEPS; k++) {
            const double t = k + 1, weight = t * (t + 1) * (t + 2); /* eta = 3 in closed form */
            sum += weight * path[k][i];
            mass += weight;
        }
        assert_true(fabs(found[i] - sum / mass) < 1e-14);
    }

    run("adamw", "lr=0.05", "poly_average(eta=0)", w, NULL, found);
    run("adamw", "lr=0.05", "swa", w, NULL, plain);
    assert_true(apart(found, plain) < 1e-14);

    run("adamw", "lr=0.05", "ema(decay=0.8,bias_correction=true,interval=3,start=3)", w, NULL, found);
    for (int i = 0; i < SIZE; i++) { /* steps 6, 9, 12 */
        const double sum = 0.8 * 0.8 * path[5][i] + 0.8 * path[8][i] + path[11][i];
        assert_true(fabs(found[i] - sum / (0.64 + 0.8 + 1)) < 1e-14);
    }

    run("adamw", "lr=0.05", "ema(decay=0.9,warmup=true)", w, NULL, found);
    for (int i = 0; i < SIZE; i++) {
        double average = path[0][i];
        for (int n = 1; n < STEPS; n++) {
            const double decay = fmin(0.9, (1.0 + n) / (10.0 + n));
            average = decay * average + (1 - decay) * path[n][i];
        }
        assert_true(fabs(found[i] - average) < 1e-14);
    }

    /* As submitted to AlgoPerf: the newest copy, no average. */
    run("adamw", "lr=0.05", "lawa_ema(form=submitted,interval=5)", w, NULL, found);
    assert_memory_equal(found, path[9], SIZE * sizeof *found);
    run("adamw", "lr=0.05", "lawa_queue(k=2,interval=4)", w, NULL, found);
    for (int i = 0; i < SIZE; i++)
        assert_true(fabs(found[i] - (path[7][i] + path[11][i]) / 2) < 1e-15);
    /* Before there are enough copies: the weights. */
    run("adamw", "lr=0.05", "lawa_queue(k=4,interval=4)", w, NULL, found);
    assert_memory_equal(found, w, SIZE * sizeof *found);
}

/* ---- gradients ------------------------------------------------------------------- */

/* Steps of SGD with rate one show the gradient that reaches the method. */
static void seen(const char *wrappers, const double *w0, const double *g, double *out)
{
    double w[FLAT];
    memcpy(w, w0, sizeof w);
    rv_optimizer *optimizer = make("sgd", "lr=1", wrappers, w);
    step(optimizer, w, g);
    for (int i = 0; i < FLAT; i++)
        out[i] = w0[i] - w[i];
    rv_optimizer_free(optimizer);
}

static double norm(const double *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void test_agc(void **state)
{
    (void)state;
    double w[FLAT], g[FLAT], out[FLAT];
    initial(w);
    gradient(g, 0);
    for (int i = 0; i < COLS; i++)
        g[i] *= 1e-4; /* the first row is small enough */
    seen("agc(clipping=0.1)", w, g, out);
    for (int r = 0; r < ROWS; r++) {
        const double before = norm(g + r * COLS, COLS), most = 0.1 * norm(w + r * COLS, COLS);
        assert_true(fabs(norm(out + r * COLS, COLS) - fmin(before, most)) < 1e-14);
    }
    assert_true(fabs(norm(out + BIAS, ROWS) - 0.1 * norm(w + BIAS, ROWS)) < 1e-14);
    /* Weights of zero count as eps. */
    const double zero[FLAT] = {0};
    seen("agc(clipping=0.1,eps=0.01)", zero, g, out);
    assert_true(fabs(norm(out + BIAS, ROWS) - 0.001) < 1e-15);
}

static void test_orthograd(void **state)
{
    (void)state;
    double w[FLAT], g[FLAT], out[FLAT], along = 0;
    initial(w);
    gradient(g, 0);
    seen("orthograd", w, g, out);
    for (int i = 0; i < SIZE; i++)
        along += out[i] * w[i];
    assert_true(fabs(along) < 1e-14);
    assert_true(fabs(norm(out, SIZE) - norm(g, SIZE)) < 1e-13);
    seen("orthograd(rescale=false)", w, g, out);
    double projection = 0;
    for (int i = 0; i < SIZE; i++)
        projection += g[i] * w[i];
    for (int i = 0; i < SIZE; i++)
        assert_true(fabs(out[i] - (g[i] - projection / (norm(w, SIZE) * norm(w, SIZE)) * w[i])) < 1e-14);
    /* A gradient along the weights: nothing is left, rounding is not scaled up. */
    for (int i = 0; i < FLAT; i++)
        g[i] = 3 * w[i];
    seen("orthograd", w, g, out);
    assert_true(norm(out, SIZE) == 0);
}

static void test_clips(void **state)
{
    (void)state;
    double w[FLAT] = {0}, g[FLAT], out[FLAT];
    gradient(g, 0);
    seen("clip_norm(max_norm=0.5,form=optax)", w, g, out);
    assert_true(fabs(norm(out, FLAT) - 0.5) < 1e-15);
    seen("clip_norm(max_norm=0.5,form=optax,scope=tensor)", w, g, out);
    assert_true(fabs(norm(out, SIZE) - 0.5) < 1e-15 && fabs(norm(out + BIAS, ROWS) - 0.5) < 1e-15);
    seen("clip_norm(max_norm=100)", w, g, out);
    assert_memory_equal(out, g, sizeof out);
    /* In the order of the list: clipped, then centred, and the other way round. */
    double other[FLAT];
    seen("clip_value(max_value=0.2),centralize", w, g, out);
    seen("centralize,clip_value(max_value=0.2)", w, g, other);
    assert_true(fabs(out[0] + out[1] + out[2] + out[3]) < 1e-15);
    assert_true(fabs(other[0] + other[1] + other[2] + other[3]) > 1e-3);
}

/* Around SGD, Schedule-Free by averaging is the algorithm of the paper, written as there. */
static void test_schedule_free(void **state)
{
    (void)state;
    double w[FLAT], x[FLAT], z[FLAT], y[FLAT], g[FLAT], found[FLAT];
    run("sgd", "lr=0.3", "gpa(mu_y=0.9,average=schedule_free)", w, NULL, found);
    initial(x);
    memcpy(z, x, sizeof x);
    memcpy(y, x, sizeof x);
    double sum = 0;
    for (int k = 0; k < STEPS; k++) {
        const double lr = 0.3 * (1 - 0.05 * k), c = lr * lr / (sum += lr * lr);
        gradient(g, k);
        for (int i = 0; i < FLAT; i++) {
            z[i] -= lr * g[i];
            x[i] = (1 - c) * x[i] + c * z[i];
            y[i] = 0.9 * x[i] + 0.1 * z[i];
        }
    }
    assert_true(apart(w, y) < 1e-14 && apart(found, x) < 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accumulate),     cmocka_unit_test(test_decay_forms),
        cmocka_unit_test(test_decay_strength), cmocka_unit_test(test_cautious_decay),
        cmocka_unit_test(test_averages),       cmocka_unit_test(test_agc),
        cmocka_unit_test(test_orthograd),      cmocka_unit_test(test_clips),
        cmocka_unit_test(test_schedule_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
