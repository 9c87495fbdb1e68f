/* Elementwise operations in float32. */
#include "graph/op_cpu.h"

const rv_kernels rv_activate_cpu = {0};
const rv_kernels rv_add_cpu = {0};
const rv_kernels rv_multiply_cpu = {0};
const rv_kernels rv_scale_cpu = {0};
