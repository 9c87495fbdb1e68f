/* The page as text: complete in itself, hostile names inert, curves thinned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/json.h"
#include "ravine/report.h"
#include "report/embedded.h"
#include "report_folder.h"

static const char open_data[] = "<script type=\"application/json\" id=\"data\">";

static char *write_page(void **state, size_t *size)
{
    rv_error err = {0};
    if (rv_report_write(*state, path_of("page.html"), &err) != RV_OK)
        fail_msg("%s", err.message);
    return read_file(path_of("page.html"), size);
}

static json_t *data_of(char *page)
{
    json_t *data = NULL;
    char *start = strstr(page, open_data) + sizeof open_data - 1;
    size_t n = (size_t)(strstr(start, "</script>") - start);
    assert_int_equal(rv_json_parse(start, n, "data", &data, NULL), RV_OK);
    return data;
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void test_hostile_names(void **state)
{
    static const char evil[] = "</script><script>alert(1)</script><!--";
    char config[512];
    size_t size;
    snprintf(config, sizeof config, "{\"workload\": \"%s\", \"optimizer\": \"{{css}} %s\", \"train\": {\"seed\": 0}}", evil, evil);
    write_file("<script>alert(2)<", "config.json", config);
    write_file("<script>alert(2)<", "log.jsonl", "{\"step\":1,\"examples\":1,\"seconds\":1,\"loss\":\"nan\"}\n");
    char *page = write_page(state, &size);
    assert_int_equal(strlen(page), size);
    /* Only the page's own elements: the data, the chart script and the page's script. */
    assert_int_equal(count_of(page, "</script>"), 3);
    assert_int_equal(count_of(page, "<script"), 3);
    assert_int_equal(count_of(page, "alert(1)<"), 0);
    json_t *data = data_of(page);
    const json_t *run = json_array_get(json_object_get(data, "runs"), 0);
    assert_string_equal(json_string_value(json_object_get(run, "run")), "<script>alert(2)<");
    assert_string_equal(json_string_value(json_object_get(json_object_get(run, "config"), "workload")), evil);
    json_decref(data);
    free(page);
}

/* The packed chart script, decoded here and inflated by the reader of files, is the script itself. */
static void assert_charts(const char *page, const char *script, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strstr(page, "id=\"charts\">");
    rv_reader reader;
    char path[256];
    assert_non_null(at);
    at = strchr(at, '>') + 1;
    snprintf(path, sizeof path, "%s", path_of("charts.gz"));
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (; strchr(digits, at[0]) && at[0]; at += 4) {
        unsigned group = 0, n = at[2] == '=' ? 1 : at[3] == '=' ? 2 : 3;
        for (unsigned k = 0; k < 4; k++)
            group = group << 6 | (k <= n ? (unsigned)(strchr(digits, at[k]) - digits) : 0);
        const unsigned char bytes[] = {(unsigned char)(group >> 16), (unsigned char)(group >> 8), (unsigned char)group};
        fwrite(bytes, 1, n, file);
    }
    fclose(file);
    assert_int_equal(rv_reader_open(&reader, path, 1 << 26, NULL), RV_OK);
    assert_int_equal(reader.size, size);
    assert_memory_equal(reader.data, script, size);
    rv_reader_close(&reader);
    remove(path);
}

static void test_nothing_is_loaded(void **state)
{
    size_t size, part_size;
    char *script, hash[64];
    write_file("a", "config.json", "{\"workload\": \"w\", \"optimizer\": \"o\"}");
    char *page = write_page(state, &size);
    assert_null(strstr(page, " src="));
    assert_null(strstr(page, "{{page}}"));
    assert_null(strstr(page, "@import"));
    assert_non_null(strstr(page, "default-src 'none'"));
    for (int part = RV_EMBEDDED_PLOTLY; part <= RV_EMBEDDED_PAGE; part++) {
        rv_embedded_hash((rv_embedded_part)part, hash);
        assert_int_equal(strlen(hash), 7 + 44);
        assert_non_null(strstr(page, hash));
        assert_int_equal(rv_embedded_text((rv_embedded_part)part, &script, &part_size, NULL), RV_OK);
        assert_int_equal(strlen(script), part_size);
        if (part == RV_EMBEDDED_PLOTLY)
            assert_charts(page, script, part_size);
        else
            assert_non_null(strstr(page, script));
        free(script);
    }
    free(page);
}

static void test_curves_are_thinned(void **state)
{
    enum { LINES = 20000 };
    size_t size;
    char *log = malloc(LINES * 80), *at = log;
    for (int i = 1; i <= LINES; i++)
        at += sprintf(at, "{\"step\":%d,\"examples\":%d,\"seconds\":%d,\"loss\":%.9f}\n", i, 8 * i, i, 1.0 / i);
    write_file("long", "config.json", "{\"workload\": \"w\", \"optimizer\": \"o\"}");
    write_file("long", "log.jsonl", log);
    char *page = write_page(state, &size);
    json_t *data = data_of(page);
    const json_t *run = json_array_get(json_object_get(data, "runs"), 0);
    const json_t *curve = json_object_get(json_object_get(run, "curves"), "train");
    const json_t *steps = json_object_get(curve, "step"), *losses = json_object_get(curve, "loss");
    size_t n = json_array_size(steps);
    assert_true(n > 700 && n <= 1000);
    assert_int_equal(json_array_size(losses), n);
    assert_int_equal(json_integer_value(json_array_get(steps, 0)), 1);
    assert_int_equal(json_integer_value(json_array_get(steps, n - 1)), LINES);
    /* The first steps are all there: a logarithmic axis shows them. */
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(json_integer_value(json_array_get(steps, i)), (json_int_t)i + 1);
    for (size_t i = 1; i < n; i++)
        assert_true(json_integer_value(json_array_get(steps, i)) > json_integer_value(json_array_get(steps, i - 1)));
    json_decref(data);
    free(page);
    free(log);
}

static void test_a_single_run(void **state)
{
    size_t size;
    write_file("solo", "config.json", "{\"workload\": \"w\", \"optimizer\": \"o\"}");
    assert_int_equal(rv_report_write(path_of("solo"), path_of("page.html"), NULL), RV_OK);
    char *page = read_file(path_of("page.html"), &size);
    json_t *data = data_of(page);
    const json_t *run = json_array_get(json_object_get(data, "runs"), 0);
    assert_string_equal(json_string_value(json_object_get(run, "run")), "solo");
    json_decref(data);
    free(page);
    (void)state;
}

/* A bench.json that was tampered with cannot make the report read outside its folder. */
static void test_runs_stay_inside(void **state)
{
    size_t size;
    write_file("inner/x", "config.json", "{}");
    write_file("outer", "config.json", "{\"secret\": 1}");
    write_file("inner", "bench.json",
               "{\"scores\": {\"cells\": [{\"problem\": 0, \"optimizer\": 0, \"best\": 0}]}, \"trials\": ["
               "{\"run\": \"../outer\", \"problem\": 0, \"optimizer\": 0, \"point\": 0},"
               "{\"run\": \"x\", \"problem\": 0, \"optimizer\": 0, \"point\": 0}]}");
    assert_int_equal(rv_report_write(path_of("inner"), path_of("page.html"), NULL), RV_OK);
    char *page = read_file(path_of("page.html"), &size);
    json_t *data = data_of(page);
    assert_int_equal(json_array_size(json_object_get(data, "runs")), 1);
    json_decref(data);
    free(page);
    (void)state;
}

/* What `ravine score -o DIR/score.json` left is part of the page, with nothing that ends an element. */
static void test_a_score_joins(void **state)
{
    size_t size;
    rv_error err = {0};
    write_file("a", "config.json", "{\"workload\": \"w\", \"optimizer\": \"o\"}");
    write_file(".", "score.json", "{\"ruleset\": \"</script>\", \"scores\": []}");
    char *page = write_page(state, &size);
    assert_int_equal(count_of(page, "</script>"), 3);
    json_t *data = data_of(page);
    assert_string_equal(json_string_value(json_object_get(json_object_get(data, "score"), "ruleset")), "</script>");
    json_decref(data);
    free(page);
    assert_int_equal(rv_report_write_score("{\"scores\": []}", path_of("score.html"), &err), RV_OK);
    page = read_file(path_of("score.html"), &size);
    data = data_of(page);
    assert_int_equal(json_array_size(json_object_get(data, "runs")), 0);
    json_decref(data);
    free(page);
    assert_int_equal(rv_report_write_score("{\"scores\":", path_of("score.html"), &err), RV_E_FORMAT);
    write_file(".", "score.json", "{");
    assert_int_equal(rv_report_write(*state, path_of("page.html"), &err), RV_E_FORMAT);
    assert_non_null(strstr(err.message, "score.json"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(test_hostile_names), TEST(test_nothing_is_loaded), TEST(test_curves_are_thinned),
        TEST(test_a_single_run), TEST(test_runs_stay_inside), TEST(test_a_score_joins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
