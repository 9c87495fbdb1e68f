/* Methods that keep a few numbers for each segment of a tensor: a row, a head, the whole.
 * Per segment a kernel measures, the method decides in double, a kernel moves the weights. */
#ifndef RV_OPTIM_SEGMENTS_H
#define RV_OPTIM_SEGMENTS_H

#include "optim/method.h"

enum { RV_SEGMENT_ARGS = 20 }; /* doubles, room for the arguments of a kernel */

typedef struct rv_segments {
    /* Number of segments of a tensor with elements. */
    int64_t (*count)(const rv_tensor *tensor, const void *params);
    /* First element of a segment; of number `count`: the size.  NULL: all are of one size. */
    int64_t (*start)(const rv_tensor *tensor, const void *params, int64_t segment);
    /* Arguments of `measure` for a segment; NULL: the context is them. */
    void (*before)(const rv_run *run, const void *context, int tensor, int64_t segment, void *args);
    rv_kernel measure; /* sums, and slots of the tensor's shape; NULL: the sum of squares of the gradient */
    /* From the sums over `size` elements to the arguments of `update`. */
    void (*decide)(const rv_run *run, const void *context, int tensor, int64_t segment, int64_t size,
                   const double *sums, void *args);
    rv_kernel update;
    /* The whole step of a tensor each of whose elements is a segment, with the context as arguments;
     * NULL: it is walked through like others. */
    rv_kernel single;
    unsigned like, single_like; /* bits of the slots that kernels see, of the tensor's shape; `single` sees both */
} rv_segments;

/* Every segment of every tensor, in tasks that do not depend on the number of workers. */
rv_status rv_segments_run(const rv_run *run, const rv_segments *segments, const void *context);

/* Element `index` of a slot, in double. */
static inline double rv_segment_get(const rv_run *run, int tensor, int slot, int64_t index)
{
    const void *x = rv_run_slot(run, tensor, slot);
    return run->dtype == RV_F32 ? (double)((const float *)x)[index] : ((const double *)x)[index];
}

static inline void rv_segment_put(const rv_run *run, int tensor, int slot, int64_t index, double value)
{
    void *x = rv_run_slot(run, tensor, slot);
    if (run->dtype == RV_F32)
        ((float *)x)[index] = (float)value;
    else
        ((double *)x)[index] = value;
}

#endif
