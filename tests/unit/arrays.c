/* safetensors and npz: known bytes, both ways, and hostile files cut or flipped anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "ravine/tensor.h"

typedef rv_status reader_fn(const char *path, rv_array_set *out, rv_error *err);

static char dir[] = "/tmp/ravine-arrays-XXXXXX";
static char path[256];

static void put(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static unsigned char *get(size_t *n)
{
    rv_reader r;
    assert_int_equal(rv_reader_open_plain(&r, path, 1 << 20, NULL), RV_OK);
    *n = r.size;
    return r.data;
}

static float floats[6] = {1, -2, 3.5f, 0, -0.0f, 1e-40f};
static double doubles[2] = {1.0 / 3, -1e300};
static int32_t integers[3] = {1, -1, 1 << 30};
static uint16_t halves[2] = {0x3f80, 0xc000}; /* 1, -2 */
static uint8_t bytes1[1] = {200};

static int sample(rv_array *a)
{
    a[0] = (rv_array){"b.u8", RV_U8, RV_SHAPE(1), bytes1};
    a[1] = (rv_array){"w.floats", RV_F32, RV_SHAPE(2, 3), floats};
    a[2] = (rv_array){"double", RV_F64, RV_SHAPE(2), doubles};
    a[3] = (rv_array){"i", RV_I32, RV_SHAPE(3, 1), integers};
    a[4] = (rv_array){"scalar", RV_F64, {0}, doubles};
    a[5] = (rv_array){"empty", RV_F32, RV_SHAPE(0, 4), floats};
    a[6] = (rv_array){"h", RV_BF16, RV_SHAPE(2), halves};
    return 7;
}

static const rv_array *find(const rv_array_set *set, const char *name)
{
    for (int i = 0; i < set->count; i++)
        if (strcmp(set->arrays[i].name, name) == 0)
            return &set->arrays[i];
    return NULL;
}

static void check_equal(const rv_array_set *set, const rv_array *arrays, int count)
{
    assert_int_equal(set->count, count);
    for (int i = 0; i < count; i++) {
        const rv_array *a = find(set, arrays[i].name);
        assert_non_null(a);
        assert_true(a->dtype == arrays[i].dtype && rv_shape_equal(&a->shape, &arrays[i].shape));
        assert_memory_equal(a->data, arrays[i].data, (size_t)rv_shape_size(&a->shape) * rv_dtype_size(a->dtype));
        assert_int_equal((uintptr_t)a->data % 64, 0);
    }
}

static void safetensors_both_ways(void **state)
{
    (void)state;
    rv_array arrays[7];
    rv_array_set set;
    int n = sample(arrays);
    assert_int_equal(rv_safetensors_write(path, arrays, n, "{\"a\":\"x\",\"b\":\"\"}", NULL), RV_OK);
    assert_int_equal(rv_safetensors_read(path, &set, NULL), RV_OK);
    check_equal(&set, arrays, n);
    assert_string_equal(set.metadata, "{\"a\":\"x\",\"b\":\"\"}");
    size_t first = 0, second = 0;
    unsigned char *before = get(&first);
    assert_int_equal(rv_safetensors_write(path, set.arrays, set.count, set.metadata, NULL), RV_OK);
    unsigned char *after = get(&second);
    assert_int_equal(first, second);
    assert_memory_equal(before, after, first);
    free(before);
    free(after);
    rv_array_set_release(&set);
    rv_array_set_release(&set);
}

/* The layout of the published format, byte for byte. */
static void safetensors_bytes(void **state)
{
    (void)state;
    rv_array a = {"t", RV_I32, RV_SHAPE(1), integers};
    assert_int_equal(rv_safetensors_write(path, &a, 1, NULL, NULL), RV_OK);
    size_t n = 0;
    unsigned char *b = get(&n);
    static const char text[] = "{\"t\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}      ";
    assert_int_equal(n, 8 + 56 + 4);
    assert_memory_equal(b, "\x38\0\0\0\0\0\0\0", 8);
    assert_memory_equal(b + 8, text, 56);
    assert_memory_equal(b + 64, "\1\0\0\0", 4);
    free(b);
}

static void put_header(const char *json, size_t data)
{
    static unsigned char buffer[1 << 16];
    size_t n = strlen(json);
    assert_true(n + data + 8 <= sizeof buffer);
    for (int i = 0; i < 8; i++)
        buffer[i] = (unsigned char)(n >> 8 * i);
    memcpy(buffer + 8, json, n);
    memset(buffer + 8 + n, 7, data);
    put(buffer, 8 + n + data);
}

/* Catalogue cases 12 and 13. */
static void safetensors_hostile(void **state)
{
    (void)state;
#define T(name, shape, a, b) "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" a "," b "]}"
    static const struct {
        const char *json;
        size_t data;
        const char *says;
    } cases[] = {
        {"{" T("a", "[1]", "0", "4") "," T("a", "[1]", "4", "8") "}", 8, "duplicate"},
        {"{" T("a", "[2]", "0", "8") "," T("b", "[2]", "4", "12") "}", 12, "overlaps"},
        {"{" T("a", "[1]", "0", "4") "," T("b", "[1]", "0", "4") "}", 4, "overlaps"},
        {"{" T("a", "[1]", "0", "4") "," T("b", "[1]", "8", "12") "}", 12, "hole"},
        {"{" T("a", "[1]", "4", "8") "}", 8, "hole"},
        {"{" T("a", "[1]", "0", "4") "}", 8, "holds 8"},
        {"{" T("a", "[1]", "0", "4") "}", 3, "holds 3"},
        {"{" T("a", "[4]", "0", "16") "," T("z", "[0]", "8", "8") "}", 16, "overlaps"},
        {"{" T("a", "[4294967296,4294967296]", "0", "0") "}", 0, "does not fit"},
        {"{" T("a", "[4611686018427387905]", "0", "4") "}", 4, "does not fit"},
        {"{" T("a", "[-1]", "0", "4") "}", 4, "natural"},
        {"{" T("a", "[1]", "0", "5") "}", 5, "takes 4"},
        {"{" T("a", "[1]", "0.0", "4.0") "}", 4, "data_offsets"},
        {"{" T("a", "[1.0]", "0", "4") "}", 4, "natural"},
        {"{" T("a", "[1]", "4", "0") "}", 4, "takes 4"},
        {"{" T("a", "[99999999999999999999]", "0", "4") "}", 4, "too big"},
        {"{" T("a", "[1,1,1,1,1,1]", "0", "4") "}", 4, "at most 5"},
        {"{" T("", "[1]", "0", "4") "}", 4, "1 to 127"},
        {"{\"a\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[0,2]}}", 2, "dtype"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,2]}}", 2, "expected dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", 4, "expected dtype"},
        {"{\"a\":[]}", 0, "expected dtype"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "must be a string"},
        {"{\"__metadata__\":[]}", 0, "object of strings"},
        {"[]", 0, "expected '{'"},
        {" {}", 0, "expected '{'"},
        {"{}x", 0, "end of file"},
        {"{", 0, "2 to"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rv_array_set set;
        rv_error err = {0};
        put_header(cases[i].json, cases[i].data);
        assert_int_not_equal(rv_safetensors_read(path, &set, &err), RV_OK);
        if (strstr(err.message, cases[i].says) == NULL || strstr(err.message, path) == NULL)
            fail_msg("%s: %s", cases[i].json, err.message);
        assert_null(set.arrays);
    }
    static char deep[20001];
    memset(deep, '[', 20000);
    memcpy(deep, "{\"a\":", 5);
    rv_array_set set;
    put_header(deep, 0);
    assert_int_equal(rv_safetensors_read(path, &set, NULL), RV_E_FORMAT);
    static const uint64_t lengths[] = {0, 1, UINT64_MAX, 100000001, 1000, 1ull << 63};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        unsigned char raw[20] = {0};
        memcpy(raw, &lengths[i], 8);
        raw[8] = '{';
        raw[9] = '}';
        put(raw, sizeof raw);
        assert_int_equal(rv_safetensors_read(path, &set, NULL), RV_E_FORMAT);
    }
}

static void npz_both_ways(void **state)
{
    (void)state;
    rv_array arrays[7];
    rv_array_set set;
    int n = sample(arrays);
    assert_int_equal(rv_npz_write(path, arrays, n, NULL), RV_OK);
    assert_int_equal(rv_npz_read(path, &set, NULL), RV_OK);
    static float wide[2] = {1, -2};
    arrays[6] = (rv_array){"h", RV_F32, RV_SHAPE(2), wide};
    check_equal(&set, arrays, n);
    rv_array_set_release(&set);
    assert_int_equal(rv_npz_write(path, arrays, 0, NULL), RV_OK);
    assert_int_equal(rv_npz_read(path, &set, NULL), RV_OK);
    assert_int_equal(set.count, 0);
    rv_array_set_release(&set);
}

/* What numpy.savez and savez_compressed write (NumPy 1.24) is read, and the other way round. */
static void npz_numpy(void **state)
{
    (void)state;
    if (system("python3 -c 'import numpy' 2>/dev/null") != 0)
        skip();
    char command[2048];
    static const char *const save[] = {"savez", "savez_compressed"};
    for (int i = 0; i < 2; i++) {
        snprintf(command, sizeof command,
                 "python3 -c \"import numpy as n; n.%s(open('%s','wb'), a=n.arange(6,dtype='f4').reshape(2,3), "
                 "s=n.float64(2.5), e=n.zeros((0,4),'u1'))\"", save[i], path);
        assert_int_equal(system(command), 0);
        rv_array_set set;
        rv_error err = {0};
        if (rv_npz_read(path, &set, &err) != RV_OK)
            fail_msg("%s", err.message);
        assert_int_equal(set.count, 3);
        const rv_array *a = find(&set, "a"), *s = find(&set, "s"), *e = find(&set, "e");
        assert_true(a->shape.rank == 2 && a->shape.dim[1] == 3 && ((float *)a->data)[5] == 5);
        assert_true(s->shape.rank == 0 && *(double *)s->data == 2.5);
        assert_true(e->dtype == RV_U8 && e->shape.dim[1] == 4);
        rv_array_set_release(&set);
    }
    rv_array arrays[7];
    int n = sample(arrays);
    assert_int_equal(rv_npz_write(path, arrays, n, NULL), RV_OK);
    snprintf(command, sizeof command,
             "python3 -c \"import numpy as n; z=n.load('%s'); assert sorted(z.files)==sorted(['b.u8','w.floats',"
             "'double','i','scalar','empty','h']); assert z['w.floats'].shape==(2,3); assert z['h'].tolist()==[1,-2];"
             "assert z['i'].tolist()==[[1],[-1],[1<<30]]; assert z['empty'].shape==(0,4)\"", path);
    assert_int_equal(system(command), 0);
}

/* Every truncation is refused; every flipped bit is refused or, where nothing watches it,
 * gives arrays whose sizes are consistent (read in full under the sanitizers). */
static void fuzz(reader_fn *read)
{
    size_t n = 0;
    unsigned char *whole = get(&n);
    rv_array_set set;
    for (size_t cut = 0; cut < n; cut++) {
        put(whole, cut);
        assert_int_not_equal(read(path, &set, NULL), RV_OK);
    }
    whole = realloc(whole, n + 1);
    whole[n] = 0;
    put(whole, n + 1);
    assert_int_not_equal(read(path, &set, NULL), RV_OK);
    for (size_t bit = 0; bit < n * 8; bit++) {
        whole[bit / 8] ^= (unsigned char)(1u << bit % 8);
        put(whole, n);
        if (read(path, &set, NULL) == RV_OK) {
            int sum = 0;
            for (int i = 0; i < set.count; i++) {
                size_t size = (size_t)rv_shape_size(&set.arrays[i].shape) * rv_dtype_size(set.arrays[i].dtype);
                for (size_t k = 0; k < size; k++)
                    sum ^= ((unsigned char *)set.arrays[i].data)[k];
            }
            assert_in_range(sum, 0, 255);
            rv_array_set_release(&set);
        }
        whole[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    free(whole);
}

static void fuzz_safetensors(void **state)
{
    (void)state;
    rv_array arrays[7];
    assert_int_equal(rv_safetensors_write(path, arrays, sample(arrays), "{\"k\":\"v\"}", NULL), RV_OK);
    fuzz(rv_safetensors_read);
}

static void fuzz_npz(void **state)
{
    (void)state;
    rv_array a = {"a", RV_F32, RV_SHAPE(2, 3), floats};
    assert_int_equal(rv_npz_write(path, &a, 1, NULL), RV_OK);
    fuzz(rv_npz_read);
    /* Data lies between the local header and the directory: there every flip is seen. */
    size_t n = 0;
    unsigned char *whole = get(&n);
    for (size_t bit = 35 * 8; bit < (35 + 128 + 24) * 8; bit++) {
        rv_array_set set;
        whole[bit / 8] ^= (unsigned char)(1u << bit % 8);
        put(whole, n);
        assert_int_equal(rv_npz_read(path, &set, NULL), RV_E_FORMAT);
        whole[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    free(whole);
}

/* Catalogue case 18: names that lead out; and doubled names. */
static void npz_names(void **state)
{
    (void)state;
    static const char *const names[] = {"../../x", "/etc/x", "a/../b", ""};
    rv_array_set set;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rv_array a = {.dtype = RV_F32, .shape = RV_SHAPE(1), .data = floats};
        strcpy(a.name, names[i]);
        assert_int_equal(rv_npz_write(path, &a, 1, NULL), RV_OK);
        assert_int_equal(rv_npz_read(path, &set, NULL), RV_E_FORMAT);
    }
    rv_array two[2] = {{"a", RV_F32, RV_SHAPE(1), floats}, {"a", RV_F32, RV_SHAPE(1), floats}};
    assert_int_equal(rv_npz_write(path, two, 2, NULL), RV_OK);
    assert_int_equal(rv_npz_read(path, &set, NULL), RV_E_FORMAT);
    assert_int_equal(rv_safetensors_write(path, two, 2, NULL, NULL), RV_E_ARGUMENT);
}

/* Catalogue case 17. */
static void no_files(void **state)
{
    (void)state;
    reader_fn *const readers[] = {rv_safetensors_read, rv_npz_read};
    for (int i = 0; i < 2; i++) {
        rv_array_set set;
        rv_error err = {0};
        assert_int_equal(readers[i](dir, &set, &err), RV_E_IO);
        assert_int_equal(readers[i]("/dev/zero", &set, &err), RV_E_IO);
        unlink(path);
        assert_int_equal(readers[i](path, &set, &err), RV_E_IO);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(readers[i](path, &set, &err), RV_E_IO);
        unlink(path);
        put("", 0);
        assert_int_equal(readers[i](path, &set, &err), RV_E_FORMAT);
        put("PK\5\6", 4);
        assert_int_equal(readers[i](path, &set, &err), RV_E_FORMAT);
        put("PK\3\4", 4);
        assert_int_equal(readers[i](path, &set, &err), RV_E_FORMAT);
        put("\x02\0\0\0\0\0\0\0", 8);
        assert_int_equal(readers[i](path, &set, &err), RV_E_FORMAT);
    }
}

/* A header length whose first bytes are the magic of gzip is a length all the same. */
static void not_gzip(void **state)
{
    (void)state;
    static char json[0x8b1f + 1];
    memset(json, ' ', sizeof json - 1);
    memcpy(json, "{}", 2);
    put_header(json, 0);
    rv_array_set set;
    assert_int_equal(rv_safetensors_read(path, &set, NULL), RV_OK);
    assert_int_equal(set.count, 0);
    rv_array_set_release(&set);
}

static int make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/arrays", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(safetensors_both_ways), cmocka_unit_test(safetensors_bytes),
        cmocka_unit_test(safetensors_hostile),
        cmocka_unit_test(not_gzip),         cmocka_unit_test(fuzz_safetensors),
        cmocka_unit_test(npz_both_ways),    cmocka_unit_test(npz_numpy),
        cmocka_unit_test(npz_names),        cmocka_unit_test(fuzz_npz),
        cmocka_unit_test(no_files),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
