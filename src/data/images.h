/* Sets of labelled images in memory, and who fills them. */
#ifndef RV_DATA_IMAGES_H
#define RV_DATA_IMAGES_H

#include "ravine/data.h"

enum { RV_IMAGE_CLASSES = 10 };

/* Labelled images; all zero is the empty block. */
typedef struct rv_image_block {
    int64_t count;
    int height, width, channels;
    unsigned char *pixels; /* [count, height, width, channels], owned */
    unsigned char *labels; /* [count], below RV_IMAGE_CLASSES, owned */
} rv_image_block;

void rv_image_block_release(rv_image_block *block);

/* A pair of IDX files (the layout of MNIST): images u8 of rank 3, labels u8 of rank 1.
 * Neither may hold more than its limit of bytes, plain or inflated. */
rv_status rv_idx_read(const char *images, size_t images_limit, const char *labels, size_t labels_limit,
                      rv_image_block *out, rv_error *err);

/* Appends one file of CIFAR-10's binary layout: records of a label byte and
 * 3 planes (red, green, blue) of 32 x 32.  On failure block is as before. */
rv_status rv_cifar_append(const char *path, rv_image_block *block, rv_error *err);

/* Digits drawn as strokes, size x size; channels 1: light on black, 3: coloured on a texture.
 * Image i depends on first + i alone, so a larger set begins with the smaller one. */
rv_status rv_glyphs_draw(int size, int channels, uint64_t first, int64_t count, rv_image_block *out,
                         rv_error *err);

#endif
