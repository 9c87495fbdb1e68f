/* Dropout in float32. */
#include "graph/op_cpu.h"

const rv_kernels rv_dropout_cpu = {0};
