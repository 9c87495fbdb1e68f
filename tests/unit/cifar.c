/* CIFAR-10's binary layout: planes become pixels, files add up, and every fault names its record. */
#include "data/images.h"
#include "data_folder.h"

enum { RECORD = 3073, RECORDS = 3 };

static unsigned char records[RECORDS * RECORD + 64];
static char folder[FOLDER_SIZE];

static int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    for (int r = 0; r < RECORDS; r++) {
        records[r * RECORD] = (unsigned char)(9 - r);
        for (int i = 1; i < RECORD; i++)
            records[r * RECORD + i] = (unsigned char)((r * RECORD + i) * 2654435761u >> 24);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

static void planes_become_pixels(void **state)
{
    (void)state;
    static unsigned char packed[sizeof records + 64];
    char plain[FILE_SIZE], zipped[FILE_SIZE];
    folder_put(folder, "data_batch_1.bin", records, RECORDS * RECORD, plain);
    folder_put(folder, "data_batch_2.bin.gz", packed, gzip(records, RECORDS * RECORD, packed), zipped);
    rv_image_block block = {0};
    assert_int_equal(rv_cifar_append(plain, &block, NULL), RV_OK);
    assert_int_equal(rv_cifar_append(zipped, &block, NULL), RV_OK);
    assert_int_equal(block.count, 2 * RECORDS);
    assert_int_equal(block.height, 32);
    assert_int_equal(block.width, 32);
    assert_int_equal(block.channels, 3);
    for (int r = 0; r < 2 * RECORDS; r++) {
        const unsigned char *record = records + r % RECORDS * RECORD;
        assert_int_equal(block.labels[r], 9 - r % RECORDS);
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++)
                for (int c = 0; c < 3; c++)
                    assert_int_equal(block.pixels[((r * 32 + y) * 32 + x) * 3 + c],
                                     record[1 + 1024 * c + 32 * y + x]);
    }
    rv_image_block_release(&block);
}

/* Appending must fail, say so, and leave the block alone. */
static rv_status refused(const char *path, const char *says)
{
    rv_image_block block = {0};
    char good[FILE_SIZE];
    folder_put(folder, "good.bin", records, RECORD, good);
    assert_int_equal(rv_cifar_append(good, &block, NULL), RV_OK);
    rv_error err = {0};
    rv_status status = rv_cifar_append(path, &block, &err);
    assert_int_not_equal(status, RV_OK);
    assert_non_null(strstr(err.message, path));
    if (!strstr(err.message, says))
        fail_msg("\"%s\" does not say \"%s\"", err.message, says);
    assert_int_equal(block.count, 1);
    assert_int_equal(block.labels[0], 9);
    rv_image_block_release(&block);
    return status;
}

static void sizes(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    static const size_t bad[] = {0, 1, RECORD - 1, RECORD + 1, 2 * RECORD - 1, 3 * RECORD - 3072};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        folder_put(folder, "bad.bin", records, bad[i], path);
        assert_int_equal(refused(path, "3073"), RV_E_FORMAT);
    }
    folder_put(folder, "bad.bin", records, 2 * RECORD + 7, path);
    refused(path, "record 2");
}

static void labels(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    records[2 * RECORD] = 10;
    folder_put(folder, "bad.bin", records, RECORDS * RECORD, path);
    records[2 * RECORD] = 7;
    refused(path, "record 2 (offset 6146)");
    refused(path, "found 10");
}

static void not_files(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    refused(folder, "");
    refused("/dev/zero", "");
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, "");
    static unsigned char packed[sizeof records + 64];
    size_t length = gzip(records, RECORDS * RECORD, packed);
    packed[length - 8] ^= 1;
    folder_put(folder, "crc.bin.gz", packed, length, path);
    assert_int_equal(refused(path, ""), RV_E_FORMAT);
}

/* One record more than an official batch holds. */
static void too_many(void **state)
{
    (void)state;
    size_t size = (size_t)10001 * RECORD;
    unsigned char *zeros = calloc(1, size);
    char path[FILE_SIZE];
    folder_put(folder, "large.bin", zeros, size, path);
    assert_int_equal(refused(path, "30730000"), RV_E_RANGE);
    unsigned char *packed = malloc(size + 64);
    folder_put(folder, "large.bin.gz", packed, gzip(zeros, size, packed), path);
    assert_int_equal(refused(path, "30730000"), RV_E_RANGE);
    free(zeros);
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planes_become_pixels),
        cmocka_unit_test(sizes),
        cmocka_unit_test(labels),
        cmocka_unit_test(not_files),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
