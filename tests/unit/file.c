/* Files: what may be read, what a failed write leaves, and what a log keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

static char dir[] = "/tmp/ravine-file-XXXXXX";
static char path[256];

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_dir(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

static void not_files(void **state)
{
    (void)state;
    rv_reader r;
    rv_error err = {0};
    assert_int_equal(rv_reader_open(&r, dir, 100, &err), RV_E_IO);
    assert_non_null(strstr(err.message, "a folder"));
    assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
    assert_int_equal(rv_reader_open(&r, in_dir("pipe"), 100, &err), RV_E_IO);
    assert_non_null(strstr(err.message, "a pipe"));
    assert_int_equal(rv_reader_open(&r, "/dev/zero", 100, &err), RV_E_IO);
    assert_int_equal(rv_reader_open(&r, in_dir("absent"), 100, &err), RV_E_IO);
    rv_log *log = NULL;
    assert_int_equal(rv_log_open(&log, in_dir("pipe"), &err), RV_E_IO);
    unlink(in_dir("pipe"));
}

static void cursor(void **state)
{
    (void)state;
    put("bytes", "\x01\x02\x03\x04\x05\x00\x00\x00\x00\x00\x00\x00\x09", 13);
    rv_reader r;
    rv_error err = {0};
    uint32_t be = 0;
    uint64_t le = 0;
    const unsigned char *b = NULL;
    assert_int_equal(rv_reader_open(&r, in_dir("bytes"), 12, &err), RV_E_RANGE);
    assert_int_equal(rv_reader_open(&r, in_dir("bytes"), 13, &err), RV_OK);
    assert_int_equal(rv_reader_be32(&r, &be, NULL), RV_OK);
    assert_int_equal(be, 0x01020304);
    assert_int_equal(rv_reader_le64(&r, &le, NULL), RV_OK);
    assert_int_equal(le, 5);
    assert_int_equal(rv_reader_take(&r, SIZE_MAX, &b, &err), RV_E_FORMAT);
    assert_non_null(strstr(err.message, "offset 12"));
    assert_int_equal(rv_reader_take(&r, 1, &b, NULL), RV_OK);
    assert_int_equal(*b, 9);
    assert_int_equal(rv_reader_take(&r, 1, &b, NULL), RV_E_FORMAT);
    rv_reader_close(&r);
    put("bytes", "", 0);
    assert_int_equal(rv_reader_open(&r, in_dir("bytes"), 12, &err), RV_OK);
    assert_int_equal(rv_reader_be32(&r, &be, NULL), RV_E_FORMAT);
    rv_reader_close(&r);
    unlink(in_dir("bytes"));
}

/* Catalogue cases 4 and 5: bombs, truncation at every byte, bad CRC, a second member, junk. */
static void gzip_hostile(void **state)
{
    (void)state;
    char text[3000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + (i * i) % 17);
    gzFile gz = gzopen(in_dir("a.gz"), "wb");
    gzwrite(gz, text, sizeof text);
    gzclose(gz);
    rv_reader r;
    rv_error err = {0};
    assert_int_equal(rv_reader_open(&r, in_dir("a.gz"), sizeof text, &err), RV_OK);
    assert_int_equal(r.size, sizeof text);
    assert_memory_equal(r.data, text, sizeof text);
    rv_reader_close(&r);
    assert_int_equal(rv_reader_open(&r, in_dir("a.gz"), sizeof text - 1, &err), RV_E_RANGE);
    rv_reader plain;
    assert_int_equal(rv_reader_open_plain(&plain, in_dir("a.gz"), sizeof text, &err), RV_OK);
    unsigned char *bytes = malloc(2 * plain.size);
    size_t n = plain.size;
    memcpy(bytes, plain.data, n);
    rv_reader_close(&plain);
    for (size_t cut = 2; cut < n; cut++) {
        put("cut.gz", bytes, cut);
        assert_int_equal(rv_reader_open(&r, in_dir("cut.gz"), 1 << 20, &err), RV_E_FORMAT);
    }
    memcpy(bytes + n, bytes, n);
    put("two.gz", bytes, 2 * n);
    assert_int_equal(rv_reader_open(&r, in_dir("two.gz"), 1 << 20, &err), RV_E_FORMAT);
    put("junk.gz", bytes, n + 1);
    assert_int_equal(rv_reader_open(&r, in_dir("junk.gz"), 1 << 20, &err), RV_E_FORMAT);
    bytes[n - 8] ^= 1;
    put("crc.gz", bytes, n);
    assert_int_equal(rv_reader_open(&r, in_dir("crc.gz"), 1 << 20, &err), RV_E_FORMAT);
    free(bytes);
    gz = gzopen(in_dir("bomb.gz"), "wb9");
    static const char zeros[1 << 16];
    for (int i = 0; i < 1024; i++)
        gzwrite(gz, zeros, sizeof zeros);
    gzclose(gz);
    assert_int_equal(rv_reader_open(&r, in_dir("bomb.gz"), 1 << 17, &err), RV_E_RANGE);
    static const char *const names[] = {"a.gz", "cut.gz", "two.gz", "junk.gz", "crc.gz", "bomb.gz"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_dir(names[i]));
}

static void writes_are_atomic(void **state)
{
    (void)state;
    char target[256];
    snprintf(target, sizeof target, "%s/out", dir);
    assert_int_equal(rv_file_write(target, "old", 3, NULL), RV_OK);
    rv_writer *w = NULL;
    assert_int_equal(rv_writer_open(&w, target, NULL), RV_OK);
    assert_int_equal(rv_writer_put(w, "newer", 5, NULL), RV_OK);
    rv_reader r;
    assert_int_equal(rv_reader_open(&r, target, 100, NULL), RV_OK);
    assert_memory_equal(r.data, "old", 3);
    rv_reader_close(&r);
    rv_writer_abandon(w);
    assert_int_equal(entries(), 1);
    assert_int_equal(rv_file_write(target, "newer", 5, NULL), RV_OK);
    assert_int_equal(rv_reader_open(&r, target, 100, NULL), RV_OK);
    assert_int_equal(r.size, 5);
    rv_reader_close(&r);
    assert_int_equal(entries(), 1);
    rv_error err = {0};
    assert_int_equal(rv_file_write(in_dir("no/such/file"), "x", 1, &err), RV_E_IO);
    unlink(target);
    rv_writer_abandon(NULL);
}

/* RLIMIT_FSIZE would kill the process by SIGXFSZ; it must be an ordinary error instead. */
static void size_limit_is_an_error(void **state)
{
    (void)state;
    char target[256];
    snprintf(target, sizeof target, "%s/out", dir);
    assert_int_equal(rv_file_write(target, "old", 3, NULL), RV_OK);
    struct rlimit before, tight;
    getrlimit(RLIMIT_FSIZE, &before);
    tight = (struct rlimit){4096, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &tight);
    static char big[10000];
    rv_error err = {0};
    rv_status status = rv_file_write(target, big, sizeof big, &err);
    rv_log *log = NULL;
    rv_status opened = rv_log_open(&log, in_dir("log"), NULL);
    rv_status first = rv_log_line(log, "kept", NULL);
    char line[8000];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    rv_status second = rv_log_line(log, line, NULL);
    rv_status third = rv_log_line(log, "also", NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, RV_E_IO);
    assert_int_equal(opened, RV_OK);
    assert_int_equal(first, RV_OK);
    assert_int_equal(second, RV_E_IO);
    assert_int_equal(third, RV_OK);
    assert_int_equal(rv_log_close(log, NULL), RV_OK);
    rv_reader r;
    assert_int_equal(rv_reader_open(&r, in_dir("log"), 100, NULL), RV_OK);
    assert_int_equal(r.size, 10);
    assert_memory_equal(r.data, "kept\nalso\n", 10);
    rv_reader_close(&r);
    unlink(in_dir("log"));
    unlink(target);
    assert_int_equal(entries(), 0);
}

static void torn_lines_are_cut(void **state)
{
    (void)state;
    static const char whole[] = "{\"step\":1}\n{\"step\":2}\n{\"st";
    char long_torn[9000];
    for (size_t cut = 0; cut < sizeof whole; cut++) {
        put("log", whole, cut);
        rv_log *log = NULL;
        assert_int_equal(rv_log_open(&log, in_dir("log"), NULL), RV_OK);
        assert_int_equal(rv_log_line(log, "z", NULL), RV_OK);
        assert_int_equal(rv_log_close(log, NULL), RV_OK);
        rv_reader r;
        assert_int_equal(rv_reader_open(&r, in_dir("log"), 100, NULL), RV_OK);
        size_t kept = cut >= 22 ? 22 : cut >= 11 ? 11 : 0;
        assert_int_equal(r.size, kept + 2);
        assert_memory_equal(r.data, whole, kept);
        assert_memory_equal(r.data + kept, "z\n", 2);
        rv_reader_close(&r);
    }
    memset(long_torn, 'y', sizeof long_torn);
    long_torn[2] = '\n';
    put("log", long_torn, sizeof long_torn);
    rv_log *log = NULL;
    assert_int_equal(rv_log_open(&log, in_dir("log"), NULL), RV_OK);
    assert_int_equal(rv_log_close(log, NULL), RV_OK);
    struct stat info;
    assert_int_equal(stat(in_dir("log"), &info), 0);
    assert_int_equal(info.st_size, 3);
    unlink(in_dir("log"));
}

static void folders(void **state)
{
    (void)state;
    rv_error err = {0};
    assert_int_equal(rv_folder_make(in_dir("a/b//c/"), &err), RV_OK);
    assert_int_equal(rv_folder_make(in_dir("a/b/c"), &err), RV_OK);
    assert_true(rv_file_exists(in_dir("a/b/c")));
    put("a/file", "x", 1);
    assert_int_equal(rv_folder_make(in_dir("a/file/d"), &err), RV_E_IO);
    assert_int_equal(rv_folder_make(in_dir("a/file"), &err), RV_E_IO);
    assert_non_null(strstr(err.message, "found a file"));
    unlink(in_dir("a/file"));
    rmdir(in_dir("a/b/c"));
    rmdir(in_dir("a/b"));
    rmdir(in_dir("a"));
}

static void sizes(void **state)
{
    (void)state;
    size_t n = 0;
    assert_true(rv_size_mul(1u << 20, 1u << 20, &n) && n == (size_t)1 << 40);
    assert_false(rv_size_mul((size_t)1 << 40, (size_t)1 << 40, &n));
    assert_false(rv_size_add(SIZE_MAX, 1, &n));
}

static void json_errors(void **state)
{
    (void)state;
    json_t *value = NULL;
    rv_error err = {0};
    put("bad.json", "{\"a\":1,\n\"a\":2}", 14);
    assert_int_equal(rv_json_read(in_dir("bad.json"), &value, &err), RV_E_FORMAT);
    assert_non_null(strstr(err.message, "bad.json: line 2"));
    char *deep = malloc(20001);
    memset(deep, '[', 20000);
    assert_int_equal(rv_json_parse(deep, 20000, "deep", &value, &err), RV_E_FORMAT);
    assert_null(value);
    free(deep);
    unlink(in_dir("bad.json"));
    static const char text[] = "{\"b\":[1,2.5,\"x\\n\\u0001\\\"\",null,true],\"a\":{}}";
    assert_int_equal(rv_json_parse(text, sizeof text - 1, "text", &value, &err), RV_OK);
    char *out = rv_json_text(value, 0);
    assert_string_equal(out, text);
    free(out);
    out = rv_json_text(json_object_get(value, "b"), 2);
    assert_string_equal(out, "[\n  1,\n  2.5,\n  \"x\\n\\u0001\\\"\",\n  null,\n  true\n]");
    free(out);
    json_decref(value);
}

static void people(void **state)
{
    (void)state;
    char t[64];
    assert_string_equal(rv_text_duration(3780, t, sizeof t), "1 h 03 min");
    assert_string_equal(rv_text_duration(59.97, t, sizeof t), "1 min 00 s");
    assert_string_equal(rv_text_duration(3599.7, t, sizeof t), "1 h 00 min");
    assert_string_equal(rv_text_duration(4.2, t, sizeof t), "4.2 s");
    assert_string_equal(rv_text_duration(0.012, t, sizeof t), "12 ms");
    assert_string_equal(rv_text_duration(0.0 / 0.0, t, sizeof t), "-");
    assert_string_equal(rv_text_count(1234, t, sizeof t), "1.2 k");
    assert_string_equal(rv_text_count(3.4e6, t, sizeof t), "3.4 M");
    assert_string_equal(rv_text_count(999, t, sizeof t), "999");
    assert_string_equal(rv_text_count(999960, t, sizeof t), "1.0 M");
    static const char *const names[] = {"adamw", "sgd", "shampoo"};
    assert_string_equal(rv_text_nearest("adam", names, 3), "adamw");
    assert_string_equal(rv_text_nearest("sdg", names, 3), "sgd");
    assert_string_equal(rv_text_nearest("SHAMPOO", names, 3), "shampoo");
    assert_null(rv_text_nearest("lion", names, 3));
    assert_string_equal(rv_text_nearest("ham", names, 3), "shampoo");
    assert_null(rv_text_nearest("am", names, 3));
    assert_true(rv_text_match("block*.we?ght", "block0.mlp.weight"));
    assert_false(rv_text_match("block?", "block10"));
    assert_true(rv_text_match("*", ""));
    rv_table *table = rv_table_new(2, (const char *const[]){"name", "n"}, (const bool[]){false, true});
    rv_table_row(table, (const char *const[]){"\xc3\xa9t\xc3\xa9", "12"});
    rv_text out = {0};
    rv_table_print(table, &out, false);
    assert_string_equal(out.data, "name   n\n\xc3\xa9t\xc3\xa9   12\n");
    rv_text_release(&out);
    rv_table_free(table);
}

static void check_bytes(const char *bytes, const char *expected)
{
    json_t *value = rv_json_from_bytes(bytes);
    assert_string_equal(json_string_value(value), expected);
    json_decref(value);
}

/* Linux has names of any bytes, JSON has Unicode. */
static void bytes_as_json(void **state)
{
    (void)state;
#define BAD "\xEF\xBF\xBD"
    check_bytes("", "");
    check_bytes("caf\xC3\xA9/\xE2\x82\xAC/\xF0\x9F\x98\x80", "caf\xC3\xA9/\xE2\x82\xAC/\xF0\x9F\x98\x80");
    check_bytes("caf\xE9/x", "caf" BAD "/x");     /* Latin-1 */
    check_bytes("\xC3", BAD);                    /* cut short */
    check_bytes("\xE2\x82z", BAD BAD "z");
    check_bytes("\xC0\xAF", BAD BAD);            /* '/' in two bytes */
    check_bytes("\xE0\x80\xAF", BAD BAD BAD);
    check_bytes("\xF0\x80\x80\xAF", BAD BAD BAD BAD);
    check_bytes("\xED\xA0\x80", BAD BAD BAD);    /* half of a surrogate pair */
    check_bytes("\xF4\x90\x80\x80", BAD BAD BAD BAD); /* beyond U+10FFFF */
    check_bytes("\xF5\xFF", BAD BAD);
#undef BAD
}

/* A path is whole or refused: a shorter one is another file. */
static void paths(void **state)
{
    (void)state;
    char joined[RV_PATH_SIZE], longest[RV_PATH_SIZE];
    rv_error err;
    assert_int_equal(rv_path_join(joined, "a/b", "c", &err), RV_OK);
    assert_string_equal(joined, "a/b/c");
    assert_int_equal(rv_path_join(joined, "/", "c", &err), RV_OK);
    assert_string_equal(joined, "/c");
    assert_int_equal(rv_path_join(joined, "", "c", &err), RV_E_ARGUMENT); /* not "/c" */
    assert_int_equal(rv_folder_make("", &err), RV_E_ARGUMENT);
    memset(longest, 'x', sizeof longest);
    longest[RV_PATH_SIZE - 3] = '\0';
    assert_int_equal(rv_path_join(joined, longest, "c", &err), RV_OK);
    assert_int_equal(strlen(joined), RV_PATH_SIZE - 1);
    assert_int_equal(rv_path_join(joined, longest, "cd", &err), RV_E_RANGE);
    assert_true(rv_is_folder(dir) && !rv_is_folder("/dev/null") && !rv_is_folder("/absent"));
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir); /* fails when a test left something behind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(not_files),          cmocka_unit_test(cursor),  cmocka_unit_test(gzip_hostile),
        cmocka_unit_test(writes_are_atomic),  cmocka_unit_test(size_limit_is_an_error),
        cmocka_unit_test(torn_lines_are_cut), cmocka_unit_test(folders), cmocka_unit_test(sizes),
        cmocka_unit_test(json_errors),        cmocka_unit_test(people),
        cmocka_unit_test(bytes_as_json),      cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
