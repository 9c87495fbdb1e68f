/* Labels drawn from a model's own output, for the Gauss-Newton estimates of Sophia-G and K-FAC. */
#ifndef RV_OBJECTIVE_LABELS_H
#define RV_OBJECTIVE_LABELS_H

#include "ravine/tensor.h"

/* Puts classes drawn from softmax(logits [rows, classes]) into labels [rows]; a label below 0 stands
 * for no example and stays.  Row r takes number first + r of the stream: what is drawn depends on the
 * row's place in the batch, not on the thread. */
void rv_labels_draw(rv_dtype dtype, const void *logits, int32_t *labels, int64_t rows, int64_t classes, rv_random stream,
                    uint64_t first);

#endif
