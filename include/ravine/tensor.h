/* Shapes, element types, and the named layout of a flat parameter vector. */
#ifndef RAVINE_TENSOR_H
#define RAVINE_TENSOR_H

#include "ravine/core.h"

#ifdef __cplusplus
#include <initializer_list>
extern "C" {
#endif

typedef enum rv_dtype { RV_F32, RV_F64, RV_BF16, RV_I32, RV_U8 } rv_dtype;

RV_API size_t rv_dtype_size(rv_dtype dtype);       /* bytes of one element */
RV_API const char *rv_dtype_name(rv_dtype dtype);  /* "f32", "f64", "bf16", "i32", "u8" */

enum { RV_MAX_RANK = 5, RV_NAME_SIZE = 64 };

/* Row-major; rank 0 is a scalar of one element; an extent may be 0. */
typedef struct rv_shape {
    int rank;
    int64_t dim[RV_MAX_RANK];
} rv_shape;

/* RV_SHAPE(64, 32) is a shape of rank 2. */
#ifdef __cplusplus
static inline int rv_rank_of(std::initializer_list<int64_t> extents) { return static_cast<int>(extents.size()); }
#define RV_SHAPE(...) (rv_shape{rv_rank_of({__VA_ARGS__}), {__VA_ARGS__}})
#else
#define RV_SHAPE(...)                                                          \
    ((rv_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#endif

RV_API int64_t rv_shape_size(const rv_shape *shape); /* number of elements */
RV_API bool rv_shape_equal(const rv_shape *a, const rv_shape *b);
/* Writes "[2, 3]"; returns text. */
RV_API const char *rv_shape_text(const rv_shape *shape, char *text, size_t size);

/* What a parameter tensor does in its network; rules for optimizers match on it. */
#define RV_ROLE_MAP(X)                                                        \
    X(RV_ROLE_HIDDEN, "hidden")       /* matrix between hidden layers, [out, in] */ \
    X(RV_ROLE_EMBEDDING, "embedding") /* table, [tokens, width] */            \
    X(RV_ROLE_INPUT, "input")         /* first matrix of a network without embedding */ \
    X(RV_ROLE_HEAD, "head")           /* last matrix, to the outputs */       \
    X(RV_ROLE_CONV, "conv")           /* kernel, [out, in, kh, kw] */         \
    X(RV_ROLE_FIRST_CONV, "first_conv") /* kernel that reads the image */     \
    X(RV_ROLE_NORM, "norm")           /* gain or shift of a normalisation */  \
    X(RV_ROLE_BIAS, "bias")                                                   \
    X(RV_ROLE_POINT, "point")         /* a point of an analytic function */

typedef enum rv_role {
#define X(code, name) code,
    RV_ROLE_MAP(X)
#undef X
    RV_ROLE_COUNT
} rv_role;

RV_API const char *rv_role_name(rv_role role);

typedef struct rv_tensor {
    char name[RV_NAME_SIZE]; /* "block0.attention.qkv.weight" */
    rv_role role;
    rv_shape shape;
    int64_t offset; /* of its first element in the flat vector */
    int parts;      /* equal blocks of rows that are matrices of their own (3: fused query, key,
                       value), which matrix methods treat apart; 0 and 1: it is one matrix */
} rv_tensor;

/* A linear layer among the tensors: y [rows, out] = x [rows, in] weight' + bias, before its
 * activation.  A convolution is one of its patches, in = channels x kh x kw. */
typedef struct rv_linear_layer {
    int weight, bias;  /* tensors of the layout; bias -1: none */
    int64_t in, out;   /* extents of the weight as a matrix */
    int64_t positions; /* of a convolution the number of its output positions; else 1 */
} rv_linear_layer;

/* The tensors of a flat vector in ascending offset.  Every tensor starts on a
 * 64-byte boundary; the gaps belong to no tensor and stay zero. */
typedef struct rv_layout {
    int count;
    rv_tensor *tensors;
    int64_t size; /* elements of the flat vector, gaps included */
    int layer_count;
    rv_linear_layer *layers; /* those that are known; every weight is of one layer at most */
} rv_layout;

/* Factor sums of a layout's layers, a vector in the type of the weights.  For each layer, in order,
 *     A [width, width] = sum over rows of a a', a = its inputs, with a 1 appended where it has a bias
 *     G [out, out]     = sum over rows of g g', g = gradient by y of the sum of the losses
 *     rows
 * and at the end the number (weight) of the losses.  Of A and G the lower triangles count.  Sums
 * of parts of a batch add up to those of the batch. */
RV_API int64_t rv_layer_width(const rv_linear_layer *layer);   /* in, and 1 for the bias */
RV_API int64_t rv_layer_factors(const rv_linear_layer *layer); /* elements of its sums */
RV_API int64_t rv_layout_factors(const rv_layout *layout);     /* elements of the vector; 0: no layers */

/* Number of elements that belong to tensors. */
RV_API int64_t rv_layout_parameters(const rv_layout *layout);
/* Index of the tensor called name, or -1. */
RV_API int rv_layout_find(const rv_layout *layout, const char *name);

/* Elementwise functions between layers; kernels fuse them into products. */
typedef enum rv_activation {
    RV_ACT_NONE, RV_ACT_RELU, RV_ACT_RELU2, RV_ACT_GELU, RV_ACT_GELU_TANH, RV_ACT_SILU, RV_ACT_TANH,
    RV_ACT_SIGMOID, RV_ACT_SOFTPLUS
} rv_activation;

/* ---- files of named arrays ------------------------------------------- */

/* One array in memory, for reading and writing files; data is borrowed. */
typedef struct rv_array {
    char name[RV_NAME_SIZE * 2];
    rv_dtype dtype;
    rv_shape shape;
    void *data;
} rv_array;

/* An owned set of arrays read from a file. */
typedef struct rv_array_set {
    int count;
    rv_array *arrays;
    char *metadata; /* JSON object of strings, or NULL */
} rv_array_set;

/* safetensors: 8-byte little-endian header length, JSON header, raw data.
 * Written through a temporary file, fsync and rename.  metadata: a JSON object
 * of strings or NULL.  Reading checks every size before it allocates. */
RV_API rv_status rv_safetensors_write(const char *path, const rv_array *arrays, int count,
                                      const char *metadata, rv_error *err);
RV_API rv_status rv_safetensors_read(const char *path, rv_array_set *out, rv_error *err);
/* NumPy's npz: a stored (uncompressed) zip of npy files; bf16 is widened to f32. */
RV_API rv_status rv_npz_write(const char *path, const rv_array *arrays, int count, rv_error *err);
RV_API rv_status rv_npz_read(const char *path, rv_array_set *out, rv_error *err);
RV_API void rv_array_set_release(rv_array_set *set);

#ifdef __cplusplus
}
#endif
#endif
