/* Windows of a text for character models, with nanoGPT's conventions: the alphabet is
 * the sorted set of bytes that occur, the first 90 % train, the labels are the tokens
 * one place later. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "data/folder.h"
#include "data/grammar.h"

static const char file[] = "tinyshakespeare/input.txt";
enum { MAX_TEXT = 256 << 20 };

typedef struct windows {
    rv_source source;
    unsigned char *tokens; /* [size], places in the alphabet; owned */
    size_t begin[3];       /* of each split */
    int64_t stride[3];     /* between the starts of its examples */
    int block;
} windows;

static void windows_fill(const rv_source *source, rv_split split, const int64_t *ids, int count,
                         rv_random augment, uint64_t first, rv_dtype dtype, void *const *inputs)
{
    (void)augment, (void)first, (void)dtype;
    const windows *w = (const windows *)source;
    int32_t *tokens = inputs[0], *labels = inputs[1]; /* [count, block] */
    for (int i = 0; i < count; i++, tokens += w->block, labels += w->block) {
        if (ids[i] < 0) {
            for (int t = 0; t < w->block; t++) {
                tokens[t] = 0;
                labels[t] = -1;
            }
            continue;
        }
        const unsigned char *from = w->tokens + w->begin[split] + ids[i] * w->stride[split];
        for (int t = 0; t < w->block; t++) {
            tokens[t] = from[t];
            labels[t] = from[t + 1];
        }
    }
}

static void windows_free(rv_source *source)
{
    free(((windows *)source)->tokens);
    free(source);
}

/* Replaces every byte by its place in the sorted alphabet; returns the alphabet's size. */
static int tokenise(unsigned char *text, size_t size)
{
    bool seen[256] = {false};
    unsigned char place[256];
    int alphabet = 0;
    for (size_t i = 0; i < size; i++)
        seen[text[i]] = true;
    for (int byte = 0; byte < 256; byte++)
        if (seen[byte])
            place[byte] = (unsigned char)alphabet++;
    for (size_t i = 0; i < size; i++)
        text[i] = place[text[i]];
    return alphabet;
}

/* Makes the source of a text that it owns from here on, whatever it returns. */
static rv_status windows_new(rv_source **out, unsigned char *text, size_t size, const char *title, int block,
                             rv_error *err)
{
    int64_t train = (int64_t)(0.9 * (double)size), validation = (int64_t)size - train;
    windows *w = NULL;
    if (block < 1 || block >= validation || block >= train) {
        free(text);
        return rv_fail(err, RV_E_RANGE,
                       "%s: block must be in [1, %lld] (90 %% train, 10 %% validation), found %d", title,
                       validation > 1 ? (long long)validation - 1 : 0, block);
    }
    if (!(w = calloc(1, sizeof *w))) {
        free(text);
        return rv_fail(err, RV_E_MEMORY, "%s: out of memory", title);
    }
    w->tokens = text;
    w->block = block;
    w->begin[RV_SPLIT_VALIDATION] = (size_t)train;
    w->stride[RV_SPLIT_TRAIN] = 1;
    w->stride[RV_SPLIT_VALIDATION] = block;
    w->source = (rv_source){.inputs = 2,
                            .input_dtype = {RV_I32, RV_I32},
                            .input_shape = {{1, {block}}, {1, {block}}},
                            .examples = {train - block, (validation - 1) / block, 0},
                            .draw = true,
                            .classes = tokenise(text, size),
                            .fill = windows_fill,
                            .free = windows_free};
    snprintf(w->source.description, sizeof w->source.description, "%s: %zu bytes, %d different", title, size,
             w->source.classes);
    *out = &w->source;
    return RV_OK;
}

rv_status rv_source_text(rv_source **out, const char *data, int block, rv_error *err)
{
    *out = NULL;
    char path[RV_PATH_SIZE];
    if (rv_data_locate(data, file, path)) {
        rv_reader reader;
        RV_TRY(rv_reader_open(&reader, path, MAX_TEXT, err));
        unsigned char *text = reader.data;
        size_t size = reader.size;
        reader.data = NULL; /* the source owns it now */
        rv_reader_close(&reader);
        return windows_new(out, text, size, file, block, err);
    }
    unsigned char *text;
    size_t size;
    RV_TRY(rv_grammar_text(&text, &size, err));
    return windows_new(out, text, size, "procedural text (no tinyshakespeare/input.txt)", block, err);
}
