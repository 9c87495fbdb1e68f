/* Modular arithmetic, the setting of Power et al., "Grokking: generalization beyond
 * overfitting on small algorithmic datasets" (2022): every equation a op b = c over
 * the integers mod p once, cut into training and validation by a seeded permutation.
 * The answer c is the label and never among the tokens. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/data.h"

enum { TOKENS = 4, MAX_P = 4096 }; /* p * p equations stay far below 2^32 */

typedef struct modular {
    rv_source source;
    bool pairs;
    int32_t (*equations)[TOKENS + 1]; /* [count, a op b = c], training first */
    int64_t begin[3];                 /* of each split */
} modular;

typedef struct operation {
    const char *name;
    int64_t (*answer)(int64_t a, int64_t b, int64_t p);
    int first_b; /* smallest right operand */
} operation;

static int64_t add(int64_t a, int64_t b, int64_t p)
{
    return (a + b) % p;
}

static int64_t subtract(int64_t a, int64_t b, int64_t p)
{
    return (a - b + p) % p;
}

static int64_t multiply(int64_t a, int64_t b, int64_t p)
{
    return a * b % p;
}

/* a times the inverse of b, which is b^(p-2) for a prime p (Fermat). */
static int64_t divide(int64_t a, int64_t b, int64_t p)
{
    int64_t answer = a, power = b;
    for (int64_t exponent = p - 2; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            answer = multiply(answer, power, p);
        power = multiply(power, power, p);
    }
    return answer;
}

static int64_t add_squares(int64_t a, int64_t b, int64_t p)
{
    return (a * a + b * b) % p;
}

/* Power et al. found no generalization of this one. */
static int64_t mix_cubes(int64_t a, int64_t b, int64_t p)
{
    return (a * a % p * a + a * b % p * b + b) % p;
}

enum { OPERATIONS = RV_MODULAR_CUBIC + 1 };
static const operation operations[OPERATIONS] = {
    [RV_MODULAR_DIVISION] = {"division", divide, 1},
    [RV_MODULAR_ADDITION] = {"addition", add, 0},
    [RV_MODULAR_SUBTRACTION] = {"subtraction", subtract, 0},
    [RV_MODULAR_MULTIPLICATION] = {"multiplication", multiply, 0},
    [RV_MODULAR_SQUARES] = {"squares", add_squares, 0},
    [RV_MODULAR_CUBIC] = {"cubic", mix_cubes, 0},
};

static bool is_prime(int p)
{
    for (int d = 2; d * d <= p; d++)
        if (p % d == 0)
            return false;
    return p >= 2;
}

/* One equation, or zeros and no label for an id below 0. */
static void write_example(const modular *m, rv_split split, int64_t id, int32_t *input, int32_t *label)
{
    static const int32_t nothing[TOKENS + 1] = {[TOKENS] = -1};
    const int32_t *equation = id < 0 ? nothing : m->equations[m->begin[split] + id];
    *label = equation[TOKENS];
    if (!m->pairs) {
        memcpy(input, equation, TOKENS * sizeof *input);
        return;
    }
    input[0] = equation[0];
    input[1] = id < 0 ? 0 : (int32_t)m->source.classes + equation[2];
}

static void modular_fill(const rv_source *source, rv_split split, const int64_t *ids, int count,
                         rv_random augment, uint64_t first, rv_dtype dtype, void *const *inputs)
{
    (void)augment, (void)first, (void)dtype;
    const modular *m = (const modular *)source;
    int32_t *input = inputs[0];  /* [count, 4] or [count, 2] */
    int32_t *labels = inputs[1]; /* [count] */
    for (int i = 0; i < count; i++, input += source->input_shape[0].dim[0])
        write_example(m, split, ids[i], input, &labels[i]);
}

static void modular_free(rv_source *source)
{
    free(((modular *)source)->equations);
    free(source);
}

/* Equation number i in the order of (a, b) goes to the place the permutation gives. */
static rv_status write_equations(modular *m, const operation *op, int p, uint32_t count, uint64_t seed,
                                 rv_error *err)
{
    uint32_t *order = malloc(count * sizeof *order);
    m->equations = malloc(count * sizeof *m->equations);
    if (!order || !m->equations) {
        free(order);
        return rv_fail(err, RV_E_MEMORY, "modular arithmetic: no memory for %u equations", count);
    }
    rv_random_permutation((rv_random){seed, RV_RANDOM_DATA, 0}, count, order);
    int width = p - op->first_b;
    for (uint32_t i = 0; i < count; i++) {
        int a = (int)order[i] / width, b = op->first_b + (int)order[i] % width;
        const int32_t equation[] = {a, p, b, p + 1, (int32_t)op->answer(a, b, p)};
        memcpy(m->equations[i], equation, sizeof equation);
    }
    free(order);
    return RV_OK;
}

rv_status rv_source_modular(rv_source **out, const rv_modular *table, rv_error *err)
{
    *out = NULL;
    const int p = table->p;
    if (table->operation < 0 || table->operation >= OPERATIONS)
        return rv_fail(err, RV_E_UNKNOWN, "modular arithmetic: operation %d is none of 0 to %d (" RV_MODULAR_OPERATIONS ")",
                       table->operation, OPERATIONS - 1);
    const operation *op = &operations[table->operation];
    if (p > MAX_P || !is_prime(p))
        return rv_fail(err, RV_E_RANGE, "modular arithmetic: p must be a prime up to %d, found %d", MAX_P, p);
    uint32_t count = (uint32_t)p * (uint32_t)(p - op->first_b);
    double wanted = round(table->fraction * count);
    if (!(wanted >= 1 && wanted <= count - 1.0))
        return rv_fail(err, RV_E_RANGE,
                       "modular arithmetic: fraction must leave an equation on each side of %u, found %g",
                       count, table->fraction);
    modular *m = calloc(1, sizeof *m);
    if (!m)
        return rv_fail(err, RV_E_MEMORY, "modular arithmetic: out of memory");
    uint32_t train = (uint32_t)wanted;
    m->source = (rv_source){.inputs = 2,
                            .input_dtype = {RV_I32, RV_I32},
                            .input_shape = {{1, {table->pairs ? 2 : TOKENS}}, {0, {0}}},
                            .examples = {train, count - train, 0},
                            .classes = p,
                            .fill = modular_fill,
                            .free = modular_free};
    m->pairs = table->pairs;
    m->begin[RV_SPLIT_VALIDATION] = train;
    snprintf(m->source.description, sizeof m->source.description,
             "%s mod %d: all %u equations, %u to train on, split by seed %llu", op->name, p, count, train,
             (unsigned long long)table->seed);
    rv_status status = write_equations(m, op, p, count, table->seed, err);
    if (status != RV_OK) {
        modular_free(&m->source);
        return status;
    }
    *out = &m->source;
    return RV_OK;
}
