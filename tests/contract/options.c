/* What every method promises also holds with the options that change its state or its path:
 * the same bits for any number of workers and across a restart, also with state in bf16, a
 * gradient that is not finite refused before it reaches a weight, still weights without one. */
#include "fixture.h"

typedef struct selection {
    const char *method, *params, *rules;
} selection;

#define TWO_RULES(method) \
    "[{\"rank\": [0, 1], \"method\": \"" method "\"}, {\"method\": \"" method "\"}]"

static const selection selections[] = {
    {"prodigy", "d0=1e-3,decouple=false,weight_decay=0.1,use_bias_correction=true,safeguard_warmup=true", NULL},
    {"prodigy", "growth_rate=1.5,beta3=0.9", TWO_RULES("prodigy")},
    {"dadapt_adam", "use_bias_correction=true,growth_rate=2,d0=1e-3", TWO_RULES("dadapt_adam")},
    {"dadapt_sgd", "weight_decay=0.1,momentum=0,d0=1e-2", TWO_RULES("dadapt_sgd")},
    {"dadapt_lion", "weight_decay=0.1,d0=1e-2", TWO_RULES("dadapt_lion")},
    {"dadapt_adagrad", "momentum=0.9,weight_decay=0.1", TWO_RULES("dadapt_adagrad")},
    {"dadapt_adan", "no_prox=true", TWO_RULES("dadapt_adan")},
    {"dog", "weight_decay=0.1,init_eta=1e-3", NULL},
    {"ldog", "weight_decay=0.1,reps_rel=1e-3", NULL},
    {"dowg", "origin=first_step", NULL},
    {"lamb", "max_grad_norm=1,trust_clip=true,grad_averaging=false", TWO_RULES("lamb")},
    {"lamb", "bias_correction=false,adapt=always,weight_decay=0,phi_min=0.1,phi_max=10", NULL},
    {"lars", "weight_decay=0.1,nesterov=true,trust_clip=true", NULL},
    {"lars", "momentum=0,adapt=always,norm=together", NULL},
    {"lars", "lr_in_buffer=true,weight_decay=0.1,dampening=0.5", NULL},
    {"adam_mini", "blocks=rows,weight_decay=0.1", NULL},
    {"adam_mini", "blocks=tensor,decay_vectors=true,weight_decay=0.1", NULL},
    {"adam_mini", "blocks=elements", NULL},
    {"adam_mini", "blocks=heads,heads=2", NULL},
    {"adam_mini", "heads=2", NULL},
    {"amos", "slots=rows,momentum=0.9,extra_l2=0.01", NULL},
    {"amos", "eps_form=add,eta_rule=second_axis,eta=0.3", NULL},
    {"amos_algoperf", "style=reduced,l2=0.01", NULL},
    {"amos_algoperf", "style=reduced,beta1=0,slots=rows,use_nu_clip=false", NULL},
    {"amos_algoperf", "slots=rows,converge_steps=100,lr=1,eta_rule=flax", NULL},
    {"schedule_free_sgd", "lr=0.1,warmup_steps=3,r=1,weight_decay=0.1", NULL},
    {"schedule_free_radam", "silent_sgd_phase=false,lr=0.1", NULL},
    {"schedule_free_adamw", "form=algoperf_v05,weight_decay=0.1,r=0.75", NULL},
    {"schedule_free_adamw", "form=algoperf_v06,weight_decay=0.1", NULL},
    {"schedule_free_weighted", "weight_decay=0.1,warmup_steps=3,r=0", NULL},
    {"schedule_free_prodigy", "weight_decay=0.1,d0=1e-3", TWO_RULES("schedule_free_prodigy")},
    {"mars", "type=lion,weight_decay=0.1", NULL},
    {"mars", "type=shampoo,weight_decay=0.1", NULL},
    {"mars", "type=shampoo", "[{\"method\": \"mars\"}]"},
    {"adafactor", "weight_decay=0.1,clip_threshold=0.5", NULL},
    {"adafactor", "form=timm,min_dim_size_to_factor=2,beta1=0.9,weight_decay=0.1", NULL},
    {"adafactor", "form=timm,relative_step=true,warmup_init=true", NULL},
    {"adafactor", "form=optax,min_dim_size_to_factor=3,beta1=0.9,weight_decay=0.01", NULL},
};
enum { SELECTIONS = sizeof selections / sizeof selections[0], STEPS = 6, STOP = 3 };

static void make(fixture *f, const selection *v, rv_dtype state, rv_pool *pool)
{
    const rv_optimizer_options options = {.method = v->method,
                                          .params = v->params,
                                          .rules = v->rules,
                                          .dtype = f->dtype,
                                          .state_dtype = state,
                                          .seed = 7,
                                          .pool = pool};
    rv_error err;
    rv_optimizer_free(f->optimizer);
    must(rv_optimizer_new_flat(&f->optimizer, &options, &f->layout, f->w, &err), &err);
}

/* Steps on the bowl with `workers` workers; stop > 0: the state then moves to a new optimizer. */
static saved trained(fixture *f, const selection *v, rv_dtype dtype, rv_dtype state, int workers, int stop)
{
    rv_pool *pool = NULL;
    rv_error err;
    fixture_init(f, TENSORS, dtype);
    f->tensors[2].parts = 3; /* block0.tall as query, key and value of four rows each */
    if (workers > 1)
        must(rv_pool_new(&pool, workers, &err), &err);
    make(f, v, state, pool);
    for (int step = 0; step < STEPS; step++) {
        if (stop > 0 && step == stop) {
            saved half = save(f->optimizer);
            make(f, v, state, pool);
            must(rv_optimizer_restore(f->optimizer, half.arrays, half.count, &err), &err);
            saved_release(&half);
        }
        bowl_gradient(f);
        fixture_step(f);
    }
    saved s = save(f->optimizer);
    rv_optimizer_free(f->optimizer);
    f->optimizer = NULL;
    rv_pool_free(pool);
    return s;
}

static void check_same(const selection *v, rv_dtype dtype, rv_dtype state)
{
    fixture first, other;
    saved a = trained(&first, v, dtype, state, 1, 0);
    for (int workers = 1; workers <= 3; workers += 2) {
        saved b = trained(&other, v, dtype, state, workers, STOP);
        if (memcmp(first.w, other.w, (size_t)first.layout.size * rv_dtype_size(dtype)) != 0 || !saved_equal(&a, &b))
            fail_msg("%s %s: other bits with %d workers and a restart", v->method, v->params, workers);
        saved_release(&b);
        fixture_release(&other);
    }
    EACH_ELEMENT(&first, i)
    if (!isfinite(get(first.w, dtype, i)))
        fail_msg("%s %s: weights are not finite", v->method, v->params);
    saved_release(&a);
    fixture_release(&first);
}

static void test_bits(void **state)
{
    (void)state;
    for (int k = 0; k < SELECTIONS; k++) {
        check_same(&selections[k], RV_F32, RV_F32);
        check_same(&selections[k], RV_F64, RV_F64);
        check_same(&selections[k], RV_F32, RV_BF16);
    }
}

/* A gradient that is not finite in one tensor after the other: refused by name. */
static void test_bad_gradients(void **state)
{
    (void)state;
    for (int k = 0; k < SELECTIONS; k++)
        for (int t = 0; t < LARGE; t++) {
            fixture f;
            rv_error err = {0};
            fixture_init(&f, LARGE, RV_F32);
            const int64_t size = rv_shape_size(&f.tensors[t].shape);
            make(&f, &selections[k], RV_F32, NULL);
            bowl_gradient(&f);
            fixture_step(&f);
            if (size > 0)
                put(f.g, RV_F32, f.tensors[t].offset + size - 1, (double)NAN);
            const rv_status status = rv_optimizer_step_closure_flat(f.optimizer, f.w, f.g, bowl_closure, &f, &err);
            if (status != (size > 0 ? RV_E_NUMERIC : RV_OK) || (size > 0 && !strstr(err.message, f.tensors[t].name)))
                fail_msg("%s %s, tensor %s: %s", selections[k].method, selections[k].params, f.tensors[t].name, err.message);
            EACH_ELEMENT(&f, i)
            assert_true(isfinite(get(f.w, RV_F32, i)));
            fixture_release(&f);
        }
}

/* Zero gradients from the first step on leave numbers; where nothing decays the weights stay. */
static void test_no_gradient(void **state)
{
    (void)state;
    for (int k = 0; k < SELECTIONS; k++) {
        const selection *v = &selections[k];
        fixture f;
        fixture_init(&f, LARGE, RV_F32);
        float *before = malloc((size_t)f.layout.size * sizeof *before);
        memcpy(before, f.w, (size_t)f.layout.size * sizeof *before);
        make(&f, v, RV_F32, NULL);
        for (int step = 0; step < 3; step++)
            fixture_step(&f);
        const rv_param *decay = rv_params_find(rv_method_find(v->method)->params, "weight_decay");
        const bool decays = strstr(v->params, "weight_decay") ? !strstr(v->params, "weight_decay=0,")
                                                              : decay && strtod(decay->initial, NULL) > 0;
        EACH_ELEMENT(&f, i)
        if (!isfinite(get(f.w, RV_F32, i)) || (!decays && !strstr(v->params, "l2") && get(f.w, RV_F32, i) != (double)before[i]))
            fail_msg("%s %s: moved from %g to %g", v->method, v->params, (double)before[i], get(f.w, RV_F32, i));
        for (int step = 0; step < 3; step++) { /* and then it can still begin */
            bowl_gradient(&f);
            fixture_step(&f);
        }
        EACH_ELEMENT(&f, i)
        assert_true(isfinite(get(f.w, RV_F32, i)));
        free(before);
        fixture_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_bad_gradients),
        cmocka_unit_test(test_no_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
