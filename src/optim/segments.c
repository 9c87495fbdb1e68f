/* The walk over segments.  Invariant: chunks follow from the tensors alone.  A task owns whole
 * segments, whose sums are its own, or a part of a long one, whose sums are added in a fixed tree; it
 * changes no weight where a tile of its range has a gradient that is not finite. */
#ifndef RV_REAL

#include "optim/optimizer.h"

typedef struct segment_none {
    int unused;
} segment_none;

#define RV_KERNEL_FILE "optim/segments.c"
#include "optim/kernel.h"

/* Elements: of a task of whole segments, and of a part of a segment at least that long. */
enum { TASK = 16384, PART = 8192 };

typedef struct segment_job {
    const rv_segments *segments;
    const void *context;
    int first; /* chunk of task 0 */
} segment_job;

static int64_t start_of(const rv_tensor *tensor, const void *params, const rv_segments *s, int64_t segment, int64_t count)
{
    return s->start ? s->start(tensor, params, segment) : rv_shape_size(&tensor->shape) / count * segment;
}

/* ---- chunks ------------------------------------------------------------------ */

/* Where chunks are written to, or counted. */
typedef struct cutter {
    rv_chunk *chunks; /* NULL: counted */
    int count;
} cutter;

static void cut(cutter *c, rv_chunk chunk)
{
    if (chunk.size > 0 && c->chunks)
        c->chunks[c->count] = chunk;
    c->count += chunk.size > 0;
}

/* Long segments in parts of about PART elements. */
static void cut_long(cutter *c, int tensor, int64_t segment, int64_t start, int64_t size)
{
    const int parts = (int)(size / PART);
    for (int k = 0; k < parts; k++)
        cut(c, (rv_chunk){.tensor = tensor,
                          .part = k,
                          .parts = parts,
                          .first = segment,
                          .count = 1,
                          .start = start + (int64_t)k * PART,
                          .size = k < parts - 1 ? PART : size - (int64_t)k * PART});
}

static bool is_single(const rv_segments *s, int64_t count, int64_t size)
{
    return s->single.f32 && count == size;
}

/* The chunks of a tensor that are of whole segments, or those that are not. */
static void cut_tensor(cutter *c, const rv_group *group, int number, bool whole)
{
    const rv_tensor *tensor = &group->tensors[number];
    const rv_segments *s = group->method->segments(group->params);
    const int64_t size = rv_shape_size(&tensor->shape), count = size > 0 ? s->count(tensor, group->params) : 0;
    rv_chunk chunk = {.tensor = number};
    if (is_single(s, count, size)) {
        for (int64_t at = 0; at < size && whole; at += TASK)
            cut(c, (rv_chunk){.tensor = number, .start = at, .size = size - at < TASK ? size - at : TASK});
        return;
    }
    for (int64_t i = 0, start = 0, next; i < count; i++, start = next) {
        next = start_of(tensor, group->params, s, i + 1, count);
        const bool is_long = next - start >= 2 * PART;
        if (is_long && !whole)
            cut_long(c, number, i, start, next - start);
        if (whole && (is_long || chunk.size >= TASK)) {
            cut(c, chunk);
            chunk.size = 0;
        }
        if (is_long)
            continue;
        if (chunk.size == 0)
            chunk = (rv_chunk){.tensor = number, .first = i, .start = start};
        chunk.count = i + 1 - chunk.first;
        chunk.size = next - chunk.start;
    }
    if (whole)
        cut(c, chunk);
}

int rv_segments_cut(const rv_group *group, rv_chunk *chunks, int *whole)
{
    cutter c = {chunks, 0};
    for (int i = 0; i < group->count; i++)
        cut_tensor(&c, group, i, true);
    *whole = c.count;
    for (int i = 0; i < group->count; i++)
        cut_tensor(&c, group, i, false);
    return c.count;
}

static int tensor_of(const rv_run *run, const void *context, int number)
{
    return run->group->chunks[((const segment_job *)context)->first + number].tensor;
}

/* ---- a task ------------------------------------------------------------------- */

/* Elements of a tensor with the slots whose bits are in `seen`. */
static rv_block block_of(const rv_run *run, unsigned seen, int tensor, int64_t start, int64_t size, const void *args)
{
    const size_t skip = (size_t)start * rv_dtype_size(run->dtype);
    rv_block block = {.w = (char *)run->w[tensor] + skip,
                      .g = (const char *)run->g[tensor] + skip,
                      .size = size,
                      .tensor = tensor,
                      .start = start,
                      .args = args};
    for (int k = 0; k < run->group->method->slot_count; k++)
        if (seen >> k & 1) {
            char *slot = rv_run_slot(run, tensor, k);
            block.slot[k] = slot ? slot + skip : NULL;
        }
    return block;
}

static rv_fault run_kernel(const rv_run *run, rv_kernel kernel, const rv_block *block)
{
    return (run->dtype == RV_F32 ? kernel.f32 : kernel.f64)(block);
}

/* Sums [RV_MAX_SUMS] over elements of a segment. */
static rv_fault measure(const rv_run *run, const segment_job *job, int64_t segment, rv_block *block, double *sums)
{
    const rv_segments *s = job->segments;
    double args[RV_SEGMENT_ARGS];
    if (s->before) {
        s->before(run, job->context, block->tensor, segment, args);
        block->args = args;
    }
    block->sums = sums;
    const rv_fault fault = run_kernel(run, s->measure.f32 ? s->measure : RV_KERNEL_OF(segment_squares), block);
    block->sums = NULL;
    return fault;
}

static void decide(const rv_run *run, const segment_job *job, int tensor, int64_t segment, int64_t size,
                   const double *sums, double *args)
{
    const rv_segments *s = job->segments;
    if (s->before)
        s->before(run, job->context, tensor, segment, args);
    s->decide(run, job->context, tensor, segment, size, sums, args);
}

static rv_fault run_segment(const rv_run *run, const segment_job *job, int tensor, int64_t segment, int64_t start,
                            int64_t size)
{
    double sums[RV_MAX_SUMS], args[RV_SEGMENT_ARGS];
    rv_block block = block_of(run, job->segments->like, tensor, start, size, job->context);
    const rv_fault fault = measure(run, job, segment, &block, sums);
    if (fault != RV_FAULT_NONE)
        return fault;
    decide(run, job, tensor, segment, size, sums, args);
    block.args = args;
    return run_kernel(run, job->segments->update, &block);
}

/* Looks at the gradients of whole tiles around the elements from start to end. */
static rv_fault check_gradients(const rv_run *run, int tensor, int64_t start, int64_t end)
{
    const int64_t tile = 512 / (int64_t)rv_dtype_size(run->dtype), size = rv_shape_size(&run->tensors[tensor].shape);
    const int64_t from = start / tile * tile, to = (end + tile - 1) / tile * tile;
    const segment_none none = {0};
    const rv_block block = block_of(run, 0, tensor, from, (to < size ? to : size) - from, &none);
    return run_kernel(run, RV_KERNEL_OF(segment_check), &block);
}

static rv_fault run_whole(const rv_run *run, const segment_job *job, const rv_chunk *chunk)
{
    const rv_segments *s = job->segments;
    const rv_tensor *tensor = &run->tensors[chunk->tensor];
    const int64_t count = s->count(tensor, run->params), last = chunk->first + chunk->count;
    if (is_single(s, count, rv_shape_size(&tensor->shape))) {
        const rv_block block = block_of(run, s->like | s->single_like, chunk->tensor, chunk->start, chunk->size, job->context);
        return run_kernel(run, s->single, &block);
    }
    rv_fault fault = check_gradients(run, chunk->tensor, chunk->start, chunk->start + chunk->size);
    for (int64_t i = chunk->first, start = chunk->start, next; i < last && fault == RV_FAULT_NONE; i++, start = next) {
        next = start_of(tensor, run->params, s, i + 1, count);
        fault = run_segment(run, job, chunk->tensor, i, start, next - start);
    }
    return fault;
}

/* Whole segments, or the sums of a part of one. */
static rv_fault first_task(const rv_run *run, const void *context, int number, int worker)
{
    (void)worker;
    const rv_group *group = run->group;
    const segment_job *job = context;
    const rv_chunk *chunk = &group->chunks[number];
    if (number < group->whole_chunks)
        return run_whole(run, job, chunk);
    rv_block block = block_of(run, job->segments->like, chunk->tensor, chunk->start, chunk->size, job->context);
    return measure(run, job, chunk->first, &block, group->partial[number]);
}

/* The update of a part of a segment. */
static rv_fault second_task(const rv_run *run, const void *context, int number, int worker)
{
    (void)worker;
    const segment_job *job = context;
    const rv_chunk *chunk = &run->group->chunks[job->first + number];
    const rv_block block = block_of(run, job->segments->like, chunk->tensor, chunk->start, chunk->size,
                                    run->group->decided[job->first + number - chunk->part]);
    return run_kernel(run, job->segments->update, &block);
}

rv_status rv_segments_run(const rv_run *run, const rv_segments *segments, const void *context)
{
    rv_group *group = run->group;
    segment_job job = {segments, context, 0};
    RV_TRY(rv_run_each(run, group->chunk_count, first_task, tensor_of, &job));
    for (int i = group->whole_chunks, parts; i < group->chunk_count; i += parts) {
        const rv_chunk *chunk = &group->chunks[i], *end = &chunk[(parts = chunk->parts) - 1];
        rv_sums_add(group->partial + i, parts);
        decide(run, &job, chunk->tensor, chunk->first, end->start + end->size - chunk->start, group->partial[i],
               group->decided[i]);
    }
    job.first = group->whole_chunks;
    return rv_run_each(run, group->chunk_count - job.first, second_task, tensor_of, &job);
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

RV_TILE_FUNCTION(segment_squares, segment_none)
{
    (void)a;
    RV_FN(rv_dot)(t->g, t->g, t->n, t->sum[0]);
}
#define RV_KERNEL segment_squares
#define RV_KERNEL_ARGS segment_none
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

#endif
