/* The loss along random lines, before and after training, with and without dropout. */
#include <math.h>
#include <stdlib.h>

#include "ravine/probe.h"
#include "studies/fashion.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                       \
    RV_FASHION_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                \
    INT(directions, 5, 1, 100, 0, "random lines through every point")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "loss-line", params, PARAMS);

static const rv_claim claims[] = {
    {"start_slope", "The start lies on a slope: the line falls beyond it", "share of lines whose minimum is not within 0.02 of the start",
     "slide; NN_Surface_Visualization.ipynb", 0.8, 1, RV_CLAIM_EVERY, true},
    {"start_bent", "and the lines through it are not convex", "share of lines with a negative second difference", "slide; NN_Surface_Visualization.ipynb",
     0.8, 1, RV_CLAIM_EVERY, true},
    {"end_bowl", "After training the point lies in a bowl", "largest |alpha| of the minima of the lines", "slide; NN_Surface_Visualization.ipynb", 0, 0.15, RV_CLAIM_EVERY, true},
    {"end_convex", "which is convex along every line", "share of lines with a negative second difference, |alpha| up to 0.2", "slide: a smooth bowl", 0, 0, RV_CLAIM_EVERY, true},
    {"test_above", "The test loss lies above the training loss everywhere", "smallest test - training loss along the lines, after training", "slide; NN_Surface_Visualization.ipynb",
     0, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"same_loss", "Dropout 0.2 before one layer changes little", "test loss with dropout / without", "the notebook's printed values: 0.357 / 0.360", 0.9, 1.1, RV_CLAIM_MEAN, true},
    {"dropout_width", "It does not flatten the surface", "width of the bowl at +10 % with dropout / without", "control: the figure shows a slightly steeper slice",
     -HUGE_VAL, 1.1, RV_CLAIM_MEAN, true},
    {"dropout_rise", "nor when the rise is the same in both", "width of the bowl at a rise of 0.03 with dropout / without", "control: 10 % of a larger loss is a larger rise",
     -HUGE_VAL, 1.1, RV_CLAIM_MEAN, true},
    {"gap", "It makes the gap between test and training smaller", "test - training loss with dropout / without", "the figure: 0.008 against 0.023", -HUGE_VAL, 1, RV_CLAIM_MEAN, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

enum { N = 31, MOST_DIRECTIONS = 100 };
static const double REACH = 0.3;

static void places(double *x)
{
    for (int i = 0; i < N; i++)
        x[i] = REACH * (2.0 * i / (N - 1) - 1);
}

/* The lines through one point: f [directions][N] on the training and on the test images. */
typedef struct lines {
    double train[MOST_DIRECTIONS][N], test[MOST_DIRECTIONS][N];
} lines;

static rv_status measure_lines(rv_objective *o, const float *w, int directions, uint64_t seed, lines *out, rv_error *err)
{
    double x[N], *d = malloc((size_t)o->layout->size * sizeof *d);
    rv_status status = d ? RV_OK : rv_fail(err, RV_E_MEMORY, "no memory for a direction");
    places(x);
    for (int k = 0; k < directions && status == RV_OK; k++) {
        rv_direction_draw(o, w, RV_DIRECTION_TENSOR, seed, (uint64_t)k, d);
        status = rv_probe_slice(o, w, d, N, x, NULL, 1, NULL, RV_SPLIT_TRAIN, "loss", out->train[k], err);
        if (status == RV_OK)
            status = rv_probe_slice(o, w, d, N, x, NULL, 1, NULL, RV_SPLIT_TEST, "loss", out->test[k], err);
    }
    free(d);
    return status;
}

/* The deepest bend within reach over the mean curvature there; 0: there is none. */
static double depth(const double *x, const double *f, double reach)
{
    double mean = 0, least = 0;
    int count = 0;
    for (int i = 1; i < N - 1; i++)
        if (fabs(x[i]) < reach) {
            double second = f[i - 1] + f[i + 1] - 2 * f[i];
            mean += second;
            least = fmin(least, second);
            count++;
        }
    return -least * count / fabs(mean);
}

/* ---- the study ------------------------------------------------------------------------------ */

typedef struct outcome {
    double width, rise;        /* of the training bowl at +10 % and at +0.03, mean over directions */
    double deepest;            /* bend within 0.2 of the end, over the mean curvature of its line there */
    double train, test;
} outcome;

static void judge(rv_study_run *run, const lines *start, const lines *end, int directions, outcome *out)
{
    double x[N], slope = 0, bent = 0, far = 0, curved = 0, gap = HUGE_VAL;
    places(x);
    out->width = out->rise = out->deepest = 0;
    for (int k = 0; k < directions; k++) {
        slope += (fabs(rv_line_minimum(N, x, start->train[k])) > 0.021) / (double)directions;
        bent += rv_line_bends_down(N, x, start->train[k], 1) / (double)directions;
        far = fmax(far, fabs(rv_line_minimum(N, x, end->train[k])));
        curved += rv_line_bends_down(N, x, end->train[k], 0.2) / (double)directions;
        out->deepest = fmax(out->deepest, depth(x, end->train[k], 0.2));
        out->width += rv_line_width(N, x, end->train[k], 1.1 * end->train[k][N / 2]) / directions;
        out->rise += rv_line_width(N, x, end->train[k], end->train[k][N / 2] + 0.03) / directions;
        for (int i = 0; i < N; i++)
            gap = fmin(gap, end->test[k][i] - end->train[k][i]);
    }
    if (!run)
        return;
    rv_study_measure(run, "start_slope", slope);
    rv_study_measure(run, "start_bent", bent);
    rv_study_reason(run, "start_bent", "Lines differ: some directions lead over a slope that is bent upwards all along. One bent line already proves that the loss is not convex.");
    rv_study_measure(run, "end_bowl", far);
    rv_study_measure(run, "end_convex", curved);
    rv_study_reason(run, "end_convex", "A bowl to the eye need not be convex: where a line bends down it does so shallowly, by at most %.2g of its mean curvature.", out->deepest);
    rv_study_measure(run, "test_above", gap);
}

static void draw(rv_study_run *run, const char *name, const char *title, const lines *all, int directions)
{
    double x[N];
    places(x);
    rv_figure *figure = rv_study_figure(run, name, title, "Random directions, every tensor scaled to the norm of its weights; seed 0.",
                                        (rv_axis){.label = "α"}, (rv_axis){.label = "loss"});
    for (int k = 0; k < directions; k++) {
        rv_figure_series(figure, "training", RV_SERIES_LINE, N, x, all->train[k]);
        rv_figure_series(figure, "test", RV_SERIES_LINE, N, x, all->test[k]);
    }
    rv_figure_mark(figure, 'x', 0, "");
    rv_figure_half(figure);
}

static rv_status one_net(rv_study_run *run, const params *o, double dropout, uint64_t seed, lines *start, lines *end, outcome *out, rv_error *err)
{
    rv_fashion net;
    rv_fashion_params training = {o->steps, o->batch, o->lr, o->images, o->evaluate};
    rv_status status = rv_fashion_train(run, &training, dropout, seed, &net, err);
    if (status == RV_OK && dropout == 0) /* the start of both: lines are measured without dropout */
        status = measure_lines(net.objective, net.start, (int)o->directions, seed, start, err);
    if (status == RV_OK)
        status = measure_lines(net.objective, net.end, (int)o->directions, seed, end, err);
    out->train = net.train;
    out->test = net.test;
    if (status == RV_OK)
        rv_study_note(run, "Seed %d, dropout %g: training loss %.3f, test loss %.3f, test accuracy %.1f %%.", (int)seed, dropout, net.train, net.test, 100 * net.accuracy);
    rv_fashion_release(&net);
    return status;
}

static rv_status all_nets(rv_study_run *run, const params *o, lines *start, lines *end, rv_error *err)
{
    for (int s = 0; s < run->seeds; s++) {
        outcome out[2];
        for (int d = 0; d < 2; d++) {
            RV_TRY(rv_study_progress(run, (2.0 * s + d) / (2 * run->seeds), "seed %d, dropout %g", s, d ? 0.2 : 0));
            RV_TRY(one_net(run, o, d ? 0.2 : 0, (uint64_t)s, start, end, &out[d], err));
            judge(d == 0 ? run : NULL, start, end, (int)o->directions, &out[d]);
            if (s == 0 && d == 0)
                draw(run, "start", "Before training", start, (int)o->directions);
            if (s == 0)
                draw(run, d ? "end-dropout" : "end", d ? "After training with dropout 0.2" : "After training", end, (int)o->directions);
        }
        rv_study_measure(run, "same_loss", out[1].test / out[0].test);
        rv_study_measure(run, "dropout_width", out[1].width / out[0].width);
        rv_study_measure(run, "dropout_rise", out[1].rise / out[0].rise);
        rv_study_measure(run, "gap", (out[1].test - out[1].train) / (out[0].test - out[0].train));
    }
    return RV_OK;
}

/* What is known of claims that may fail. */
static void explain(rv_study_run *run)
{
    rv_study_reason(run, "test_above", "Where the gap of a network is small, two samples of images differ by as much by chance.");
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    lines *start = malloc(2 * sizeof *start);
    rv_status status = start ? all_nets(run, values, start, start + 1, err) : rv_fail(err, RV_E_MEMORY, "no memory for lines");
    explain(run);
    free(start);
    return status;
}

const rv_study rv_study_loss_line = {
    .name = "loss-line",
    .title = "The loss along a random line",
    .question = "Before training the network sits on a slope that is not even convex; after training, in a smooth bowl. Does dropout make the "
                "bowl flatter?",
    .method = "The course's convolutional network (105,818 parameters; the notebook has 48 more, biases of the convolutions) on Fashion-MNIST, SGD with momentum 0.9; fewer and larger steps than the course's\n"
              "25 epochs of lr 0.01 and batch 512, which --set steps=2925,batch=512,lr=0.01 gives. Lines of 31 points, alpha in [-0.3, 0.3], five directions\n"
              "per seed, each tensor of a direction scaled to the norm of its weights; evaluation mode on the same 2048 images of each split,\n"
              "four of the course's batches: the gap between the splits is about 0.06, and the noise of its difference over one batch 0.04.\n"
              "Not copied from the notebook: one random key for all tensors, a single direction, a single batch.",
    .source = "MerkulovDaniil/optim, NN_Surface_Visualization.ipynb",
    .cost = "3 min",
    .params = &table,
    .quick = "steps=30,batch=32,images=1000,evaluate=64,directions=2",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
