/* Drawing of labels by the inverse of the distribution function, in double.  Invariant: a class whose
 * probability is 0 is never drawn. */
#include "objective/labels.h"

#include <math.h>

static double at(rv_dtype dtype, const void *x, int64_t i)
{
    return dtype == RV_F64 ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

static int32_t draw(rv_dtype dtype, const void *logits, int64_t start, int64_t classes, double uniform)
{
    double top = at(dtype, logits, start), sum = 0, below = 0;
    for (int64_t c = 1; c < classes; c++)
        top = fmax(top, at(dtype, logits, start + c));
    for (int64_t c = 0; c < classes; c++)
        sum += exp(at(dtype, logits, start + c) - top);
    int64_t last = 0;
    for (int64_t c = 0; c < classes; c++) {
        const double mass = exp(at(dtype, logits, start + c) - top);
        below += mass;
        if (mass > 0)
            last = c;
        if (uniform * sum < below)
            break;
    }
    return (int32_t)last;
}

void rv_labels_draw(rv_dtype dtype, const void *logits, int32_t *labels, int64_t rows, int64_t classes, rv_random stream,
                    uint64_t first)
{
    for (int64_t r = 0; r < rows; r++)
        if (labels[r] >= 0)
            labels[r] = draw(dtype, logits, r * classes, classes, rv_random_uniform(stream, first + (uint64_t)r));
}
