/* The small classifiers of the studies: multilayer perceptrons on digits averaged to 7 x 7
 * (MNIST where there is a data folder, procedural glyphs otherwise). */
#ifndef RV_STUDIES_DIGITS_H
#define RV_STUDIES_DIGITS_H

#include "ravine/data.h"
#include "ravine/nn.h"
#include "studies/descend.h"

typedef struct rv_digits {
    int images;        /* to train on */
    int evaluate;      /* images of a split that an evaluation reads; 0: all */
    int64_t batch;
    int width, depth;  /* of the hidden layers, and their number */
    rv_activation act;
    bool bias;         /* zero at the start */
    int norm;          /* batch norm without gain and shift, eps 0, after: 0 none, 1 the hidden layers, 2 the output as well */
    bool squares;      /* mean squared error against one-hot targets instead of cross entropy; whole batches only */
    double gain;       /* deviation of a weight is gain / sqrt(fan in), 1 / sqrt(fan in) in the first layer */
    double deviation;  /* > 0: of every weight, instead */
    bool equal;        /* all weights of a layer start with the same value, 1 / fan in */
} rv_digits;

/* Tensors: "hidden0.weight", ..., "head.weight" and biases.  The backend REF gives float64. */
rv_status rv_digits_new(const rv_study_run *run, const rv_digits *spec, rv_backend backend, rv_objective **out,
                        rv_error *err);
/* The data behind them; images [count, 28, 28, 1] of the training or test split.  Caller frees. */
rv_status rv_digits_source(const rv_study_run *run, int images, rv_source **out, rv_error *err);
/* `rows` images of the training split drawn by the seed, out of its first 10,000: pixels [rows, 28, 28],
 * labels [rows]. */
rv_status rv_digits_draw(const rv_study_run *run, uint64_t seed, int rows, double *pixels, int32_t *labels, rv_error *err);
/* The label, or with probability `share` another digit: a coin for each (seed, i). */
int32_t rv_digits_mislabel(int32_t label, uint64_t seed, int i, double share);
/* The network alone, over inputs[0] = pixels [rows, 28, 28, 1]; returns the logits [rows, 10].  Every layer's
 * output is named "layer0", "layer1", ... when trace is set. */
rv_value rv_digits_build(rv_graph *graph, rv_value pixels, const rv_digits *spec, bool trace);

#endif
