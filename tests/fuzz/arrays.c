/* Files of arrays: safetensors and npz. */
#include "fuzz.h"
#include "ravine/tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    typedef rv_status reader(const char *path, rv_array_set *out, rv_error *err);
    static reader *const readers[] = {rv_safetensors_read, rv_npz_read};
    char path[128];
    const char *file = fuzz_file(path, "arrays", data, size);
    for (int i = 0; i < 2; i++) {
        rv_array_set set = {0};
        rv_error err = {0};
        if (readers[i](file, &set, &err) != RV_OK)
            fuzz_refused(&err);
        rv_array_set_release(&set);
    }
    return 0;
}

/* Good files to start from, written by this library. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    float values[6] = {1, 2, 3};
    const rv_array arrays[] = {{.name = "a", .dtype = RV_F32, .shape = {2, {2, 3}}, .data = values},
                               {.name = "b", .dtype = RV_U8, .shape = {1, {4}}, .data = values}};
    for (int i = 1; i < *argc; i++) {
        char path[4096];
        if ((*argv)[i][0] == '-')
            continue;
        snprintf(path, sizeof path, "%s/good.safetensors", (*argv)[i]);
        if (rv_safetensors_write(path, arrays, 2, "{\"k\": \"v\"}", NULL) != RV_OK)
            abort();
        snprintf(path, sizeof path, "%s/good.npz", (*argv)[i]);
        if (rv_npz_write(path, arrays, 2, NULL) != RV_OK)
            abort();
    }
    return 0;
}
