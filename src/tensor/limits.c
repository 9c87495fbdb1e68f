/* Measures a core's limits: the best of many short runs, so that a neighbour's
 * moment on the core does not count. */
#include "tensor/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/kernels/cpu/peak.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { RUNS = 64 };
static const double run_seconds = 0.001;

typedef void work(void *context, int64_t repeats);

/* Best rate of work per second, in repeats. */
static double best_rate(work *run, void *context)
{
    int64_t repeats = 1;
    double best = 0;
    for (int runs = 0; runs < RUNS;) {
        const double start = rv_clock();
        run(context, repeats);
        const double seconds = rv_clock() - start;
        if (seconds < run_seconds) {
            repeats *= 2;
            continue;
        }
        best = (double)repeats / seconds > best ? (double)repeats / seconds : best;
        runs++;
    }
    return best;
}

static void run_f32(void *context, int64_t repeats)
{
    *(double *)context = rv_cpu()->peak->f32(repeats);
}

/* ---- bf16 ------------------------------------------------------------- */

#if defined(__x86_64__)

/* The system lends the tile registers on request. */
static bool tiles_granted(void)
{
    enum { REQUEST = 0x1023, TILE_DATA = 18 }; /* ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA */
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}

const char *rv_limits_bf16(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return "none";
    const unsigned amx = 1u << 22 | 1u << 24;
    if ((d & amx) == amx && tiles_granted())
        return "amx";
    if (__builtin_cpu_supports("avx512f") && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5))
        return "avx512_bf16";
    return "none";
}

/* Four tiles of sums from two by two tiles of 16 rows of 32 elements. */
__attribute__((target("amx-tile,amx-bf16"))) static void run_amx(void *context, int64_t repeats)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.bytes[i] = 64;
        config.rows[i] = 16;
    }
    __asm__ volatile("" : : "r"(&config) : "memory"); /* gcc 12 takes the stores for dead */
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
    for (int64_t i = 0; i < repeats; i++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    *(double *)context = 4 * 2.0 * 16 * 16 * 32;
}

__attribute__((target("avx512f,avx512bf16"))) static void run_dot(void *context, int64_t repeats)
{
    enum { CHAINS = 16 }; /* two instructions a cycle with a latency of up to eight */
    const __m512bh x = (__m512bh)_mm512_set1_epi16(1);
    __m512 sum[CHAINS];
    for (int c = 0; c < CHAINS; c++)
        sum[c] = _mm512_setzero_ps();
    for (int64_t i = 0; i < repeats; i++)
        for (int c = 0; c < CHAINS; c++)
            sum[c] = _mm512_dpbf16_ps(sum[c], x, x);
    for (int c = 1; c < CHAINS; c++)
        sum[0] = _mm512_add_ps(sum[0], sum[c]);
    volatile float keep = sum[0][0]; /* the sums must not be dropped */
    (void)keep;
    *(double *)context = CHAINS * 2.0 * 32;
}

static double measure_bf16(const char *by)
{
    double flops = 0, rate = 0;
    if (strcmp(by, "amx") == 0)
        rate = best_rate(run_amx, &flops);
    else if (strcmp(by, "avx512_bf16") == 0)
        rate = best_rate(run_dot, &flops);
    return rate * flops * 1e-9;
}

#else

const char *rv_limits_bf16(void)
{
    return "none";
}

static double measure_bf16(const char *by)
{
    (void)by;
    return 0;
}

#endif

/* ---- copies ----------------------------------------------------------- */

typedef struct copy {
    char *from, *to;
    size_t size;
} copy;

/* Every pass goes the other way, so that it has something to do. */
static void run_copy(void *context, int64_t repeats)
{
    copy *c = context;
    for (int64_t i = 0; i < repeats; i++) {
        memcpy(c->to, c->from, c->size);
        __asm__ volatile("" : : "r"(c->to), "r"(c->from) : "memory");
        char *swap = c->from;
        c->from = c->to;
        c->to = swap;
    }
}

/* GB/s of copying size bytes to and fro. */
static double measure_copy(size_t size)
{
    copy c = {aligned_alloc(4096, size), aligned_alloc(4096, size), size};
    char *const a = c.from, *const b = c.to;
    double rate = NAN;
    if (a && b) {
        memset(a, 1, size);
        memset(b, 2, size);
        rate = best_rate(run_copy, &c) * 2 * (double)size * 1e-9;
    }
    free(a);
    free(b);
    return rate;
}

void rv_limits_measure(rv_limits *limits)
{
    double flops = 0;
    limits->f32_gflops = best_rate(run_f32, &flops);
    limits->f32_gflops *= flops * 1e-9;
    limits->bf16_by = rv_limits_bf16();
    limits->bf16_gflops = measure_bf16(limits->bf16_by);
    limits->copy_l2_gbs = measure_copy(128 << 10);
    limits->copy_gbs = measure_copy(64 << 20);
}
