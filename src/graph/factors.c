/* Which nodes of a plan are linear layers, and where their factor sums stand.  Invariant: all that
 * reads a layer's weight or bias is that layer, so its sums tell of its whole gradient. */
#include <stdlib.h>

#include "graph/plan.h"

/* What reads a parameter: nothing yet, one layer, or something else as well. */
enum { UNREAD = -2, MIXED = -1 };

typedef struct search {
    rv_plan *plan;
    int *owner; /* [parameters] the weight of the layer that alone reads it, UNREAD or MIXED */
    int *bias;  /* [parameters] of a weight: its bias; -1: none, UNREAD: not seen yet */
    int *layer; /* [parameters] of a weight: number of its layer; -1: none */
} search;

static int parameter_of(const rv_step *step, int input)
{
    return step->in[input].where == RV_SPOT_PARAMETER ? step->in[input].index : -1;
}

/* The weight of node i if it can be a layer, or -1.  Where products are in bf16 what they multiply may be
 * nowhere in float32, and no layer is shown. */
static int weight_of(const rv_plan *plan, int i)
{
    const rv_step *step = &plan->program.steps[i];
    const rv_node *node = &plan->program.nodes[i];
    const int weight = parameter_of(step, 1);
    if (!node->op->kernels[plan->options.backend]->factors || node->bf16 || weight < 0 || !plan->program.trained[weight] ||
        rv_shape_size(&plan->layout.tensors[weight].shape) == 0)
        return -1;
    return step->in[2].where == RV_SPOT_NONE || parameter_of(step, 2) >= 0 ? weight : -1;
}

static void claim(search *s, int parameter, int weight)
{
    s->owner[parameter] = s->owner[parameter] == UNREAD || s->owner[parameter] == weight ? weight : MIXED;
}

static void read_node(search *s, int i)
{
    const rv_step *step = &s->plan->program.steps[i];
    const int weight = weight_of(s->plan, i);
    for (int j = 0; j < RV_OP_INPUTS; j++)
        if (parameter_of(step, j) >= 0)
            claim(s, parameter_of(step, j), weight >= 0 && (j == 1 || j == 2) ? weight : MIXED);
    if (weight < 0)
        return;
    const int bias = parameter_of(step, 2);
    if (s->bias[weight] != UNREAD && s->bias[weight] != bias)
        s->owner[weight] = MIXED; /* two layers that share a weight and not a bias */
    s->bias[weight] = bias;
}

static bool is_layer(const search *s, int weight)
{
    return weight >= 0 && s->owner[weight] == weight && (s->bias[weight] < 0 || s->owner[s->bias[weight]] == weight);
}

static void add_layer(search *s, int weight)
{
    rv_plan *plan = s->plan;
    rv_layout *layout = &plan->layout;
    const int64_t out = layout->tensors[weight].shape.dim[0];
    s->layer[weight] = layout->layer_count;
    layout->layers[layout->layer_count++] =
        (rv_linear_layer){.weight = weight, .bias = s->bias[weight], .out = out,
                          .in = rv_shape_size(&layout->tensors[weight].shape) / out, .positions = 1};
}

static void find(search *s)
{
    rv_plan *plan = s->plan;
    for (int p = 0; p < plan->layout.count; p++) {
        s->owner[p] = s->bias[p] = UNREAD;
        s->layer[p] = -1;
    }
    for (int i = 0; i < plan->program.forward; i++)
        read_node(s, i);
    for (int i = 0; i < plan->program.forward; i++) {
        const int weight = weight_of(plan, i);
        plan->factors[i] = -1;
        if (!is_layer(s, weight))
            continue;
        if (s->layer[weight] < 0)
            add_layer(s, weight);
        plan->factors[i] = 0;
        for (int l = 0; l < s->layer[weight]; l++)
            plan->factors[i] += rv_layer_factors(&plan->layout.layers[l]);
    }
}

rv_status rv_plan_find_layers(rv_plan *plan, rv_error *err)
{
    const size_t parameters = (size_t)plan->layout.count + 1;
    int *numbers = calloc(3 * parameters, sizeof *numbers);
    plan->layout.layers = calloc(parameters, sizeof *plan->layout.layers);
    plan->factors = calloc((size_t)plan->program.forward + 1, sizeof *plan->factors);
    const bool made = numbers && plan->layout.layers && plan->factors;
    if (made)
        find(&(search){plan, numbers, numbers + parameters, numbers + 2 * parameters});
    free(numbers);
    return made ? RV_OK : rv_fail(err, RV_E_MEMORY, "plan: no memory for %d layers", plan->layout.count);
}
