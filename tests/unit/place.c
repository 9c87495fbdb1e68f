/* Placement: blocks alive together never overlap, and the arena stays near the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/place.h"

enum { MOST = 300 };

static void check(rv_block *blocks, int count, double most)
{
    size_t arena, bound, largest = 0;
    assert_int_equal(rv_place(blocks, count, &arena, &bound, NULL), RV_OK);
    for (int i = 0; i < count; i++) {
        assert_true(blocks[i].offset % 64 == 0);
        if (blocks[i].offset + blocks[i].size > largest)
            largest = blocks[i].offset + blocks[i].size;
        for (int j = 0; j < i; j++) {
            const rv_block *a = &blocks[i], *b = &blocks[j];
            const bool apart_in_time = a->last < b->first || b->last < a->first;
            const bool apart_in_space = a->offset + a->size <= b->offset || b->offset + b->size <= a->offset;
            assert_true(apart_in_time || apart_in_space);
        }
    }
    assert_true(arena == largest && arena >= bound);
    assert_true((double)arena <= most * (double)bound);
}

static void random_blocks(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 40; round++) {
        const rv_random stream = {round, RV_RANDOM_DATA, 0};
        static rv_block blocks[MOST];
        const int count = (int)rv_random_below(stream, 0, MOST);
        for (int i = 0; i < count; i++) {
            const uint64_t at = 1 + 3 * (uint64_t)i;
            const int first = (int)rv_random_below(stream, at, 100);
            blocks[i] = (rv_block){64 * rv_random_below(stream, at + 1, 1000), first,
                                   first + (int)rv_random_below(stream, at + 2, 20), 0};
        }
        check(blocks, count, 1.5);
    }
}

/* Forward keeps one block per layer that backward frees in reverse: a stack, no waste. */
static void stack(void **state)
{
    (void)state;
    static rv_block blocks[2 * 50];
    for (int i = 0; i < 50; i++) {
        blocks[2 * i] = (rv_block){64 * (size_t)(1 + i % 7), i, 99 - i, 0};
        blocks[2 * i + 1] = (rv_block){64, i, i + 1, 0};
    }
    check(blocks, 100, 1.0);
}

static void edges(void **state)
{
    (void)state;
    rv_block one = {128, 3, 3, 7};
    check(&one, 1, 1.0);
    assert_int_equal(one.offset, 0);
    rv_block empty[2] = {{0, 0, 5, 0}, {64, 2, 2, 0}};
    check(empty, 2, 1.0);
    size_t arena = 1, bound = 1;
    assert_int_equal(rv_place(NULL, 0, &arena, &bound, NULL), RV_OK);
    assert_true(arena == 0 && bound == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks),
        cmocka_unit_test(stack),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
