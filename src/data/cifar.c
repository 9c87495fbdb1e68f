/* CIFAR-10's binary layout: records of one label byte and 3072 bytes, the red, green and
 * blue planes of 32 x 32.  In memory the channels of a pixel lie together (NHWC). */
#include <stdlib.h>

#include "core/file.h"
#include "data/images.h"

enum {
    SIDE = 32,
    CHANNELS = 3,
    PLANE = SIDE * SIDE,
    IMAGE = CHANNELS * PLANE,
    RECORD = 1 + IMAGE,
    MAX_RECORDS = 10000
};

static rv_status check_records(const rv_reader *reader, rv_error *err)
{
    if (reader->size == 0 || reader->size % RECORD != 0)
        return rv_fail(err, RV_E_FORMAT, "%s: expected a multiple of %d bytes, found %zu (record %zu is cut)",
                       reader->path, RECORD, reader->size, reader->size / RECORD);
    for (size_t at = 0; at < reader->size; at += RECORD)
        if (reader->data[at] >= RV_IMAGE_CLASSES)
            return rv_fail(err, RV_E_FORMAT,
                           "%s: record %zu (offset %zu): expected a label of 0 to %d, found %d", reader->path,
                           at / RECORD, at, RV_IMAGE_CLASSES - 1, reader->data[at]);
    return RV_OK;
}

/* Room for more images behind those of block. */
static rv_status grow(rv_image_block *block, size_t more, rv_error *err)
{
    size_t count = (size_t)block->count + more;
    unsigned char *pixels = realloc(block->pixels, count * IMAGE);
    if (pixels)
        block->pixels = pixels;
    unsigned char *labels = realloc(block->labels, count);
    if (labels)
        block->labels = labels;
    return pixels && labels ? RV_OK : rv_fail(err, RV_E_MEMORY, "CIFAR-10: no memory for %zu images", count);
}

rv_status rv_cifar_append(const char *path, rv_image_block *block, rv_error *err)
{
    rv_reader reader;
    RV_TRY(rv_reader_open(&reader, path, (size_t)MAX_RECORDS * RECORD, err));
    size_t records = reader.size / RECORD;
    rv_status status = check_records(&reader, err);
    if (status == RV_OK)
        status = grow(block, records, err);
    if (status == RV_OK) {
        unsigned char *pixel = block->pixels + (size_t)block->count * IMAGE;
        for (size_t r = 0; r < records; r++) {
            const unsigned char *record = reader.data + r * RECORD;
            block->labels[(size_t)block->count + r] = record[0];
            for (int i = 0; i < PLANE; i++)
                for (int c = 0; c < CHANNELS; c++)
                    *pixel++ = record[1 + c * PLANE + i];
        }
        block->height = block->width = SIDE;
        block->channels = CHANNELS;
        block->count += (int64_t)records;
    }
    rv_reader_close(&reader);
    return status;
}
