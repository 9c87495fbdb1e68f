/* The built-in submissions: the JSON files of submissions/, part of the library. */
#include <string.h>

#include "core/embed.h"
#include "ravine/bench.h"

#define SUBMISSION(name) RV_INCBIN(rv_submission_text_##name, RV_SUBMISSION_FOLDER "/" #name ".json");
#include "bench/submissions.def"
#undef SUBMISSION

/* Each text ends with the zero of RV_INCBIN. */
static const rv_submission submissions[] = {
#define SUBMISSION(name) {#name, (const char *)rv_submission_text_##name},
#include "bench/submissions.def"
#undef SUBMISSION
};

const rv_submission *rv_submission_at(int i)
{
    return i >= 0 && i < (int)(sizeof submissions / sizeof submissions[0]) ? &submissions[i] : NULL;
}

const rv_submission *rv_submission_find(const char *name)
{
    for (int i = 0; rv_submission_at(i); i++)
        if (strcmp(rv_submission_at(i)->name, name) == 0)
            return rv_submission_at(i);
    return NULL;
}
