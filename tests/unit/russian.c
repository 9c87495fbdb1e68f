/* The translation of printed texts: formats are found again in what they printed, and the
 * tables of all studies agree in their conversions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/json.h"
#include "ravine/study.h"
#include "report/russian.h"

static json_t *table_of(const char *text)
{
    json_t *table = json_loads(text, 0, NULL);
    assert_non_null(table);
    return table;
}

static void expect(const json_t *table, const char *english, const char *russian)
{
    rv_text out = {0};
    bool found = rv_russian_find(table, english, &out);
    const char *wanted = russian ? russian : "(none)", *made = found && out.data ? out.data : "(none)";
    if (strcmp(made, wanted) != 0)
        fail_msg("'%s': expected '%s', found '%s'", english, wanted, made);
    rv_text_release(&out);
}

static void test_plain(void **state)
{
    (void)state;
    json_t *table = table_of("{\"loss\": \"потери\", \"at +10 % with dropout\": \"при +10 % с дропаутом\"}");
    expect(table, "loss", "потери");
    expect(table, "at +10 % with dropout", "при +10 % с дропаутом");
    expect(table, "losses", NULL);
    expect(table, "", NULL);
    json_decref(table);
}

/* Whatever printf makes of a format is found under it, with the same numbers. */
static void test_numbers(void **state)
{
    (void)state;
    static const double values[] = {0, -3, 0.25, 1e-12, 6.02e23, 1.0 / 3, NAN, INFINITY, -INFINITY};
    json_t *table = table_of("{\"lr %g, loss %.3f, at %5.1f %%\": \"шаг %g, потери %.3f, при %5.1f %%\"}");
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char english[256], russian[256];
        double v = values[i];
        snprintf(english, sizeof english, "lr %g, loss %.3f, at %5.1f %%", v, v, v);
        snprintf(russian, sizeof russian, "шаг %g, потери %.3f, при %5.1f %%", v, v, v);
        expect(table, english, russian);
    }
    expect(table, "lr 1, loss none, at 3.0 %", NULL);
    json_object_set_new(table, "It is %g.", json_string("Это %g."));
    expect(table, "It is 2.", "Это 2.");
    json_decref(table);
}

static void test_choice(void **state)
{
    (void)state;
    json_t *table = table_of("{\"%s\": \"%s\", \"%s %d\": \"%s №%d\", \"seed %d\": \"зерно %d\", \"batch\": \"пакет\", \"%s of %s\": \"%s из %s\"}");
    expect(table, "seed 3", "зерно 3");      /* more literal characters than "%s %d" */
    expect(table, "batch 12", "пакет №12");  /* the word has a translation of its own */
    expect(table, "layer 12", "layer №12");  /* and this one has none */
    expect(table, "seed 3 of batch", "зерно 3 из пакет");
    expect(table, "seed", NULL);             /* a bare %s is no translation */
    expect(table, "seed 3.5", NULL);
    json_decref(table);
}

static void test_conversions(void **state)
{
    (void)state;
    static const struct { const char *text; bool good; } cases[] = {
        {"{\"a %d b %.2f\": \"%d и %.2f\"}", true},  {"{\"a %d b %.2f\": \"%.2f и %d\"}", false},
        {"{\"a %d\": \"а\"}", false},                {"{\"a\": \"а %d\"}", false},
        {"{\"5 %% of %s\": \"5 %% от %s\"}", true},  {"{\"a %lld\": \"а %d\"}", false},
        {"{\"100 %\": \"100 %\"}", true},            {"{\"a\": \"\"}", false},
        {"{\"a\": 3}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rv_error err;
        json_t *table = table_of(cases[i].text);
        if ((rv_russian_check(table, &err) == RV_OK) != cases[i].good)
            fail_msg("%s is taken to be %s", cases[i].text, cases[i].good ? "wrong" : "right");
        json_decref(table);
    }
}

static void test_tables(void **state)
{
    (void)state;
    for (int i = -1; i < 0 || rv_study_at(i); i++) {
        rv_error err;
        const char *name = i < 0 ? "probe" : rv_study_at(i)->name;
        json_t *table = rv_russian_open(name, &err);
        if (!table || rv_russian_check(table, &err) != RV_OK)
            fail_msg("%s/ru/%s.json: %s", i < 0 ? "measures" : "studies", name, err.message);
        json_decref(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),       cmocka_unit_test(test_numbers), cmocka_unit_test(test_choice),
        cmocka_unit_test(test_conversions), cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests_name("russian", tests, NULL, NULL);
}
