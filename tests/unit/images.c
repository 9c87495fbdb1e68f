/* The source over images: splits, standardisation, augmentation against a second
 * formulation, the procedural stand-in, and the official sets where they are. */
#include <math.h>

#include "data_folder.h"
#include "ravine/data.h"

enum { TRAIN = 40, TEST = 6, HEIGHT = 6, WIDTH = 5, PIXELS = HEIGHT * WIDTH };

static char folder[FOLDER_SIZE];
static unsigned char train_pixels[TRAIN * PIXELS];
static const rv_random stream = {11, RV_RANDOM_AUGMENT, 3};

static void put_idx(const char *name, int count, const unsigned char *pixels)
{
    unsigned char bytes[16 + TRAIN * PIXELS] = {0, 0, 8, 3,      0, 0, 0, (unsigned char)count,
                                                0, 0, 0, HEIGHT, 0, 0, 0, WIDTH};
    char file[64];
    memcpy(bytes + 16, pixels, (size_t)(count * PIXELS));
    snprintf(file, sizeof file, "%s-images-idx3-ubyte", name);
    folder_put(folder, file, bytes, (size_t)(16 + count * PIXELS), NULL);
    bytes[3] = 1;
    for (int i = 0; i < count; i++)
        bytes[8 + i] = (unsigned char)(i % 10);
    snprintf(file, sizeof file, "%s-labels-idx1-ubyte", name);
    folder_put(folder, file, bytes, (size_t)(8 + count), NULL);
}

static int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    for (int i = 0; i < TRAIN * PIXELS; i++)
        train_pixels[i] = (unsigned char)(1 + (unsigned)i * 2654435761u % 254); /* no byte is black */
    put_idx("mnist/train", TRAIN, train_pixels);
    put_idx("mnist/t10k", TEST, train_pixels + 7);
    put_idx("fashion-mnist/train", TRAIN, train_pixels);
    put_idx("fashion-mnist/t10k", TEST, train_pixels + 7);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

static rv_source *make(rv_image_set set, int64_t limit, int64_t validation, bool augment)
{
    rv_source *source;
    rv_error err = {0};
    if (rv_source_images(&source, set, folder, limit, validation, augment, &err) != RV_OK)
        fail_msg("%s", err.message);
    return source;
}

static void splits(void **state)
{
    (void)state;
    rv_source *source = make(RV_IMAGES_MNIST, 25, 10, false);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], 25);
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 10);
    assert_int_equal(source->examples[RV_SPLIT_TEST], TEST);
    assert_int_equal(source->input_shape[0].rank, 3);
    assert_int_equal(source->input_shape[0].dim[0], HEIGHT);
    assert_int_equal(source->input_shape[0].dim[1], WIDTH);
    assert_int_equal(source->input_shape[0].dim[2], 1);
    assert_int_equal(source->input_shape[1].rank, 0);

    /* Mean and deviation by the definition, of the 25 images that are trained on. */
    double mean = 0, variance = 0, pixels[2][PIXELS];
    int32_t labels[2];
    for (int i = 0; i < 25 * PIXELS; i++)
        mean += train_pixels[i] / (25.0 * PIXELS);
    for (int i = 0; i < 25 * PIXELS; i++)
        variance += (train_pixels[i] - mean) * (train_pixels[i] - mean) / (25.0 * PIXELS);
    static const int begin[] = {0, 30, 7};
    for (rv_split split = RV_SPLIT_TRAIN; split <= RV_SPLIT_VALIDATION; split++) {
        source->fill(source, split, (int64_t[]){4, 9}, 2, stream, 0, RV_F64, (void *[]){pixels, labels});
        for (int i = 0; i < 2; i++) {
            int image = begin[split] + (i ? 9 : 4);
            assert_int_equal(labels[i], image % 10);
            for (int p = 0; p < PIXELS; p++)
                assert_true(fabs(pixels[i][p] - (train_pixels[image * PIXELS + p] - mean) / sqrt(variance)) <
                            1e-12);
        }
    }
    source->fill(source, RV_SPLIT_TEST, (int64_t[]){2}, 1, stream, 0, RV_F64, (void *[]){pixels, labels});
    assert_int_equal(labels[0], 2);
    assert_true(fabs(pixels[0][3] - (train_pixels[7 + 2 * PIXELS + 3] - mean) / sqrt(variance)) < 1e-12);
    rv_source_free(source);
}

static void float_is_double_rounded(void **state)
{
    (void)state;
    rv_source *source = make(RV_IMAGES_MNIST, 0, 0, true);
    double wide[3][PIXELS];
    float narrow[3][PIXELS];
    int32_t labels[3];
    const int64_t ids[] = {3, -1, 39};
    source->fill(source, RV_SPLIT_TRAIN, ids, 3, stream, 50, RV_F64, (void *[]){wide, labels});
    source->fill(source, RV_SPLIT_TRAIN, ids, 3, stream, 50, RV_F32, (void *[]){narrow, labels});
    assert_int_equal(labels[1], -1);
    for (int p = 0; p < PIXELS; p++) {
        assert_true(narrow[0][p] == (float)wide[0][p] && narrow[2][p] == (float)wide[2][p]);
        assert_true(narrow[1][p] == 0 && wide[1][p] == 0);
    }
    rv_source_free(source);
}

/* Pads the whole image, cuts, then mirrors: what the source must do without a padded copy. */
static void augment(const unsigned char *image, bool may_flip, uint64_t place, unsigned char out[PIXELS])
{
    unsigned char padded[HEIGHT + 8][WIDTH + 8] = {{0}};
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            padded[y + 4][x + 4] = image[y * WIDTH + x];
    int top = (int)rv_random_below(stream, place * 4, 9),
        left = (int)rv_random_below(stream, place * 4 + 1, 9);
    bool flip = may_flip && (rv_random_u32(stream, place * 4 + 2) & 1);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            out[y * WIDTH + (flip ? WIDTH - 1 - x : x)] = padded[y + top][x + left];
}

static void check_augmentation(rv_image_set set, bool may_flip)
{
    enum { BATCH = 64 };
    rv_source *source = make(set, 0, 0, true), *plain = make(set, 0, 0, false);
    static double got[BATCH][PIXELS], half[BATCH / 2][PIXELS], image[PIXELS];
    int32_t labels[BATCH], label;
    int64_t ids[BATCH];
    for (int i = 0; i < BATCH; i++)
        ids[i] = i * 7 % TRAIN;
    source->fill(source, RV_SPLIT_TRAIN, ids, BATCH, stream, 1000, RV_F64, (void *[]){got, labels});

    /* The value of every byte, from the source that does not augment; black from a far corner. */
    double value[256] = {0};
    for (int64_t i = 0; i < TRAIN; i++) {
        plain->fill(plain, RV_SPLIT_TRAIN, &i, 1, stream, 0, RV_F64, (void *[]){image, &label});
        for (int p = 0; p < PIXELS; p++)
            value[train_pixels[i * PIXELS + p]] = image[p];
    }
    double slope = (value[train_pixels[1]] - value[train_pixels[0]]) / (train_pixels[1] - train_pixels[0]);
    value[0] = value[train_pixels[0]] - slope * train_pixels[0];
    for (int i = 0; i < BATCH; i++) {
        unsigned char expected[PIXELS];
        augment(train_pixels + ids[i] * PIXELS, may_flip, 1000 + (uint64_t)i, expected);
        assert_int_equal(labels[i], ids[i] % 10);
        for (int p = 0; p < PIXELS; p++)
            assert_true(fabs(got[i][p] - value[expected[p]]) < 1e-12);
    }
    /* The place in the batch decides, however the batch is cut. */
    source->fill(source, RV_SPLIT_TRAIN, ids + BATCH / 2, BATCH / 2, stream, 1000 + BATCH / 2, RV_F64,
                 (void *[]){half, labels});
    assert_memory_equal(half, got[BATCH / 2], sizeof half);
    rv_source_free(source);
    rv_source_free(plain);
}

static void augmentation(void **state)
{
    (void)state;
    check_augmentation(RV_IMAGES_MNIST, false);
    check_augmentation(RV_IMAGES_FASHION, true);
}

static void only_training_is_augmented(void **state)
{
    (void)state;
    rv_source *source = make(RV_IMAGES_FASHION, 0, 10, true), *plain = make(RV_IMAGES_FASHION, 0, 10, false);
    float a[PIXELS], b[PIXELS];
    int32_t label;
    for (rv_split split = RV_SPLIT_VALIDATION; split <= RV_SPLIT_TEST; split++)
        for (int64_t i = 0; i < source->examples[split]; i++) {
            source->fill(source, split, &i, 1, stream, (uint64_t)i, RV_F32, (void *[]){a, &label});
            plain->fill(plain, split, &i, 1, stream, (uint64_t)i, RV_F32, (void *[]){b, &label});
            assert_memory_equal(a, b, sizeof a);
        }
    rv_source_free(source);
    rv_source_free(plain);
}

static void refuses(void **state)
{
    (void)state;
    rv_source *source;
    rv_error err;
    assert_int_equal(rv_source_images(&source, RV_IMAGES_MNIST, folder, 0, TRAIN, false, &err), RV_E_RANGE);
    assert_int_equal(rv_source_images(&source, RV_IMAGES_MNIST, folder, 0, -1, false, &err), RV_E_RANGE);
    assert_int_equal(rv_source_images(&source, RV_IMAGES_MNIST, folder, -1, 0, false, &err), RV_E_RANGE);
    assert_int_equal(rv_source_images(&source, RV_IMAGES_GLYPHS, NULL, 0, INT64_MAX, false, &err),
                     RV_E_RANGE);
    assert_int_equal(rv_source_images(&source, (rv_image_set)4, folder, 0, 0, false, &err), RV_E_ARGUMENT);
    assert_null(source);
    /* A set that is there in part is an error, never replaced by glyphs. */
    char path[FILE_SIZE];
    snprintf(path, sizeof path, "%s/mnist/t10k-labels-idx1-ubyte", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rv_source_images(&source, RV_IMAGES_MNIST, folder, 0, 0, false, &err), RV_E_IO);
    assert_non_null(strstr(err.message, path));
    put_idx("mnist/t10k", TEST, train_pixels + 7);
}

static void glyphs_stand_in(void **state)
{
    (void)state;
    static const rv_image_set sets[] = {RV_IMAGES_MNIST, RV_IMAGES_CIFAR10, RV_IMAGES_GLYPHS};
    static const int sides[] = {28, 32, 28}, channels[] = {1, 3, 1};
    for (int k = 0; k < 3; k++) {
        rv_source *source;
        assert_int_equal(rv_source_images(&source, sets[k], k == 1 ? "/nowhere" : NULL, 0, 500, true, NULL),
                         RV_OK);
        assert_non_null(strstr(source->description, "procedural glyphs"));
        assert_int_equal(source->examples[RV_SPLIT_TRAIN], 12000);
        assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 500);
        assert_int_equal(source->examples[RV_SPLIT_TEST], 2000);
        assert_int_equal(source->input_shape[0].dim[0], sides[k]);
        assert_int_equal(source->input_shape[0].dim[1], sides[k]);
        assert_int_equal(source->input_shape[0].dim[2], channels[k]);
        rv_source_free(source);
    }
}

/* ---- the official sets ------------------------------------------------- */

/* Mean and deviation of pixels / 255, channel by channel, from the values a source gives to
 * the bytes 0 and 255 that some pixels of every channel have. */
static void check_official(rv_image_set set, int64_t train, int64_t test, int channels, const double *mean,
                           const double *deviation, double tolerance)
{
    const char *data = getenv("RAVINE_DATA");
    if (!data)
        skip();
    rv_source *source;
    rv_error err = {0};
    if (rv_source_images(&source, set, data, 0, 0, false, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], train);
    assert_int_equal(source->examples[RV_SPLIT_TEST], test);
    int64_t size = source->input_shape[0].dim[0] * source->input_shape[0].dim[1] * channels;
    double *image = malloc((size_t)size * sizeof *image), low[3] = {0}, high[3] = {0};
    int32_t label;
    for (int64_t i = 0; i < 2000; i++) {
        source->fill(source, RV_SPLIT_TRAIN, &i, 1, stream, 0, RV_F64, (void *[]){image, &label});
        for (int64_t p = 0; p < size; p++) {
            low[p % channels] = fmin(low[p % channels], image[p]);
            high[p % channels] = fmax(high[p % channels], image[p]);
        }
    }
    for (int c = 0; c < channels; c++) {
        assert_true(fabs(1 / (high[c] - low[c]) - deviation[c]) < tolerance);
        assert_true(fabs(-low[c] / (high[c] - low[c]) - mean[c]) < tolerance);
    }
    free(image);
    rv_source_free(source);
}

/* The constants that training recipes quote, to their four digits. */
static void official_mnist(void **state)
{
    (void)state;
    check_official(RV_IMAGES_MNIST, 60000, 10000, 1, (double[]){0.1307}, (double[]){0.3081}, 5e-5);
}

static void official_fashion_mnist(void **state)
{
    (void)state;
    check_official(RV_IMAGES_FASHION, 60000, 10000, 1, (double[]){0.2860}, (double[]){0.3530}, 1e-4);
}

/* Two fifths of the images: near the constants of the whole. */
static void official_cifar10(void **state)
{
    (void)state;
    check_official(RV_IMAGES_CIFAR10, 20000, 5000, 3, (double[]){0.4914, 0.4822, 0.4465},
                   (double[]){0.2470, 0.2435, 0.2616}, 4e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits),           cmocka_unit_test(float_is_double_rounded),
        cmocka_unit_test(augmentation),     cmocka_unit_test(only_training_is_augmented),
        cmocka_unit_test(refuses),          cmocka_unit_test(glyphs_stand_in),
        cmocka_unit_test(official_mnist),   cmocka_unit_test(official_fashion_mnist),
        cmocka_unit_test(official_cifar10),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
