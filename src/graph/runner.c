/* Runs the programs of a plan in an arena of its own: flat arrays of prepared calls.
 *
 * Addresses in the arena are fixed when the runner is made; those in w, g and the
 * statistics are set per run.  A run allocates nothing and looks nothing up. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/plan.h"

/* Part of the flat vector that no backward kernel writes: set to zero. */
typedef struct gap {
    int64_t start, count; /* elements */
} gap;

struct rv_runner {
    const rv_plan *plan;
    rv_arena arena;
    rv_call *calls; /* [forward + backward] */
    gap *gaps;
    int gap_count;
    const void *w;  /* of the last forward */
    bool ran;       /* a forward whose backward has not run */
    void *factors;  /* of rv_runner_tap; NULL: none */
    int64_t factor_used, factor_of;
};

static const rv_kernels *kernels_of(const rv_runner *runner, const rv_call *call)
{
    return call->node->op->kernels[runner->plan->options.backend];
}

/* ---- addresses -------------------------------------------------------- */

static void *block_address(const rv_runner *runner, rv_spot spot)
{
    return spot.where == RV_SPOT_BLOCK ? (char *)runner->arena.base + runner->plan->program.blocks[spot.index].offset
                                       : NULL;
}

static size_t parameter_offset(const rv_plan *plan, rv_spot spot)
{
    return (size_t)plan->layout.tensors[spot.index].offset * plan->element;
}

static void make_call(rv_runner *runner, int s)
{
    const rv_plan *plan = runner->plan;
    const rv_step *step = &plan->program.steps[s];
    rv_call *call = &runner->calls[s];
    const int pack = plan->pack_of[step->node];
    call->node = &plan->program.nodes[step->node];
    call->node_index = (uint64_t)plan->program.number[step->node];
    for (int j = 0; j < RV_OP_INPUTS; j++) {
        call->in[j] = block_address(runner, step->in[j]);
        call->gin[j] = block_address(runner, step->gin[j]);
        call->add[j] = step->add[j];
    }
    call->out = block_address(runner, step->out);
    call->saved = block_address(runner, step->saved);
    call->scratch = block_address(runner, step->scratch);
    call->gout = block_address(runner, step->gout);
    call->prepared = plan->prepared[step->node];
    call->packed = pack < 0 ? NULL : (const char *)plan->packed.base + plan->packs[pack].offset;
}

/* Points the operands of steps [from, to) that are parameters into w. */
static void bind_parameters(rv_runner *runner, int from, int to, const void *w)
{
    const rv_plan *plan = runner->plan;
    for (int s = from; s < to; s++)
        for (int j = 0; j < RV_OP_INPUTS; j++)
            if (plan->program.steps[s].in[j].where == RV_SPOT_PARAMETER)
                runner->calls[s].in[j] = (const char *)w + parameter_offset(plan, plan->program.steps[s].in[j]);
}

static void bind_gradients(rv_runner *runner, void *g)
{
    const rv_plan *plan = runner->plan;
    const rv_program *program = &plan->program;
    for (int s = program->forward; s < program->forward + program->backward; s++)
        for (int j = 0; j < RV_OP_INPUTS; j++)
            if (program->steps[s].gin[j].where == RV_SPOT_PARAMETER)
                runner->calls[s].gin[j] = (char *)g + parameter_offset(plan, program->steps[s].gin[j]);
}

/* Shard and statistics of both programs. */
static void bind_shard(rv_runner *runner, rv_shard shard, void *statistics)
{
    const rv_plan *plan = runner->plan;
    for (int s = 0; s < plan->program.forward + plan->program.backward; s++) {
        const int64_t offset = plan->statistics[plan->program.steps[s].node];
        runner->calls[s].shard = shard;
        if (offset >= 0)
            runner->calls[s].statistics = (char *)statistics + (size_t)offset * plan->element;
    }
}

/* ---- making a runner -------------------------------------------------- */

/* What lies between tensors that get a gradient, up to the end of the vector. */
static void find_gaps(rv_runner *runner)
{
    const rv_plan *plan = runner->plan;
    int64_t at = 0;
    for (int i = 0; i <= plan->layout.count; i++) {
        const rv_tensor *tensor = i < plan->layout.count ? &plan->layout.tensors[i] : NULL;
        if (tensor && !plan->program.trained[i])
            continue;
        const int64_t start = tensor ? tensor->offset : plan->layout.size;
        if (start > at)
            runner->gaps[runner->gap_count++] = (gap){at, start - at};
        at = tensor ? start + rv_shape_size(&tensor->shape) : start;
    }
}

static rv_status make_runner(rv_runner *runner, rv_error *err)
{
    const rv_plan *plan = runner->plan;
    const int steps = plan->program.forward + plan->program.backward;
    runner->calls = calloc((size_t)steps + 1, sizeof *runner->calls);
    runner->gaps = calloc((size_t)plan->layout.count + 1, sizeof *runner->gaps);
    if (!runner->calls || !runner->gaps)
        return rv_fail(err, RV_E_MEMORY, "runner: no memory for %d steps", steps);
    /* Never empty, so that every block has an address. */
    RV_TRY(rv_arena_init(&runner->arena, plan->bytes.arena + rv_arena_align(1), err));
    for (int s = 0; s < steps; s++)
        make_call(runner, s);
    find_gaps(runner);
    return RV_OK;
}

rv_status rv_runner_new(rv_runner **out, const rv_plan *plan, rv_error *err)
{
    *out = NULL;
    rv_runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        return rv_fail(err, RV_E_MEMORY, "runner: no memory");
    runner->plan = plan;
    const rv_status status = make_runner(runner, err);
    if (status == RV_OK)
        *out = runner;
    else
        rv_runner_free(runner);
    return status;
}

void rv_runner_free(rv_runner *runner)
{
    if (!runner)
        return;
    rv_arena_release(&runner->arena);
    free(runner->calls);
    free(runner->gaps);
    free(runner);
}

/* ---- inputs and outputs ----------------------------------------------- */

void *rv_runner_input(rv_runner *runner, int input)
{
    if (input < 0 || input >= runner->plan->graph->input_list.count)
        return NULL;
    return block_address(runner, runner->plan->program.inputs[input]);
}

const void *rv_runner_output(const rv_runner *runner, const char *name)
{
    const rv_plan *plan = runner->plan;
    for (int i = 0; i < plan->graph->output_list.count; i++) {
        const rv_spot spot = plan->program.outputs[i];
        if (strcmp(plan->graph->outputs[i].name, name) != 0)
            continue;
        if (spot.where == RV_SPOT_PARAMETER)
            return runner->w ? (const char *)runner->w + parameter_offset(plan, spot) : NULL;
        return block_address(runner, spot);
    }
    return NULL;
}

static double element_at(const rv_plan *plan, const void *vector, int64_t i)
{
    return plan->element == sizeof(double) ? ((const double *)vector)[i] : (double)((const float *)vector)[i];
}

/* ---- the first value that is not finite ------------------------------- */

static rv_status check_finite(const rv_plan *plan, const char *what, const char *name, const void *vector,
                              const rv_shape *shape, rv_error *err)
{
    const int64_t n = rv_shape_size(shape);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(element_at(plan, vector, i)))
            return rv_fail(err, RV_E_NUMERIC, "%s '%s': expected finite values, found %g at element %lld", what, name,
                           element_at(plan, vector, i), (long long)i);
    return RV_OK;
}

/* Looks at inputs, parameters and, running again since memory is reused, every result. */
static rv_status name_not_finite(rv_runner *runner, rv_error *err)
{
    const rv_plan *plan = runner->plan;
    const rv_graph *graph = plan->graph;
    for (int i = 0; i < graph->input_list.count; i++) {
        const rv_graph_value *value = rv_graph_at(graph, graph->inputs[i].value);
        if (value->dtype == RV_F32)
            RV_TRY(check_finite(plan, "input", graph->inputs[i].name, rv_runner_input(runner, i), &value->shape, err));
    }
    for (int i = 0; i < plan->layout.count; i++) {
        const rv_tensor *tensor = &plan->layout.tensors[i];
        RV_TRY(check_finite(plan, "parameter", tensor->name,
                            (const char *)runner->w + (size_t)tensor->offset * plan->element, &tensor->shape, err));
    }
    for (int s = 0; s < plan->program.forward; s++) {
        const rv_call *call = &runner->calls[s];
        RV_TRY(kernels_of(runner, call)->forward(call, err));
        RV_TRY(check_finite(plan, call->node->op->name, call->node->name, call->out, &call->node->shape, err));
    }
    return rv_fail(err, RV_E_NUMERIC, "loss: expected a finite value");
}

/* ---- running ---------------------------------------------------------- */

rv_status rv_runner_forward(rv_runner *runner, const void *w, void *statistics, rv_shard shard, double loss[2],
                            rv_error *err)
{
    const rv_plan *plan = runner->plan;
    const int forward = plan->program.forward;
    runner->ran = false;
    if (plan->pack_count > 0 && !plan->is_packed)
        return rv_fail(err, RV_E_ARGUMENT, "runner: the weights are not packed: rv_plan_pack comes first");
    if (plan->buffer_size > 0 && !statistics)
        return rv_fail(err, RV_E_ARGUMENT, "runner: statistics: expected %lld elements, found none",
                       (long long)plan->buffer_size);
    runner->w = w;
    bind_parameters(runner, 0, forward, w);
    bind_shard(runner, shard, statistics);
    for (int s = 0; s < forward; s++)
        RV_TRY(kernels_of(runner, &runner->calls[s])->forward(&runner->calls[s], err));
    runner->ran = true;
    if (plan->program.loss.where == RV_SPOT_NONE)
        return RV_OK;
    for (int i = 0; i < 2; i++)
        loss[i] = element_at(plan, block_address(runner, plan->program.loss), i);
    if (isfinite(loss[0]) && isfinite(loss[1]))
        return RV_OK;
    runner->ran = false;
    return name_not_finite(runner, err);
}

void rv_runner_tap(rv_runner *runner, void *factors, int64_t used, int64_t of)
{
    runner->factors = factors;
    runner->factor_used = used;
    runner->factor_of = of;
}

/* What a layer is given and gives back is in memory now. */
static rv_status tap(const rv_runner *runner, int s, rv_error *err)
{
    const rv_plan *plan = runner->plan;
    const int64_t offset = plan->factors[plan->program.steps[s].node];
    if (offset < 0)
        return RV_OK;
    return kernels_of(runner, &runner->calls[s])->factors(&runner->calls[s],
                                                          (char *)runner->factors + (size_t)offset * plan->element,
                                                          runner->factor_used, runner->factor_of, err);
}

/* The gradient of the loss with respect to its pair (sum, weight): of the sum alone. */
static void write_seed(rv_runner *runner)
{
    void *seed = block_address(runner, runner->plan->program.seed);
    if (seed && runner->plan->element == sizeof(double))
        memcpy(seed, (const double[2]){1, 0}, sizeof(double[2]));
    else if (seed)
        memcpy(seed, (const float[2]){1, 0}, sizeof(float[2]));
}

rv_status rv_runner_backward(rv_runner *runner, const void *w, void *g, rv_error *err)
{
    const rv_plan *plan = runner->plan;
    const int forward = plan->program.forward, end = forward + plan->program.backward;
    if (!plan->options.gradient)
        return rv_fail(err, RV_E_ARGUMENT, "runner: the plan was made without a gradient");
    if (!runner->ran)
        return rv_fail(err, RV_E_ARGUMENT, "runner: backward follows a forward that succeeded, once");
    runner->ran = false;
    bind_parameters(runner, forward, end, w);
    bind_gradients(runner, g);
    write_seed(runner);
    for (int i = 0; i < runner->gap_count; i++)
        memset((char *)g + (size_t)runner->gaps[i].start * plan->element, 0,
               (size_t)runner->gaps[i].count * plan->element);
    for (int s = forward; s < end; s++) {
        RV_TRY(kernels_of(runner, &runner->calls[s])->backward(&runner->calls[s], err));
        if (runner->factors)
            RV_TRY(tap(runner, s, err));
    }
    return RV_OK;
}
