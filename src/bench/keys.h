/* Keys of the room's JSON files: a misspelt one is an error, never one that silently does not apply. */
#ifndef RV_BENCH_KEYS_H
#define RV_BENCH_KEYS_H

#include <jansson.h>

#include "ravine/core.h"

/* Every key of object is one of known [count]; RV_E_FORMAT: "WHERE has no key 'x'; did you mean 'y'?". */
rv_status rv_keys_check(const json_t *object, const char *const *known, int count, const char *where, rv_error *err);

#endif
