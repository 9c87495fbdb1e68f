/* The catalogue: sane entries, files found in every place they may lie, and the first
 * missing or wrong one named. */
#include "data/folder.h"
#include "data_folder.h"

static const rv_data_set *find(const char *name)
{
    const rv_data_set *set;
    for (int i = 0; (set = rv_data_set_at(i)); i++)
        if (strcmp(set->name, name) == 0)
            return set;
    fail_msg("no set %s", name);
    return NULL;
}

static void entries(void **state)
{
    (void)state;
    const rv_data_set *set;
    int count = 0;
    for (; (set = rv_data_set_at(count)); count++) {
        assert_true(set->name && set->title && set->licence && set->upstream && set->file_count > 0);
        assert_ptr_equal(find(set->name), set);     /* names are unique */
        for (int f = 0; f < set->file_count; f++) { /* nothing leaves the data folder */
            const char *path = set->files[f].path;
            assert_true(path[0] != '/' && !strstr(path, ".."));
            assert_int_equal(strncmp(path, set->name, strlen(set->name)), 0);
        }
    }
    assert_int_equal(count, 6);
    assert_null(rv_data_set_at(-1));
}

static void missing_and_wrong(void **state)
{
    (void)state;
    char folder[FOLDER_SIZE];
    rv_error err;
    const rv_data_set *mnist = find("mnist");
    folder_make(folder);
    assert_int_equal(rv_data_set_check(mnist, folder, &err), RV_E_IO);
    assert_non_null(strstr(err.message, "mnist/train-images-idx3-ubyte"));
    assert_int_equal(rv_data_set_check(mnist, NULL, &err), RV_E_IO);
    for (int f = 0; f < 3; f++) { /* holes of the right size */
        char path[FILE_SIZE];
        folder_put(folder, mnist->files[f].path, "", 0, path);
        assert_int_equal(truncate(path, mnist->files[f].size), 0);
    }
    assert_int_equal(rv_data_set_check(mnist, folder, &err), RV_E_IO);
    assert_non_null(strstr(err.message, "mnist/t10k-labels-idx1-ubyte"));
    assert_null(strstr(err.message, "train"));

    static const char zeros[10009];
    unsigned char packed[sizeof zeros + 64];
    folder_put(folder, "mnist/t10k-labels-idx1-ubyte.gz", packed, gzip(zeros, 10008, packed), NULL);
    assert_int_equal(rv_data_set_check(mnist, folder, &err), RV_OK);
    folder_put(folder, "mnist/t10k-labels-idx1-ubyte.gz", packed, gzip(zeros, 10009, packed), NULL);
    assert_int_equal(rv_data_set_check(mnist, folder, &err), RV_E_FORMAT);
    assert_non_null(strstr(err.message, "expected 10008 bytes uncompressed, found 10009"));
    folder_put(folder, "mnist/t10k-labels-idx1-ubyte.gz", "abc", 3, NULL);
    assert_int_equal(rv_data_set_check(mnist, folder, &err), RV_E_IO);
    folder_remove(folder);
}

static void places_of_cifar(void **state)
{
    (void)state;
    static const char *const places[] = {"cifar-10", "cifar-10/cifar-10-batches-bin", "cifar-10-batches-bin"};
    for (int i = 0; i < 3; i++) {
        char folder[FOLDER_SIZE], name[64], path[FILE_SIZE], found[RV_PATH_SIZE];
        folder_make(folder);
        snprintf(name, sizeof name, "%s/data_batch_1.bin.gz", places[i]);
        folder_put(folder, name, "", 0, path);
        assert_true(rv_data_locate(folder, "cifar-10/data_batch_1.bin", found));
        assert_string_equal(found, path);
        assert_false(rv_data_locate(folder, "cifar-10/test_batch.bin", found));
        assert_non_null(strstr(found, "/cifar-10/test_batch.bin"));
        folder_remove(folder);
    }
}

static void folder_at_hand(void **state)
{
    (void)state;
    const char *data = getenv("RAVINE_DATA");
    if (!data)
        skip();
    const rv_data_set *set;
    rv_error err;
    for (int i = 0; (set = rv_data_set_at(i)); i++)
        if (rv_data_set_check(set, data, &err) != RV_OK)
            fail_msg("%s", err.message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries),
        cmocka_unit_test(missing_and_wrong),
        cmocka_unit_test(places_of_cifar),
        cmocka_unit_test(folder_at_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
