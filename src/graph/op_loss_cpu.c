#include "graph/op_cpu.h"

const rv_kernels rv_cross_entropy_cpu = {0};
const rv_kernels rv_mse_cpu = {0};
const rv_kernels rv_l1_cpu = {0};
const rv_kernels rv_binary_cross_entropy_cpu = {0};
