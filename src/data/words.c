/* Texts as rows of words.  A text is read once; then the words of its training split are
 * counted and ranked, and every token becomes the rank of its word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "data/folder.h"
#include "data/grammar.h"
#include "data/vocabulary.h"
#include "data/windows.h"

enum { MAX_TEXT = 1 << 30 };

typedef struct text_row {
    const char *title;
    const char *files[3]; /* of the splits; a play has one, which is cut into two splits */
    bool play;
} text_row;
static const text_row texts[] = {
    [RV_WORDS_TINYSHAKESPEARE] = {"tinyshakespeare", {"tinyshakespeare/input.txt"}, true},
    [RV_WORDS_PTB] = {"ptb", {"ptb/ptb.train.txt", "ptb/ptb.valid.txt", "ptb/ptb.test.txt"}, false},
    [RV_WORDS_WIKITEXT2] = {"wikitext-2", {"wikitext-2/wiki.train.tokens", "wikitext-2/wiki.valid.tokens", "wikitext-2/wiki.test.tokens"}, false},
    [RV_WORDS_GRAMMAR] = {"procedural text", {NULL}, true},
};

typedef struct corpus {
    rv_vocabulary words;
    int32_t *tokens; /* numbers of words, later their classes; all splits */
    int64_t count, room;
    int64_t size[3];
} corpus;

/* ---- reading --------------------------------------------------------------------------- */

static rv_status put(corpus *c, const void *word, size_t length, rv_error *err)
{
    if (c->count == c->room) {
        int64_t room = 2 * c->room + 4096;
        int32_t *tokens = realloc(c->tokens, (size_t)room * sizeof *tokens);
        if (!tokens)
            return rv_fail(err, RV_E_MEMORY, "no memory for %lld words", (long long)room);
        c->tokens = tokens;
        c->room = room;
    }
    return rv_vocabulary_add(&c->words, word, length, &c->tokens[c->count++], err);
}

static bool is_space(unsigned char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Letters, digits, the apostrophe, and whatever is not ASCII. */
static bool in_word(unsigned char byte)
{
    return byte >= 0x80 || byte == '\'' || byte == '_' || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z');
}

/* Words and signs of a play, in lower case. */
static rv_status read_play(corpus *c, unsigned char *text, size_t size, rv_error *err)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (unsigned char)(text[i] - 'A' + 'a');
    for (size_t at = 0, end; at < size; at = end) {
        for (end = at; end < size && in_word(text[end]);)
            end++;
        if (end > at)
            RV_TRY(put(c, text + at, end - at, err));
        else if (!is_space(text[end++]))
            RV_TRY(put(c, text + at, 1, err));
    }
    return RV_OK;
}

/* Words between spaces; a line ends with <eos>, also the last one where its end is missing. */
static rv_status read_lines(corpus *c, const unsigned char *text, size_t size, rv_error *err)
{
    for (size_t at = 0, end; at < size; at = end) {
        for (end = at; end < size && !is_space(text[end]);)
            end++;
        if (end > at)
            RV_TRY(put(c, text + at, end - at, err));
        if (end == size || text[end++] == '\n')
            RV_TRY(put(c, "<eos>", 5, err));
    }
    return RV_OK;
}

static rv_status read_file(corpus *c, const char *data, const char *file, bool play, rv_error *err)
{
    char path[RV_PATH_SIZE];
    rv_reader reader;
    rv_data_locate(data, file, path);
    RV_TRY(rv_reader_open(&reader, path, MAX_TEXT, err));
    rv_status status = play ? read_play(c, reader.data, reader.size, err) : read_lines(c, reader.data, reader.size, err);
    if (status != RV_OK)
        rv_fail_prefix(err, status, "%s", path);
    rv_reader_close(&reader);
    return status;
}

static rv_status read_grammar(corpus *c, rv_error *err)
{
    unsigned char *text;
    size_t size;
    RV_TRY(rv_grammar_text(&text, &size, err));
    rv_status status = read_play(c, text, size, err);
    free(text);
    return status;
}

static rv_status read_text(corpus *c, const text_row *row, const rv_words *o, const char *data, rv_error *err)
{
    for (int split = 0; split < 3 && row->files[split]; split++) {
        int64_t before = c->count;
        RV_TRY(read_file(c, data, row->files[split], row->play, err));
        c->size[split] = c->count - before;
    }
    if (row == &texts[RV_WORDS_GRAMMAR])
        RV_TRY(read_grammar(c, err));
    if (row->play) {
        c->size[RV_SPLIT_TRAIN] = o->whole ? c->count : (int64_t)(0.9 * (double)c->count);
        c->size[RV_SPLIT_VALIDATION] = c->count - c->size[RV_SPLIT_TRAIN];
    }
    int64_t surplus = o->limit > 0 ? c->size[RV_SPLIT_TRAIN] - o->limit : 0;
    if (surplus > 0) {
        c->count -= surplus;
        c->size[RV_SPLIT_TRAIN] = o->limit;
        memmove(c->tokens + o->limit, c->tokens + o->limit + surplus, (size_t)(c->count - o->limit) * sizeof *c->tokens);
    }
    return RV_OK;
}

/* ---- ranking --------------------------------------------------------------------------- */

typedef struct rank {
    int64_t count; /* in the training split */
    int32_t word;
} rank;

static int by_frequency(const void *a, const void *b)
{
    const rank *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : (x->word > y->word) - (x->word < y->word);
}

/* Ranks the words that stay to the front of ranks [words.count], <unk> among them by the count of all it
 * stands for; returns how many they are.  most: of them, 0: all. */
static int rank_words(const corpus *c, int most, int32_t unknown, rank *ranks)
{
    int32_t n = c->words.count;
    bool unseen = false; /* a word of the other splits that the training split does not have */
    for (int32_t k = 0; k < n; k++)
        ranks[k] = (rank){0, k};
    for (int64_t i = 0; i < c->size[RV_SPLIT_TRAIN]; i++)
        ranks[c->tokens[i]].count++;
    for (int64_t i = c->size[RV_SPLIT_TRAIN]; i < c->count; i++)
        unseen |= ranks[c->tokens[i]].count == 0;
    rank unk = ranks[unknown];
    ranks[unknown] = ranks[n - 1];
    qsort(ranks, (size_t)n - 1, sizeof *ranks, by_frequency);
    int kept = 0;
    while (kept < n - 1 && ranks[kept].count > 0)
        kept++;
    int classes = kept + (unk.count > 0 || unseen);
    if (most > 0 && classes > most)
        kept = most - 1;
    for (int32_t k = kept; k < n - 1; k++)
        unk.count += ranks[k].count;
    if (unk.count > 0 || unseen)
        ranks[kept++] = unk;
    qsort(ranks, (size_t)kept, sizeof *ranks, by_frequency);
    return kept;
}

/* The words of the ranks, in one allocation with the pointers to them. */
static char **copy_names(const rv_vocabulary *words, const rank *ranks, int classes)
{
    size_t size = (size_t)classes * sizeof(char *), length;
    for (int k = 0; k < classes; k++) {
        rv_vocabulary_word(words, ranks[k].word, &length);
        size += length + 1;
    }
    char **names = malloc(size);
    char *to = names ? (char *)(names + classes) : NULL;
    for (int k = 0; names && k < classes; k++, to += length + 1) {
        const char *word = rv_vocabulary_word(words, ranks[k].word, &length);
        names[k] = memcpy(to, word, length);
        to[length] = '\0';
    }
    return names;
}

/* Tokens become classes; counts and names are made. */
static rv_status classify(corpus *c, int most, rv_windows *windows, rv_error *err)
{
    int32_t unknown;
    RV_TRY(rv_vocabulary_add(&c->words, "<unk>", 5, &unknown, err));
    size_t words = (size_t)c->words.count;
    rank *ranks = malloc(words * sizeof *ranks);
    int32_t *class_of = malloc(words * sizeof *class_of);
    if (ranks && class_of) {
        windows->classes = rank_words(c, most, unknown, ranks);
        for (size_t k = 0; k < words; k++)
            class_of[k] = -1;
        for (int k = 0; k < windows->classes; k++)
            class_of[ranks[k].word] = k;
        for (int64_t i = 0; i < c->count; i++)
            c->tokens[i] = class_of[c->tokens[i]] < 0 ? class_of[unknown] : class_of[c->tokens[i]];
        windows->counts = malloc(((size_t)windows->classes + 1) * sizeof *windows->counts);
        windows->names = copy_names(&c->words, ranks, windows->classes);
        for (int k = 0; windows->counts && k < windows->classes; k++)
            windows->counts[k] = ranks[k].count;
    }
    free(ranks);
    free(class_of);
    return windows->counts && windows->names ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for a vocabulary of %zu words", words);
}

static void describe(const text_row *row, const text_row *asked, const rv_windows *w, rv_source *source)
{
    char note[64] = "";
    if (row != asked)
        snprintf(note, sizeof note, " (no %s)", asked->files[0]);
    snprintf(source->description, sizeof source->description, "%s%s: %lld words to train on, %d classes", row->title, note,
             (long long)w->size[RV_SPLIT_TRAIN], w->classes);
}

rv_status rv_source_words(rv_source **out, const rv_words *o, const char *data, rv_error *err)
{
    *out = NULL;
    char path[RV_PATH_SIZE];
    const text_row *asked = &texts[o->text], *row = asked;
    if (asked->files[0] && !rv_data_locate(data, asked->files[0], path))
        row = &texts[RV_WORDS_GRAMMAR];
    if (o->block < 1 || o->stride < 0 || o->vocabulary < 0 || o->vocabulary == 1 || o->limit < 0)
        return rv_fail(err, RV_E_RANGE, "%s: expected block >= 1, stride and limit >= 0, vocabulary 0 or >= 2, found %d, %d, %lld, %d", row->title,
                       o->block, o->stride, (long long)o->limit, o->vocabulary);
    corpus c = {0};
    rv_windows windows = {.title = row->title, .block = o->block, .last = o->last};
    rv_status status = read_text(&c, row, o, data, err);
    if (status == RV_OK)
        status = classify(&c, o->vocabulary, &windows, err);
    rv_vocabulary_release(&c.words);
    for (int split = 0; split < 3; split++) {
        windows.size[split] = c.size[split];
        windows.stride[split] = split == RV_SPLIT_TRAIN && o->stride > 0 ? o->stride : o->block;
    }
    windows.tokens = c.tokens;
    if (status != RV_OK) {
        rv_windows_release(&windows);
        return status;
    }
    RV_TRY(rv_windows_new(out, &windows, err));
    describe(row, asked, &windows, *out);
    return RV_OK;
}
