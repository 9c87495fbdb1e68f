/* Configurations of a run: a resolved one resolves to itself. */
#include "fuzz.h"
#include "ravine/trial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size), *once = NULL, *twice = NULL;
    rv_error err = {0};
    if (!text)
        abort();
    if (rv_trial_resolve(text, NULL, 0, &once, &err) != RV_OK)
        fuzz_refused(&err);
    else if (rv_trial_resolve(once, NULL, 0, &twice, &err) != RV_OK || strcmp(once, twice) != 0)
        abort();
    free(text);
    free(once);
    free(twice);
    return 0;
}
