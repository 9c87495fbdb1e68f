/* Building, feeding and running the small graphs of cases.c. */
#include "problem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t edges[] = {7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65};

const char *regime_name(check_regime regime)
{
    static const char *const names[] = {"small", "odd", "one", "twice", "empty", "edge"};
    return names[regime];
}

/* Draws of one problem are told apart by a name: FNV-1a, cut to what a stream takes. */
static rv_random named_stream(rv_random stream, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    stream.step = (stream.step + hash) & (((uint64_t)1 << 56) - 1);
    return stream;
}

static int64_t draw_size(const problem *p, uint64_t index)
{
    const rv_random stream = named_stream(p->stream, "sizes");
    switch (p->regime) {
    case REGIME_ONE:
        return 1;
    case REGIME_ODD:
        return 1 + 2 * (int64_t)rv_random_below(stream, index, 3);
    case REGIME_EDGE:
        return edges[rv_random_below(stream, index, sizeof edges / sizeof edges[0])];
    default:
        return 1 + (int64_t)rv_random_below(stream, index, 4);
    }
}

static void draw_sizes(problem *p)
{
    const rv_random stream = named_stream(p->stream, "batch");
    const bool large = p->regime == REGIME_EDGE;
    for (uint64_t i = 0; i < 3; i++)
        p->size[i] = draw_size(p, i);
    for (uint64_t i = 0; i < 2; i++)
        p->room[i] = p->regime == REGIME_ONE ? 0 : (int64_t)rv_random_below(stream, 1 + i, large ? 8 : 4);
    p->batch = 1 + (int64_t)rv_random_below(stream, 0, large ? 9 : 3);
    if (p->regime == REGIME_ONE)
        p->batch = 1;
    if (p->regime == REGIME_EMPTY)
        p->batch = 0;
}

/* ---- operands --------------------------------------------------------- */

static operand *find_operand(problem *p, const char *name)
{
    for (int i = 0; i < p->operand_count; i++)
        if (strcmp(p->operands[i].name, name) == 0)
            return &p->operands[i];
    return NULL;
}

static rv_value add_operand(problem *p, const char *name, operand o)
{
    assert_true(p->operand_count < MOST_OPERANDS);
    snprintf(o.name, sizeof o.name, "%s", name);
    p->operands[p->operand_count++] = o;
    return o.value;
}

rv_value problem_input(problem *p, const char *name, feed_kind kind, int64_t limit, rv_shape shape)
{
    const operand *known = find_operand(p, name);
    if (known)
        return known->value;
    const rv_dtype dtype = kind == FEED_IDS || kind == FEED_PARTIAL ? RV_I32 : RV_F32;
    const operand o = {.kind = kind,
                       .limit = limit,
                       .shape = shape,
                       .value = rv_graph_input(p->graph, name, dtype, shape),
                       .input = p->input_count++};
    return add_operand(p, name, o);
}

rv_value problem_parameter(problem *p, const char *name, feed_kind kind, rv_shape shape)
{
    const operand *known = find_operand(p, name);
    if (known)
        return known->value;
    if (rv_shape_size(&shape) == 0)
        return problem_input(p, name, kind, 0, shape);
    const rv_init init = {RV_INIT_ZERO, 0};
    const operand o = {.kind = kind,
                       .shape = shape,
                       .value = rv_graph_parameter(p->graph, name, RV_ROLE_HIDDEN, shape, init),
                       .input = -1};
    return add_operand(p, name, o);
}

rv_value problem_activation(problem *p, const char *name, rv_shape shape)
{
    const rv_value value = problem_parameter(p, name, FEED_SPREAD, shape);
    operand *o = find_operand(p, name);
    if (o->activation != RV_NONE)
        return o->activation;
    if (o->input < 0)
        return o->activation = rv_scale(p->graph, value, 1);
    char shift[RV_NAME_SIZE];
    snprintf(shift, sizeof shift, "shift_of_%s", name);
    const rv_shape last = RV_SHAPE(shape.dim[shape.rank - 1]);
    return o->activation = rv_add(p->graph, value, problem_parameter(p, shift, FEED_SPREAD, last));
}

/* ---- the graph -------------------------------------------------------- */

void problem_init(problem *p, const check_case *c, check_regime regime, int round)
{
    const rv_random root = {2027, RV_RANDOM_PROBE, (uint64_t)round * REGIME_COUNT + regime};
    rv_error err = {0};
    *p = (problem){.graph = rv_graph_new(), .regime = regime, .stream = named_stream(root, c->name)};
    assert_non_null(p->graph);
    draw_sizes(p);
    rv_value y = c->build(p);
    if (regime == REGIME_TWICE)
        y = rv_add(p->graph, y, rv_scale(p->graph, c->build(p), -0.7));
    if (rv_graph_status(p->graph, &err) != RV_OK)
        fail_msg("%s, %s: %s", c->name, regime_name(regime), err.message);
    rv_graph_set_output(p->graph, "y", y);
    p->y = y;
    if (c->kind != CASE_LOSS) {
        const rv_value target = problem_input(p, "target", FEED_SPREAD, 0, rv_graph_shape(p->graph, y));
        y = rv_mse(p->graph, y, target, RV_NONE);
    }
    rv_graph_set_loss(p->graph, y);
    if (rv_graph_status(p->graph, &err) != RV_OK)
        fail_msg("%s, %s: %s", c->name, regime_name(regime), err.message);
}

void problem_release(problem *p)
{
    rv_graph_free(p->graph);
}

/* ---- data ------------------------------------------------------------- */

/* Element i of n distinct values in (-1.5, 1.5): evenly spaced, permuted, each moved by at
 * most a tenth of half the spacing, so that 0 and each other stay at a distance. */
static double spread(rv_random stream, const uint32_t *order, int64_t n, int64_t i)
{
    const double jitter = 0.2 * rv_random_uniform(stream, (uint64_t)i) - 0.1;
    return 1.5 * ((2 * (double)order[i] + 1.3 + jitter) / (double)n - 1);
}

static double feed_value(const operand *o, rv_random stream, const uint32_t *order, int64_t n, int64_t i)
{
    const uint64_t index = (uint64_t)n + (uint64_t)i; /* the first n are the jitters */
    switch (o->kind) {
    case FEED_FAR:
        return spread(stream, order, n, i) + (rv_random_below(stream, index, 2) ? 4 : -4);
    case FEED_UNIT:
        return rv_random_uniform(stream, index);
    case FEED_IDS:
        return (double)rv_random_below(stream, index, (uint64_t)o->limit);
    case FEED_PARTIAL:
        return (double)rv_random_below(stream, index, (uint64_t)o->limit + 1) - 1;
    default:
        return spread(stream, order, n, i);
    }
}

double session_at(const session *s, const void *array, int64_t i)
{
    return s->dtype == RV_F64 ? ((const double *)array)[i] : ((const float *)array)[i];
}

void session_put(const session *s, void *array, int64_t i, double value)
{
    if (s->dtype == RV_F64)
        ((double *)array)[i] = value;
    else
        ((float *)array)[i] = (float)value;
}

static void feed(const session *s, const operand *o, void *to, int64_t offset)
{
    const rv_random stream = named_stream(s->problem->stream, o->name);
    const int64_t n = rv_shape_size(&o->shape);
    uint32_t *order = malloc(sizeof *order * (size_t)(n + 1));
    assert_non_null(order);
    rv_random_permutation(stream, (uint32_t)n, order);
    for (int64_t i = 0; i < n; i++) {
        const double value = feed_value(o, stream, order, n, i);
        if (o->kind == FEED_IDS || o->kind == FEED_PARTIAL)
            ((int32_t *)to)[i] = (int32_t)value;
        else
            session_put(s, to, offset + i, (double)(float)value);
    }
    free(order);
}

/* ---- session ---------------------------------------------------------- */

static int64_t result_size(const problem *p)
{
    const rv_shape shape = rv_graph_shape(p->graph, p->y);
    return rv_shape_size(&shape);
}

static void *new_vector(const session *s, int64_t n)
{
    const size_t size = (rv_dtype_size(s->dtype) * (size_t)n + 64 + 63) / 64 * 64;
    void *vector = aligned_alloc(64, size);
    assert_non_null(vector);
    memset(vector, 0, size);
    return vector;
}

static void check(rv_status status, const rv_error *err)
{
    if (status != RV_OK)
        fail_msg("%s: %s", rv_status_name(status), err->message);
}

void session_open(session *s, const problem *p, rv_plan_options options, bool training)
{
    rv_error err = {0};
    *s = (session){.problem = p, .training = training, .dtype = rv_backend_dtype(options.backend)};
    check(rv_plan_new(&s->plan, p->graph, options, &err), &err);
    check(rv_runner_new(&s->runner, s->plan, &err), &err);
    s->layout = rv_plan_layout(s->plan);
    s->w = new_vector(s, s->layout->size);
    s->g = new_vector(s, s->layout->size);
    s->y = new_vector(s, result_size(p));
    const int64_t statistics = rv_plan_buffer_size(s->plan);
    s->statistics = new_vector(s, statistics);
    /* Means and variances of evaluation; what must be written is not a number before. */
    for (int64_t i = 0; i < statistics; i++)
        session_put(s, s->statistics, i, training ? NAN : 0.5 + (double)(i % 7) / 8);
    for (int64_t i = 0; i < s->layout->size; i++)
        session_put(s, s->g, i, NAN);
    for (int i = 0; i < p->operand_count; i++) {
        const operand *o = &p->operands[i];
        const int tensor = o->input < 0 ? rv_layout_find(s->layout, o->name) : -1;
        assert_true(o->input >= 0 || tensor >= 0);
        if (o->input >= 0)
            feed(s, o, rv_runner_input(s->runner, o->input), 0);
        else
            feed(s, o, s->w, s->layout->tensors[tensor].offset);
    }
}

void session_close(session *s)
{
    rv_runner_free(s->runner);
    rv_plan_free(s->plan);
    free(s->w);
    free(s->g);
    free(s->y);
    free(s->statistics);
}

void session_forward(session *s)
{
    const rv_shard shard = {.seed = 11, .step = 5, .shard = 3, .training = s->training};
    rv_error err = {0};
    check(rv_plan_pack(s->plan, s->w, NULL, &err), &err);
    check(rv_runner_forward(s->runner, s->w, s->statistics, shard, s->loss, &err), &err);
    const size_t bytes = rv_dtype_size(s->dtype) * (size_t)result_size(s->problem);
    if (bytes > 0)
        memcpy(s->y, rv_runner_output(s->runner, "y"), bytes);
}

void session_backward(session *s)
{
    rv_error err = {0};
    check(rv_runner_backward(s->runner, s->w, s->g, &err), &err);
}

int check_main(const char *group, void (*test)(void **state), const char *filter)
{
    struct CMUnitTest *tests = calloc((size_t)check_case_count, sizeof *tests);
    if (!tests)
        return 1;
    for (int i = 0; i < check_case_count; i++)
        tests[i] = (struct CMUnitTest){.name = check_cases[i].name,
                                       .test_func = test,
                                       .initial_state = (void *)(uintptr_t)&check_cases[i]};
    if (filter)
        cmocka_set_test_filter(filter);
    const int failed = _cmocka_run_group_tests(group, tests, (size_t)check_case_count, NULL, NULL);
    free(tests);
    return failed != 0;
}
