/* Any picture is a loss surface: a plane of networks is trained so that the loss over it draws a
 * given pattern, by descent on all its cells at once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measures/draw.h"
#include "measures/paint.h"
#include "studies/digits.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                \
    INT(steps, 6000, 10, 1000000, 0, "of Adam on the plane")                                 \
    REAL(lr, 0.003, 0, 1, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of Adam")                        \
    INT(cells, 8, 1, 50, 0, "bright and as many dark cells of a step")                       \
    INT(width, 64, 4, 1024, 0, "of the hidden layer of every network")                       \
    INT(images, 2000, 100, 50000, 0, "digits to train on")                                   \
    REAL(clip, 2.5, 0, 100, RV_PARAM_OPEN_LO, "dark cells are not pushed beyond this loss")  \
    TEXT(icon, "", "file of a picture to draw as well: lines of text, or a plain bitmap (P1)")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "loss-patterns", params, PARAMS);

enum { OWN = 3 }; /* heart, smiley, random cells; the user's is one more */
static const char *const names[OWN] = {"heart", "smiley", "noise"};

static const rv_claim claims[] = {
    {"heart", "A plane of networks can be found whose loss surface is a heart", "share of cells on the right side of the best threshold, training loss",
     "slide; Skorokhodov, Burtsev 2019", 0.95, 1, RV_CLAIM_EVERY, true},
    {"smiley", "or a smiley", "share of cells on the right side, training loss", "slide; Skorokhodov, Burtsev 2019", 0.95, 1, RV_CLAIM_EVERY, true},
    {"noise", "or a picture of random cells", "share of cells on the right side, training loss", "control: what can show anything shows nothing", 0.9, 1, RV_CLAIM_EVERY, true},
    {"test", "The picture is there on test data as well", "share of cells on the right side, test loss, heart", "Skorokhodov, Burtsev 2019", 0.95, 1, RV_CLAIM_EVERY, true},
    {"bright", "Its bright cells are networks that classify", "mean training accuracy of the cells of the heart", "Skorokhodov, Burtsev 2019", 0.85, 1, RV_CLAIM_EVERY, true},
    {"dark", "and its dark cells do not", "mean training accuracy of the other cells", "Skorokhodov, Burtsev 2019", 0, 0.6, RV_CLAIM_EVERY, true},
    {"before", "The plane did not show it before", "share of cells on the right side of the best threshold, heart, untrained", "control: the pattern is made, not found by chance",
     0, 0.85, RV_CLAIM_EVERY, false},
    {"gradient", "The gradient through the plane is right", "relative error against differences, linear losses, float64", "control of the study", -HUGE_VAL, 1e-7, RV_CLAIM_EVERY, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* ---- the plane ----------------------------------------------------------------------------- */

static rv_status choose_pattern(rv_pattern *pattern, const params *o, int which, uint64_t seed, rv_error *err)
{
    if (which == OWN)
        return rv_pattern_read(pattern, o->icon, err);
    if (which == OWN - 1)
        rv_pattern_random(pattern, seed);
    else
        rv_pattern_built_in(pattern, names[which]);
    return RV_OK;
}

static rv_status start(rv_painter *t, uint64_t seed, rv_error *err)
{
    int64_t n = t->plane.n;
    for (int k = 0; k < 3; k++)
        RV_TRY(rv_objective_init(t->objective, 3 * seed + (uint64_t)k, t->flat + k * n, err));
    t->flat[3 * n] = 0.1f;
    rv_painter_begin(t);
    return RV_OK;
}

static rv_status paint(rv_study_run *run, rv_painter *t, const params *o, uint64_t seed, rv_error *err)
{
    rv_paint_options options = {.steps = o->steps, .cells = o->cells, .lr = o->lr, .clip = o->clip, .seed = seed, .stop = run->options->stop};
    return rv_painter_run(t, &options, err);
}

/* ---- looking at it ------------------------------------------------------------------------------------- */

typedef struct view {
    double loss[RV_PATTERN_CELLS], accuracy[RV_PATTERN_CELLS];
} view;

static rv_status look(rv_painter *t, rv_split split, view *v, rv_error *err)
{
    return rv_painter_look(t, split, "accuracy", v->loss, v->accuracy, err);
}

static void draw(rv_study_run *run, const rv_pattern *p, const char *name, const char *title, const double *loss)
{
    rv_draw_pattern(rv_study_figure(run, name, title, "Every cell is a network; its shade is its loss over all images.", (rv_axis){.label = "right"},
                                    (rv_axis){.label = "up"}), p, loss);
}

/* Both losses as figures, and what a cell of either kind classifies. */
static void show(rv_study_run *run, const rv_pattern *p, int pattern, const view *train, const view *test)
{
    char name[48], title[96];
    const char *key = pattern < OWN ? names[pattern] : "icon";
    snprintf(title, sizeof title, "The %s: training loss", p->name);
    draw(run, p, key, title, train->loss);
    snprintf(name, sizeof name, "%s-test", key);
    snprintf(title, sizeof title, "The %s: test loss", p->name);
    draw(run, p, name, title, test->loss);
    rv_study_note(run, "%s, seed 0: accuracy of bright cells %.0f %% on training, %.0f %% on test images; of dark cells %.0f %% and %.0f %%.", p->name,
                  100 * rv_pattern_mean(p, train->accuracy, true), 100 * rv_pattern_mean(p, test->accuracy, true),
                  100 * rv_pattern_mean(p, train->accuracy, false), 100 * rv_pattern_mean(p, test->accuracy, false));
    if (pattern == OWN)
        rv_study_note(run, "%s, seed 0: %.1f %% of its %d cells lie on the right side by training loss, %.1f %% by test loss.", p->name,
                      100 * rv_pattern_agreement(p, train->loss), p->cells, 100 * rv_pattern_agreement(p, test->loss));
}

static rv_status one_picture(rv_study_run *run, rv_painter *t, const params *o, int pattern, int seed, rv_error *err)
{
    view train, test;
    const rv_pattern *p = &t->pattern;
    RV_TRY(choose_pattern(&t->pattern, o, pattern, (uint64_t)seed, err));
    RV_TRY(start(t, (uint64_t)seed, err));
    if (pattern == 0) {
        RV_TRY(look(t, RV_SPLIT_TRAIN, &train, err));
        rv_study_measure(run, "before", rv_pattern_agreement(p, train.loss));
    }
    RV_TRY(paint(run, t, o, (uint64_t)seed, err));
    RV_TRY(look(t, RV_SPLIT_TRAIN, &train, err));
    RV_TRY(look(t, RV_SPLIT_TEST, &test, err));
    if (pattern < OWN)
        rv_study_measure(run, names[pattern], rv_pattern_agreement(p, train.loss));
    if (pattern == 0) {
        rv_study_measure(run, "test", rv_pattern_agreement(p, test.loss));
        rv_study_measure(run, "bright", rv_pattern_mean(p, train.accuracy, true));
        rv_study_measure(run, "dark", rv_pattern_mean(p, train.accuracy, false));
    }
    if (seed == 0)
        show(run, p, pattern, &train, &test);
    return RV_OK;
}

/* The user's picture first, so that a mistake in it shows at once; drawn from seed 0 alone. */
static rv_status all_pictures(rv_study_run *run, rv_painter *t, const params *o, rv_error *err)
{
    rv_study_reason(run, "noise", "Unrelated neighbours ask for the steepest changes of the loss from cell to cell; with these networks and steps about a tenth of the "
                    "random cells stay on the wrong side, where heart and smiley come out whole.");
    if (o->icon[0])
        RV_TRY(one_picture(run, t, o, OWN, 0, err));
    for (int s = 0; s < run->seeds; s++)
        for (int k = 0; k < OWN; k++) {
            RV_TRY(rv_study_progress(run, (double)(s * OWN + k) / (run->seeds * OWN), "seed %d, %s", s, names[k]));
            RV_TRY(one_picture(run, t, o, k, s, err));
        }
    rv_study_measure(run, "gradient", rv_pattern_plane_error(err));
    return RV_OK;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    rv_painter t = {0};
    rv_objective *objective;
    rv_digits spec = {.images = (int)o->images, .evaluate = 500, .batch = 128, .width = (int)o->width, .depth = 1, .act = RV_ACT_RELU, .bias = true, .gain = sqrt(2)};
    RV_TRY(rv_digits_new(run, &spec, RV_BACKEND_CPU, &objective, err));
    rv_status status = rv_painter_init(&t, objective, err);
    if (status == RV_OK)
        status = all_pictures(run, &t, o, err);
    rv_painter_release(&t);
    rv_objective_free(objective);
    return status;
}

const rv_study rv_study_loss_patterns = {
    .name = "loss-patterns",
    .title = "Any picture is a loss surface",
    .question = "In the space of weights there is a plane over which the loss of a network draws a heart. So a two-dimensional picture of a loss "
                "surface shows what its plane was chosen for.",
    .method = "Multi-point optimisation: three weight vectors and a scale span a 10 x 10 grid of perceptrons (49-64-10, digits of 7 x 7 pixels). Every step\n"
              "takes 8 cells of the picture and 8 of the ground on one mini-batch of 128; the first go down in cross entropy, the second up, without\n"
              "gradient beyond a loss of 2.5; Adam. The original draws 50 x 50 pixels with convolutional networks on Fashion-MNIST at ten thousand times\n"
              "the cost. A cell counts as right when its loss lies on its side of the one best threshold.",
    .source = "Skorokhodov, Burtsev 2019, Loss Landscape Sightseeing with Multi-Point Optimization, arXiv 1910.03867",
    .cost = "4 min",
    .params = &table,
    .quick = "steps=60,width=16,images=300",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
