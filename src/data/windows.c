/* Windows over tokens.  A window never leaves its split, and neither does its label. */
#include "data/windows.h"

#include <stdlib.h>

typedef struct windows {
    rv_source source;
    rv_windows of;
    int64_t begin[3]; /* of each split in the tokens */
} windows;

static void windows_fill(const rv_source *source, rv_split split, const int64_t *ids, int count,
                         rv_random augment, uint64_t first, rv_dtype dtype, void *const *inputs)
{
    (void)augment, (void)first, (void)dtype;
    const windows *w = (const windows *)source;
    int block = w->of.block, labelled = w->of.last ? 1 : block;
    int32_t *tokens = inputs[0], *labels = inputs[1]; /* [count, block], [count, labelled] */
    for (int i = 0; i < count; i++, tokens += block, labels += labelled) {
        const int32_t *from = w->of.tokens + w->begin[split] + ids[i] * w->of.stride[split];
        for (int t = 0; t < block; t++)
            tokens[t] = ids[i] < 0 ? 0 : from[t];
        for (int t = 0; t < labelled; t++)
            labels[t] = ids[i] < 0 ? -1 : from[block - labelled + t + 1];
    }
}

void rv_windows_release(rv_windows *w)
{
    free(w->tokens);
    free(w->counts);
    free(w->names);
}

static void windows_free(rv_source *source)
{
    rv_windows_release(&((windows *)source)->of);
    free(source);
}

static rv_status check(const rv_windows *w, rv_error *err)
{
    int64_t train = w->size[RV_SPLIT_TRAIN], validation = w->size[RV_SPLIT_VALIDATION];
    int64_t most = (validation > 0 && validation < train ? validation : train) - 1;
    if (w->block < 1 || w->block > most)
        return rv_fail(err, RV_E_RANGE, "%s: block must be in [1, %lld] (%lld tokens train, %lld validation), found %d", w->title,
                       most > 0 ? (long long)most : 0, (long long)train, (long long)validation, w->block);
    return RV_OK;
}

rv_status rv_windows_new(rv_source **out, rv_windows *of, rv_error *err)
{
    *out = NULL;
    rv_status status = check(of, err);
    windows *w = status == RV_OK ? calloc(1, sizeof *w) : NULL;
    if (status == RV_OK && !w)
        status = rv_fail(err, RV_E_MEMORY, "%s: out of memory", of->title);
    if (status != RV_OK) {
        rv_windows_release(of);
        return status;
    }
    w->of = *of;
    w->source = (rv_source){.inputs = 2,
                            .input_dtype = {RV_I32, RV_I32},
                            .input_shape = {{1, {of->block}}, {of->last ? 0 : 1, {of->last ? 0 : of->block}}},
                            .draw = of->draw,
                            .classes = of->classes,
                            .counts = of->counts,
                            .names = (const char *const *)of->names,
                            .fill = windows_fill,
                            .free = windows_free};
    for (int split = 0; split < 3; split++) {
        if (split > 0)
            w->begin[split] = w->begin[split - 1] + of->size[split - 1];
        if (of->size[split] > of->block)
            w->source.examples[split] = (of->size[split] - 1 - of->block) / of->stride[split] + 1;
    }
    *out = &w->source;
    return RV_OK;
}
