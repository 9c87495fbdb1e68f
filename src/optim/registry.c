/* The lists of methods, wrappers and schedules.  Invariant: every name of the .def files appears
 * exactly once, in that order; of several versions of a name the newest is meant unless one is
 * asked for. */
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

#define RV_WRAPPER(name) extern const rv_wrapper rv_wrapper_##name;
#include "optim/wrappers.def"
#undef RV_WRAPPER

static const rv_wrapper *const wrappers[] = {
#define RV_WRAPPER(name) &rv_wrapper_##name,
#include "optim/wrappers.def"
#undef RV_WRAPPER
};
enum { WRAPPERS = sizeof wrappers / sizeof wrappers[0] };

/* ---- names and versions ---------------------------------------------------- */

/* name of n characters; version 0: the newest. */
static int find(const rv_method_info *const *infos, int count, const char *name, size_t n, int version)
{
    int best = -1;
    for (int i = 0; i < count; i++) {
        const rv_method_info *info = infos[i];
        if (strlen(info->name) != n || strncmp(info->name, name, n) != 0)
            continue;
        if (version ? info->version == version : best < 0 || info->version > infos[best]->version)
            best = i;
    }
    return best;
}

rv_status rv_registry_lookup(const rv_method_info *const *infos, int count, const char *kind, const char *name, int *out,
                             rv_error *err)
{
    const size_t n = strcspn(name, "@");
    int version = 0;
    if (name[n] == '@') {
        char *end;
        const long wanted = strtol(name + n + 1, &end, 10);
        if (*end || end == name + n + 1 || wanted < 1 || wanted > 1000000)
            return rv_fail(err, RV_E_ARGUMENT, "%s '%s': expected NAME or NAME@VERSION", kind, name);
        version = (int)wanted;
    }
    *out = find(infos, count, name, n, version);
    if (*out >= 0)
        return RV_OK;
    const int newest = find(infos, count, name, n, 0);
    if (newest >= 0)
        return rv_fail(err, RV_E_UNKNOWN, "%s '%s': the newest version is %d", kind, name, infos[newest]->version);
    const char *names[RV_REGISTRY_MAX];
    const int known = count < RV_REGISTRY_MAX ? count : RV_REGISTRY_MAX;
    for (int i = 0; i < known; i++)
        names[i] = infos[i]->name;
    const char *near = rv_text_nearest(name, names, known);
    return rv_fail(err, RV_E_UNKNOWN, "no %s is called '%s'%s%s%s", kind, name, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}

/* ---- methods ------------------------------------------------------------------ */

const rv_method *rv_method_number(int i)
{
    return i >= 0 && i < METHODS ? methods[i] : NULL;
}

rv_status rv_method_lookup(const char *name, const rv_method **out, rv_error *err)
{
    const rv_method_info *infos[METHODS];
    int at = -1;
    for (int i = 0; i < METHODS; i++)
        infos[i] = &methods[i]->info;
    const rv_status status = rv_registry_lookup(infos, METHODS, "optimizer", name, &at, err);
    *out = at >= 0 ? methods[at] : NULL;
    return status;
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

/* ---- wrappers ------------------------------------------------------------------ */

const rv_wrapper *rv_wrapper_number(int i)
{
    return i >= 0 && i < WRAPPERS ? wrappers[i] : NULL;
}

rv_status rv_wrapper_lookup(const char *name, const rv_wrapper **out, rv_error *err)
{
    const rv_method_info *infos[WRAPPERS];
    int at = -1;
    for (int i = 0; i < WRAPPERS; i++)
        infos[i] = &wrappers[i]->method.info;
    const rv_status status = rv_registry_lookup(infos, WRAPPERS, "wrapper", name, &at, err);
    *out = at >= 0 ? wrappers[at] : NULL;
    return status;
}

const rv_method_info *rv_wrapper_at(int i)
{
    const rv_wrapper *wrapper = rv_wrapper_number(i);
    return wrapper ? &wrapper->method.info : NULL;
}

const rv_method_info *rv_wrapper_find(const char *name)
{
    const rv_wrapper *wrapper = NULL;
    return rv_wrapper_lookup(name, &wrapper, NULL) == RV_OK ? &wrapper->method.info : NULL;
}

/* ---- schedules ------------------------------------------------------------------ */

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
