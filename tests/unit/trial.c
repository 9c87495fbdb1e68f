/* The training run: configurations, and what the loop computes, against the same steps
 * made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "ravine/optim.h"
#include "ravine/trial.h"
#include "trial/index.h"

static char dir[] = "/tmp/ravine-trial-XXXXXX";

static char *resolve(const char *config, const char *override, rv_error *err)
{
    char text[1024], *resolved = NULL;
    snprintf(text, sizeof text, "%s", config);
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    if (rv_trial_resolve(text, &override, override == NULL ? 0 : 1, &resolved, err) != RV_OK)
        assert_null(resolved);
    return resolved;
}

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

static rv_trial_result run(const char *config, const char *override)
{
    rv_error err = {0};
    rv_trial_result result = {0};
    rv_trial_options options = {.dir = dir, .threads = 1};
    char *text = resolve(config, override, &err);
    if (text == NULL || rv_trial_run(text, &options, &result, &err) != RV_OK)
        fail_msg("%s", err.message);
    free(text);
    return result;
}

/* ---- configurations ------------------------------------------------------------------ */

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

/* What a schedule of a hyperparameter does, and that it is logged. */
static void scheduled_momentum(void **state)
{
    (void)state;
    rv_trial_result r = run("{'workload':'rosenbrock','optimizer':'sgd','optimizer_params':{'lr':1e-5,'momentum':0.8},"
                            "'schedules':{'momentum':'linear(end=0)'},'train':{'steps':4,'log_every':1}}", NULL);
    char path[400], line[1024];
    snprintf(path, sizeof path, "%s/log.jsonl", r.run);
    FILE *log = fopen(path, "r");
    assert_non_null(log);
    int steps = 0;
    while (fgets(line, sizeof line, log)) {
        json_t *object = json_loads(line, 0, NULL);
        const json_t *momentum = json_object_get(object, "momentum");
        if (momentum != NULL)
            assert_true(fabs(json_number_value(momentum) - 0.8 * (1 - steps++ / 4.0)) < 1e-15);
        json_decref(object);
    }
    fclose(log);
    assert_int_equal(steps, 4);
}

/* SAM's second gradient is an example as well, and the average is what is evaluated. */
static void closures_are_charged(void **state)
{
    (void)state;
    const char *plain = "{'workload':'linear-regression','optimizer':'sgd','train':{'steps':5}}";
    const char *sam = "{'workload':'linear-regression','optimizer':'sgd','wrappers':'sam','train':{'steps':5}}";
    assert_int_equal(run(sam, NULL).examples, 2 * run(plain, NULL).examples);
    rv_trial_result r = run("{'workload':'rosenbrock','optimizer':'sgd','optimizer_params':{'lr':1e-5},'wrappers':'swa',"
                            "'train':{'steps':30}}", NULL);
    rv_trial_result p = run("{'workload':'rosenbrock','optimizer':'sgd','optimizer_params':{'lr':1e-5},'train':{'steps':30}}", NULL);
    assert_true(r.final != p.final);
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

/* ---- the loop ---------------------------------------------------------------------------- */

/* Plain SGD in float64 on mean gradients of two parts, clipped and scheduled, by hand. */
static void steps_by_hand(void **state)
{
    (void)state;
    enum { STEPS = 5 };
    static const char config[] =
        "{'workload':'linear-regression','optimizer':'sgd','optimizer_params':{'lr':0.1},'schedule':'cosine',"
        "'train':{'steps':5,'accumulate':2,'clip':1.5,'precision':'f64','log_every':1,'seed':11}}";
    rv_trial_result result = run(config, NULL);
    char *text = resolve(config, NULL, NULL), id[256];
    rv_trial_id(text, id, sizeof id);
    free(text);
    const rv_workload *workload = rv_workload_find("linear-regression");
    const rv_schedule_info *cosine = rv_schedule_find("cosine");
    void *params = calloc(1, workload->params->size), *schedule = calloc(1, cosine->params->size + 1);
    rv_params_init(workload->params, params);
    rv_params_init(cosine->params, schedule);
    rv_workload_env env = {.backend = RV_BACKEND_REF};
    rv_objective *o = NULL;
    assert_int_equal(workload->make(params, &env, &o, NULL), RV_OK);
    double w[64] = {0}, g[2][64] = {{0}}, loss[2];
    assert_int_equal(rv_objective_init(o, 11, w, NULL), RV_OK);
    int64_t at = o->layout->tensors[0].offset, n = rv_shape_size(&o->layout->tensors[0].shape);
    for (uint64_t step = 0; step < STEPS; step++) {
        double norm = 0;
        for (int part = 0; part < 2; part++)
            assert_int_equal(rv_objective_value_grad(o, w, (rv_batch){11, step, part, 2}, g[part], &loss[part], NULL), RV_OK);
        for (int64_t i = at; i < at + n; i++) {
            g[0][i] = (g[0][i] + g[1][i]) / 2;
            norm += g[0][i] * g[0][i];
        }
        double scale = fmin(1, 1.5 / (sqrt(norm) + 1e-6));
        double lr = 0.1 * cosine->factor(schedule, (int64_t)step, STEPS);
        for (int64_t i = at; i < at + n; i++)
            w[i] -= lr * scale * g[0][i];
    }
    rv_array_set set;
    assert_int_equal(rv_safetensors_read(result.weights, &set, NULL), RV_OK);
    assert_int_equal(set.count, 1);
    for (int64_t i = 0; i < n; i++)
        assert_true(fabs(((double *)set.arrays[0].data)[i] - w[at + i]) < 1e-12);
    rv_array_set_release(&set);
    rv_metrics metrics;
    assert_int_equal(rv_objective_evaluate(o, w, RV_SPLIT_VALIDATION, &metrics, NULL), RV_OK);
    assert_true(fabs(rv_metrics_get(&metrics, "loss") - result.final) < 1e-12);
    rv_objective_free(o);
    free(params);
    free(schedule);
    /* The log: a line a step with rate, norm and the mean of the two losses. */
    char path[512];
    rv_reader r;
    snprintf(path, sizeof path, "%s/log.jsonl", result.run);
    assert_int_equal(rv_reader_open(&r, path, 1 << 20, NULL), RV_OK);
    int trained = 0;
    for (char *line = strtok((char *)r.data, "\n"); line != NULL && trained < STEPS; line = strtok(NULL, "\n")) {
        json_t *object = json_loadb(line, strcspn(line, "\n"), JSON_DISABLE_EOF_CHECK, NULL);
        if (json_object_get(object, "loss") != NULL) {
            assert_int_equal(json_integer_value(json_object_get(object, "step")), ++trained);
            assert_true(json_number_value(json_object_get(object, "grad_norm")) > 0);
            if (trained == STEPS)
                assert_true(fabs(json_number_value(json_object_get(object, "loss")) - (loss[0] + loss[1]) / 2) < 1e-12);
        }
        json_decref(object);
    }
    assert_int_equal(trained, STEPS);
    rv_reader_close(&r);
}

static void targets_and_budgets(void **state)
{
    (void)state;
    rv_trial_result r = run("{'workload':'rosenbrock','optimizer_params':{'lr':0.02,'beta2':0.95}}", NULL);
    assert_int_equal(r.outcome, RV_OUTCOME_TARGET);
    assert_true(r.final <= 1e-4 && r.target_step == r.steps && r.steps < 2000 && r.target_examples == r.examples);
    assert_true(r.target_seconds <= r.seconds);
    assert_int_equal(r.steps % 10, 0); /* seen by an evaluation */
    rv_trial_result on = run("{'workload':'rosenbrock','optimizer_params':{'lr':0.02,'beta2':0.95}}", "stop_at_target=false");
    assert_int_equal(on.steps, 2000);
    assert_int_equal(on.outcome, RV_OUTCOME_TARGET);
    assert_int_equal(on.target_step, r.target_step);
    r = run("{'workload':'linear-regression'}", "examples=31");
    assert_int_equal(r.outcome, RV_OUTCOME_BUDGET);
    assert_int_equal(r.examples, 32); /* batches of 2 */
    assert_int_equal(r.steps, 16);
    assert_int_equal(r.target_step, -1);
    r = run("{'workload':'rosenbrock','train':{'steps':1000000,'target':null,'eval_every':1000000}}", "seconds=0.02");
    assert_int_equal(r.outcome, RV_OUTCOME_BUDGET);
    assert_true(r.seconds >= 0.02 && r.steps < 1000000);
    assert_false(isnan(r.final));
}

/* Averages are measured and written, not the weights that gradients were taken at. */
static void evaluation_weights(void **state)
{
    (void)state;
    rv_trial_result r = run("{'workload':'rosenbrock','optimizer':'schedule_free_adamw','train':{'steps':50}}", NULL);
    rv_array_set set;
    assert_int_equal(rv_safetensors_read(r.weights, &set, NULL), RV_OK);
    assert_non_null(strstr(set.metadata, "\"optimizer\":\"schedule_free_adamw\""));
    const float *w = set.arrays[0].data;
    double valley = (double)w[1] - (double)w[0] * (double)w[0], value = pow(1 - (double)w[0], 2) + 100 * valley * valley;
    assert_true(fabs(value - r.final) <= 1e-9 * value);
    rv_array_set_release(&set);
}

static void results_read_back(void **state)
{
    (void)state;
    rv_trial_result r = run("{'workload':'rosenbrock','train':{'steps':20}}", NULL), again;
    assert_int_equal(rv_trial_read(r.run, &again, NULL), RV_OK);
    char *a = rv_trial_result_json(&r), *b = rv_trial_result_json(&again);
    assert_string_equal(a, b);
    free(a);
    free(b);
    assert_int_equal(rv_trial_read("/nowhere", &again, NULL), RV_E_IO);
}

static int rows(const char *statement)
{
    char path[512];
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    snprintf(path, sizeof path, "%s/index.sqlite", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, statement, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int n = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

static void index_of_runs(void **state)
{
    (void)state;
    (void)run("{'workload':'rosenbrock','train':{'steps':21}}", NULL);
    (void)run("{'workload':'rosenbrock','train':{'steps':21,'seed':1}}", NULL);
    int before = rows("SELECT count(*) FROM runs");
    assert_true(before >= 2);
    assert_int_equal(rows("SELECT count(*) FROM runs WHERE steps = 21 AND target_step IS NULL AND final > 0"), 2);
    char path[512];
    snprintf(path, sizeof path, "%s/index.sqlite", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rv_index_rebuild(dir, NULL), RV_OK);
    assert_int_equal(rows("SELECT count(*) FROM runs"), before);
    assert_int_equal(rows("SELECT count(*) FROM runs WHERE steps = 21 AND target_step IS NULL AND final > 0"), 2);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers),        cmocka_unit_test(resolved_is_fixed), cmocka_unit_test(rules_are_kept),
        cmocka_unit_test(around_the_method),
        cmocka_unit_test(scheduled_momentum), cmocka_unit_test(closures_are_charged), cmocka_unit_test(identity),      cmocka_unit_test(refused),           cmocka_unit_test(steps_by_hand),
        cmocka_unit_test(targets_and_budgets), cmocka_unit_test(evaluation_weights),
        cmocka_unit_test(results_read_back),   cmocka_unit_test(index_of_runs),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
