/* Images: a pair of IDX files, plain or gzip, and CIFAR-10's records. */
#include "data/images.h"
#include "fuzz.h"

enum { LIMIT = 1 << 20 };

/* The first two bytes tell where the labels begin. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char images[128], labels[128];
    rv_image_block block = {0};
    rv_error err = {0};
    if (size < 2)
        return 0;
    size_t cut = 2 + (((size_t)data[0] << 8) | data[1]) % (size - 1);
    fuzz_file(images, "images", data + 2, cut - 2);
    fuzz_file(labels, "labels", data + cut, size - cut);
    if (rv_idx_read(images, LIMIT, labels, LIMIT, &block, &err) != RV_OK)
        fuzz_refused(&err);
    rv_image_block_release(&block);
    block = (rv_image_block){0};
    if (rv_cifar_append(images, &block, &err) != RV_OK)
        fuzz_refused(&err);
    rv_image_block_release(&block);
    return 0;
}

/* Good files to start from: two images of 2 x 3. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t good[] = {0, 28, 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3,
                                   4, 5,  6, 7, 8, 9, 10, 11, 12, 0, 0, 8, 1, 0, 0, 0, 2, 7, 9};
    for (int i = 1; i < *argc; i++) {
        char path[4096];
        if ((*argv)[i][0] == '-')
            continue;
        snprintf(path, sizeof path, "%s/good", (*argv)[i]);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(good, 1, sizeof good, file) != sizeof good || fclose(file) != 0)
            abort();
    }
    return 0;
}
