/* Independent chains of multiply-adds, more than their latency needs. */
#include "tensor/kernels/cpu/peak.h"
#include "tensor/kernels/cpu/vec.h"

static double f32(int64_t repeats)
{
    enum { CHAINS = 12 };
    volatile float start = 0.999f; /* unknown to the compiler, and written so that sums are kept */
    const vf x = vf_set1(start), y = vf_set1(1 - start);
    vf s0 = x, s1 = x, s2 = x, s3 = x, s4 = x, s5 = x, s6 = x, s7 = x, s8 = x, s9 = x, s10 = x, s11 = x;
    for (int64_t i = 0; i < repeats; i++) {
        s0 = s0 * x + y;
        s1 = s1 * x + y;
        s2 = s2 * x + y;
        s3 = s3 * x + y;
        s4 = s4 * x + y;
        s5 = s5 * x + y;
        s6 = s6 * x + y;
        s7 = s7 * x + y;
        s8 = s8 * x + y;
        s9 = s9 * x + y;
        s10 = s10 * x + y;
        s11 = s11 * x + y;
        /* Each chain stays its own: the compiler must not see that they are equal. */
        __asm__ volatile("" : "+x"(s0), "+x"(s1), "+x"(s2), "+x"(s3), "+x"(s4), "+x"(s5));
        __asm__ volatile("" : "+x"(s6), "+x"(s7), "+x"(s8), "+x"(s9), "+x"(s10), "+x"(s11));
    }
    start = vf_sum(((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)) + ((s8 + s9) + (s10 + s11)));
    return CHAINS * 2.0 * RV_LANES;
}

const struct rv_cpu_peak RV_CPU_TABLE(peak) = {.f32 = f32};
