/* The loss over a random plane, before and after training, and the plane that was a line. */
#include <math.h>
#include <stdlib.h>

#include "ravine/landscape.h"
#include "studies/fashion.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                       \
    RV_FASHION_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                \
    INT(points, 25, 5, 101, 0, "of the grid along each axis; odd")                  \
    REAL(reach, 0.3, 0, 10, RV_PARAM_OPEN_LO, "of the grid to each side")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "loss-plane", params, PARAMS);

static const rv_claim claims[] = {
    {"orthogonal", "Two Gaussian directions are as good as orthogonal", "|cos| x sqrt(parameters); the size of a standard normal", "high dimension", -HUGE_VAL, 4, RV_CLAIM_EVERY, false},
    {"scaled_full", "and so are two scaled to the norms of the tensors", "|cos| of scaled directions x sqrt(parameters)", "high dimension: 1 / sqrt(105,866) = 0.003", -HUGE_VAL, 4,
     RV_CLAIM_EVERY, true},
    {"scaled", "Scaled directions live in far fewer dimensions, and are orthogonal there", "|cos| x sqrt(effective dimension)", "variance of the cosine: sum |w_t|^4 / n_t / (sum |w_t|^2)^2",
     -HUGE_VAL, 4, RV_CLAIM_EVERY, false},
    {"start_slope", "The start is no minimum of its plane", "distance of the plane's minimum from the start", "slide; NN_Surface_Visualization.ipynb", 0.1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"start_saddle", "and the plane is curved downwards in places", "share of grid points with a negative curvature", "slide; NN_Surface_Visualization.ipynb",
     0.2, 1, RV_CLAIM_EVERY, true},
    {"end_bowl", "After training the minimum of the plane is near the point", "distance of the plane's minimum from the end", "slide; NN_Surface_Visualization.ipynb",
     0, 0.15, RV_CLAIM_EVERY, true},
    {"end_convex", "and the plane is convex there", "share of grid points within 0.15 with a negative curvature", "slide: a smooth bowl", 0, 0.02, RV_CLAIM_EVERY, true},
    {"test_above", "The test surface lies above the training surface", "share of the grid where it does, after training", "slide; NN_Surface_Visualization.ipynb",
     0.99, 1, RV_CLAIM_EVERY, true},
    {"same_key", "With one random key for both directions the plane is a line", "largest difference along alpha + beta = const", "control: a fault of the notebook's loop",
     -HUGE_VAL, 1e-5, RV_CLAIM_EVERY, false},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* One plane: f [n, n], x along the first direction. */
typedef struct plane {
    int n;
    double *x, *train, *test, *dx, *dy;
} plane;

static rv_status reserve(plane *p, const rv_objective *o, int n, double reach, rv_error *err)
{
    size_t grid = (size_t)n * (size_t)n, size = (size_t)o->layout->size;
    double *memory = malloc(((size_t)n + 2 * grid + 2 * size) * sizeof *memory);
    if (!memory)
        return rv_fail(err, RV_E_MEMORY, "no memory for a plane of %d x %d", n, n);
    *p = (plane){n, memory, memory + n, memory + n + grid, memory + (size_t)n + 2 * grid, memory + (size_t)n + 2 * grid + size};
    for (int i = 0; i < n; i++)
        p->x[i] = reach * (2.0 * i / (n - 1) - 1);
    return RV_OK;
}

static rv_status fill(rv_objective *o, const float *w, uint64_t seed, bool test, plane *p, rv_error *err)
{
    rv_direction_draw(o, w, RV_DIRECTION_TENSOR, seed, 0, p->dx);
    rv_direction_draw(o, w, RV_DIRECTION_TENSOR, seed, 1, p->dy);
    RV_TRY(rv_probe_slice(o, w, p->dx, p->n, p->x, p->dy, p->n, p->x, RV_SPLIT_TRAIN, "loss", p->train, err));
    return test ? rv_probe_slice(o, w, p->dx, p->n, p->x, p->dy, p->n, p->x, RV_SPLIT_TEST, "loss", p->test, err) : RV_OK;
}

static double minimum_distance(const plane *p)
{
    int best = 0;
    for (int k = 0; k < p->n * p->n; k++)
        best = p->train[k] < p->train[best] ? k : best;
    return hypot(p->x[best % p->n], p->x[best / p->n]);
}

/* Share of inner grid points within reach where the training surface is not convex. */
static rv_status bent_share(const plane *p, double reach, double *share, rv_error *err)
{
    bool *near = malloc((size_t)(p->n * p->n) * sizeof *near);
    if (!near)
        return rv_fail(err, RV_E_MEMORY, "no memory for a plane");
    for (int k = 0; k < p->n * p->n; k++)
        near[k] = hypot(p->x[k % p->n], p->x[k / p->n]) <= reach;
    *share = rv_grid_basin(p->n, p->n, p->train, HUGE_VAL, 2e-6, near).bent_all;
    free(near);
    return RV_OK;
}

/* |cos| of directions 0 and 1 of a kind. */
static double cosine(const rv_objective *o, const float *w, rv_direction kind, uint64_t seed, plane *p)
{
    double ab = 0, aa = 0, bb = 0;
    rv_direction_draw(o, w, kind, seed, 0, p->dx);
    rv_direction_draw(o, w, kind, seed, 1, p->dy);
    for (int64_t i = 0; i < o->layout->size; i++) {
        ab += p->dx[i] * p->dy[i];
        aa += p->dx[i] * p->dx[i];
        bb += p->dy[i] * p->dy[i];
    }
    return fabs(ab) / sqrt(aa * bb);
}

/* The number of dimensions in which two Gaussian vectors would be as orthogonal as two scaled
 * directions: a small tensor with large weights counts for much. */
static double effective_dimension(const rv_objective *o, const float *w)
{
    double norms = 0, squares = 0;
    for (int k = 0; k < o->layout->count; k++) {
        const rv_tensor *t = &o->layout->tensors[k];
        int64_t n = rv_shape_size(&t->shape);
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += (double)w[t->offset + i] * (double)w[t->offset + i];
        norms += sum;
        squares += sum * sum / (double)n;
    }
    return norms * norms / squares;
}

static void judge_directions(rv_study_run *run, const rv_objective *o, const float *w, uint64_t seed, plane *p)
{
    double n = (double)rv_layout_parameters(o->layout), effective = effective_dimension(o, w);
    double scaled = cosine(o, w, RV_DIRECTION_TENSOR, seed, p);
    rv_study_measure(run, "scaled", scaled * sqrt(effective));
    rv_study_measure(run, "scaled_full", scaled * sqrt(n));
    rv_study_reason(run, "scaled_full", "A tensor's share of the norm, not its share of the parameters, weighs its part of the cosine: scaled directions live in %.0f effective dimensions of %.0f.", effective, n);
    rv_study_note(run, "Seed %d: the scaled directions have |cos| = %.4f and live in %.0f effective dimensions of %.0f; 1 / sqrt(n) would be %.4f.",
                  (int)seed, scaled, effective, n, 1 / sqrt(n));
    rv_study_measure(run, "orthogonal", cosine(o, w, RV_DIRECTION_GAUSSIAN, seed, p) * sqrt(n));
}

/* The same direction twice: f depends on alpha + beta alone. */
static rv_status same_key(rv_study_run *run, rv_objective *o, const float *w, plane *p, rv_error *err)
{
    enum { M = 7 };
    double x[M], f[M * M], most = 0;
    for (int i = 0; i < M; i++)
        x[i] = p->x[p->n - 1] * (2.0 * i / (M - 1) - 1);
    RV_TRY(rv_probe_slice(o, w, p->dx, M, x, p->dx, M, x, RV_SPLIT_TRAIN, "loss", f, err));
    for (int j = 0; j + 1 < M; j++)
        for (int i = 1; i < M; i++)
            most = fmax(most, fabs(f[j * M + i] - f[(j + 1) * M + i - 1]));
    rv_study_measure(run, "same_key", most);
    return RV_OK;
}

static void draw(rv_study_run *run, const char *name, const char *title, const plane *p, const double *f)
{
    static const double centre[] = {0};
    rv_figure *figure = rv_study_figure(run, name, title, "Two random directions, every tensor scaled to the norm of its weights; the point is the network.",
                                        (rv_axis){.label = "α"}, (rv_axis){.label = "β"});
    rv_figure_field(figure, "loss", false, p->n, p->x, p->n, p->x, f);
    rv_figure_series(figure, "the network", RV_SERIES_POINTS, 1, centre, centre);
    rv_figure_half(figure);
}

static rv_status one_seed(rv_study_run *run, const rv_fashion *net, plane *p, uint64_t seed, rv_error *err)
{
    double above = 0, bent;
    RV_TRY(fill(net->objective, net->start, seed, seed == 0, p, err));
    RV_TRY(bent_share(p, HUGE_VAL, &bent, err));
    rv_study_measure(run, "start_slope", minimum_distance(p));
    rv_study_measure(run, "start_saddle", bent);
    if (seed == 0) {
        draw(run, "start-train", "Before training: training loss", p, p->train);
        draw(run, "start-test", "Before training: test loss", p, p->test);
    }
    RV_TRY(fill(net->objective, net->end, seed, true, p, err));
    RV_TRY(bent_share(p, 0.15, &bent, err));
    rv_study_note(run, "Seed %d: training loss %.3f, test loss %.3f, test accuracy %.1f %%.", (int)seed, net->train, net->test, 100 * net->accuracy);
    rv_study_measure(run, "end_bowl", minimum_distance(p));
    rv_study_measure(run, "end_convex", bent);
    for (int k = 0; k < p->n * p->n; k++)
        above += (p->test[k] > p->train[k]) / (double)(p->n * p->n);
    rv_study_measure(run, "test_above", above);
    judge_directions(run, net->objective, net->end, seed, p);
    rv_direction_draw(net->objective, net->end, RV_DIRECTION_TENSOR, seed, 0, p->dx);
    if (seed == 0) {
        draw(run, "end-train", "After training: training loss", p, p->train);
        draw(run, "end-test", "After training: test loss", p, p->test);
        RV_TRY(same_key(run, net->objective, net->end, p, err));
    }
    return RV_OK;
}

/* What is known of claims that may fail. */
static void explain(rv_study_run *run)
{
    rv_study_reason(run, "end_convex", "A bowl to the eye need not be convex: the ReLU network bends down in shallow creases, and how many a plane meets differs between seeds.");
    rv_study_reason(run, "test_above", "Where the gap of a network is small, two samples of images differ by as much by chance.");
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    rv_fashion_params training = {o->steps, o->batch, o->lr, o->images, o->evaluate};
    for (int s = 0; s < run->seeds; s++) {
        rv_fashion net;
        plane p = {0};
        RV_TRY(rv_study_progress(run, (double)s / run->seeds, "seed %d", s));
        rv_status status = rv_fashion_train(run, &training, 0, (uint64_t)s, &net, err);
        if (status == RV_OK)
            status = reserve(&p, net.objective, (int)o->points, o->reach, err);
        if (status == RV_OK)
            status = one_seed(run, &net, &p, (uint64_t)s, err);
        free(p.x);
        rv_fashion_release(&net);
        RV_TRY(status);
    }
    explain(run);
    return RV_OK;
}

const rv_study rv_study_loss_plane = {
    .name = "loss-plane",
    .title = "The loss over a random plane",
    .question = "The same network in two random directions: a slope with saddles before training, a bowl after. A smooth slice says little about "
                "the hundred thousand directions that are not shown.",
    .method = "The course's convolutional network on Fashion-MNIST, trained as in loss-line; 25 x 25 points over [-0.3, 0.3]^2 around the start and\n"
              "the end, training and test loss on the same 2048 images of each split (four of the course's batches), dropout off. Curvature is by second differences of the grid;\n"
              "a value below -2e-6 of the largest loss beside it counts as negative, float32 rounding being less. --set points=51 is the course's grid.",
    .source = "MerkulovDaniil/optim, NN_Surface_Visualization.ipynb",
    .cost = "3 min",
    .params = &table,
    .quick = "steps=30,batch=32,images=1000,evaluate=64,points=7",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
