/* Every method against the trajectories of its reference implementation, through the
 * replay that `ravine verify` runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/json.h"
#include "optim/method.h"
#include "optim/verify.h"

#define FOLDER RV_TEST_SOURCE "/tests/golden/"

typedef struct golden {
    const char *name, *method;
    double tolerance;
} golden;

static const golden files[] = {
    {"sgd", "sgd@1", 1e-12},
    {"sgd_wd", "sgd@1", 1e-12},
    {"sgd_momentum", "sgd@1", 1e-12},
    {"sgd_momentum_dampening_wd", "sgd@1", 1e-12},
    {"sgd_nesterov", "sgd@1", 1e-12},
    {"sgd_nesterov_wd", "sgd@1", 1e-12},
    {"clip_global_norm_sgd", "sgd@1", 1e-12},
    {"sgdw_timm", "sgdw@1", 1e-12},
    {"asgd", "asgd@1", 1e-12},
    {"rprop", "rprop@1", 1e-12},
    {"signsgd", "signsgd@1", 1e-12},
    {"signum", "signum@1", 1e-12},
    {"nag_gs", "nag_gs@1", 1e-12},
    {"nag_gs_jax", "nag_gs@1", 1e-12},
    {"nag4", "nag_gs@1", 1e-12},
    {"fromage_optax", "fromage@1", 1e-12},
    {"adagrad", "adagrad@1", 1e-12},
    {"adagrad_optax", "adagrad@1", 1e-12},
    {"adagrad_decay_wd", "adagrad@1", 1e-12},
    {"rmsprop", "rmsprop@1", 1e-12},
    {"rmsprop_centered", "rmsprop@1", 1e-12},
    {"rmsprop_momentum_wd", "rmsprop@1", 1e-12},
    {"rmsprop_centered_momentum", "rmsprop@1", 1e-12},
    {"rmsprop_tf", "rmsprop@1", 1e-12},
    {"rmsprop_tf_centered_momentum", "rmsprop@1", 1e-12},
    {"adadelta", "adadelta@1", 1e-12},
    {"adadelta_wd", "adadelta@1", 1e-12},
    {"adam", "adam@1", 1e-12},
    {"adam_l2", "adam@1", 1e-12},
    {"amsgrad", "adam@1", 1e-12},
    {"amsgrad_optax", "adam@1", 1e-12},
    {"adamw", "adamw@1", 1e-12},
    {"adamw_amsgrad", "adamw@1", 1e-12},
    {"adamw_cautious_timm", "adamw@1", 1e-12},
    {"c_adamw", "c_adamw@1", 1e-12},
    {"nadamw_algoperf", "nadamw@1", 1e-12},
    {"nadamw_algoperf_b", "nadamw@1", 1e-12},
    {"nadamw_timm", "nadamw@1", 1e-12},
    {"nadamw_cautious_timm", "nadamw@1", 1e-12},
    {"adamax", "adamax@1", 1e-12},
    {"nadam", "nadam@1", 1e-12},
    {"nadam_l2", "nadam@1", 1e-12},
    {"nadam_decoupled", "nadam@1", 1e-12},
    {"radam", "radam@1", 1e-12},
    {"radam_decoupled", "radam@1", 1e-12},
    {"generalized_adam_nesterov", "generalized_adam@1", 1e-12},
    {"generalized_adam_plain", "generalized_adam@1", 1e-12},
    {"nadamp_power3", "generalized_adam@1", 1e-12},
    {"adabelief", "adabelief@1", 1e-12},
    {"adabelief_l2_amsgrad", "adabelief@1", 1e-12},
    {"adabelief_norectify", "adabelief@1", 1e-12},
    {"adan", "adan@1", 1e-12},
    {"adan_noprox_clip", "adan@1", 1e-12},
    {"adopt", "adopt@1", 1e-12},
    {"adopt_decoupled", "adopt@1", 1e-12},
    {"adopt_noclip", "adopt@1", 1e-12},
    {"adopt_timm", "adopt@1", 1e-12},
    {"ademamix", "ademamix@1", 1e-12},
    {"ademamix_warmup", "ademamix@1", 1e-12},
    {"laprop_timm", "laprop@1", 1e-12},
    {"laprop_cautious_timm", "laprop@1", 1e-12},
    {"lion", "lion@1", 1e-12},
    {"lion_wd", "lion@1", 1e-12},
    {"lion_cautious_timm", "lion@1", 1e-12},
    {"lion_cautious_lucidrains", "lion@1", 1e-12},
    {"c_lion", "lion@1", 1e-12},
    {"sophia_g", "sophia_g@1", 1e-12},
    {"ngd_global", "ngd@1", 1e-12},
    {"ngd_per_tensor", "ngd@1", 1e-12},
    {"schedulefree_adamw", "schedule_free_adamw@1", 1e-12},
    {"schedulefree_adamw_inner_momentum", "schedule_free_adamw@1", 1e-12},
    {"schedulefree_adamw_paper", "schedule_free_adamw@1", 1e-12},
    {"schedulefree_adamw_wd_warmup", "schedule_free_adamw@1", 1e-12},
    {"prodigy", "prodigy@1", 1e-11},
    {"prodigy_sliced", "prodigy@1", 1e-11},
    {"prodigy_l2", "prodigy@1", 1e-11},
    {"prodigy_wd_bc", "prodigy@1", 1e-11},
    {"dadaptadagrad", "dadapt_adagrad@1", 1e-11},
    {"dadaptadam", "dadapt_adam@1", 1e-11},
    {"dadaptadam_scaled", "dadapt_adam@1", 1e-11},
    {"dadaptadan", "dadapt_adan@1", 1e-11},
    {"dadaptlion", "dadapt_lion@1", 1e-11},
    {"dadaptsgd", "dadapt_sgd@1", 1e-11},
    {"dog", "dog@1", 1e-12},
    {"ldog", "ldog@1", 1e-12},
    {"dowg", "dowg@1", 1e-12},
    {"lamb_timm", "lamb@1", 1e-12},
    {"lamb_timm_clip", "lamb@1", 1e-12},
    {"lars_timm", "lars@1", 1e-12},
    {"lars_timm_nesterov", "lars@1", 1e-12},
    {"adamg_algoperf", "adamg@1", 1e-12},
    {"adam_mini", "adam_mini@1", 1e-12},
    {"amos", "amos@1", 1e-12},
    {"amos_rows_l2", "amos@1", 1e-12},
    {"amos_kozistr", "amos@1", 1e-12},
    {"amos_kozistr_momentum", "amos@1", 1e-12},
    {"amos_algoperf_adam", "amos_algoperf@1", 1e-12},
    {"amos_algoperf_reduced", "amos_algoperf@1", 1e-12},
    {"schedulefree_sgd", "schedule_free_sgd@1", 1e-12},
    {"schedulefree_sgd_wd_warmup", "schedule_free_sgd@1", 1e-12},
    {"schedulefree_radam", "schedule_free_radam@1", 1e-12},
    {"schedulefree_radam_sgdphase", "schedule_free_radam@1", 1e-12},
    {"algoperf_schedulefree_adamw_v05", "schedule_free_adamw@1", 1e-12},
    {"algoperf_schedulefree_adamw_v06", "schedule_free_adamw@1", 1e-12},
    {"algoperf_schedulefree_adamw_weighted", "schedule_free_weighted@1", 1e-12},
    {"algoperf_schedulefree_prodigy", "schedule_free_prodigy@1", 1e-11},
    {"muon", "muon@2", 1e-10},
    {"muon_wd", "muon@2", 1e-10},
    {"muon_moonlight", "moonlight@1", 1e-10},
    {"normuon", "normuon@1", 1e-10},
    {"scion", "scion@1", 1e-10},
    {"scion_unconstrained", "scion@1", 1e-10},
    {"dion", "dion@1", 1e-10},
    {"shampoo_gupta", "shampoo@2", 1e-6},
    {"dshampoo_adagrad_graft", "distributed_shampoo@1", 1e-6},
    {"dshampoo_adam_graft_blocked", "distributed_shampoo@1", 1e-6},
    {"dshampoo_adam_graft_merged", "distributed_shampoo@1", 1e-6},
    {"dshampoo_default_merge", "distributed_shampoo@1", 1e-6},
    {"dshampoo_eigen", "distributed_shampoo@1", 1e-6},
    {"dshampoo_eigenvalue_corrected_eigh", "distributed_shampoo@1", 1e-6},
    {"dshampoo_exponent_override", "distributed_shampoo@1", 1e-6},
    {"dshampoo_gpa", "distributed_shampoo@1", 1e-6},
    {"dshampoo_higher_order", "distributed_shampoo@1", 1e-6},
    {"dshampoo_newton", "distributed_shampoo@1", 1e-6},
    {"dshampoo_perturb_after", "distributed_shampoo@1", 1e-6},
    {"dshampoo_rmsprop_graft", "distributed_shampoo@1", 1e-6},
    {"dshampoo_schedulefree", "distributed_shampoo@1", 1e-6},
    {"dshampoo_sgd_graft", "distributed_shampoo@1", 1e-6},
    {"dshampoo_sgd_graft_momentum", "distributed_shampoo@1", 1e-6},
    {"dshampoo_sign_descent", "distributed_shampoo@1", 1e-6},
    {"dshampoo_soap_qr", "distributed_shampoo@1", 1e-6},
    {"dshampoo_spectral_descent", "distributed_shampoo@1", 1e-6},
    {"dshampoo_trace_scaling", "distributed_shampoo@1", 1e-6},
    {"dshampoo_wd_corrected", "distributed_shampoo@1", 1e-6},
    {"dshampoo_wd_independent", "distributed_shampoo@1", 1e-6},
    {"dshampoo_wd_l2", "distributed_shampoo@1", 1e-6},
    {"algoperf_shampoo_adam_nadam", "algoperf_shampoo@1", 1e-6},
    {"algoperf_shampoo_root2", "algoperf_shampoo@1", 1e-6},
    {"algoperf_shampoo_sgd_momentum", "algoperf_shampoo@1", 1e-6},
    {"kl_shampoo", "kl_shampoo@1", 1e-6},
    {"caspr_paper", "caspr@1", 1e-6},
    {"caspr_adaptive_algoperf", "caspr_adaptive@1", 1e-6},
    {"caspr_adaptive_algoperf_eigh", "caspr_adaptive@1", 1e-6},
    {"soap", "soap@1", 1e-6},
    {"soap_freq1", "soap@1", 1e-6},
    {"soap_1d_mergedims", "soap@1", 1e-6},
    {"kfac_mlp", "kfac@1", 1e-9},
    {"mars_adamw", "mars@1", 1e-12},
    {"mars_adamw_opt1d", "mars@1", 1e-12},
    {"mars_lion", "mars@1", 1e-12},
    {"mars_shampoo", "mars@1", 1e-12},
    {"adafactor_torch", "adafactor@1", 1e-12},
    {"adafactor_timm", "adafactor@1", 1e-12},
    {"adafactor_timm_relative", "adafactor@1", 1e-12},
};
enum { FILES = sizeof files / sizeof files[0] };

static void replay(const char *name, double tolerance, rv_verify_result *result)
{
    char path[512];
    rv_error err = {0};
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    if (rv_verify_file(path, tolerance, result, &err) != RV_OK)
        fail_msg("%s", err.message);
}

/* Steps 1, 2, 3, 5, 10, 20, twice where averages are held; of a network twenty, by two methods. */
static int rows_of(const char *name)
{
    char path[512];
    json_t *file = NULL;
    snprintf(path, sizeof path, FOLDER "%s.json", name);
    assert_int_equal(rv_json_read(path, &file, NULL), RV_OK);
    const json_t *averages = json_object_get(json_object_get(json_object_get(file, "cases"), "fixed"), "eval_params");
    const int rows = json_object_get(file, "runs") ? 40 : averages ? 12 : 6;
    json_decref(file);
    return rows;
}

static void test_files(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++) {
        rv_verify_result result;
        replay(files[i].name, files[i].tolerance, &result);
        if (!result.pass)
            fail_msg("%s: %.2e beyond %.0e", files[i].name, result.worst, files[i].tolerance);
        assert_string_equal(result.method, files[i].method);
        assert_int_equal(result.count, rows_of(files[i].name));
    }
}

/* The reference of Muon as it runs, with Newton-Schulz in bfloat16: as far from ours as eight
 * bits of mantissa leave it, and not further. */
static void test_muon_in_bfloat16(void **state)
{
    (void)state;
    rv_verify_result result;
    replay("muon_bfloat16", 5e-3, &result);
    assert_true(result.pass);
    assert_true(result.worst > 1e-4);
}

/* A method without a golden file would go unproved. */
static void test_every_method_is_covered(void **state)
{
    (void)state;
    for (int k = 0; rv_method_at(k); k++) {
        bool found = false;
        for (int i = 0; i < FILES && !found; i++) {
            char name[RV_NAME_SIZE];
            snprintf(name, sizeof name, "%s@%d", rv_method_at(k)->name, rv_method_at(k)->version);
            found = strcmp(files[i].method, name) == 0;
        }
        if (!found)
            fail_msg("%s has no golden file", rv_method_at(k)->name);
    }
}

/* The methods' own tolerances are the ones of this table. */
static void test_own_tolerance(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++) {
        rv_verify_result result;
        replay(files[i].name, NAN, &result);
        assert_true(result.tolerance <= files[i].tolerance);
        assert_true(result.pass);
    }
}

/* Copies a golden file with one hyperparameter changed into path; key NULL: value is the optimizer's name. */
static void write_altered(const char *name, const char *key, json_t *value, char *path, size_t size)
{
    json_t *file = NULL;
    rv_error err;
    char from[512];
    snprintf(from, sizeof from, FOLDER "%s.json", name);
    assert_int_equal(rv_json_read(from, &file, &err), RV_OK);
    json_object_set_new(key ? json_object_get(file, "hyperparameters") : file, key ? key : "optimizer", value);
    /* The problem is looked for beside the file. */
    json_t *problem = NULL;
    assert_int_equal(rv_json_read(FOLDER "problem_main.json", &problem, &err), RV_OK);
    const char *folder = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char beside[512], mark[64];
    snprintf(mark, sizeof mark, "ravine-%ld", (long)getpid());
    snprintf(path, size, "%s/%s-altered.json", folder, mark);
    snprintf(beside, sizeof beside, "%s/%s-problem.json", folder, mark);
    json_object_set_new(file, "problem", json_sprintf("%s-problem.json", mark));
    assert_int_equal(json_dump_file(file, path, JSON_REAL_PRECISION(17)), 0);
    assert_int_equal(json_dump_file(problem, beside, JSON_REAL_PRECISION(17)), 0);
    json_decref(file);
    json_decref(problem);
}

static void remove_altered(const char *path)
{
    char beside[512];
    remove(path);
    const size_t n = strlen(path) - strlen("altered.json");
    snprintf(beside, sizeof beside, "%.*sproblem.json", (int)n, path);
    remove(beside);
}

/* The replay sees a hyperparameter that is off by one part in ten million. */
static void test_detects_a_small_change(void **state)
{
    (void)state;
    char path[512];
    rv_verify_result result;
    rv_error err;
    write_altered("adamw", "weight_decay", json_real(0.1 * (1 + 1e-7)), path, sizeof path);
    assert_int_equal(rv_verify_file(path, NAN, &result, &err), RV_OK);
    assert_false(result.pass);
    char *text = rv_verify_text(&result);
    assert_non_null(strstr(text, "FAIL"));
    free(text);
    remove_altered(path);
}

static void test_unknown_hyperparameter(void **state)
{
    (void)state;
    char path[512];
    rv_verify_result result;
    rv_error err;
    write_altered("adamw", "gamma", json_real(2), path, sizeof path);
    assert_int_equal(rv_verify_file(path, NAN, &result, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "AdamW"));
    assert_non_null(strstr(err.message, "gamma"));
    remove_altered(path);
}

static void test_unknown_optimizer(void **state)
{
    (void)state;
    rv_verify_result result;
    rv_error err;
    char path[512];
    write_altered("adamw", NULL, json_string("AdamZ"), path, sizeof path);
    assert_int_equal(rv_verify_file(path, NAN, &result, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "AdamZ"));
    remove_altered(path);
    assert_int_equal(rv_verify_file(FOLDER "problem_main.json", NAN, &result, &err), RV_E_FORMAT);
    assert_int_equal(rv_verify_file(FOLDER "absent.json", NAN, &result, &err), RV_E_IO);
}

static void test_json(void **state)
{
    (void)state;
    rv_verify_result result;
    replay("adamw", NAN, &result);
    char *text = rv_verify_json(&result);
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    assert_true(json_is_true(json_object_get(object, "pass")));
    assert_int_equal(json_array_size(json_object_get(object, "steps")), 6);
    assert_string_equal(json_string_value(json_object_get(object, "optimizer")), "AdamW");
    json_decref(object);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_muon_in_bfloat16),
        cmocka_unit_test(test_every_method_is_covered),
        cmocka_unit_test(test_own_tolerance),
        cmocka_unit_test(test_detects_a_small_change),
        cmocka_unit_test(test_unknown_hyperparameter),
        cmocka_unit_test(test_unknown_optimizer),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
