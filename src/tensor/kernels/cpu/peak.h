/* Multiply-adds in registers only: the peak that products are measured against. */
#ifndef RV_TENSOR_KERNELS_CPU_PEAK_H
#define RV_TENSOR_KERNELS_CPU_PEAK_H

#include "tensor/kernels/cpu/cpu.h"

struct rv_cpu_peak {
    /* Runs `repeats` rounds; returns the floating-point operations of one round. */
    double (*f32)(int64_t repeats);
};

#endif
