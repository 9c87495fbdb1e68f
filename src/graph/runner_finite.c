/* Which value was the first that is not finite: inputs, then parameters, then, running forward again since
 * memory is reused, every result. */
#include <math.h>

#include "graph/runner.h"

static rv_status check_finite(const rv_plan *plan, const char *what, const char *name, const void *vector,
                              const rv_shape *shape, rv_error *err)
{
    const int64_t n = rv_shape_size(shape);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(rv_plan_element_at(plan, vector, i)))
            return rv_fail(err, RV_E_NUMERIC, "%s '%s': expected finite values, found %g at element %lld", what, name,
                           rv_plan_element_at(plan, vector, i), (long long)i);
    return RV_OK;
}

/* A result that only exists in bf16: infinity and NaN have all bits of the exponent set. */
static rv_status check_bf16(const rv_call *call, rv_error *err)
{
    const int64_t n = rv_shape_size(&call->node->shape);
    for (int64_t i = 0; i < n; i++)
        if ((call->out_bf16[i] & 0x7f80) == 0x7f80)
            return rv_fail(err, RV_E_NUMERIC, "%s '%s': expected finite values, found %s at element %lld",
                           call->node->op->name, call->node->name, call->out_bf16[i] & 0x7f ? "nan" : "inf", (long long)i);
    return RV_OK;
}

rv_status rv_runner_name_not_finite(rv_runner *runner, rv_error *err)
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
    for (int c = 0; c < runner->forward_calls; c++) {
        const rv_call *call = &runner->calls[c];
        RV_TRY(rv_runner_kernels(runner, call)->forward(call, err));
        if (c + 1 < runner->forward_calls && call[1].node == call->node)
            continue; /* a stage of several */
        if (call->out)
            RV_TRY(check_finite(plan, call->node->op->name, call->node->name, call->out, &call->node->shape, err));
        else
            RV_TRY(check_bf16(call, err));
    }
    return rv_fail(err, RV_E_NUMERIC, "loss: expected a finite value");
}
