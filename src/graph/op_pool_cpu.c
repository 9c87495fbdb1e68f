/* Pooling in float32. */
#include "graph/op_cpu.h"

const rv_kernels rv_max_pool_cpu = {0};
const rv_kernels rv_average_pool_cpu = {0};
const rv_kernels rv_global_pool_cpu = {0};
