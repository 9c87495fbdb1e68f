/* Double descent of one-hidden-layer networks over the width: below the interpolation threshold every
 * network starts from the solution of the next smaller one, above it from its own random weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objective/network.h"
#include "ravine/nn.h"
#include "studies/bands.h"
#include "studies/digits.h"
#include "studies/tables.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                               \
    INT(images, 400, 40, 5000, 0, "digits to train on; the paper has 4000")                 \
    INT(test, 1000, 50, 5000, 0, "digits to test on")                                       \
    REAL(flipped, 0.2, 0, 1, 0, "share of wrong training labels")                           \
    INT(epochs, 6000, 10, 1000000, 0, "passes over the images, at most")                      \
    INT(batch, 100, 1, 5000, 0, "images of a mini-batch")                                   \
    REAL(lr, 0.05, 0, 10, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of SGD with momentum 0.95; below the threshold a tenth less every 500 epochs")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "double-descent-networks", params, PARAMS);

enum { CLASSES = 10, FULL = 28, POOL = 4, SIDE = FULL / POOL, PIXELS = SIDE * SIDE, GRID = 15, BELOW = 7, EVERY = 250 };
static const double LEARNED = 1e-5; /* training squared loss; it starts near 0.09 */
/* Parameters over n K, the numbers that interpolation of n images with K outputs needs. */
static const double grid[GRID] = {0.06, 0.12, 0.25, 0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.5, 2, 3, 5, 10, 20};
enum { HALF = 3, TWICE = 10 }; /* places of 0.5 and 2 in the grid */

static const rv_claim claims[] = {
    {"interpolates", "Beyond the threshold, parameters = n K, the network fits the wrong labels too", "training squared loss at 0.5 n K / at 2 n K parameters", "Belkin et al. 2019, fig. 3", 10, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"peak", "The test loss peaks at the threshold", "parameters / (n K) at the largest mean test squared loss, from 0.25 on", "Belkin et al. 2019, fig. 3", 0.5, 1.5, RV_CLAIM_EVERY, true},
    {"bump", "and falls beyond it", "mean test squared loss at its peak / at 20 n K parameters", "Belkin et al. 2019, fig. 3", 1.2, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"bump_error", "The share of wrong digits has the same bump", "mean test error at its largest from 0.25 on / at 20 n K parameters", "Belkin et al. 2019, fig. 3", 1.1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"win", "The largest network errs less than the best below the threshold", "mean test error at 20 n K parameters / lowest below the threshold", "slide; Belkin et al. 2019, fig. 3", -HUGE_VAL, 1, RV_CLAIM_EVERY, true},
    {"norm", "The norm of the solution peaks with the loss", "mean norm of the weights, largest up to 1.5 n K / at 20 n K parameters", "Belkin et al. 2019: small norm is why large networks generalise", 1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"monotone", "With weight reuse the training loss only falls with the width", "largest training loss of a network / of the next smaller one, below the threshold", "Belkin et al. 2019, appendix: that is what reuse is for", -HUGE_VAL, 1.02, RV_CLAIM_EVERY, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

/* ---- the network ----------------------------------------------------------------------------- */

static void build(rv_graph *graph, const rv_value *inputs, const void *units)
{
    const int64_t width = *(const int *)units;
    rv_layer hidden = {.out = width, .role = RV_ROLE_INPUT, .bias = true, .act = RV_ACT_RELU, .weight_init = rv_init_glorot(PIXELS, width), .bias_init = rv_init_zero()};
    rv_layer head = {.out = CLASSES, .role = RV_ROLE_HEAD, .bias = true, .weight_init = rv_init_glorot(width, CLASSES), .bias_init = rv_init_zero()};
    rv_value out = rv_nn_linear(graph, "head", rv_nn_linear(graph, "hidden", inputs[0], hidden), head);
    rv_graph_set_output(graph, "logits", out);
    rv_graph_set_loss(graph, rv_mse(graph, out, inputs[1], RV_NONE));
}

/* 49 H + H + 10 H + 10 parameters. */
static int width_of(const params *o, int g)
{
    int width = (int)lround((grid[g] * (double)o->images * CLASSES - CLASSES) / (PIXELS + 1 + CLASSES));
    return width > 1 ? width : 1;
}

static rv_status make(const params *o, const rv_source *digits, int width, rv_objective **out, rv_error *err)
{
    rv_network network = {.name = "network", .build = build, .params = &width, .source = rv_source_lend(digits), .batch = o->batch, .shards = 1, .least_rows = 1,
                          .drop_last = true, .evaluation_rows = 100};
    if (!network.source)
        return rv_fail(err, RV_E_MEMORY, "no memory for a source");
    return rv_network_new(out, &network, &(rv_workload_env){.backend = RV_BACKEND_CPU}, err);
}

/* ---- one training ------------------------------------------------------------------------------- */

typedef struct outcome {
    double train, test, error, norm; /* squared losses, share of wrong test digits, of all weights */
} outcome;

typedef struct watched {
    const rv_study_run *run;
    rv_objective *objective;
    int64_t per_epoch;
    bool below, done; /* done: nothing is left to learn */
} watched;

/* The paper's stop below the threshold is a training error of zero; above it what is left of the loss no
 * longer changes the solution. */
static rv_status watch(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    (void)loss;
    watched *s = context;
    const rv_study_options *options = s->run->options;
    rv_metrics metrics;
    if (step % (EVERY * s->per_epoch) != 0)
        return RV_OK;
    if (options->stop && *options->stop)
        return RV_E_INTERRUPTED;
    RV_TRY(rv_objective_evaluate(s->objective, w, RV_SPLIT_TRAIN, &metrics, err));
    s->done = s->below ? rv_metrics_get(&metrics, "accuracy") >= 1 : rv_metrics_get(&metrics, "loss") < LEARNED;
    return s->done ? RV_E_INTERRUPTED : RV_OK;
}

static double decay(const void *context, int64_t step)
{
    const watched *s = context;
    return s->below ? pow(0.9, (double)(step / (500 * s->per_epoch))) : 1;
}

static rv_status measure(rv_objective *objective, const float *w, outcome *out, rv_error *err)
{
    double squares = 0;
    for (int64_t i = 0; i < objective->layout->size; i++)
        squares += (double)w[i] * (double)w[i];
    out->norm = sqrt(squares);
    RV_TRY(rv_study_evaluate(objective, w, RV_SPLIT_TRAIN, "loss", &out->train, err));
    RV_TRY(rv_study_evaluate(objective, w, RV_SPLIT_TEST, "loss", &out->test, err));
    RV_TRY(rv_study_evaluate(objective, w, RV_SPLIT_TEST, "accuracy", &out->error, err));
    out->error = 1 - out->error;
    return RV_OK;
}

/* Trains w in place. */
static rv_status train(const rv_study_run *run, const params *o, rv_objective *objective, bool below, uint64_t seed, float *w, outcome *out, rv_error *err)
{
    char text[64];
    watched s = {.run = run, .objective = objective, .per_epoch = o->images / o->batch, .below = below};
    snprintf(text, sizeof text, "lr=%.17g,momentum=0.95", o->lr);
    rv_descent d = {.objective = objective, .method = "sgd", .params = text, .seed = seed, .steps = o->epochs * s.per_epoch, .factor = decay, .observe = watch, .context = &s};
    rv_status status = rv_descend(&d, w, err);
    if (status == RV_E_INTERRUPTED && s.done)
        status = RV_OK;
    RV_TRY(status);
    if (d.diverged)
        return rv_fail(err, RV_E_NUMERIC, "a network of %lld parameters diverged at step %lld", (long long)objective->layout->size, (long long)d.made);
    return measure(objective, w, out, err);
}

/* ---- weight reuse ------------------------------------------------------------------------------- */

/* Elements of rows x columns of a tensor from a smaller one, the others N(0, 0.1^2) as in the paper. */
static void grow_tensor(const rv_objective *from, const float *old, const rv_objective *to, float *w, int index, uint64_t seed)
{
    const rv_tensor *a = &from->layout->tensors[index], *b = &to->layout->tensors[index];
    int64_t old_columns = a->shape.rank > 1 ? a->shape.dim[1] : 1, columns = b->shape.rank > 1 ? b->shape.dim[1] : 1;
    for (int64_t r = 0; r < b->shape.dim[0]; r++)
        for (int64_t c = 0; c < columns; c++) {
            uint64_t place = (uint64_t)(b->offset + r * columns + c);
            bool known = r < a->shape.dim[0] && c < old_columns;
            w[place] = known ? old[a->offset + r * old_columns + c]
                             : (float)(0.1 * rv_random_normal((rv_random){seed, RV_RANDOM_INIT, (uint64_t)to->layout->size}, place));
        }
}

/* The networks below the threshold, each from the solution of the one before; out [BELOW]. */
static rv_status train_chain(const rv_study_run *run, const params *o, const rv_source *digits, uint64_t seed, outcome *out, rv_error *err)
{
    rv_objective *last = NULL;
    float *solution = NULL;
    rv_status status = RV_OK;
    for (int g = 0; g < BELOW && status == RV_OK; g++) {
        rv_objective *objective = NULL;
        status = make(o, digits, width_of(o, g), &objective, err);
        float *w = status == RV_OK ? rv_study_vector(objective, err) : NULL;
        if (status == RV_OK)
            status = w ? rv_objective_init(objective, seed, w, err) : RV_E_MEMORY;
        for (int t = 0; status == RV_OK && last && t < objective->layout->count; t++)
            grow_tensor(last, solution, objective, w, t, seed);
        if (status == RV_OK)
            status = train(run, o, objective, true, seed, w, &out[g], err);
        free(solution);
        rv_objective_free(last);
        solution = w;
        last = objective;
    }
    free(solution);
    rv_objective_free(last);
    return status;
}

static rv_status train_fresh(const rv_study_run *run, const params *o, const rv_source *digits, int g, uint64_t seed, outcome *out, rv_error *err)
{
    rv_objective *objective = NULL;
    RV_TRY(make(o, digits, width_of(o, g), &objective, err));
    float *w = rv_study_vector(objective, err);
    rv_status status = w ? rv_objective_init(objective, seed, w, err) : RV_E_MEMORY;
    if (status == RV_OK)
        status = train(run, o, objective, g < BELOW, seed, w, out, err);
    free(w);
    rv_objective_free(objective);
    return status;
}

/* ---- all networks of a seed, side by side ----------------------------------------------------- */

/* out: networks 0 ... BELOW - 1 with reuse, BELOW ... GRID - 1 fresh, GRID ... GRID + BELOW - 1 the small ones without reuse. */
enum { NETWORKS = GRID + BELOW, TASKS = NETWORKS - BELOW + 1 };

typedef struct sweep {
    const rv_study_run *run;
    const params *o;
    const rv_source *digits;
    uint64_t seed;
    outcome *out;
    rv_status status[TASKS];
    rv_error error[TASKS];
} sweep;

/* Task 0 is the chain, the longest; then the networks from the largest to the smallest. */
static void sweep_task(void *context, int task, int worker)
{
    (void)worker;
    sweep *s = context;
    rv_error *err = &s->error[task];
    if (task == 0) {
        s->status[0] = train_chain(s->run, s->o, s->digits, s->seed, s->out, err);
        return;
    }
    int g = GRID - task, at = g < BELOW ? GRID + g : g;
    s->status[task] = train_fresh(s->run, s->o, s->digits, g, s->seed, &s->out[at], err);
}

/* A seed's digits, averaged to 7 x 7; a share of the training labels is wrong. */
static rv_status draw_digits(const rv_study_run *run, const params *o, uint64_t seed, rv_source **out, rv_error *err)
{
    int n = (int)o->images, rows = n + (int)o->test;
    double *pixels = malloc((size_t)rows * FULL * FULL * sizeof *pixels);
    rv_table t = {.dtype = RV_F32, .row = RV_SHAPE(PIXELS), .train = n, .test = o->test, .classes = CLASSES, .one_hot = true};
    float *x = malloc((size_t)rows * PIXELS * sizeof *x);
    t.x = x;
    t.labels = malloc((size_t)rows * sizeof *t.labels);
    rv_status status = pixels && x && t.labels ? rv_digits_draw(run, seed, rows, pixels, t.labels, err) : rv_fail(err, RV_E_MEMORY, "no memory for %d digits", rows);
    for (int i = 0; i < rows * PIXELS && status == RV_OK; i++) {
        const double *corner = pixels + (int64_t)(i / PIXELS) * FULL * FULL + i % PIXELS / SIDE * POOL * FULL + i % SIDE * POOL;
        double sum = 0;
        for (int k = 0; k < POOL * POOL; k++)
            sum += corner[k / POOL * FULL + k % POOL];
        x[i] = (float)(sum / (POOL * POOL));
    }
    for (int i = 0; i < n && status == RV_OK; i++)
        t.labels[i] = rv_digits_mislabel(t.labels[i], seed, i, o->flipped);
    free(pixels);
    if (status == RV_OK)
        return rv_source_table(out, "digits, some with wrong labels", &t, err);
    free(x);
    free(t.labels);
    return status;
}

static rv_status run_seed(rv_study_run *run, const params *o, int seed, outcome *out, rv_error *err)
{
    rv_source *digits = NULL;
    RV_TRY(draw_digits(run, o, (uint64_t)seed, &digits, err));
    sweep s = {.run = run, .o = o, .digits = digits, .seed = (uint64_t)seed, .out = out};
    rv_pool_run(run->pool, TASKS, sweep_task, &s);
    rv_source_free(digits);
    for (int t = 0; t < TASKS; t++)
        if (s.status[t] != RV_OK) {
            *err = s.error[t];
            return s.status[t];
        }
    return RV_OK;
}

/* ---- what is told ---------------------------------------------------------------------------------- */

typedef enum quantity { TRAIN, TEST, ERROR, NORM, QUANTITIES } quantity;

static double quantity_of(const outcome *o, quantity q)
{
    return q == TRAIN ? o->train : q == TEST ? o->test : q == ERROR ? o->error : o->norm;
}

/* mean [GRID] over seeds of the networks as the paper trains them, or all of them from their own weights. */
static void mean_of(const rv_study_run *run, const outcome *all, quantity q, bool reuse, double *mean)
{
    for (int g = 0; g < GRID; g++) {
        int at = reuse || g >= BELOW ? g : GRID + g;
        mean[g] = 0;
        for (int s = 0; s < run->seeds; s++)
            mean[g] += quantity_of(&all[s * NETWORKS + at], q) / run->seeds;
    }
}

static void judge(rv_study_run *run, const outcome *all)
{
    enum { QUARTER = 2, MIDDLE = 9, LAST = GRID - 1 }; /* 0.25 and 1.5 in the grid */
    double test[GRID], error[GRID], norm[GRID], fresh[GRID];
    mean_of(run, all, TEST, true, test);
    mean_of(run, all, ERROR, true, error);
    mean_of(run, all, NORM, true, norm);
    mean_of(run, all, TEST, false, fresh);
    int own = rv_extreme(fresh, QUARTER, LAST, true), peak = rv_extreme(test, QUARTER, LAST, true);
    rv_study_measure(run, "peak", grid[peak]);
    rv_study_measure(run, "bump", test[peak] / test[LAST]);
    rv_study_measure(run, "bump_error", error[rv_extreme(error, QUARTER, LAST, true)] / error[LAST]);
    rv_study_measure(run, "win", error[LAST] / error[rv_extreme(error, 0, BELOW - 1, false)]);
    rv_study_measure(run, "norm", norm[rv_extreme(norm, 0, MIDDLE, true)] / norm[LAST]);
    for (int s = 0; s < run->seeds; s++) {
        const outcome *o = all + s * NETWORKS;
        double worst = 0;
        for (int g = 1; g < BELOW; g++)
            worst = fmax(worst, o[g].train / o[g - 1].train);
        rv_study_measure(run, "interpolates", o[HALF].train / o[TWICE].train);
        rv_study_measure(run, "monotone", worst);
    }
    rv_study_note(run, "Test error at 20 n K parameters %.1f %%, lowest below the threshold %.1f %%, at its peak %.1f %%.", 100 * error[LAST],
                  100 * error[rv_extreme(error, 0, BELOW - 1, false)], 100 * error[rv_extreme(error, QUARTER, LAST, true)]);
    rv_study_note(run, "With every network from its own random weights the mean test loss peaks at %.2g n K, %.2g times that at 20 n K; with reuse at %.2g n K, %.2g times. "
                  "The edge at the threshold is where reuse ends.", grid[own], fresh[own] / fresh[LAST], grid[peak], test[peak] / test[LAST]);
}

static void draw(rv_study_run *run, const outcome *all, double *values)
{
    static const struct {
        const char *name, *title, *caption, *label;
    } figures[QUANTITIES] = {
        {"train", "Training loss", "Squared loss on the training digits, wrong labels included; geometric mean over seeds and all seeds as a band.", "training squared loss"},
        {"test", "Test loss", "Squared loss on other digits, with their right labels.", "test squared loss"},
        {"error", "Test error", "Share of wrong test digits.", "test error"},
        {"norm", "The norm of the solution", "Euclidean norm of all weights and biases at the end.", "norm"}};
    for (quantity q = TRAIN; q < QUANTITIES; q++) {
        rv_figure *figure = rv_study_figure(run, figures[q].name, figures[q].title, figures[q].caption, (rv_axis){.label = "parameters / (n K)", .log = true},
                                            (rv_axis){.label = figures[q].label, .log = true});
        for (int s = 0; s < run->seeds; s++)
            for (int k = 0; k < NETWORKS; k++)
                values[s * NETWORKS + k] = quantity_of(&all[s * NETWORKS + k], q);
        rv_seed_band(figure, "reuse below the threshold", run->seeds, GRID, NETWORKS, grid, values);
        rv_seed_band(figure, "no reuse", run->seeds, BELOW, NETWORKS, grid, values + GRID);
        rv_figure_mark(figure, 'x', 1, "n K");
        rv_figure_half(figure);
    }
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    size_t all = (size_t)run->seeds * NETWORKS;
    outcome *out = calloc(all, sizeof *out);
    double *rows = calloc(all, sizeof *rows);
    rv_status status = o->images % o->batch == 0 ? RV_OK : rv_fail(err, RV_E_RANGE, "images: expected a multiple of batch = %lld, found %lld", (long long)o->batch, (long long)o->images);
    if (status == RV_OK && (!out || !rows))
        status = rv_fail(err, RV_E_MEMORY, "no memory for %zu networks", all);
    for (int s = 0; s < run->seeds && status == RV_OK; s++) {
        status = rv_study_progress(run, (double)s / run->seeds, "seed %d, %d networks", s, NETWORKS);
        if (status == RV_OK)
            status = run_seed(run, o, s, out + s * NETWORKS, err);
    }
    if (status == RV_OK) {
        judge(run, out);
        draw(run, out, rows);
    }
    free(out);
    free(rows);
    return status;
}

const rv_study rv_study_double_descent_networks = {
    .name = "double-descent-networks",
    .title = "Double descent: one hidden layer over its width",
    .question = "The test loss of a network with one hidden layer peaks where its parameters are as many as the numbers it has to fit, n images times K outputs, "
                "and falls again beyond.",
    .method = "400 digits of 7 x 7 pixels, a fifth of the labels wrong, one hidden ReLU layer of 4 to 1333 units, squared loss on one-hot targets, SGD with momentum 0.95, rate 0.05, batch 100,\n"
              "6000 epochs; n K = 4000 is reached at 67 units. As in the paper a network below the threshold starts from the solution of the next smaller one (new weights\n"
              "N(0, 0.1^2)), loses a tenth of its rate every 500 epochs and stops when no training digit is wrong; larger ones start from Glorot's weights and stop at a loss of 1e-5. The small ones are also shown\n"
              "without reuse. The paper: MNIST with 4000 images of 28 x 28, right labels, up to 6000 epochs. Test digits have their right labels.",
    .source = "Belkin, Hsu, Ma, Mandal 2019, Reconciling modern machine-learning practice and the bias-variance trade-off, figure 3 and appendix",
    .cost = "1 min",
    .params = &table,
    .quick = "images=50,batch=25,test=200,epochs=100",
    .seeds = 5,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
