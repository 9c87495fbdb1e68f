/* The optimizer step beside the machine's copy: every method on a flat vector, the matrix
 * methods also on the matrices of a transformer.  Copy and step alternate in one run, since the
 * memory bandwidth of a shared host wanders.  Usage: bench_optim [MILLIONS [GLOB]] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/text.h"
#include "optim/method.h"

enum { REPEATS = 11, MATRICES = 24 };

typedef struct copy_job {
    char *to;
    const char *from;
    size_t bytes;
    int parts;
} copy_job;

static void copy_part(void *context, int task, int worker)
{
    (void)worker;
    const copy_job *job = context;
    const size_t part = job->bytes / (size_t)job->parts / 64 * 64, at = (size_t)task * part;
    memcpy(job->to + at, job->from + at, task == job->parts - 1 ? job->bytes - at : part);
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

static void fill(float *x, int64_t n, double scale)
{
    uint32_t state = 1;
    for (int64_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(scale * ((double)(state >> 8) / 8388608.0 - 1));
    }
}

/* One method on one layout with some workers: a line of the table. */
static void measure(const rv_method_info *info, const char *params, const rv_layout *layout, rv_pool *pool, bool flat)
{
    const size_t bytes = (size_t)layout->size * sizeof(float);
    rv_arena arena;
    rv_error err;
    if (rv_arena_init(&arena, 3 * rv_arena_align(bytes), &err) != RV_OK)
        die(&err);
    float *w = arena.base, *g = w + layout->size, *spare = g + layout->size;
    fill(w, layout->size, 1);
    fill(g, layout->size, 1e-2);
    rv_optimizer *optimizer;
    const rv_optimizer_options options = {.method = info->name, .params = params, .pool = pool};
    if (rv_optimizer_new_flat(&optimizer, &options, layout, w, &err) != RV_OK)
        die(&err);
    const int workers = rv_pool_workers(pool);
    copy_job job = {(char *)spare, (const char *)w, bytes, workers};
    double copies[REPEATS], steps[REPEATS], shares[REPEATS];
    /* Least traffic: weights and slots in and out, the gradient in. */
    const double moved = (double)layout->size * 12 + 2 * (double)rv_optimizer_bytes(optimizer);
    for (int i = -2; i < REPEATS; i++) {
        const double start = rv_clock();
        rv_pool_run(pool, workers, copy_part, &job);
        const double middle = rv_clock();
        if (rv_optimizer_step_flat(optimizer, w, g, &err) != RV_OK)
            die(&err);
        const double end = rv_clock();
        if (i < 0)
            continue;
        copies[i] = middle - start;
        steps[i] = end - middle;
        shares[i] = moved / steps[i] / (2 * (double)bytes / copies[i]);
    }
    qsort(copies, REPEATS, sizeof *copies, ascending);
    qsort(steps, REPEATS, sizeof *steps, ascending);
    qsort(shares, REPEATS, sizeof *shares, ascending);
    printf("%-20s %7.1f M  %d  %8.2f ms", info->name, (double)layout->size / 1e6, workers, steps[0] * 1e3);
    if (flat)
        printf("  %6.1f GB/s  copy %6.1f GB/s  share %3.0f %%", moved / steps[0] / 1e9,
               2 * (double)bytes / copies[0] / 1e9, 100 * shares[REPEATS / 2]);
    printf("  %s\n", params);
    fflush(stdout);
    rv_optimizer_free(optimizer);
    rv_arena_release(&arena);
}

/* [768, 768], [3072, 768], [768, 3072] in turn. */
static void matrices(rv_layout *layout, rv_tensor *tensors)
{
    *layout = (rv_layout){.count = MATRICES, .tensors = tensors};
    for (int i = 0; i < MATRICES; i++) {
        tensors[i] = (rv_tensor){.role = RV_ROLE_HIDDEN, .offset = layout->size};
        tensors[i].shape = RV_SHAPE(i % 3 == 1 ? 3072 : 768, i % 3 == 2 ? 3072 : 768);
        snprintf(tensors[i].name, sizeof tensors[i].name, "matrix%d", i);
        layout->size += rv_shape_size(&tensors[i].shape);
    }
}

int main(int argc, char **argv)
{
    const double millions = argc > 1 ? atof(argv[1]) : 100;
    const char *glob = argc > 2 ? argv[2] : "*";
    rv_tensor vector = {.name = "flat", .role = RV_ROLE_BIAS, .shape = RV_SHAPE((int64_t)(millions * 1e6))};
    rv_layout flat = {1, &vector, vector.shape.dim[0]}, mixed;
    rv_tensor tensors[MATRICES];
    matrices(&mixed, tensors);
    printf("%-20s %9s  %s  %11s\n", "method", "size", "workers", "best");
    for (int workers = 1; workers <= 2; workers++) {
        rv_pool *pool;
        rv_error err;
        if (rv_pool_new(&pool, workers, &err) != RV_OK)
            die(&err);
        for (int i = 0; rv_method_at(i); i++) {
            const rv_method_info *info = rv_method_at(i);
            if (!rv_text_match(glob, info->name))
                continue;
            const bool matrix = rv_method_number(i)->workspace != NULL;
            const bool stale = rv_params_find(info->params, "precondition_frequency") != NULL;
            measure(info, stale ? "precondition_frequency=1000000" : "", matrix ? &mixed : &flat, pool, !matrix);
            if (rv_params_find(info->params, "momentum") && !matrix)
                measure(info, "momentum=0.9", &flat, pool, true);
        }
        rv_pool_free(pool);
    }
    return 0;
}
