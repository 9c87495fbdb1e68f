/* One operation inside a small graph that ends in a loss, with its data, and a session
 * that runs it on a backend.
 *
 * Shapes and data are a function of (case, regime, round): a seeded Philox stream, no
 * state.  All values are floats exactly, so that every backend starts from the same. */
#ifndef RV_TEST_PROBLEM_H
#define RV_TEST_PROBLEM_H

#include "ravine/graph.h"

typedef enum check_regime {
    REGIME_SMALL, /* sizes 1 .. 4 */
    REGIME_ODD,   /* sizes 1, 3, 5 */
    REGIME_ONE,   /* every size 1 */
    REGIME_TWICE, /* small; the operation stands twice on the same operands: gradients add up */
    REGIME_EMPTY, /* small, batch of no example */
    REGIME_EDGE,  /* around 8, 16, 32 and 64 */
    REGIME_COUNT
} check_regime;

const char *regime_name(check_regime regime);

typedef enum feed_kind {
    FEED_SPREAD,  /* distinct values in (-1.5, 1.5), none near 0 */
    FEED_FAR,     /* the same, moved up or down by 4: never near a FEED_SPREAD */
    FEED_UNIT,    /* in (0, 1) */
    FEED_IDS,     /* integers in [0, limit) */
    FEED_PARTIAL  /* integers in [-1, limit) */
} feed_kind;

enum { MOST_OPERANDS = 12 };

typedef struct operand {
    char name[RV_NAME_SIZE];
    feed_kind kind;
    int64_t limit;
    rv_shape shape;
    rv_value value, activation; /* the operand itself; behind an operation, RV_NONE until asked for */
    int input; /* number of the input, or -1: a parameter */
} operand;

typedef struct problem {
    rv_graph *graph;
    check_regime regime;
    rv_random stream;
    int64_t batch, size[3], room[2]; /* room: what is left of height and width beyond the least */
    int operand_count, input_count;
    operand operands[MOST_OPERANDS];
    rv_value y; /* the result of the operation, output "y" */
} problem;

typedef enum case_kind {
    CASE_PLAIN,
    CASE_DEEP,  /* several operations: what bf16 rounds grows, so float32 only is compared */
    CASE_MODAL, /* training and evaluation differ */
    CASE_LOSS   /* the result is a loss already */
} case_kind;

typedef struct check_case {
    const char *name;
    case_kind kind;
    rv_value (*build)(problem *p);
} check_case;

/* cases.c: one line for every operation and option. */
extern const check_case check_cases[];
extern const int check_case_count;

/* One cmocka test for every case that matches filter (NULL: all); the status of the process. */
int check_main(const char *group, void (*test)(void **state), const char *filter);

/* ---- what a build function calls ------------------------------------- */

/* An operand, made once for each name: a parameter, or an input where it has no element. */
rv_value problem_parameter(problem *p, const char *name, feed_kind kind, rv_shape shape);
/* The same behind an operation, as activations are: it has a gradient even where it is empty. */
rv_value problem_activation(problem *p, const char *name, rv_shape shape);
rv_value problem_input(problem *p, const char *name, feed_kind kind, int64_t limit, rv_shape shape);

/* ---- running ---------------------------------------------------------- */

/* Fails the running test when the graph cannot be built. */
void problem_init(problem *p, const check_case *c, check_regime regime, int round);
void problem_release(problem *p);

typedef struct session {
    const problem *problem;
    rv_plan *plan;
    rv_runner *runner;
    const rv_layout *layout;
    rv_dtype dtype;
    bool training;
    void *w, *g, *statistics;
    void *y; /* copy of the result: the arena is used again in the backward pass */
    double loss[2];
} session;

/* Plans for the backend and fills parameters, statistics and inputs. */
void session_open(session *s, const problem *p, rv_plan_options options, bool training);
void session_close(session *s);
void session_forward(session *s);
void session_backward(session *s);
/* Element i of an array of the session's type. */
double session_at(const session *s, const void *array, int64_t i);
void session_put(const session *s, void *array, int64_t i, double value);

#endif
