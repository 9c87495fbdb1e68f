/* Data: sources that write examples into the inputs of a network.
 *
 * A source is read-only once made and may be used by several threads at once.
 * Readers accept the official layouts, plain or gzip, check every size before
 * they allocate, and name file and offset in every error.
 *
 * rv_source_*: *out is the caller's, to be freed or given to an objective, and NULL after
 * a failure; data is the folder of data sets or NULL.  RV_E_IO: a file cannot be read;
 * RV_E_FORMAT: it is damaged or of another size; RV_E_RANGE: an argument; RV_E_MEMORY. */
#ifndef RAVINE_DATA_H
#define RAVINE_DATA_H

#include "ravine/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { RV_SOURCE_INPUTS = 4 };

typedef struct rv_source rv_source;
struct rv_source {
    char description[256]; /* what was read or generated, for people */
    int inputs;            /* number of network inputs it fills */
    rv_dtype input_dtype[RV_SOURCE_INPUTS]; /* RV_F32: in the float type asked for; RV_I32 */
    rv_shape input_shape[RV_SOURCE_INPUTS]; /* of one example */
    int64_t examples[3];   /* per split; of windows of text: every start position */
    bool draw;             /* training examples are drawn with replacement, not by epochs */
    int classes;           /* of the labels */
    const int64_t *counts; /* [classes]: how often each occurs in the training split; NULL: not counted */
    const char *const *names; /* [classes], or NULL: they have none */
    /* Writes count examples: ids[i] in [0, examples[split]), or -1 for padding, which gets
     * zeros and labels -1.  inputs[k]: memory of count * input_shape[k] elements, floats of
     * type dtype.  Augmentation (training split) draws from augment at index ids-independent
     * position first + i, so it depends on the place in the batch, not on the thread. */
    void (*fill)(const rv_source *source, rv_split split, const int64_t *ids, int count,
                 rv_random augment, uint64_t first, rv_dtype dtype, void *const *inputs);
    void (*free)(rv_source *source);
};

RV_API void rv_source_free(rv_source *source); /* NULL is fine */
/* A source with all that owner has, to give to an objective, which frees it: owner is borrowed and outlives
 * it.  NULL: out of memory. */
RV_API rv_source *rv_source_lend(const rv_source *owner);

/* a / b, a + b, a - b, a b, a^2 + b^2 and a^3 + a b^2 + b, by their names as options have them. */
typedef enum rv_modular_operation {
    RV_MODULAR_DIVISION,
    RV_MODULAR_ADDITION,
    RV_MODULAR_SUBTRACTION,
    RV_MODULAR_MULTIPLICATION,
    RV_MODULAR_SQUARES,
    RV_MODULAR_CUBIC
} rv_modular_operation;
#define RV_MODULAR_OPERATIONS "division|addition|subtraction|multiplication|squares|cubic"

typedef struct rv_modular {
    int p;           /* a prime up to 4096 */
    int operation;   /* rv_modular_operation */
    double fraction; /* of the pairs in train, the rest is validation */
    uint64_t seed;   /* of that split */
    bool pairs;      /* for one-hot codes: (a, p + b) are the inputs, not tokens */
} rv_modular;

/* All of mod-p modular arithmetic a op b = c, b != 0 in divisions.  Inputs: tokens i32 [4]
 * [a, op, b, =] (0..p-1 numbers, p the operation, p + 1 the equals sign) or the pair i32 [2];
 * label i32 [] (the answer c). */
RV_API rv_status rv_source_modular(rv_source **out, const rv_modular *table, rv_error *err);

/* Windows of text over its own alphabet of bytes; inputs: tokens i32 [block], labels i32
 * [block] (the next byte).  First 90 % of the bytes train, the rest validation, where the
 * examples are the consecutive non-overlapping windows.  data: folder or NULL: then, or
 * when tinyshakespeare/input.txt is absent below it, a procedural text of about the same
 * size and alphabet (a seeded grammar, words by Zipf's law) takes its place. */
RV_API rv_status rv_source_text(rv_source **out, const char *data, int block, rv_error *err);

/* Windows of text over a vocabulary of words; inputs: tokens i32 [block] and labels i32 [block] (the next
 * word of each) or, with `last`, i32 [] (the word after the window).  Training windows go by epochs. */
typedef enum rv_word_text {
    RV_WORDS_TINYSHAKESPEARE, /* lower case; runs of letters, digits and ' are words, and so is every other sign;
                               * the last tenth validates */
    RV_WORDS_PTB,             /* as the file has its words, <eos> ends every line; official splits */
    RV_WORDS_WIKITEXT2,       /* likewise */
    RV_WORDS_GRAMMAR          /* the procedural play, read as tinyshakespeare is; takes the place of a text that
                               * is not below the data folder */
} rv_word_text;
typedef struct rv_words {
    rv_word_text text;
    int block;      /* words of a window, >= 1 */
    int stride;     /* words between the starts of training windows; 0: block, every word is a label once */
    int vocabulary; /* most classes, <unk> among them; 0: all words of the training split.  Otherwise >= 2 */
    int64_t limit;  /* > 0: keep that many first words of the training split, before anything is counted */
    bool whole;     /* of a play: all of it trains, there is no validation split */
    bool last;
} rv_words;
/* Classes are in order of falling frequency in the training split (ties: the earlier word first), counts and
 * names are set.  Words outside the vocabulary are <unk>, a class only where the text has the word or
 * something falls to it; then it is ranked by its count like any other. */
RV_API rv_status rv_source_words(rv_source **out, const rv_words *words, const char *data, rv_error *err);

/* Images; inputs: pixels float [h, w, c], standardised per channel by the training set's
 * mean and deviation, label i32 [].  The last `validation` training images are the
 * validation split, the official test images the test split; limit > 0 keeps that many
 * training images.  Without data: procedurally drawn digits of that size ("glyphs").
 * augment: padding by 4, random crop, and (not for digits) horizontal flip. */
typedef enum rv_image_set { RV_IMAGES_MNIST, RV_IMAGES_FASHION, RV_IMAGES_CIFAR10, RV_IMAGES_GLYPHS } rv_image_set;
RV_API rv_status rv_source_images(rv_source **out, rv_image_set set, const char *data, int64_t limit,
                                  int64_t validation, bool augment, rv_error *err);

/* ---- the catalogue (`ravine data`) ------------------------------------ */

typedef struct rv_data_file {
    const char *path;   /* below the data folder, plain name; ".gz" beside it is accepted */
    int64_t size;       /* bytes, plain; 0: any */
    bool optional;      /* read where it is present */
} rv_data_file;
typedef struct rv_data_set {
    const char *name, *title, *licence, *upstream;
    const rv_data_file *files;
    int file_count;
} rv_data_set;
RV_API const rv_data_set *rv_data_set_at(int i); /* NULL beyond the last */
/* RV_OK: all files are there with their sizes; otherwise the error names the first that is not
 * (RV_E_IO) or is of another size (RV_E_FORMAT), and where it comes from. */
RV_API rv_status rv_data_set_check(const rv_data_set *set, const char *data, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
