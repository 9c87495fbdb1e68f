/* Liveness: from a graph to the forward and the backward program with lifetimes.
 *
 * All bookkeeping is per root value (views share their root's memory and gradient).
 * A value lives from the step that writes it to the last step that reads it, where
 * backward reads only what its kernel declares; so a block may be reused as soon as
 * nothing reads it any more, and a kernel that can may write over its operand.
 * A result lives in the forms that are read, float or bf16 or both: bf16 where its
 * producer can write it and a reader asks for it, each form with a life of its own. */
#include "graph/program.h"

#include <stdlib.h>

#include "core/arena.h"

typedef struct life {
    int last;        /* step that reads it last, -1: none; of its copy in bf16: */
    int last_bf16, block_bf16;
    int backward;    /* step of the backward of its node; -1: none */
    int block, gradient; /* -1: none (yet) */
    bool needed;     /* for the loss or an output */
    bool kept;       /* read after the forward program */
    bool depends, reaches; /* on a parameter; the loss */
    bool started;    /* its gradient has been written */
} life;

typedef struct builder {
    const rv_graph *graph;
    rv_plan_options options;
    rv_program *program;
    life *lives; /* [values + 1] */
} builder;

static life *life_of(const builder *b, rv_value v)
{
    return &b->lives[rv_graph_root(b->graph, v)];
}

static const rv_kernels *kernels_of(const builder *b, const rv_node *node)
{
    return node->op->kernels[b->options.backend];
}

static bool has_gradient(const life *l)
{
    return l->depends && l->reaches;
}

/* ---- what runs -------------------------------------------------------- */

static void mark_needed(const builder *b)
{
    const rv_graph *graph = b->graph;
    for (int i = 0; i < graph->output_list.count; i++)
        life_of(b, graph->outputs[i].value)->needed = life_of(b, graph->outputs[i].value)->kept = true;
    if (graph->loss) {
        life *loss = life_of(b, graph->loss);
        loss->needed = loss->kept = loss->reaches = true;
    }
    for (int i = graph->node_list.count - 1; i >= 0; i--) {
        const rv_node *node = &graph->nodes[i];
        const life *out = &b->lives[node->out];
        for (int j = 0; out->needed && j < node->n_in; j++)
            if (node->in[j]) {
                life_of(b, node->in[j])->needed = true;
                life_of(b, node->in[j])->reaches |= out->reaches;
            }
    }
}

static void mark_depends(const builder *b)
{
    const rv_graph *graph = b->graph;
    for (rv_value v = 1; v <= graph->value_list.count; v++) {
        const rv_graph_value *value = rv_graph_at(graph, v);
        if (value->from == RV_FROM_PARAMETER)
            b->lives[v].depends = b->options.gradient;
        if (value->from != RV_FROM_NODE)
            continue;
        const rv_node *node = &graph->nodes[value->source];
        for (int j = 0; j < node->n_in; j++)
            if (node->in[j])
                b->lives[v].depends |= life_of(b, node->in[j])->depends;
    }
}

static rv_status check_node(const builder *b, const rv_node *node, rv_error *err)
{
    const rv_kernels *kernels = kernels_of(b, node);
    const char *backend = rv_backend_name(b->options.backend);
    if (!kernels || !kernels->forward)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s '%s': the backend %s lacks the operation", node->op->name,
                       node->name, backend);
    if (has_gradient(&b->lives[node->out]) && !kernels->backward)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s '%s': the backend %s lacks its backward", node->op->name, node->name,
                       backend);
    return RV_OK;
}

/* Weights are rounded when they are packed; an operation that packs them leaves others as they are. */
static bool wants_bf16(const builder *b, const rv_node *node)
{
    const bool packs = kernels_of(b, node)->packed;
    return b->options.bf16 && b->options.backend == RV_BACKEND_CPU &&
           (!packs || rv_graph_at(b->graph, rv_graph_root(b->graph, node->in[1]))->from == RV_FROM_PARAMETER);
}

static rv_status number_steps(builder *b, rv_error *err)
{
    rv_program *program = b->program;
    for (int i = 0; i < b->graph->node_list.count; i++) {
        const rv_node *node = &b->graph->nodes[i];
        if (!b->lives[node->out].needed)
            continue;
        RV_TRY(check_node(b, node, err));
        program->nodes[program->forward] = *node;
        program->nodes[program->forward].bf16 = wants_bf16(b, node);
        program->number[program->forward] = i;
        program->forward++;
    }
    for (int i = program->forward - 1; i >= 0; i--) {
        life *out = &b->lives[program->nodes[i].out];
        if (has_gradient(out))
            out->backward = program->forward + program->backward++;
        program->nodes[i].wants_first = has_gradient(out) && has_gradient(life_of(b, program->nodes[i].in[0]));
    }
    return RV_OK;
}

/* ---- when it is read -------------------------------------------------- */

static void read_at(int *last, int step)
{
    if (step > *last)
        *last = step;
}

static bool even_rows(const rv_shape *shape)
{
    return shape->rank > 0 && shape->dim[shape->rank - 1] % 2 == 0;
}

/* Whether the node takes its first operand in bf16 and finds it so. */
static bool reads_bf16(const builder *b, const rv_node *node)
{
    const rv_kernels *kernels = kernels_of(b, node);
    const rv_graph_value *value = rv_graph_at(b->graph, rv_graph_root(b->graph, node->in[0]));
    if (value->from != RV_FROM_NODE || !kernels->takes_bf16 || !kernels->takes_bf16(node))
        return false;
    const rv_kernels *producer = kernels_of(b, &b->graph->nodes[value->source]);
    return even_rows(&value->shape) && even_rows(&node->in_shape[0]) && producer->gives_bf16 &&
           producer->gives_bf16(&b->graph->nodes[value->source]);
}

static void find_last_reads(const builder *b)
{
    const rv_program *program = b->program;
    for (int i = 0; i < program->forward; i++) {
        rv_node *node = &program->nodes[i];
        const rv_kernels *kernels = kernels_of(b, node);
        life *out = &b->lives[node->out];
        node->in_bf16 = reads_bf16(b, node);
        if (out->kept)
            read_at(&out->last, program->forward - 1);
        if (out->backward >= 0 && (kernels->reads & RV_READS_OUTPUT) &&
            (!kernels->reads_output || kernels->reads_output(node)))
            read_at(&out->last, out->backward);
        for (int j = 0; j < node->n_in; j++) {
            if (!node->in[j])
                continue;
            life *in = life_of(b, node->in[j]);
            int *last = j == 0 && node->in_bf16 ? &in->last_bf16 : &in->last;
            read_at(last, out->backward >= 0 && (kernels->reads & RV_READS_INPUT(j)) ? out->backward : i);
        }
    }
    for (int i = 0; i < program->forward; i++) {
        life *out = &b->lives[program->nodes[i].out];
        program->nodes[i].only_bf16 = out->last < 0 && out->last_bf16 >= 0;
        if (!program->nodes[i].only_bf16)
            read_at(&out->last, i); /* at least written */
    }
}

/* ---- where it lives --------------------------------------------------- */

static int new_block(rv_program *program, size_t size, int first, int last)
{
    program->blocks[program->block_count] = (rv_block){rv_arena_align(size), first, last, 0};
    return program->block_count++;
}

static rv_spot spot_block(int block)
{
    return block < 0 ? (rv_spot){RV_SPOT_NONE, 0} : (rv_spot){RV_SPOT_BLOCK, block};
}

static size_t value_bytes(const builder *b, rv_value v)
{
    const rv_graph_value *value = rv_graph_at(b->graph, v);
    const rv_dtype dtype = value->dtype == RV_F32 ? rv_backend_dtype(b->options.backend) : value->dtype;
    return (size_t)rv_shape_size(&value->shape) * rv_dtype_size(dtype);
}

static rv_spot value_spot(const builder *b, rv_value v)
{
    const rv_value root = rv_graph_root(b->graph, v);
    const rv_graph_value *value = rv_graph_at(b->graph, root);
    if (value->from == RV_FROM_PARAMETER)
        return (rv_spot){RV_SPOT_PARAMETER, value->source};
    return spot_block(b->lives[root].block);
}

/* Whether operand 0 is the result of a node and stands in no other operand. */
static bool first_is_alone(const builder *b, const rv_node *node)
{
    const rv_value root = rv_graph_root(b->graph, node->in[0]);
    for (int j = 1; j < node->n_in; j++)
        if (node->in[j] && rv_graph_root(b->graph, node->in[j]) == root)
            return false;
    return rv_graph_at(b->graph, root)->from == RV_FROM_NODE && value_bytes(b, root) == value_bytes(b, node->out);
}

static void place_forward(const builder *b, int i)
{
    rv_program *program = b->program;
    const rv_node *node = &program->nodes[i];
    const rv_kernels *kernels = kernels_of(b, node);
    life *out = &b->lives[node->out];
    const life *first = life_of(b, node->in[0]);
    if (out->last_bf16 >= 0)
        out->block_bf16 = new_block(program, (size_t)rv_shape_size(&node->shape) * sizeof(uint16_t), i, out->last_bf16);
    if (node->only_bf16) {
        out->block = -1;
    } else if (kernels->in_place && first_is_alone(b, node) && !first->kept && first->last == i) {
        out->block = first->block;
        program->blocks[out->block].last = out->last;
    } else {
        out->block = new_block(program, value_bytes(b, node->out), i, out->last);
    }
    rv_step *step = &program->steps[i];
    step->node = i;
    for (int j = 0; j < node->n_in; j++)
        if (node->in[j])
            step->in[j] = value_spot(b, node->in[j]);
    step->out = spot_block(out->block);
    step->out_bf16 = spot_block(out->block_bf16);
    step->in_bf16 = node->in_bf16 ? spot_block(first->block_bf16) : (rv_spot){RV_SPOT_NONE, 0};
    if (kernels->saved)
        step->saved = spot_block(new_block(program, kernels->saved(node), i, out->backward > i ? out->backward : i));
    if (kernels->scratch)
        step->scratch = spot_block(new_block(program, kernels->scratch(node), i, i));
}

/* Where operand j of node gets its gradient at this step of the backward program. */
static rv_spot place_gradient(const builder *b, const rv_node *node, int j, int at)
{
    const rv_value root = rv_graph_root(b->graph, node->in[j]);
    const rv_graph_value *value = rv_graph_at(b->graph, root);
    life *l = &b->lives[root];
    if (value->from == RV_FROM_PARAMETER)
        return (rv_spot){RV_SPOT_PARAMETER, value->source};
    if (l->gradient < 0 && j == 0 && kernels_of(b, node)->gradient_in_place && first_is_alone(b, node)) {
        /* The gradient of the result ends here: its block becomes the operand's. */
        l->gradient = b->lives[node->out].gradient;
        b->program->blocks[l->gradient].last = l->backward;
    } else if (l->gradient < 0) {
        l->gradient = new_block(b->program, value_bytes(b, root), at, l->backward);
    }
    return spot_block(l->gradient);
}

static void place_backward(const builder *b, int i)
{
    rv_program *program = b->program;
    const rv_node *node = &program->nodes[i];
    const rv_kernels *kernels = kernels_of(b, node);
    const life *out = &b->lives[node->out];
    rv_step *step = &program->steps[out->backward];
    *step = program->steps[i];
    step->gout = spot_block(out->gradient);
    step->scratch = (rv_spot){RV_SPOT_NONE, 0};
    for (int j = 0; j < node->n_in; j++) {
        life *in = node->in[j] ? life_of(b, node->in[j]) : NULL;
        if (!in || !has_gradient(in))
            continue;
        step->gin[j] = place_gradient(b, node, j, out->backward);
        step->add[j] = in->started;
        in->started = true;
    }
    if (kernels->scratch)
        step->scratch = spot_block(new_block(program, kernels->scratch(node), out->backward, out->backward));
}

static void place_all(const builder *b)
{
    rv_program *program = b->program;
    const rv_graph *graph = b->graph;
    const int end = program->forward + program->backward - 1;
    /* Inputs stay whole through both programs, so that a run can be repeated on them. */
    for (int i = 0; i < graph->input_list.count; i++) {
        const rv_value v = graph->inputs[i].value;
        b->lives[v].block = new_block(program, value_bytes(b, v), 0, end > 0 ? end : 0);
        program->inputs[i] = spot_block(b->lives[v].block);
    }
    for (int i = 0; i < program->forward; i++)
        place_forward(b, i);
    for (int i = 0; i < graph->output_list.count; i++)
        program->outputs[i] = value_spot(b, graph->outputs[i].value);
    if (!graph->loss)
        return;
    program->loss = value_spot(b, graph->loss);
    life *loss = life_of(b, graph->loss);
    if (loss->backward < 0)
        return;
    loss->gradient = new_block(program, value_bytes(b, graph->loss), program->forward, loss->backward);
    program->seed = spot_block(loss->gradient);
    for (int i = program->forward - 1; i >= 0; i--)
        if (b->lives[program->nodes[i].out].backward >= 0)
            place_backward(b, i);
}

/* ---- the whole -------------------------------------------------------- */

static rv_status allocate(builder *b, rv_error *err)
{
    const rv_graph *graph = b->graph;
    rv_program *program = b->program;
    const size_t nodes = (size_t)graph->node_list.count + 1, inputs = (size_t)graph->input_list.count + 1;
    b->lives = calloc((size_t)graph->value_list.count + 1, sizeof *b->lives);
    program->nodes = calloc(nodes, sizeof *program->nodes);
    program->number = calloc(nodes, sizeof *program->number);
    program->steps = calloc(2 * nodes, sizeof *program->steps);
    /* A node has at most a result in two forms, saved bytes, scratch twice and its operands' gradients. */
    program->blocks = calloc(inputs + nodes * (5 + RV_OP_INPUTS), sizeof *program->blocks);
    program->inputs = calloc(inputs, sizeof *program->inputs);
    program->outputs = calloc((size_t)graph->output_list.count + 1, sizeof *program->outputs);
    program->trained = calloc((size_t)graph->parameter_list.count + 1, sizeof *program->trained);
    if (!b->lives || !program->nodes || !program->number || !program->steps || !program->blocks || !program->inputs ||
        !program->outputs || !program->trained)
        return rv_fail(err, RV_E_MEMORY, "plan: no memory for a graph of %d nodes", graph->node_list.count);
    for (int v = 0; v <= graph->value_list.count; v++)
        b->lives[v] = (life){.last = -1, .last_bf16 = -1, .backward = -1, .block = -1, .block_bf16 = -1, .gradient = -1};
    return RV_OK;
}

static rv_status build(builder *b, rv_error *err)
{
    RV_TRY(allocate(b, err));
    mark_needed(b);
    mark_depends(b);
    RV_TRY(number_steps(b, err));
    find_last_reads(b);
    place_all(b);
    for (rv_value v = 1; v <= b->graph->value_list.count; v++)
        if (rv_graph_at(b->graph, v)->from == RV_FROM_PARAMETER)
            b->program->trained[rv_graph_at(b->graph, v)->source] = b->lives[v].started;
    return RV_OK;
}

rv_status rv_program_build(rv_program *program, const rv_graph *graph, rv_plan_options options, rv_error *err)
{
    builder b = {graph, options, program, NULL};
    const rv_status status = build(&b, err);
    free(b.lives);
    return status;
}

void rv_program_release(rv_program *program)
{
    free(program->nodes);
    free(program->number);
    free(program->steps);
    free(program->blocks);
    free(program->inputs);
    free(program->outputs);
    free(program->trained);
}
