/* Windows of a text for character models, with nanoGPT's conventions: the alphabet is
 * the sorted set of bytes that occur, the first 90 % train, the labels are the tokens
 * one place later. */
#include <stdio.h>
#include <stdlib.h>

#include "core/file.h"
#include "data/folder.h"
#include "data/grammar.h"
#include "data/windows.h"

static const char file[] = "tinyshakespeare/input.txt";
enum { MAX_TEXT = 256 << 20 };

/* tokens[i] <- the place of byte i in the sorted alphabet; returns the alphabet's size. */
static int tokenise(const unsigned char *text, size_t size, int32_t *tokens)
{
    bool seen[256] = {false};
    int32_t place[256];
    int alphabet = 0;
    for (size_t i = 0; i < size; i++)
        seen[text[i]] = true;
    for (int byte = 0; byte < 256; byte++)
        if (seen[byte])
            place[byte] = alphabet++;
    for (size_t i = 0; i < size; i++)
        tokens[i] = place[text[i]];
    return alphabet;
}

/* Makes the source of a text that it frees, whatever it returns. */
static rv_status text_new(rv_source **out, unsigned char *text, size_t size, const char *title, int block, rv_error *err)
{
    int64_t train = (int64_t)(0.9 * (double)size);
    rv_windows windows = {.title = title,
                          .tokens = malloc((size + 1) * sizeof *windows.tokens),
                          .size = {train, (int64_t)size - train, 0},
                          .stride = {1, block, 1},
                          .block = block,
                          .draw = true};
    if (windows.tokens)
        windows.classes = tokenise(text, size, windows.tokens);
    free(text);
    if (!windows.tokens)
        return rv_fail(err, RV_E_MEMORY, "%s: out of memory", title);
    RV_TRY(rv_windows_new(out, &windows, err));
    snprintf((*out)->description, sizeof (*out)->description, "%s: %zu bytes, %d different", title, size, windows.classes);
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
        return text_new(out, text, size, file, block, err);
    }
    unsigned char *text;
    size_t size;
    RV_TRY(rv_grammar_text(&text, &size, err));
    return text_new(out, text, size, "procedural text (no tinyshakespeare/input.txt)", block, err);
}
