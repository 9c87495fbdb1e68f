/* The lists of methods and schedules.  Invariant: every name of the .def files appears
 * exactly once, in that order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "optim/method.h"
#include "optim/schedule.h"

#define RV_METHOD(name) extern const rv_method rv_method_##name;
#include "optim/optimizers.def"
#undef RV_METHOD

static const rv_method *const methods[] = {
#define RV_METHOD(name) &rv_method_##name,
#include "optim/optimizers.def"
#undef RV_METHOD
};
enum { METHODS = sizeof methods / sizeof methods[0] };

#define RV_SCHEDULE(name) extern const rv_schedule_info rv_schedule_##name;
#include "optim/schedules.def"
#undef RV_SCHEDULE

static const rv_schedule_info *const schedules[] = {
#define RV_SCHEDULE(name) &rv_schedule_##name,
#include "optim/schedules.def"
#undef RV_SCHEDULE
};
enum { SCHEDULES = sizeof schedules / sizeof schedules[0] };

const rv_method *rv_method_number(int i)
{
    return i >= 0 && i < METHODS ? methods[i] : NULL;
}

/* name of n characters; version 0: the newest. */
static const rv_method *find(const char *name, size_t n, int version)
{
    const rv_method *best = NULL;
    for (int i = 0; i < METHODS; i++) {
        const rv_method_info *info = &methods[i]->info;
        if (strlen(info->name) != n || strncmp(info->name, name, n) != 0)
            continue;
        if (version ? info->version == version : !best || info->version > best->info.version)
            best = methods[i];
    }
    return best;
}

rv_status rv_method_lookup(const char *name, const rv_method **out, rv_error *err)
{
    const size_t n = strcspn(name, "@");
    int version = 0;
    if (name[n] == '@') {
        char *end;
        const long wanted = strtol(name + n + 1, &end, 10);
        if (*end || end == name + n + 1 || wanted < 1 || wanted > 1000000)
            return rv_fail(err, RV_E_ARGUMENT, "optimizer '%s': expected NAME or NAME@VERSION", name);
        version = (int)wanted;
    }
    *out = find(name, n, version);
    if (*out)
        return RV_OK;
    const rv_method *newest = find(name, n, 0);
    if (newest)
        return rv_fail(err, RV_E_UNKNOWN, "optimizer '%s': the newest version is %d", name, newest->info.version);
    const char *names[METHODS];
    for (int i = 0; i < METHODS; i++)
        names[i] = methods[i]->info.name;
    const char *near = rv_text_nearest(name, names, METHODS);
    return rv_fail(err, RV_E_UNKNOWN, "no optimizer is called '%s'%s%s%s", name, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}

const rv_method_info *rv_method_at(int i)
{
    const rv_method *method = rv_method_number(i);
    return method ? &method->info : NULL;
}

const rv_method_info *rv_method_find(const char *name)
{
    const rv_method *method = NULL;
    return rv_method_lookup(name, &method, NULL) == RV_OK ? &method->info : NULL;
}

const rv_schedule_info *rv_schedule_at(int i)
{
    return i >= 0 && i < SCHEDULES ? schedules[i] : NULL;
}

const rv_schedule_info *rv_schedule_find(const char *name)
{
    for (int i = 0; i < SCHEDULES; i++)
        if (strcmp(schedules[i]->name, name) == 0)
            return schedules[i];
    return NULL;
}
