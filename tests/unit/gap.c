/* What the studies of Adam against SGD are made of: quantiles and histograms of errors, the two networks, a source
 * that several objectives share. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "objective/network.h"
#include "studies/errors.h"
#include "studies/gap_models.h"

static void near(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("found %.17g, expected %.17g", found, expected);
}

/* Tabulated values, symmetry, and the inverse of what erfc says. */
static void normal_quantiles(void **state)
{
    (void)state;
    near(rv_normal_quantile(0.5), 0, 1e-15);
    near(rv_normal_quantile(0.975), 1.959963984540054, 1e-13);
    near(rv_normal_quantile(0.025), -1.959963984540054, 1e-13);
    near(rv_normal_quantile(0.9995), 3.290526731491896, 1e-12);
    near(rv_normal_quantile(1e-10), -6.361340902404056, 1e-12);
    for (int k = 1; k < 100; k++)
        near(erfc(-rv_normal_quantile(k / 100.0) / sqrt(2)) / 2, k / 100.0, 1e-14);
}

static double at(const json_t *figure, int series, const char *axis, size_t i)
{
    const json_t *one = json_array_get(json_object_get(figure, "series"), (size_t)series);
    return json_number_value(json_array_get(json_object_get(one, axis), i));
}

static size_t points(const json_t *figure, int series)
{
    return json_array_size(json_object_get(json_array_get(json_object_get(figure, "series"), (size_t)series), "x"));
}

/* Normal data lies on the diagonal; uniform data has a flat density of integral 1 over its median. */
static void figures_of_errors(void **state)
{
    (void)state;
    enum { N = 4000 };
    double normal[N], uniform[N];
    for (int i = 0; i < N; i++) { /* neither sorted nor standardised */
        int k = (int)((i * 1231L) % N);
        normal[i] = 7 + 3 * rv_normal_quantile((k + 0.5) / N);
        uniform[i] = 2 + (k + 0.5) / N;
    }
    rv_figure *figure = rv_figure_new("f", "t", "c", (rv_axis){.label = "x"}, (rv_axis){.label = "y"});
    rv_errors_quantiles(figure, "normal", normal, N);
    rv_errors_histogram(figure, "uniform", uniform, N);
    assert_in_range(points(figure, 0), 200, 261);
    for (size_t i = 0; i < points(figure, 0); i++)
        near(at(figure, 0, "y", i), at(figure, 0, "x", i), 2e-3 * (1 + fabs(at(figure, 0, "x", i))));
    near(at(figure, 0, "x", points(figure, 0) - 1), rv_normal_quantile(1 - 0.5 / N), 1e-4); /* the largest is there */
    assert_int_equal(points(figure, 1), 40);
    for (size_t i = 0; i < 40; i++)
        near(at(figure, 1, "y", i), 2.5, 0.06); /* width 1 / 2.5 of the median */
    static const double same[] = {2, 2, 2}; /* no spread, no histogram */
    rv_errors_histogram(figure, "same", same, 3);
    assert_int_equal(json_array_size(json_object_get(figure, "series")), 2);
    json_decref(figure);
}

/* x = 1 + (rank)^(-1/3) behind a median of 1: Pareto of index 3, wherever it stands. */
static void tail_index(void **state)
{
    (void)state;
    enum { N = 4001 };
    static double x[N];
    for (int shift = 0; shift < 2; shift++) {
        for (int i = 0; i < N; i++)
            x[i] = 100 * shift + (i < N / 2 ? 0.5 : i == N / 2 ? 1 : 1 + pow((N - i) / (double)N, -1.0 / 3));
        near(rv_errors_tail(x, N), 3, 0.05);
    }
}

/* Gradients along random directions against central differences, in float64; the number of parameters. */
static void check_network(const rv_network *network, int64_t parameters)
{
    rv_error err;
    rv_objective *o;
    if (rv_network_new(&o, network, &(rv_workload_env){.backend = RV_BACKEND_REF}, &err) != RV_OK)
        fail_msg("%s", err.message);
    assert_int_equal(rv_layout_parameters(o->layout), parameters);
    size_t n = (size_t)o->layout->size;
    double *w = calloc(n, sizeof *w), *g = calloc(n, sizeof *g), *moved = calloc(n, sizeof *moved), *scratch = calloc(n, sizeof *scratch);
    rv_batch batch = {.seed = 2, .step = 1, .parts = 1};
    double loss, side[2];
    assert_int_equal(rv_objective_init(o, 1, w, &err), RV_OK);
    assert_int_equal(rv_objective_value_grad(o, w, batch, g, &loss, &err), RV_OK);
    for (uint64_t k = 0; k < 2; k++) {
        const double h = 1e-6;
        double along = 0;
        rv_random stream = {4, RV_RANDOM_PROBE, k};
        for (size_t i = 0; i < n; i++)
            along += g[i] * rv_random_normal(stream, i);
        for (int s = 0; s < 2; s++) {
            for (size_t i = 0; i < n; i++)
                moved[i] = w[i] + (s ? -h : h) * rv_random_normal(stream, i);
            assert_int_equal(rv_objective_value_grad(o, moved, batch, scratch, &side[s], &err), RV_OK);
        }
        near(along, (side[0] - side[1]) / (2 * h), 1e-6 * (1 + fabs(along)));
    }
    free(w);
    free(g);
    free(moved);
    free(scratch);
    rv_objective_free(o);
}

static void networks(void **state)
{
    (void)state;
    rv_source *images, *words;
    rv_gap_language language = {.block = 6, .width = 8};
    assert_int_equal(rv_source_images(&images, RV_IMAGES_GLYPHS, NULL, 32, 8, false, NULL), RV_OK);
    assert_int_equal(rv_source_words(&words, &(rv_words){.text = RV_WORDS_GRAMMAR, .block = 6, .vocabulary = 20, .limit = 500}, NULL, NULL), RV_OK);
    language.classes = words->classes;
    rv_network network = {.name = "lenet", .build = rv_gap_lenet, .source = rv_source_lend(images), .batch = 4, .shards = 2, .evaluation_rows = 4};
    check_network(&network, 61706); /* LeNet-5 as Kunstner et al. have it */
    network.build = rv_gap_language_model;
    network.params = &language;
    /* words and head 20 (8 + 8 + 1), positions 6 x 8, two layers: 4 matrices and 2 of the feed-forward part with their biases, 2 norms */
    for (int twice = 0; twice < 2; twice++) { /* the owner outlives what borrows it */
        network.source = rv_source_lend(words);
        check_network(&network, 20 * 17 + 48 + 2 * (6 * (64 + 8) + 2 * 16));
    }
    rv_source_free(images);
    rv_source_free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(normal_quantiles), cmocka_unit_test(figures_of_errors), cmocka_unit_test(tail_index), cmocka_unit_test(networks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
