/* The optimizer step beside the machine's copy: every method on a flat vector and on the tensors of
 * a transformer, the matrix methods on its matrices.  Copy and step alternate in one run, since the
 * memory bandwidth of a shared host wanders.
 *     bench_optim [--json] [MILLIONS [GLOB]]
 * prints a line per method, layout, type of the state and number of workers, each from 0.3 s of copies and
 * steps, or LEAST of them where they take longer; bench/compare_optim.py sets PyTorch and JAX beside. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "core/arena.h"
#include "core/text.h"
#include "optim/method.h"

enum { REPEATS = 11, LEAST = 3, MATRICES = 6, SMALL = 24, BLOCKS = 25, BLOCK = 6 };
static const double budget = 0.3; /* seconds of a line */

typedef struct copy_job {
    char *to;
    const char *from;
    size_t bytes;
    int parts;
} copy_job;

/* Copies past the caches, which need not read what is written over: a third of the traffic of a plain copy. */
static void stream(char *to, const char *from, size_t bytes)
{
    size_t at = 0;
#if defined(__SSE2__)
    for (; at + 64 <= bytes && (uintptr_t)to % 16 == 0; at += 64)
        for (size_t i = at; i < at + 64; i += 16)
            _mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
    _mm_sfence();
#endif
    memcpy(to + at, from + at, bytes - at);
}

static void copy_part(void *context, int task, int worker)
{
    (void)worker;
    const copy_job *job = context;
    const size_t part = job->bytes / (size_t)job->parts / 64 * 64, at = (size_t)task * part;
    stream(job->to + at, job->from + at, task == job->parts - 1 ? job->bytes - at : part);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void die(const rv_error *err)
{
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

static void copy(rv_pool *pool, float *to, const float *from, int64_t n)
{
    copy_job job = {(char *)to, (const char *)from, (size_t)n * sizeof *to, rv_pool_workers(pool)};
    rv_pool_run(pool, job.parts, copy_part, &job);
}

static void fill(float *x, int64_t n, double scale)
{
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(scale * ((double)(state >> 8) / 8388608.0 - 1));
    }
}

/* What all lines share, [size of the largest layout] each; weights are the initial ones at the start of a line. */
typedef struct flat_arrays {
    float *w, *g, *spare, *initial;
} flat_arrays;

typedef struct setting {
    const char *name; /* of the layout */
    const rv_layout *layout;
    flat_arrays x;
    rv_pool *pool;
    bool json;
    rv_dtype state;
} setting;

typedef struct timing {
    double step, copy, share; /* best seconds; median share of the copy's bandwidth */
    double moved;             /* least traffic in bytes: weights and slots in and out, the gradient in */
} timing;

/* Seconds of copies and steps in turn. */
static timing alternate(rv_optimizer *optimizer, const setting *s)
{
    const double bytes = (double)s->layout->size * sizeof(float);
    double copies[REPEATS], steps[REPEATS], shares[REPEATS];
    rv_error err;
    timing t = {.moved = (double)s->layout->size * 12 + 2 * (double)rv_optimizer_bytes(optimizer)};
    int count = 0;
    double begin = 0;
    for (int i = -1; i < REPEATS && (count < LEAST || rv_clock() - begin < budget); i++) {
        const double start = rv_clock();
        copy(s->pool, s->x.spare, s->x.w, s->layout->size);
        const double middle = rv_clock();
        if (rv_optimizer_step_flat(optimizer, s->x.w, s->x.g, &err) != RV_OK)
            die(&err);
        const double end = rv_clock();
        if (i < 0) { /* touches the state for the first time */
            begin = end;
            continue;
        }
        copies[i] = middle - start;
        steps[i] = end - middle;
        shares[i] = t.moved / steps[i] / (2 * bytes / copies[i]);
        count = i + 1;
    }
    qsort(copies, (size_t)count, sizeof *copies, ascending);
    qsort(steps, (size_t)count, sizeof *steps, ascending);
    qsort(shares, (size_t)count, sizeof *shares, ascending);
    t.step = steps[0];
    t.copy = copies[0];
    t.share = shares[count / 2];
    return t;
}

static bool has_bf16(rv_optimizer *optimizer)
{
    static rv_array arrays[BLOCKS * BLOCK * RV_MAX_SLOTS + RV_MAX_SCALARS + 1];
    const int count = rv_optimizer_state(optimizer, arrays, (int)(sizeof arrays / sizeof arrays[0]));
    bool any = false;
    for (int i = 0; i < count; i++)
        any |= arrays[i].dtype == RV_BF16;
    return any;
}

/* One method on one layout with some workers: a line of the table. */
static void measure(const rv_method_info *info, const char *params, const setting *s)
{
    const double bytes = (double)s->layout->size * sizeof(float);
    rv_error err;
    rv_optimizer *optimizer;
    copy(s->pool, s->x.w, s->x.initial, s->layout->size);
    const rv_optimizer_options options = {.method = info->name, .params = params, .pool = s->pool, .state_dtype = s->state};
    if (rv_optimizer_new_flat(&optimizer, &options, s->layout, s->x.w, &err) != RV_OK)
        die(&err);
    if (s->state == RV_BF16 && !has_bf16(optimizer)) {
        rv_optimizer_free(optimizer); /* nothing of its state can be bf16 */
        return;
    }
    const timing t = alternate(optimizer, s);
    const double millions = (double)s->layout->size / 1e6, copied = 2 * bytes / t.copy / 1e9;
    const int workers = rv_pool_workers(s->pool);
    if (s->json)
        printf("{\"method\": \"%s\", \"params\": \"%s\", \"layout\": \"%s\", \"state\": \"%s\", \"millions\": %.3f, \"threads\": %d, "
               "\"ms\": %.4f, \"gbs\": %.2f, \"copy_gbs\": %.2f, \"share\": %.3f}\n",
               info->name, params, s->name, rv_dtype_name(s->state), millions, workers, t.step * 1e3, t.moved / t.step / 1e9, copied, t.share);
    else
        printf("%-20s %-8s %-4s %7.1f M  %d  %8.2f ms  %6.1f GB/s  copy %6.1f GB/s  share %3.0f %%  %s\n", info->name, s->name,
               rv_dtype_name(s->state), millions, workers, t.step * 1e3, t.moved / t.step / 1e9, copied, 100 * t.share, params);
    fflush(stdout);
    rv_optimizer_free(optimizer);
}

static void add(rv_layout *layout, rv_role role, rv_shape shape)
{
    rv_tensor *tensor = &layout->tensors[layout->count];
    *tensor = (rv_tensor){.role = role, .shape = shape, .offset = layout->size};
    snprintf(tensor->name, sizeof tensor->name, "tensor%d", layout->count++);
    layout->size += rv_shape_size(&shape);
}

/* 25 blocks of a transformer, six tensors each: three matrices and three vectors. */
static void mixed_layout(rv_layout *layout, double millions)
{
    const int64_t width = (int64_t)fmax(1, sqrt(millions * 1e6 / (BLOCKS * 9)));
    for (int i = 0; i < BLOCKS; i++) {
        add(layout, RV_ROLE_NORM, RV_SHAPE(width));
        add(layout, RV_ROLE_HIDDEN, RV_SHAPE(width, width));
        add(layout, RV_ROLE_HIDDEN, RV_SHAPE(4 * width, width));
        add(layout, RV_ROLE_BIAS, RV_SHAPE(4 * width));
        add(layout, RV_ROLE_HIDDEN, RV_SHAPE(width, 4 * width));
        add(layout, RV_ROLE_BIAS, RV_SHAPE(width));
    }
}

/* [768, 768], [3072, 768], [768, 3072] in turn. */
static void matrix_layout(rv_layout *layout)
{
    for (int i = 0; i < MATRICES; i++)
        add(layout, RV_ROLE_HIDDEN, RV_SHAPE(i % 3 == 1 ? 3072 : 768, i % 3 == 2 ? 3072 : 768));
}

/* Those of six blocks of width 128: queries, keys and values, projection, up and down. */
static void small_layout(rv_layout *layout)
{
    static const int64_t shapes[][2] = {{384, 128}, {128, 128}, {512, 128}, {128, 512}};
    for (int i = 0; i < SMALL; i++)
        add(layout, RV_ROLE_HIDDEN, RV_SHAPE(shapes[i % 4][0], shapes[i % 4][1]));
}

/* All layouts that make sense for a method (two of matrices), and its momentum where that is an option. */
static void measure_method(int number, const rv_layout *flat, const rv_layout *mixed, const rv_layout *matrices, setting s)
{
    const rv_method_info *info = rv_method_at(number);
    if (rv_method_number(number)->workspace) {
        for (int k = 0; k < 2; k++) {
            s.name = k == 0 ? "matrices" : "small";
            s.layout = &matrices[k];
            measure(info, rv_params_find(info->params, "precondition_frequency") ? "precondition_frequency=1000000" : "", &s);
        }
        return;
    }
    const rv_param *momentum = rv_params_find(info->params, "momentum");
    for (int k = 0; k < 4; k++) {
        s.name = k < 2 ? "flat" : "mixed";
        s.layout = k < 2 ? flat : mixed;
        s.state = k % 2 == 0 ? RV_F32 : RV_BF16;
        measure(info, "", &s);
        if (momentum && strcmp(momentum->initial, "0") == 0)
            measure(info, "momentum=0.9", &s);
    }
}

/* Room for the largest of three layouts, filled. */
static flat_arrays arrays_for(const rv_layout *const *layouts, rv_arena *arena)
{
    int64_t size = 0;
    rv_error err;
    for (int i = 0; i < 3; i++)
        size = layouts[i]->size > size ? layouts[i]->size : size;
    if (rv_arena_init(arena, 4 * rv_arena_align((size_t)size * sizeof(float)), &err) != RV_OK)
        die(&err);
    const int64_t stride = (int64_t)(rv_arena_align((size_t)size * sizeof(float)) / sizeof(float));
    float *at = arena->base;
    const flat_arrays x = {at, at + stride, at + 2 * stride, at + 3 * stride};
    fill(x.initial, size, 1);
    fill(x.g, size, 1e-2);
    return x;
}

int main(int argc, char **argv)
{
    const bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    argc -= json;
    argv += json;
    const double millions = argc > 1 ? atof(argv[1]) : 100;
    const char *glob = argc > 2 ? argv[2] : "*";
    static rv_tensor one[1], many[BLOCKS * BLOCK], large[MATRICES], small[SMALL];
    rv_layout flat = {.tensors = one}, mixed = {.tensors = many}, matrices[] = {{.tensors = large}, {.tensors = small}};
    add(&flat, RV_ROLE_BIAS, RV_SHAPE((int64_t)(millions * 1e6)));
    mixed_layout(&mixed, millions);
    matrix_layout(&matrices[0]);
    small_layout(&matrices[1]);
    rv_arena arena;
    const flat_arrays x = arrays_for((const rv_layout *[]){&flat, &mixed, &matrices[0]}, &arena);
    for (int workers = 1; workers <= 2; workers++) {
        setting s = {.x = x, .json = json};
        rv_error err;
        if (rv_pool_new(&s.pool, workers, &err) != RV_OK)
            die(&err);
        for (int i = 0; rv_method_at(i); i++)
            if (rv_text_match(glob, rv_method_at(i)->name))
                measure_method(i, &flat, &mixed, matrices, s);
        rv_pool_free(s.pool);
    }
    rv_arena_release(&arena);
    return 0;
}
