/* The problems of the study class-imbalance, and its theory. */
#ifndef RV_STUDIES_IMBALANCE_H
#define RV_STUDIES_IMBALANCE_H

#include "studies/grouped.h"

/* ---- the hierarchy of Kunstner et al. 2024: level i has 2^i classes of 2^(size - i) examples each */

int rv_hierarchy_classes(int size);            /* 2^size - 1 */
int rv_hierarchy_level(int k);                 /* of class k, most frequent first */
double rv_hierarchy_share(int size, int k);    /* of the examples that have label k */

typedef struct rv_linear_spec {
    int size;
    bool equal; /* 2^size classes of `size` examples each instead: as many examples, no imbalance */
} rv_linear_spec;
/* Softmax regression on random labels: n = size 2^size rows of (size + 1) 2^size features, uniform in
 * [0, 1]; full batch, torch's start of a linear layer; a group is a level.  context: rv_linear_spec. */
rv_status rv_imbalance_linear(const rv_study_run *run, const void *context, uint64_t seed, rv_grouped *problem, rv_error *err);

typedef struct rv_barcode_spec {
    int bits;     /* of a bar code */
    int each;     /* images of a class with a bar code */
    bool coded;   /* false: the ten digits alone */
} rv_barcode_spec;
/* As many plain digits as digits with a bar code in the corner, each (digit, code) its own class; two
 * groups, digits and codes; a small convolutional network, full batch. */
rv_status rv_imbalance_barcodes(const rv_study_run *run, const void *context, uint64_t seed, rv_grouped *problem, rv_error *err);

typedef struct rv_words_spec {
    int vocabulary;      /* most words; 0: all */
    int64_t limit;       /* words of text to read; 0: all */
    int classes;         /* as rv_imbalance_zipf found them */
    int width;           /* of the embedding */
    int64_t batch, sample;
} rv_words_spec;
/* The next word from the two before it, on the Penn Treebank (or procedural text); groups of words
 * with a tenth of the text each. */
rv_status rv_imbalance_words(const rv_study_run *run, const void *context, uint64_t seed, rv_grouped *problem, rv_error *err);
/* Measures and draws Zipf's law on the whole text; classes <- the words of what spec reads of it. */
rv_status rv_imbalance_zipf(rv_study_run *run, const rv_words_spec *spec, int *classes, rv_error *err);

/* ---- theory ------------------------------------------------------------------------------- */

/* Gradient descent, sign descent and Adam where everything has a closed form: measures, draws. */
rv_status rv_imbalance_theory(rv_study_run *run, int steps, rv_error *err);

#endif
