/* The gradients that a method may ask for in its step (Sophia-G's Hessian, a gradient at the weights
 * before): what it gets, where its own tensors and those of other rules stand.  No registered
 * method asks yet, so one is put into an optimizer by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "optim/optimizer.h"

enum { A = 3, B = 2, FLAT = 32, B_AT = 16 };

static const rv_tensor tensors[] = {{.name = "other", .shape = {1, {B}}, .offset = B_AT},
                                    {.name = "asks", .shape = {1, {A}}, .offset = 0}};
static const rv_layout layout = {.count = 2, .tensors = (rv_tensor *)(uintptr_t)tensors, .size = FLAT};

static int sampled, plain;

/* The gradient is the weights that are looked at, ten times for sampled labels. */
static rv_status closure(void *context, rv_probe probe, const void *w, void *g, double *loss, rv_error *err)
{
    (void)context;
    (void)err;
    *loss = 0;
    sampled += probe == RV_PROBE_SAMPLED;
    plain += probe == RV_PROBE_GRADIENT;
    for (int i = 0; i < FLAT; i++)
        ((double *)g)[i] = (probe == RV_PROBE_SAMPLED ? 10 : 1) * ((const double *)w)[i];
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const void *const *g;
    assert_int_equal(run->count, 1);
    assert_string_equal(run->tensors[0].name, "asks");
    RV_TRY(rv_run_probe(run, RV_PROBE_SAMPLED, false, &g));
    double *w = run->w[0], *elsewhere = rv_run_probe_weights(run)[0];
    for (int i = 0; i < A; i++) {
        assert_true(((const double *)g[0])[i] == 10 * w[i]);
        elsewhere[i] = -1;
    }
    RV_TRY(rv_run_probe(run, RV_PROBE_GRADIENT, true, &g));
    for (int i = 0; i < A; i++)
        assert_true(((const double *)g[0])[i] == -1);
    /* The other rule's tensor stood there with its weights in force. */
    const double *all = run->group->probe.g_base;
    assert_true(all[B_AT] == 5 && all[B_AT + 1] == 6);
    return RV_OK;
}

/* The room that plan.c makes for a method with probes. */
static void put_method(rv_optimizer *o, const rv_method *method, double room[2][FLAT], void *parts[4])
{
    rv_group *group = &o->groups[0];
    group->method = method;
    for (int k = 0; k < 2; k++) {
        parts[2 * k] = &room[k][B_AT];
        parts[2 * k + 1] = &room[k][0];
    }
    group->probe = (rv_probe_room){room[0], room[1], parts, parts + 2, parts + 1, parts + 3};
}

static void test_method_probes(void **state)
{
    (void)state;
    double w[FLAT] = {1, 2, 3}, g[FLAT] = {0}, room[2][FLAT] = {{0}};
    void *parts[4];
    rv_error err;
    rv_optimizer *o;
    w[B_AT] = 5;
    w[B_AT + 1] = 6;
    const rv_optimizer_options options = {.method = "sgd", .dtype = RV_F64,
                                          .rules = "[{\"name\":\"asks\",\"method\":\"sgd\"},{\"method\":\"sgd\"}]"};
    assert_int_equal(rv_optimizer_new_flat(&o, &options, &layout, w, &err), RV_OK);
    const rv_method *sgd = o->groups[0].method;
    rv_method asks = *sgd;
    asks.probes = true;
    asks.step = step;
    put_method(o, &asks, room, parts);
    assert_true(rv_optimizer_wants_closure(o));
    assert_int_equal(rv_optimizer_step_flat(o, w, g, &err), RV_E_ARGUMENT);
    assert_non_null(strstr(err.message, "rv_optimizer_step_closure"));
    if (rv_optimizer_step_closure_flat(o, w, g, closure, NULL, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_true(sampled == 1 && plain == 1);
    assert_true(w[0] == 1 && w[B_AT] == 5);
    o->groups[0].method = sgd;
    memset(&o->groups[0].probe, 0, sizeof o->groups[0].probe);
    rv_optimizer_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_method_probes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
