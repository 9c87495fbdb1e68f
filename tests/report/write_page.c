/* Writes the report of a folder, or of the score of a table, for the test that opens it in a
 * browser. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/report.h"
#include "ravine/score.h"

static rv_status write_score(const char *table, const char *page, rv_error *err)
{
    rv_trials *trials;
    rv_ruleset *ruleset;
    char *json = NULL;
    rv_trials_options options = {.ruleset = NULL};
    rv_score_report_options report = {.resamples = 200};
    RV_TRY(rv_trials_read(&trials, &ruleset, &table, 1, &options, err));
    rv_status status = rv_score_report(&json, trials, ruleset, &report, err);
    if (status == RV_OK)
        status = rv_report_write_score(json, page, err);
    free(json);
    rv_trials_free(trials);
    rv_ruleset_free(ruleset);
    return status;
}

int main(int argc, char **argv)
{
    rv_error err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: %s DIR|TABLE.csv PAGE\n", argv[0]);
        return 2;
    }
    bool table = strstr(argv[1], ".csv") != NULL;
    if ((table ? write_score : rv_report_write)(argv[1], argv[2], &err) != RV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}
