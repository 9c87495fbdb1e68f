/* The linear transformer: the short form against the model as the paper writes it, its gradient against
 * differences, its loss against closed forms, and the moments of its data. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workloads/prompt.h"

enum { D = RV_PROMPT_D, ROWS = 21, WIDE = D + 1, LAYERS = 3, N = LAYERS * RV_PROMPT_LAYER, MANY = 40000 };
static const rv_random data = {5, RV_RANDOM_DATA, 2};

static void draw_weights(double *w, double deviation)
{
    for (int k = 0; k < N; k++)
        w[k] = deviation * rv_random_normal((rv_random){1, RV_RANDOM_INIT, 0}, (uint64_t)k);
}

/* Z + 1/N (Z Q Z') A (Z P'), over all rows, for one layer's P and Q. */
static void attend(double z[ROWS][WIDE], int rows, const double *w)
{
    double values[ROWS][WIDE], out[ROWS][WIDE];
    for (int m = 0; m < rows; m++)
        for (int i = 0; i < WIDE; i++) {
            values[m][i] = i == D ? z[m][D] : 0; /* the corner of P */
            for (int j = 0; i < D && j < D; j++)
                values[m][i] += w[i * D + j] * z[m][j];
        }
    memcpy(out, z, sizeof out);
    for (int n = 0; n < rows; n++)
        for (int m = 0; m < rows - 1; m++) { /* the query is no key */
            double score = 0;
            for (int i = 0; i < D; i++)
                for (int j = 0; j < D; j++)
                    score += z[n][i] * w[RV_PROMPT_D2 + i * D + j] * z[m][j];
            for (int i = 0; i < WIDE; i++)
                out[n][i] += score * values[m][i] / (rows - 1);
        }
    memcpy(z, out, sizeof out);
}

static void short_form_is_the_model(void **state)
{
    (void)state;
    double w[N];
    draw_weights(w, 0.3);
    for (uint64_t k = 0; k < 50; k++) {
        int points = k % 2 ? 20 : 5;
        double rows[ROWS][D], z[ROWS][WIDE] = {{0}}, y_query = 0;
        int lane = (int)(k % RV_PROMPT_LANES);
        rv_prompts pack = {0};
        rv_prompt_draw(&pack, lane, (rv_prompt_kind)(k % 3), points, data, k, rows[0]);
        for (int n = 0; n <= points; n++)
            for (int i = 0; i < D; i++) {
                z[n][i] = rows[n][i];
                z[n][D] += rows[n][i] * pack.task[i][lane];
            }
        y_query = z[points][D];
        z[points][D] = 0;
        for (int l = 0; l < LAYERS; l++)
            attend(z, points + 1, w + l * RV_PROMPT_LAYER);
        double expected = pow(z[points][D] + y_query, 2), found = rv_prompts_loss(&pack, 1, w, LAYERS, NULL);
        assert_true(fabs(found - expected) <= 1e-11 * (1 + expected));
    }
}

static void gradient_is_that_of_the_loss(void **state)
{
    (void)state;
    enum { COUNT = 11 }; /* one pack and a part of another */
    double w[N], g[N], alone = 0;
    rv_prompts *prompts = rv_prompts_new(COUNT);
    draw_weights(w, 0.3);
    rv_prompts_draw(prompts, COUNT, RV_PROMPT_NORMAL, 20, data, 0);
    double loss = rv_prompts_loss(prompts, COUNT, w, LAYERS, g);
    for (int k = 0; k < N; k++) {
        const double h = 1e-5;
        double keep = w[k], side[2];
        for (int s = 0; s < 2; s++) {
            w[k] = keep + (s ? h : -h);
            side[s] = rv_prompts_loss(prompts, COUNT, w, LAYERS, NULL);
        }
        w[k] = keep;
        double difference = (side[1] - side[0]) / (2 * h);
        assert_true(fabs(g[k] - difference) <= 1e-7 * (1 + fabs(difference)));
        if (k >= N - RV_PROMPT_LAYER && k < N - RV_PROMPT_D2) /* the last P reaches nothing */
            assert_true(g[k] == 0);
    }
    for (uint64_t k = 0; k < COUNT; k++) {
        rv_prompts one = {0};
        rv_prompt_draw(&one, 3, RV_PROMPT_NORMAL, 20, data, k, NULL);
        alone += rv_prompts_loss(&one, 1, w, LAYERS, NULL) / COUNT;
    }
    assert_true(fabs(alone - loss) < 1e-12 * loss);
    free(prompts);
}

static void check_mean(double found, double expected, double error)
{
    if (fabs(found - expected) > 4 * error)
        fail_msg("mean %g, expected %g with standard error %g", found, expected, error);
}

/* The mean of the squared error over many prompts. */
static void check_loss(rv_prompt_kind kind, int points, int layers, const double *w, double expected)
{
    double sum = 0, squares = 0;
    for (uint64_t k = 0; k < MANY; k++) {
        rv_prompts pack = {0};
        rv_prompt_draw(&pack, 0, kind, points, data, k, NULL);
        double loss = rv_prompts_loss(&pack, 1, w, layers, NULL);
        sum += loss / MANY;
        squares += loss * loss / MANY;
    }
    check_mean(sum, expected, sqrt((squares - sum * sum) / MANY));
}

/* At zero the loss is E (x . task)^2 = E |x|^2.  One layer with Q = -c I leaves (I - c G) task, so its loss on
 * normal points is d (1 - 2 c + c^2 (N + d + 1) / N); the best c gives d (d + 1) / (N + d + 1). */
static void closed_forms(void **state)
{
    (void)state;
    double w[N] = {0};
    check_loss(RV_PROMPT_NORMAL, 20, LAYERS, w, D);
    check_loss(RV_PROMPT_GAMMA, 20, LAYERS, w, 1);
    check_loss(RV_PROMPT_SPHERE, 20, LAYERS, w, 1);
    for (int points = 5; points <= 20; points += 15) {
        for (int k = 0; k < D; k++)
            w[RV_PROMPT_D2 + k * D + k] = -points / (points + D + 1.0);
        check_loss(RV_PROMPT_NORMAL, points, 1, w, D * (D + 1) / (points + D + 1.0));
    }
}

/* E r^2 = 1 and E r^4 = 0.1 x 1.1 x 10^2 = 11 for gamma; |x| = 1 on the sphere; G = X'X / N. */
static void moments(void **state)
{
    (void)state;
    double second = 0, fourth = 0, eighth = 0;
    for (uint64_t k = 0; k < MANY; k++) {
        double rows[2][D], squares = 0, query = 0;
        rv_prompts pack;
        rv_prompt_draw(&pack, 0, RV_PROMPT_GAMMA, 1, data, k, rows[0]);
        for (int i = 0; i < D; i++) {
            squares += rows[0][i] * rows[0][i];
            assert_true(pack.query[i][0] == rows[1][i]);
            assert_true(pack.gram[i * D][0] == rows[0][i] * rows[0][0]);
        }
        second += squares / MANY;
        fourth += squares * squares / MANY;
        eighth += pow(squares, 4) / MANY;
        rv_prompt_draw(&pack, 0, RV_PROMPT_SPHERE, 1, data, k, rows[0]);
        for (int i = 0; i < D; i++)
            query += pack.query[i][0] * pack.query[i][0];
        assert_true(fabs(query - 1) < 1e-12);
    }
    check_mean(second, 1, sqrt((fourth - second * second) / MANY));
    check_mean(fourth, 11, sqrt((eighth - fourth * fourth) / MANY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(short_form_is_the_model), cmocka_unit_test(gradient_is_that_of_the_loss),
                                       cmocka_unit_test(closed_forms), cmocka_unit_test(moments)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
