/* Generalised primal averaging: the method walks on z, gradients are taken at y between z and the
 * average x, and x is evaluated.
 *     z <- method's step from z with the gradient at y
 *     x <- mu_x x + (1 - mu_x) z;  y <- mu_y x + (1 - mu_y) z
 * The weights that are trained are y.  average schedule_free: mu_x = 1 - lr^2/(sum of lr^2), the
 * rate of the first tensor's method: Schedule-Free around any method.
 * Reference: facebookresearch/optimizers f6066066 (GPA). */
#ifndef RV_REAL

#include "optim/method.h"

typedef struct gpa_args {
    double mu_x, mu_y;
    double weight_decay;
    const double *lrs; /* per tensor */
} gpa_args;

enum { X, Z };

#define RV_KERNEL_FILE "optim/wrap_gpa.c"
#include "optim/kernel.h"

#define GPA_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                          \
    REAL(mu_x, 0.9967, 0, 1, RV_PARAM_OPEN_HI, "share of the average that stays, average constant") \
    REAL(mu_y, 0.7, 0, 1, 0, "share of x in y, where gradients are taken")                 \
    REAL(weight_decay, 0, 0, HUGE_VAL, RV_PARAM_LOG | RV_PARAM_OPEN_HI, "of z, times the learning rate; y stays and x follows") \
    CHOICE(average, "constant|schedule_free", "constant", "mu_x as given, or by the rates so far")
RV_PARAM_STRUCT(gpa_params, GPA_PARAMS);
RV_PARAM_TABLE(gpa_table, "gpa", gpa_params, GPA_PARAMS);

enum { CONSTANT, SCHEDULE_FREE };

/* y waits in the scratch while the method works on z. */
static rv_status before(const rv_run *run)
{
    const gpa_params *p = run->params;
    rv_run_copy(run, (const void *const *)run->w, rv_run_scratch(run));
    return rv_run_map(run, RV_KERNEL_OF(to_z),
                      &(gpa_args){.mu_y = p->mu_y, .weight_decay = p->weight_decay, .lrs = run->lrs});
}

static void undo(const rv_run *run)
{
    rv_run_copy(run, (const void *const *)rv_run_scratch(run), run->w);
}

static rv_status after(const rv_run *run)
{
    const gpa_params *p = run->params;
    double mu_x = p->mu_x;
    if (p->average == SCHEDULE_FREE && run->count > 0) {
        const double weight = run->lrs[0] * run->lrs[0], sum = run->scalars[0] + weight;
        mu_x = sum > 0 ? 1 - weight / sum : 1;
        run->scalars[0] = sum;
    }
    return rv_run_map(run, RV_KERNEL_OF(from_z), &(gpa_args){.mu_x = mu_x, .mu_y = p->mu_y});
}

static void evaluation_weights(const rv_run *run, void *const *dst)
{
    for (int i = 0; i < run->count; i++)
        memcpy(dst[i], rv_run_slot(run, i, X), (size_t)rv_shape_size(&run->tensors[i].shape) * rv_dtype_size(run->dtype));
}

static const rv_slot slots[] = {{"x", rv_slot_like, true}, {"z", rv_slot_like, true}};
static const char *const scalars[] = {"weight_sum"};

const rv_wrapper rv_wrapper_gpa = {
    .method = {.info = {.name = "gpa",
                        .version = 1,
                        .title = "Generalised primal averaging, and Schedule-Free, around any method",
                        .equations = "z <- the method's step from z with the gradient at y\n"
                                     "x <- mu_x x + (1 - mu_x) z;  y <- mu_y x + (1 - mu_y) z;  evaluated at x\n"
                                     "schedule_free: mu_x = 1 - lr^2/(sum of lr^2)\n"
                                     "weight_decay: before the step z <- z (1 - lr weight_decay) while y stays, so that "
                                     "x = y + (1 - 1/mu_y)(z - y) moves too",
                        .paper = "Defazio et al. 2025, generalised primal averaging; Defazio et al. 2024, The road less "
                                 "scheduled",
                        .reference = "facebookresearch/optimizers f6066066 (iterate averaging GPA)",
                        .deviations = "x and z are both stored, the reference stores z and y, so that its decay of z also "
                                      "moves x: weight_decay here does; decay of the method itself shrinks z alone",
                        .params = &gpa_table,
                        .state = "x, z: like the tensor, start as the weights; weight_sum: scalar",
                        .bytes_per_parameter = 8},
               .tolerance = 1e-12,
               .slots = slots,
               .slot_count = 2,
               .scalars = scalars,
               .scalar_count = 1,
               .evaluation_weights = evaluation_weights},
    .before = before,
    .after = after,
    .undo = undo,
    .scratch = true,
};

#else

RV_TILE_FUNCTION(to_z, gpa_args)
{
    const double lr = a->weight_decay > 0 ? a->lrs[t->tensor] : 0;
    const RV_REAL shrink = (RV_REAL)(lr > 0 ? lr * a->weight_decay : 0);
    const RV_REAL share = (RV_REAL)(a->mu_y > 0 ? 1 - 1 / a->mu_y : 0); /* x = y + share (z - y) */
    RV_REAL *x = t->s[X];
    RV_EACH (i, t->n) {
        const RV_REAL z = t->s[Z][i];
        t->out[i] = z - shrink * z;
        x[i] -= share * shrink * z;
    }
}
#define RV_KERNEL to_z
#define RV_KERNEL_ARGS gpa_args
#include "optim/kernel_loop.h"

RV_TILE_FUNCTION(from_z, gpa_args)
{
    const RV_REAL take = (RV_REAL)(1 - a->mu_x), mu_y = (RV_REAL)a->mu_y;
    RV_REAL *x = t->s[X], *z = t->s[Z];
    RV_EACH (i, t->n) {
        z[i] = t->w[i];
        x[i] += take * (z[i] - x[i]); /* in this form x stays where x = z */
        t->out[i] = z[i] + mu_y * (x[i] - z[i]);
    }
}
#define RV_KERNEL from_z
#define RV_KERNEL_ARGS gpa_args
#include "optim/kernel_loop.h"

#endif
