/* IDX, the layout of MNIST: two zero bytes, a type byte, the rank, big-endian extents,
 * then the elements.  Sizes are multiplied with overflow checks and compared with what
 * the file holds before anything is allocated for them. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "data/images.h"

enum { TYPE_U8 = 0x08, MAX_SIDE = 1024 };

/* Reads the header of a u8 array of the given rank and checks it against the file's size. */
static rv_status read_header(rv_reader *reader, uint32_t rank, uint32_t extent[], rv_error *err)
{
    uint32_t magic, expected = TYPE_U8 << 8 | rank;
    RV_TRY(rv_reader_be32(reader, &magic, err));
    if (magic != expected)
        return rv_fail(err, RV_E_FORMAT,
                       "%s: offset 0: expected IDX magic 0x%08x (u8, rank %u), found 0x%08x", reader->path,
                       expected, rank, magic);
    size_t size = 1;
    bool fits = true;
    for (uint32_t i = 0; i < rank; i++) {
        RV_TRY(rv_reader_be32(reader, &extent[i], err));
        fits = fits && rv_size_mul(size, extent[i], &size);
    }
    size_t left = reader->size - reader->at;
    if (!fits)
        return rv_fail(err, RV_E_FORMAT, "%s: offset 4: the declared extents overflow, %zu bytes follow",
                       reader->path, left);
    if (size != left)
        return rv_fail(err, RV_E_FORMAT, "%s: offset %zu: the header declares %zu bytes, found %zu",
                       reader->path, reader->at, size, left);
    return RV_OK;
}

/* Hands the elements after the header over to the caller, who frees them. */
static unsigned char *take_elements(rv_reader *reader)
{
    unsigned char *data = reader->data;
    memmove(data, data + reader->at, reader->size - reader->at);
    reader->data = NULL;
    return data;
}

static rv_status read_images(const char *path, size_t limit, rv_image_block *out, rv_error *err)
{
    rv_reader reader;
    uint32_t extent[3] = {0}; /* [count, height, width] */
    RV_TRY(rv_reader_open(&reader, path, limit, err));
    rv_status status = read_header(&reader, 3, extent, err);
    if (status == RV_OK && (extent[1] < 1 || extent[1] > MAX_SIDE || extent[2] < 1 || extent[2] > MAX_SIDE))
        status =
            rv_fail(err, RV_E_FORMAT, "%s: offset 8: expected images of 1 to %d pixels a side, found %u x %u",
                    path, MAX_SIDE, extent[1], extent[2]);
    if (status == RV_OK) {
        out->count = extent[0];
        out->height = (int)extent[1];
        out->width = (int)extent[2];
        out->channels = 1;
        out->pixels = take_elements(&reader);
    }
    rv_reader_close(&reader);
    return status;
}

static rv_status read_labels(const char *path, size_t limit, const char *images, rv_image_block *out,
                             rv_error *err)
{
    rv_reader reader;
    uint32_t count = 0;
    RV_TRY(rv_reader_open(&reader, path, limit, err));
    rv_status status = read_header(&reader, 1, &count, err);
    if (status == RV_OK && count != out->count)
        status = rv_fail(err, RV_E_FORMAT, "%s holds %lld images, but %s holds %u labels", images,
                         (long long)out->count, path, count);
    for (size_t i = 0; status == RV_OK && i < count; i++)
        if (reader.data[reader.at + i] >= RV_IMAGE_CLASSES)
            status = rv_fail(err, RV_E_FORMAT, "%s: label %zu: expected 0 to %d, found %d", path, i,
                             RV_IMAGE_CLASSES - 1, reader.data[reader.at + i]);
    if (status == RV_OK)
        out->labels = take_elements(&reader);
    rv_reader_close(&reader);
    return status;
}

rv_status rv_idx_read(const char *images, size_t images_limit, const char *labels, size_t labels_limit,
                      rv_image_block *out, rv_error *err)
{
    *out = (rv_image_block){0};
    rv_status status = read_images(images, images_limit, out, err);
    if (status == RV_OK)
        status = read_labels(labels, labels_limit, images, out, err);
    if (status != RV_OK)
        rv_image_block_release(out);
    return status;
}
