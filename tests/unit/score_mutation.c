/* Hostile sources: thousands of mutations of good ones.  Whatever the bytes, reading ends with
 * trials that can be scored and reported, or with an error that says something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ravine/score.h"
#include "temp_folder.h"

enum { ROUNDS = 2500, MOST = 4096 };

static const char *const seeds[] = {
    "submission,workload,study,trial,time_to_target_s,eval_index,n_evals,is_scored,ruleset\n"
    "a,ogbg,0,1,20.5,3,9,1,external\na,ogbg,0,2,inf,,4,1,external\n\"b\"\"c\",wmt,1,1,1e3,2,3,1,external\nb,wmt,1,2,,,,"
    "1,external\n",
    "ruleset,submission,workload,n_studies,n_solved,median_time_s,median_refbatch_steps,per_study_time_s\n"
    "self_tuning,a,criteo1tb,3,2,100.5,7,99;inf;101\nself_tuning,b,criteo1tb,0,0,,,\n",
    "submission,criteo1tb,fastmri,ogbg\nx,1,2,inf\ny,,3,4\n",
    "{\"scores\": {\"problems\": [{\"label\": \"p\", \"target\": 0.5, \"maximize\": true}], \"optimizers\": "
    "[{\"label\": \"o\"}]},"
    " \"trials\": [{\"problem\": 0, \"optimizer\": 0, \"point\": 0, \"seed\": 0, \"state\": \"done\", \"best\": 0.4,"
    " \"target_step\": 10, \"target_examples\": 100, \"target_seconds\": 3}]}",
    "accumulated_submission_time,global_step,score,validation/"
    "mean_average_precision\n1,1,1,0.1\n20,50,20,0.29\n30,90,30,nan\n",
};
enum { TABLES = 3, BENCH = 3, LOG = 4 };

static const char words[][10] = {"inf", "-inf", "nan", ",", "\"", "\n",   "\r",    "1e999",
                                 "-1",  "0x10", ";",   "{", "}",  "\xFF", "study", ""};

static uint64_t roll(rv_random stream, uint64_t *at, uint64_t n)
{
    return rv_random_below(stream, (*at)++, n);
}

/* One to four edits: a byte, a word, a cut, a repetition. */
static size_t mutate(char *text, size_t size, rv_random stream)
{
    uint64_t at = 0, edits = 1 + roll(stream, &at, 4);
    for (uint64_t e = 0; e < edits && size > 0; e++) {
        size_t from = (size_t)roll(stream, &at, size), n = (size_t)roll(stream, &at, 24);
        const char *word = words[roll(stream, &at, sizeof words / sizeof words[0])];
        switch (roll(stream, &at, 4)) {
        case 0:
            text[from] = (char)roll(stream, &at, 256);
            break;
        case 1:
            n = strlen(word);
            if (size + n >= MOST)
                break;
            memmove(text + from + n, text + from, size - from);
            memcpy(text + from, word, n);
            size += n;
            break;
        case 2:
            n = n < size - from ? n : size - from;
            memmove(text + from, text + from + n, size - from - n);
            size -= n;
            break;
        default:
            n = n < size - from ? n : size - from;
            if (size + n >= MOST)
                break;
            memmove(text + from + n, text + from, size - from);
            size += n;
        }
    }
    return size;
}

static void write_bytes(const char *path, const char *bytes, size_t size)
{
    unlink(path); /* some file systems flush a file that is cut and written again */
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* What was read must be usable. */
static bool survive(const char *path)
{
    rv_trials *trials;
    rv_ruleset *ruleset;
    rv_error err = {0};
    rv_trials_options options = {.ruleset = NULL};
    rv_score_report_options report = {.resamples = 3};
    char *json = NULL, *text = NULL;
    if (rv_trials_read(&trials, &ruleset, &path, 1, &options, &err) != RV_OK) {
        assert_true(strlen(err.message) > 4);
        assert_null(trials);
        return false;
    }
    bool scored = rv_score_report(&json, trials, ruleset, &report, &err) == RV_OK;
    assert_true(scored || strlen(err.message) > 4);
    if (scored) {
        assert_int_equal(rv_score_table(json, 100, false, true, &text, &err), RV_OK);
        free(text);
        assert_int_equal(rv_score_csv(json, &text, &err), RV_OK);
        free(text);
    }
    free(json);
    rv_trials_free(trials);
    rv_ruleset_free(ruleset);
    return scored;
}

static void run_seed(int seed, const char *write, const char *read)
{
    char text[MOST];
    int kept = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        size_t size = strlen(seeds[seed]);
        memcpy(text, seeds[seed], size);
        if (round > 0)
            size = mutate(text, size, (rv_random){(uint64_t)seed, RV_RANDOM_NOISE, round});
        write_bytes(write, text, size);
        kept += survive(read);
        assert_true(round > 0 || kept == 1); /* the seed itself is good */
    }
    print_message("seed %d: %d of %d still score\n", seed, kept, ROUNDS);
    assert_true(kept > ROUNDS / 50 && kept < ROUNDS); /* neither all harmless nor all refused at the door */
}

static void test_tables(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/t.csv", test_folder);
    for (int seed = 0; seed < TABLES; seed++)
        run_seed(seed, path, path);
}

static void test_benchmarks(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/bench.json", test_folder);
    run_seed(BENCH, path, path);
}

static void test_logs(void **state)
{
    (void)state;
    char path[256], dir[128];
    static const char *const parts[] = {"/l", "/l/sub", "/l/sub/study_0", "/l/sub/study_0/ogbg_jax",
                                        "/l/sub/study_0/ogbg_jax/trial_1"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(path, sizeof path, "%s%s", test_folder, parts[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    snprintf(dir, sizeof dir, "%s/l", test_folder);
    snprintf(path, sizeof path, "%s%s/eval_measurements.csv", test_folder, parts[4]);
    run_seed(LOG, path, dir);
}

/* Tables of losses go through another reader. */
static void test_evidence(void **state)
{
    (void)state;
    static const char seed[] = "submission,seed,step,loss\na,0,100,3.27\na,1,100,3.28\nb,0,100,3.3\nb,0,125,3.29\n";
    char path[128], text[MOST], *json;
    int kept = 0;
    rv_evidence_options options = {.target = 3.28, .sigma = 0.0013, .margin = 0.004};
    snprintf(path, sizeof path, "%s/e.csv", test_folder);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        rv_error err = {0};
        size_t size = strlen(seed);
        memcpy(text, seed, size);
        size = mutate(text, size, (rv_random){77, RV_RANDOM_NOISE, round});
        write_bytes(path, text, size);
        if (rv_evidence_report(&json, path, &options, &err) == RV_OK)
            kept++;
        else
            assert_true(json == NULL && strlen(err.message) > 4);
        free(json);
    }
    assert_true(kept > ROUNDS / 50 && kept < ROUNDS);
}

static void test_rulesets(void **state)
{
    (void)state;
    char text[MOST + 1];
    int kept = 0;
    const char *seed = rv_ruleset_json("v0.6-external");
    for (uint64_t round = 0; round < ROUNDS; round++) {
        rv_ruleset *ruleset;
        rv_error err = {0};
        size_t size = strlen(seed) < MOST ? strlen(seed) : 0;
        assert_true(size > 0);
        memcpy(text, seed, size);
        size = mutate(text, size, (rv_random){99, RV_RANDOM_NOISE, round});
        text[size] = '\0';
        if (rv_ruleset_parse(&ruleset, text, "mutant", &err) == RV_OK)
            kept++;
        else
            assert_non_null(strstr(err.message, "mutant"));
        rv_ruleset_free(ruleset);
    }
    assert_true(kept > ROUNDS / 50 && kept < ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_benchmarks),
        cmocka_unit_test(test_logs),
        cmocka_unit_test(test_evidence),
        cmocka_unit_test(test_rulesets),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
