/* The built-in rulesets: JSON files that are part of the library. */
#include <string.h>

#include "core/embed.h"
#include "ravine/score.h"

#define RULESET(symbol, name) RV_INCBIN(rv_ruleset_text_##symbol, RV_RULESET_FOLDER "/" name ".json");
#include "bench/rulesets.def"
#undef RULESET

static const struct {
    const char *name;
    const unsigned char *text; /* ends with the zero of RV_INCBIN */
} builtin[] = {
#define RULESET(symbol, name) {name, rv_ruleset_text_##symbol},
#include "bench/rulesets.def"
#undef RULESET
};

const char *rv_ruleset_name(int i)
{
    return i >= 0 && i < (int)(sizeof builtin / sizeof builtin[0]) ? builtin[i].name : NULL;
}

const char *rv_ruleset_json(const char *name)
{
    for (int i = 0; rv_ruleset_name(i); i++)
        if (strcmp(builtin[i].name, name) == 0)
            return (const char *)builtin[i].text;
    return NULL;
}
