#include "graph/op_cpu.h"

const rv_kernels rv_attention_cpu = {0};
