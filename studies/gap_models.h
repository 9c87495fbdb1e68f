/* The two networks between which the gap of Adam to SGD opens, after Kunstner et al. 2023, over data that
 * several objectives share. */
#ifndef RV_STUDIES_GAP_MODELS_H
#define RV_STUDIES_GAP_MODELS_H

#include "ravine/data.h"
#include "ravine/graph.h"

/* LeNet-5 with tanh and average pooling on 28 x 28 pixels: 61,706 parameters, torch's initial weights. */
void rv_gap_lenet(rv_graph *graph, const rv_value *inputs, const void *unused);

typedef struct rv_gap_language {
    int classes, block;
    int64_t width;
} rv_gap_language;
/* PyTorch's tutorial on language models: embedding, two post-norm encoder layers with two heads and as many
 * hidden units as the width, a head of its own.  Learned positions instead of sinusoids, no dropout. */
void rv_gap_language_model(rv_graph *graph, const rv_value *inputs, const void *language);

#endif
