/* K-FAC: natural-gradient preconditioning of linear layers by Kronecker factors of the inputs of
 * every layer and of the gradients of its outputs.  It needs more than gradients and is therefore
 * no rv_optimizer: the caller shows it every layer's inputs and output gradients, lets it rewrite
 * the weight gradients, and then takes any step with them.
 *
 *     for each layer:  rv_kfac_observe(k, layer, rows, positions, inputs, output_gradients, &err)
 *     once per step:   rv_kfac_step(k, lr, weight_gradients, bias_gradients, &err)
 *
 * Martens & Grosse 2015, Optimizing neural networks with Kronecker-factored approximate curvature;
 * the algorithm is that of gpauloski/kfac-pytorch (KAISA, Pauloski et al. 2021), empirical Fisher:
 *     A <- d A + (1 - d) a'a/rows,   a = inputs, with a 1 appended where the layer has a bias
 *     G <- d G + (1 - d) g'g/rows,   g = gradient of the mean loss by the outputs; both start at I
 *     method=eigen:    P = Q_G [(Q_G' W Q_A) / (d_G d_A' + damping)] Q_A',  W = [weight | bias] gradients
 *     method=inverse:  P = (G + damping I)^-1 W (A + damping I)^-1
 *     W <- nu P,   nu = min(1, sqrt(kl_clip / |sum over layers of lr^2 <P, W>|))
 * An object may be used by one thread at a time.  All memory is allocated by rv_kfac_new; bits do
 * not depend on the number of workers. */
#ifndef RAVINE_KFAC_H
#define RAVINE_KFAC_H

#include "ravine/param.h"
#include "ravine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rv_kfac rv_kfac;

/* One linear layer: outputs [rows, out] = inputs [rows, in] weight' + bias, weight [out, in].  A
 * convolution is one too, of its patches: in = channels x kh x kw. */
typedef struct rv_kfac_layer {
    const char *name; /* of its state; copied */
    int64_t in, out;  /* 1 to 16384 */
    bool bias;
} rv_kfac_layer;

typedef struct rv_kfac_options {
    const char *params; /* "damping=1e-3,kl_clip=1e-3"; NULL: defaults (rv_kfac_params) */
    rv_dtype dtype;     /* RV_F32 or RV_F64: of all that is handed over and of the state */
    rv_pool *pool;      /* borrowed; NULL: the calling thread */
} rv_kfac_options;

/* Names, defaults and bounds of the hyperparameters. */
RV_API const rv_param_table *rv_kfac_params(void);

/* layers [count].  RV_E_ARGUMENT, RV_E_RANGE, RV_E_UNKNOWN, RV_E_MEMORY.  Caller frees. */
RV_API rv_status rv_kfac_new(rv_kfac **out, const rv_kfac_options *options, const rv_kfac_layer *layers, int count,
                             rv_error *err);
RV_API void rv_kfac_free(rv_kfac *kfac);

/* Shows a layer `rows` of its inputs [rows, in] and the gradients [rows, out] of the mean loss by
 * its outputs.  May be called several times per step (shards): products add up, in the order of
 * the calls.  positions: 1; of a convolution the number of its output positions, by which inputs
 * and gradients are divided.  Returns at once in steps whose factors are not due.
 * RV_E_ARGUMENT; RV_E_NUMERIC when a product is not finite, which is then left out. */
RV_API rv_status rv_kfac_observe(rv_kfac *kfac, int layer, int64_t rows, int64_t positions, const void *inputs,
                                 const void *output_gradients, rv_error *err);

/* Replaces the gradients by nu P: weight_gradients [count] of [out, in], bias_gradients [count] of
 * [out], NULL where a layer has none.  lr is the rate that the step will take, for kl_clip.
 * RV_E_NUMERIC when a gradient or a result is not finite: gradients are then as before. */
RV_API rv_status rv_kfac_step(rv_kfac *kfac, double lr, void *const *weight_gradients, void *const *bias_gradients,
                              rv_error *err);

/* Steps made so far, and nu of the last one. */
RV_API int64_t rv_kfac_steps(const rv_kfac *kfac);
RV_API double rv_kfac_clip(const rv_kfac *kfac);

/* The state as named arrays that point into the object ("steps"; "kfac.a.LAYER", ...), and back:
 * everything is checked first, RV_E_MISMATCH changes nothing. */
RV_API int rv_kfac_state(rv_kfac *kfac, rv_array *arrays, int capacity);
RV_API rv_status rv_kfac_restore(rv_kfac *kfac, const rv_array *arrays, int count, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
