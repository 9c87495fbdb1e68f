#include "graph/op_cpu.h"

const rv_kernels rv_embedding_cpu = {0};
