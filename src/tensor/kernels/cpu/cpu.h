/* Tables of float32 kernels, one per instruction set, chosen once by the processor.
 *
 * A family of kernels is a struct of function pointers declared in <family>.h and
 * filled in <family>.c as
 *     const struct rv_cpu_norm RV_CPU_TABLE(norm) = {.layer_forward = ..., };
 * with static functions written against vec.h.  The build compiles <family>.c once
 * per instruction set (ravine_cpu_kernels in src/tensor/kernels/cpu/CMakeLists.txt); a line in
 * families.def puts it into the table, and callers write rv_cpu()->norm->...
 * Kernels are single-threaded, allocate nothing, accept n = 0, and depend on their
 * arguments only. */
#ifndef RV_TENSOR_KERNELS_CPU_CPU_H
#define RV_TENSOR_KERNELS_CPU_CPU_H

#include "ravine/core.h"

#define RV_CPU_PASTE_(a, b) a##_##b
#define RV_CPU_PASTE(a, b) RV_CPU_PASTE_(a, b)
/* RV_ISA is defined by the build: baseline, avx2, avx512 or avx512_bf16. */
#define RV_CPU_TABLE(family) RV_CPU_PASTE(rv_cpu_##family, RV_ISA)

#define FAMILY(family) struct rv_cpu_##family;
#include "families.def"
#undef FAMILY

typedef struct rv_cpu_kernels {
    const char *isa;
#define FAMILY(family) const struct rv_cpu_##family *family;
#include "families.def"
#undef FAMILY
} rv_cpu_kernels;

/* The best table this processor runs, or the one that the environment variable
 * RAVINE_ISA names (baseline, avx2, avx512, avx512_bf16; ignored when the processor lacks it). */
const rv_cpu_kernels *rv_cpu(void);

/* The table of that name; NULL: unknown, or the processor lacks it. */
const rv_cpu_kernels *rv_cpu_find(const char *isa);

/* "avx512_bf16"... by number, for loops over all tables; NULL behind the last. */
const char *rv_cpu_isa(int i);

#endif
