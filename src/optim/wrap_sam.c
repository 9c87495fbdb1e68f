/* Sharpness-aware minimisation: the step is made with the gradient at nearby weights.
 *     T = 1 (sam), |w| (adaptive), |w| + eta for matrices and kernels and 1 for vectors (asam)
 *     e = rho T^2 g/(||T g|| + tiny), the norm over all tensors;  g <- gradient at w + e
 * The weights themselves are not touched: the closure is called with others. */
#ifndef RV_REAL

#include "optim/method.h"

enum { SAM, ADAPTIVE, ASAM };

typedef struct sam_args {
    int form;
    double eta, scale;
    const rv_tensor *tensors;
    void *const *to;
} sam_args;

#define RV_KERNEL_FILE "optim/wrap_sam.c"
#include "optim/kernel.h"

#define SAM_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                       \
    REAL(rho, 0.05, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "how far away; 0.5 to 2 for the adaptive forms") \
    CHOICE(form, "sam|adaptive|asam", "sam", "what distances are measured by")                          \
    REAL(eta, 0.01, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "added to |w|, asam")
RV_PARAM_STRUCT(sam_params, SAM_PARAMS);
RV_PARAM_TABLE(sam_table, "sam", sam_params, SAM_PARAMS);

static rv_status before(const rv_run *run)
{
    const sam_params *p = run->params;
    double total[RV_MAX_SUMS];
    const void *const *g;
    sam_args args = {.form = p->form, .eta = p->eta, .tensors = run->tensors, .to = rv_run_probe_weights(run)};
    RV_TRY(rv_run_sum(run, RV_KERNEL_OF(length), &args, total, NULL));
    args.scale = p->rho / (sqrt(total[0]) + (p->form == ASAM ? 1e-16 : 1e-12));
    RV_TRY(rv_run_map(run, RV_KERNEL_OF(climb), &args));
    RV_TRY(rv_run_probe(run, RV_PROBE_GRADIENT, true, &g));
    rv_run_use_gradient(run, g);
    return RV_OK;
}

const rv_wrapper rv_wrapper_sam = {
    .method = {.info = {.name = "sam",
                        .version = 1,
                        .title = "Sharpness-aware minimisation (SAM, adaptive SAM, ASAM)",
                        .equations = "sam: T = 1; adaptive: T = |w|; asam: T = |w| + eta for tensors of two or more axes, else 1\n"
                                     "e = rho T^2 g/(||T g|| + tiny), the norm over all tensors\n"
                                     "g <- gradient at w + e of the same batch; tiny 1e-12, asam 1e-16",
                        .paper = "Foret, Kleiner, Mobahi & Neyshabur 2021; Kwon, Kim, Park & Choi 2021 (ASAM)",
                        .reference = "davda54/sam 3c3afdbd sam.py (sam, adaptive); SamsungLabs/ASAM f156a680 asam.py (asam)",
                        .deviations = "asam tells matrices from vectors by rank, the reference by \"weight\" in the name",
                        .params = &sam_table,
                        .state = "none",
                        .bytes_per_parameter = 0},
               .tolerance = 1e-12,
               .probes = true},
    .before = before,
};

#else

RV_INLINE RV_REAL RV_FN(measure)(const sam_args *a, bool vector, RV_REAL w)
{
    if (a->form == SAM || (a->form == ASAM && vector))
        return 1;
    return RV_MATH(fabs)(w) + (a->form == ASAM ? (RV_REAL)a->eta : 0);
}

RV_TILE_FUNCTION(length, sam_args)
{
    const bool vector = a->tensors[t->tensor].shape.rank < 2;
    RV_REAL x[512 / sizeof(RV_REAL)];
    RV_EACH (i, t->n)
        x[i] = RV_FN(measure)(a, vector, t->w[i]) * t->g[i];
    RV_FN(rv_dot)(x, x, t->n, t->sum[0]);
}
#define RV_KERNEL length
#define RV_KERNEL_ARGS sam_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(climb, sam_args)
{
    const bool vector = a->tensors[t->tensor].shape.rank < 2;
    const RV_REAL scale = (RV_REAL)a->scale;
    RV_REAL *to = (RV_REAL *)a->to[t->tensor] + t->at;
    RV_EACH (i, t->n) {
        const RV_REAL by = RV_FN(measure)(a, vector, t->w[i]);
        to[i] = t->w[i] + by * by * t->g[i] * scale;
    }
}
#define RV_KERNEL climb
#define RV_KERNEL_ARGS sam_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

#endif
