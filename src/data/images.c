/* The source over images in memory.  Pixels are looked up in a table of standardised
 * values, one entry per channel and byte, so filling a batch is a gather. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/folder.h"
#include "data/images.h"

enum {
    CHANNELS = 3,
    ROW = 4096, /* bytes of the widest row */
    PAD = 4,    /* black pixels around an image before it is cropped */
    GLYPHS = 12000,
    TEST_GLYPHS = 2000
};
#define FIRST_TEST_GLYPH ((uint64_t)1 << 32) /* far from those to train on */

typedef struct images {
    rv_source source;
    rv_image_block train, test;
    int64_t begin; /* of the validation split in train */
    bool augment, flip;
    double table[CHANNELS][256]; /* (byte - mean) / deviation */
    float table32[CHANNELS][256];
} images;

void rv_image_block_release(rv_image_block *block)
{
    free(block->pixels);
    free(block->labels);
    *block = (rv_image_block){0};
}

static void images_free(rv_source *source)
{
    images *m = (images *)source;
    rv_image_block_release(&m->train);
    rv_image_block_release(&m->test);
    free(m);
}

/* ---- filling batches --------------------------------------------------- */

/* Where the crop of an image begins, counted from its padded corner, and whether it is mirrored. */
typedef struct crop {
    int top, left;
    bool mirrored;
} crop;

static crop draw_crop(const images *m, rv_random augment, uint64_t place)
{
    uint64_t index = place * 4;
    return (crop){.top = (int)rv_random_below(augment, index, 2 * PAD + 1),
                  .left = (int)rv_random_below(augment, index + 1, 2 * PAD + 1),
                  .mirrored = m->flip && (rv_random_u32(augment, index + 2) & 1)};
}

/* Row y of the crop: [width, channels]. */
static void crop_row(const rv_image_block *block, const unsigned char *image, crop c, int y,
                     unsigned char *row)
{
    int channels = block->channels, width = block->width, from = y + c.top - PAD;
    memset(row, 0, (size_t)(width * channels));
    if (from < 0 || from >= block->height)
        return;
    for (int x = 0; x < width; x++) {
        int source = (c.mirrored ? width - 1 - x : x) + c.left - PAD;
        if (source >= 0 && source < width)
            memcpy(row + x * channels, image + (from * width + source) * channels, (size_t)channels);
    }
}

/* n bytes of whole pixels, standardised, to out[at...]. */
static void write_pixels(const images *m, const unsigned char *bytes, size_t n, rv_dtype dtype, void *out,
                         size_t at)
{
    size_t channels = (size_t)m->train.channels;
    if (dtype == RV_F32) {
        float *restrict to = (float *)out + at;
        for (size_t c = 0; c < channels; c++) {
            const float *table = m->table32[c];
            for (size_t i = c; i < n; i += channels)
                to[i] = table[bytes[i]];
        }
    } else {
        double *to = (double *)out + at;
        for (size_t i = 0; i < n; i += channels)
            for (size_t c = 0; c < channels; c++)
                to[i + c] = m->table[c][bytes[i + c]];
    }
}

/* Images of a batch lie anywhere: the next one is on its way while one is written. */
static void fetch(const unsigned char *pixels, size_t size)
{
    enum { LINE = 64 };
    for (size_t i = 0; i < size; i += LINE)
        __builtin_prefetch(pixels + i);
}

static void images_fill(const rv_source *source, rv_split split, const int64_t *ids, int count,
                        rv_random augment, uint64_t first, rv_dtype dtype, void *const *inputs)
{
    const images *m = (const images *)source;
    const rv_image_block *block = split == RV_SPLIT_TEST ? &m->test : &m->train;
    int64_t begin = split == RV_SPLIT_VALIDATION ? m->begin : 0;
    size_t row = (size_t)(block->width * block->channels), size = row * (size_t)block->height;
    int32_t *labels = inputs[1]; /* [count]; inputs[0]: [count, height, width, channels] */
    assert(dtype == RV_F32 || dtype == RV_F64);
    for (int i = 0; i < count; i++) {
        size_t at = (size_t)i * size;
        labels[i] = -1;
        if (ids[i] < 0) {
            memset((char *)inputs[0] + at * rv_dtype_size(dtype), 0, size * rv_dtype_size(dtype));
            continue;
        }
        size_t image = (size_t)(begin + ids[i]);
        const unsigned char *pixels = block->pixels + image * size;
        labels[i] = block->labels[image];
        if (i + 1 < count && ids[i + 1] >= 0)
            fetch(block->pixels + (size_t)(begin + ids[i + 1]) * size, size);
        if (split != RV_SPLIT_TRAIN || !m->augment) {
            write_pixels(m, pixels, size, dtype, inputs[0], at);
            continue;
        }
        crop c = draw_crop(m, augment, first + (uint64_t)i);
        unsigned char cropped[ROW];
        for (int y = 0; y < block->height; y++) {
            crop_row(block, pixels, c, y, cropped);
            write_pixels(m, cropped, row, dtype, inputs[0], at + (size_t)y * row);
        }
    }
}

/* ---- making the source ------------------------------------------------- */

/* Mean and deviation of each channel over the images that are trained on; the sums are
 * of integers, so they are exact.  A channel without deviation is only centred. */
static void standardise(images *m)
{
    size_t channels = (size_t)m->train.channels;
    size_t pixels = (size_t)m->source.examples[RV_SPLIT_TRAIN] * (size_t)(m->train.height * m->train.width);
    for (size_t c = 0; c < channels; c++) {
        uint64_t count[256] = {0}, sum = 0, squares = 0;
        for (size_t i = 0; i < pixels; i++)
            count[m->train.pixels[i * channels + c]]++;
        for (uint64_t byte = 0; byte < 256; byte++) {
            sum += byte * count[byte];
            squares += byte * byte * count[byte];
        }
        double mean = (double)sum / (double)pixels;
        double deviation = sqrt((double)squares / (double)pixels - mean * mean);
        for (int byte = 0; byte < 256; byte++) {
            m->table[c][byte] = (byte - mean) / (deviation > 0 ? deviation : 1);
            m->table32[c][byte] = (float)m->table[c][byte];
        }
    }
}

typedef struct image_set {
    const char *name; /* in the catalogue; NULL: always procedural */
    int size, channels;
    bool flip;
    rv_status (*read)(const rv_data_set *set, const char *data, images *m, rv_error *err);
} image_set;

static rv_status read_idx(const rv_data_set *set, const char *data, images *m, rv_error *err)
{
    rv_image_block *const blocks[] = {&m->train, &m->test};
    for (int i = 0; i < 2; i++) {
        const rv_data_file *pixels = &set->files[2 * i], *labels = pixels + 1;
        char pixels_path[RV_PATH_SIZE], labels_path[RV_PATH_SIZE];
        rv_data_locate(data, pixels->path, pixels_path);
        rv_data_locate(data, labels->path, labels_path);
        RV_TRY(rv_idx_read(pixels_path, (size_t)pixels->size, labels_path, (size_t)labels->size, blocks[i],
                           err));
    }
    if (m->train.height != m->test.height || m->train.width != m->test.width)
        return rv_fail(err, RV_E_FORMAT, "%s: training images are %d x %d, test images %d x %d", set->name,
                       m->train.height, m->train.width, m->test.height, m->test.width);
    return RV_OK;
}

/* The last file of the set is the test batch. */
static rv_status read_cifar(const rv_data_set *set, const char *data, images *m, rv_error *err)
{
    for (int i = 0; i < set->file_count; i++) {
        char path[RV_PATH_SIZE];
        if (rv_data_locate(data, set->files[i].path, path) || !set->files[i].optional)
            RV_TRY(rv_cifar_append(path, i + 1 < set->file_count ? &m->train : &m->test, err));
    }
    return RV_OK;
}

static const image_set image_sets[] = {
    [RV_IMAGES_MNIST] = {"mnist", 28, 1, false, read_idx},
    [RV_IMAGES_FASHION] = {"fashion-mnist", 28, 1, true, read_idx},
    [RV_IMAGES_CIFAR10] = {"cifar-10", 32, 3, true, read_cifar},
    [RV_IMAGES_GLYPHS] = {NULL, 28, 1, false, NULL},
};

/* The set's entry in the catalogue when at least one of its files is there; then it must be whole. */
static const rv_data_set *find_data(const image_set *set, const char *data)
{
    char path[RV_PATH_SIZE];
    const rv_data_set *entry;
    for (int i = 0; set->name && (entry = rv_data_set_at(i)); i++)
        for (int f = 0; strcmp(entry->name, set->name) == 0 && f < entry->file_count; f++)
            if (rv_data_locate(data, entry->files[f].path, path))
                return entry;
    return NULL;
}

/* Glyphs are drawn to order: those of the validation split come on top. */
static rv_status draw_glyphs(const image_set *set, int64_t validation, images *m, rv_error *err)
{
    RV_TRY(rv_glyphs_draw(set->size, set->channels, 0, GLYPHS + validation, &m->train, err));
    return rv_glyphs_draw(set->size, set->channels, FIRST_TEST_GLYPH, TEST_GLYPHS, &m->test, err);
}

static rv_status load(const image_set *set, const char *data, int64_t limit, int64_t validation, images *m,
                      rv_error *err)
{
    const rv_data_set *entry = find_data(set, data);
    RV_TRY(entry ? set->read(entry, data, m, err) : draw_glyphs(set, validation, m, err));
    if (validation >= m->train.count)
        return rv_fail(err, RV_E_RANGE, "%s: validation must leave a training image of %lld, found %lld",
                       set->name, (long long)m->train.count, (long long)validation);
    m->begin = m->train.count - validation;
    int64_t train = limit > 0 && limit < m->begin ? limit : m->begin;
    m->flip = set->flip && entry;
    m->source = (rv_source){
        .inputs = 2,
        .input_dtype = {RV_F32, RV_I32},
        .input_shape = {{3, {m->train.height, m->train.width, m->train.channels}}, {0, {0}}},
        .examples = {train, validation, m->test.count},
        .classes = RV_IMAGE_CLASSES,
        .fill = images_fill,
        .free = images_free,
    };
    snprintf(m->source.description, sizeof m->source.description,
             "%s%s%s: %lld training, %lld validation, %lld test images, %d x %d x %d",
             entry ? entry->name : "procedural glyphs", !entry && set->name ? " in place of " : "",
             !entry && set->name ? set->name : "", (long long)train, (long long)validation,
             (long long)m->test.count, m->train.height, m->train.width, m->train.channels);
    standardise(m);
    return RV_OK;
}

rv_status rv_source_images(rv_source **out, rv_image_set set, const char *data, int64_t limit,
                           int64_t validation, bool augment, rv_error *err)
{
    enum { MOST = 60000 };
    *out = NULL;
    if (set < RV_IMAGES_MNIST || set > RV_IMAGES_GLYPHS)
        return rv_fail(err, RV_E_ARGUMENT, "images: no such set: %d", (int)set);
    if (validation < 0 || validation > MOST)
        return rv_fail(err, RV_E_RANGE, "images: validation must be in [0, %d], found %lld", MOST,
                       (long long)validation);
    if (limit < 0)
        return rv_fail(err, RV_E_RANGE, "images: limit must not be negative, found %lld", (long long)limit);
    images *m = calloc(1, sizeof *m);
    if (!m)
        return rv_fail(err, RV_E_MEMORY, "images: out of memory");
    m->augment = augment;
    rv_status status = load(&image_sets[set], data, limit, validation, m, err);
    if (status != RV_OK)
        images_free(&m->source);
    else
        *out = &m->source;
    return status;
}
