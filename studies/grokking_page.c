/* The figures of the grokking study: curves over a logarithmic axis of steps, one line for every seed. */
#include <math.h>
#include <stdlib.h>

#include "studies/grokking.h"

static const double CLOSE = 1.01; /* points that are nearer than this factor look the same on a logarithmic axis */

/* One measure of one run as a line, thinned for the axis; at most up to a step. */
static void draw_line(rv_figure *figure, const char *name, const rv_study_trial *r, rv_measure what, double up_to)
{
    double *x = malloc(2 * ((size_t)r->count + 1) * sizeof *x), *y = x ? x + r->count : NULL, last = 0;
    const double *value = rv_modular_curve(r, what);
    int n = 0;
    for (int i = 0; x && i < r->count && r->step[i] <= up_to; i++)
        if (r->step[i] >= last * CLOSE || i == r->count - 1) {
            x[n] = last = r->step[i];
            y[n++] = value[i];
        }
    if (x)
        rv_figure_series(figure, name, RV_SERIES_LINE, n, x, y);
    free(x);
}

/* The same measure of all seeds, in one colour. */
static void draw_seeds(rv_figure *figure, const char *name, const rv_grok *g, rv_grok_kind kind, rv_measure what, double up_to)
{
    for (int s = 0; s < g->seeds; s++)
        draw_line(figure, name, rv_grok_run(g, kind, s), what, up_to);
}

static const rv_axis steps = {.label = "step", .log = true, .low = 1, .high = 10000};
static const rv_axis accuracy = {.label = "accuracy", .low = -0.02, .high = 1.02};

typedef struct picture {
    rv_grok_kind kind;
    const char *name, *title, *caption;
} picture;

static const picture pictures[] = {
    {RV_GROK_DECAY, "decay", "Transformer, decay 1", "First the training half, and later, within a few hundred steps, the other one."},
    {RV_GROK_NONE, "none", "Transformer, no decay", "The same network without decay: memorised as fast, and nothing more."},
    {RV_GROK_MUON, "muon", "Transformer, Muon", "Muon on the matrices, AdamW with decay 1 on the rest."},
    {RV_GROK_FAST, "grokfast", "Transformer, Grokfast, no decay", "The slow part of the gradient is added twice more; without decay that is not enough here."},
    {RV_GROK_FLAT, "perceptron", "Perceptron, no decay", "Softmax in float32: every training row is right but for single spikes (slingshots), and no other ever."},
    {RV_GROK_FLAT_DECAY, "perceptron_decay", "Perceptron, decay 2", "Decay again ends the wait."},
    {RV_GROK_ORTHO, "perceptron_orthogonal", "Perceptron, orthogonal gradient", "No decay, but no gradient along the weights either: the delay is gone."},
    {RV_GROK_STABLE_FLAT, "softmax", "Perceptron, softmax", "A smaller table, 70 % of it shown, no decay: softmax."},
    {RV_GROK_STABLE, "stablemax", "Perceptron, StableMax", "The same with StableMax: nothing collapses, and what is learnt goes on."},
};

static void draw_accuracies(rv_study_run *run, const rv_grok *g)
{
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) {
        const picture *p = &pictures[i];
        double up_to = p->kind == RV_GROK_NONE ? (double)g->pause : HUGE_VAL;
        rv_figure *figure = rv_study_figure(run, p->name, p->title, p->caption, steps, accuracy);
        draw_seeds(figure, "training", g, p->kind, RV_TRAIN_ACCURACY, up_to);
        draw_seeds(figure, "validation", g, p->kind, RV_VALIDATION_ACCURACY, up_to);
        rv_figure_half(figure);
    }
}

static void draw_norms(rv_study_run *run, const rv_grok *g)
{
    const rv_axis norm = {.label = "norm of all weights", .log = true};
    rv_figure *figure = rv_study_figure(run, "norms", "Norm of the weights, transformer",
                                        "Decay takes away what memorising no longer needs; without it the norm can only grow.", steps, norm);
    draw_seeds(figure, "decay 1", g, RV_GROK_DECAY, RV_WEIGHT_NORM, HUGE_VAL);
    draw_seeds(figure, "no decay", g, RV_GROK_NONE, RV_WEIGHT_NORM, (double)g->pause);
    draw_seeds(figure, "Muon", g, RV_GROK_MUON, RV_WEIGHT_NORM, HUGE_VAL);
    draw_seeds(figure, "Grokfast", g, RV_GROK_FAST, RV_WEIGHT_NORM, HUGE_VAL);
    rv_figure_half(figure);
    figure = rv_study_figure(run, "perceptron_norms", "Norm of the weights, perceptron",
                                        "Without decay the weights grow along themselves, which changes no answer.", steps, norm);
    draw_seeds(figure, "no decay", g, RV_GROK_FLAT, RV_WEIGHT_NORM, HUGE_VAL);
    draw_seeds(figure, "decay 2", g, RV_GROK_FLAT_DECAY, RV_WEIGHT_NORM, HUGE_VAL);
    draw_seeds(figure, "orthogonal gradient", g, RV_GROK_ORTHO, RV_WEIGHT_NORM, HUGE_VAL);
    rv_figure_half(figure);
}

static void draw_groups(rv_study_run *run, const rv_grok *g)
{
    static const picture tables[] = {
        {RV_GROK_DECAY, "division_groups", "Frequencies of the embedding: transformer, a / b", "The first operand's rows, by their discrete logarithm and as they are."},
        {RV_GROK_ORTHO, "addition_groups", "Frequencies of the embedding: perceptron, a + b", "An adding network uses few frequencies of the additive group."},
        {RV_GROK_MULTIPLY, "product_groups", "Frequencies of the embedding: perceptron, a b", "A multiplying one uses few of the multiplicative group: the basis follows the operation."},
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        rv_figure *figure = rv_study_figure(run, tables[i].name, tables[i].title, tables[i].caption, steps,
                                            (rv_axis){.label = "concentration (Gini)", .low = 0, .high = 1});
        draw_seeds(figure, "additive group", g, tables[i].kind, RV_ADDITIVE, HUGE_VAL);
        draw_seeds(figure, "multiplicative group", g, tables[i].kind, RV_MULTIPLICATIVE, HUGE_VAL);
        rv_figure_half(figure);
    }
}

static void draw_tables(rv_study_run *run, const rv_grok *g)
{
    static const struct {
        rv_grok_kind kind;
        const char *name;
    } operations[] = {{RV_GROK_ORTHO, "a + b"}, {RV_GROK_SUBTRACT, "a - b"}, {RV_GROK_MULTIPLY, "a b"}, {RV_GROK_DIVIDE, "a / b"},
                      {RV_GROK_SQUARES, "a^2 + b^2"}, {RV_GROK_CUBIC, "a^3 + a b^2 + b"}};
    static const rv_grok_kind shares[] = {RV_GROK_LESS, RV_GROK_ORTHO, RV_GROK_MORE, RV_GROK_MOST};
    static const double share[] = {0.3, 0.4, 0.5, 0.7};
    rv_figure *figure = rv_study_figure(run, "operations", "Other operations", "Validation accuracy of the perceptron with orthogonal gradients, 40 % of each table.",
                                        steps, accuracy);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        draw_seeds(figure, operations[i].name, g, operations[i].kind, RV_VALIDATION_ACCURACY, HUGE_VAL);
    rv_figure_half(figure);
    figure = rv_study_figure(run, "shares", "Less of the table, a longer wait", "Steps to memorise and to understand a + b, orthogonal gradient. A missing point: not in 600 steps.",
                             (rv_axis){.label = "share of the table that is shown", .low = 0.25, .high = 0.75}, (rv_axis){.label = "steps to 99 %", .log = true});
    for (int s = 0; s < g->seeds; s++) {
        double y[2][4];
        for (int i = 0; i < 4; i++) {
            y[0][i] = rv_grok_memorised(rv_grok_run(g, shares[i], s));
            y[1][i] = rv_grok_grokked(rv_grok_run(g, shares[i], s));
        }
        rv_figure_series(figure, "training", RV_SERIES_BOTH, 4, share, y[0]);
        rv_figure_series(figure, "validation", RV_SERIES_BOTH, 4, share, y[1]);
    }
    rv_figure_half(figure);
}

/* The slide's own picture, as far as its run has come. */
static void draw_long(rv_study_run *run, const rv_grok *g)
{
    const rv_study_trial *r = rv_grok_run(g, RV_GROK_NONE, 0);
    rv_figure *figure = rv_study_figure(run, "long_run", "The slide's picture: no decay, so far", "The run of seed 0, which --set long_run=true goes on with: accuracy over all steps made.",
                                        (rv_axis){.label = "step", .log = true, .low = 1, .high = 1000000}, accuracy);
    draw_line(figure, "training", r, RV_TRAIN_ACCURACY, HUGE_VAL);
    draw_line(figure, "validation", r, RV_VALIDATION_ACCURACY, HUGE_VAL);
}

void rv_grok_draw(rv_study_run *run, const rv_grok *g)
{
    draw_accuracies(run, g);
    draw_norms(run, g);
    draw_groups(run, g);
    draw_tables(run, g);
    draw_long(run, g);
}
