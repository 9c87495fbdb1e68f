/* Clipping by the global norm.  Invariant: the sum of squares is added in a tree that
 * depends on the size of the vector alone. */
#include <math.h>

#include "optim/method.h"

enum { CHUNKS = 1024, CHUNK = 16384, LANES = RV_SUM_LANES };

typedef struct clip_job {
    void *g;
    rv_dtype dtype;
    int64_t size, chunk; /* elements in all and of one chunk */
    double scale;
    double sums[CHUNKS];
} clip_job;

static double squares(const clip_job *job, int64_t start, int64_t end)
{
    double lane[LANES] = {0};
    const float *f = job->g;
    const double *d = job->g;
    int64_t i = start;
    for (; i + LANES <= end; i += LANES)
        for (int j = 0; j < LANES; j++) {
            const double x = job->dtype == RV_F32 ? (double)f[i + j] : d[i + j];
            lane[j] += x * x;
        }
    for (int j = 0; i + j < end; j++) {
        const double x = job->dtype == RV_F32 ? (double)f[i + j] : d[i + j];
        lane[j] += x * x;
    }
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

static void chunk_bounds(const clip_job *job, int task, int64_t *start, int64_t *end)
{
    *start = task * job->chunk;
    *end = *start + job->chunk < job->size ? *start + job->chunk : job->size;
}

static void sum_task(void *context, int task, int worker)
{
    (void)worker;
    clip_job *job = context;
    int64_t start, end;
    chunk_bounds(job, task, &start, &end);
    job->sums[task] = squares(job, start, end);
}

static void scale_task(void *context, int task, int worker)
{
    (void)worker;
    const clip_job *job = context;
    int64_t start, end;
    chunk_bounds(job, task, &start, &end);
    if (job->dtype == RV_F32) {
        float *g = job->g;
        for (int64_t i = start; i < end; i++)
            g[i] *= (float)job->scale;
    } else {
        double *g = job->g;
        for (int64_t i = start; i < end; i++)
            g[i] *= job->scale;
    }
}

/* The gaps of a layout are zero and add nothing, so the vector is taken as a whole. */
double rv_clip_global_norm(void *g, const rv_layout *layout, rv_dtype dtype, double max_norm, rv_pool *pool)
{
    clip_job job = {.g = g, .dtype = dtype, .size = layout->size, .chunk = CHUNK};
    while (job.chunk * CHUNKS < job.size)
        job.chunk *= 2;
    const int chunks = (int)((job.size + job.chunk - 1) / job.chunk);
    rv_pool_run_near(pool, chunks, sum_task, &job);
    for (int step = 1; step < chunks; step *= 2)
        for (int i = 0; i + step < chunks; i += 2 * step)
            job.sums[i] += job.sums[i + step];
    const double norm = chunks > 0 ? sqrt(job.sums[0]) : 0;
    job.scale = max_norm / (norm + 1e-6);
    if (isfinite(norm) && job.scale < 1)
        rv_pool_run_near(pool, chunks, scale_task, &job);
    return norm;
}
