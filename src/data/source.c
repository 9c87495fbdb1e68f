/* What all sources share.  A source is one allocation or owns the rest of its
 * memory; its free method knows which. */
#include "ravine/data.h"

void rv_source_free(rv_source *source)
{
    if (source)
        source->free(source);
}
