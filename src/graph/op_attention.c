/* Multi-head attention over packed queries, keys and values: shape rule and cost.
 * The float64 kernels stand in op_attention_ref.c. */
#include <math.h>

#include "graph/op_attention.h"
#include "graph/op_cpu.h"
#include "graph/op_row.h"

static rv_status check_options(const rv_node *node, rv_error *err)
{
    const rv_attention_options *o = node->attr;
    if (o->heads < 1)
        return rv_fail(err, RV_E_RANGE, "attention '%s': heads: expected at least 1, found %d", node->name,
                       o->heads);
    if (!(o->soft_cap >= 0) || isinf(o->soft_cap))
        return rv_fail(err, RV_E_RANGE, "attention '%s': soft_cap: expected a finite number >= 0, found %g",
                       node->name, o->soft_cap);
    if (!(o->dropout >= 0 && o->dropout < 1))
        return rv_fail(err, RV_E_RANGE, "attention '%s': dropout: expected in [0, 1), found %g", node->name,
                       o->dropout);
    return RV_OK;
}

static rv_status infer_attention(rv_node *node, rv_error *err)
{
    const rv_attention_options *o = node->attr;
    const int64_t *x = node->in_shape[0].dim;
    RV_TRY(check_options(node, err));
    RV_TRY(rv_operand_float(node, 0, "qkv", 3, err));
    const int64_t unit = 3 * (int64_t)o->heads * (o->rotary ? 2 : 1);
    if (x[2] < 1 || x[2] % unit != 0)
        return rv_operand_fail(node, 0, "qkv", err, "[*, *, 3 * %d heads * %s size]", o->heads,
                               o->rotary ? "an even" : "a");
    node->shape = RV_SHAPE(x[0], x[1], x[2] / 3);
    node->dtype = RV_F32;
    return RV_OK;
}

/* The two products over the pairs (query, key) that the mask leaves. */
static rv_cost cost_attention(const rv_node *node)
{
    const rv_attention_options *o = node->attr;
    const double time = (double)node->shape.dim[1];
    const double pairs = (double)node->shape.dim[0] * time * (o->causal ? (time + 1) / 2 : time);
    return (rv_cost){4 * pairs * (double)node->shape.dim[2], rv_node_bytes(node)};
}

const rv_op rv_op_attention = {
    .name = "attention",
    .min_inputs = 1,
    .max_inputs = 1,
    .infer = infer_attention,
    .cost = cost_attention,
    .kernels = {[RV_BACKEND_REF] = &rv_attention_ref, [RV_BACKEND_CPU] = &rv_attention_cpu}};
