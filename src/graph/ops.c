/* The operations of include/ravine/graph.h: each puts one node into the graph.
 *
 * Nothing is checked here that a shape rule can check; only what must be known
 * before the attributes can be copied. */
#include "graph/attr.h"
#include "graph/graph.h"

/* Operands in order, and their number. */
#define OPERANDS(...) (const rv_value[]){__VA_ARGS__}, (int)(sizeof((rv_value[]){__VA_ARGS__}) / sizeof(rv_value))

rv_value rv_linear(rv_graph *graph, rv_value x, rv_value w, rv_value b, rv_activation act)
{
    const rv_activation_attr attr = {act};
    return rv_graph_node(graph, &rv_op_linear, OPERANDS(x, w, b), &attr, sizeof attr);
}

rv_value rv_matmul(rv_graph *graph, rv_value a, rv_value b, bool transpose_a, bool transpose_b)
{
    const rv_matmul_attr attr = {transpose_a, transpose_b};
    return rv_graph_node(graph, &rv_op_matmul, OPERANDS(a, b), &attr, sizeof attr);
}

rv_value rv_embedding(rv_graph *graph, rv_value ids, rv_value table)
{
    return rv_graph_node(graph, &rv_op_embedding, OPERANDS(ids, table), NULL, 0);
}

rv_value rv_activate(rv_graph *graph, rv_value x, rv_activation act)
{
    const rv_activation_attr attr = {act};
    return rv_graph_node(graph, &rv_op_activate, OPERANDS(x), &attr, sizeof attr);
}

rv_value rv_add(rv_graph *graph, rv_value a, rv_value b)
{
    return rv_graph_node(graph, &rv_op_add, OPERANDS(a, b), NULL, 0);
}

rv_value rv_multiply(rv_graph *graph, rv_value a, rv_value b)
{
    return rv_graph_node(graph, &rv_op_multiply, OPERANDS(a, b), NULL, 0);
}

rv_value rv_scale(rv_graph *graph, rv_value x, double factor)
{
    const rv_scale_attr attr = {factor};
    return rv_graph_node(graph, &rv_op_scale, OPERANDS(x), &attr, sizeof attr);
}

rv_value rv_layer_norm(rv_graph *graph, rv_value x, rv_value gain, rv_value shift, double eps)
{
    const rv_norm_attr attr = {eps, 1};
    return rv_graph_node(graph, &rv_op_layer_norm, OPERANDS(x, gain, shift), &attr, sizeof attr);
}

rv_value rv_rms_norm(rv_graph *graph, rv_value x, rv_value gain, double eps)
{
    const rv_norm_attr attr = {eps, 1};
    return rv_graph_node(graph, &rv_op_rms_norm, OPERANDS(x, gain), &attr, sizeof attr);
}

rv_value rv_batch_norm(rv_graph *graph, rv_value x, rv_value gain, rv_value shift, double eps)
{
    const rv_norm_attr attr = {eps, 1};
    return rv_graph_node(graph, &rv_op_batch_norm, OPERANDS(x, gain, shift), &attr, sizeof attr);
}

rv_value rv_group_norm(rv_graph *graph, rv_value x, rv_value gain, rv_value shift, int groups, double eps)
{
    const rv_norm_attr attr = {eps, groups};
    return rv_graph_node(graph, &rv_op_group_norm, OPERANDS(x, gain, shift), &attr, sizeof attr);
}

rv_value rv_dropout(rv_graph *graph, rv_value x, double rate, bool channels)
{
    if (rate == 0)
        return x;
    const rv_dropout_attr attr = {rate, channels};
    return rv_graph_node(graph, &rv_op_dropout, OPERANDS(x), &attr, sizeof attr);
}

rv_value rv_attention(rv_graph *graph, rv_value qkv, rv_attention_options options)
{
    return rv_graph_node(graph, &rv_op_attention, OPERANDS(qkv), &options, sizeof options);
}

rv_value rv_conv2d(rv_graph *graph, rv_value x, rv_value kernel, rv_value bias, rv_conv_options options)
{
    options.stride = options.stride ? options.stride : 1;
    options.dilation = options.dilation ? options.dilation : 1;
    options.groups = options.groups ? options.groups : 1;
    return rv_graph_node(graph, &rv_op_conv2d, OPERANDS(x, kernel, bias), &options, sizeof options);
}

rv_value rv_max_pool(rv_graph *graph, rv_value x, int size, int stride, int padding)
{
    const rv_pool_attr attr = {size, stride, padding};
    return rv_graph_node(graph, &rv_op_max_pool, OPERANDS(x), &attr, sizeof attr);
}

rv_value rv_average_pool(rv_graph *graph, rv_value x, int size, int stride, int padding)
{
    const rv_pool_attr attr = {size, stride, padding};
    return rv_graph_node(graph, &rv_op_average_pool, OPERANDS(x), &attr, sizeof attr);
}

rv_value rv_global_pool(rv_graph *graph, rv_value x)
{
    return rv_graph_node(graph, &rv_op_global_pool, OPERANDS(x), NULL, 0);
}

rv_value rv_concat(rv_graph *graph, rv_value a, rv_value b, int axis)
{
    const rv_axis_attr attr = {.axis = axis};
    return rv_graph_node(graph, &rv_op_concat, OPERANDS(a, b), &attr, sizeof attr);
}

rv_value rv_slice(rv_graph *graph, rv_value x, int axis, int64_t start, int64_t length)
{
    const rv_slice_attr attr = {axis, start, length};
    return rv_graph_node(graph, &rv_op_slice, OPERANDS(x), &attr, sizeof attr);
}

rv_value rv_reshape(rv_graph *graph, rv_value x, rv_shape shape)
{
    return rv_graph_view(graph, x, shape);
}

rv_value rv_reduce(rv_graph *graph, rv_value x, int axis, rv_reduction kind)
{
    const rv_axis_attr attr = {axis, kind};
    return rv_graph_node(graph, &rv_op_reduce, OPERANDS(x), &attr, sizeof attr);
}

rv_value rv_cross_entropy(rv_graph *graph, rv_value logits, rv_value labels, rv_cross_entropy_options options)
{
    rv_cross_entropy_attr attr = {options.label_smoothing, NULL, options.ignore_negative, options.stablemax};
    const rv_shape shape = rv_graph_shape(graph, logits);
    if (options.class_weights && shape.rank > 0 && rv_graph_status(graph, NULL) == RV_OK) {
        const size_t size = (size_t)shape.dim[shape.rank - 1] * sizeof(double);
        if (!(attr.class_weights = rv_graph_keep(graph, options.class_weights, size)))
            return RV_NONE;
    }
    return rv_graph_node(graph, &rv_op_cross_entropy, OPERANDS(logits, labels), &attr, sizeof attr);
}

rv_value rv_mse(rv_graph *graph, rv_value x, rv_value target, rv_value weight)
{
    return rv_graph_node(graph, &rv_op_mse, OPERANDS(x, target, weight), NULL, 0);
}

rv_value rv_l1(rv_graph *graph, rv_value x, rv_value target, rv_value weight)
{
    return rv_graph_node(graph, &rv_op_l1, OPERANDS(x, target, weight), NULL, 0);
}

rv_value rv_binary_cross_entropy(rv_graph *graph, rv_value x, rv_value target, rv_value weight)
{
    return rv_graph_node(graph, &rv_op_binary_cross_entropy, OPERANDS(x, target, weight), NULL, 0);
}
