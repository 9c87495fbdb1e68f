/* cpu against ref: forward, statistics and backward of every case, in float32 and with
 * bf16 products, from the small regimes to sizes around the kernels' blocks.
 *
 * An error is measured by the norm of the difference of a whole tensor.  Rounding in a sum
 * of K terms grows as sqrt(K), and K is at most the size of the largest operand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "problem.h"

enum { ROUNDS = 6 };

typedef struct check_pair {
    const check_case *c;
    problem problem;
    session ref, cpu;
    bool bf16;
} check_pair;

static double relative_error(const check_pair *pair)
{
    int64_t largest = 1;
    for (int i = 0; i < pair->problem.operand_count; i++) {
        const int64_t n = rv_shape_size(&pair->problem.operands[i].shape);
        largest = n > largest ? n : largest;
    }
    /* Operands of bf16 products are off by 2^-9; what is left after a target is subtracted, or a
     * ReLU on the other side of its kink, by more.  unit_product holds each product to its sum. */
    return (pair->bf16 ? 0x1p-5 : 0) + 0x1p-18 * sqrt((double)largest);
}

/* n elements of ref from a[at_a] against as many of cpu from b[at_b]. */
static void compare(const check_pair *pair, const char *what, const void *a, int64_t at_a, const void *b,
                    int64_t at_b, int64_t n)
{
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        const double expected = session_at(&pair->ref, a, at_a + i);
        const double found = session_at(&pair->cpu, b, at_b + i);
        difference += (expected - found) * (expected - found);
        norm += expected * expected;
    }
    /* Data are of order 1: below that only the absolute error means something. */
    const double allowed = relative_error(pair) * (sqrt(norm) + sqrt((double)n));
    if (!(sqrt(difference) <= allowed))
        fail_msg("%s, %s%s%s: %s: norm of the difference %.3g, allowed %.3g", pair->c->name,
                 regime_name(pair->problem.regime), pair->ref.training ? "" : ", evaluation",
                 pair->bf16 ? ", bf16" : "", what, sqrt(difference), allowed);
}

static void compare_loss(const check_pair *pair)
{
    const double *a = pair->ref.loss, *b = pair->cpu.loss;
    const double allowed = relative_error(pair) * (fabs(a[0]) + fabs(a[1]));
    if (!(fabs(a[0] - b[0]) <= allowed) || !(fabs(a[1] - b[1]) <= 1e-6 * fabs(a[1])))
        fail_msg("%s, %s%s: loss: expected (%.9g, %.9g), found (%.9g, %.9g)", pair->c->name,
                 regime_name(pair->problem.regime), pair->bf16 ? ", bf16" : "", a[0], a[1], b[0], b[1]);
}

static void compare_forward(const check_pair *pair)
{
    const rv_shape shape = rv_graph_shape(pair->problem.graph, pair->problem.y);
    compare(pair, "output", pair->ref.y, 0, pair->cpu.y, 0, rv_shape_size(&shape));
    compare(pair, "statistics", pair->ref.statistics, 0, pair->cpu.statistics, 0,
            rv_plan_buffer_size(pair->ref.plan));
    compare_loss(pair);
}

static void compare_backward(const check_pair *pair)
{
    for (int i = 0; i < pair->ref.layout->count; i++) {
        const rv_tensor *a = &pair->ref.layout->tensors[i], *b = &pair->cpu.layout->tensors[i];
        char what[2 * RV_NAME_SIZE];
        snprintf(what, sizeof what, "gradient of %s", a->name);
        compare(pair, what, pair->ref.g, a->offset, pair->cpu.g, b->offset, rv_shape_size(&a->shape));
    }
}

/* One run on cpu, beside that on ref. */
static void check_run(check_pair *pair, bool bf16)
{
    const rv_plan_options options = {.backend = RV_BACKEND_CPU, .gradient = true, .bf16 = bf16};
    pair->bf16 = bf16;
    session_open(&pair->cpu, &pair->problem, options, pair->ref.training);
    session_forward(&pair->cpu);
    compare_forward(pair);
    session_backward(&pair->cpu);
    compare_backward(pair);
    session_close(&pair->cpu);
}

static void check_problem(const check_case *c, check_regime regime, int round, bool training)
{
    const rv_plan_options options = {.backend = RV_BACKEND_REF, .gradient = true};
    check_pair pair = {.c = c};
    problem_init(&pair.problem, c, regime, round);
    session_open(&pair.ref, &pair.problem, options, training);
    session_forward(&pair.ref);
    session_backward(&pair.ref);
    check_run(&pair, false);
    if (c->kind != CASE_DEEP)
        check_run(&pair, true);
    session_close(&pair.ref);
    problem_release(&pair.problem);
}

static void test_case(void **state)
{
    const check_case *c = *state;
    for (int r = 0; r < REGIME_COUNT; r++)
        for (int round = 0; round < ROUNDS; round++) {
            check_problem(c, (check_regime)r, round, true);
            if (c->kind == CASE_MODAL)
                check_problem(c, (check_regime)r, round, false);
        }
}

int main(int argc, char **argv)
{
    return check_main("agreement", test_case, argc > 1 ? argv[1] : NULL);
}
