/* A fused tensor of several parts is, for matrix methods, several tensors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ravine/optim.h"

enum { ROWS = 7, COLS = 5, PART = ROWS * COLS, PARTS = 3, STEPS = 4 };

static rv_optimizer *make(const char *method, const char *params, const rv_tensor *tensors, int count,
                          void *const *w)
{
    rv_error err;
    rv_optimizer *optimizer = NULL;
    rv_optimizer_options options = {.method = method, .params = params, .dtype = RV_F64};
    if (rv_optimizer_new(&optimizer, &options, tensors, count, (const void *const *)w, &err) != RV_OK)
        fail_msg("%s", err.message);
    return optimizer;
}

static void check(const char *method, const char *params)
{
    static double fused[PARTS * PART], apart[PARTS * PART], g[PARTS * PART];
    rv_error err;
    rv_random stream = {5, RV_RANDOM_PROBE, 0};
    rv_tensor one = {.name = "qkv", .role = RV_ROLE_HIDDEN, .shape = RV_SHAPE(PARTS * ROWS, COLS), .parts = PARTS};
    rv_tensor three[PARTS];
    void *w[1] = {fused}, *ws[PARTS];
    const void *gs[PARTS];
    for (int i = 0; i < PARTS; i++) {
        three[i] = (rv_tensor){.role = RV_ROLE_HIDDEN, .shape = RV_SHAPE(ROWS, COLS)};
        snprintf(three[i].name, sizeof three[i].name, "part%d", i);
        ws[i] = apart + i * PART;
        gs[i] = g + i * PART;
    }
    for (uint64_t i = 0; i < PARTS * PART; i++)
        fused[i] = apart[i] = rv_random_normal(stream, i);
    rv_optimizer *a = make(method, params, &one, 1, w), *b = make(method, params, three, PARTS, ws);
    for (uint64_t t = 1; t <= STEPS; t++) {
        stream.step = t;
        for (uint64_t i = 0; i < PARTS * PART; i++)
            g[i] = rv_random_normal(stream, i);
        assert_int_equal(rv_optimizer_step(a, w, (const void *const[]){g}, &err), RV_OK);
        assert_int_equal(rv_optimizer_step(b, ws, gs, &err), RV_OK);
        assert_memory_equal(fused, apart, sizeof fused);
    }
    rv_optimizer_free(a);
    rv_optimizer_free(b);
}

static void test_muon(void **state)
{
    (void)state;
    check("muon", "lr=0.02,weight_decay=0.1");
}

static void test_shampoo(void **state)
{
    (void)state;
    check("shampoo", "lr=0.1");
    check("shampoo", "lr=0.1,max_preconditioner_dim=4,grafting=adagrad");
}

static void test_relatives(void **state)
{
    (void)state;
    check("moonlight", "lr=0.02");
    check("normuon", "lr=0.02,weight_decay=0.1");
    check("normuon", "lr=0.02,normalise=longer,decay=cautious,weight_decay=0.1");
    check("scion", "lr=0.02,momentum=0.1");
    check("distributed_shampoo", "lr=0.1,max_preconditioner_dim=4,grafting=adam,momentum=0.5");
    check("kl_shampoo", "lr=0.1,merging=none");
    check("caspr", "lr=0.1");
    check("caspr_adaptive", "precondition_frequency=2,start_preconditioning_step=1,max_preconditioner_dim=4");
    check("soap", "precondition_frequency=2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_muon), cmocka_unit_test(test_shampoo),
                                       cmocka_unit_test(test_relatives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
