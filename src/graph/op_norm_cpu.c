/* Normalisations in float32. */
#include "graph/op_cpu.h"

const rv_kernels rv_layer_norm_cpu = {0};
const rv_kernels rv_rms_norm_cpu = {0};
const rv_kernels rv_batch_norm_cpu = {0};
const rv_kernels rv_group_norm_cpu = {0};
