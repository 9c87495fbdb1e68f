/* Procedural digits: a function of the number alone, balanced, varied, and neither trivial
 * nor hopeless to tell apart. */
#include "data/images.h"
#include "data_folder.h"

enum { SIZE = 28, PIXELS = SIZE * SIZE };

static void numbers_not_order(void **state)
{
    (void)state;
    static const int channels[] = {1, 3}, sizes[] = {28, 32};
    for (int k = 0; k < 2; k++) {
        size_t bytes = (size_t)(sizes[k] * sizes[k] * channels[k]);
        rv_image_block many, one;
        assert_int_equal(rv_glyphs_draw(sizes[k], channels[k], 5, 40, &many, NULL), RV_OK);
        assert_int_equal(many.count, 40);
        assert_int_equal(many.channels, channels[k]);
        for (uint64_t i = 0; i < 40; i += 13) {
            assert_int_equal(rv_glyphs_draw(sizes[k], channels[k], 5 + i, 1, &one, NULL), RV_OK);
            assert_int_equal(one.labels[0], many.labels[i]);
            assert_memory_equal(one.pixels, many.pixels + i * bytes, bytes);
            rv_image_block_release(&one);
        }
        rv_image_block_release(&many);
    }
}

static void classes_are_balanced(void **state)
{
    (void)state;
    rv_image_block block;
    assert_int_equal(rv_glyphs_draw(SIZE, 1, 0, 4000, &block, NULL), RV_OK);
    double count[RV_IMAGE_CLASSES] = {0}, chi2 = 0;
    for (int i = 0; i < 4000; i++)
        count[block.labels[i]]++;
    for (int c = 0; c < RV_IMAGE_CLASSES; c++)
        chi2 += (count[c] - 400) * (count[c] - 400) / 400;
    assert_true(chi2 < 27.9); /* 9 degrees of freedom, probability 0.001 */
    rv_image_block_release(&block);
}

/* Ink everywhere on every image, and little of it cut off by the border. */
static void drawn_inside(void **state)
{
    (void)state;
    rv_image_block block;
    assert_int_equal(rv_glyphs_draw(SIZE, 1, 0, 1000, &block, NULL), RV_OK);
    int on_border = 0;
    for (int i = 0; i < 1000; i++) {
        int ink = 0, border = 0;
        for (int p = 0; p < PIXELS; p++) {
            int y = p / SIZE, x = p % SIZE, inked = block.pixels[i * PIXELS + p] > 90;
            ink += inked;
            border += inked && (y == 0 || x == 0 || y == SIZE - 1 || x == SIZE - 1);
        }
        assert_in_range(ink, 10, PIXELS / 2);
        on_border += border > 0;
    }
    assert_true(on_border < 100);
    rv_image_block_release(&block);
}

static int64_t squared_distance(const unsigned char *a, const unsigned char *b)
{
    int64_t sum = 0;
    for (int p = 0; p < PIXELS; p++)
        sum += (a[p] - b[p]) * (a[p] - b[p]);
    return sum;
}

/* One nearest neighbour among 4000 knows most of them; the nearest class mean does not. */
static void hard_but_learnable(void **state)
{
    (void)state;
    enum { KNOWN = 4000, ASKED = 400 };
    rv_image_block known, asked;
    assert_int_equal(rv_glyphs_draw(SIZE, 1, 0, KNOWN, &known, NULL), RV_OK);
    assert_int_equal(rv_glyphs_draw(SIZE, 1, (uint64_t)1 << 32, ASKED, &asked, NULL), RV_OK);
    static double mean[RV_IMAGE_CLASSES][PIXELS];
    double count[RV_IMAGE_CLASSES] = {0};
    for (int i = 0; i < KNOWN; i++) {
        count[known.labels[i]]++;
        for (int p = 0; p < PIXELS; p++)
            mean[known.labels[i]][p] += known.pixels[i * PIXELS + p];
    }
    int by_mean = 0, by_neighbour = 0;
    for (int i = 0; i < ASKED; i++) {
        const unsigned char *image = asked.pixels + i * PIXELS;
        int best_class = 0, best = 0;
        double best_sum = 1e300;
        for (int c = 0; c < RV_IMAGE_CLASSES; c++) {
            double sum = 0;
            for (int p = 0; p < PIXELS; p++)
                sum += (mean[c][p] / count[c] - image[p]) * (mean[c][p] / count[c] - image[p]);
            if (sum < best_sum)
                best_sum = sum, best_class = c;
        }
        int64_t least = INT64_MAX;
        for (int k = 0; k < KNOWN; k++) {
            int64_t distance = squared_distance(known.pixels + k * PIXELS, image);
            if (distance < least)
                least = distance, best = k;
        }
        assert_true(least > 0); /* no image twice */
        by_mean += best_class == asked.labels[i];
        by_neighbour += known.labels[best] == asked.labels[i];
    }
    print_message("nearest class mean %d, nearest neighbour %d of %d\n", by_mean, by_neighbour, ASKED);
    assert_in_range(by_mean, ASKED * 3 / 10, ASKED * 9 / 10);
    assert_in_range(by_neighbour, ASKED * 8 / 10, ASKED * 99 / 100);
    rv_image_block_release(&known);
    rv_image_block_release(&asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_not_order),
        cmocka_unit_test(classes_are_balanced),
        cmocka_unit_test(drawn_inside),
        cmocka_unit_test(hard_but_learnable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
