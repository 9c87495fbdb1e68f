/* Identities and closed forms of the elementwise methods: what their options mean, said
 * without their formulas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optim/power.h"
#include "ravine/optim.h"

enum { N = 12, STEPS = 25 };

typedef struct walk {
    double w[N], g[N];
    rv_optimizer *optimizer;
    int calls; /* of a closure */
} walk;

static void start(walk *k, const char *method, const char *params)
{
    static const rv_tensor tensor = {.name = "w", .role = RV_ROLE_HIDDEN, .shape = {2, {3, 4}}};
    for (int i = 0; i < N; i++)
        k->w[i] = cos(1.3 * i) + 0.2;
    double *w = k->w;
    const rv_optimizer_options options = {.method = method, .params = params, .dtype = RV_F64};
    rv_error err;
    if (rv_optimizer_new(&k->optimizer, &options, &tensor, 1, (const void *const *)&w, &err) != RV_OK)
        fail_msg("%s", err.message);
}

static void step(walk *k)
{
    double *w = k->w, *g = k->g;
    rv_error err;
    if (rv_optimizer_step(k->optimizer, (void *const *)&w, (const void *const *)&g, &err) != RV_OK)
        fail_msg("%s", err.message);
}

/* The gradient of step t: does not depend on the weights. */
static void gradient(walk *k, int t)
{
    for (int i = 0; i < N; i++)
        k->g[i] = (i + t) % 5 == 0 ? 0 : sin(0.9 * i * i + 1.7 * t) * (0.1 + i % 3);
}

static double apart(const walk *a, const walk *b)
{
    double most = 0;
    for (int i = 0; i < N; i++)
        most = fmax(most, fabs(a->w[i] - b->w[i]));
    return most;
}

/* Largest difference of two configurations over STEPS steps; decaying: under a falling rate. */
static double difference(const char *m1, const char *p1, const char *m2, const char *p2, bool decaying)
{
    walk a, b;
    double most = 0;
    start(&a, m1, p1);
    start(&b, m2, p2);
    for (int t = 1; t <= STEPS; t++) {
        const double factor = decaying ? 1 - (t - 1) / (2.0 * STEPS) : 1;
        rv_optimizer_set_lr_factor(a.optimizer, factor);
        rv_optimizer_set_lr_factor(b.optimizer, factor);
        gradient(&a, t);
        gradient(&b, t);
        step(&a);
        step(&b);
        most = fmax(most, apart(&a, &b));
    }
    rv_optimizer_free(a.optimizer);
    rv_optimizer_free(b.optimizer);
    return most;
}

/* Two ways of saying the same thing. */
static void test_same(void **state)
{
    (void)state;
    static const struct {
        const char *m1, *p1, *m2, *p2;
        bool decaying;
        double bound; /* 0: the same bits */
    } same[] = {
        {"adam", "lr=0.01", "adamw", "lr=0.01,weight_decay=0", true, 0},
        {"adam", "lr=0.01,amsgrad=true", "adamw", "lr=0.01,weight_decay=0,amsgrad=true", true, 0},
        {"c_adamw", "lr=0.01,weight_decay=0.1,eps_place=after,caution=off", "adamw", "lr=0.01,weight_decay=0.1,eps=1e-6",
         true, 0},
        {"c_adamw", "lr=0.01,caution=off", "adam", "lr=0.01,eps=1e-6,eps_place=before", true, 0},
        {"adam", "lr=0.01,eps=1e-300", "adam", "lr=0.01,eps=1e-300,eps_place=before", false, 1e-14},
        {"generalized_adam", "lr=0.01,weight_decay=0.1", "nadamw", "lr=0.01,weight_decay=0.1", true, 1e-14},
        {"generalized_adam", "lr=0.01,power=2.000000001", "generalized_adam", "lr=0.01", false, 1e-6},
        {"generalized_adam", "lr=0.01,precondition=false,beta1=0.8", "sgd", "lr=0.01,momentum=0.8,nesterov=true", true, 1e-14},
        {"generalized_adam", "lr=0.01,precondition=false,beta1=0.8,nesterov=false", "sgd", "lr=0.01,momentum=0.8", true, 1e-14},
        {"sgd", "lr=0.01", "sgdw", "lr=0.01", true, 0},
        {"sgd", "lr=0.01,weight_decay=0.1", "sgdw", "lr=0.01,weight_decay=0.1", true, 1e-15}, /* no momentum: the same */
        {"sgd", "lr=0.01,momentum=0.9,nesterov=true", "sgd", "lr=0.01,momentum=0.9,nesterov=true,lr_inside=true", false, 1e-14},
        {"asgd", "lr=0.01,lambd=0", "sgd", "lr=0.01", true, 0},
        {"signum", "lr=0.01,beta1=0,weight_decay=0.1", "signsgd", "lr=0.01,weight_decay=0.1", true, 0},
        {"lion", "lr=0.01,beta1=0.9,beta2=0.9", "signum", "lr=0.01,beta1=0.9", true, 0},
        {"lion", "lr=0.01,caution=mean,cautious_factor=1", "lion", "lr=0.01", true, 0},
        {"ademamix", "lr=0.01,alpha=0", "adam", "lr=0.01", true, 1e-15},
        {"adabelief", "lr=0.01,amsgrad=true", "adabelief", "lr=0.01", true, 0}, /* rectified: no maximum */
        {"adan", "lr=0.01,max_grad_norm=1e9", "adan", "lr=0.01", true, 0},
        {"nag_gs", "lr=0.1,mu=3,gamma=3", "nag_gs", "lr=0.1,mu=3,gamma=3,fixed_gamma=true", false, 1e-14},
        {"adamw", "lr=0.02,weight_decay=0.1", "adamw", "lr=0.02,weight_decay=0.002,decay=independent", true, 1e-15},
        {"adamw", "lr=0.02,weight_decay=0.1", "adamw", "lr=0.02,weight_decay=0.1,decay=corrected", false, 1e-15},
        {"laprop", "lr=0.01,beta1=0,eps=1e-300", "adam", "lr=0.01,beta1=0,eps=1e-300", true, 1e-14},
        {"radam", "lr=0.01,beta1=0,beta2=0.5,weight_decay=0.1", "sgd", "lr=0.01,weight_decay=0.1", true, 1e-15}, /* never adaptive */
        {"adabelief", "lr=0.01,beta1=0,beta2=0.5", "sgd", "lr=0.01", true, 1e-15},
        {"c_adamw", "lr=0.01,beta1=0,beta2=0.9,eps=1e-8,correct_bias=false,caution=off", "rmsprop", "lr=0.01,alpha=0.9", true, 1e-15},
        {"sophia_g", "lr=0.01,beta1=0.9,rho=0,eps=0,weight_decay=0", "signum", "lr=0.01,beta1=0.9", true, 0},
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        const double found = difference(same[i].m1, same[i].p1, same[i].m2, same[i].p2, same[i].decaying);
        if (!(found <= same[i].bound))
            fail_msg("%s(%s) and %s(%s): %g apart", same[i].m1, same[i].p1, same[i].m2, same[i].p2, found);
    }
}

/* Two things that must not be the same. */
static void test_different(void **state)
{
    (void)state;
    static const struct {
        const char *method, *p1, *p2;
        bool decaying;
    } other[] = {
        {"adam", "eps=1e-3", "eps=1e-3,eps_place=before", false},
        {"radam", "beta2=0.99,eps=1e-3", "beta2=0.99,eps=1e-3,eps_place=after", false},
        {"radam", "threshold=4", "threshold=5", false}, /* step 5 is adaptive in one of them */
        {"adam", "beta2=0.9,amsgrad=true", "beta2=0.9,amsgrad=true,amsgrad_max=corrected", false},
        {"adamw", "caution=mean", "caution=count", false},
        {"lion", "caution=mean,cautious_factor=0.5", "caution=mean", false},
        {"sgd", "momentum=0.9", "momentum=0.9,lr_inside=true", true},
        {"adamw", "weight_decay=0.1", "weight_decay=0.1,decay=corrected", true},
        {"adagrad", "eps=1e-3", "eps=1e-3,form=keras", false},
        {"nag_gs", "mu=2", "mu=2,fixed_gamma=true", false},
        {"adopt", "clip_power=0.25", "clip_power=0.333", false},
        {"sophia_g", "bs=4", "bs=4,refresh=after", false},
    };
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (difference(other[i].method, other[i].p1, other[i].method, other[i].p2, other[i].decaying) < 1e-9)
            fail_msg("%s: %s and %s are the same", other[i].method, other[i].p1, other[i].p2);
}

/* Without a gradient the three forms of decay are products of known factors. */
static void test_decay_forms(void **state)
{
    (void)state;
    static const char *const forms[] = {"decoupled", "independent", "corrected"};
    const double lr = 0.5, decay = 0.1;
    for (int form = 0; form < 3; form++) {
        walk k;
        char params[96];
        snprintf(params, sizeof params, "lr=0.5,weight_decay=0.1,decay=%s", forms[form]);
        start(&k, "adamw", params);
        double product = 1;
        memset(k.g, 0, sizeof k.g);
        for (int t = 0; t < 4; t++) {
            const double f = 1 - t / 4.0;
            rv_optimizer_set_lr_factor(k.optimizer, f);
            step(&k);
            product *= 1 - decay * (form == 0 ? lr * f : form == 1 ? f : lr * f * f);
        }
        for (int i = 0; i < N; i++)
            assert_true(fabs(k.w[i] - product * (cos(1.3 * i) + 0.2)) < 1e-14);
        rv_optimizer_free(k.optimizer);
    }
}

/* A cautious update never moves a weight up its gradient, and moves as far in sum as its scale says. */
static void test_caution(void **state)
{
    (void)state;
    static const char *const methods[] = {"adamw", "nadamw", "c_adamw", "laprop", "lion"};
    for (size_t m = 0; m < sizeof methods / sizeof methods[0]; m++) {
        walk mean, count, off;
        start(&mean, methods[m], "lr=0.01,weight_decay=0,caution=mean");
        start(&count, methods[m], "lr=0.01,weight_decay=0,caution=count");
        start(&off, methods[m], "lr=0.01,weight_decay=0,caution=off");
        for (int t = 1; t <= STEPS; t++) {
            walk before[3] = {mean, count, off};
            gradient(&mean, t);
            gradient(&count, t);
            gradient(&off, t);
            step(&mean);
            step(&count);
            step(&off);
            int aligned = 0;
            for (int i = 0; i < N; i++)
                aligned += (off.w[i] - before[2].w[i]) * off.g[i] < 0;
            for (int i = 0; i < N; i++) {
                const double plain = off.w[i] - before[2].w[i], by_mean = mean.w[i] - before[0].w[i];
                const double by_count = count.w[i] - before[1].w[i], mask = plain * off.g[i] < 0 ? 1 : 0;
                assert_true(by_mean * mean.g[i] <= 0);
                assert_true(fabs(by_mean - mask * plain * N / fmax(aligned, 1)) < 1e-14);
                assert_true(fabs(by_count - mask * plain * N / (aligned + 1)) < 1e-14);
            }
        }
        rv_optimizer_free(mean.optimizer);
        rv_optimizer_free(count.optimizer);
        rv_optimizer_free(off.optimizer);
    }
}

/* First steps that are lr sign(g) whatever the scale of g, and ADOPT's, which moves nothing. */
static void test_first_steps(void **state)
{
    (void)state;
    static const struct {
        const char *method, *params;
        double length;
    } first[] = {
        {"adagrad", "lr=0.5,eps=0", 0.5},  {"adamax", "lr=0.5,eps=0", 0.5},
        {"lion", "lr=0.5", 0.5},           {"signsgd", "lr=0.5", 0.5},
        {"signum", "lr=0.5", 0.5},         {"rprop", "lr=0.5", 0.5},
        {"rmsprop", "lr=0.5,alpha=0.75,eps=0", 1}, {"adopt", "lr=0.5,weight_decay=0.1,decay=decoupled", 0},
        {"laprop", "lr=0.5,eps=1e-200", 0.5},      {"nag_gs", "lr=0.5,form=jax", 0},
    };
    for (size_t m = 0; m < sizeof first / sizeof first[0]; m++) {
        walk k;
        start(&k, first[m].method, first[m].params);
        const walk before = k;
        gradient(&k, 1);
        step(&k);
        for (int i = 0; i < N; i++)
            if (!(fabs(k.w[i] - before.w[i] + first[m].length * ((k.g[i] > 0) - (k.g[i] < 0))) < 1e-14))
                fail_msg("%s: element %d moved by %g", first[m].method, i, k.w[i] - before.w[i]);
        rv_optimizer_free(k.optimizer);
    }
}

/* Sizes grow by 1.2 while the sign holds; when it turns they halve and the weight rests once. */
static void test_rprop(void **state)
{
    (void)state;
    static const double signs[] = {1, 1, 1, -1, -1, -1}, steps[] = {1, 1.2, 1.44, 0, -0.72, -0.864};
    walk k;
    start(&k, "rprop", "lr=1");
    double expected = k.w[0];
    for (int t = 0; t < 6; t++) {
        for (int i = 0; i < N; i++)
            k.g[i] = 1e-200 * signs[t]; /* products of gradients would underflow */
        step(&k);
        expected -= steps[t];
        assert_true(fabs(k.w[0] - expected) < 1e-14);
    }
    rv_optimizer_free(k.optimizer);
}

/* With t0 = 0 the average is the mean of all iterates but the first, as in the reference. */
static void test_asgd_average(void **state)
{
    (void)state;
    walk k;
    double sum[N] = {0}, x[N], *w = k.w, *dst = x;
    bool differs = false;
    start(&k, "asgd", "lr=0.1,t0=0");
    rv_optimizer_evaluation_weights(k.optimizer, (const void *const *)&w, (void *const *)&dst, &differs);
    assert_true(differs);
    assert_memory_equal(x, k.w, sizeof x);
    for (int t = 1; t <= STEPS; t++) {
        gradient(&k, t);
        step(&k);
        for (int i = 0; i < N && t > 1; i++)
            sum[i] += k.w[i];
    }
    rv_optimizer_evaluation_weights(k.optimizer, (const void *const *)&w, (void *const *)&dst, NULL);
    for (int i = 0; i < N; i++)
        assert_true(fabs(x[i] - sum[i] / (STEPS - 1)) < 1e-14);
    rv_optimizer_free(k.optimizer);
}

/* A step at right angles to the weights keeps their norm. */
static void test_fromage_norm(void **state)
{
    (void)state;
    walk k;
    start(&k, "fromage", "lr=0.3");
    double before = 0, after = 0;
    for (int i = 0; i < N; i += 2) { /* (x, y) against (-y, x) */
        k.g[i] = -7 * k.w[i + 1];
        k.g[i + 1] = 7 * k.w[i];
    }
    for (int i = 0; i < N; i++)
        before += k.w[i] * k.w[i];
    step(&k);
    for (int i = 0; i < N; i++)
        after += k.w[i] * k.w[i];
    assert_true(fabs(after / before - 1) < 1e-14);
    rv_optimizer_free(k.optimizer);
}

/* Both clip: ADOPT its normalised gradient, Sophia-G its step. */
static void test_clipping(void **state)
{
    (void)state;
    walk adopt, sophia;
    start(&adopt, "adopt", "lr=1,beta1=0");
    start(&sophia, "sophia_g", "lr=1,weight_decay=0,bs=1");
    for (int t = 1; t <= STEPS; t++) {
        const walk a = adopt, s = sophia;
        gradient(&adopt, t);
        gradient(&sophia, t);
        for (int i = 0; i < N; i++)
            adopt.g[i] *= t == 1 ? 1e-3 : 1; /* a second moment too small */
        step(&adopt);
        step(&sophia);
        for (int i = 0; i < N; i++) {
            assert_true(fabs(adopt.w[i] - a.w[i]) <= pow(t - 1, 0.25) + 1e-12);
            assert_true(fabs(sophia.w[i] - s.w[i]) <= 1 + 1e-12);
        }
    }
    rv_optimizer_free(adopt.optimizer);
    rv_optimizer_free(sophia.optimizer);
}

/* Sophia-G's estimate comes from the closure in the steps that refresh, and from there only. */
static rv_status one_and_a_half(void *context, rv_probe probe, const void *const *w, void *const *g, double *loss, rv_error *err)
{
    walk *k = context;
    (void)err;
    assert_int_equal(probe, RV_PROBE_SAMPLED);
    assert_memory_equal(w[0], k->w, sizeof k->w); /* at the weights in force */
    for (int i = 0; i < N; i++)
        ((double *)g[0])[i] = 1.5 * k->g[i];
    k->calls++;
    *loss = 0;
    return RV_OK;
}

static void test_sophia_closure(void **state)
{
    (void)state;
    static const char *const when[] = {"before", "after"};
    for (int after = 0; after < 2; after++) {
        walk sampled, gradient_;
        char params[128];
        rv_error err;
        snprintf(params, sizeof params, "lr=0.01,bs=4,hessian_every=10,refresh=%s,estimate=sampled", when[after]);
        start(&sampled, "sophia_g", params);
        snprintf(params, sizeof params, "lr=0.01,bs=4,hessian_every=10,refresh=%s,estimate_scale=1.5", when[after]);
        start(&gradient_, "sophia_g", params);
        assert_true(rv_optimizer_wants_closure(sampled.optimizer));
        sampled.calls = 0;
        for (int t = 1; t <= STEPS; t++) {
            double *w = sampled.w, *g = sampled.g;
            gradient(&sampled, t);
            gradient(&gradient_, t);
            assert_int_equal(rv_optimizer_step_closure(sampled.optimizer, (void *const *)&w, (const void *const *)&g,
                                                       one_and_a_half, &sampled, &err), RV_OK);
            step(&gradient_); /* needs no closure */
            assert_int_equal(sampled.calls, after ? t / 10 : (t - 1) / 10 + 1);
        }
        assert_memory_equal(sampled.w, gradient_.w, sizeof sampled.w);
        rv_optimizer_free(sampled.optimizer);
        rv_optimizer_free(gradient_.optimizer);
    }
    walk k;
    double *w = k.w, *g = k.g;
    rv_error err;
    start(&k, "sophia_g", "estimate=sampled");
    gradient(&k, 1);
    assert_int_equal(rv_optimizer_step(k.optimizer, (void *const *)&w, (const void *const *)&g, &err), RV_E_ARGUMENT);
    assert_non_null(strstr(err.message, "rv_optimizer_step_closure"));
    rv_optimizer_free(k.optimizer);
}

/* What options cannot mean together is refused. */
static void test_conditions(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"adam", "amsgrad=true,amsgrad_max=corrected,eps_place=before", "eps_place"},
        {"adamw", "amsgrad=true,amsgrad_max=corrected,eps_place=before", "eps_place"},
        {"rprop", "step_min=2,step_max=1", "step_max"},
        {"sgdw", "nesterov=true", "nesterov"},
    };
    static const rv_tensor tensor = {.name = "w", .role = RV_ROLE_BIAS, .shape = {1, {N}}};
    double w[N] = {0}, *ws = w;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const rv_optimizer_options options = {.method = bad[i][0], .params = bad[i][1], .dtype = RV_F64};
        rv_optimizer *optimizer;
        rv_error err;
        assert_int_equal(rv_optimizer_new(&optimizer, &options, &tensor, 1, (const void *const *)&ws, &err), RV_E_ARGUMENT);
        assert_non_null(strstr(err.message, bad[i][0]));
        assert_non_null(strstr(err.message, bad[i][2]));
    }
}

/* The power of floats that vectorises: over the whole range within two units in the last place, exact
 * for 0, 1 and infinity. */
static void test_power(void **state)
{
    (void)state;
    static const double exponents[] = {0, 0.001, 0.24, 1 / 3.0, 0.5, 0.999, 1};
    for (size_t k = 0; k < sizeof exponents / sizeof exponents[0]; k++) {
        const rv_power q = rv_power_of(exponents[k]);
        for (uint32_t bits = 0; bits < 0x7F800000u; bits += 10007) {
            float x;
            memcpy(&x, &bits, sizeof x);
            const double exact = pow((double)x, exponents[k]);
            const double unit = fmax(exact * 0x1p-23, 0x1p-149);
            assert_true(fabs((double)rv_power_at(x, q) - exact) <= 2 * unit);
        }
        assert_true(rv_power_at(0, q) == (exponents[k] > 0 ? 0 : 1) && rv_power_at(1, q) == 1);
        assert_true(isinf(rv_power_at(INFINITY, q)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),        cmocka_unit_test(test_different),    cmocka_unit_test(test_decay_forms),
        cmocka_unit_test(test_caution),     cmocka_unit_test(test_first_steps),  cmocka_unit_test(test_rprop),
        cmocka_unit_test(test_asgd_average), cmocka_unit_test(test_fromage_norm), cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_sophia_closure), cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
