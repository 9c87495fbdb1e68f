/* The backward pass of every operation on ref against central differences of its forward
 * pass, in float64: every parameter, all regimes but the large one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "problem.h"

enum { ROUNDS = 8, MOST_ELEMENTS = 60 };

static const double step = 1e-5;

/* (f(w + h) - f(w - h)) / 2h of the loss sum along element i. */
static double difference(session *s, int64_t i)
{
    double *w = s->w;
    const double here = w[i];
    double side[2];
    for (int k = 0; k < 2; k++) {
        w[i] = here + (k ? -step : step);
        session_forward(s);
        side[k] = s->loss[0];
    }
    w[i] = here;
    return (side[0] - side[1]) / (2 * step);
}

/* Elements of one tensor, all or evenly chosen ones. */
static void check_tensor(session *s, const check_case *c, const rv_tensor *tensor)
{
    const int64_t n = rv_shape_size(&tensor->shape);
    const int64_t stride = n > MOST_ELEMENTS ? n / MOST_ELEMENTS | 1 : 1;
    const double *g = (const double *)s->g + tensor->offset;
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(g[i]));
    /* The second term is the rounding of the loss, divided by the step. */
    const double allowed = 1e-6 * largest + 1e-10 * (1 + fabs(s->loss[0]));
    for (int64_t i = 0; i < n; i += stride) {
        const double expected = difference(s, tensor->offset + i);
        if (!(fabs(g[i] - expected) <= allowed))
            fail_msg("%s, %s%s: gradient of %s[%lld]: expected %.12g, found %.12g", c->name,
                     regime_name(s->problem->regime), s->training ? "" : ", evaluation", tensor->name,
                     (long long)i, expected, g[i]);
    }
}

static void check_problem(const check_case *c, check_regime regime, int round, bool training)
{
    problem p;
    session s;
    problem_init(&p, c, regime, round);
    session_open(&s, &p, (rv_plan_options){.backend = RV_BACKEND_REF, .gradient = true}, training);
    session_forward(&s);
    session_backward(&s);
    assert_true(isfinite(s.loss[0]) && isfinite(s.loss[1]));
    for (int i = 0; i < s.layout->count; i++)
        check_tensor(&s, c, &s.layout->tensors[i]);
    session_close(&s);
    problem_release(&p);
}

static void test_case(void **state)
{
    const check_case *c = *state;
    for (int r = 0; r < REGIME_EDGE; r++)
        for (int round = 0; round < (r == REGIME_ONE ? 1 : ROUNDS); round++) {
            check_problem(c, (check_regime)r, round, true);
            if (c->kind == CASE_MODAL)
                check_problem(c, (check_regime)r, round, false);
        }
}

int main(int argc, char **argv)
{
    return check_main("gradients", test_case, argc > 1 ? argv[1] : NULL);
}
