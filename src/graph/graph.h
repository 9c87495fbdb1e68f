/* A graph under construction: values, nodes, parameters, inputs and outputs.
 *
 * Value v stands at values[v - 1].  Nodes are in the order of their creation, which
 * is an order of execution: an operand is always older than the node that reads it.
 * After the first error nothing is added, so what is there is always consistent. */
#ifndef RV_GRAPH_GRAPH_H
#define RV_GRAPH_GRAPH_H

#include "graph/op.h"

typedef struct rv_graph_value {
    enum { RV_FROM_INPUT, RV_FROM_PARAMETER, RV_FROM_NODE, RV_FROM_VIEW } from;
    int source; /* number of the input, parameter or node; of a view: the value it shows */
    rv_shape shape;
    rv_dtype dtype;
} rv_graph_value;

typedef struct rv_parameter {
    char name[RV_NAME_SIZE];
    rv_role role;
    rv_shape shape;
    rv_init init;
    int parts;
} rv_parameter;

typedef struct rv_graph_port { /* an input or an output */
    char name[RV_NAME_SIZE];
    rv_value value;
} rv_graph_port;

/* How far an array of the graph has grown. */
typedef struct rv_graph_list {
    int count, capacity;
} rv_graph_list;

struct rv_graph {
    rv_error error; /* the first; status RV_OK: none */
    rv_graph_value *values;
    rv_node *nodes;
    rv_parameter *parameters;
    rv_graph_port *inputs, *outputs;
    rv_graph_list value_list, node_list, parameter_list, input_list, output_list;
    rv_value loss;
    char path[RV_NAME_SIZE]; /* the current prefix */
    int depth;               /* number of pushes */
    size_t mark[RV_NAME_SIZE]; /* length of path before each push */
    struct rv_graph_memory *memory; /* what rv_graph_keep copied */
};

/* Records the first error of the construction; RV_NONE for the caller to return. */
rv_value rv_graph_fail(rv_graph *graph, rv_status status, const char *format, ...) RV_PRINTF(3, 4);

/* A copy of size bytes that lives as long as the graph; NULL: out of memory (recorded). */
void *rv_graph_keep(rv_graph *graph, const void *bytes, size_t size);

/* Adds a node with a copy of its attributes (size 0: none), infers its shape and
 * returns its result.  in [count], RV_NONE where an optional operand is absent. */
rv_value rv_graph_node(rv_graph *graph, const rv_op *op, const rv_value *in, int count, const void *attr,
                       size_t size);

/* The same memory under another shape of the same size. */
rv_value rv_graph_view(rv_graph *graph, rv_value value, rv_shape shape);

/* The value whose memory v shows: v itself unless it is a view. */
rv_value rv_graph_root(const rv_graph *graph, rv_value v);

static inline const rv_graph_value *rv_graph_at(const rv_graph *graph, rv_value v)
{
    return &graph->values[v - 1];
}

#endif
