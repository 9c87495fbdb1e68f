/* Concatenation, slices and reductions in float32. */
#include "graph/op_cpu.h"

const rv_kernels rv_concat_cpu = {0};
const rv_kernels rv_slice_cpu = {0};
const rv_kernels rv_reduce_cpu = {0};
