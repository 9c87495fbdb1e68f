/* The registry of suites; a suite is JSON text in a file of its own. */
#include <string.h>

#include "ravine/bench.h"

#define SUITE(name) extern const rv_suite rv_suite_##name;
#include "bench/suites.def"
#undef SUITE

static const rv_suite *const suites[] = {
#define SUITE(name) &rv_suite_##name,
#include "bench/suites.def"
#undef SUITE
};

const rv_suite *rv_suite_at(int i)
{
    return i >= 0 && i < (int)(sizeof suites / sizeof suites[0]) ? suites[i] : NULL;
}

const rv_suite *rv_suite_find(const char *name)
{
    for (int i = 0; rv_suite_at(i); i++)
        if (strcmp(rv_suite_at(i)->name, name) == 0)
            return rv_suite_at(i);
    return NULL;
}
