/* Modular arithmetic: every equation once, true, in the right direction, and split by seed. */
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "ravine/data.h"

static const rv_random nothing = {0, RV_RANDOM_AUGMENT, 0};

/* The equations of a split: tokens [count, 4], labels [count]. */
static int64_t read_split(const rv_source *source, rv_split split, int32_t **tokens, int32_t **labels)
{
    int64_t count = source->examples[split];
    int64_t *ids = malloc((size_t)count * sizeof *ids);
    *tokens = malloc((size_t)count * 4 * sizeof **tokens);
    *labels = malloc((size_t)count * sizeof **labels);
    for (int64_t i = 0; i < count; i++)
        ids[i] = i;
    source->fill(source, split, ids, (int)count, nothing, 0, RV_F32, (void *[]){*tokens, *labels});
    free(ids);
    return count;
}

/* a op b = c, said without the inverse: of a division, c * b = a. */
static int holds(rv_modular_operation operation, int64_t a, int64_t b, int64_t c, int64_t p)
{
    switch (operation) {
    case RV_MODULAR_DIVISION:
        return b != 0 && c * b % p == a;
    case RV_MODULAR_ADDITION:
        return (a + b - c) % p == 0;
    case RV_MODULAR_SUBTRACTION:
        return (a - b - c) % p == 0;
    case RV_MODULAR_MULTIPLICATION:
        return (a * b - c) % p == 0;
    case RV_MODULAR_SQUARES:
        return (a * a + b * b - c) % p == 0;
    case RV_MODULAR_CUBIC:
        return (a * (a * a + b * b) + b - c) % p == 0;
    }
    return 0;
}

static rv_status open_source(rv_source **source, int p, int operation, double fraction, uint64_t seed, rv_error *err)
{
    return rv_source_modular(source, &(rv_modular){.p = p, .operation = operation, .fraction = fraction, .seed = seed}, err);
}

static void check_operation(rv_modular_operation operation, const char *name, int p, int64_t equations)
{
    rv_source *source;
    assert_int_equal(open_source(&source, p, (int)operation, 0.5, 3, NULL), RV_OK);
    assert_memory_equal(source->description, name, strlen(name));
    assert_int_equal(source->classes, p);
    assert_false(source->draw);
    char *seen = calloc((size_t)(p * p), 1);
    int64_t total = 0;
    for (rv_split split = RV_SPLIT_TRAIN; split <= RV_SPLIT_VALIDATION; split++) {
        int32_t *tokens, *labels;
        int64_t count = read_split(source, split, &tokens, &labels);
        for (int64_t i = 0; i < count; i++) {
            const int32_t *t = tokens + 4 * i;
            assert_in_range(labels[i], 0, p - 1);
            assert_true(t[0] >= 0 && t[0] < p && t[2] >= 0 && t[2] < p);
            assert_int_equal(t[1], p);
            assert_int_equal(t[3], p + 1);
            assert_true(holds(operation, t[0], t[2], labels[i], p));
            assert_int_equal(seen[t[0] * p + t[2]]++, 0);
        }
        total += count;
        free(tokens);
        free(labels);
    }
    assert_int_equal(total, equations);
    assert_int_equal(source->examples[RV_SPLIT_TEST], 0);
    free(seen);
    rv_source_free(source);
}

static void every_equation_once(void **state)
{
    (void)state;
    check_operation(RV_MODULAR_DIVISION, "division", 97, 97 * 96);
    check_operation(RV_MODULAR_ADDITION, "addition", 97, 97 * 97);
    check_operation(RV_MODULAR_SUBTRACTION, "subtraction", 31, 31 * 31);
    check_operation(RV_MODULAR_MULTIPLICATION, "multiplication", 31, 31 * 31);
    check_operation(RV_MODULAR_SQUARES, "squares", 31, 31 * 31);
    check_operation(RV_MODULAR_CUBIC, "cubic", 97, 97 * 97);
    check_operation(RV_MODULAR_DIVISION, "division", 2, 2);
}

/* The words of the option stand in the order of the enum. */
static void names_in_order(void **state)
{
    (void)state;
    const char *at = RV_MODULAR_OPERATIONS;
    for (int i = 0; i <= RV_MODULAR_CUBIC; i++) {
        rv_source *source;
        size_t n = strcspn(at, "|");
        assert_int_equal(open_source(&source, 3, i, 0.5, 0, NULL), RV_OK);
        assert_memory_equal(source->description, at, n);
        assert_int_equal(source->description[n], ' ');
        at += n + (at[n] == '|');
        rv_source_free(source);
    }
    assert_int_equal(*at, '\0');
}

static void grokking_setting(void **state)
{
    (void)state;
    rv_source *source;
    assert_int_equal(open_source(&source, 97, RV_MODULAR_DIVISION, 0.5, 0, NULL), RV_OK);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], 4656);
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 4656);
    assert_int_equal(source->inputs, 2);
    assert_int_equal(source->input_shape[0].dim[0], 4);
    assert_int_equal(source->input_shape[1].rank, 0);
    rv_source_free(source);
}

/* Two seeds share about half of their training equations, one seed all of them in order. */
static void split_follows_the_seed(void **state)
{
    (void)state;
    rv_source *source[3];
    int32_t *tokens[3], *labels[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(open_source(&source[i], 97, RV_MODULAR_DIVISION, 0.5, i == 2 ? 8 : 7, NULL), RV_OK);
        read_split(source[i], RV_SPLIT_TRAIN, &tokens[i], &labels[i]);
    }
    assert_memory_equal(tokens[0], tokens[1], 4656 * 4 * sizeof(int32_t));
    char seen[97 * 97] = {0};
    int shared = 0;
    for (int i = 0; i < 4656; i++)
        seen[tokens[0][4 * i] * 97 + tokens[0][4 * i + 2]] = 1;
    for (int i = 0; i < 4656; i++)
        shared += seen[tokens[2][4 * i] * 97 + tokens[2][4 * i + 2]];
    /* Hypergeometric: mean 2328, deviation sqrt(n) / 4 = 24. */
    assert_in_range(shared, 2328 - 6 * 24, 2328 + 6 * 24);
    for (int i = 0; i < 3; i++) {
        rv_source_free(source[i]);
        free(tokens[i]);
        free(labels[i]);
    }
}

static void padding(void **state)
{
    (void)state;
    rv_source *source;
    assert_int_equal(open_source(&source, 5, RV_MODULAR_ADDITION, 0.5, 0, NULL), RV_OK);
    int32_t tokens[3][4], labels[3];
    memset(tokens, 7, sizeof tokens);
    source->fill(source, RV_SPLIT_TRAIN, (int64_t[]){0, -1, 1}, 3, nothing, 0, RV_F64,
                 (void *[]){tokens, labels});
    static const int32_t zeros[4];
    assert_memory_equal(tokens[1], zeros, sizeof zeros);
    assert_int_equal(labels[1], -1);
    assert_int_equal(tokens[2][1], 5);
    rv_source_free(source);
}

/* Pairs are the same equations; b has codes of its own. */
static void pairs(void **state)
{
    (void)state;
    rv_source *tokens, *codes;
    rv_modular table = {.p = 5, .operation = RV_MODULAR_SUBTRACTION, .fraction = 0.4, .seed = 1};
    assert_int_equal(rv_source_modular(&tokens, &table, NULL), RV_OK);
    table.pairs = true;
    assert_int_equal(rv_source_modular(&codes, &table, NULL), RV_OK);
    assert_int_equal(codes->input_shape[0].dim[0], 2);
    int32_t equation[11][4], pair[11][2], label[2][11];
    const int64_t ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -1};
    tokens->fill(tokens, RV_SPLIT_TRAIN, ids, 11, nothing, 0, RV_F32, (void *[]){equation, label[0]});
    codes->fill(codes, RV_SPLIT_TRAIN, ids, 11, nothing, 0, RV_F32, (void *[]){pair, label[1]});
    assert_memory_equal(label[0], label[1], sizeof label[0]);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pair[i][0], equation[i][0]);
        assert_int_equal(pair[i][1], 5 + equation[i][2]);
    }
    assert_int_equal(pair[10][0], 0);
    assert_int_equal(pair[10][1], 0);
    rv_source_free(tokens);
    rv_source_free(codes);
}

static void refuses(void **state)
{
    (void)state;
    rv_source *source;
    rv_error err;
    assert_int_equal(open_source(&source, 97, -1, 0.5, 0, &err), RV_E_UNKNOWN);
    assert_int_equal(open_source(&source, 97, RV_MODULAR_CUBIC + 1, 0.5, 0, &err), RV_E_UNKNOWN);
    assert_non_null(strstr(err.message, "operation 6"));
    static const int bad[] = {-3, 0, 1, 4, 91, 4099, 2147483647};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(open_source(&source, bad[i], RV_MODULAR_ADDITION, 0.5, 0, &err), RV_E_RANGE);
    static const double fractions[] = {0, 1, -0.5, 1.5, 1e-9, 1e300, 0.0 / 0.0};
    for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++)
        assert_int_equal(open_source(&source, 97, RV_MODULAR_DIVISION, fractions[i], 0, &err), RV_E_RANGE);
    assert_null(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_equation_once),
        cmocka_unit_test(grokking_setting),
        cmocka_unit_test(split_follows_the_seed),
        cmocka_unit_test(names_in_order),
        cmocka_unit_test(padding),
        cmocka_unit_test(pairs),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
