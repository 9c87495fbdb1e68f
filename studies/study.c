/* The registry of studies (one line each in studies.def) and the check of their tables. */
#include "ravine/study.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STUDY(name) extern const rv_study rv_study_##name;
#include "studies.def"
#undef STUDY

static const rv_study *const studies[] = {
#define STUDY(name) &rv_study_##name,
#include "studies.def"
#undef STUDY
};

const rv_study *rv_study_at(int i)
{
    int count = (int)(sizeof studies / sizeof studies[0]);
    return i >= 0 && i < count ? studies[i] : NULL;
}

const rv_study *rv_study_find(const char *name)
{
    for (int i = 0; rv_study_at(i); i++)
        if (strcmp(rv_study_at(i)->name, name) == 0)
            return rv_study_at(i);
    return NULL;
}

static bool given(const char *text)
{
    return text && *text;
}

rv_status rv_study_check(const rv_study *study, rv_error *err)
{
    RV_TRY(rv_params_check(study->params, err));
    if (!given(study->title) || !given(study->question) || !given(study->method) || !given(study->source) ||
        !given(study->cost) || study->seeds < 1 || study->quick_seeds < 1 || !study->run)
        return rv_fail(err, RV_E_ARGUMENT, "study %s: a field is missing", study->name);
    if (!study->claims[0].key)
        return rv_fail(err, RV_E_ARGUMENT, "study %s claims nothing", study->name);
    for (const rv_claim *c = study->claims; c->key; c++) {
        if (!given(c->text) || !given(c->quantity) || !given(c->source) || !(c->low <= c->high))
            return rv_fail(err, RV_E_ARGUMENT, "study %s, claim %s: a text is missing or the interval is empty",
                           study->name, c->key);
        for (const rv_claim *other = study->claims; other != c; other++)
            if (strcmp(other->key, c->key) == 0)
                return rv_fail(err, RV_E_ARGUMENT, "study %s: two claims are called %s", study->name, c->key);
    }
    return RV_OK;
}

const char *rv_claim_expected(const rv_claim *claim, char *text, size_t size)
{
    if (isinf(claim->low))
        snprintf(text, size, "at most %.6g", claim->high);
    else if (isinf(claim->high))
        snprintf(text, size, "at least %.6g", claim->low);
    else if (claim->low < claim->high)
        snprintf(text, size, "%.6g to %.6g", claim->low, claim->high);
    else
        snprintf(text, size, "exactly %.6g", claim->low);
    return text;
}
