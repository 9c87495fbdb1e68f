/* The registry of samplers. */
#include "bench/sampler.h"

#include <string.h>

#include "core/text.h"

#define SAMPLER(name) extern const rv_point_sampler rv_point_sampler_##name;
#include "bench/samplers.def"
#undef SAMPLER

static const rv_point_sampler *const samplers[] = {
#define SAMPLER(name) &rv_point_sampler_##name,
#include "bench/samplers.def"
#undef SAMPLER
};
enum { SAMPLERS = (int)(sizeof samplers / sizeof samplers[0]) };

const rv_sampler_info *rv_sampler_at(int i)
{
    return i >= 0 && i < SAMPLERS ? &samplers[i]->info : NULL;
}

rv_status rv_point_sampler_find(const char *name, const rv_point_sampler **sampler, rv_error *err)
{
    const char *names[SAMPLERS];
    for (int i = 0; i < SAMPLERS; i++) {
        names[i] = samplers[i]->info.name;
        if (strcmp(names[i], name) == 0) {
            *sampler = samplers[i];
            return RV_OK;
        }
    }
    const char *near = rv_text_nearest(name, names, SAMPLERS);
    return rv_fail(err, RV_E_UNKNOWN, "no sampler '%.80s'%s%s%s", name, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}
