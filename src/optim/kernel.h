/* Elementwise kernels: one source text for float and double, compiled for several
 * instruction sets.  A method's file includes itself through here:
 *
 *     #ifndef RV_REAL
 *     typedef struct foo_args { double lr; } foo_args;
 *     #define RV_KERNEL_FILE "optim/foo.c"
 *     #include "optim/kernel.h"          // makes the pair RV_KERNEL_OF(foo)
 *     ...                                // parameters, step, descriptor
 *     #else
 *     RV_TILE_FUNCTION(foo, foo_args)    // (const rv_tile *t, const foo_args *a)
 *     {
 *         RV_EACH (i, t->n)
 *             t->out[i] = t->w[i] - (RV_REAL)a->lr * t->g[i];
 *     }
 *     #define RV_KERNEL foo
 *     #define RV_KERNEL_ARGS foo_args
 *     #include "optim/kernel_loop.h"
 *     #endif
 *
 * The name of a kernel is its own in the whole library: compilers make global names of it.
 * A kernel sees tiles of some cache lines: every stream is then read in bursts, and new
 * weights pass through t->out, where they are checked before they reach memory. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "core/clones.h"
#include "optim/dice.h"
#include "optim/method.h"

#define RV_KERNEL_OF(name) ((rv_kernel){name##_loop_f32, name##_loop_f64})

/* A loop whose turns do not depend on each other. */
#if defined(__clang__)
#define RV_EACH(i, n)                                             \
    _Pragma("clang loop vectorize(assume_safety)") for (int i = 0; i < (n); i++)
#else
#define RV_EACH(i, n) _Pragma("GCC ivdep") for (int i = 0; i < (n); i++)
#endif

/* Cache lines of a tile, and its elements: the size of a kernel's own buffers.  Lines are asked for some
 * tiles before they are needed. */
enum { RV_LINE = 64, RV_TILE_LINES = 8, RV_AHEAD = 4 };
#define RV_TILE (RV_TILE_LINES * RV_LINE / (int)sizeof(RV_REAL))

#define RV_PASTE_(a, b) a##b
#define RV_PASTE(a, b) RV_PASTE_(a, b)
#define RV_FN(name) RV_PASTE(name, RV_SUFFIX)
#define RV_BLAS(name) RV_PASTE(RV_PASTE(cblas_, RV_LETTER), name)
#define RV_INLINE static inline __attribute__((always_inline))
#define RV_TILE_FUNCTION(name, args) RV_INLINE void RV_FN(name)(const rv_tile *t, const args *a)

#define RV_REAL float
#define RV_REAL_MAX FLT_MAX
#define RV_REAL_INT int32_t
#define RV_MATH(name) name##f
#define RV_LETTER s
#define RV_SUFFIX _f32
#define rv_tile rv_tile_f32
#include "optim/kernel_real.h"
#include RV_KERNEL_FILE
#undef RV_REAL
#undef RV_REAL_MAX
#undef RV_REAL_INT
#undef RV_MATH
#undef RV_LETTER
#undef RV_SUFFIX
#undef rv_tile

#define RV_REAL double
#define RV_REAL_MAX DBL_MAX
#define RV_REAL_INT int64_t
#define RV_MATH(name) name
#define RV_LETTER d
#define RV_SUFFIX _f64
#define rv_tile rv_tile_f64
#include "optim/kernel_real.h"
#include RV_KERNEL_FILE
#undef RV_REAL
#undef RV_REAL_MAX
#undef RV_REAL_INT
#undef RV_MATH
#undef RV_LETTER
#undef RV_SUFFIX
#undef rv_tile
