/* Exports: CSV against the expected text, event files through a decoder written here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "ravine/report.h"
#include "report_folder.h"

static const char config[] =
    "{\"workload\": \"w\", \"optimizer\": \"o\", \"train\": {\"seed\": 4294967295}}";

static void write_runs(void)
{
    write_file("b", "config.json", config);
    write_file("b", "meta.json", "{\"start\": \"2024-05-01T10:00:00Z\"}");
    write_file("b", "log.jsonl",
               "{\"step\":1,\"examples\":8,\"seconds\":0.5,\"loss\":2.25,\"lr\":0.001,\"grad_norm\":\"inf\"}\n"
               "{\"step\":300,\"examples\":2400,\"seconds\":1.5,\"split\":\"validation\",\"metrics\":{\"loss\":0.1,\"accuracy\":\"nan\"}}\n"
               "{\"step\":301,\"examp"); /* torn */
    write_file("a/=cmd,\"x\"", "config.json", "{\"workload\": \"=1+1\", \"optimizer\": \"o,p\"}");
    write_file("a/=cmd,\"x\"", "log.jsonl", "{\"step\":2,\"examples\":3,\"seconds\":-4,\"loss\":\"-inf\"}\n");
    write_file("checkpoint-only", "weights", "no run");
}

static void test_csv(void **state)
{
    static const char expected[] =
        "run,workload,optimizer,seed,step,examples,seconds,split,loss,lr,grad_norm,accuracy\r\n"
        "\"a/=cmd,\"\"x\"\"\",\"'=1+1\",\"o,p\",,2,3,-4,train,-inf,,,\r\n"
        "b,w,o,4294967295,1,8,0.5,train,2.25,0.001,inf,\r\n"
        "b,w,o,4294967295,300,2400,1.5,validation,0.1,,,nan\r\n";
    size_t size;
    write_runs();
    assert_int_equal(rv_export_csv(*state, path_of("out.csv"), NULL), RV_OK);
    char *text = read_file(path_of("out.csv"), &size);
    /* Columns stand in the order in which the sorted runs first name them. */
    assert_string_equal(text, expected);
    free(text);
}

static void test_formulas_of_names(void **state)
{
    size_t size;
    write_file("@SUM(A1)", "config.json", config);
    write_file("@SUM(A1)", "log.jsonl", "{\"step\":1,\"examples\":1,\"seconds\":1,\"+x\":1}\n");
    assert_int_equal(rv_export_csv(*state, path_of("out.csv"), NULL), RV_OK);
    char *text = read_file(path_of("out.csv"), &size);
    assert_non_null(strstr(text, "split,\"'+x\"\r\n\"'@SUM(A1)\",w,"));
    free(text);
}

static void test_bad_folders(void **state)
{
    rv_error err = {0};
    assert_int_equal(rv_export_csv(path_of("absent"), path_of("out.csv"), &err), RV_E_IO);
    assert_int_equal(rv_export_csv(*state, path_of("out.csv"), &err), RV_E_IO);
    assert_non_null(strstr(err.message, "no run folder"));
    write_file("b", "config.json", config);
    write_file("b", "log.jsonl", "{\"step\":1}\nnot json\n{\"step\":2}\n");
    assert_int_equal(rv_export_csv(*state, path_of("out.csv"), &err), RV_E_FORMAT);
    assert_non_null(strstr(err.message, "log.jsonl: line 2"));
    assert_false(rv_file_exists(path_of("out.csv")));
}

/* ---- a decoder of event files ---------------------------------------------- */

typedef struct bytes {
    const unsigned char *at, *end;
} bytes;

static uint64_t take_le(bytes *in, int n)
{
    uint64_t value = 0;
    assert_true(in->end - in->at >= n);
    for (int i = 0; i < n; i++)
        value |= (uint64_t)*in->at++ << (8 * i);
    return value;
}

static uint64_t take_varint(bytes *in)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        uint64_t byte = take_le(in, 1);
        value |= (byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
}

static bytes take_block(bytes *in, uint64_t n)
{
    assert_true((uint64_t)(in->end - in->at) >= n);
    bytes block = {in->at, in->at + n};
    in->at += n;
    return block;
}

/* Bit by bit, most significant first on reflected data: no table to share a mistake with. */
static uint32_t reflect(uint32_t value, int bits)
{
    uint32_t out = 0;
    for (int i = 0; i < bits; i++)
        out |= (value >> i & 1) << (bits - 1 - i);
    return out;
}

static uint32_t crc32c(bytes in)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (; in.at < in.end; in.at++) {
        crc ^= reflect(*in.at, 8) << 24;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc >> 31 ? 0x1EDC6F41u : 0);
    }
    return ~reflect(crc, 32);
}

static void check_crc(bytes covered, bytes *in)
{
    uint32_t masked = (uint32_t)take_le(in, 4), rotated = masked - 0xA282EAD8u;
    assert_int_equal(rotated >> 17 | rotated << 15, crc32c(covered));
}

typedef struct event {
    double wall;
    uint64_t step;
    char version[32], tag[4][32];
    float value[4];
    int values;
} event;

static void take_value(bytes in, event *e)
{
    while (in.at < in.end) {
        uint64_t key = take_varint(&in);
        if (key == (1 << 3 | 2)) {
            bytes tag = take_block(&in, take_varint(&in));
            snprintf(e->tag[e->values], sizeof e->tag[0], "%.*s", (int)(tag.end - tag.at), (const char *)tag.at);
        } else {
            assert_int_equal(key, 2 << 3 | 5);
            uint32_t bits = (uint32_t)take_le(&in, 4);
            memcpy(&e->value[e->values], &bits, 4);
        }
    }
    e->values++;
}

static event take_event(bytes *in)
{
    event e = {0};
    bytes head = {in->at, in->at + 8};
    uint64_t size = take_le(in, 8), bits;
    check_crc(head, in);
    bytes payload = take_block(in, size), rest = payload;
    check_crc(payload, in);
    while (rest.at < rest.end)
        switch (take_varint(&rest)) {
        case 1 << 3 | 1:
            bits = take_le(&rest, 8);
            memcpy(&e.wall, &bits, 8);
            break;
        case 2 << 3 | 0:
            e.step = take_varint(&rest);
            break;
        case 3 << 3 | 2: {
            bytes text = take_block(&rest, take_varint(&rest));
            snprintf(e.version, sizeof e.version, "%.*s", (int)(text.end - text.at), (const char *)text.at);
            break;
        }
        case 5 << 3 | 2: {
            bytes summary = take_block(&rest, take_varint(&rest));
            while (summary.at < summary.end) {
                assert_int_equal(take_varint(&summary), 1 << 3 | 2);
                take_value(take_block(&summary, take_varint(&summary)), &e);
            }
            break;
        }
        default:
            fail_msg("unknown field");
        }
    return e;
}

static void test_decoder_knows_crc32c(void **state)
{
    /* RFC 3720, B.4: 32 zero bytes give 8A9136AA; "123456789" gives E3069283. */
    static const unsigned char zeros[32] = {0}, nine[] = "123456789";
    (void)state;
    assert_int_equal(crc32c((bytes){zeros, zeros + 32}), 0x8A9136AAu);
    assert_int_equal(crc32c((bytes){nine, nine + 9}), 0xE3069283u);
}

static void test_tensorboard(void **state)
{
    size_t size;
    write_runs();
    assert_int_equal(rv_export_tensorboard(*state, path_of("events"), NULL), RV_OK);
    assert_true(rv_file_exists(path_of("events/a/=cmd,\"x\"/events.out.tfevents.0.ravine")));
    char *file = read_file(path_of("events/b/events.out.tfevents.0.ravine"), &size);
    bytes in = {(unsigned char *)file, (unsigned char *)file + size};
    event version = take_event(&in), train = take_event(&in), validation = take_event(&in);
    assert_true(in.at == in.end);
    assert_string_equal(version.version, "brain.Event:2");
    assert_true(version.wall == 1714557600.0); /* 2024-05-01 10:00:00 UTC */
    assert_true(train.wall == 1714557600.5);
    assert_int_equal(train.step, 1);
    assert_int_equal(train.values, 3);
    assert_string_equal(train.tag[0], "train/loss");
    assert_true(train.value[0] == 2.25f && train.value[1] == 0.001f && isinf(train.value[2]));
    assert_int_equal(validation.step, 300);
    assert_string_equal(validation.tag[1], "validation/accuracy");
    assert_true(validation.value[0] == 0.1f && isnan(validation.value[1]));
    free(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_csv), TEST(test_formulas_of_names), TEST(test_bad_folders),
        TEST(test_decoder_knows_crc32c), TEST(test_tensorboard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
