#include "graph/op_cpu.h"

const rv_kernels rv_matmul_cpu = {0};
