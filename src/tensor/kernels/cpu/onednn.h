/* Primitives of oneDNN, run by one thread on operands that the caller places.
 *
 * A step is immutable once made and may be run by several threads at once, each with
 * scratch of its own.  Running allocates the few small objects oneDNN insists on. */
#ifndef RV_TENSOR_KERNELS_CPU_ONEDNN_H
#define RV_TENSOR_KERNELS_CPU_ONEDNN_H

#include <oneapi/dnnl/dnnl.h>

#include "ravine/core.h"

typedef struct rv_step {
    dnnl_primitive_t primitive; /* NULL: not made */
    dnnl_memory_desc_t scratch;
} rv_step;

typedef struct rv_step_operand {
    int role; /* DNNL_ARG_* */
    const dnnl_memory_desc_t *desc;
    const void *data;
} rv_step_operand;

/* Makes a step from a primitive descriptor, which stays the caller's. */
dnnl_status_t rv_step_make(rv_step *step, const_dnnl_primitive_desc_t desc);
void rv_step_release(rv_step *step); /* also one not made */
/* Bytes of scratch that running takes. */
size_t rv_step_scratch(const rv_step *step);
/* what: for the message. */
rv_status rv_step_run(const rv_step *step, dnnl_engine_t engine, const rv_step_operand *operands, int count,
                      void *scratch, const char *what, rv_error *err);

/* The desc of one operand: dnnl_query_src_md, ... */
dnnl_memory_desc_t rv_onednn_query(const_dnnl_primitive_desc_t desc, dnnl_query_t operand);
/* Attributes with the scratchpad in the caller's hands; add: the result is added to the destination. */
dnnl_status_t rv_onednn_attributes(dnnl_primitive_attr_t *attr, bool add);
rv_status rv_onednn_check(dnnl_status_t status, const char *what, rv_error *err);
/* The number of threads oneDNN sees, for the calling thread; returns the one before. */
int rv_onednn_threads(int threads);

#endif
