/* Optimizers behind a plain C ABI: make one from a name, hyperparameters and a
 * list of tensors, then step raw pointers.  No graph and no trial is needed.
 *
 * Which tensor gets which method is a declared, ordered list of rules (name
 * glob, role, rank); the first match wins and no match is an error.  All state
 * is allocated by rv_optimizer_new; a step allocates nothing and gives the same
 * bits for any number of workers.  An object may be used by one thread at a
 * time; different objects are independent. */
#ifndef RAVINE_OPTIM_H
#define RAVINE_OPTIM_H

#include "ravine/param.h"
#include "ravine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a struct or a meaning below changes. */
#define RV_OPTIM_ABI 3
RV_API int rv_optim_abi(void);

typedef struct rv_optimizer rv_optimizer;

/* Where the large blocks of an optimizer come from: state, workspace and buffers, a handful of
 * calls in rv_optimizer_new and none in a step.  allocate returns 64-byte aligned memory or NULL;
 * release gets the size that was asked for. */
typedef struct rv_allocator {
    void *(*allocate)(void *context, size_t size);
    void (*release)(void *context, void *block, size_t size);
    void *context;
} rv_allocator;

typedef struct rv_optimizer_options {
    const char *method; /* "adamw", "muon", ...; "adamw@1" asks for that version */
    /* A JSON object or "lr=1e-3,beta2=0.95"; "adamw.lr=3e-4" addresses the method
     * of another rule.  NULL: defaults. */
    const char *params;
    /* JSON list [{"name": GLOB, "role": ROLE|[ROLE..], "rank": N|[MIN,MAX], "layer": true, "method": NAME,
     * "params": {..}}, ...]; absent keys match everything, "layer" the weights and biases of the
     * layout's layers.  NULL: the method's own list. */
    const char *rules;
    rv_dtype dtype;     /* RV_F32 or RV_F64: of parameters, gradients and, unless state_dtype says otherwise, state */
    rv_pool *pool;      /* borrowed; NULL: the calling thread; rv_pool_new_over: threads of yours */
    uint64_t seed;      /* of methods that draw random numbers, and of rounding to bf16 */
    /* RV_BF16: slots that are updated element by element are kept in half the memory, rounded
     * stochastically; anything else: state has the type of the weights. */
    rv_dtype state_dtype;
    /* What stands around the method, in this order: "clip_norm(max_norm=1),ema(decay=0.999)", or
     * JSON ["clip_norm", {"name": "ema", "params": {"decay": 0.999}}]; NULL: nothing.  Parameters
     * are also reached as "ema.decay"; a wrapper that is there twice is "ema" and "ema#2". */
    const char *wrappers;
    /* Copied; its context must outlive the optimizer.  NULL: the system's memory, on huge pages
     * when large. */
    const rv_allocator *allocator;
} rv_optimizer_options;

/* tensors [count]: name, role and shape (offset is used by the flat calls only);
 * w [count]: their initial values, read here by methods that keep a copy.
 * RV_E_UNKNOWN, RV_E_ARGUMENT, RV_E_RANGE, RV_E_MEMORY.  Caller frees. */
RV_API rv_status rv_optimizer_new(rv_optimizer **out, const rv_optimizer_options *options,
                                  const rv_tensor *tensors, int count, const void *const *w,
                                  rv_error *err);
/* The same for a flat vector: tensor i lies at w + layout->tensors[i].offset.  Methods that need the
 * layout's layers (K-FAC) are made by this one; RV_E_UNSUPPORTED where there are none. */
RV_API rv_status rv_optimizer_new_flat(rv_optimizer **out, const rv_optimizer_options *options,
                                       const rv_layout *layout, const void *w, rv_error *err);
RV_API void rv_optimizer_free(rv_optimizer *optimizer);

/* One step: w [count] is updated in place from g [count].  RV_E_NUMERIC when a
 * gradient or an update is not finite: names tensor and step; a non-finite value
 * is never written to w, and the cache lines around the fault keep their weights.
 * Other parts may have made the step: go on from a saved state. */
RV_API rv_status rv_optimizer_step(rv_optimizer *optimizer, void *const *w, const void *const *g,
                                   rv_error *err);
RV_API rv_status rv_optimizer_step_flat(rv_optimizer *optimizer, void *w, const void *g, rv_error *err);

/* ---- steps that need more than one gradient -------------------------- */

/* What a method may ask for beside the gradient it is given. */
typedef enum rv_probe {
    RV_PROBE_GRADIENT, /* of the loss of the same batch */
    RV_PROBE_SAMPLED,  /* the same with labels drawn from the model's own output (Sophia-G's
                          Gauss-Newton-Bartlett estimate); RV_E_UNSUPPORTED where there is none */
    /* Of flat closures alone, for methods that look at the layout's layers (K-FAC): g is then no gradient
     * but receives the factor sums [rv_layout_factors], of the data's labels or of sampled ones. */
    RV_PROBE_FACTORS,
    RV_PROBE_SAMPLED_FACTORS
} rv_probe;

/* Fills g [count] with a gradient at w [count], which need not be the weights that are trained:
 * they may lie elsewhere and are not to be changed.  *loss is what belongs to it.  A status other
 * than RV_OK ends the step with it. */
typedef rv_status rv_closure(void *context, rv_probe probe, const void *const *w, void *const *g,
                             double *loss, rv_error *err);
typedef rv_status rv_closure_flat(void *context, rv_probe probe, const void *w, void *g, double *loss,
                                  rv_error *err);

/* rv_optimizer_step for any method: closure is called for gradients beside g, never for g
 * itself.  rv_optimizer_step is enough, and closure never called, unless this says so: */
RV_API bool rv_optimizer_wants_closure(const rv_optimizer *optimizer);
RV_API rv_status rv_optimizer_step_closure(rv_optimizer *optimizer, void *const *w, const void *const *g,
                                           rv_closure *closure, void *context, rv_error *err);
RV_API rv_status rv_optimizer_step_closure_flat(rv_optimizer *optimizer, void *w, const void *g,
                                                rv_closure_flat *closure, void *context, rv_error *err);

/* Whether the next step will ask its closure for RV_PROBE_FACTORS: who makes the gradient can then take the
 * factors on the way (rv_objective_factors) in place of a second pass. */
RV_API bool rv_optimizer_wants_factors(const rv_optimizer *optimizer);

/* Steps made so far; a gradient that a wrapper only accumulates is none. */
RV_API int64_t rv_optimizer_steps(const rv_optimizer *optimizer);

/* What schedules act on, before a step: every learning rate is multiplied by factor
 * (1 at the start); any other hyperparameter is set by name ("beta1", "adamw.beta1"). */
RV_API void rv_optimizer_set_lr_factor(rv_optimizer *optimizer, double factor);
RV_API rv_status rv_optimizer_set(rv_optimizer *optimizer, const char *name, double value, rv_error *err);
/* The value in force, learning rates with their factor. */
RV_API rv_status rv_optimizer_get(const rv_optimizer *optimizer, const char *name, double *value,
                                  rv_error *err);

/* Weights to evaluate: w itself for most methods, the average for schedule-free
 * ones.  A query that copies out; dst may not overlap w.  differs (may be NULL)
 * tells whether they are other than w, so that statistics must be recomputed. */
RV_API rv_status rv_optimizer_evaluation_weights(const rv_optimizer *optimizer, const void *const *w,
                                                 void *const *dst, bool *differs);
RV_API rv_status rv_optimizer_evaluation_weights_flat(const rv_optimizer *optimizer, const void *w,
                                                      void *dst, bool *differs);

/* The state as named arrays ("adamw.m.block0.weight", ...; "steps" and other
 * scalars as arrays of rank 0), pointing into the optimizer: written by
 * rv_safetensors_write, and restored from what rv_safetensors_read returns.
 * Restoring checks name, shape and dtype of everything first and lists every
 * mismatch (RV_E_MISMATCH); then nothing is changed. */
RV_API int rv_optimizer_state(rv_optimizer *optimizer, rv_array *arrays, int capacity);
RV_API rv_status rv_optimizer_restore(rv_optimizer *optimizer, const rv_array *arrays, int count,
                                      rv_error *err);

/* The same through a safetensors file, with rv_optimizer_config under "optimizer" in its metadata.
 * Written beside and renamed; RV_E_IO, RV_E_FORMAT, RV_E_MISMATCH. */
RV_API rv_status rv_optimizer_save(rv_optimizer *optimizer, const char *path, rv_error *err);
RV_API rv_status rv_optimizer_load(rv_optimizer *optimizer, const char *path, rv_error *err);

/* Bytes of state in all. */
RV_API size_t rv_optimizer_bytes(const rv_optimizer *optimizer);

/* The rule list as it was applied: row i of count rows, for printing before use. */
typedef struct rv_optimizer_row {
    const char *tensor, *role, *method;
    rv_shape shape;
    double lr, weight_decay; /* NaN where the method has none */
    size_t bytes;            /* of state */
} rv_optimizer_row;
RV_API int rv_optimizer_rows(const rv_optimizer *optimizer, rv_optimizer_row *rows, int capacity);

/* Resolved configuration as a JSON object (method, version, params, rules); caller frees with free(). */
RV_API char *rv_optimizer_config(const rv_optimizer *optimizer);

/* ---- the registry ---------------------------------------------------- */

typedef struct rv_method_info {
    const char *name;      /* "adamw" */
    int version;           /* raised by every numerical change */
    const char *title;     /* "Adam with decoupled weight decay" */
    const char *equations; /* several lines of text */
    const char *paper, *reference, *deviations;
    const rv_param_table *params;
    const char *state;     /* "m, v: like the tensor" */
    double bytes_per_parameter; /* of float32 state, elementwise slots only; NaN: depends on shape */
} rv_method_info;

/* Method number i in order of registration, or NULL beyond the last. */
RV_API const rv_method_info *rv_method_at(int i);
RV_API const rv_method_info *rv_method_find(const char *name);

/* Wrappers are declared as methods are; state counts in bytes like theirs. */
RV_API const rv_method_info *rv_wrapper_at(int i);
RV_API const rv_method_info *rv_wrapper_find(const char *name);

/* ---- schedules ------------------------------------------------------- */

/* A schedule is a pure function of (step, total): the factor on the learning rate. */
typedef struct rv_schedule_info {
    const char *name, *title, *equation, *reference;
    const rv_param_table *params;
    double (*factor)(const void *params, int64_t step, int64_t total); /* step 0-based */
} rv_schedule_info;

RV_API const rv_schedule_info *rv_schedule_at(int i);
RV_API const rv_schedule_info *rv_schedule_find(const char *name);

/* ---- gradients ------------------------------------------------------- */

/* Scales g by min(1, max_norm / (norm + 1e-6)), norm over all tensors (as torch's
 * clip_grad_norm_); summed in a fixed tree.  Returns the norm before. */
RV_API double rv_clip_global_norm(void *g, const rv_layout *layout, rv_dtype dtype, double max_norm,
                                  rv_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
