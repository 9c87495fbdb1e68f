/* Makes a plan from a graph: layout, programs, placement, prepared and packed state.
 *
 * Once made, only rv_plan_pack changes it; runners of several threads share it. */
#include "graph/plan.h"

#include <stdlib.h>
#include <string.h>

/* Elements between the starts of two tensors are a multiple of this: 64 bytes of f32. */
enum { LAYOUT_STEP = 16 };

const char *rv_backend_name(rv_backend backend)
{
    return backend == RV_BACKEND_REF ? "ref" : "cpu";
}

rv_dtype rv_backend_dtype(rv_backend backend)
{
    return backend == RV_BACKEND_REF ? RV_F64 : RV_F32;
}

static const rv_kernels *kernels_at(const rv_plan *plan, int node)
{
    return plan->program.nodes[node].op->kernels[plan->options.backend];
}

static rv_status make_layout(rv_plan *plan, rv_error *err)
{
    const rv_graph *graph = plan->graph;
    rv_layout *layout = &plan->layout;
    layout->tensors = calloc((size_t)graph->parameter_list.count + 1, sizeof *layout->tensors);
    if (!layout->tensors)
        return rv_fail(err, RV_E_MEMORY, "plan: no memory for %d parameters", graph->parameter_list.count);
    layout->count = graph->parameter_list.count;
    for (int i = 0; i < layout->count; i++) {
        const rv_parameter *parameter = &graph->parameters[i];
        rv_tensor *tensor = &layout->tensors[i];
        memcpy(tensor->name, parameter->name, sizeof tensor->name);
        tensor->role = parameter->role;
        tensor->parts = parameter->parts;
        tensor->shape = parameter->shape;
        tensor->offset = layout->size;
        layout->size += (rv_shape_size(&tensor->shape) + LAYOUT_STEP - 1) / LAYOUT_STEP * LAYOUT_STEP;
    }
    return RV_OK;
}

static rv_status allocate_nodes(rv_plan *plan, rv_error *err)
{
    const int count = plan->program.forward;
    plan->prepared = calloc((size_t)count + 1, sizeof *plan->prepared);
    plan->statistics = calloc((size_t)count + 1, sizeof *plan->statistics);
    plan->packs = calloc((size_t)count + 1, sizeof *plan->packs);
    plan->pack_of = calloc((size_t)count + 1, sizeof *plan->pack_of);
    if (!plan->prepared || !plan->statistics || !plan->packs || !plan->pack_of)
        return rv_fail(err, RV_E_MEMORY, "plan: no memory for %d nodes", count);
    return RV_OK;
}

static void place_statistics(rv_plan *plan)
{
    for (int i = 0; i < plan->program.forward; i++) {
        const rv_node *node = &plan->program.nodes[i];
        const int64_t size = node->op->buffer ? node->op->buffer(node) : 0;
        plan->statistics[i] = size > 0 ? plan->buffer_size : -1;
        plan->buffer_size += size;
    }
}

static rv_status prepare_nodes(rv_plan *plan, rv_error *err)
{
    for (int i = 0; i < plan->program.forward; i++)
        if (kernels_at(plan, i)->prepare)
            RV_TRY(kernels_at(plan, i)->prepare(&plan->program.nodes[i], &plan->prepared[i], err));
    return RV_OK;
}

static rv_status place_packed(rv_plan *plan, rv_error *err)
{
    for (int i = 0; i < plan->program.forward; i++) {
        const rv_kernels *kernels = kernels_at(plan, i);
        const rv_spot weight = plan->program.steps[i].in[1];
        const size_t size = kernels->packed && weight.where == RV_SPOT_PARAMETER
                                ? kernels->packed(&plan->program.nodes[i]) : 0;
        plan->pack_of[i] = size > 0 ? plan->pack_count : -1;
        if (size == 0)
            continue;
        plan->packs[plan->pack_count++] = (rv_pack){.node = i, .parameter = weight.index, .offset = plan->bytes.packed};
        plan->bytes.packed += rv_arena_align(size);
    }
    return plan->bytes.packed > 0 ? rv_arena_init(&plan->packed, plan->bytes.packed, err) : RV_OK;
}

/* The most that a worker needs beside the arena. */
static void size_work(rv_plan *plan)
{
    for (int i = 0; i < plan->program.forward; i++) {
        const rv_kernels *kernels = kernels_at(plan, i);
        const size_t work = kernels->work ? rv_arena_align(kernels->work(&plan->program.nodes[i])) : 0;
        plan->bytes.work = work > plan->bytes.work ? work : plan->bytes.work;
    }
}

static rv_status make_plan(rv_plan *plan, rv_error *err)
{
    RV_TRY(make_layout(plan, err));
    RV_TRY(rv_program_build(&plan->program, plan->graph, plan->options, err));
    RV_TRY(allocate_nodes(plan, err));
    RV_TRY(rv_plan_find_layers(plan, err));
    place_statistics(plan);
    RV_TRY(prepare_nodes(plan, err));
    RV_TRY(place_packed(plan, err));
    size_work(plan);
    return rv_place(plan->program.blocks, plan->program.block_count, &plan->bytes.arena, &plan->bytes.lower_bound, err);
}

rv_status rv_plan_new(rv_plan **out, const rv_graph *graph, rv_plan_options options, rv_error *err)
{
    *out = NULL;
    RV_TRY(rv_graph_status(graph, err));
    if (options.gradient && !graph->loss)
        return rv_fail(err, RV_E_ARGUMENT, "plan: a gradient is asked for and the graph has no loss");
    if ((int)options.backend < 0 || options.backend >= RV_BACKEND_COUNT)
        return rv_fail(err, RV_E_ARGUMENT, "plan: backend: expected one of rv_backend, found %d", (int)options.backend);
    rv_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return rv_fail(err, RV_E_MEMORY, "plan: no memory");
    plan->graph = graph;
    plan->options = options;
    plan->element = rv_dtype_size(rv_backend_dtype(options.backend));
    const rv_status status = make_plan(plan, err);
    if (status == RV_OK)
        *out = plan;
    else
        rv_plan_free(plan);
    return status;
}

void rv_plan_free(rv_plan *plan)
{
    if (!plan)
        return;
    for (int i = 0; plan->prepared && i < plan->program.forward; i++)
        if (plan->prepared[i] && kernels_at(plan, i)->unprepare)
            kernels_at(plan, i)->unprepare(plan->prepared[i]);
    rv_arena_release(&plan->packed);
    rv_program_release(&plan->program);
    free(plan->layout.tensors);
    free(plan->prepared);
    free(plan->statistics);
    free(plan->packs);
    free(plan->pack_of);
    free(plan->layout.layers);
    free(plan->factors);
    free(plan);
}

const rv_layout *rv_plan_layout(const rv_plan *plan)
{
    return &plan->layout;
}

int64_t rv_plan_buffer_size(const rv_plan *plan)
{
    return plan->buffer_size;
}

rv_plan_bytes rv_plan_memory(const rv_plan *plan)
{
    return plan->bytes;
}

/* Backward repeats the forward work once for each of two operands, or twice for one:
 * an operation of two operands of which one needs no gradient does it once. */
static double backward_factor(const rv_step *step)
{
    const bool two = step->in[1].where != RV_SPOT_NONE;
    const bool first = step->gin[0].where != RV_SPOT_NONE, second = step->gin[1].where != RV_SPOT_NONE;
    return two ? (double)first + (double)second : 2;
}

double rv_plan_flops(const rv_plan *plan, bool backward)
{
    const rv_program *program = &plan->program;
    double flops = 0;
    for (int i = 0; i < program->forward + (backward ? program->backward : 0); i++) {
        const rv_step *step = &program->steps[i];
        const rv_node *node = &program->nodes[step->node];
        flops += node->op->cost(node).flops * (i < program->forward ? 1 : backward_factor(step));
    }
    return flops;
}

/* ---- packing ---------------------------------------------------------- */

typedef struct packing {
    rv_plan *plan;
    const char *w;
} packing;

static void pack_one(void *context, int task, int worker)
{
    (void)worker;
    const packing *job = context;
    rv_plan *plan = job->plan;
    rv_pack *pack = &plan->packs[task / RV_PACK_PARTS];
    const int part = task % RV_PACK_PARTS;
    const char *weight = job->w + (size_t)plan->layout.tensors[pack->parameter].offset * plan->element;
    pack->err[part].status = kernels_at(plan, pack->node)->pack(&plan->program.nodes[pack->node],
                                                                plan->prepared[pack->node], weight,
                                                                (char *)plan->packed.base + pack->offset, part,
                                                                &pack->err[part]);
}

rv_status rv_plan_pack(rv_plan *plan, const void *w, rv_pool *pool, rv_error *err)
{
    packing job = {plan, w};
    const int tasks = plan->pack_count * RV_PACK_PARTS;
    rv_pool_run_near(pool, tasks, pack_one, &job);
    for (int i = 0; i < tasks; i++) {
        const rv_error *found = &plan->packs[i / RV_PACK_PARTS].err[i % RV_PACK_PARTS];
        if (found->status != RV_OK)
            return rv_fail(err, found->status, "%s", found->message);
    }
    plan->is_packed = true;
    return RV_OK;
}
