/* Configurations: layers, what they resolve to, names, and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "ravine/optim.h"
#include "trial_help.h"

static json_t *parsed(const char *config, const char *override)
{
    rv_error err = {0};
    char *text = resolve(config, override, &err);
    if (text == NULL)
        fail_msg("%s", err.message);
    json_t *value = json_loads(text, 0, NULL);
    free(text);
    return value;
}

static double number(const json_t *config, const char *object, const char *key)
{
    return json_number_value(json_object_get(json_object_get(config, object), key));
}

static void layers(void **state)
{
    (void)state;
    unsetenv("RAVINE_SET");
    json_t *c = parsed("{'workload':'rosenbrock'}", NULL);
    assert_true(number(c, "optimizer_params", "lr") == 0.003);   /* the recipe's */
    assert_true(number(c, "optimizer_params", "beta1") == 0.9);  /* the method's */
    assert_true(number(c, "train", "steps") == 2000);
    assert_true(number(c, "train", "log_every") == 10);
    json_decref(c);
    c = parsed("{'workload':'rosenbrock','optimizer_params':{'lr':0.5},'train':{'steps':7}}", NULL);
    assert_true(number(c, "optimizer_params", "lr") == 0.5 && number(c, "train", "steps") == 7);
    json_decref(c);
    setenv("RAVINE_SET", "lr=0.25,steps=9", 1);
    c = parsed("{'workload':'rosenbrock','optimizer_params':{'lr':0.5}}", NULL);
    assert_true(number(c, "optimizer_params", "lr") == 0.25 && number(c, "train", "steps") == 9);
    json_decref(c);
    c = parsed("{'workload':'rosenbrock'}", "optimizer.lr=0.125");
    assert_true(number(c, "optimizer_params", "lr") == 0.125 && number(c, "train", "steps") == 9);
    json_decref(c);
    unsetenv("RAVINE_SET");
    /* The recipe's learning rate is the recipe's optimizer's only. */
    c = parsed("{'workload':'rosenbrock','optimizer':'sgd'}", NULL);
    rv_error err = {0};
    const rv_method_info *sgd = rv_method_find("sgd");
    assert_true(number(c, "optimizer_params", "lr") == atof(rv_params_find(sgd->params, "lr")->initial));
    assert_null(json_object_get(json_object_get(c, "optimizer_params"), "beta1"));
    json_decref(c);
    assert_null(resolve("{'workload':'rosenbrock'}", "lr=nan", &err));
}

static void resolved_is_fixed(void **state)
{
    (void)state;
    for (int w = 0; rv_workload_at(w) != NULL; w++)
        for (int m = 0; rv_method_at(m) != NULL; m++) {
            char text[256], *once = NULL, *twice = NULL;
            rv_error err = {0};
            snprintf(text, sizeof text, "{\"workload\":\"%s\",\"optimizer\":\"%s\"}", rv_workload_at(w)->name,
                     rv_method_at(m)->name);
            if (rv_trial_resolve(text, NULL, 0, &once, &err) != RV_OK ||
                rv_trial_resolve(once, NULL, 0, &twice, &err) != RV_OK)
                fail_msg("%s: %s", text, err.message);
            assert_string_equal(once, twice);
            free(once);
            free(twice);
        }
}

static void rules_are_kept(void **state)
{
    (void)state;
    static const char config[] = "{'workload':'rosenbrock','optimizer':'adamw','optimizer_params':{'lr':0.01},"
                                 "'optimizer_rules':[{'name':'x*','method':'sgd','params':{'lr':0.5}},"
                                 "{'method':'adamw'}]}";
    rv_error err = {0};
    char *once = resolve(config, "sgd.momentum=0.25", &err), *twice = NULL;
    if (once == NULL)
        fail_msg("%s", err.message);
    assert_int_equal(rv_trial_resolve(once, NULL, 0, &twice, &err), RV_OK);
    assert_string_equal(once, twice);
    assert_non_null(strstr(once, "\"optimizer_rules\""));
    json_t *c = json_loads(once, 0, NULL);
    assert_true(number(json_object_get(c, "optimizer_params"), "sgd", "momentum") == 0.25);
    json_decref(c);
    free(once);
    free(twice);
    assert_null(resolve("{'workload':'rosenbrock','optimizer_rules':[{'methd':'adamw'}]}", NULL, &err));
    assert_null(resolve("{'workload':'rosenbrock','optimizer_rules':{}}", NULL, &err));
}

/* Wrappers and schedules in every form they may be written in resolve to one text. */
static void around_the_method(void **state)
{
    (void)state;
    rv_error err;
    static const char *const forms[] = {
        "{'workload':'rosenbrock','optimizer':'sgd','wrappers':'sam(rho=0.125),ema','schedules':{'momentum':'linear(end=0.5)'}}",
        "{'workload':'rosenbrock','optimizer':'sgd','wrappers':['sam(rho=0.125)',{'name':'ema'}],"
        "'schedules':{'momentum':{'name':'linear','params':{'end':0.5}}}}",
        "{'workload':'rosenbrock','optimizer':'sgd','wrappers':'sam,ema','optimizer_params':{'sam':{'rho':0.125}},"
        "'schedules':{'momentum':{'name':'linear','params':'end=0.5'}}}",
    };
    char *first = resolve(forms[0], NULL, &err), *again = NULL;
    assert_non_null(first);
    for (int i = 1; i < 3; i++) {
        char *other = resolve(forms[i], NULL, &err);
        assert_non_null(other);
        assert_string_equal(first, other);
        free(other);
    }
    assert_int_equal(rv_trial_resolve(first, NULL, 0, &again, &err), RV_OK);
    assert_string_equal(first, again);
    free(again);
    free(first);
    const char *sets[] = {"wrappers=sam,ema", "sam.rho=0.125", "schedules.momentum=linear(end=0.5)"};
    assert_int_equal(rv_trial_resolve("{\"workload\":\"rosenbrock\",\"optimizer\":\"sgd\"}", sets, 3, &again, &err), RV_OK);
    assert_non_null(strstr(again, "\"rho\": 0.125"));
    free(again);
    /* Commas in parentheses belong to the list. */
    setenv("RAVINE_SET", "wrappers=ema(decay=0.5,warmup=true),train.steps=9", 1);
    json_t *c = parsed("{'workload':'rosenbrock'}", NULL);
    unsetenv("RAVINE_SET");
    assert_true(number(c, "train", "steps") == 9);
    assert_int_equal(json_array_size(json_object_get(c, "wrappers")), 1);
    json_decref(c);
}

static void identity(void **state)
{
    (void)state;
    char a[256], b[256], c[256], *text = NULL;
    text = resolve("{'workload':'rosenbrock','train':{'seed':3}}", NULL, NULL);
    rv_trial_id(text, a, sizeof a);
    free(text);
    text = resolve("{'workload':'rosenbrock'}", "seed=4", NULL);
    rv_trial_id(text, b, sizeof b);
    free(text);
    text = resolve("{'workload':'rosenbrock','train':{'seed':3}}", "lr=0.004", NULL);
    rv_trial_id(text, c, sizeof c);
    free(text);
    size_t stem = strlen("rosenbrock-adamw-") + 8;
    assert_int_equal(strncmp(a, "rosenbrock-adamw-", 17), 0);
    assert_string_equal(a + stem, "-s3");
    assert_string_equal(b + stem, "-s4");
    assert_int_equal(strncmp(a, b, stem), 0);
    assert_int_not_equal(strncmp(a, c, stem), 0);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *config, *override, *says;
        rv_status status;
    } cases[] = {
        {"{}", NULL, "\"workload\" is missing", RV_E_ARGUMENT},
        {"[]", NULL, "JSON object", RV_E_ARGUMENT},
        {"{'workload':'rosenbrok'}", NULL, "\"rosenbrock\"", RV_E_UNKNOWN},
        {"{'workload':3}", NULL, "must be a name", RV_E_ARGUMENT},
        {"{'workload':'rosenbrock','optimiser':'sgd'}", NULL, "\"optimizer\"", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock','optimizer':'adamww'}", NULL, "\"adamw\"", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock','wrappers':7}", NULL, "wrappers", RV_E_ARGUMENT},
        {"{'workload':'rosenbrock','wrappers':'emma'}", NULL, "'ema'", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock','wrappers':'ema(decay=2)'}", NULL, "decay", RV_E_RANGE},
        {"{'workload':'rosenbrock','schedules':{'beta7':'linear'}}", NULL, "beta7", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock','schedules':{'beta1':'linaer'}}", NULL, "\"linear\"", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock','schedules':{'beta1':'linear,cosine'}}", NULL, "one schedule", RV_E_ARGUMENT},
        {"{'workload':'rosenbrock','schedules':{'beta1':'linear(end=3)'}}", NULL, "end", RV_E_RANGE},
        {"{'workload':'rosenbrock','schedule':'cosin'}", NULL, "\"cosine\"", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock','train':{'stepz':1}}", NULL, "\"steps\"", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock','train':{'steps':0}}", NULL, "steps must be", RV_E_RANGE},
        {"{'workload':'rosenbrock','train':[]}", NULL, "an object", RV_E_ARGUMENT},
        {"{'workload':'rosenbrock','optimizer_params':{'beta1':1}}", NULL, "beta1", RV_E_RANGE},
        {"{'workload':'rosenbrock'}", "steps", "name=value", RV_E_ARGUMENT},
        {"{'workload':'rosenbrock'}", "=1", "name=value", RV_E_ARGUMENT},
        {"{'workload':'rosenbrock'}", "beta3=1", "\"beta", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock'}", "train.lr=1", "no parameter \"lr\"", RV_E_UNKNOWN},
        {"{'workload':'rosenbrock'}", "lr=-1", "lr must be", RV_E_RANGE},
        {"{'workload':'rosenbrock','workload':'rosenbrock'}", NULL, "duplicate", RV_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rv_error err = {0};
        assert_null(resolve(cases[i].config, cases[i].override, &err));
        if (err.status != cases[i].status || strstr(err.message, cases[i].says) == NULL)
            fail_msg("%s %s: %s", cases[i].config, cases[i].override, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers),            cmocka_unit_test(resolved_is_fixed), cmocka_unit_test(rules_are_kept),
        cmocka_unit_test(around_the_method), cmocka_unit_test(identity),          cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
