/* Damaged, foreign and hostile checkpoints and folders; values that are not finite
 * (catalogue cases 15-17, 19, 22, 39). */
#include "help.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "trial/hash.h"

static const char partial[] = "{'workload': 'linear-regression', 'optimizer': 'adamw', 'train': {'steps': 8,"
                              " 'eval_every': 2, 'log_every': 1, 'checkpoint_every': 2}}";

static const char *file_in(const char *config, const char *dir, const char *name)
{
    static char paths[4][800];
    static int next;
    char id[256], *path = paths[next++ % 4];
    rv_trial_id(config, id, sizeof id);
    snprintf(path, sizeof paths[0], "%s/%s/%s", help_path(dir), id, name);
    return path;
}

static void put(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static unsigned char *get(const char *path, size_t *n)
{
    rv_reader reader;
    assert_int_equal(rv_reader_open_plain(&reader, path, 1 << 20, NULL), RV_OK);
    *n = reader.size;
    return reader.data;
}

/* A run that stands at step 7, with checkpoints at 6 and 7. */
static void stop_at_seven(const char *config, const char *dir)
{
    int stop = 0;
    rv_trial_result result;
    help_remove(help_path(dir));
    shim_now = (shim){.stop = &stop, .stop_at = 7};
    assert_int_equal(help_run(config, dir, 1, &stop, &result, NULL), RV_OK);
    assert_int_equal(result.steps, 7);
    shim_now = (shim){0};
}

static const char newest[] = "checkpoint/step-000000000007.safetensors";
static const char before[] = "checkpoint/step-000000000006.safetensors";

/* A session that ends before its first step: what it says is what it loaded. */
static rv_status load_only(const char *config, const char *dir, int64_t *step, rv_error *err)
{
    int stop = 1;
    rv_trial_result result;
    rv_status status = help_run(config, dir, 1, &stop, &result, err);
    *step = result.steps;
    return status;
}

/* Case 16: whichever bit is flipped, the checkpoint before is offered and named. */
static void flipped_bits(void **state)
{
    (void)state;
    const char *config = help_config(partial);
    stop_at_seven(config, "flip");
    const char *path = file_in(config, "flip", newest);
    size_t n = 0;
    unsigned char *bytes = get(path, &n);
    uint64_t header = 0;
    memcpy(&header, bytes, 8);
    size_t bits = n * 8, stride = getenv("RAVINE_SLOW") != NULL ? 1 : 7;
    for (size_t bit = 0; bit < bits; bit += bit / 8 >= header ? 1 : stride) {
        int64_t step = -1;
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        put(path, bytes, n);
        assert_int_equal(load_only(config, "flip", &step, NULL), RV_OK);
        if (step != 6 || strstr(help_notes, "damaged checkpoint left out") == NULL || strstr(help_notes, path) == NULL)
            fail_msg("bit %zu of %zu: step %lld: %s", bit, bits, (long long)step, help_notes);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    put(path, bytes, n);
    bytes[n - 1] ^= 1;
    put(path, bytes, n);
    int64_t step = -1;
    assert_int_equal(load_only(config, "flip", &step, NULL), RV_OK);
    assert_non_null(strstr(help_notes, "checksum"));
    free(bytes);
}

static void truncated(void **state)
{
    (void)state;
    const char *config = help_config(partial);
    stop_at_seven(config, "cut");
    const char *path = file_in(config, "cut", newest);
    size_t n = 0;
    unsigned char *bytes = get(path, &n);
    for (size_t cut = 0; cut < n; cut += 5) {
        int64_t step = -1;
        put(path, bytes, cut);
        assert_int_equal(load_only(config, "cut", &step, NULL), RV_OK);
        assert_int_equal(step, 6);
    }
    free(bytes);
    /* Both gone: the run starts anew, says so, and ends in the same bits. */
    put(path, "x", 1);
    put(file_in(config, "cut", before), "", 0);
    rv_trial_result result;
    assert_int_equal(help_run(config, "cut", 1, NULL, &result, NULL), RV_OK);
    help_remove(help_path("whole"));
    assert_int_equal(help_run(config, "whole", 1, NULL, &result, NULL), RV_OK);
    help_same(config, "whole", "cut");
}

/* Case 17: things that are no files. */
static void no_files(void **state)
{
    (void)state;
    const char *config = help_config(partial);
    int64_t step = -1;
    stop_at_seven(config, "odd");
    const char *path = file_in(config, "odd", newest);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load_only(config, "odd", &step, NULL), RV_OK);
    assert_int_equal(step, 6);
    unlink(path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_int_equal(load_only(config, "odd", &step, NULL), RV_OK);
    assert_int_equal(step, 6);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(load_only(config, "odd", &step, NULL), RV_OK);
    assert_int_equal(step, 6);
}

/* Rewrites the newest checkpoint with its metadata changed and its checksum made right, as
 * another program (or a later version) would have written it. */
static void rewrite(const char *path, const char *key, const char *value, int drop)
{
    rv_array_set set;
    char sum[20];
    assert_int_equal(rv_safetensors_read(path, &set, NULL), RV_OK);
    json_t *meta = json_loads(set.metadata, 0, NULL);
    json_object_del(meta, "checksum");
    if (key != NULL)
        json_object_set_new(meta, key, json_string(value));
    char *plain = rv_json_text(meta, 0);
    uint64_t total = rv_hash(0, plain, strlen(plain));
    int kept = 0;
    for (int i = 0; i < set.count; i++) {
        rv_array *a = &set.arrays[i];
        if (i == drop) {
            free(a->data);
            continue;
        }
        uint64_t hash = rv_hash(1, a->name, strlen(a->name));
        hash = rv_hash(hash, rv_dtype_name(a->dtype), strlen(rv_dtype_name(a->dtype)));
        hash = rv_hash(hash, a->shape.dim, (size_t)a->shape.rank * sizeof a->shape.dim[0]);
        total += rv_hash(hash, a->data, (size_t)rv_shape_size(&a->shape) * rv_dtype_size(a->dtype));
        set.arrays[kept++] = *a;
    }
    set.count = kept;
    snprintf(sum, sizeof sum, "%016llx", (unsigned long long)total);
    json_object_set_new(meta, "checksum", json_string(sum));
    char *text = rv_json_text(meta, 0);
    assert_int_equal(rv_safetensors_write(path, set.arrays, set.count, text, NULL), RV_OK);
    free(plain);
    free(text);
    json_decref(meta);
    rv_array_set_release(&set);
}

/* Case 15: a later format, another configuration, missing arrays: refused, with a list. */
static void foreign(void **state)
{
    (void)state;
    const char *config = help_config(partial);
    const char *other = help_config("{'workload': 'linear-regression', 'optimizer': 'sgd', 'train': {'steps': 9,"
                                    " 'eval_every': 2, 'log_every': 1, 'checkpoint_every': 2}}");
    int64_t step = -1;
    rv_error err = {0};
    stop_at_seven(config, "foreign");
    rewrite(file_in(config, "foreign", newest), NULL, NULL, -1);
    assert_int_equal(load_only(config, "foreign", &step, &err), RV_OK);
    assert_int_equal(step, 7);
    rewrite(file_in(config, "foreign", newest), "version", "2", -1);
    assert_int_equal(load_only(config, "foreign", &step, &err), RV_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "checkpoint format 2"));
    rewrite(file_in(config, "foreign", newest), "version", "1", 0);
    assert_int_equal(load_only(config, "foreign", &step, &err), RV_E_MISMATCH);
    assert_non_null(strstr(err.message, "missing"));
    /* The checkpoint of another run in this run's folder. */
    stop_at_seven(other, "theirs");
    size_t n = 0;
    unsigned char *bytes = get(file_in(other, "theirs", newest), &n);
    put(file_in(config, "foreign", newest), bytes, n);
    free(bytes);
    assert_int_equal(load_only(config, "foreign", &step, &err), RV_E_MISMATCH);
    assert_non_null(strstr(err.message, "optimizer: \"sgd\" there, \"adamw\" here"));
    assert_non_null(strstr(err.message, "train.steps: 9 there, 8 here"));
    assert_non_null(strstr(err.message, "missing"));
    /* And a folder whose config.json is another's. */
    stop_at_seven(config, "foreign");
    bytes = get(file_in(other, "theirs", "config.json"), &n);
    put(file_in(config, "foreign", "config.json"), bytes, n);
    free(bytes);
    assert_int_equal(load_only(config, "foreign", &step, &err), RV_E_MISMATCH);
    assert_non_null(strstr(err.message, "config.json"));
}

/* Cases 19 and 22: not finite anywhere is the outcome of the run, with its step; what was
 * logged before stays, weights never hold a NaN, and running again changes nothing. */
static void diverged(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        long poison;
        bool loss;
        int64_t steps;
        const char *says;
    } cases[] = {
        {"{'workload': 'linear-regression', 'optimizer': 'adamw', 'train': {'steps': 8, 'log_every': 1}}", 4, false, 3,
         "step 4: "},
        {"{'workload': 'linear-regression', 'optimizer': 'sgd', 'train': {'steps': 8, 'log_every': 1}}", 4, true, 3,
         "step 4: the loss is not finite"},
        {"{'workload': 'linear-regression', 'optimizer': 'sgd', 'optimizer_params': {'lr': 1e30},"
         " 'train': {'steps': 8, 'log_every': 1}}", 0, false, 1, "step 2: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *config = help_config(cases[i].config);
        rv_trial_result result, again;
        rv_array_set set;
        rv_error err = {0};
        help_remove(help_path("diverge"));
        shim_now = (shim){.poison_at = cases[i].poison, .poison_loss = cases[i].loss};
        if (help_run(config, "diverge", 1, NULL, &result, &err) != RV_OK)
            fail_msg("%s", err.message);
        assert_int_equal(result.outcome, RV_OUTCOME_DIVERGED);
        if (strncmp(result.why, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s", result.why);
        assert_int_equal(result.steps, cases[i].steps);
        assert_int_equal(rv_safetensors_read(result.weights, &set, NULL), RV_OK);
        for (int k = 0; k < set.count; k++)
            for (int64_t j = 0; j < rv_shape_size(&set.arrays[k].shape); j++)
                assert_true(isfinite(((float *)set.arrays[k].data)[j]));
        rv_array_set_release(&set);
        size_t n = 0;
        unsigned char *log = get(file_in(config, "diverge", "log.jsonl"), &n);
        int lines = 0;
        for (size_t k = 0; k < n; k++)
            lines += log[k] == '\n';
        free(log);
        assert_true(lines >= cases[i].steps);
        shim_now = (shim){0};
        assert_int_equal(help_run(config, "diverge", 1, NULL, &again, NULL), RV_OK);
        assert_int_equal(shim_now.gradients, 0);
        assert_string_equal(result.why, again.why);
    }
}

/* Case 39: a live owner is respected, a dead one is not. */
static void locks(void **state)
{
    (void)state;
    const char *config = help_config(partial);
    int64_t step = -1;
    rv_error err = {0};
    stop_at_seven(config, "lock");
    const char *path = file_in(config, "lock", "lock");
    int ready[2], done[2];
    char byte = 0;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        close(done[1]);
        if (flock(open(path, O_RDWR), LOCK_EX) == 0)
            (void)!write(ready[1], "x", 1);
        (void)!read(done[0], &byte, 1);
        _exit(0);
    }
    close(done[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(load_only(config, "lock", &step, &err), RV_E_BUSY);
    assert_non_null(strstr(err.message, "in use by process"));
    close(done[1]);
    waitpid(child, NULL, 0);
    put(path, "1\n", 2); /* a stale name of a process that lives: the lock counts, not the name */
    assert_int_equal(load_only(config, "lock", &step, &err), RV_OK);
    assert_int_equal(step, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipped_bits), cmocka_unit_test(truncated), cmocka_unit_test(no_files),
        cmocka_unit_test(foreign),      cmocka_unit_test(diverged),  cmocka_unit_test(locks),
    };
    return cmocka_run_group_tests(tests, help_start, help_end);
}
