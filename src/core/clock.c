/* The monotonic clock.  Invariant: a change of the wall clock never shows here. */
#include <time.h>

#include "ravine/core.h"

double rv_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
