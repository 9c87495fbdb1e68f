/* K-FAC against gpauloski/kfac-pytorch on a small network with one hidden layer, and what its
 * interface promises: shards, workers, restart, values that are not finite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "ravine/kfac.h"

enum { N = 8, IN = 4, HID = 6, OUT = 3, PARTS = 4 };

static json_t *golden;

static const rv_kfac_layer layers[] = {{"first", IN, HID, true}, {"second", HID, OUT, true}};

/* y = W2 tanh(W1 x + b1) + b2, loss = mean over N x OUT of (y - target)^2. */
typedef struct network {
    double x[N * IN], target[N * OUT], w1[HID * IN], b1[HID], w2[OUT * HID], b2[OUT];
    double hidden[N * HID], g2[N * OUT], g1[N * HID];                /* gradients by the layers' outputs */
    double dw1[HID * IN], db1[HID], dw2[OUT * HID], db2[OUT], loss;
} network;

static void read_into(const json_t *list, double *to, size_t n)
{
    assert_int_equal(json_array_size(list), n);
    for (size_t i = 0; i < n; i++)
        to[i] = json_number_value(json_array_get(list, i));
}

static void network_init(network *net)
{
    memset(net, 0, sizeof *net);
    read_into(json_object_get(golden, "X"), net->x, N * IN);
    read_into(json_object_get(golden, "Y"), net->target, N * OUT);
    read_into(json_object_get(golden, "W1"), net->w1, HID * IN);
    read_into(json_object_get(golden, "b1"), net->b1, HID);
    read_into(json_object_get(golden, "W2"), net->w2, OUT * HID);
    read_into(json_object_get(golden, "b2"), net->b2, OUT);
}

/* y [N, out] = x [N, in] w' + b */
static void forward(const double *x, int in, const double *w, const double *b, int out, double *y)
{
    for (int n = 0; n < N; n++)
        for (int o = 0; o < out; o++) {
            y[n * out + o] = b[o];
            for (int i = 0; i < in; i++)
                y[n * out + o] += x[n * in + i] * w[o * in + i];
        }
}

/* Gradients of a layer by its weights, from its inputs and the gradients of its outputs. */
static void weights_gradient(const double *x, int in, const double *g, int out, double *dw, double *db)
{
    memset(dw, 0, (size_t)(out * in) * sizeof *dw);
    memset(db, 0, (size_t)out * sizeof *db);
    for (int n = 0; n < N; n++)
        for (int o = 0; o < out; o++) {
            db[o] += g[n * out + o];
            for (int i = 0; i < in; i++)
                dw[o * in + i] += g[n * out + o] * x[n * in + i];
        }
}

static void gradients(network *net)
{
    forward(net->x, IN, net->w1, net->b1, HID, net->hidden);
    for (int i = 0; i < N * HID; i++)
        net->hidden[i] = tanh(net->hidden[i]);
    forward(net->hidden, HID, net->w2, net->b2, OUT, net->g2);
    net->loss = 0;
    for (int i = 0; i < N * OUT; i++) {
        const double d = net->g2[i] - net->target[i];
        net->loss += d * d / (N * OUT);
        net->g2[i] = 2 * d / (N * OUT);
    }
    for (int n = 0; n < N; n++)
        for (int h = 0; h < HID; h++) {
            double sum = 0;
            for (int o = 0; o < OUT; o++)
                sum += net->g2[n * OUT + o] * net->w2[o * HID + h];
            net->g1[n * HID + h] = sum * (1 - net->hidden[n * HID + h] * net->hidden[n * HID + h]);
        }
    weights_gradient(net->x, IN, net->g1, HID, net->dw1, net->db1);
    weights_gradient(net->hidden, HID, net->g2, OUT, net->dw2, net->db2);
}

static rv_kfac *made(const char *method, rv_pool *pool)
{
    char params[256];
    rv_kfac *k;
    rv_error err;
    snprintf(params, sizeof params,
             "factor_update_steps=1,inverse_update_steps=2,damping=0.01,factor_decay=0.9,kl_clip=0.05,method=%s", method);
    const rv_kfac_options options = {.params = params, .dtype = RV_F64, .pool = pool};
    if (rv_kfac_new(&k, &options, layers, 2, &err) != RV_OK)
        fail_msg("%s", err.message);
    return k;
}

/* One training step; rows are shown in `shards` equal pieces. */
static void train(network *net, rv_kfac *k, int shards)
{
    rv_error err;
    gradients(net);
    const int64_t rows = N / shards;
    for (int s = 0; s < shards; s++) {
        assert_int_equal(rv_kfac_observe(k, 0, rows, 1, net->x + s * rows * IN, net->g1 + s * rows * HID, &err), RV_OK);
        assert_int_equal(rv_kfac_observe(k, 1, rows, 1, net->hidden + s * rows * HID, net->g2 + s * rows * OUT, &err), RV_OK);
    }
    void *const w[] = {net->dw1, net->dw2}, *const b[] = {net->db1, net->db2};
    if (rv_kfac_step(k, 0.5, w, b, &err) != RV_OK)
        fail_msg("%s", err.message);
    double *const at[PARTS] = {net->w1, net->b1, net->w2, net->b2};
    const double *const d[PARTS] = {net->dw1, net->db1, net->dw2, net->db2};
    static const int size[PARTS] = {HID * IN, HID, OUT * HID, OUT};
    for (int p = 0; p < PARTS; p++)
        for (int i = 0; i < size[p]; i++)
            at[p][i] -= 0.5 * d[p][i];
}

static double apart(const network *net, const json_t *params)
{
    static const char *const names[PARTS] = {"W1", "b1", "W2", "b2"};
    static const size_t size[PARTS] = {HID * IN, HID, OUT * HID, OUT};
    const double *const at[PARTS] = {net->w1, net->b1, net->w2, net->b2};
    double worst = 0;
    for (int p = 0; p < PARTS; p++) {
        double expected[HID * HID];
        read_into(json_object_get(params, names[p]), expected, size[p]);
        for (size_t i = 0; i < size[p]; i++)
            worst = fmax(worst, fabs(at[p][i] - expected[i]) / (1 + fabs(expected[i])));
    }
    return worst;
}

static void test_trajectories(void **state)
{
    (void)state;
    static const char *const methods[] = {"eigen", "inverse"};
    for (int m = 0; m < 2; m++) {
        const json_t *run = json_object_get(json_object_get(golden, "runs"), methods[m]);
        const json_t *params = json_object_get(run, "params"), *losses = json_object_get(run, "loss_before_step");
        network net;
        network_init(&net);
        rv_kfac *k = made(methods[m], NULL);
        assert_int_equal(json_array_size(params), 20);
        for (size_t t = 0; t < 20; t++) {
            train(&net, k, 1);
            const double loss = json_number_value(json_array_get(losses, t));
            assert_true(fabs(net.loss - loss) < 1e-9 * (1 + loss));
            const double error = apart(&net, json_array_get(params, t));
            if (!(error < 1e-9))
                fail_msg("%s, step %zu: %.2e", methods[m], t + 1, error);
        }
        assert_int_equal(rv_kfac_steps(k), 20);
        assert_true(rv_kfac_clip(k) > 0 && rv_kfac_clip(k) <= 1);
        rv_kfac_free(k);
    }
}

/* Shards add up; workers change no bit. */
static void test_shards_and_workers(void **state)
{
    (void)state;
    network whole, parts, pooled;
    rv_pool *pool;
    rv_error err;
    network_init(&whole);
    network_init(&parts);
    network_init(&pooled);
    assert_int_equal(rv_pool_new(&pool, 3, &err), RV_OK);
    rv_kfac *a = made("eigen", NULL), *b = made("eigen", NULL), *c = made("eigen", pool);
    for (int t = 0; t < 5; t++) {
        train(&whole, a, 1);
        train(&parts, b, 4);
        train(&pooled, c, 1);
    }
    assert_memory_equal(&whole, &pooled, sizeof whole);
    for (int i = 0; i < HID * IN; i++)
        assert_true(fabs(whole.w1[i] - parts.w1[i]) < 1e-11);
    rv_kfac_free(a);
    rv_kfac_free(b);
    rv_kfac_free(c);
    rv_pool_free(pool);
}

/* State out and into a new object at every step: the same bits. */
static void test_restart(void **state)
{
    (void)state;
    network whole, halves;
    rv_error err;
    network_init(&whole);
    network_init(&halves);
    rv_kfac *k = made("eigen", NULL), *other = made("eigen", NULL);
    for (int t = 0; t < 6; t++) {
        rv_kfac *next = made("eigen", NULL);
        rv_array arrays[64];
        const int count = rv_kfac_state(other, arrays, 64);
        assert_int_equal(count, 13);
        assert_int_equal(rv_kfac_restore(next, arrays, count, &err), RV_OK);
        assert_int_equal(rv_kfac_restore(next, arrays, count - 1, &err), RV_E_MISMATCH);
        rv_kfac_free(other);
        other = next;
        train(&whole, k, 1);
        train(&halves, other, 1);
        assert_memory_equal(&whole, &halves, sizeof whole);
    }
    rv_kfac_free(k);
    rv_kfac_free(other);
}

/* The float path beside the double one, over one step from the same numbers. */
static void test_float(void **state)
{
    (void)state;
    network net;
    rv_error err;
    rv_kfac *k;
    float x[N * IN], g1[N * HID], hidden[N * HID], g2[N * OUT], dw1[HID * IN], db1[HID], dw2[OUT * HID], db2[OUT];
    const rv_kfac_options options = {.params = "damping=0.01,kl_clip=0.05", .dtype = RV_F32};
    network_init(&net);
    gradients(&net);
    const double *const from[] = {net.x, net.g1, net.hidden, net.g2, net.dw1, net.db1, net.dw2, net.db2};
    float *const to[] = {x, g1, hidden, g2, dw1, db1, dw2, db2};
    static const int size[] = {N * IN, N * HID, N * HID, N * OUT, HID * IN, HID, OUT * HID, OUT};
    for (int p = 0; p < 8; p++)
        for (int i = 0; i < size[p]; i++)
            to[p][i] = (float)from[p][i];
    assert_int_equal(rv_kfac_new(&k, &options, layers, 2, &err), RV_OK);
    assert_int_equal(rv_kfac_observe(k, 0, N, 1, x, g1, &err), RV_OK);
    assert_int_equal(rv_kfac_observe(k, 1, N, 1, hidden, g2, &err), RV_OK);
    void *const w[] = {dw1, dw2}, *const b[] = {db1, db2};
    assert_int_equal(rv_kfac_step(k, 0.5, w, b, &err), RV_OK);
    const rv_kfac_options wide = {.params = options.params, .dtype = RV_F64};
    rv_kfac *d;
    assert_int_equal(rv_kfac_new(&d, &wide, layers, 2, &err), RV_OK);
    assert_int_equal(rv_kfac_observe(d, 0, N, 1, net.x, net.g1, &err), RV_OK);
    assert_int_equal(rv_kfac_observe(d, 1, N, 1, net.hidden, net.g2, &err), RV_OK);
    void *const dw[] = {net.dw1, net.dw2}, *const db[] = {net.db1, net.db2};
    assert_int_equal(rv_kfac_step(d, 0.5, dw, db, &err), RV_OK);
    for (int p = 4; p < 8; p++)
        for (int i = 0; i < size[p]; i++)
            assert_true(fabs((double)to[p][i] - from[p][i]) < 1e-4);
    rv_kfac_free(k);
    rv_kfac_free(d);
}

static void test_not_finite(void **state)
{
    (void)state;
    network net, before;
    rv_error err;
    network_init(&net);
    rv_kfac *k = made("eigen", NULL);
    gradients(&net);
    net.x[3] = (double)NAN;
    assert_int_equal(rv_kfac_observe(k, 0, N, 1, net.x, net.g1, &err), RV_E_NUMERIC);
    assert_non_null(strstr(err.message, "first"));
    net.x[3] = 0;
    assert_int_equal(rv_kfac_observe(k, 0, N, 1, net.x, net.g1, &err), RV_OK);
    net.dw2[1] = (double)INFINITY;
    before = net;
    void *const w[] = {net.dw1, net.dw2}, *const b[] = {net.db1, net.db2};
    assert_int_equal(rv_kfac_step(k, 0.5, w, b, &err), RV_E_NUMERIC);
    assert_non_null(strstr(err.message, "second"));
    assert_memory_equal(&net, &before, sizeof net);
    rv_kfac_free(k);
}

static void test_refuses(void **state)
{
    (void)state;
    rv_kfac *k;
    rv_error err;
    const rv_kfac_layer none = {"x", 0, 3, false};
    const rv_kfac_options plain = {.dtype = RV_F64}, unknown = {.params = "dampin=1", .dtype = RV_F64};
    const rv_kfac_options bytes = {.dtype = RV_U8}, range = {.params = "damping=0", .dtype = RV_F64};
    assert_int_equal(rv_kfac_new(&k, &plain, &none, 1, &err), RV_E_RANGE);
    assert_int_equal(rv_kfac_new(&k, &plain, layers, 0, &err), RV_E_RANGE);
    assert_int_equal(rv_kfac_new(&k, &unknown, layers, 2, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "damping"));
    assert_int_equal(rv_kfac_new(&k, &range, layers, 2, &err), RV_E_RANGE);
    assert_int_equal(rv_kfac_new(&k, &bytes, layers, 2, &err), RV_E_ARGUMENT);
    assert_null(k);
    assert_int_equal(rv_params_check(rv_kfac_params(), &err), RV_OK);
    k = made("eigen", NULL);
    assert_int_equal(rv_kfac_observe(k, 2, N, 1, NULL, NULL, &err), RV_E_ARGUMENT);
    rv_kfac_free(k);
}

int main(void)
{
    rv_error err;
    if (rv_json_read(RV_TEST_SOURCE "/tests/golden/kfac_mlp.json", &golden, &err) != RV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trajectories), cmocka_unit_test(test_shards_and_workers), cmocka_unit_test(test_restart),
        cmocka_unit_test(test_float),        cmocka_unit_test(test_not_finite),       cmocka_unit_test(test_refuses),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(golden);
    return failed;
}
