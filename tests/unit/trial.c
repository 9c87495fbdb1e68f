/* The training run: what the loop computes, against the same steps made by hand, and what it
 * leaves behind. */
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
#include "temp_folder.h"
#include "trial/index.h"
#include "trial_help.h"

static rv_trial_result run(const char *config, const char *override)
{
    rv_error err = {0};
    rv_trial_result result = {0};
    rv_trial_options options = {.dir = test_folder, .threads = 1};
    char *text = resolve(config, override, &err);
    if (text == NULL || rv_trial_run(text, &options, &result, &err) != RV_OK)
        fail_msg("%s", err.message);
    free(text);
    return result;
}

/* What a schedule of a hyperparameter does, and that it is logged. */
static void scheduled_momentum(void **state)
{
    (void)state;
    rv_trial_result r = run("{'workload':'rosenbrock','optimizer':'sgd','optimizer_params':{'lr':1e-5,'momentum':0.8},"
                            "'schedules':{'momentum':'linear(end=0)'},'train':{'steps':4,'log_every':1}}", NULL);
    char path[RV_PATH_SIZE], line[1024];
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

/* Plain SGD in float64 on mean gradients of two parts, clipped and scheduled, by hand. */
static void steps_by_hand(void **state)
{
    (void)state;
    enum { STEPS = 5 };
    static const char config[] =
        "{'workload':'linear-regression','optimizer':'sgd','optimizer_params':{'lr':0.1},'schedule':'cosine',"
        "'train':{'steps':5,'horizon':8,'accumulate':2,'clip':1.5,'precision':'f64','log_every':1,'seed':11}}";
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
        double lr = 0.1 * cosine->factor(schedule, (int64_t)step, 8);
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
    char path[RV_PATH_SIZE];
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
    char path[RV_PATH_SIZE];
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    snprintf(path, sizeof path, "%s/index.sqlite", test_folder);
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
    char path[RV_PATH_SIZE];
    snprintf(path, sizeof path, "%s/index.sqlite", test_folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rv_index_rebuild(test_folder, NULL), RV_OK);
    assert_int_equal(rows("SELECT count(*) FROM runs"), before);
    assert_int_equal(rows("SELECT count(*) FROM runs WHERE steps = 21 AND target_step IS NULL AND final > 0"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scheduled_momentum), cmocka_unit_test(closures_are_charged), cmocka_unit_test(steps_by_hand),
        cmocka_unit_test(targets_and_budgets), cmocka_unit_test(evaluation_weights), cmocka_unit_test(results_read_back),
        cmocka_unit_test(index_of_runs),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
