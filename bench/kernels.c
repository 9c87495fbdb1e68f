/* Kernels of the operations on one core, beside the core's own limits.
 *
 *     bench_kernels [--bf16] [OPERATION]
 *
 * Every case is one operation on the shapes of one shard.  The best of many short runs
 * counts; limits and kernels are measured in the same process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/attr.h"
#include "graph/cut.h"
#include "tensor/kernels/cpu/cpu.h"
#include "tensor/limits.h"

extern void omp_set_num_threads(int threads);

typedef struct bench_case {
    const char *label;
    const rv_op *op;
    const void *attr;
    rv_shape in[RV_OP_INPUTS]; /* rank 0 and no extent: absent; labels are [rows] of integers */
    int integers;              /* number of the input of integers, or -1 */
} bench_case;

#define ACT(name) &(const rv_activation_attr){RV_ACT_##name}
#define HEADS(n, ...) &(const rv_attention_options){.heads = n, __VA_ARGS__}
#define S RV_SHAPE

static const bench_case cases[] = {
    {"modular qkv", &rv_op_linear, ACT(NONE), {S(256, 128), S(384, 128)}, -1},
    {"modular up, relu", &rv_op_linear, ACT(RELU), {S(256, 128), S(512, 128), S(512)}, -1},
    {"modular up, gelu", &rv_op_linear, ACT(GELU), {S(256, 128), S(512, 128), S(512)}, -1},
    {"modular down", &rv_op_linear, ACT(NONE), {S(256, 512), S(128, 512), S(128)}, -1},
    {"modular head", &rv_op_linear, ACT(NONE), {S(64, 128), S(97, 128)}, -1},
    {"char-lm qkv", &rv_op_linear, ACT(NONE), {S(96, 128), S(384, 128)}, -1},
    {"char-lm up, gelu", &rv_op_linear, ACT(GELU), {S(96, 128), S(512, 128)}, -1},
    {"char-lm large up, gelu", &rv_op_linear, ACT(GELU), {S(256, 384), S(1536, 384)}, -1},
    {"char-lm large down", &rv_op_linear, ACT(NONE), {S(256, 1536), S(384, 1536)}, -1},
    {"mlp 784-512, relu", &rv_op_linear, ACT(RELU), {S(16, 784), S(512, 784), S(512)}, -1},
    {"mlp 512-512, relu", &rv_op_linear, ACT(RELU), {S(16, 512), S(512, 512), S(512)}, -1},
    {"mlp 512-10", &rv_op_linear, ACT(NONE), {S(16, 512), S(10, 512), S(10)}, -1},
    {"mlp 512-512, 2 rows", &rv_op_linear, ACT(RELU), {S(2, 512), S(512, 512), S(512)}, -1},
    {"attention 4 x 32, T 5", &rv_op_attention, HEADS(4, .causal = true), {S(64, 5, 384)}, -1},
    {"attention 4 x 32, T 64", &rv_op_attention, HEADS(4, .causal = true), {S(2, 64, 384)}, -1},
    {"attention 6 x 64, T 256", &rv_op_attention, HEADS(6, .causal = true), {S(1, 256, 1152)}, -1},
    {"attention full, T 256", &rv_op_attention, HEADS(6, .causal = false), {S(1, 256, 1152)}, -1},
    {"attention rotary, norm, T 64", &rv_op_attention, HEADS(4, .causal = true, .rotary = true, .qk_norm = true),
     {S(2, 64, 384)}, -1},
    {"attention dropout, T 64", &rv_op_attention, HEADS(4, .causal = true, .dropout = 0.2), {S(2, 64, 384)}, -1},
    {"97 classes", &rv_op_cross_entropy, &(const rv_cross_entropy_attr){0}, {S(64, 97), S(64)}, 1},
    {"65 classes", &rv_op_cross_entropy, &(const rv_cross_entropy_attr){0}, {S(256, 65), S(256)}, 1},
    {"32768 classes", &rv_op_cross_entropy, &(const rv_cross_entropy_attr){0}, {S(16, 32768), S(16)}, 1},
    {"65 x 128", &rv_op_embedding, NULL, {S(256), S(65, 128)}, 0},
    {"batched 64 x 64 x 32", &rv_op_matmul, &(const rv_matmul_attr){0}, {S(16, 64, 32), S(16, 32, 64)}, -1},
    {"batched 64 x 64 x 32, bT", &rv_op_matmul, &(const rv_matmul_attr){false, true}, {S(16, 64, 32), S(16, 64, 32)},
     -1},
};

/* ---- one call --------------------------------------------------------- */

static void *memory(size_t size)
{
    void *p = aligned_alloc(64, (size / 64 + 1) * 64);
    if (!p) {
        fprintf(stderr, "bench_kernels: no memory for %zu bytes\n", size);
        exit(1);
    }
    memset(p, 0, (size / 64 + 1) * 64);
    return p;
}

static void fill(float *x, int64_t n, double scale, uint64_t stream)
{
    const rv_random random = {stream, RV_RANDOM_DATA, 0};
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(scale * rv_random_normal(random, (uint64_t)i));
}

typedef struct bench_call {
    rv_node node;
    const rv_kernels *kernels;
    rv_call call;
    void *owned[32];
    int owned_count;
} bench_call;

static void *own(bench_call *b, size_t size)
{
    return b->owned[b->owned_count++] = memory(size);
}

static void set_input(bench_call *b, const bench_case *c, int i)
{
    const int64_t n = rv_shape_size(&c->in[i]);
    if (i == c->integers) {
        int32_t *ids = own(b, (size_t)n * sizeof *ids);
        for (int64_t j = 0; j < n; j++)
            ids[j] = (int32_t)((j * 7919) % 60);
        b->call.in[i] = ids;
        return;
    }
    float *x = own(b, (size_t)n * sizeof *x);
    fill(x, n, i == 0 ? 1 : 0.05, (uint64_t)i);
    b->call.in[i] = x;
    b->call.gin[i] = own(b, (size_t)n * sizeof(float));
}

static size_t bytes(const bench_call *b, size_t (*of)(const rv_node *))
{
    return of ? of(&b->node) : 0;
}

static bool set_up(bench_call *b, const bench_case *c, bool bf16)
{
    rv_error err = {0};
    b->node = (rv_node){.op = c->op, .name = "bench", .attr = c->attr, .bf16 = bf16, .wants_first = true};
    for (int i = 0; i < RV_OP_INPUTS && (i == 0 || c->in[i].rank > 0); i++) {
        b->node.in[i] = i + 1;
        b->node.in_shape[i] = c->in[i];
        b->node.in_dtype[i] = i == c->integers ? RV_I32 : RV_F32;
        b->node.n_in = i + 1;
    }
    b->kernels = c->op->kernels[RV_BACKEND_CPU];
    if (!b->kernels->forward)
        return false;
    void *prepared = NULL;
    if (c->op->infer(&b->node, &err) != RV_OK ||
        (b->kernels->prepare && b->kernels->prepare(&b->node, &prepared, &err) != RV_OK)) {
        fprintf(stderr, "%s: %s\n", c->label, err.message);
        return false;
    }
    b->call = (rv_call){.node = &b->node, .prepared = prepared, .shard = {.training = true}};
    for (int i = 0; i < b->node.n_in; i++)
        set_input(b, c, i);
    const size_t out = (size_t)rv_shape_size(&b->node.shape) * sizeof(float);
    float *gout = own(b, out);
    fill(gout, rv_shape_size(&b->node.shape), 1, 99);
    b->call.gout = gout;
    b->call.out = own(b, out);
    b->call.saved = own(b, bytes(b, b->kernels->saved));
    b->call.scratch = own(b, bytes(b, b->kernels->scratch));
    b->call.work = own(b, bytes(b, b->kernels->work));
    const size_t packed = bytes(b, b->kernels->packed);
    if (packed > 0) {
        void *to = own(b, packed);
        b->call.packed = to;
        for (int part = 0; part < RV_PACK_PARTS; part++)
            if (b->kernels->pack(&b->node, prepared, b->call.in[1], to, part, &err) != RV_OK)
                return false;
    }
    return true;
}

static void tear_down(bench_call *b)
{
    if (b->kernels->unprepare)
        b->kernels->unprepare((void *)b->call.prepared);
    for (int i = 0; i < b->owned_count; i++)
        free(b->owned[i]);
}

/* ---- timing ----------------------------------------------------------- */

/* All units of a call, stage by stage. */
static void run_call(const rv_kernels *kernels, rv_call call, bool backward)
{
    const rv_cut cut = rv_cut_asked(kernels, call.node, backward);
    for (call.stage = 0; call.stage < cut.stages; call.stage++) {
        call.end = cut.units[call.stage];
        (backward ? kernels->backward : kernels->forward)(&call, NULL);
    }
}

/* Seconds of one call: the best of many runs of about a millisecond. */
static double seconds_of(const bench_call *b, bool backward)
{
    int repeats = 1;
    double best = 1e9;
    for (int runs = 0; runs < 60;) {
        const double start = rv_clock();
        for (int i = 0; i < repeats; i++)
            run_call(b->kernels, b->call, backward);
        const double seconds = rv_clock() - start;
        if (seconds < 0.5e-3) {
            repeats *= 2;
            continue;
        }
        best = seconds / repeats < best ? seconds / repeats : best;
        runs++;
    }
    return best;
}

static void run_case(const bench_case *c, bool bf16, const rv_limits *limits)
{
    bench_call b = {0};
    if (!set_up(&b, c, bf16)) {
        tear_down(&b);
        return;
    }
    const rv_cost cost = c->op->cost(&b.node);
    const double forward = seconds_of(&b, false);
    const double backward = seconds_of(&b, true);
    const double peak = bf16 ? limits->bf16_gflops : limits->f32_gflops, flops = cost.flops * 1e-9;
    printf("%-14s %-30s %9.1f %8.1f %5.1f %7.1f | %9.1f %8.1f %5.1f\n", c->op->name, c->label, forward * 1e6,
           flops / forward, 100 * flops / forward / peak, cost.bytes / forward * 1e-9, backward * 1e6,
           2 * flops / backward, 200 * flops / backward / peak);
    fflush(stdout);
    tear_down(&b);
}

int main(int argc, char **argv)
{
    bool bf16 = false;
    const char *only = NULL;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--bf16") == 0)
            bf16 = true;
        else if (argv[i][0] != '-')
            only = argv[i];
        else {
            fprintf(stderr, "usage: bench_kernels [--bf16] [linear|attention|cross_entropy|embedding|matmul]\n");
            return 2;
        }
    omp_set_num_threads(1);
    rv_limits limits;
    rv_limits_measure(&limits);
    printf("one core, %s: float32 %.0f GFLOP/s, bf16 %.0f (%s), copy %.0f GB/s in L2, %.0f in memory\n", rv_cpu()->isa,
           limits.f32_gflops, limits.bf16_gflops, limits.bf16_by, limits.copy_l2_gbs, limits.copy_gbs);
    printf("%-14s %-30s %9s %8s %5s %7s | %9s %8s %5s\n", "operation", "shard", "forward us", "GFLOP/s", "%peak", "GB/s",
           "backward us", "GFLOP/s", "%peak");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!only || strcmp(only, cases[i].op->name) == 0)
            run_case(&cases[i], bf16, &limits);
    return 0;
}
