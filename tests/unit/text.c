/* Text: nanoGPT's windows over a small file, the statistics of the procedural play,
 * and the real corpus where there is one. */
#include <math.h>

#include "data/grammar.h"
#include "data_folder.h"
#include "ravine/data.h"

static const char file[] = "tinyshakespeare/input.txt";
static const rv_random nothing = {0, RV_RANDOM_AUGMENT, 0};

/* 100 bytes: "abcdefghij" ten times; 90 train, 10 validation. */
static void windows_of_a_small_text(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE], text[100];
    for (int i = 0; i < 100; i++)
        text[i] = (char)('a' + i % 10);
    folder_make(folder);
    folder_put(folder, file, text, sizeof text, NULL);
    rv_source *source;
    assert_int_equal(rv_source_text(&source, folder, 4, NULL), RV_OK);
    assert_int_equal(source->classes, 10);
    assert_true(source->draw);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], 90 - 4); /* starts 0 .. 85 */
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 2); /* 90..94 and 94..98 */
    assert_int_equal(source->examples[RV_SPLIT_TEST], 0);

    int32_t tokens[3][4], labels[3][4];
    source->fill(source, RV_SPLIT_TRAIN, (int64_t[]){85, -1, 7}, 3, nothing, 0, RV_F32,
                 (void *[]){tokens, labels});
    for (int t = 0; t < 4; t++) {
        assert_int_equal(tokens[0][t], (85 + t) % 10);
        assert_int_equal(labels[0][t], (86 + t) % 10);
        assert_int_equal(tokens[1][t], 0);
        assert_int_equal(labels[1][t], -1);
        assert_int_equal(labels[2][t], (8 + t) % 10);
    }
    source->fill(source, RV_SPLIT_VALIDATION, (int64_t[]){0, 1}, 2, nothing, 0, RV_F32,
                 (void *[]){tokens, labels});
    assert_int_equal(tokens[0][0], 0);
    assert_int_equal(labels[0][3], 4);
    assert_int_equal(tokens[1][0], 4);
    assert_int_equal(labels[1][3], 8);
    rv_source_free(source);
    folder_remove(folder);
}

static void refuses(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    rv_source *source;
    rv_error err;
    folder_make(folder);
    folder_put(folder, file, "to be or not to be", 18, NULL); /* 16 train, 2 validation */
    assert_int_equal(rv_source_text(&source, folder, 1, &err), RV_OK);
    rv_source_free(source);
    assert_int_equal(rv_source_text(&source, folder, 2, &err), RV_E_RANGE);
    assert_non_null(strstr(err.message, "input.txt"));
    assert_int_equal(rv_source_text(&source, folder, 0, &err), RV_E_RANGE);
    assert_int_equal(rv_source_text(&source, folder, -1, &err), RV_E_RANGE);
    assert_null(source);
    folder_put(folder, file, "", 0, NULL);
    assert_int_not_equal(rv_source_text(&source, folder, 1, &err), RV_OK);
    assert_non_null(strstr(err.message, "input.txt"));
    folder_remove(folder);
}

/* ---- the procedural play ---------------------------------------------- */

/* Entropy in bits of the next byte given the order - 1 bytes before it. */
static double conditional_entropy(const unsigned char *text, size_t size, int order)
{
    size_t cells = (size_t)1 << (8 * order);
    uint32_t *count = calloc(cells, sizeof *count), *context = calloc(cells >> 8, sizeof *context);
    uint32_t window = 0;
    for (size_t i = 0; i < size; i++) {
        window = (window << 8 | text[i]) & (uint32_t)(cells - 1);
        count[window]++;
        context[window >> 8]++;
    }
    double bits = 0;
    for (size_t i = 0; i < cells; i++)
        if (count[i] > 0)
            bits -= count[i] * log2((double)count[i] / context[i >> 8]);
    free(count);
    free(context);
    return bits / (double)size;
}

/* Bounds around published values of English: 4.1 to 4.8 bits by single letters (with
 * capitals), 3.3 to 3.6 after one, 2.5 to 2.8 after two. */
static void play_is_like_a_language(void **state)
{
    (void)state;
    unsigned char *text, *again;
    size_t size, size_again;
    assert_int_equal(rv_grammar_text(&text, &size, NULL), RV_OK);
    assert_in_range(size, 1000000, 1200000);
    bool seen[256] = {false};
    int alphabet = 0;
    for (size_t i = 0; i < size; i++)
        seen[text[i]] = true;
    for (int byte = 0; byte < 256; byte++)
        alphabet += seen[byte];
    assert_in_range(alphabet, 50, 65);
    double one = conditional_entropy(text, size, 1), two = conditional_entropy(text, size, 2),
           three = conditional_entropy(text, size, 3);
    assert_true(one > 4.0 && one < 4.9);
    assert_true(two > 3.0 && two < 3.7);
    assert_true(three > 2.2 && three < 3.0);

    assert_int_equal(rv_grammar_text(&again, &size_again, NULL), RV_OK);
    assert_int_equal(size, size_again);
    assert_memory_equal(text, again, size);
    free(text);
    free(again);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int descending(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

/* Zipf: the logarithm of frequency falls in the logarithm of rank with a slope near -1. */
static void words_follow_zipf(void **state)
{
    (void)state;
    unsigned char *text;
    size_t size;
    assert_int_equal(rv_grammar_text(&text, &size, NULL), RV_OK);
    text[size - 1] = '\0';
    static char *words[400000];
    static int counts[400000];
    size_t n = 0, different = 0;
    for (char *word = strtok((char *)text, " \n.,;:?!-"); word; word = strtok(NULL, " \n.,;:?!-"))
        words[n++] = word;
    qsort(words, n, sizeof *words, by_text);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcmp(words[i], words[i - 1]) != 0)
            different++;
        counts[different]++;
    }
    different++;
    assert_in_range(different, 2000, 20000);
    qsort(counts, different, sizeof *counts, descending);
    double x = 0, y = 0, xx = 0, xy = 0, ranks = 0;
    for (int rank = 5; rank <= 1000; rank++, ranks++) {
        double lx = log(rank), ly = log(counts[rank - 1]);
        x += lx, y += ly, xx += lx * lx, xy += lx * ly;
    }
    double slope = (ranks * xy - x * y) / (ranks * xx - x * x);
    assert_true(slope > -1.25 && slope < -0.8);
    free(text);
}

static void play_stands_in(void **state)
{
    (void)state;
    rv_source *source;
    assert_int_equal(rv_source_text(&source, NULL, 64, NULL), RV_OK);
    assert_non_null(strstr(source->description, "procedural"));
    rv_source_free(source);
    assert_int_equal(rv_source_text(&source, "/nowhere", 64, NULL), RV_OK);
    assert_non_null(strstr(source->description, "procedural"));
    rv_source_free(source);
}

static void tinyshakespeare(void **state)
{
    (void)state;
    const char *data = getenv("RAVINE_DATA");
    if (!data)
        skip();
    rv_source *source;
    assert_int_equal(rv_source_text(&source, data, 64, NULL), RV_OK);
    assert_int_equal(source->classes, 65);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], 1003854 - 64); /* nanoGPT's train.bin */
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], (111540 - 1) / 64);
    /* "First Citizen:\nBefore": nanoGPT's encoding of the alphabet sorted by byte. */
    static const int32_t begins[] = {18, 47, 56, 57, 58, 1,  15, 47, 58, 47, 64,
                                     43, 52, 10, 0,  14, 43, 44, 53, 56, 43};
    int32_t tokens[64], labels[64];
    source->fill(source, RV_SPLIT_TRAIN, (int64_t[]){0}, 1, nothing, 0, RV_F32, (void *[]){tokens, labels});
    assert_memory_equal(tokens, begins, sizeof begins);
    assert_memory_equal(labels, begins + 1, sizeof begins - sizeof *begins);
    rv_source_free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_a_small_text), cmocka_unit_test(refuses),
        cmocka_unit_test(play_is_like_a_language), cmocka_unit_test(words_follow_zipf),
        cmocka_unit_test(play_stands_in),          cmocka_unit_test(tinyshakespeare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
