/* Runs the programs of a plan in an arena of its own: flat arrays of prepared calls.
 *
 * Addresses in the arena are fixed when the runner is made; those in w, g and the
 * statistics are set per run.  A run allocates nothing and looks nothing up.
 *
 * A call is one stage of a step.  One worker computes all of its units at once; a crew
 * divides them, and nothing else differs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/cut.h"
#include "graph/runner.h"

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

static rv_call make_call(const rv_runner *runner, const rv_step *step)
{
    const rv_plan *plan = runner->plan;
    rv_call made = {0}, *call = &made;
    const int pack = plan->pack_of[step->node];
    call->node = &plan->program.nodes[step->node];
    call->node_index = (uint64_t)plan->program.number[step->node];
    for (int j = 0; j < RV_OP_INPUTS; j++) {
        call->in[j] = block_address(runner, step->in[j]);
        call->gin[j] = block_address(runner, step->gin[j]);
        call->add[j] = step->add[j];
    }
    call->out = block_address(runner, step->out);
    call->in_bf16 = block_address(runner, step->in_bf16);
    call->out_bf16 = block_address(runner, step->out_bf16);
    call->saved = block_address(runner, step->saved);
    call->scratch = block_address(runner, step->scratch);
    call->work = (char *)runner->arena.base + plan->bytes.arena;
    call->gout = block_address(runner, step->gout);
    call->prepared = plan->prepared[step->node];
    call->packed = pack < 0 ? NULL : (const char *)plan->packed.base + plan->packs[pack].offset;
    return made;
}

static const rv_step *step_of(const rv_runner *runner, int c)
{
    return &runner->plan->program.steps[runner->step_of[c]];
}

/* Points the operands of calls [from, to) that are parameters into w. */
static void bind_parameters(rv_runner *runner, int from, int to, const void *w)
{
    for (int c = from; c < to; c++)
        for (int j = 0; j < RV_OP_INPUTS; j++)
            if (step_of(runner, c)->in[j].where == RV_SPOT_PARAMETER)
                runner->calls[c].in[j] = (const char *)w + parameter_offset(runner->plan, step_of(runner, c)->in[j]);
}

static void bind_gradients(rv_runner *runner, void *g)
{
    for (int c = runner->forward_calls; c < runner->call_count; c++)
        for (int j = 0; j < RV_OP_INPUTS; j++)
            if (step_of(runner, c)->gin[j].where == RV_SPOT_PARAMETER)
                runner->calls[c].gin[j] = (char *)g + parameter_offset(runner->plan, step_of(runner, c)->gin[j]);
}

/* Shard and statistics of both programs. */
static void bind_shard(rv_runner *runner, rv_shard shard, void *statistics)
{
    const rv_plan *plan = runner->plan;
    for (int c = 0; c < runner->call_count; c++) {
        const int64_t offset = plan->statistics[step_of(runner, c)->node];
        runner->calls[c].shard = shard;
        if (offset >= 0)
            runner->calls[c].statistics = (char *)statistics + (size_t)offset * plan->element;
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
            runner->gaps[runner->gap_count++] = (rv_gap){at, start - at};
        at = tensor ? start + rv_shape_size(&tensor->shape) : start;
    }
}

/* Appends the calls of step s, one for every stage. */
static void make_calls(rv_runner *runner, int s)
{
    const rv_plan *plan = runner->plan;
    rv_call call = make_call(runner, &plan->program.steps[s]);
    const rv_cut cut = rv_cut_asked(rv_runner_kernels(runner, &call), call.node, s >= plan->program.forward);
    for (int stage = 0; stage < cut.stages; stage++) {
        call.stage = stage;
        call.end = cut.units[stage];
        runner->step_of[runner->call_count] = s;
        runner->calls[runner->call_count++] = call;
    }
    if (s < plan->program.forward)
        runner->forward_calls = runner->call_count;
}

/* A piece should be worth more than it costs to hand it over, with the data that another worker
 * has in its cache: some microseconds.  The speeds are those of small work. */
static int pieces_of(const rv_runner *runner, const rv_call *call, bool backward)
{
    static const double piece = 2e-6, flops = 80e9, bytes = 40e9;
    const rv_cost cost = call->node->op->cost(call->node);
    const double worth = (cost.flops / flops + cost.bytes / bytes) * (backward ? 2 : 1) / piece;
    const int most = rv_crew_most(runner->crew);
    const int pieces = call->end < most ? call->end : most;
    return worth < 2 ? 1 : worth < pieces ? (int)worth : pieces;
}

static rv_status make_crew(rv_runner *runner, rv_pool *pool, rv_error *err)
{
    runner->pieces = calloc((size_t)runner->call_count + 1, sizeof *runner->pieces);
    if (!runner->pieces)
        return rv_fail(err, RV_E_MEMORY, "runner: no memory for %d calls", runner->call_count);
    RV_TRY(rv_crew_new(&runner->crew, pool, err));
    for (int c = 0; c < runner->call_count; c++)
        runner->pieces[c] = pieces_of(runner, &runner->calls[c], c >= runner->forward_calls);
    return RV_OK;
}

static rv_status make_runner(rv_runner *runner, rv_pool *pool, rv_error *err)
{
    const rv_plan *plan = runner->plan;
    const int steps = plan->program.forward + plan->program.backward, workers = rv_pool_workers(pool);
    const size_t calls = (size_t)steps * RV_CUT_STAGES + 1;
    runner->calls = calloc(calls, sizeof *runner->calls);
    runner->step_of = calloc(calls, sizeof *runner->step_of);
    runner->gaps = calloc((size_t)plan->layout.count + 1, sizeof *runner->gaps);
    if (!runner->calls || !runner->step_of || !runner->gaps)
        return rv_fail(err, RV_E_MEMORY, "runner: no memory for %d steps", steps);
    /* Never empty, so that every block has an address. */
    RV_TRY(rv_arena_init(&runner->arena, plan->bytes.arena + (size_t)workers * plan->bytes.work + rv_arena_align(1), err));
    for (int s = 0; s < steps; s++)
        make_calls(runner, s);
    find_gaps(runner);
    return workers > 1 ? make_crew(runner, pool, err) : RV_OK;
}

rv_status rv_runner_new_over(rv_runner **out, const rv_plan *plan, rv_pool *pool, rv_error *err)
{
    *out = NULL;
    rv_runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        return rv_fail(err, RV_E_MEMORY, "runner: no memory");
    runner->plan = plan;
    const rv_status status = make_runner(runner, pool, err);
    if (status == RV_OK)
        *out = runner;
    else
        rv_runner_free(runner);
    return status;
}

rv_status rv_runner_new(rv_runner **out, const rv_plan *plan, rv_error *err)
{
    return rv_runner_new_over(out, plan, NULL, err);
}

void rv_runner_free(rv_runner *runner)
{
    if (!runner)
        return;
    rv_arena_release(&runner->arena);
    rv_crew_free(runner->crew);
    free(runner->calls);
    free(runner->step_of);
    free(runner->pieces);
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

/* ---- running ---------------------------------------------------------- */

static rv_status run_call(const rv_runner *runner, int c, const rv_call *call, rv_error *err)
{
    const rv_kernels *kernels = rv_runner_kernels(runner, call);
    return c < runner->forward_calls ? kernels->forward(call, err) : kernels->backward(call, err);
}

/* Calls [from, ...) as a crew sees them: its stages. */
typedef struct shared_run {
    const rv_runner *runner;
    int from;
} shared_run;

static rv_status run_piece(void *context, int stage, int piece, int worker, rv_error *err)
{
    const shared_run *run = context;
    const rv_runner *runner = run->runner;
    const int c = run->from + stage, pieces = runner->pieces[c];
    rv_call call = runner->calls[c];
    const int64_t units = call.end;
    call.first = (int)(units * piece / pieces);
    call.end = (int)(units * (piece + 1) / pieces);
    call.work = (char *)call.work + (size_t)worker * runner->plan->bytes.work;
    return run_call(runner, c, &call, err);
}

/* Calls [from, to) in order. */
static rv_status run_calls(rv_runner *runner, int from, int to, rv_error *err)
{
    if (runner->crew)
        return rv_crew_run(runner->crew, runner->pieces + from, to - from, run_piece, &(shared_run){runner, from}, err);
    for (int c = from; c < to; c++)
        RV_TRY(run_call(runner, c, &runner->calls[c], err));
    return RV_OK;
}

rv_status rv_runner_forward(rv_runner *runner, const void *w, void *statistics, rv_shard shard, double loss[2],
                            rv_error *err)
{
    const rv_plan *plan = runner->plan;
    runner->ran = false;
    if (plan->pack_count > 0 && !plan->is_packed)
        return rv_fail(err, RV_E_ARGUMENT, "runner: the weights are not packed: rv_plan_pack comes first");
    if (plan->buffer_size > 0 && !statistics)
        return rv_fail(err, RV_E_ARGUMENT, "runner: statistics: expected %lld elements, found none",
                       (long long)plan->buffer_size);
    runner->w = w;
    bind_parameters(runner, 0, runner->forward_calls, w);
    bind_shard(runner, shard, statistics);
    RV_TRY(run_calls(runner, 0, runner->forward_calls, err));
    runner->ran = true;
    if (plan->program.loss.where == RV_SPOT_NONE)
        return RV_OK;
    for (int i = 0; i < 2; i++)
        loss[i] = rv_plan_element_at(plan, block_address(runner, plan->program.loss), i);
    if (isfinite(loss[0]) && isfinite(loss[1]))
        return RV_OK;
    runner->ran = false;
    return rv_runner_name_not_finite(runner, err);
}

void rv_runner_tap(rv_runner *runner, void *factors, int64_t used, int64_t of)
{
    runner->tap = (struct tap){factors, used, of};
}

/* What the layer of the last call of a step was given and gives back is in memory now. */
static rv_status tap(const rv_runner *runner, const rv_call *call, int step, rv_error *err)
{
    const int64_t offset = runner->plan->factors[runner->plan->program.steps[step].node];
    if (offset < 0)
        return RV_OK;
    return rv_runner_kernels(runner, call)->factors(call, (char *)runner->tap.factors + (size_t)offset * runner->plan->element,
                                             runner->tap.used, runner->tap.of, err);
}

/* Calls [from, to), all those of a step and then its tap, which one worker computes. */
static rv_status run_tapped(rv_runner *runner, int from, int to, rv_error *err)
{
    for (int c = from, next; c < to; c = next) {
        for (next = c + 1; next < to && runner->step_of[next] == runner->step_of[c];)
            next++;
        RV_TRY(run_calls(runner, c, next, err));
        RV_TRY(tap(runner, &runner->calls[next - 1], runner->step_of[c], err));
    }
    return RV_OK;
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
    if (!plan->options.gradient)
        return rv_fail(err, RV_E_ARGUMENT, "runner: the plan was made without a gradient");
    if (!runner->ran)
        return rv_fail(err, RV_E_ARGUMENT, "runner: backward follows a forward that succeeded, once");
    runner->ran = false;
    bind_parameters(runner, runner->forward_calls, runner->call_count, w);
    bind_gradients(runner, g);
    write_seed(runner);
    for (int i = 0; i < runner->gap_count; i++)
        memset((char *)g + (size_t)runner->gaps[i].start * plan->element, 0,
               (size_t)runner->gaps[i].count * plan->element);
    if (runner->tap.factors)
        return run_tapped(runner, runner->forward_calls, runner->call_count, err);
    return run_calls(runner, runner->forward_calls, runner->call_count, err);
}
