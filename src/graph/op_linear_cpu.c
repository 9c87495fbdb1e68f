#include "graph/op_cpu.h"

const rv_kernels rv_linear_cpu = {0};
