/* The data sets that the readers know: where their files lie, how large they are and
 * where they come from.  Nothing is downloaded here. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "data/folder.h"

static const rv_data_file tinyshakespeare[] = {{.path = "tinyshakespeare/input.txt", .size = 1115394}};

static const rv_data_file ptb[] = {
    {.path = "ptb/ptb.train.txt", .size = 5101618},
    {.path = "ptb/ptb.valid.txt", .size = 399782},
    {.path = "ptb/ptb.test.txt", .size = 449945},
};

static const rv_data_file wikitext2[] = {
    {.path = "wikitext-2/wiki.train.tokens", .size = 10797148},
    {.path = "wikitext-2/wiki.valid.tokens", .size = 1121681},
    {.path = "wikitext-2/wiki.test.tokens", .size = 1256449},
};

static const rv_data_file mnist[] = {
    {.path = "mnist/train-images-idx3-ubyte", .size = 47040016},
    {.path = "mnist/train-labels-idx1-ubyte", .size = 60008},
    {.path = "mnist/t10k-images-idx3-ubyte", .size = 7840016},
    {.path = "mnist/t10k-labels-idx1-ubyte", .size = 10008},
};

static const rv_data_file fashion_mnist[] = {
    {.path = "fashion-mnist/train-images-idx3-ubyte", .size = 47040016},
    {.path = "fashion-mnist/train-labels-idx1-ubyte", .size = 60008},
    {.path = "fashion-mnist/t10k-images-idx3-ubyte", .size = 7840016},
    {.path = "fashion-mnist/t10k-labels-idx1-ubyte", .size = 10008},
};

/* A part of CIFAR-10 is fine: the sizes are open and the later batches optional. */
static const rv_data_file cifar10[] = {
    {.path = "cifar-10/data_batch_1.bin"},
    {.path = "cifar-10/data_batch_2.bin", .optional = true},
    {.path = "cifar-10/data_batch_3.bin", .optional = true},
    {.path = "cifar-10/data_batch_4.bin", .optional = true},
    {.path = "cifar-10/data_batch_5.bin", .optional = true},
    {.path = "cifar-10/test_batch.bin"},
};

#define FILES(list) list, (int)(sizeof(list) / sizeof *(list))

static const rv_data_set sets[] = {
    {"tinyshakespeare", "Forty thousand lines of Shakespeare in one text", "public domain",
     "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
     FILES(tinyshakespeare)},
    {"ptb", "Penn Treebank, a million words of newspaper with 10,000 different (Marcus et al.; Mikolov's version)",
     "LDC, customary in research", "http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz", FILES(ptb)},
    {"wikitext-2", "Two million words of Wikipedia with 33,278 different (Merity et al. 2016)", "CC BY-SA 3.0",
     "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip", FILES(wikitext2)},
    {"mnist", "70,000 handwritten digits, 28 x 28 (LeCun, Cortes, Burges)", "CC BY-SA 3.0",
     "https://ossci-datasets.s3.amazonaws.com/mnist/", FILES(mnist)},
    {"fashion-mnist", "70,000 articles of clothing, 28 x 28 (Xiao, Rasul, Vollgraf 2017)", "MIT",
     "https://github.com/zalandoresearch/fashion-mnist", FILES(fashion_mnist)},
    {"cifar-10", "60,000 colour photographs in 10 classes, 32 x 32 (Krizhevsky 2009)", "none stated",
     "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", FILES(cifar10)},
};

const rv_data_set *rv_data_set_at(int i)
{
    return i >= 0 && i < (int)(sizeof sets / sizeof *sets) ? &sets[i] : NULL;
}

/* Places below the data folder where a folder's files may also lie, tried in this order. */
static const struct {
    const char *folder, *place;
} places[] = {
    {"cifar-10/", "cifar-10/cifar-10-batches-bin/"},
    {"cifar-10/", "cifar-10-batches-bin/"},
    {"ptb/", "simple-examples/data/"},
};

static bool try_path(char path[RV_PATH_SIZE], const char *data, const char *place, const char *name)
{
    for (int gzip = 0; gzip < 2; gzip++) {
        int length = snprintf(path, RV_PATH_SIZE, "%s/%s%s%s", data, place, name, gzip ? ".gz" : "");
        if (length < RV_PATH_SIZE && rv_file_exists(path))
            return true;
    }
    return false;
}

bool rv_data_locate(const char *data, const char *file, char path[RV_PATH_SIZE])
{
    if (data) {
        if (try_path(path, data, "", file))
            return true;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            size_t prefix = strlen(places[i].folder);
            if (strncmp(file, places[i].folder, prefix) == 0 &&
                try_path(path, data, places[i].place, file + prefix))
                return true;
        }
    }
    snprintf(path, RV_PATH_SIZE, "%s%s%s", data ? data : "", data ? "/" : "", file);
    return false;
}

/* Bytes of the file at path once inflated: of gzip, what its last four bytes say. */
static rv_status plain_size(const char *path, int64_t *size, rv_error *err)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return rv_fail(err, RV_E_IO, "%s: expected a regular file", path);
    *size = (int64_t)status.st_size;
    size_t length = strlen(path);
    if (length < 3 || strcmp(path + length - 3, ".gz") != 0)
        return RV_OK;
    unsigned char tail[4];
    FILE *file = fopen(path, "rb");
    bool done = file && fseek(file, -4, SEEK_END) == 0 && fread(tail, 1, 4, file) == 4;
    if (file)
        fclose(file);
    if (!done)
        return rv_fail(err, RV_E_IO, "%s: cannot read the size at the end of the gzip file", path);
    *size = (int64_t)((uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 |
                      (uint32_t)tail[3] << 24);
    return RV_OK;
}

rv_status rv_data_set_check(const rv_data_set *set, const char *data, rv_error *err)
{
    for (int i = 0; i < set->file_count; i++) {
        const rv_data_file *file = &set->files[i];
        char path[RV_PATH_SIZE];
        int64_t size = 0;
        if (!rv_data_locate(data, file->path, path)) {
            if (file->optional)
                continue;
            return rv_fail(err, RV_E_IO, "%s: %s is not there, plain or as .gz (from %s)", set->name, path,
                           set->upstream);
        }
        RV_TRY(plain_size(path, &size, err));
        if (file->size > 0 && size != file->size)
            return rv_fail(err, RV_E_FORMAT, "%s: expected %lld bytes uncompressed, found %lld", path,
                           (long long)file->size, (long long)size);
    }
    return RV_OK;
}
