/* What a trajectory file says of its optimizer, in our words: the tables verify.def and
 * verify_wrappers.def. */
#ifndef RV_OPTIM_VERIFY_MAP_H
#define RV_OPTIM_VERIFY_MAP_H

#include <jansson.h>

#include "ravine/optim.h"

typedef struct rv_verify_map {
    const char *method, *wrapper; /* wrapper NULL: none */
    json_t *options;              /* parameters, owned */
    char *rules;                  /* rule list, owned; NULL: the method's own */
    bool averaged;                /* the file's "params" are evaluation weights */
} rv_verify_map;

/* optimizer and hyper: of the file at path.  RV_E_UNKNOWN: no row of the tables fits. */
rv_status rv_verify_map_make(rv_verify_map *out, const char *path, const json_t *file, const char *optimizer,
                             const json_t *hyper, rv_error *err);
void rv_verify_map_release(rv_verify_map *map);

#endif
