/* Configurations as tests write them, with ' in place of ". */
#ifndef RV_TEST_TRIAL_HELP_H
#define RV_TEST_TRIAL_HELP_H

#include <stdio.h>

#include "ravine/trial.h"

/* NULL: refused; caller frees. */
static inline char *resolve(const char *config, const char *override, rv_error *err)
{
    char text[1024], *resolved = NULL;
    snprintf(text, sizeof text, "%s", config);
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    if (rv_trial_resolve(text, &override, override == NULL ? 0 : 1, &resolved, err) != RV_OK)
        assert_null(resolved);
    return resolved;
}

#endif
