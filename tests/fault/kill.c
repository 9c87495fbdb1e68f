/* Killed at random moments, recovery included, a run still ends in the bits of one that was
 * never disturbed (catalogue case 33).  RAVINE_SLOW: 10,000 kills. */
#include "help.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void killed(void **state)
{
    (void)state;
    const char *config = help_config("{'workload': 'linear-regression', 'optimizer': 'adamw', 'train': {'steps': 2000,"
                                     " 'eval_every': 50, 'log_every': 10, 'checkpoint_every': 20, 'target': null}}");
    const int wanted = getenv("RAVINE_SLOW") != NULL ? 10000 : 300;
    rv_trial_result result;
    rv_error err = {0};
    int kills = 0, runs = 0;
    help_remove(help_path("whole"));
    assert_int_equal(help_run(config, "whole", 1, NULL, &result, &err), RV_OK);
    while (kills < wanted) {
        help_remove(help_path("parts"));
        for (bool over = false; !over;) {
            int status = 0;
            pid_t child = fork();
            if (child == 0)
                _exit(help_run(config, "parts", 1 + kills % 2, NULL, &result, &err) == RV_OK ? 0 : 1);
            uint64_t delay = rv_random_below((rv_random){1, RV_RANDOM_PROBE, 0}, (uint64_t)kills, 6000000);
            nanosleep(&(struct timespec){0, (long)delay}, NULL);
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            over = WIFEXITED(status);
            if (over)
                assert_int_equal(WEXITSTATUS(status), 0);
            else
                kills++;
        }
        help_same(config, "whole", "parts");
        runs++;
    }
    print_message("%d kills in %d runs\n", kills, runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(killed)};
    return cmocka_run_group_tests(tests, help_start, help_end);
}
