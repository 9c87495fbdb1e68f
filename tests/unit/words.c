/* Words: both ways of reading, the ranks of a vocabulary, windows with one label or many, and the published
 * sizes of the corpora where they are. */
#include "data_folder.h"
#include "ravine/data.h"

static const rv_random nothing = {0, RV_RANDOM_AUGMENT, 0};

static rv_source *open_words(const rv_words *words, const char *data)
{
    rv_source *source;
    rv_error err = {0};
    if (rv_source_words(&source, words, data, &err) != RV_OK)
        fail_msg("%s", err.message);
    return source;
}

static void check_class(const rv_source *source, int class, const char *name, int64_t count)
{
    assert_string_equal(source->names[class], name);
    assert_int_equal(source->counts[class], count);
}

/* Eleven words, seven of them different. */
static void words_of_a_play(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    static const char text[] = "The cat's 2 ears;\n\tthe Cat's  THE. the dog";
    folder_make(folder);
    folder_put(folder, "tinyshakespeare/input.txt", text, sizeof text - 1, NULL);
    rv_source *source = open_words(&(rv_words){.text = RV_WORDS_TINYSHAKESPEARE, .block = 2, .whole = true}, folder);
    assert_int_equal(source->classes, 7);
    check_class(source, 0, "the", 4);
    check_class(source, 1, "cat's", 2);
    check_class(source, 2, "2", 1); /* ties: the earlier word first */
    check_class(source, 3, "ears", 1);
    check_class(source, 4, ";", 1);
    check_class(source, 5, ".", 1);
    check_class(source, 6, "dog", 1);
    assert_false(source->draw);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], 5); /* of 11 words: starts 0, 2, 4, 6, 8 */
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 0);
    int32_t tokens[3][2], labels[3][2];
    source->fill(source, RV_SPLIT_TRAIN, (int64_t[]){0, 4, -1}, 3, nothing, 0, RV_F32, (void *[]){tokens, labels});
    static const int32_t expected_tokens[3][2] = {{0, 1}, {5, 0}, {0, 0}}, expected_labels[3][2] = {{1, 2}, {0, 6}, {-1, -1}};
    assert_memory_equal(tokens, expected_tokens, sizeof tokens);
    assert_memory_equal(labels, expected_labels, sizeof labels);
    rv_source_free(source);

    /* the last tenth validates: two words, and "dog" was never seen */
    source = open_words(&(rv_words){.text = RV_WORDS_TINYSHAKESPEARE, .block = 1}, folder);
    assert_int_equal(source->classes, 7);
    check_class(source, 0, "the", 3);
    check_class(source, 6, "<unk>", 0);
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 1);
    source->fill(source, RV_SPLIT_VALIDATION, (int64_t[]){0}, 1, nothing, 0, RV_F32, (void *[]){tokens, labels});
    assert_int_equal(tokens[0][0], 0);
    assert_int_equal(labels[0][0], 6);
    rv_source_free(source);
    folder_remove(folder);
}

/* path receives the name of the test split's file. */
static void put_ptb(const char *folder, const char *train, const char *valid, const char *test, char *path)
{
    folder_put(folder, "ptb/ptb.train.txt", train, strlen(train), NULL);
    folder_put(folder, "ptb/ptb.valid.txt", valid, strlen(valid), NULL);
    folder_put(folder, "ptb/ptb.test.txt", test, strlen(test), path);
}

static void lines_and_splits(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE], path[FILE_SIZE];
    folder_make(folder);
    put_ptb(folder, " b a <unk> \n a A-1 \n", "a \n\n", "b new", path);
    rv_source *source = open_words(&(rv_words){.text = RV_WORDS_PTB, .block = 1}, folder);
    assert_int_equal(source->classes, 5);
    check_class(source, 0, "a", 2);
    check_class(source, 1, "<eos>", 2);
    check_class(source, 2, "b", 1);
    check_class(source, 3, "<unk>", 1);
    check_class(source, 4, "A-1", 1);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], 6);
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 2); /* a <eos> <eos> */
    assert_int_equal(source->examples[RV_SPLIT_TEST], 2);       /* b <unk> <eos> */
    int32_t tokens[2], labels[2];
    source->fill(source, RV_SPLIT_TEST, (int64_t[]){0, 1}, 2, nothing, 0, RV_F32, (void *[]){tokens, labels});
    assert_memory_equal(tokens, ((int32_t[]){2, 3}), sizeof tokens);
    assert_memory_equal(labels, ((int32_t[]){3, 1}), sizeof labels);
    rv_source_free(source);
    assert_int_equal(remove(path), 0);
    rv_error err;
    assert_int_equal(rv_source_words(&source, &(rv_words){.text = RV_WORDS_PTB, .block = 1}, folder, &err), RV_E_IO);
    assert_non_null(strstr(err.message, "ptb/ptb.test.txt"));
    folder_remove(folder);
}

/* a 4, b 3, c 2, d 2, e 1 and five <eos>; <unk> takes its rank by what falls to it. */
static void a_cut_vocabulary(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    folder_make(folder);
    put_ptb(folder, "a a a\na b\nb b c\nc d d\ne\n", "a z\n", "a\n", NULL);
    rv_source *source = open_words(&(rv_words){.text = RV_WORDS_PTB, .block = 2, .vocabulary = 4}, folder);
    assert_int_equal(source->classes, 4);
    check_class(source, 0, "<eos>", 5);
    check_class(source, 1, "<unk>", 5); /* c c d d e */
    check_class(source, 2, "a", 4);
    check_class(source, 3, "b", 3);
    rv_source_free(source);
    source = open_words(&(rv_words){.text = RV_WORDS_PTB, .block = 2, .vocabulary = 6}, folder); /* z still needs <unk> */
    assert_int_equal(source->classes, 6);
    check_class(source, 5, "<unk>", 1);
    rv_source_free(source);
    source = open_words(&(rv_words){.text = RV_WORDS_PTB, .block = 2, .limit = 6}, folder); /* a a a <eos> a b */
    assert_int_equal(source->classes, 4);
    check_class(source, 0, "a", 4);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], 2);
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 1); /* a z <eos>, behind what was kept */
    int32_t tokens[2], labels[2];
    source->fill(source, RV_SPLIT_VALIDATION, (int64_t[]){0}, 1, nothing, 0, RV_F32, (void *[]){tokens, labels});
    assert_string_equal(source->names[tokens[1]], "<unk>");
    assert_string_equal(source->names[labels[1]], "<eos>");
    rv_source_free(source);
    folder_remove(folder);
}

/* Windows at every word with the word after them as the only label. */
static void one_label(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    folder_make(folder);
    put_ptb(folder, "a a a a b b b c c d\n", "a b c\n", "a\n", NULL);
    rv_source *source = open_words(&(rv_words){.text = RV_WORDS_PTB, .block = 2, .stride = 1, .last = true}, folder);
    assert_int_equal(source->input_shape[1].rank, 0);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], 9);
    assert_int_equal(source->examples[RV_SPLIT_VALIDATION], 1);
    int32_t tokens[3][2], labels[3];
    source->fill(source, RV_SPLIT_TRAIN, (int64_t[]){3, -1, 8}, 3, nothing, 0, RV_F32, (void *[]){tokens, labels});
    static const int32_t expected[3][2] = {{0, 1}, {0, 0}, {2, 3}};
    assert_memory_equal(tokens, expected, sizeof tokens);
    assert_memory_equal(labels, ((int32_t[]){1, -1, 4}), sizeof labels);
    rv_source_free(source);
    folder_remove(folder);
}

static void refuses(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    rv_source *source;
    rv_error err;
    static const rv_words wrong[] = {{.text = RV_WORDS_PTB},
                                     {.text = RV_WORDS_PTB, .block = 1, .stride = -1},
                                     {.text = RV_WORDS_PTB, .block = 1, .vocabulary = 1},
                                     {.text = RV_WORDS_PTB, .block = 1, .limit = -1},
                                     {.text = RV_WORDS_PTB, .block = 2}}; /* validation has two words: no label is left */
    folder_make(folder);
    put_ptb(folder, "a b c\n", "a\n", "a\n", NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(rv_source_words(&source, &wrong[i], folder, &err), RV_E_RANGE);
        assert_null(source);
    }
    put_ptb(folder, "", "", "", NULL);
    assert_int_not_equal(rv_source_words(&source, &(rv_words){.text = RV_WORDS_PTB, .block = 1}, folder, &err), RV_OK);
    folder_remove(folder);
}

static void check_order(const rv_source *source, int64_t words)
{
    int64_t sum = 0;
    for (int k = 0; k < source->classes; k++) {
        sum += source->counts[k];
        assert_true(k == 0 || source->counts[k] <= source->counts[k - 1]);
    }
    assert_int_equal(sum, words);
}

static void play_stands_in(void **state)
{
    (void)state;
    rv_source *source = open_words(&(rv_words){.text = RV_WORDS_WIKITEXT2, .block = 32, .vocabulary = 1000, .limit = 50000}, NULL);
    assert_non_null(strstr(source->description, "procedural"));
    assert_non_null(strstr(source->description, "wiki.train.tokens"));
    assert_int_equal(source->classes, 1000);
    assert_int_equal(source->examples[RV_SPLIT_TRAIN], (50000 - 1) / 32);
    check_order(source, 50000);
    rv_source_free(source);
}

/* Numbers of words and of different ones as published (PTB: Mikolov; WikiText-2: Merity et al. 2016). */
static void corpora(void **state)
{
    (void)state;
    static const struct {
        rv_words words;
        int classes;
        int64_t train, validation, test;
        const char *first;
    } known[] = {{{.text = RV_WORDS_PTB, .block = 1}, 10000, 929589, 73760, 82430, "the"},
                 {{.text = RV_WORDS_WIKITEXT2, .block = 1}, 33278, 2088628, 217646, 245569, "the"},
                 {{.text = RV_WORDS_TINYSHAKESPEARE, .block = 1, .whole = true}, 12641, 252299, 1, 1, ","}};
    const char *data = getenv("RAVINE_DATA");
    if (!data)
        skip();
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        rv_source *source = open_words(&known[i].words, data);
        if (!strstr(source->description, "procedural")) {
            assert_int_equal(source->classes, known[i].classes);
            assert_int_equal(source->examples[RV_SPLIT_TRAIN], known[i].train - 1);
            assert_int_equal(source->examples[RV_SPLIT_VALIDATION], known[i].validation - 1);
            assert_int_equal(source->examples[RV_SPLIT_TEST], known[i].test - 1);
            assert_string_equal(source->names[0], known[i].first);
            check_order(source, known[i].train);
        }
        rv_source_free(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_a_play), cmocka_unit_test(lines_and_splits), cmocka_unit_test(a_cut_vocabulary),
        cmocka_unit_test(one_label),       cmocka_unit_test(refuses),          cmocka_unit_test(play_stands_in),
        cmocka_unit_test(corpora),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
