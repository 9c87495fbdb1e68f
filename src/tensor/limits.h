/* What one core of this machine can do, measured: the numbers that speed is held against. */
#ifndef RV_TENSOR_LIMITS_H
#define RV_TENSOR_LIMITS_H

#include "ravine/core.h"

typedef struct rv_limits {
    double f32_gflops;   /* of float32 multiply-adds in registers */
    double bf16_gflops;  /* of bf16 products with float32 sums; 0: no instruction for them */
    const char *bf16_by; /* "amx", "avx512_bf16" or "none" */
    double copy_l2_gbs;  /* read and written bytes counted, two arrays of 128 KiB */
    double copy_gbs;     /* the same, two arrays of 64 MiB; NaN: no memory for them */
} rv_limits;

/* Takes about half a second; the machine should be idle. */
void rv_limits_measure(rv_limits *limits);

/* The instructions for bf16 products: as bf16_by. */
const char *rv_limits_bf16(void);

#endif
