/* Convolution of channels-last images through oneDNN, one thread.
 *
 * The primitives of one shape are made once and only read afterwards, so all
 * workers share them; whatever a call writes lies in memory of its caller. */
#ifndef RV_TENSOR_CONV_H
#define RV_TENSOR_CONV_H

#include "ravine/core.h"

typedef struct rv_conv_shape {
    int64_t n, h, w, in;      /* x [n, h, w, in] */
    int64_t oh, ow, out;      /* y [n, oh, ow, out] */
    int64_t kh, kw;           /* kernel [out, in / groups, kh, kw] */
    int stride, padding, dilation, groups;
    bool bias;
    bool bf16;                /* products of operands rounded to bf16, where the processor can */
} rv_conv_shape;

typedef struct rv_conv rv_conv;

/* n >= 1.  backward: make the gradients' primitives too.  RV_E_MEMORY, RV_E_UNSUPPORTED. */
rv_status rv_conv_new(rv_conv **out, const rv_conv_shape *shape, rv_error *err);
void rv_conv_free(rv_conv *conv); /* NULL is fine */

size_t rv_conv_packed(const rv_conv *conv);  /* bytes of the kernel in the library's layouts */
size_t rv_conv_scratch(const rv_conv *conv); /* bytes that each function below may use */
size_t rv_conv_rounded(const rv_conv *conv); /* bytes of x in bf16; 0: not needed */

rv_status rv_conv_pack(const rv_conv *conv, const float *kernel, void *packed, rv_error *err);
/* rounded: receives x in bf16 when rv_conv_rounded says so. */
rv_status rv_conv_forward(const rv_conv *conv, const void *packed, const float *x, const float *bias,
                          float *y, void *rounded, void *scratch, rv_error *err);

/* Gradients wanted of a call; NULL: not wanted.  add_*: add to what is there. */
typedef struct rv_conv_gradients {
    float *x, *kernel, *bias;
    bool add_x, add_kernel, add_bias;
} rv_conv_gradients;

/* rounded: as forward left it. */
rv_status rv_conv_backward(const rv_conv *conv, const void *packed, const float *x, const void *rounded,
                           const float *gy, const rv_conv_gradients *gradients, void *scratch,
                           rv_error *err);

#endif
