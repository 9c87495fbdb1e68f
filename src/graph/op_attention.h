/* What the files of attention share. */
#ifndef RV_GRAPH_OP_ATTENTION_H
#define RV_GRAPH_OP_ATTENTION_H

#include "graph/op.h"

#define RV_ATTENTION_QK_EPS 1e-6    /* of the RMS norm of queries and keys */
#define RV_ATTENTION_ROTARY 10000.0 /* base of the rotary wavelengths */

extern const rv_kernels rv_attention_ref;

#endif
