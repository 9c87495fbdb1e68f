/* Saved weights read back: the point they make, against what the run itself said, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "ravine/trial.h"

static char dir[] = "/tmp/ravine-point-XXXXXX";
static const char valley[] = "{\"workload\":\"rosenbrock\",\"optimizer\":\"sgd\",\"optimizer_params\":{\"lr\":1e-4},"
                             "\"wrappers\":\"ema(decay=0.5)\",\"train\":{\"steps\":20,\"stop_at_target\":false}}";

static rv_trial_result run(const char *config)
{
    rv_error err = {0};
    rv_trial_result result = {0};
    rv_trial_options options = {.dir = dir, .threads = 1};
    char *text = NULL;
    if (rv_trial_resolve(config, NULL, 0, &text, &err) != RV_OK || rv_trial_run(text, &options, &result, &err) != RV_OK)
        fail_msg("%s", err.message);
    free(text);
    return result;
}

static rv_point load(const char *path, rv_point_options options)
{
    rv_error err = {0};
    rv_point point;
    if (rv_point_load(&point, path, &options, &err) != RV_OK)
        fail_msg("%s: %s", path, err.message);
    return point;
}

static void refused(rv_status expected, const char *path, bool raw, const char *says)
{
    rv_error err = {0};
    rv_point point;
    rv_point_options options = {.raw = raw};
    assert_int_equal(rv_point_load(&point, path, &options, &err), expected);
    assert_int_equal(err.status, expected);
    if (!strstr(err.message, says) || !strstr(err.message, path))
        fail_msg("\"%s\" and the path expected in: %s", says, err.message);
    rv_point_release(&point);
}

static double metric(const rv_point *p, const char *name)
{
    rv_error err;
    rv_metrics metrics;
    assert_int_equal(rv_objective_evaluate(p->objective, p->w, RV_SPLIT_VALIDATION, &metrics, &err), RV_OK);
    return rv_metrics_get(&metrics, name);
}

/* Folder, weights and checkpoint of one run give the same point, whose metric is what the run reported. */
static void weights_to_evaluate(void **state)
{
    (void)state;
    char path[2048];
    rv_trial_result r = run(valley);
    rv_point folder = load(r.run, (rv_point_options){0}), file = load(r.weights, (rv_point_options){0});
    snprintf(path, sizeof path, "%s/checkpoint", r.run);
    rv_point newest = load(path, (rv_point_options){0});
    assert_true(metric(&folder, "loss") == r.final);
    assert_true(folder.step == 20 && newest.step == 20);
    assert_true(newest.averaged);
    assert_string_equal(folder.workload, "rosenbrock");
    assert_string_equal(folder.optimizer, "sgd");
    size_t bytes = (size_t)folder.objective->layout->size * sizeof(float);
    assert_memory_equal(folder.w, file.w, bytes);
    assert_memory_equal(folder.w, newest.w, bytes);
    rv_point_release(&folder);
    rv_point_release(&file);
    rv_point_release(&newest);
}

/* 20 steps by hand: the stepped weights are those of plain SGD, and the average differs. */
static void stepped_weights(void **state)
{
    (void)state;
    rv_trial_result r = run(valley);
    rv_point raw = load(r.run, (rv_point_options){.raw = true}), average = load(r.run, (rv_point_options){0});
    float x = 0.1F, y = 3, *w = raw.w;
    for (int i = 0; i < 20; i++) {
        double bend = y - (double)x * x, gx = -2 * (1 - (double)x) - 400 * (double)x * bend, gy = 200 * bend;
        x -= 1e-4F * (float)gx;
        y -= 1e-4F * (float)gy;
    }
    assert_true(fabsf(w[0] - x) < 1e-5F && fabsf(w[1] - y) < 1e-5F);
    assert_true(!raw.averaged && memcmp(raw.w, average.w, 2 * sizeof(float)) != 0);
    refused(RV_E_MISMATCH, r.weights, true, "weights to evaluate only");
    rv_point_release(&raw);
    rv_point_release(&average);
}

static void another_precision(void **state)
{
    (void)state;
    static const char *const set[] = {"train.precision=f64"};
    rv_trial_result r = run(valley);
    rv_point narrow = load(r.run, (rv_point_options){0}), wide = load(r.run, (rv_point_options){.set = set, .set_count = 1});
    assert_int_equal(wide.objective->dtype, RV_F64);
    for (int i = 0; i < 2; i++)
        assert_true(((double *)wide.w)[i] == (double)((float *)narrow.w)[i]);
    rv_point_release(&narrow);
    rv_point_release(&wide);
}

/* Running statistics belong to the weights: after an average they are recomputed, in the file as well. */
static void batch_statistics(void **state)
{
    (void)state;
    static const char config[] =
        "{\"workload\":\"cifar-resnet20\",\"workload_params\":{\"images\":64,\"evaluate\":32},\"optimizer\":\"sgd\","
        "\"optimizer_params\":{\"lr\":0.05},\"wrappers\":\"ema(decay=0.5)\","
        "\"train\":{\"steps\":3,\"batch\":16,\"stop_at_target\":false}}";
    char path[2048];
    rv_trial_result r = run(config);
    rv_point folder = load(r.run, (rv_point_options){0});
    snprintf(path, sizeof path, "%s/checkpoint", r.run);
    rv_point newest = load(path, (rv_point_options){0});
    assert_true(folder.objective->state_size > 0 && newest.averaged);
    assert_true(metric(&folder, r.metric) == r.final && metric(&newest, r.metric) == r.final);
    assert_memory_equal(folder.objective->state, newest.objective->state, (size_t)folder.objective->state_size * sizeof(float));
    rv_point_release(&folder);
    rv_point_release(&newest);
}

static void another_point(void **state)
{
    (void)state;
    rv_error err = {0};
    float w[16] = {0};
    rv_trial_result r = run(valley), other = run("{\"workload\":\"linear-regression\",\"train\":{\"steps\":1}}");
    rv_point point = load(r.run, (rv_point_options){0});
    assert_true(point.objective->layout->size <= 16);
    assert_int_equal(rv_point_weights(&point, r.run, true, w, &err), RV_OK);
    assert_true(memcmp(w, point.w, 2 * sizeof *w) != 0);
    assert_int_equal(rv_point_weights(&point, other.run, false, w, &err), RV_E_MISMATCH);
    assert_non_null(strstr(err.message, "expected weights of rosenbrock, found those of linear-regression"));
    rv_point_release(&point);
}

/* ---- what is refused ----------------------------------------------------------------- */

static void nothing_there(void **state)
{
    (void)state;
    char path[2048];
    snprintf(path, sizeof path, "%s/absent", dir);
    refused(RV_E_IO, path, false, "found nothing");
    run(valley);
    refused(RV_E_IO, dir, false, "runs below; one of them");
    snprintf(path, sizeof path, "%s/empty", dir);
    mkdir(path, 0777);
    refused(RV_E_IO, path, false, "found a folder with neither");
    snprintf(path, sizeof path, "%s/begun", dir);
    mkdir(path, 0777);
    strcat(path, "/config.json");
    assert_int_equal(rv_file_write(path, "{}", 2, NULL), RV_OK);
    *strrchr(path, '/') = '\0';
    refused(RV_E_IO, path, false, "no checkpoint yet");
    strcat(path, "/config.json");
    unlink(path);
}

static void foreign_files(void **state)
{
    (void)state;
    char path[2048];
    float x[6] = {0};
    rv_array array = {.name = "layer.weight", .dtype = RV_F32, .shape = RV_SHAPE(2, 3), .data = x};
    rv_error err;
    snprintf(path, sizeof path, "%s/foreign.safetensors", dir);
    assert_int_equal(rv_safetensors_write(path, &array, 1, "{\"format\":\"pt\"}", &err), RV_OK);
    refused(RV_E_MISMATCH, path, false, "found pt");
    assert_int_equal(rv_safetensors_write(path, &array, 1, NULL, &err), RV_OK);
    refused(RV_E_MISMATCH, path, false, "found none");
    assert_int_equal(rv_safetensors_write(path, &array, 1, "{\"format\":\"ravine-weights\"}", &err), RV_OK);
    refused(RV_E_FORMAT, path, false, "configuration is missing");
    assert_int_equal(rv_safetensors_write(path, &array, 1, "{\"format\":\"ravine-weights\",\"config\":\"{\\\"workload\\\":\\\"rosenbroc\\\"}\"}", &err), RV_OK);
    refused(RV_E_UNKNOWN, path, false, "rosenbrock");
    assert_int_equal(rv_file_write(path, "not one of these", 16, &err), RV_OK);
    refused(RV_E_FORMAT, path, false, "");
}

/* Every tensor that does not fit is named with both shapes. */
static void wrong_shapes(void **state)
{
    (void)state;
    char path[2048];
    rv_error err;
    rv_array_set set;
    rv_trial_result r = run("{\"workload\":\"mnist-mlp\",\"train\":{\"steps\":1,\"batch\":8,\"eval_every\":1},"
                            "\"workload_params\":{\"hidden\":16,\"images\":64,\"evaluate\":32}}");
    assert_int_equal(rv_safetensors_read(r.weights, &set, &err), RV_OK);
    for (int i = 0; i < set.count; i++)
        if (set.arrays[i].shape.rank == 2 && set.arrays[i].shape.dim[0] == 16)
            set.arrays[i].shape.dim[0] = 15;
    memcpy(set.arrays[0].name, "another", 8);
    snprintf(path, sizeof path, "%s/wrong.safetensors", dir);
    assert_int_equal(rv_safetensors_write(path, set.arrays, set.count, set.metadata, &err), RV_OK);
    rv_array_set_release(&set);
    refused(RV_E_MISMATCH, path, false, "found [15, ");
    refused(RV_E_MISMATCH, path, false, "found none");
}

/* A checkpoint covers itself by a checksum. */
static void damaged(void **state)
{
    (void)state;
    char path[2048], name[2048];
    rv_error err;
    rv_reader reader;
    rv_trial_result r = run(valley);
    snprintf(path, sizeof path, "%s/checkpoint/step-%012d.safetensors", r.run, 20);
    assert_int_equal(rv_reader_open_plain(&reader, path, 1 << 20, &err), RV_OK);
    reader.data[reader.size - 1] ^= 1;
    snprintf(name, sizeof name, "%s/damaged.safetensors", dir);
    assert_int_equal(rv_file_write(name, reader.data, reader.size, &err), RV_OK);
    rv_reader_close(&reader);
    refused(RV_E_FORMAT, name, false, "checksum");
}

static int begin(void **state)
{
    (void)state;
    unsetenv("RAVINE_SET");
    return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_to_evaluate), cmocka_unit_test(stepped_weights), cmocka_unit_test(another_precision),
        cmocka_unit_test(batch_statistics),    cmocka_unit_test(another_point),   cmocka_unit_test(nothing_there),
        cmocka_unit_test(foreign_files),       cmocka_unit_test(wrong_shapes),    cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
