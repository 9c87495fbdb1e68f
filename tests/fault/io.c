/* Memory, disk and system calls that fail, one after the other: a clean error, nothing torn,
 * and the same command afterwards ends in the same bits (cases 29-32, 34, 36, 37, 42). */
#include "help.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char partial[] = "{'workload': 'rosenbrock', 'train': {'steps': 8, 'eval_every': 4, 'log_every': 2,"
                              " 'checkpoint_every': 2, 'target': null}}";

static const char *reference(void)
{
    const char *config = help_config(partial);
    rv_trial_result result;
    rv_error err = {0};
    shim_now = (shim){0};
    help_remove(help_path("whole"));
    if (help_run(config, "whole", 1, NULL, &result, &err) != RV_OK)
        fail_msg("%s", err.message);
    return config;
}

static void no_temporaries(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char below[1024];
        size_t n = strlen(entry->d_name);
        if (n > 4 && strcmp(entry->d_name + n - 4, ".tmp") == 0)
            fail_msg("%s/%s was left", path, entry->d_name);
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        struct stat info;
        if (entry->d_name[0] != '.' && lstat(below, &info) == 0 && S_ISDIR(info.st_mode))
            no_temporaries(below);
    }
    if (dir != NULL)
        closedir(dir);
}

/* Call number n of kinds fails, for every n there is; returns how many there were. */
static long each_fails(const char *config, shim plan)
{
    for (long n = 1;; n++) {
        rv_trial_result result;
        rv_error err = {0};
        help_remove(help_path("parts"));
        shim_now = plan;
        shim_now.fail_at = n;
        rv_status status = help_run(config, "parts", 1, NULL, &result, &err);
        bool failed = shim_now.failed;
        shim_now = (shim){0};
        no_temporaries(help_path("parts"));
        if (!failed) {
            assert_int_equal(status, RV_OK);
            return n - 1;
        }
        if (status != RV_OK && err.message[0] == '\0')
            fail_msg("call %ld: an error without words", n);
        if (status != RV_OK && status != RV_E_IO && status != RV_E_MEMORY)
            fail_msg("call %ld: status %s: %s", n, rv_status_name(status), err.message);
        if (help_run(config, "parts", 1, NULL, &result, &err) != RV_OK)
            fail_msg("after call %ld of kinds %d: %s", n, plan.kinds, err.message);
        const char *what = help_difference(config, "whole", "parts");
        if (what != NULL)
            fail_msg("after call %ld of kinds %d: other bits in %s", n, plan.kinds, what);
    }
}

static void memory(void **state)
{
    (void)state;
    const char *config = reference();
    long once = each_fails(config, (shim){.kinds = SHIM_MALLOC});
    long ever = each_fails(config, (shim){.kinds = SHIM_MALLOC, .persistent = true});
    print_message("%ld allocations failed once and %ld for good\n", once, ever);
    /* Texts with measured times differ in length, so the counts may differ by a buffer's growth. */
    assert_true(once > 100 && ever > 100);
}

static void memory_resolving(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 1; failed; n++) {
        char *text = NULL;
        rv_error err = {0};
        shim_now = (shim){.kinds = SHIM_MALLOC, .fail_at = n};
        rv_status status = rv_trial_resolve("{\"workload\":\"rosenbrock\"}", (const char *const[]){"lr=0.1"}, 1, &text, &err);
        failed = shim_now.failed;
        shim_now = (shim){0};
        if (status == RV_OK) {
            const char *whole = help_config("{'workload':'rosenbrock','optimizer_params':{'lr':0.1}}");
            assert_string_equal(text, whole);
        } else {
            assert_int_equal(status, RV_E_MEMORY);
            assert_null(text);
        }
        free(text);
    }
}

static void files(void **state)
{
    (void)state;
    static const int kinds[] = {SHIM_OPEN, SHIM_WRITE, SHIM_FSYNC, SHIM_RENAME, SHIM_CLOSE, SHIM_MKDIR};
    const char *config = reference();
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int persistent = 0; persistent < 2; persistent++) {
            long calls = each_fails(config, (shim){.kinds = kinds[i], .persistent = persistent,
                                                   .error = kinds[i] == SHIM_WRITE ? ENOSPC : EIO});
            assert_true(calls > 2);
        }
}

/* Case 31: what fsync refused is not reported as saved, and not tried again on the same file. */
static void refused_fsync(void **state)
{
    (void)state;
    const char *config = reference();
    rv_trial_result result;
    rv_error err = {0};
    help_remove(help_path("parts"));
    shim_now = (shim){.kinds = SHIM_FSYNC, .fail_at = 1, .persistent = true, .error = EIO};
    assert_int_equal(help_run(config, "parts", 1, NULL, &result, &err), RV_E_IO);
    assert_non_null(strstr(err.message, "fsync"));
    assert_int_equal(shim_now.gradients, 0);
    shim_now = (shim){0};
}

static void short_and_interrupted(void **state)
{
    (void)state;
    const char *config = reference();
    rv_trial_result result;
    rv_error err = {0};
    help_remove(help_path("parts"));
    shim_now = (shim){.shorten = true};
    if (help_run(config, "parts", 1, NULL, &result, &err) != RV_OK)
        fail_msg("%s", err.message);
    shim_now = (shim){0};
    help_same(config, "whole", "parts");
}

/* Case 42: a failure in every call of the session that recovers from a failure. */
static void failing_recovery(void **state)
{
    (void)state;
    const char *config = reference();
    bool failed = true;
    for (long n = 1; failed; n += 3) {
        rv_trial_result result;
        rv_error err = {0};
        int stop = 0;
        help_remove(help_path("parts"));
        shim_now = (shim){.stop = &stop, .stop_at = 5};
        assert_int_equal(help_run(config, "parts", 1, &stop, &result, &err), RV_OK);
        shim_now = (shim){.kinds = SHIM_FILES | SHIM_MALLOC, .fail_at = n, .error = EIO};
        (void)help_run(config, "parts", 1, NULL, &result, &err);
        failed = shim_now.failed;
        shim_now = (shim){0};
        if (help_run(config, "parts", 1, NULL, &result, &err) != RV_OK)
            fail_msg("after call %ld: %s", n, err.message);
        help_same(config, "whole", "parts");
    }
}

/* ---- power ----------------------------------------------------------------------------- */

/* Loses power at call n and looks at what is left.  False: something that was believed to
 * be safe is not there.  *over: the run ended before call n. */
static bool survives_power_loss(const char *config, long n, bool lying, bool *over)
{
    int report[2], status = 0, stop = 1;
    char byte = 0;
    int64_t believed = 0;
    rv_trial_result result;
    rv_error err = {0};
    help_remove(help_path("power"));
    assert_int_equal(pipe(report), 0);
    pid_t child = fork();
    if (child == 0) {
        shim_now = (shim){.kinds = SHIM_FILES & ~SHIM_CLOSE, .fail_at = n, .power = true, .lying = lying,
                          .chance = (unsigned)n, .report = report[1]};
        _exit(help_run(config, "power", 1, NULL, &result, &err) == RV_OK ? 0 : 1);
    }
    close(report[1]);
    while (read(report[0], &byte, 1) == 1)
        believed += 2; /* steps from checkpoint to checkpoint */
    close(report[0]);
    waitpid(child, &status, 0);
    *over = WIFEXITED(status) && WEXITSTATUS(status) != 9;
    if (*over)
        return true;
    bool whole = help_run(config, "power", 1, &stop, &result, &err) == RV_OK;
    whole = whole && (result.outcome != RV_OUTCOME_INTERRUPTED || result.steps >= believed);
    whole = whole && help_run(config, "power", 1, NULL, &result, &err) == RV_OK;
    return whole && help_difference(config, "whole", "power") == NULL;
}

static void power(void **state)
{
    (void)state;
    const char *config = reference();
    bool over = false;
    long losses = 0, lost = 0;
    for (long n = 1; !over; n++, losses++)
        if (!survives_power_loss(config, n, false, &over))
            fail_msg("power lost at call %ld", n);
    over = false;
    for (long n = 1; !over; n++)
        lost += !survives_power_loss(config, n, true, &over);
    print_message("%ld power losses survived; with an fsync that lies %ld would not be\n", losses, lost);
    assert_true(losses > 30 && lost > 0);
}

/* ---- places and limits -------------------------------------------------------------------- */

static void no_place(void **state)
{
    (void)state;
    const char *config = reference();
    rv_trial_result result;
    rv_error err = {0};
    rv_trial_options options = {.threads = 1};
    FILE *f = fopen(help_path("file"), "w");
    fclose(f);
    const char *places[] = {help_path("file"), help_path("file/below"), "/proc/ravine", "/dev/null", NULL};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        options.dir = places[i];
        shim_now = (shim){0};
        assert_int_not_equal(rv_trial_run(config, &options, &result, &err), RV_OK);
        assert_int_equal(shim_now.gradients, 0);
        assert_true(err.message[0] != '\0');
    }
    if (geteuid() != 0) { /* root writes everywhere */
        mkdir(help_path("closed"), 0500);
        options.dir = help_path("closed");
        assert_int_equal(rv_trial_run(config, &options, &result, &err), RV_E_IO);
        assert_int_equal(shim_now.gradients, 0);
    }
    assert_int_equal(help_run(config, "a/b/c", 1, NULL, &result, &err), RV_OK);
    help_same(config, "whole", "a/b/c");
}

static void limited(const char *config, int resource, rlim_t limit)
{
    int status = 0;
    rv_trial_result result;
    rv_error err = {0};
    help_remove(help_path("limit"));
    pid_t child = fork();
    if (child == 0) {
        setrlimit(resource, &(struct rlimit){limit, limit});
        _exit(help_run(config, "limit", 2, NULL, &result, &err) == RV_OK ? 0 : err.message[0] != '\0' ? 1 : 2);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 2);
    no_temporaries(help_path("limit"));
    assert_int_equal(help_run(config, "limit", 1, NULL, &result, &err), RV_OK);
    help_same(config, "whole", "limit");
}

static void limits(void **state)
{
    (void)state;
    const char *config = reference();
    static const rlim_t sizes[] = {0, 100, 1000, 1500, 2000, 3000, 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        limited(config, RLIMIT_FSIZE, sizes[i]);
    for (rlim_t n = 3; n < 12; n++)
        limited(config, RLIMIT_NOFILE, n);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    limited(config, RLIMIT_AS, 1 << 20);
    limited(config, RLIMIT_AS, 1 << 27);
#endif
}

/* A disk that fills up: a file system of some pages, where mounting one is allowed. */
static void full_disk(void **state)
{
    (void)state;
    const char *config = reference();
    rv_trial_result result;
    rv_error err = {0};
    mkdir(help_path("disk"), 0700);
    for (int pages = 1; pages < 24; pages++) {
        char size[32];
        snprintf(size, sizeof size, "size=%dk", 4 * pages);
        if (mount("none", help_path("disk"), "tmpfs", 0, size) != 0)
            skip();
        rv_status status = help_run(config, "disk", 1, NULL, &result, &err);
        no_temporaries(help_path("disk"));
        if (status != RV_OK) {
            assert_int_equal(status, RV_E_IO);
            assert_int_equal(mount("none", help_path("disk"), "tmpfs", MS_REMOUNT, "size=4m"), 0);
            assert_int_equal(help_run(config, "disk", 1, NULL, &result, &err), RV_OK);
        }
        const char *what = help_difference(config, "whole", "disk");
        assert_int_equal(umount(help_path("disk")), 0);
        assert_null(what);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),        cmocka_unit_test(memory_resolving), cmocka_unit_test(files),
        cmocka_unit_test(refused_fsync), cmocka_unit_test(short_and_interrupted),
        cmocka_unit_test(failing_recovery), cmocka_unit_test(power),         cmocka_unit_test(no_place),
        cmocka_unit_test(limits),        cmocka_unit_test(full_disk),
    };
    return cmocka_run_group_tests(tests, help_start, help_end);
}
