/* The walk over segments.  Invariant: a task owns whole segments, so its sums are its own; it
 * changes nothing where a tile of its range has a gradient that is not finite. */
#ifndef RV_REAL

#include "optim/segments.h"

typedef struct segment_none {
    int unused;
} segment_none;

#define RV_KERNEL_FILE "optim/segments.c"
#include "optim/kernel.h"

enum { TASK = 16384 }; /* elements of a task, if segments are smaller */

typedef struct segment_job {
    const rv_segments *segments;
    const void *context;
} segment_job;

/* Segments of one task. */
static int64_t per_task(int64_t count, int64_t size)
{
    const int64_t mean = size / count;
    return mean >= TASK || mean == 0 ? 1 : TASK / mean;
}

int rv_segments_tasks(const rv_segments *segments, const rv_tensor *tensor, const void *params)
{
    const int64_t size = rv_shape_size(&tensor->shape);
    if (size == 0)
        return 0;
    const int64_t count = segments->count(tensor, params), each = per_task(count, size);
    return (int)((count + each - 1) / each);
}

/* The tensor of a task; *number becomes the task's place in it. */
static int locate(const rv_run *run, const rv_segments *segments, int *number)
{
    int tensor = 0;
    for (int n; *number >= (n = rv_segments_tasks(segments, &run->tensors[tensor], run->params)); *number -= n)
        tensor++;
    return tensor;
}

static int tensor_of(const rv_run *run, const void *context, int number)
{
    return locate(run, ((const segment_job *)context)->segments, &number);
}

static int64_t start_of(const rv_run *run, const rv_segments *s, int tensor, int64_t segment, int64_t count)
{
    if (s->start)
        return s->start(&run->tensors[tensor], run->params, segment);
    return rv_shape_size(&run->tensors[tensor].shape) / count * segment;
}

static rv_fault run_segment(const rv_run *run, const segment_job *job, int tensor, int64_t segment, int64_t start,
                            int64_t size)
{
    const rv_segments *s = job->segments;
    const size_t skip = (size_t)start * rv_dtype_size(run->dtype);
    double sums[RV_MAX_SUMS], args[RV_SEGMENT_ARGS];
    rv_block block = {.w = (char *)run->w[tensor] + skip,
                      .g = (const char *)run->g[tensor] + skip,
                      .size = size,
                      .tensor = tensor,
                      .args = job->context,
                      .sums = sums};
    for (int k = 0; k < RV_MAX_SLOTS; k++)
        if (s->like & 1u << k) {
            char *slot = rv_run_slot(run, tensor, k);
            block.slot[k] = slot ? slot + skip : NULL;
        }
    if (s->before) {
        s->before(run, job->context, tensor, segment, args);
        block.args = args;
    }
    const rv_fault fault = (run->dtype == RV_F32 ? s->measure.f32 : s->measure.f64)(&block);
    if (fault != RV_FAULT_NONE)
        return fault;
    s->decide(run, job->context, tensor, segment, size, sums, args);
    block.args = args;
    block.sums = NULL;
    return (run->dtype == RV_F32 ? s->update.f32 : s->update.f64)(&block);
}

/* Looks at the gradients of whole tiles around the elements from start to end. */
static rv_fault check_gradients(const rv_run *run, int tensor, int64_t start, int64_t end)
{
    const int64_t tile = 512 / (int64_t)rv_dtype_size(run->dtype), size = rv_shape_size(&run->tensors[tensor].shape);
    const int64_t from = start / tile * tile, to = (end + tile - 1) / tile * tile;
    const segment_none none = {0};
    const size_t skip = (size_t)from * rv_dtype_size(run->dtype);
    const rv_block block = {.w = (char *)run->w[tensor] + skip,
                            .g = (const char *)run->g[tensor] + skip,
                            .size = (to < size ? to : size) - from,
                            .tensor = tensor,
                            .args = &none};
    return (run->dtype == RV_F32 ? segment_check_loop_f32 : segment_check_loop_f64)(&block);
}

static rv_fault task(const rv_run *run, const void *context, int number, int worker)
{
    (void)worker;
    const segment_job *job = context;
    const rv_segments *s = job->segments;
    const int tensor = locate(run, s, &number);
    const rv_tensor *t = &run->tensors[tensor];
    const int64_t count = s->count(t, run->params), each = per_task(count, rv_shape_size(&t->shape));
    const int64_t first = number * each, last = first + each < count ? first + each : count;
    rv_fault fault = check_gradients(run, tensor, start_of(run, s, tensor, first, count),
                                     start_of(run, s, tensor, last, count));
    for (int64_t i = first; i < last && fault == RV_FAULT_NONE; i++) {
        const int64_t start = start_of(run, s, tensor, i, count);
        fault = run_segment(run, job, tensor, i, start, start_of(run, s, tensor, i + 1, count) - start);
    }
    return fault;
}

rv_status rv_segments_run(const rv_run *run, const rv_segments *segments, const void *context)
{
    const segment_job job = {segments, context};
    int tasks = 0;
    for (int i = 0; i < run->count; i++)
        tasks += rv_segments_tasks(segments, &run->tensors[i], run->params);
    return rv_run_each(run, tasks, task, tensor_of, &job);
}

#else

RV_TILE_FUNCTION(segment_check, segment_none)
{
    (void)t;
    (void)a;
}
#define RV_KERNEL segment_check
#define RV_KERNEL_ARGS segment_none
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

#endif
