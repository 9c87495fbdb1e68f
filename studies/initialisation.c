/* He or Xavier: what the factor 2 does to a deep ReLU network, before and during training,
 * and why weights must not all be equal. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "studies/digits.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                     \
    INT(width, 128, 8, 4096, 0, "of the hidden layers")                           \
    INT(shallow, 22, 2, 200, 0, "weight layers of the network where both train")  \
    INT(deep, 30, 2, 200, 0, "weight layers of the network where one stalls")     \
    INT(epochs, 30, 1, 10000, 0, "passes over the images")                        \
    INT(images, 1400, 100, 50000, 0, "images to train on")
RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "initialisation", params, PARAMS);

enum { BATCH = 100, RATES = 3, MOST_EPOCHS = 1000 };
static const double rates[RATES] = {0.003, 0.01, 0.03};
/* The loss of a guess; a network trains when its loss is a quarter of that, and stalls while it
 * stays within one per cent (biases alone learn how frequent the classes are). */
#define CHANCE 2.302585092994046 /* ln 10 */
#define TRAINS (CHANCE / 4)
#define STALLS (0.99 * CHANCE), (1.01 * CHANCE)

typedef enum kind { HE, XAVIER, SMALL } kind;
static const char *const kinds[] = {"He", "Xavier", "N(0, 0.01²)"};

static const rv_claim claims[] = {
    {"ratio_shallow", "Xavier's signal after L = 22 layers is 2^(-(L-1)/2) of He's", "output deviation Xavier / He x 2^((L-1)/2), same draws, float64", "He et al. 2015, eq. 9: one factor 1/2 for each of layers 2 ... L",
     0.999999, 1.000001, RV_CLAIM_EVERY, false},
    {"ratio_deep", "and likewise after 30", "output deviation Xavier / He x 2^((L-1)/2)", "He et al. 2015, eq. 9", 0.999999, 1.000001, RV_CLAIM_EVERY, false},
    {"he_keeps", "He's initialisation keeps the size of the signal through 30 layers", "deviation of layer 30 / of layer 2, He", "He et al. 2015, eq. 10",
     0.2, 5, RV_CLAIM_EVERY, true},
    {"he_shallow", "22 layers train with He", "lowest training loss over rates, last epoch; a quarter of ln 10 counts as trained", "slide; He et al. 2015, fig. 2", -HUGE_VAL, TRAINS, RV_CLAIM_EVERY, true},
    {"xavier_moves", "and begin to train with Xavier", "lowest training loss over rates, last epoch", "slide; He et al. 2015, fig. 2: both converge", -HUGE_VAL, 0.95 * CHANCE, RV_CLAIM_EVERY, true},
    {"he_earlier", "He starts earlier", "epochs until the loss is below 2: Xavier - He, at the best rate of each", "slide; He et al. 2015, fig. 2", 1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"he_deep", "30 layers train with He", "lowest training loss over rates, last epoch", "slide; He et al. 2015, fig. 3", -HUGE_VAL, TRAINS, RV_CLAIM_EVERY, true},
    {"xavier_stalls", "30 layers do not train with Xavier at any learning rate", "lowest training loss over rates, last epoch; within 1 % of ln 10 counts as stalled",
     "slide; He et al. 2015, fig. 3", STALLS, RV_CLAIM_EVERY, true},
    {"small_stalls", "N(0, 0.01^2) does not train 22 layers", "lowest training loss over rates, last epoch", "the default before 2010", STALLS, RV_CLAIM_EVERY, true},
    {"equal", "Equal weights stay equal: the units of a layer remain copies of each other", "largest difference between units after 100 steps", "slide: why not all equal",
     0, 0, RV_CLAIM_EVERY, false},
    {"equal_trains", "although the loss falls, to that of one unit a layer", "training loss after 100 steps, equal weights", "control: it is not stuck, it is one unit wide", 0.5, 2.3, RV_CLAIM_EVERY, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

static rv_digits spec_of(const params *o, int64_t layers, kind init)
{
    return (rv_digits){.images = (int)o->images, .evaluate = 1000, .batch = BATCH, .width = (int)o->width, .depth = (int)layers - 1,
                       .act = RV_ACT_RELU, .bias = true, .gain = init == HE ? sqrt(2) : 1, .deviation = init == SMALL ? 0.01 : 0};
}

/* ---- at the start -------------------------------------------------------------------- */

static double deviation(const double *x, int64_t n)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i] / (double)n;
        squares += x[i] * x[i] / (double)n;
    }
    return sqrt(fmax(squares - sum * sum, 0));
}

/* std[k]: deviation of the output of weight layer k over one batch, float64. */
static rv_status forward(const rv_study_run *run, const rv_digits *spec, rv_graph *graph, uint64_t seed, double *std, rv_error *err)
{
    rv_plan *plan = NULL;
    rv_runner *runner = NULL;
    rv_source *source = NULL;
    double *w = NULL, loss[2];
    int32_t labels[BATCH];
    int64_t ids[BATCH];
    rv_value pixels = rv_graph_input(graph, "input", RV_F32, RV_SHAPE(BATCH, 28, 28, 1));
    rv_value label = rv_graph_input(graph, "label", RV_I32, RV_SHAPE(BATCH));
    rv_nn_classify(graph, rv_digits_build(graph, pixels, spec, true), label, (rv_cross_entropy_options){0});
    rv_status status = rv_graph_status(graph, err);
    if (status == RV_OK)
        status = rv_digits_source(run, spec->images, &source, err);
    if (status == RV_OK)
        status = rv_plan_new(&plan, graph, (rv_plan_options){.backend = RV_BACKEND_REF}, err);
    if (status == RV_OK)
        status = rv_runner_new(&runner, plan, err);
    if (status == RV_OK && !(w = calloc((size_t)rv_plan_layout(plan)->size, sizeof *w)))
        status = rv_fail(err, RV_E_MEMORY, "no memory for the weights");
    if (status == RV_OK) {
        for (int i = 0; i < BATCH; i++)
            ids[i] = i;
        rv_plan_init(plan, seed, w, NULL);
        source->fill(source, RV_SPLIT_TRAIN, ids, BATCH, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F64,
                     (void *const[]){rv_runner_input(runner, 0), labels});
        for (int i = 0; i < BATCH; i++)
            ((int32_t *)rv_runner_input(runner, 1))[i] = labels[i];
        status = rv_plan_pack(plan, w, NULL, err);
    }
    if (status == RV_OK)
        status = rv_runner_forward(runner, w, NULL, (rv_shard){0}, loss, err);
    for (int k = 0; status == RV_OK && k <= spec->depth; k++) {
        char name[32];
        snprintf(name, sizeof name, "layer%d", k);
        std[k] = deviation(rv_runner_output(runner, name), BATCH * (k == spec->depth ? 10 : spec->width));
    }
    free(w);
    rv_runner_free(runner);
    rv_plan_free(plan);
    rv_source_free(source);
    return status;
}

static rv_status signal(const rv_study_run *run, const params *o, int64_t layers, kind init, uint64_t seed, double *std, rv_error *err)
{
    rv_digits spec = spec_of(o, layers, init);
    rv_graph *graph = rv_graph_new();
    rv_status status = graph ? forward(run, &spec, graph, seed, std, err) : rv_fail(err, RV_E_MEMORY, "no memory for a graph");
    rv_graph_free(graph);
    return status;
}

static rv_status starts(rv_study_run *run, const params *o, rv_error *err)
{
    double std[3][256], layer[256];
    int64_t deep = o->deep;
    for (int s = 0; s < run->seeds; s++) {
        RV_TRY(signal(run, o, o->shallow, HE, (uint64_t)s, std[HE], err));
        RV_TRY(signal(run, o, o->shallow, XAVIER, (uint64_t)s, std[XAVIER], err));
        rv_study_measure(run, "ratio_shallow", std[XAVIER][o->shallow - 1] / std[HE][o->shallow - 1] * pow(2, (double)(o->shallow - 1) / 2));
        for (kind k = HE; k <= SMALL; k++)
            RV_TRY(signal(run, o, deep, k, (uint64_t)s, std[k], err));
        rv_study_measure(run, "ratio_deep", std[XAVIER][deep - 1] / std[HE][deep - 1] * pow(2, (double)(deep - 1) / 2));
        rv_study_measure(run, "he_keeps", std[HE][deep - 1] / std[HE][1]);
    }
    rv_figure *figure = rv_study_figure(run, "signal", "The signal through the layers, before training",
                                        "Deviation of the output of each weight layer over a batch of 100 digits; Xavier loses a factor √2 a layer.",
                                        (rv_axis){.label = "weight layer"}, (rv_axis){.label = "deviation", .log = true});
    for (int k = 0; k <= SMALL; k++) {
        for (int64_t i = 0; i < deep; i++)
            layer[i] = (double)(i + 1);
        rv_figure_series(figure, kinds[k], RV_SERIES_BOTH, deep, layer, std[k]);
    }
    return RV_OK;
}

/* ---- training ------------------------------------------------------------------------ */

typedef struct history {
    rv_objective *objective;
    int64_t per_epoch;
    double loss[MOST_EPOCHS + 1]; /* of the training images, by epoch */
    int epochs;
} history;

static rv_status observe(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    (void)loss;
    history *h = context;
    if (step % h->per_epoch != 0)
        return RV_OK;
    h->epochs = (int)(step / h->per_epoch);
    return rv_study_evaluate(h->objective, w, RV_SPLIT_TRAIN, "loss", &h->loss[h->epochs], err);
}

static rv_status train(const rv_study_run *run, const rv_digits *spec, rv_backend backend, double lr, double momentum, int64_t steps, uint64_t seed,
                       history *h, void **weights, rv_error *err)
{
    char text[64];
    snprintf(text, sizeof text, "lr=%g,momentum=%g", lr, momentum);
    RV_TRY(rv_digits_new(run, spec, backend, &h->objective, err));
    void *w = rv_study_vector(h->objective, err);
    rv_status status = w ? rv_objective_init(h->objective, seed, w, err) : RV_E_MEMORY;
    rv_descent d = {.objective = h->objective, .method = "sgd", .params = text, .seed = seed, .steps = steps, .observe = observe, .context = h};
    if (status == RV_OK)
        status = rv_descend(&d, w, err);
    for (int i = h->epochs + 1; d.diverged && i <= MOST_EPOCHS; i++)
        h->loss[i] = INFINITY;
    if (weights && status == RV_OK)
        *weights = w;
    else
        free(w);
    return status;
}

/* The run with the lowest last loss over the rates. */
static rv_status best_of_rates(rv_study_run *run, const params *o, int64_t layers, kind init, uint64_t seed, history *best, rv_error *err)
{
    rv_digits spec = spec_of(o, layers, init);
    int64_t per_epoch = o->images / BATCH;
    best->loss[o->epochs] = INFINITY;
    for (int r = 0; r < RATES; r++) {
        history h = {.per_epoch = per_epoch};
        rv_status status = train(run, &spec, RV_BACKEND_CPU, rates[r], 0.9, o->epochs * per_epoch, seed, &h, NULL, err);
        rv_objective_free(h.objective);
        RV_TRY(status);
        if (r == 0 || h.loss[o->epochs] < best->loss[o->epochs])
            *best = h;
    }
    return RV_OK;
}

/* The first epoch whose loss is below 2; one past the last: never. */
static double started(const history *h, int64_t epochs)
{
    for (int64_t i = 0; i <= epochs; i++)
        if (h->loss[i] < 2)
            return (double)i;
    return (double)epochs + 1;
}

typedef struct setting {
    const char *key;
    bool deep;
    kind init;
} setting;
static const setting settings[] = {{"he_shallow", false, HE}, {"xavier_moves", false, XAVIER}, {"small_stalls", false, SMALL},
                                   {"he_deep", true, HE}, {"xavier_stalls", true, XAVIER}};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static rv_status trainings(rv_study_run *run, const params *o, rv_error *err)
{
    double epoch[MOST_EPOCHS + 1], first[SETTINGS];
    rv_figure *figures[2];
    for (int i = 0; i <= o->epochs; i++)
        epoch[i] = i;
    for (int f = 0; f < 2; f++) {
        char title[64];
        snprintf(title, sizeof title, "Training %d layers", (int)(f ? o->deep : o->shallow));
        figures[f] = rv_study_figure(run, f ? "deep" : "shallow", title, "Each initialisation at its best learning rate of 0.003, 0.01, 0.03; one line a seed.",
                                     (rv_axis){.label = "epoch"}, (rv_axis){"training loss", false, 0, 2.5});
        rv_figure_mark(figures[f], 'y', CHANCE, "chance, ln 10");
        rv_figure_half(figures[f]);
    }
    for (int s = 0; s < run->seeds; s++) {
        for (int k = 0; k < (int)SETTINGS; k++) {
            history best;
            RV_TRY(best_of_rates(run, o, settings[k].deep ? o->deep : o->shallow, settings[k].init, (uint64_t)s, &best, err));
            rv_study_measure(run, settings[k].key, best.loss[o->epochs]);
            first[k] = started(&best, o->epochs);
            rv_figure_series(figures[settings[k].deep], kinds[settings[k].init], RV_SERIES_LINE, o->epochs + 1, epoch, best.loss);
            RV_TRY(rv_study_progress(run, (double)(s * (int)SETTINGS + k + 1) / (run->seeds * (int)SETTINGS), "seed %d, %s", s, kinds[settings[k].init]));
        }
        rv_study_measure(run, "he_earlier", first[1] - first[0]);
    }
    return RV_OK;
}

/* Two hidden layers, every weight of a layer equal, float64 so that equal means equal. */
static rv_status equal_weights(rv_study_run *run, const params *o, rv_error *err)
{
    rv_digits spec = {.images = (int)o->images, .evaluate = 1000, .batch = BATCH, .width = 16, .depth = 2, .act = RV_ACT_TANH, .bias = true, .equal = true};
    double *w = NULL, apart = 0;
    history h = {.per_epoch = 100};
    rv_status status = train(run, &spec, RV_BACKEND_REF, 0.3, 0.9, 100, 0, &h, (void **)&w, err);
    if (status == RV_OK) {
        const rv_tensor *t = &h.objective->layout->tensors[rv_layout_find(h.objective->layout, "hidden1.weight")];
        for (int64_t i = 0; i < rv_shape_size(&t->shape); i++) /* [16, 16]: every row is a unit, every column an input unit */
            apart = fmax(apart, fabs(w[t->offset + i] - w[t->offset]));
        rv_study_measure(run, "equal", apart);
        rv_study_measure(run, "equal_trains", h.loss[1]);
    }
    free(w);
    rv_objective_free(h.objective);
    return status;
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const params *o = values;
    if (o->epochs > MOST_EPOCHS)
        return rv_fail(err, RV_E_RANGE, "epochs: at most %d, found %lld", MOST_EPOCHS, (long long)o->epochs);
    rv_study_reason(run, "xavier_stalls", "A signal smaller by 2^(-(L-1)/2) delays training and does not forbid it: on MNIST the loss stays at chance for ten to twenty "
                    "epochs and then begins to fall. On procedural glyphs it does stall.");
    RV_TRY(starts(run, o, err));
    RV_TRY(trainings(run, o, err));
    return equal_weights(run, o, err);
}

const rv_study rv_study_initialisation = {
    .name = "initialisation",
    .title = "Initialisation: the factor 2 that trains thirty layers",
    .question = "With He's initialisation a 30-layer ReLU network trains, with Xavier's it does not move; at 22 layers both train and He starts "
                "earlier. And weights that start equal stay equal.",
    .method = "Perceptron of width 128 on 7 x 7 digits (1400 images), ReLU, zero biases, no normalisation, SGD with momentum 0.9, batch 100, 30 epochs.\n"
              "Xavier in the forward form of the paper, variance 1 / fan in; He 2 / fan in but for the first layer, whose inputs are no ReLU outputs.\n"
              "To stall means within 30 epochs. Every initialisation gets its best of three learning rates. The paper's networks are convolutional and on ImageNet; the law of the\n"
              "signal is the same. Adam or batch norm would hide the effect.",
    .source = "He, Zhang, Ren, Sun 2015, Delving Deep into Rectifiers, figures 2 and 3; Glorot, Bengio 2010",
    .cost = "2 min",
    .params = &table,
    .quick = "width=32,shallow=8,deep=12,epochs=3,images=300",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
