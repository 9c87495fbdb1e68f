/* The registry of workloads: one line each in workloads.def. */
#include "ravine/workload.h"

#include <string.h>

#define WORKLOAD(name) extern const rv_workload rv_workload_##name;
#include "workloads.def"
#undef WORKLOAD

static const rv_workload *const workloads[] = {
#define WORKLOAD(name) &rv_workload_##name,
#include "workloads.def"
#undef WORKLOAD
};

const rv_workload *rv_workload_at(int i)
{
    int count = (int)(sizeof workloads / sizeof workloads[0]);
    return i >= 0 && i < count ? workloads[i] : NULL;
}

const rv_workload *rv_workload_find(const char *name)
{
    for (int i = 0; rv_workload_at(i); i++)
        if (strcmp(rv_workload_at(i)->name, name) == 0)
            return rv_workload_at(i);
    return NULL;
}
