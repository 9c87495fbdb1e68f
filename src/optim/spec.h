/* Lists of named things with parameters, as options write them: "ema(decay=0.99),sam". */
#ifndef RV_OPTIM_SPEC_H
#define RV_OPTIM_SPEC_H

#include "core/json.h"

/* NAME or NAME(PARAMS), separated by commas; or a JSON list of such texts and of objects
 * {"name": NAME, "params": object or "name=value,..."}.  The list comes out as such objects, each
 * with both keys.  what: the option, for errors.  RV_E_ARGUMENT. */
rv_status rv_spec_parse(const char *text, const char *what, json_t **list, rv_error *err);

/* The end of the first item of a text separated by commas: a comma outside parentheses, or the end
 * of the text; NULL: parentheses do not match. */
const char *rv_spec_item_end(const char *text);

#endif
