/* Any picture is a loss surface: a plane of networks is trained so that the loss over it draws a
 * given pattern, by descent on all its cells at once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ravine/probe.h"
#include "studies/digits.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                \
    INT(steps, 6000, 10, 1000000, 0, "of Adam on the plane")                                 \
    REAL(lr, 0.003, 0, 1, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of Adam")                        \
    INT(cells, 8, 1, 50, 0, "bright and as many dark cells of a step")                       \
    INT(width, 64, 4, 1024, 0, "of the hidden layer of every network")                       \
    INT(images, 2000, 100, 50000, 0, "digits to train on")                                   \
    REAL(clip, 2.5, 0, 100, RV_PARAM_OPEN_LO, "dark cells are not pushed beyond this loss")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "loss-patterns", params, PARAMS);

enum { SIDE = 10, CELLS = SIDE * SIDE, PATTERNS = 3 };
/* '#': low loss.  The third pattern is drawn by the seed. */
static const char *const pictures[PATTERNS] = {
    ".........."
    "..##..##.."
    ".########."
    ".########."
    ".########."
    "..######.."
    "...####..."
    "....##...."
    ".........."
    "..........",
    "..######.."
    ".#......#."
    "#..#..#..#"
    "#..#..#..#"
    "#........#"
    "#.#....#.#"
    "#..####..#"
    ".#......#."
    "..######.."
    "..........",
    NULL};
static const char *const names[PATTERNS] = {"heart", "smiley", "noise"};

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

/* ---- the plane: point(i, j) = origin + scale ((i - n/2) up + (j - n/2) right) ------------------- */

/* right = right_param - origin; up = up_param without its part along right, as long as right. */
typedef struct plane {
    int64_t n;                         /* of one network's vector */
    double *origin, *right, *up;       /* parameters [n] */
    double scale;
    double *r, *u;                     /* derived [n] */
    double *g_origin, *g_right, *g_up; /* gradients [n]; while cells are added: of origin, r and u */
    double g_scale;
    double *memory;
} plane;

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static rv_status reserve(plane *p, int64_t n, rv_error *err)
{
    *p = (plane){.n = n, .memory = calloc(8 * (size_t)n, sizeof(double))};
    if (!p->memory)
        return rv_fail(err, RV_E_MEMORY, "no memory for a plane of %lld numbers", (long long)n);
    double **parts[] = {&p->origin, &p->right, &p->up, &p->r, &p->u, &p->g_origin, &p->g_right, &p->g_up};
    for (size_t k = 0; k < 8; k++)
        *parts[k] = p->memory + k * (size_t)n;
    return RV_OK;
}

static void derive(plane *p)
{
    for (int64_t i = 0; i < p->n; i++)
        p->r[i] = p->right[i] - p->origin[i];
    double rr = dot(p->r, p->r, p->n), c = dot(p->up, p->r, p->n) / rr;
    for (int64_t i = 0; i < p->n; i++)
        p->u[i] = p->up[i] - c * p->r[i];
    double factor = sqrt(rr / dot(p->u, p->u, p->n));
    for (int64_t i = 0; i < p->n; i++) {
        p->u[i] *= factor;
        p->g_origin[i] = p->g_right[i] = p->g_up[i] = 0;
    }
    p->g_scale = 0;
}

static void offsets(int cell, double *a, double *b)
{
    *a = cell / SIDE - (SIDE - 1) / 2.0;
    *b = cell % SIDE - (SIDE - 1) / 2.0;
}

static double coordinate(const plane *p, int cell, int64_t i)
{
    double a, b;
    offsets(cell, &a, &b);
    return p->origin[i] + p->scale * (a * p->u[i] + b * p->r[i]);
}

/* Adds weight times g, the gradient at the cell's network. */
static void add_cell(plane *p, int cell, double weight, const double *g)
{
    double a, b;
    offsets(cell, &a, &b);
    for (int64_t i = 0; i < p->n; i++) {
        double value = weight * g[i];
        p->g_origin[i] += value;
        p->g_up[i] += p->scale * a * value;
        p->g_right[i] += p->scale * b * value;
        p->g_scale += value * (a * p->u[i] + b * p->r[i]);
    }
}

/* From gradients of (origin, u, r) to those of the parameters, back through the projection:
 * u = |r| v / |v|, v = up - c r, c = <up, r> / <r, r>. */
static void finish_gradient(plane *p)
{
    int64_t n = p->n;
    double rr = dot(p->r, p->r, n), c = dot(p->up, p->r, n) / rr, length = sqrt(rr);
    double along = dot(p->u, p->g_up, n) / length; /* <u / |u|, g_u>; |u| = |r| */
    double vv = dot(p->up, p->up, n) - c * c * rr, shrink = length / sqrt(vv);
    for (int64_t i = 0; i < n; i++) {
        p->g_right[i] += along * p->r[i] / length;
        p->g_up[i] = shrink * (p->g_up[i] - along * p->u[i] / length); /* now of v */
    }
    double rv = dot(p->r, p->g_up, n);
    for (int64_t i = 0; i < n; i++) {
        p->g_right[i] -= c * p->g_up[i] + rv * (p->up[i] - 2 * c * p->r[i]) / rr;
        p->g_up[i] -= rv / rr * p->r[i];
        p->g_origin[i] -= p->g_right[i];
    }
}

/* Linear losses <g_k, point_k> over three cells: their gradient by differences in every kind of parameter. */
static double gradient_error(rv_error *err)
{
    enum { N = 7, K = 3 };
    static const int at[K] = {3, 48, 91};
    plane p;
    double g[K][N], worst = 0;
    if (reserve(&p, N, err) != RV_OK)
        return NAN;
    for (int i = 0; i < 3 * N; i++)
        p.memory[i] = rv_random_normal((rv_random){1, RV_RANDOM_PROBE, 0}, (uint64_t)i);
    for (int i = 0; i < K * N; i++)
        g[i / N][i % N] = rv_random_normal((rv_random){1, RV_RANDOM_PROBE, 1}, (uint64_t)i);
    p.scale = 0.3;
    derive(&p);
    for (int k = 0; k < K; k++)
        add_cell(&p, at[k], 1, g[k]);
    finish_gradient(&p);
    double exact[3 * N];
    memcpy(exact, p.g_origin, sizeof exact);
    for (int i = 0; i < 3 * N; i++) {
        double side[2] = {0}, keep = p.memory[i];
        for (int s = 0; s < 2; s++) {
            p.memory[i] = keep + (s ? 1e-6 : -1e-6);
            derive(&p);
            for (int k = 0; k < K * N; k++)
                side[s] += g[k / N][k % N] * coordinate(&p, at[k / N], k % N);
        }
        p.memory[i] = keep;
        worst = fmax(worst, fabs((side[1] - side[0]) / 2e-6 - exact[i]) / (1 + fabs(exact[i])));
    }
    free(p.memory);
    return worst;
}

/* ---- training a plane ----------------------------------------------------------------------------- */

typedef struct painter {
    rv_objective *o;
    bool bright[CELLS];
    int list[2][CELLS], count[2]; /* dark, bright cells */
    plane p;
    float *w, *g;   /* one network */
    double *wide;   /* its gradient in double */
    float *flat, *gradient; /* origin, right, up, scale: [3 n + 1] as the optimizer sees them */
} painter;

static void choose_pattern(painter *t, int pattern, uint64_t seed)
{
    t->count[0] = t->count[1] = 0;
    for (int k = 0; k < CELLS; k++) {
        const char *picture = pictures[pattern];
        t->bright[k] = picture ? picture[k] == '#' : rv_random_uniform((rv_random){seed, RV_RANDOM_DATA, 0}, (uint64_t)k) < 0.4;
        t->list[t->bright[k]][t->count[t->bright[k]]++] = k;
    }
}

static void place(painter *t, int cell)
{
    for (int64_t i = 0; i < t->p.n; i++)
        t->w[i] = (float)coordinate(&t->p, cell, i);
}

/* One step's gradient: `cells` bright cells go down, as many dark ones up, all on one mini-batch. */
static rv_status accumulate(painter *t, const params *o, uint64_t seed, int64_t step, rv_error *err)
{
    rv_batch batch = {.seed = seed, .step = (uint64_t)step, .parts = 1};
    derive(&t->p);
    for (int k = 0; k < 2 * o->cells; k++) {
        double loss;
        bool bright = k % 2;
        uint64_t pick = rv_random_below((rv_random){seed, RV_RANDOM_ORDER, (uint64_t)step}, (uint64_t)k, (uint64_t)t->count[bright]);
        int cell = t->list[bright][pick];
        place(t, cell);
        RV_TRY(rv_objective_value_grad(t->o, t->w, batch, t->g, &loss, err));
        if (!bright && loss >= o->clip)
            continue; /* no gradient beyond the clip */
        for (int64_t i = 0; i < t->p.n; i++)
            t->wide[i] = t->g[i];
        add_cell(&t->p, cell, (bright ? 1.0 : -1.0) / (double)o->cells, t->wide);
    }
    finish_gradient(&t->p);
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
    derive(&t->p);
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
    derive(&t->p);
    rv_optimizer_free(adam);
    return status;
}

/* ---- looking at it ------------------------------------------------------------------------------------- */

typedef struct view {
    double loss[CELLS], accuracy[CELLS];
} view;

static rv_status look(painter *t, rv_split split, view *v, rv_error *err)
{
    for (int k = 0; k < CELLS; k++) {
        rv_metrics metrics;
        place(t, k);
        RV_TRY(rv_objective_evaluate(t->o, t->w, split, &metrics, err));
        v->loss[k] = rv_metrics_get(&metrics, "loss");
        v->accuracy[k] = rv_metrics_get(&metrics, "accuracy");
    }
    return RV_OK;
}

/* Share of cells on their side of the best threshold: bright below, dark above. */
static double agreement(const painter *t, const double *loss)
{
    int best = 0;
    for (int k = -1; k < CELLS; k++) {
        double threshold = k < 0 ? -HUGE_VAL : loss[k];
        int right = 0;
        for (int i = 0; i < CELLS; i++)
            right += t->bright[i] == (loss[i] <= threshold);
        best = right > best ? right : best;
    }
    return (double)best / CELLS;
}

static double mean_over(const painter *t, const double *values, bool bright)
{
    double sum = 0;
    for (int k = 0; k < CELLS; k++)
        sum += t->bright[k] == bright ? values[k] / t->count[bright] : 0;
    return sum;
}

static void draw(rv_study_run *run, const char *name, const char *title, const double *loss)
{
    double axis[SIDE], z[CELLS];
    for (int i = 0; i < SIDE; i++)
        axis[i] = i;
    for (int k = 0; k < CELLS; k++) /* the first row of the picture on top */
        z[(SIDE - 1 - k / SIDE) * SIDE + k % SIDE] = loss[k];
    rv_figure *figure = rv_study_figure(run, name, title, "Every cell is a network; its shade is its loss over all images.", (rv_axis){.label = "right"},
                                        (rv_axis){.label = "up"});
    rv_figure_field(figure, "loss", true, SIDE, axis, SIDE, axis, z);
    rv_figure_half(figure);
}

static rv_status one_picture(rv_study_run *run, painter *t, const params *o, int pattern, int seed, rv_error *err)
{
    char name[48], title[96];
    view train, test;
    choose_pattern(t, pattern, (uint64_t)seed);
    RV_TRY(start(t, (uint64_t)seed, err));
    if (pattern == 0) {
        RV_TRY(look(t, RV_SPLIT_TRAIN, &train, err));
        rv_study_measure(run, "before", agreement(t, train.loss));
    }
    RV_TRY(paint(run, t, o, (uint64_t)seed, err));
    RV_TRY(look(t, RV_SPLIT_TRAIN, &train, err));
    RV_TRY(look(t, RV_SPLIT_TEST, &test, err));
    rv_study_measure(run, names[pattern], agreement(t, train.loss));
    if (pattern == 0) {
        rv_study_measure(run, "test", agreement(t, test.loss));
        rv_study_measure(run, "bright", mean_over(t, train.accuracy, true));
        rv_study_measure(run, "dark", mean_over(t, train.accuracy, false));
    }
    if (seed == 0) {
        snprintf(title, sizeof title, "The %s: training loss", names[pattern]);
        draw(run, names[pattern], title, train.loss);
        snprintf(name, sizeof name, "%s-test", names[pattern]);
        snprintf(title, sizeof title, "The %s: test loss", names[pattern]);
        draw(run, name, title, test.loss);
        rv_study_note(run, "%s, seed 0: accuracy of bright cells %.0f %% on training, %.0f %% on test images; of dark cells %.0f %% and %.0f %%.", names[pattern],
                      100 * mean_over(t, train.accuracy, true), 100 * mean_over(t, test.accuracy, true), 100 * mean_over(t, train.accuracy, false),
                      100 * mean_over(t, test.accuracy, false));
    }
    return RV_OK;
}

static rv_status all_pictures(rv_study_run *run, painter *t, const params *o, rv_error *err)
{
    rv_study_reason(run, "noise", "Unrelated neighbours ask for the steepest changes of the loss from cell to cell; with these networks and steps about a tenth of the "
                    "random cells stay on the wrong side, where heart and smiley come out whole.");
    for (int s = 0; s < run->seeds; s++)
        for (int k = 0; k < PATTERNS; k++) {
            RV_TRY(rv_study_progress(run, (double)(s * PATTERNS + k) / (run->seeds * PATTERNS), "seed %d, %s", s, names[k]));
            RV_TRY(one_picture(run, t, o, k, s, err));
        }
    rv_study_measure(run, "gradient", gradient_error(err));
    return RV_OK;
}

static rv_status prepare(rv_study_run *run, const params *o, painter *t, rv_error *err)
{
    rv_digits spec = {.images = (int)o->images, .evaluate = 500, .batch = 128, .width = (int)o->width, .depth = 1, .act = RV_ACT_RELU, .bias = true, .gain = sqrt(2)};
    RV_TRY(rv_digits_new(run, &spec, RV_BACKEND_CPU, &t->o, err));
    RV_TRY(reserve(&t->p, t->o->layout->size, err));
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
