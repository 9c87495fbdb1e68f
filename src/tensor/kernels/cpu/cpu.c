/* Choice of the instruction set.  The answer never changes within a process. */
#include "tensor/kernels/cpu/cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define FAMILY(family)                                                        \
    extern const struct rv_cpu_##family rv_cpu_##family##_baseline;           \
    extern const struct rv_cpu_##family rv_cpu_##family##_avx2;               \
    extern const struct rv_cpu_##family rv_cpu_##family##_avx512;             \
    extern const struct rv_cpu_##family rv_cpu_##family##_avx512_bf16;
#include "families.def"
#undef FAMILY

/* From the best to the one that always runs. */
static const rv_cpu_kernels tables[] = {
#if defined(__x86_64__)
    {"avx512_bf16",
#define FAMILY(family) &rv_cpu_##family##_avx512_bf16,
#include "families.def"
#undef FAMILY
    },
    {"avx512",
#define FAMILY(family) &rv_cpu_##family##_avx512,
#include "families.def"
#undef FAMILY
    },
    {"avx2",
#define FAMILY(family) &rv_cpu_##family##_avx2,
#include "families.def"
#undef FAMILY
    },
#endif
    {"baseline",
#define FAMILY(family) &rv_cpu_##family##_baseline,
#include "families.def"
#undef FAMILY
    },
};

enum { TABLES = sizeof tables / sizeof tables[0] };

static bool processor_runs(const char *isa)
{
#if defined(__x86_64__)
    if (strcmp(isa, "avx512_bf16") == 0)
        return processor_runs("avx512") && __builtin_cpu_supports("avx512bf16");
    if (strcmp(isa, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
    if (strcmp(isa, "avx2") == 0)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return strcmp(isa, "baseline") == 0;
}

const char *rv_cpu_isa(int i)
{
    return i >= 0 && i < TABLES ? tables[i].isa : NULL;
}

const rv_cpu_kernels *rv_cpu_find(const char *isa)
{
    for (int i = 0; i < TABLES; i++)
        if (strcmp(tables[i].isa, isa) == 0 && processor_runs(isa))
            return &tables[i];
    return NULL;
}

static const rv_cpu_kernels *choose(void)
{
    const char *wanted = getenv("RAVINE_ISA");
    const rv_cpu_kernels *found = wanted ? rv_cpu_find(wanted) : NULL;
    for (int i = 0; !found && i < TABLES; i++)
        found = rv_cpu_find(tables[i].isa);
    return found;
}

const rv_cpu_kernels *rv_cpu(void)
{
    static _Atomic(const rv_cpu_kernels *) chosen; /* threads that race here agree */
    const rv_cpu_kernels *table = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (!table) {
        table = choose();
        atomic_store_explicit(&chosen, table, memory_order_relaxed);
    }
    return table;
}
