/* Initial parameters: a pure function of seed, parameter name and element number.
 *
 * Drawn in double and rounded to the backend's type, so that float32 and float64
 * start at the same point; adding or reordering parameters changes no other's draw. */
#include <math.h>
#include <string.h>

#include "graph/plan.h"

/* FNV-1a, 64 bits, cut to the 56 that a stream's step may have. */
static uint64_t name_key(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash & (((uint64_t)1 << 56) - 1);
}

/* Normal, drawn again from the next plane of indices until it is within two deviations. */
static double truncated_normal(rv_random stream, uint64_t index)
{
    double z = rv_random_normal(stream, index);
    for (uint64_t plane = 1; fabs(z) > 2; plane++)
        z = rv_random_normal(stream, index + (plane << 48));
    return z;
}

static double draw(const rv_init *init, rv_random stream, uint64_t index)
{
    switch (init->kind) {
    case RV_INIT_ZERO: return 0;
    case RV_INIT_CONSTANT: return init->scale;
    case RV_INIT_NORMAL: return init->scale * rv_random_normal(stream, index);
    case RV_INIT_UNIFORM: return init->scale * (2 * rv_random_uniform(stream, index) - 1);
    case RV_INIT_TRUNCATED: return init->scale * truncated_normal(stream, index);
    }
    return NAN;
}

static void store(const rv_plan *plan, void *vector, int64_t i, double value)
{
    if (plan->element == sizeof(double))
        ((double *)vector)[i] = value;
    else
        ((float *)vector)[i] = (float)value;
}

/* Each node's statistics are a half of means and a half of variances. */
static void init_statistics(const rv_plan *plan, void *buffers)
{
    for (int i = 0; i < plan->program.forward; i++) {
        const rv_node *node = &plan->program.nodes[i];
        const int64_t size = node->op->buffer ? node->op->buffer(node) : 0;
        for (int64_t k = 0; k < size; k++)
            store(plan, buffers, plan->statistics[i] + k, k < size / 2 ? 0 : 1);
    }
}

void rv_plan_init(const rv_plan *plan, uint64_t seed, void *w, void *buffers)
{
    memset(w, 0, (size_t)plan->layout.size * plan->element);
    for (int i = 0; i < plan->layout.count; i++) {
        const rv_tensor *tensor = &plan->layout.tensors[i];
        const rv_random stream = {seed, RV_RANDOM_INIT, name_key(tensor->name)};
        const int64_t n = rv_shape_size(&tensor->shape);
        for (int64_t k = 0; k < n; k++)
            store(plan, w, tensor->offset + k, draw(&plan->graph->parameters[i].init, stream, (uint64_t)k));
    }
    if (buffers)
        init_statistics(plan, buffers);
}
