/* Real words for the study class-imbalance: a log-bilinear model of the next word, its groups by the
 * frequency of the words, and Zipf's law. */
#include <math.h>
#include <stdlib.h>

#include "ravine/nn.h"
#include "studies/imbalance.h"

enum { PREVIOUS = 2, TENTHS = 10, FIT_POINTS = 60, MOST_POINTS = 400 };
static const double FIT_FROM = 10, FIT_TO = 1000;

/* Two embedded words, a matrix for each place, the sum through tanh, and out to all words; the output starts
 * near zero, so that the first loss is the logarithm of their number. */
static void build_words(rv_graph *graph, const rv_value *inputs, const void *params)
{
    const rv_words_spec *s = params;
    rv_value x = rv_nn_embedding(graph, "words", inputs[0], s->classes, s->width, rv_init_normal(1)); /* [rows, 2, width] */
    x = rv_reshape(graph, x, RV_SHAPE(rv_graph_shape(graph, x).dim[0], PREVIOUS * s->width));
    rv_layer context = {.out = s->width, .role = RV_ROLE_HIDDEN, .bias = true, .act = RV_ACT_TANH,
                        .weight_init = rv_init_torch_linear(PREVIOUS * s->width), .bias_init = rv_init_zero()};
    rv_layer head = {.out = s->classes, .role = RV_ROLE_HEAD, .bias = true, .weight_init = rv_init_normal(0.01), .bias_init = rv_init_zero()};
    x = rv_nn_linear(graph, "context", x, context);
    rv_nn_classify(graph, rv_nn_linear(graph, "head", x, head), inputs[1], (rv_cross_entropy_options){0});
}

static rv_status open_words(const rv_study_run *run, const rv_words_spec *s, rv_source **out, rv_error *err)
{
    rv_words words = {.text = RV_WORDS_PTB, .block = PREVIOUS, .stride = 1, .vocabulary = s->vocabulary, .limit = s->limit, .last = true};
    return rv_source_words(out, &words, run->data, err);
}

static double total_of(const rv_source *source)
{
    double total = 0;
    for (int k = 0; k < source->classes; k++)
        total += (double)source->counts[k];
    return total;
}

rv_status rv_imbalance_words(const rv_study_run *run, const void *context, uint64_t seed, rv_grouped *problem, rv_error *err)
{
    (void)seed;
    const rv_words_spec *s = context;
    RV_TRY(open_words(run, s, &problem->source, err));
    const rv_source *source = problem->source;
    double before = 0, total = total_of(source);
    problem->group = calloc((size_t)source->classes, sizeof *problem->group);
    if (!problem->group)
        return rv_fail(err, RV_E_MEMORY, "no memory for %d classes", source->classes);
    for (int k = 0; k < source->classes; k++) {
        problem->group[k] = (int32_t)fmin(TENTHS * before / total, TENTHS - 1);
        before += (double)source->counts[k];
    }
    problem->groups = TENTHS;
    problem->batch = s->batch;
    problem->sample = s->sample;
    problem->build = build_words;
    problem->params = s;
    return RV_OK;
}

/* ---- Zipf's law ----------------------------------------------------------------------------- */

/* Least squares through log count over log rank at ranks evenly spaced in the logarithm. */
static double exponent_of(const rv_source *source, double from, double to)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (int i = 0; i < FIT_POINTS; i++) {
        double rank = floor(from * pow(to / from, i / (FIT_POINTS - 1.0)) + 0.5), x = log(rank), y = log((double)source->counts[(int)rank - 1]);
        sx += x / FIT_POINTS;
        sy += y / FIT_POINTS;
        sxx += x * x / FIT_POINTS;
        sxy += x * y / FIT_POINTS;
    }
    return -(sxy - sx * sy) / (sxx - sx * sx);
}

static void draw_zipf(rv_study_run *run, const rv_source *source, double exponent, double to)
{
    double x[MOST_POINTS], y[MOST_POINTS], line[2], ends[2] = {FIT_FROM, to}, middle = sqrt(FIT_FROM * to);
    int n = 0;
    for (double rank = 1; rank <= source->classes && n < MOST_POINTS; rank = fmax(rank + 1, floor(rank * 1.03)), n++) {
        x[n] = rank;
        y[n] = (double)source->counts[(int)rank - 1];
    }
    for (int i = 0; i < 2; i++)
        line[i] = (double)source->counts[(int)middle - 1] * pow(ends[i] / middle, -exponent);
    rv_figure *figure = rv_study_figure(run, "zipf", "The words of the text", "How often each word occurs in the training text, by rank, and the power law fitted between ranks 10 and 1000.",
                                        (rv_axis){.label = "rank", .log = true}, (rv_axis){.label = "count", .log = true});
    rv_figure_series(figure, "words", RV_SERIES_POINTS, n, x, y);
    rv_figure_series(figure, "fit", RV_SERIES_LINE, 2, ends, line);
}

static int more_often(const rv_source *source, int64_t times)
{
    int k = 0; /* counts fall */
    while (k < source->classes && source->counts[k] > times)
        k++;
    return k;
}

rv_status rv_imbalance_zipf(rv_study_run *run, const rv_words_spec *spec, int *classes, rv_error *err)
{
    rv_source *source;
    RV_TRY(open_words(run, spec, &source, err)); /* what is trained on */
    *classes = source->classes;
    rv_source_free(source);
    RV_TRY(open_words(run, &(rv_words_spec){0}, &source, err)); /* all of the text */
    double to = fmin(FIT_TO, source->classes), total = total_of(source), sum = 0;
    double exponent = exponent_of(source, FIT_FROM, to);
    int half = 0;
    while (sum < total / 2)
        sum += (double)source->counts[half++];
    rv_study_measure(run, "zipf", exponent);
    rv_study_note(run, "%s; the exponent of Zipf's law is %.3f, %d words are half of the text, the %d rarest occur at most five times.", source->description, exponent, half,
                  source->classes - more_often(source, 5));
    draw_zipf(run, source, exponent, to);
    rv_source_free(source);
    return RV_OK;
}
