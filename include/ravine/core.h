/* Status codes, errors, the worker pool and counter-based random numbers.
 *
 * Everything here is free of global state and safe to use from several threads
 * on different objects.  Errors are values: a fallible function returns an
 * rv_status and, when the caller passes an rv_error, fills it with one message
 * that names the file, offset, option or tensor, what was expected and what
 * was found. */
#ifndef RAVINE_CORE_H
#define RAVINE_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define RV_API
#else
#define RV_API __attribute__((visibility("default")))
#endif
#if defined(__GNUC__)
#define RV_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define RV_PRINTF(fmt, args)
#endif

/* ---- status ---------------------------------------------------------- */

/* X(code, name, meaning): the one list behind the enum, the names and the docs. */
#define RV_STATUS_MAP(X)                                                      \
    X(RV_OK, "ok", "done")                                                    \
    X(RV_E_ARGUMENT, "argument", "an argument or option is not of its form")  \
    X(RV_E_RANGE, "range", "a value lies outside its bounds")                 \
    X(RV_E_UNKNOWN, "unknown", "no such name")                                \
    X(RV_E_SHAPE, "shape", "shapes do not fit each other")                    \
    X(RV_E_IO, "io", "the system refused an input or output operation")       \
    X(RV_E_FORMAT, "format", "a file is not of its format")                   \
    X(RV_E_MISMATCH, "mismatch", "a saved state belongs to something else")   \
    X(RV_E_MEMORY, "memory", "not enough memory")                             \
    X(RV_E_NUMERIC, "numeric", "a value that must be finite is not")          \
    X(RV_E_UNSUPPORTED, "unsupported", "this build or backend cannot do it")  \
    X(RV_E_INTERRUPTED, "interrupted", "stopped on request")                  \
    X(RV_E_BUSY, "busy", "another process works on it")

typedef enum rv_status {
#define X(code, name, meaning) code,
    RV_STATUS_MAP(X)
#undef X
} rv_status;

/* The short name of a status, "ok" for RV_OK.  Never NULL. */
RV_API const char *rv_status_name(rv_status status);

typedef struct rv_error {
    rv_status status;
    char message[1024];
} rv_error;

/* Fills err (may be NULL) with status and a formatted message; returns status. */
RV_API rv_status rv_fail(rv_error *err, rv_status status, const char *format, ...) RV_PRINTF(3, 4);

/* Puts "prefix: " before the message of err (may be NULL); returns err's status. */
RV_API rv_status rv_fail_prefix(rv_error *err, rv_status status, const char *format, ...) RV_PRINTF(3, 4);

/* Leaves the calling function with the status of expr unless it is RV_OK. */
#define RV_TRY(expr)                          \
    do {                                      \
        rv_status rv_try_status = (expr);     \
        if (rv_try_status != RV_OK)           \
            return rv_try_status;             \
    } while (0)

/* "major.minor.patch" of the library. */
RV_API const char *rv_version(void);

/* ---- worker pool ----------------------------------------------------- */

/* A fixed set of threads.  Work is handed over as numbered tasks; which worker
 * runs which task is not fixed, so a task's result may depend on its number
 * only.  A pool of NULL means: the calling thread runs all tasks in order. */
typedef struct rv_pool rv_pool;

/* One task: its number in [0, tasks) and the worker in [0, rv_pool_workers). */
typedef void rv_task(void *context, int task, int worker);

/* workers >= 1, the calling thread included (so 1 starts no thread).
 * Caller frees.  RV_E_RANGE, RV_E_MEMORY, RV_E_IO when a thread cannot start. */
RV_API rv_status rv_pool_new(rv_pool **out, int workers, rv_error *err);
/* The same over threads of the caller's own.  run must call task(context, i, worker) once for
 * every i in [0, tasks), with a worker in [0, workers) that no other task running at that time
 * has, and return when all are done.  Results do not depend on who runs what. */
typedef void rv_pool_runner(void *runner, int tasks, rv_task *task, void *context);
RV_API rv_status rv_pool_new_over(rv_pool **out, int workers, rv_pool_runner *run, void *runner, rv_error *err);
RV_API void rv_pool_free(rv_pool *pool);
RV_API int rv_pool_workers(const rv_pool *pool); /* 1 for NULL */

/* Runs tasks 0..tasks-1 and returns when all are done.  Not re-entrant: a task
 * must not run the pool that runs it. */
RV_API void rv_pool_run(rv_pool *pool, int tasks, rv_task *task, void *context);
/* The same for small tasks over neighbouring memory: not claimed in order, but by each worker from
 * a share of its own first.  What it touched in the last run is touched by it again, and mostly
 * still lies in its cache. */
RV_API void rv_pool_run_near(rv_pool *pool, int tasks, rv_task *task, void *context);

/* ---- random numbers -------------------------------------------------- */

/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011): a pure function of (seed, purpose, step, index).
 * There is no generator state, so nothing can be lost or drawn out of order. */
typedef enum rv_purpose {
    RV_RANDOM_INIT = 1,  /* initial weights */
    RV_RANDOM_ORDER,     /* order of examples */
    RV_RANDOM_AUGMENT,   /* augmentation of examples */
    RV_RANDOM_DROPOUT,   /* dropout masks */
    RV_RANDOM_DATA,      /* procedural data sets */
    RV_RANDOM_NOISE,     /* noise of analytic objectives */
    RV_RANDOM_OPTIMIZER, /* methods that draw: stochastic rounding, sketches */
    RV_RANDOM_PROBE,     /* directions of probes */
    RV_RANDOM_SEARCH,    /* hyperparameter samplers */
    RV_RANDOM_RESAMPLE,  /* bootstrap of scores */
    RV_RANDOM_CURVE,     /* points of a curve that is trained */
    RV_RANDOM_LABELS     /* labels drawn from a model's output */
} rv_purpose;

/* The stream that numbers are drawn from; step < 2^56. */
typedef struct rv_random {
    uint64_t seed;
    rv_purpose purpose;
    uint64_t step;
} rv_random;

/* The four 32-bit words at index. */
RV_API void rv_random_block(rv_random stream, uint64_t index, uint32_t out[4]);
RV_API uint32_t rv_random_u32(rv_random stream, uint64_t index);
RV_API double rv_random_uniform(rv_random stream, uint64_t index); /* [0, 1), 53 bits */
RV_API double rv_random_normal(rv_random stream, uint64_t index);  /* N(0, 1), Box-Muller */
/* An integer in [0, n), n >= 1, without modulo bias beyond 2^-64. */
RV_API uint64_t rv_random_below(rv_random stream, uint64_t index, uint64_t n);
/* A uniformly drawn permutation of 0..n-1 (Fisher-Yates from the stream). */
RV_API void rv_random_permutation(rv_random stream, uint32_t n, uint32_t *out);

/* Seconds of the monotonic clock; only differences mean something. */
RV_API double rv_clock(void);

#ifdef __cplusplus
}
#endif
#endif
