/* IDX files, honest and hostile: every cut and every flipped header bit is an error that
 * names the file, and nothing is allocated on a header's word. */
#include <sys/resource.h>

#include "data/images.h"
#include "data_folder.h"

enum {
    COUNT = 3,
    HEIGHT = 4,
    WIDTH = 5,
    IMAGES = 16 + COUNT * HEIGHT * WIDTH,
    LABELS = 8 + COUNT,
    LIMIT = 4096
};

static unsigned char images[IMAGES + 64], labels[LABELS + 64];
static char folder[FOLDER_SIZE], images_path[FILE_SIZE], labels_path[FILE_SIZE];

static void put_be32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (24 - 8 * i));
}

static int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    put_be32(images, 0x803);
    put_be32(images + 4, COUNT);
    put_be32(images + 8, HEIGHT);
    put_be32(images + 12, WIDTH);
    for (int i = 16; i < IMAGES; i++)
        images[i] = (unsigned char)(i * 7);
    put_be32(labels, 0x801);
    put_be32(labels + 4, COUNT);
    memcpy(labels + 8, (unsigned char[]){9, 0, 4}, COUNT);
    folder_put(folder, "images", images, IMAGES, images_path);
    folder_put(folder, "labels", labels, LABELS, labels_path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove(folder);
    return 0;
}

/* Reading must fail; the message must contain says. */
static rv_status refused(const char *pixels, const char *answers, const char *says)
{
    rv_image_block block;
    rv_error err = {0};
    rv_status status = rv_idx_read(pixels, LIMIT, answers, LIMIT, &block, &err);
    assert_int_not_equal(status, RV_OK);
    assert_int_equal(err.status, status);
    if (!strstr(err.message, says))
        fail_msg("\"%s\" does not say \"%s\"", err.message, says);
    assert_null(block.pixels);
    assert_null(block.labels);
    return status;
}

static void accepted(const char *pixels, const char *answers)
{
    rv_image_block block;
    rv_error err = {0};
    if (rv_idx_read(pixels, LIMIT, answers, LIMIT, &block, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(block.count, COUNT);
    assert_int_equal(block.height, HEIGHT);
    assert_int_equal(block.width, WIDTH);
    assert_int_equal(block.channels, 1);
    assert_memory_equal(block.pixels, images + 16, IMAGES - 16);
    assert_memory_equal(block.labels, labels + 8, COUNT);
    rv_image_block_release(&block);
}

static void reads_plain_and_gzip(void **state)
{
    (void)state;
    unsigned char packed[IMAGES + 64];
    char pixels_gz[FILE_SIZE], labels_gz[FILE_SIZE];
    folder_put(folder, "images.gz", packed, gzip(images, IMAGES, packed), pixels_gz);
    folder_put(folder, "labels.gz", packed, gzip(labels, LABELS, packed), labels_gz);
    accepted(images_path, labels_path);
    accepted(pixels_gz, labels_gz);
    accepted(images_path, labels_gz);
}

static void every_cut(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    for (size_t size = 0; size < IMAGES; size++) {
        folder_put(folder, "cut", images, size, path);
        refused(path, labels_path, path);
    }
    for (size_t size = 0; size < LABELS; size++) {
        folder_put(folder, "cut", labels, size, path);
        refused(images_path, path, path);
    }
    unsigned char packed[IMAGES + 64];
    size_t length = gzip(images, IMAGES, packed);
    for (size_t size = 0; size < length; size++) {
        folder_put(folder, "cut.gz", packed, size, path);
        refused(path, labels_path, path);
    }
    folder_put(folder, "long", images, IMAGES + 1, path);
    refused(path, labels_path, path);
}

static void every_header_bit(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    for (int bit = 0; bit < 16 * 8; bit++) {
        images[bit / 8] ^= (unsigned char)(1 << bit % 8);
        folder_put(folder, "flipped", images, IMAGES, path);
        images[bit / 8] ^= (unsigned char)(1 << bit % 8);
        refused(path, labels_path, path);
    }
    for (int bit = 0; bit < 8 * 8; bit++) {
        labels[bit / 8] ^= (unsigned char)(1 << bit % 8);
        folder_put(folder, "flipped", labels, LABELS, path);
        labels[bit / 8] ^= (unsigned char)(1 << bit % 8);
        refused(images_path, path, path);
    }
}

static void huge_extents(void **state)
{
    (void)state;
    /* The last three products are 0, 2 and IMAGES - 16 modulo 2^64. */
    static const uint32_t extents[][3] = {
        {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, {0xFFFFFFFF, 4, 5},      {3, 0xFFFFFFFF, 5}, {3, 4, 0xFFFFFFFF},
        {1u << 22, 1u << 21, 1u << 21},       {1u << 31, 1u << 31, 4}, {0, 4, 5},          {60, 1, 0},
        {0xFFFFFFFF, 0xFFFFFFFF, 60},
    };
    char path[FILE_SIZE];
    for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
        unsigned char bytes[IMAGES];
        memcpy(bytes, images, IMAGES);
        for (int d = 0; d < 3; d++)
            put_be32(bytes + 4 + 4 * d, extents[i][d]);
        folder_put(folder, "huge", bytes, IMAGES, path);
        assert_int_equal(refused(path, labels_path, path), RV_E_FORMAT);
        folder_put(folder, "huge", bytes, 16, path); /* no elements at all */
        refused(path, labels_path, "");
    }
    unsigned char bytes[LABELS];
    memcpy(bytes, labels, LABELS);
    put_be32(bytes + 4, 0xFFFFFFFF);
    folder_put(folder, "huge", bytes, LABELS, path);
    refused(images_path, path, path);
}

static void counts_differ(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    unsigned char four[LABELS + 1];
    memcpy(four, labels, LABELS);
    put_be32(four + 4, COUNT + 1);
    four[LABELS] = 1;
    folder_put(folder, "four", four, sizeof four, path);
    refused(images_path, path, images_path);
    refused(images_path, path, path);
    refused(images_path, path, "3 images");
    refused(images_path, path, "4 labels");
}

static void label_out_of_range(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    unsigned char bad[LABELS];
    memcpy(bad, labels, LABELS);
    bad[8 + 2] = 10;
    folder_put(folder, "bad", bad, LABELS, path);
    refused(images_path, path, "label 2");
    refused(images_path, path, "found 10");
}

/* A file is one gzip member: what follows it is refused, whether junk or a second member. */
static void damaged_gzip(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    unsigned char packed[2 * (IMAGES + 64)];
    size_t length = gzip(images, IMAGES, packed);
    for (size_t bit = 0; bit < 64; bit++) { /* CRC and length */
        packed[length - 8 + bit / 8] ^= (unsigned char)(1 << bit % 8);
        folder_put(folder, "crc.gz", packed, length, path);
        assert_int_equal(refused(path, labels_path, path), RV_E_FORMAT);
        packed[length - 8 + bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    packed[length] = 'x';
    folder_put(folder, "junk.gz", packed, length + 1, path);
    assert_int_equal(refused(path, labels_path, path), RV_E_FORMAT);
    memcpy(packed + length, packed, length);
    folder_put(folder, "twice.gz", packed, 2 * length, path);
    assert_int_equal(refused(path, labels_path, path), RV_E_FORMAT);
    size_t more = gzip(labels, 0, packed + length); /* an empty second member */
    folder_put(folder, "empty.gz", packed, length + more, path);
    assert_int_equal(refused(path, labels_path, path), RV_E_FORMAT);
}

/* 10 MB that inflate to 10 GB: refused at limit + 1, long before the memory is spent. */
static void bomb(void **state)
{
    (void)state;
    enum { BLOCK = 1 << 20, BLOCKS = 10240, OFFICIAL = 47040016 };
    static const unsigned char header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    unsigned char *zeros = calloc(1, BLOCK), packed[4096];
    z_stream z = {.next_in = zeros, .avail_in = BLOCK, .next_out = packed, .avail_out = sizeof packed};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FULL_FLUSH), Z_OK); /* ends on a byte, refers to nothing before it */
    size_t length = sizeof packed - z.avail_out;
    deflateEnd(&z);
    free(zeros);
    char path[FILE_SIZE];
    folder_put(folder, "bomb.gz", header, sizeof header, path);
    FILE *file = fopen(path, "ab");
    for (int i = 0; i < BLOCKS; i++)
        fwrite(packed, 1, length, file);
    fclose(file);

    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    rv_image_block block;
    rv_error err;
    assert_int_equal(rv_idx_read(path, OFFICIAL, labels_path, LIMIT, &block, &err), RV_E_RANGE);
    assert_non_null(strstr(err.message, "47040016"));
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 512 * 1024); /* KiB; sanitizers keep what is freed */
}

static void not_files(void **state)
{
    (void)state;
    char path[FILE_SIZE];
    refused(folder, labels_path, folder);
    refused("/dev/zero", labels_path, "/dev/zero");
    refused(images_path, "/dev/zero", "/dev/zero");
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, labels_path, path); /* and does not wait for a writer */
    snprintf(path, sizeof path, "%s/absent", folder);
    assert_int_equal(refused(images_path, path, path), RV_E_IO);
    folder_put(folder, "magic", images, 4, path);
    refused(path, labels_path, path);
    folder_put(folder, "gzip-magic", "\x1f\x8b", 2, path);
    refused(path, labels_path, path);
    folder_put(folder, "empty", "", 0, path);
    refused(path, labels_path, path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_plain_and_gzip),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(every_header_bit),
        cmocka_unit_test(huge_extents),
        cmocka_unit_test(counts_differ),
        cmocka_unit_test(label_out_of_range),
        cmocka_unit_test(damaged_gzip),
        cmocka_unit_test(bomb),
        cmocka_unit_test(not_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
