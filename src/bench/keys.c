/* The one check of keys. */
#include "bench/keys.h"

#include <string.h>

#include "core/text.h"

rv_status rv_keys_check(const json_t *object, const char *const *known, int count, const char *where, rv_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return rv_fail(err, RV_E_FORMAT, "%s must be an object", where);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        int i = 0;
        while (i < count && strcmp(known[i], key) != 0)
            i++;
        if (i < count)
            continue;
        const char *near = rv_text_nearest(key, known, count);
        return rv_fail(err, RV_E_FORMAT, "%s has no key '%.80s'%s%s%s", where, key, near ? "; did you mean '" : "",
                       near ? near : "", near ? "'?" : "");
    }
    return RV_OK;
}
