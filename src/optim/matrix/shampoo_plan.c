/* What the Shampoo family keeps, when it takes roots and of which power.  Invariant: all of
 * it follows from parameters, tensors and the number of the step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "optim/matrix/shampoo_family.h"
#include "optim/newton_schulz.h"

bool rv_shampoo_has_factors(const rv_shampoo_params *p)
{
    return p->preconditioner < RV_PRE_SPECTRAL;
}

static rv_blocking blocking_of(const rv_shampoo_params *p)
{
    return (rv_blocking){.merging = (rv_merging)p->merging,
                         .limit = p->max_preconditioner_dim,
                         .merge_to = p->merge_to > 0 ? p->merge_to : 1,
                         .diagonal_vectors = p->preconditioner == RV_PRE_CASPR};
}

static int64_t first_roots(const rv_shampoo_params *p)
{
    return p->start_preconditioning_step > 0 ? p->start_preconditioning_step : p->precondition_frequency;
}

/* ---- exponents ----------------------------------------------------------------- */

/* One item "ORDER:E" or "ORDER.AXIS:E" of a list; false: not such an item. */
static bool read_override(const char *item, double power[RV_MAX_RANK + 1][RV_MAX_RANK])
{
    char *end;
    const long order = strtol(item, &end, 10);
    long axis = -1;
    if (end == item || order < 1 || order > RV_MAX_RANK)
        return false;
    if (*end == '.') {
        const char *digits = end + 1;
        axis = strtol(digits, &end, 10);
        if (end == digits || axis < 0 || axis >= order)
            return false;
    }
    if (*end != ':')
        return false;
    double value;
    if (!rv_text_to_real(end + 1, &value) || !(value >= 0 && value <= 16))
        return false;
    for (int k = 0; k < order; k++)
        if (axis < 0 || axis == k)
            power[order][k] = value;
    return true;
}

/* The exponents of all orders and axes; false: exponent_override is not a list of items. */
static bool powers_of(const rv_shampoo_params *p, double power[RV_MAX_RANK + 1][RV_MAX_RANK])
{
    const double multiplier = p->exponent_multiplier > 0 ? p->exponent_multiplier : 1;
    for (int order = 0; order <= RV_MAX_RANK; order++)
        for (int axis = 0; axis < RV_MAX_RANK; axis++) {
            const double root = p->root_override > 0 ? (double)p->root_override : 2.0 * order;
            power[order][axis] = p->preconditioner == RV_PRE_CASPR ? 0.25 : order > 0 ? multiplier / root : 0;
        }
    char list[RV_PARAM_TEXT_SIZE], *rest = NULL;
    memcpy(list, p->exponent_override, sizeof list);
    for (char *item = strtok_r(list, " ;", &rest); item; item = strtok_r(NULL, " ;", &rest))
        if (!read_override(item, power))
            return false;
    return true;
}

static rv_root root_of(const rv_shampoo_params *p)
{
    return (rv_root){.solver = (rv_root_solver)p->root,
                     .perturb = (rv_perturb)p->perturb,
                     .epsilon = p->epsilon,
                     .tolerance = p->root_tolerance,
                     .iterations = p->root_iterations,
                     .order = (int)p->root_order};
}

static rv_status check_powers(const rv_shampoo_params *p, rv_error *err)
{
    double power[RV_MAX_RANK + 1][RV_MAX_RANK];
    if (!powers_of(p, power))
        return rv_fail(err, RV_E_ARGUMENT, "exponent_override: expected ORDER:E or ORDER.AXIS:E with 0 <= E <= 16, several "
                       "apart by spaces, found '%s'", p->exponent_override);
    for (int order = 1; order <= RV_MAX_RANK; order++)
        for (int axis = 0; axis < order; axis++) {
            rv_root root = root_of(p);
            root.power = power[order][axis];
            if (root.power > 0)
                RV_TRY(rv_root_check(&root, "shampoo", err));
        }
    return RV_OK;
}

rv_status rv_shampoo_check(const void *params, rv_error *err)
{
    const rv_shampoo_params *p = params;
    if (first_roots(p) < p->precondition_frequency)
        return rv_fail(err, RV_E_ARGUMENT, "shampoo: start_preconditioning_step must be at least "
                       "precondition_frequency (%lld), found %lld",
                       (long long)p->precondition_frequency, (long long)p->start_preconditioning_step);
    if (p->preconditioner == RV_PRE_EIGENVALUES && rv_graft_has_squares(p->grafting))
        return rv_fail(err, RV_E_ARGUMENT, "shampoo: preconditioner=eigenvalues has squares of its own and takes "
                       "grafting=none or sgd only");
    if (p->perturb == RV_PERTURB_PSEUDO && p->epsilon != 0)
        return rv_fail(err, RV_E_ARGUMENT, "shampoo: perturb=pseudo takes epsilon=0 only");
    return check_powers(p, err);
}

/* ---- when ------------------------------------------------------------------------ */

bool rv_shampoo_due(const rv_shampoo_args *args, int64_t unit)
{
    const int64_t every = args->p->precondition_frequency;
    if (!args->p->stagger)
        return args->step == args->start || (args->step > args->start && args->step % every == 0);
    const int64_t since = args->step - (args->start - every + 1); /* all are there at the start */
    return since >= 0 && since % every == unit % every;
}

static bool any_due(const rv_shampoo_args *args)
{
    if (!rv_shampoo_has_factors(args->p))
        return false;
    return args->p->stagger ? args->step > args->start - args->p->precondition_frequency : rv_shampoo_due(args, 0);
}

static void set_filter(rv_shampoo_args *args)
{
    const rv_shampoo_params *p = args->p;
    const double t = (double)args->step;
    const double ahead = p->use_nadam ? p->beta1 * p->beta1 : p->beta3 > 0 ? p->beta3 : p->beta1;
    const double missing = p->filter_correction == RV_FILTER_PLAIN ? pow(p->beta1, t) : ahead * pow(p->beta1, t - 1);
    args->look = ahead;
    args->look_scale = p->bias_correction ? 1 / (1 - missing) : 1;
}

static void set_decay(rv_shampoo_args *args)
{
    const rv_shampoo_params *p = args->p;
    args->decay = p->weight_decay;
    if (p->decay == RV_DECAY_CORRECTED)
        args->decay *= p->lr > 0 ? args->lr / p->lr : 0;
    else if (p->decay == RV_DECAY_INDEPENDENT)
        args->decay = p->lr > 0 ? p->weight_decay / p->lr : 0;
    else if (p->decay == RV_DECAY_L2)
        args->decay = 0;
}

rv_shampoo_args rv_shampoo_args_of(const rv_run *run)
{
    const rv_shampoo_params *p = run->params;
    rv_shampoo_args args = {.p = p,
                            .blocking = blocking_of(p),
                            .root = root_of(p),
                            .graft = rv_graft_at(p->grafting, p->grafting_beta2, p->grafting_epsilon, run->step),
                            .lr = run->lr,
                            .keep = p->beta2,
                            .weight = p->beta2 == 1 || p->drop_weighting ? 1 : 1 - p->beta2,
                            .correction = p->beta2 < 1 && p->bias_correction ? 1 - pow(p->beta2, (double)run->step) : 1,
                            .momentum_weight = p->momentum_form == RV_MOMENTUM_MEAN ? 1 - p->momentum : 1 - p->dampening,
                            .step = run->step,
                            .start = first_roots(p)};
    args.started = args.step >= args.start;
    args.refresh = any_due(&args);
    (void)powers_of(p, args.power); /* as checked */
    set_filter(&args);
    set_decay(&args);
    return args;
}

/* ---- what is kept ------------------------------------------------------------------ */

static bool factors_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const rv_blocking how = blocking_of(params);
    *shape = RV_SHAPE(rv_blocks_factors(tensor, &how));
    return rv_shampoo_has_factors(params);
}

static bool m_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const rv_shampoo_params *)params)->beta1 > 0 && rv_slot_like(tensor, params, shape);
}

static bool squares_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    const rv_shampoo_params *p = params;
    return (p->preconditioner == RV_PRE_EIGENVALUES || rv_graft_has_squares(p->grafting)) &&
           rv_slot_like(tensor, params, shape);
}

static bool momentum_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const rv_shampoo_params *)params)->momentum > 0 && rv_slot_like(tensor, params, shape);
}

const rv_slot rv_shampoo_slots[RV_SHAMPOO_SLOTS] = {
    {"factors", factors_shape, false}, {"roots", factors_shape, false},    {"m", m_shape, false},
    {"squares", squares_shape, false}, {"momentum", momentum_shape, false}};

/* Five buffers of a block and what orthogonalisation needs; or a factor, its root and LAPACK's
 * work, in double. */
size_t rv_shampoo_workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    const rv_shampoo_params *p = params;
    const rv_blocking how = blocking_of(p);
    int64_t size, longest;
    rv_blocks_largest(tensor, &how, &size, &longest);
    size_t block = 5 * (size_t)size, root = 0;
    if (p->preconditioner == RV_PRE_SPECTRAL)
        block += 3 * (size_t)size; /* at least 2 small^2 + size */
    if (rv_shampoo_has_factors(p))
        root = (2 * (size_t)longest * (size_t)longest + rv_root_size((int)longest)) * sizeof(double);
    block *= rv_dtype_size(dtype);
    return block > root ? block : root;
}

static int axes_of(const rv_tensor *tensor, const rv_blocking *how)
{
    return rv_blocks_view(tensor, how).rank;
}

int rv_shampoo_tasks(const rv_tensor *tensor, const void *params)
{
    const rv_blocking how = blocking_of(params);
    return rv_blocks_count(tensor, &how) * axes_of(tensor, &how);
}

/* Of the root of one axis. */
double rv_shampoo_cost(const rv_tensor *tensor, const void *params, int task)
{
    const rv_blocking how = blocking_of(params);
    const int axes = axes_of(tensor, &how);
    rv_subblock block;
    rv_block_find(tensor, &how, task / axes, &block);
    return pow((double)block.length[task % axes], 3);
}

/* ---- passes ------------------------------------------------------------------------- */

enum { BLOCKS, UNITS }; /* what tasks are: columns of the table below */

/* Blocks and units (axes of blocks) before every tensor, in room that the group has for sums;
 * total [2]: of all. */
static void count_tasks(const rv_run *run, const rv_blocking *how, int *total)
{
    double (*before)[RV_MAX_SUMS] = rv_run_sums(run);
    total[BLOCKS] = total[UNITS] = 0;
    for (int i = 0; i < run->count; i++) {
        const int n = rv_blocks_count(&run->tensors[i], how);
        before[i][BLOCKS] = total[BLOCKS];
        before[i][UNITS] = total[UNITS];
        total[BLOCKS] += n;
        total[UNITS] += n * axes_of(&run->tensors[i], how);
    }
}

/* The tensor of task *number, which is then counted in the tensor: the last one that begins at
 * or before it. */
static int locate(const rv_run *run, int what, int *number)
{
    double (*before)[RV_MAX_SUMS] = rv_run_sums(run);
    int low = 0, high = run->count; /* before[low] <= number < before[high] */
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (before[middle][what] <= *number)
            low = middle;
        else
            high = middle;
    }
    *number -= (int)before[low][what];
    return low;
}

static int tensor_of_block(const rv_run *run, const void *context, int number)
{
    (void)context;
    return locate(run, BLOCKS, &number);
}

static int tensor_of_unit(const rv_run *run, const void *context, int number)
{
    (void)context;
    return locate(run, UNITS, &number);
}

static rv_fault block_task(const rv_run *run, const void *context, int number, int worker)
{
    const rv_shampoo_args *args = context;
    rv_subblock block;
    const int tensor = locate(run, BLOCKS, &number);
    rv_block_find(&run->tensors[tensor], &args->blocking, number, &block);
    return (run->dtype == RV_F32 ? rv_shampoo_block_f32 : rv_shampoo_block_f64)(run, args, tensor, &block, worker);
}

static rv_fault unit_task(const rv_run *run, const void *context, int number, int worker)
{
    const rv_shampoo_args *args = context;
    if (!rv_shampoo_due(args, number))
        return RV_FAULT_NONE;
    rv_subblock block;
    const int tensor = locate(run, UNITS, &number), axes = axes_of(&run->tensors[tensor], &args->blocking);
    rv_block_find(&run->tensors[tensor], &args->blocking, number / axes, &block);
    return (run->dtype == RV_F32 ? rv_shampoo_refresh_f32 : rv_shampoo_refresh_f64)(run, args, tensor, &block, number % axes,
                                                                                    rv_run_workspace(run, worker));
}

rv_status rv_shampoo_step(const rv_run *run)
{
    rv_shampoo_args args = rv_shampoo_args_of(run);
    int total[2];
    count_tasks(run, &args.blocking, total);
    args.observe = true;
    args.move = !args.refresh;
    if (args.refresh) { /* three passes: roots want all factors of a block, and are shared out one by one */
        RV_TRY(rv_run_each(run, total[BLOCKS], block_task, tensor_of_block, &args));
        RV_TRY(rv_run_each(run, total[UNITS], unit_task, tensor_of_unit, &args));
        args.observe = false;
        args.move = true;
    }
    return rv_run_each(run, total[BLOCKS], block_task, tensor_of_block, &args);
}
