/* Procedural text for character models, where no corpus is at hand. */
#ifndef RV_DATA_GRAMMAR_H
#define RV_DATA_GRAMMAR_H

#include "ravine/core.h"

/* About 1.1 MB of an invented play: always the same bytes.  Caller frees *text. */
rv_status rv_grammar_text(unsigned char **text, size_t *size, rv_error *err);

#endif
