/* Convolution in float32. */
#include "graph/op_cpu.h"

const rv_kernels rv_conv2d_cpu = {0};
