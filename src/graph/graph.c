/* The builder: values, nodes, parameters and names of a static graph.
 *
 * Every function that adds something returns at once when an error is recorded,
 * and checks all it is given before it changes the graph. */
#include "graph/graph.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far above any real tensor, and small enough that byte counts cannot wrap. */
static const int64_t max_elements = (int64_t)1 << 46;

struct rv_graph_memory {
    struct rv_graph_memory *next;
    max_align_t bytes[];
};

rv_graph *rv_graph_new(void)
{
    return calloc(1, sizeof(rv_graph));
}

void rv_graph_free(rv_graph *graph)
{
    if (!graph)
        return;
    while (graph->memory) {
        struct rv_graph_memory *memory = graph->memory;
        graph->memory = memory->next;
        free(memory);
    }
    free(graph->values);
    free(graph->nodes);
    free(graph->parameters);
    free(graph->inputs);
    free(graph->outputs);
    free(graph);
}

rv_status rv_graph_status(const rv_graph *graph, rv_error *err)
{
    if (graph->error.status != RV_OK && err)
        *err = graph->error;
    return graph->error.status;
}

static bool failed(const rv_graph *graph)
{
    return graph->error.status != RV_OK;
}

rv_value rv_graph_fail(rv_graph *graph, rv_status status, const char *format, ...)
{
    if (failed(graph))
        return RV_NONE;
    char message[sizeof graph->error.message];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    rv_fail(&graph->error, status, "%s", message);
    return RV_NONE;
}

void *rv_graph_keep(rv_graph *graph, const void *bytes, size_t size)
{
    struct rv_graph_memory *memory = malloc(sizeof *memory + size);
    if (!memory) {
        rv_graph_fail(graph, RV_E_MEMORY, "graph: no memory for %zu bytes", size);
        return NULL;
    }
    memcpy(memory->bytes, bytes, size);
    memory->next = graph->memory;
    graph->memory = memory;
    return memory->bytes;
}

/* Room for one more item of an array: where its items are now.  A failure is recorded. */
static void *grow(rv_graph *graph, rv_graph_list *list, void *items, size_t size)
{
    if (list->count < list->capacity)
        return items;
    const int capacity = list->capacity ? 2 * list->capacity : 16;
    void *moved = realloc(items, (size_t)capacity * size);
    if (!moved) {
        rv_graph_fail(graph, RV_E_MEMORY, "graph: no memory for %d items", capacity);
        return items;
    }
    list->capacity = capacity;
    return moved;
}

/* A new item at the end of graph->NAMEs; NULL: recorded failure. */
#define APPEND(graph, name)                                                                             \
    ((graph)->name##s = grow(graph, &(graph)->name##_list, (graph)->name##s, sizeof *(graph)->name##s), \
     failed(graph) ? NULL : &(graph)->name##s[(graph)->name##_list.count++])

static rv_value add_value(rv_graph *graph, rv_graph_value value)
{
    rv_graph_value *place = APPEND(graph, value);
    if (!place)
        return RV_NONE;
    *place = value;
    return graph->value_list.count;
}

static bool check_shape(rv_graph *graph, const char *what, const char *name, const rv_shape *shape)
{
    bool good = shape->rank >= 0 && shape->rank <= RV_MAX_RANK;
    int64_t size = 1;
    for (int i = 0; good && i < shape->rank; i++) {
        good = shape->dim[i] >= 0 && (shape->dim[i] == 0 || size <= max_elements / shape->dim[i]);
        /* An extent of 0 must not hide an overflow of the others. */
        if (good && shape->dim[i] > 0)
            size *= shape->dim[i];
    }
    if (good)
        return true;
    const bool printable = shape->rank >= 0 && shape->rank <= RV_MAX_RANK;
    char text[128];
    rv_graph_fail(graph, RV_E_SHAPE,
                  "%s '%s': expected at most %d extents, each at least 0, of at most 2^46 elements, found %s", what,
                  name, RV_MAX_RANK, printable ? rv_shape_text(shape, text, sizeof text) : "another rank");
    return false;
}

/* ---- names ------------------------------------------------------------ */

void rv_graph_push(rv_graph *graph, const char *format, ...)
{
    if (failed(graph))
        return;
    const size_t length = strlen(graph->path);
    char part[2 * RV_NAME_SIZE];
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(part, sizeof part, format, list);
    va_end(list);
    if (n <= 0 || length + (length > 0) + (size_t)n >= RV_NAME_SIZE) {
        rv_graph_fail(graph, RV_E_RANGE, "name '%s.%s': expected at most %d bytes and no empty part", graph->path,
                      n > 0 ? part : "", RV_NAME_SIZE - 1);
        return;
    }
    graph->mark[graph->depth++] = length;
    if (length)
        graph->path[length] = '.';
    memcpy(graph->path + length + (length > 0), part, (size_t)n + 1);
}

void rv_graph_pop(rv_graph *graph)
{
    if (failed(graph))
        return;
    if (graph->depth == 0) {
        rv_graph_fail(graph, RV_E_ARGUMENT, "graph: a prefix is popped that was not pushed");
        return;
    }
    graph->path[graph->mark[--graph->depth]] = '\0';
}

/* Writes "path.name". */
static bool full_name(rv_graph *graph, const char *name, char out[RV_NAME_SIZE])
{
    const int n = snprintf(out, RV_NAME_SIZE, "%s%s%s", graph->path, graph->path[0] ? "." : "", name);
    if (name[0] && n < RV_NAME_SIZE)
        return true;
    rv_graph_fail(graph, RV_E_RANGE, "name '%s.%s': expected 1 to %d bytes", graph->path, name, RV_NAME_SIZE - 1);
    return false;
}

static bool taken(const rv_graph_port *ports, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(ports[i].name, name) == 0)
            return true;
    return false;
}

/* ---- values ----------------------------------------------------------- */

rv_value rv_graph_input(rv_graph *graph, const char *name, rv_dtype dtype, rv_shape shape)
{
    char full[RV_NAME_SIZE];
    if (failed(graph) || !full_name(graph, name, full) || !check_shape(graph, "input", full, &shape))
        return RV_NONE;
    if (dtype != RV_F32 && dtype != RV_I32)
        return rv_graph_fail(graph, RV_E_ARGUMENT, "input '%s': expected f32 or i32, found %s", full,
                             rv_dtype_name(dtype));
    if (taken(graph->inputs, graph->input_list.count, full))
        return rv_graph_fail(graph, RV_E_ARGUMENT, "input '%s': the name is taken", full);
    rv_graph_port *input = APPEND(graph, input);
    if (!input)
        return RV_NONE;
    memcpy(input->name, full, sizeof full);
    input->value = add_value(graph, (rv_graph_value){RV_FROM_INPUT, graph->input_list.count - 1, shape, dtype});
    return input->value;
}

rv_value rv_graph_parameter(rv_graph *graph, const char *name, rv_role role, rv_shape shape, rv_init init)
{
    char full[RV_NAME_SIZE];
    if (failed(graph) || !full_name(graph, name, full) || !check_shape(graph, "parameter", full, &shape))
        return RV_NONE;
    for (int i = 0; i < graph->parameter_list.count; i++)
        if (strcmp(graph->parameters[i].name, full) == 0)
            return rv_graph_fail(graph, RV_E_ARGUMENT, "parameter '%s': the name is taken", full);
    rv_parameter *parameter = APPEND(graph, parameter);
    if (!parameter)
        return RV_NONE;
    memcpy(parameter->name, full, sizeof full);
    parameter->role = role;
    parameter->shape = shape;
    parameter->init = init;
    parameter->parts = 1;
    parameter->parts = 1;
    return add_value(graph, (rv_graph_value){RV_FROM_PARAMETER, graph->parameter_list.count - 1, shape, RV_F32});
}

void rv_graph_set_parts(rv_graph *graph, rv_value value, int parts)
{
    if (failed(graph) || value == RV_NONE)
        return;
    const rv_graph_value *v = rv_graph_at(graph, value);
    assert(v->from == RV_FROM_PARAMETER);
    rv_parameter *parameter = &graph->parameters[v->source];
    int64_t rows = parameter->shape.rank > 0 ? parameter->shape.dim[0] : 1;
    if (parts < 1 || rows % parts != 0)
        rv_graph_fail(graph, RV_E_SHAPE, "parameter '%s': expected rows that divide into %d parts, found %lld",
                      parameter->name, parts, (long long)rows);
    else
        parameter->parts = parts;
}

static bool known(const rv_graph *graph, rv_value value)
{
    return value > 0 && value <= graph->value_list.count;
}

rv_shape rv_graph_shape(const rv_graph *graph, rv_value value)
{
    return known(graph, value) ? rv_graph_at(graph, value)->shape : (rv_shape){0};
}

rv_value rv_graph_root(const rv_graph *graph, rv_value v)
{
    while (rv_graph_at(graph, v)->from == RV_FROM_VIEW)
        v = rv_graph_at(graph, v)->source;
    return v;
}

rv_value rv_graph_view(rv_graph *graph, rv_value value, rv_shape shape)
{
    if (failed(graph) || !check_shape(graph, "reshape", graph->path, &shape))
        return RV_NONE;
    if (!known(graph, value))
        return rv_graph_fail(graph, RV_E_ARGUMENT, "reshape '%s': operand x: expected a value, found none",
                             graph->path);
    const rv_graph_value *from = rv_graph_at(graph, value);
    if (rv_shape_size(&from->shape) != rv_shape_size(&shape)) {
        char expected[128], found[128];
        return rv_graph_fail(graph, RV_E_SHAPE, "reshape '%s': operand x: expected as many elements as %s, found %s",
                             graph->path, rv_shape_text(&shape, expected, sizeof expected),
                             rv_shape_text(&from->shape, found, sizeof found));
    }
    return add_value(graph, (rv_graph_value){RV_FROM_VIEW, value, shape, from->dtype});
}

void rv_graph_set_loss(rv_graph *graph, rv_value loss)
{
    if (failed(graph))
        return;
    if (!known(graph, loss) || rv_graph_at(graph, rv_graph_root(graph, loss))->from != RV_FROM_NODE) {
        rv_graph_fail(graph, RV_E_ARGUMENT, "loss: expected the result of an operation");
        return;
    }
    const rv_graph_value *value = rv_graph_at(graph, loss);
    if (value->dtype != RV_F32 || value->shape.rank != 1 || value->shape.dim[0] != 2) {
        char text[128];
        rv_graph_fail(graph, RV_E_SHAPE, "loss: expected f32 [2] (sum, weight), found %s %s",
                      rv_dtype_name(value->dtype), rv_shape_text(&value->shape, text, sizeof text));
        return;
    }
    graph->loss = loss;
}

void rv_graph_set_output(rv_graph *graph, const char *name, rv_value value)
{
    char full[RV_NAME_SIZE];
    if (failed(graph) || !full_name(graph, name, full))
        return;
    if (!known(graph, value) || taken(graph->outputs, graph->output_list.count, full)) {
        rv_graph_fail(graph, RV_E_ARGUMENT, "output '%s': %s", full,
                      known(graph, value) ? "the name is taken" : "expected a value, found none");
        return;
    }
    rv_graph_port *output = APPEND(graph, output);
    if (!output)
        return;
    memcpy(output->name, full, sizeof full);
    output->value = value;
}

rv_value rv_graph_output(const rv_graph *graph, const char *name)
{
    for (int i = 0; i < graph->output_list.count; i++)
        if (strcmp(graph->outputs[i].name, name) == 0)
            return graph->outputs[i].value;
    return RV_NONE;
}

/* ---- nodes ------------------------------------------------------------ */

static bool set_operands(rv_graph *graph, rv_node *node, const rv_value *in, int count)
{
    node->n_in = count;
    for (int i = 0; i < count; i++) {
        node->in[i] = in[i];
        if (in[i] == RV_NONE && i >= node->op->min_inputs)
            continue;
        if (!known(graph, in[i])) {
            rv_graph_fail(graph, RV_E_ARGUMENT, "%s '%s': operand %d: expected a value, found none", node->op->name,
                          node->name, i);
            return false;
        }
        node->in_shape[i] = rv_graph_at(graph, in[i])->shape;
        node->in_dtype[i] = rv_graph_at(graph, in[i])->dtype;
    }
    return true;
}

rv_value rv_graph_node(rv_graph *graph, const rv_op *op, const rv_value *in, int count, const void *attr,
                       size_t size)
{
    if (failed(graph))
        return RV_NONE;
    rv_node node = {.op = op, .dtype = RV_F32};
    if (graph->path[0])
        memcpy(node.name, graph->path, sizeof node.name);
    else
        snprintf(node.name, sizeof node.name, "#%d", graph->node_list.count);
    if (!set_operands(graph, &node, in, count))
        return RV_NONE;
    if (size > 0 && !(node.attr = rv_graph_keep(graph, attr, size)))
        return RV_NONE;
    rv_error err = {0};
    if (op->infer(&node, &err) != RV_OK)
        return rv_graph_fail(graph, err.status, "%s", err.message);
    if (!check_shape(graph, op->name, node.name, &node.shape))
        return RV_NONE;
    rv_node *place = APPEND(graph, node);
    if (!place)
        return RV_NONE;
    node.out = add_value(graph, (rv_graph_value){RV_FROM_NODE, graph->node_list.count - 1, node.shape, node.dtype});
    *place = node;
    return node.out;
}
