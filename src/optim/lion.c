/* Lion: the sign of a mixture of momentum and gradient, with caution as an option.
 *     w <- w (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g);  m <- beta2 m + (1 - beta2) g
 * Reference: google/automl lion/lion_pytorch.py 6a54c874; caution: timm, lucidrains, C-Optim.
 * Deviations: none. */
#ifndef RV_REAL

#include "optim/caution.h"
#include "optim/rows.h"

typedef struct lion_args {
    double lr, keep, beta1, rest1, beta2, rest2;
    double weak;                          /* the mask where an update points against the gradient */
    const double (*scales)[RV_MAX_SUMS];  /* of the cautious mask, per tensor; NULL: none */
} lion_args;

#define RV_KERNEL_FILE "optim/lion.c"
#include "optim/kernel.h"

#define LION_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                \
    RV_HP_LR(REAL, 1e-4)                                                                          \
    REAL(beta1, 0.9, 0, 1, 0, "share of momentum in the update")                                  \
    REAL(beta2, 0.99, 0, 1, RV_PARAM_OPEN_HI, "decay of the mean of gradients")                   \
    RV_HP_DECOUPLED(REAL, 0)                                                                      \
    RV_HP_CAUTION(CHOICE, "off")                                                                  \
    REAL(caution_floor, 1e-3, 0, 1, RV_PARAM_OPEN_LO, "mean: least mean of the mask that is divided by") \
    REAL(cautious_factor, 0, 0, 1, 0, "mean: the mask where an update points against the gradient")
RV_PARAM_STRUCT(lion_params, LION_PARAMS);
RV_PARAM_TABLE(lion_table, "lion", lion_params, LION_PARAMS);

static rv_status step(const rv_run *run)
{
    const lion_params *p = run->params;
    lion_args args = {.lr = run->lr,
                      .keep = 1 - run->lr * p->weight_decay,
                      .beta1 = p->beta1,
                      .rest1 = 1 - p->beta1,
                      .beta2 = p->beta2,
                      .rest2 = 1 - p->beta2,
                      .weak = p->caution == RV_CAUTION_MEAN ? p->cautious_factor : 0};
    RV_TRY(rv_caution_measure(run, RV_KERNEL_OF(lion_aligned), &args, p->caution, p->caution_floor, args.weak, &args.scales));
    return rv_run_map(run, RV_KERNEL_OF(lion), &args);
}

static const rv_slot slots[] = {{"m", rv_slot_like, false}};

const rv_method rv_method_lion = {
    .info = {.name = "lion",
             .version = 1,
             .title = "Lion, evolved sign momentum",
             .equations = "u = sign(beta1 m + (1 - beta1) g), sign(0) = 0\n"
                          "w <- w (1 - lr weight_decay) - lr u;  m <- beta2 m + (1 - beta2) g\n"
                          "caution: k = 1 where u g > 0, else cautious_factor; u <- u k s per tensor\n"
                          "mean (timm; lucidrains with caution_floor=1e-5): s = 1/max(mean(k), caution_floor)\n"
                          "count (C-Lion): s = size/(sum(k) + 1)",
             .paper = "Chen et al. 2023, Symbolic discovery of optimization algorithms; Liang et al. 2024, Cautious "
                      "optimizers",
             .reference = "google/automl 6a54c874 lion/lion_pytorch.py; caution: pytorch-image-models aa4b5850 "
                          "timm/optim/lion.py, lucidrains/lion-pytorch 6a74fdc0 lion_pytorch/cautious_lion.py, "
                          "kyleliang919/C-Optim 2c0517c4 c_lion.py",
             .deviations = "none",
             .params = &lion_table,
             .state = "m: like the tensor",
             .bytes_per_parameter = 4},
    .tolerance = 1e-12,
    .slots = slots,
    .slot_count = 1,
    .step = step,
};

#else

RV_TILE_FUNCTION(lion_aligned, lion_args)
{
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    const RV_REAL *m = t->s[0];
    RV_REAL_INT count = 0;
    RV_EACH (i, t->n)
        count += RV_FN(rv_sign)(beta1 * m[i] + rest1 * t->g[i]) * t->g[i] > 0 ? 1 : 0;
    t->sum[0][0] += (double)count;
}
#define RV_KERNEL lion_aligned
#define RV_KERNEL_ARGS lion_args
#define RV_KERNEL_MEASURES
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(lion, lion_args)
{
    const RV_REAL lr = (RV_REAL)a->lr, keep = (RV_REAL)a->keep;
    const RV_REAL beta1 = (RV_REAL)a->beta1, rest1 = (RV_REAL)a->rest1;
    const RV_REAL beta2 = (RV_REAL)a->beta2, rest2 = (RV_REAL)a->rest2;
    const RV_REAL scale = a->scales ? (RV_REAL)a->scales[t->tensor][0] : 1;
    const RV_REAL weak = a->scales ? scale * (RV_REAL)a->weak : 1;
    RV_REAL *m = t->s[0];
    RV_EACH (i, t->n) {
        const RV_REAL g = t->g[i], u = RV_FN(rv_sign)(beta1 * m[i] + rest1 * g);
        t->out[i] = keep * t->w[i] - lr * (u * (u * g > 0 ? scale : weak));
        m[i] = beta2 * m[i] + rest2 * g;
    }
}
#define RV_KERNEL lion
#define RV_KERNEL_ARGS lion_args
#include "optim/kernel_loop.h"

#endif
