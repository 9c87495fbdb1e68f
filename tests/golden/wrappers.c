/* Every wrapper against the trajectories of its reference implementation, through the replay that
 * `ravine verify` runs; those without one are named here and proved by identities
 * (tests/unit/optim_wrappers.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "optim/method.h"
#include "optim/verify.h"

#define FOLDER RV_TEST_SOURCE "/tests/golden/"

static const struct {
    const char *name, *method, *wrapper;
    bool averaged; /* weights to evaluate are stored too */
} files[] = {
    {"clip_global_norm_sgd", "sgd@1", "clip_norm", false},
    {"clip_value_sgd", "sgd@1", "clip_value", false},
    {"agc_sgd", "sgd@1", "agc", false},
    {"orthograd_sgd", "sgd@1", "orthograd", false},
    {"decay_adam", "adam@1", "decay", false},
    {"poly_average_adamw", "adamw@1", "poly_average", true},
    {"gradient_centralization_sgd", "sgd@1", "centralize", false},
    {"grokfast_ema_adamw", "adamw@1", "grokfast_ema", false},
    {"grokfast_ma_adamw", "adamw@1", "grokfast_ma", false},
    {"lookahead_paper", "adamw@1", "lookahead", true},
    {"lookahead_timm", "adamw@1", "lookahead", false},
    {"lookahead_alphadl", "adamw@1", "lookahead", false},
    {"sam_sgd", "sgd@1", "sam", false},
    {"sam_adaptive_sgd", "sgd@1", "sam", false},
    {"asam_sgd", "sgd@1", "sam", false},
    {"ema_adamw", "adamw@1", "ema", true},
    {"swa_adamw", "adamw@1", "swa", true},
    {"lawa_queue", "adamw@1", "lawa_queue", true},
    {"lawa_ema", "adamw@1", "lawa_ema", true},
    {"gpa_sgd", "sgd@1", "gpa", true},
};
enum { FILES = sizeof files / sizeof files[0] };

static const char *const by_identities[] = {"accumulate", "li_arora_start"};

static void test_files(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++) {
        char path[512];
        rv_verify_result result;
        rv_error err = {0};
        snprintf(path, sizeof path, FOLDER "%s.json", files[i].name);
        if (rv_verify_file(path, 1e-12, &result, &err) != RV_OK)
            fail_msg("%s", err.message);
        if (!result.pass)
            fail_msg("%s: %.2e beyond 1e-12", files[i].name, result.worst);
        assert_string_equal(result.method, files[i].method);
        assert_int_equal(result.count, files[i].averaged ? 12 : 6); /* steps 1, 2, 3, 5, 10, 20 */
    }
}

static void test_every_wrapper_is_covered(void **state)
{
    (void)state;
    for (int k = 0; rv_wrapper_at(k); k++) {
        int found = 0;
        for (int i = 0; i < FILES; i++)
            found += strcmp(files[i].wrapper, rv_wrapper_at(k)->name) == 0;
        for (size_t i = 0; i < sizeof by_identities / sizeof by_identities[0]; i++)
            found += strcmp(by_identities[i], rv_wrapper_at(k)->name) == 0;
        if (found == 0)
            fail_msg("%s has no golden file", rv_wrapper_at(k)->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_every_wrapper_is_covered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
