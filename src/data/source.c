/* What all sources share.  A source is one allocation or owns the rest of its
 * memory; its free method knows which. */
#include "ravine/data.h"

#include <stdlib.h>

void rv_source_free(rv_source *source)
{
    if (source)
        source->free(source);
}

/* ---- on loan ------------------------------------------------------------------------------ */

typedef struct loan {
    rv_source source;
    const rv_source *owner;
} loan;

static void loan_fill(const rv_source *source, rv_split split, const int64_t *ids, int count, rv_random augment, uint64_t first,
                      rv_dtype dtype, void *const *inputs)
{
    const rv_source *owner = ((const loan *)source)->owner;
    owner->fill(owner, split, ids, count, augment, first, dtype, inputs);
}

static void loan_free(rv_source *source)
{
    free(source);
}

rv_source *rv_source_lend(const rv_source *owner)
{
    loan *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->owner = owner;
    l->source = *owner;
    l->source.fill = loan_fill;
    l->source.free = loan_free;
    return &l->source;
}
