/* Any picture is a loss surface: a plane of networks is trained so that the loss over it draws a
 * given pattern, by descent on all its cells at once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/probe.h"
#include "studies/digits.h"
#include "probe/pattern.h"
#include "probe/pattern_plane.h"

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

/* ---- training a plane ----------------------------------------------------------------------------- */

typedef struct painter {
    rv_objective *o;
    rv_pattern pattern;
    rv_pattern_plane p;
    float *w, *g;   /* one network */
    double *wide;   /* its gradient in double */
    float *flat, *gradient; /* origin, right, up, scale: [3 n + 1] as the optimizer sees them */
} painter;

static rv_status choose_pattern(painter *t, const params *o, int pattern, uint64_t seed, rv_error *err)
{
    if (pattern == OWN)
        RV_TRY(rv_pattern_read(&t->pattern, o->icon, err));
    else if (pattern == OWN - 1)
        rv_pattern_random(&t->pattern, seed);
    else
        rv_pattern_built_in(&t->pattern, names[pattern]);
    t->p.side = t->pattern.side;
    return RV_OK;
}

static void place(painter *t, int cell)
{
    for (int64_t i = 0; i < t->p.n; i++)
        t->w[i] = (float)rv_pattern_plane_at(&t->p, cell, i);
}

/* One step's gradient: `cells` bright cells go down, as many dark ones up, all on one mini-batch. */
static rv_status accumulate(painter *t, const params *o, uint64_t seed, int64_t step, rv_error *err)
{
    rv_batch batch = {.seed = seed, .step = (uint64_t)step, .parts = 1};
    rv_pattern_plane_derive(&t->p);
    for (int k = 0; k < 2 * o->cells; k++) {
        double loss;
        bool bright = k % 2;
        uint64_t pick = rv_random_below((rv_random){seed, RV_RANDOM_ORDER, (uint64_t)step}, (uint64_t)k, (uint64_t)t->pattern.count[bright]);
        int cell = t->pattern.list[bright][pick];
        place(t, cell);
        RV_TRY(rv_objective_value_grad(t->o, t->w, batch, t->g, &loss, err));
        if (!bright && loss >= o->clip)
            continue; /* no gradient beyond the clip */
        for (int64_t i = 0; i < t->p.n; i++)
            t->wide[i] = t->g[i];
        rv_pattern_plane_add(&t->p, cell, (bright ? 1.0 : -1.0) / (double)o->cells, t->wide);
    }
    rv_pattern_plane_finish(&t->p);
    return RV_OK;
}

/* Between the plane's doubles and the optimizer's floats. */
static void exchange(painter *t, bool to_optimizer)
{
    int64_t n = 3 * t->p.n;
    for (int64_t i = 0; i < n; i++) {
        if (to_optimizer)
            t->gradient[i] = (float)t->p.g_origin[i]; /* the three gradients follow each other, as the parameters do */
        else
            t->p.origin[i] = t->flat[i];
    }
    if (to_optimizer)
        t->gradient[n] = (float)t->p.g_scale;
    else
        t->p.scale = t->flat[n];
}

static rv_status start(painter *t, uint64_t seed, rv_error *err)
{
    int64_t n = t->p.n;
    for (int k = 0; k < 3; k++)
        RV_TRY(rv_objective_init(t->o, 3 * seed + (uint64_t)k, t->flat + k * n, err));
    t->flat[3 * n] = 0.1f;
    exchange(t, false);
    rv_pattern_plane_derive(&t->p);
    return RV_OK;
}

static rv_status paint(rv_study_run *run, painter *t, const params *o, uint64_t seed, rv_error *err)
{
    int64_t n = t->p.n;
    char text[64];
    snprintf(text, sizeof text, "lr=%.17g,weight_decay=0", o->lr);
    rv_tensor tensors[] = {{.name = "origin", .role = RV_ROLE_POINT, .shape = RV_SHAPE(n)}, {.name = "right", .role = RV_ROLE_POINT, .shape = RV_SHAPE(n)},
                           {.name = "up", .role = RV_ROLE_POINT, .shape = RV_SHAPE(n)}, {.name = "scale", .role = RV_ROLE_POINT, .shape = RV_SHAPE(1)}};
    void *w[] = {t->flat, t->flat + n, t->flat + 2 * n, t->flat + 3 * n};
    const void *g[] = {t->gradient, t->gradient + n, t->gradient + 2 * n, t->gradient + 3 * n};
    rv_optimizer_options options = {.method = "adamw", .params = text, .dtype = RV_F32};
    rv_optimizer *adam;
    RV_TRY(rv_optimizer_new(&adam, &options, tensors, 4, (const void *const *)w, err));
    rv_status status = RV_OK;
    for (int64_t step = 0; step < o->steps && status == RV_OK; step++) {
        status = accumulate(t, o, seed, step, err);
        if (status == RV_OK) {
            exchange(t, true);
            status = rv_optimizer_step(adam, w, g, err);
            exchange(t, false);
        }
        if (status == RV_OK && step % 50 == 0 && run->options->stop && *run->options->stop)
            status = RV_E_INTERRUPTED;
    }
    rv_pattern_plane_derive(&t->p);
    rv_optimizer_free(adam);
    return status;
}

/* ---- looking at it ------------------------------------------------------------------------------------- */

typedef struct view {
    double loss[RV_PATTERN_CELLS], accuracy[RV_PATTERN_CELLS];
} view;

static rv_status look(painter *t, rv_split split, view *v, rv_error *err)
{
    for (int k = 0; k < t->pattern.cells; k++) {
        rv_metrics metrics;
        place(t, k);
        RV_TRY(rv_objective_evaluate(t->o, t->w, split, &metrics, err));
        v->loss[k] = rv_metrics_get(&metrics, "loss");
        v->accuracy[k] = rv_metrics_get(&metrics, "accuracy");
    }
    return RV_OK;
}

static void draw(rv_study_run *run, const rv_pattern *p, const char *name, const char *title, const double *loss)
{
    double axis[RV_PATTERN_SIDE], z[RV_PATTERN_CELLS];
    const int side = p->side;
    for (int i = 0; i < side; i++)
        axis[i] = i;
    for (int k = 0; k < p->cells; k++) /* the first row of the picture on top */
        z[(side - 1 - k / side) * side + k % side] = loss[k];
    rv_figure *figure = rv_study_figure(run, name, title, "Every cell is a network; its shade is its loss over all images.", (rv_axis){.label = "right"},
                                        (rv_axis){.label = "up"});
    rv_figure_field(figure, "loss", true, side, axis, side, axis, z);
    rv_figure_half(figure);
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

static rv_status one_picture(rv_study_run *run, painter *t, const params *o, int pattern, int seed, rv_error *err)
{
    view train, test;
    const rv_pattern *p = &t->pattern;
    RV_TRY(choose_pattern(t, o, pattern, (uint64_t)seed, err));
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
static rv_status all_pictures(rv_study_run *run, painter *t, const params *o, rv_error *err)
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

static rv_status prepare(rv_study_run *run, const params *o, painter *t, rv_error *err)
{
    rv_digits spec = {.images = (int)o->images, .evaluate = 500, .batch = 128, .width = (int)o->width, .depth = 1, .act = RV_ACT_RELU, .bias = true, .gain = sqrt(2)};
    RV_TRY(rv_digits_new(run, &spec, RV_BACKEND_CPU, &t->o, err));
    RV_TRY(rv_pattern_plane_init(&t->p, t->o->layout->size, err));
    size_t n = (size_t)t->p.n;
    t->w = rv_study_vector(t->o, err);
    t->g = rv_study_vector(t->o, err);
    t->wide = calloc(n, sizeof *t->wide);
    t->flat = calloc(3 * n + 1, sizeof *t->flat);
    t->gradient = calloc(3 * n + 1, sizeof *t->gradient);
    return t->w && t->g && t->wide && t->flat && t->gradient ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for a plane");
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    painter t = {0};
    rv_status status = prepare(run, values, &t, err);
    if (status == RV_OK)
        status = all_pictures(run, &t, values, err);
    rv_objective_free(t.o);
    free(t.p.memory);
    free(t.w);
    free(t.g);
    free(t.wide);
    free(t.flat);
    free(t.gradient);
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
