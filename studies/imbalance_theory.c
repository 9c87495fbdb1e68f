/* Class imbalance where everything has a closed form.  Softmax regression with one input a class,
 * x = e_k with share pi_k, from W = 0: by symmetry class k has one margin z_k, its loss is
 * log(1 + (c - 1) e^-z).  Gradient flow: dz/dt = pi_k c / (e^z + c - 1), so e^z - 1 + (c - 1) z = c pi_k t,
 * and l ~ (c - 1) / (c pi_k t).  Sign descent: z = 2 lr step for every class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "objective/analytic.h"
#include "studies/imbalance.h"

enum { SIZE = 5, CLASSES = (1 << SIZE) - 1, PER_OCTAVE = 2, MOST = 64 };
static const double FLOW_LR = 0.25, SIGN_LR = 0.01;
enum { SIGN_STEPS = 1000, QUADRATIC_STEPS = 50 };

/* ---- the two objectives ------------------------------------------------------------------- */

static void start_zero(void *context, uint64_t seed, double *x)
{
    (void)seed;
    memset(x, 0, *(const size_t *)context);
}

/* log(1 + sum over j != k of e^(x_j - x_k)): keeps its digits when it is small. */
static double class_loss(const double *column, int k)
{
    double sum = 0;
    for (int j = 0; j < CLASSES; j++)
        sum += j == k ? 0 : exp(column[j] - column[k]);
    return log1p(sum);
}

/* w: column k, the logits of class k, at k * CLASSES. */
static double softmax_value(void *context, const double *w, rv_batch batch, double *g)
{
    (void)context, (void)batch;
    double loss = 0;
    for (int k = 0; k < CLASSES; k++) {
        const double *column = w + k * CLASSES;
        double share = rv_hierarchy_share(SIZE, k), sum = 0;
        for (int j = 0; j < CLASSES; j++)
            sum += g[k * CLASSES + j] = exp(column[j]);
        for (int j = 0; j < CLASSES; j++)
            g[k * CLASSES + j] = share * (g[k * CLASSES + j] / sum - (j == k));
        loss += share * (log(sum) - column[k]);
    }
    return loss;
}

/* 1/2 sum pi_k (w_k - 1)^2 */
static double quadratic_value(void *context, const double *w, rv_batch batch, double *g)
{
    (void)context, (void)batch;
    double loss = 0;
    for (int k = 0; k < CLASSES; k++) {
        double share = rv_hierarchy_share(SIZE, k);
        g[k] = share * (w[k] - 1);
        loss += g[k] * (w[k] - 1) / 2;
    }
    return loss;
}

/* ---- descents ------------------------------------------------------------------------------- */

typedef struct trace {
    const rv_study_run *run;
    const char *method, *params;
    int64_t steps;
    bool quadratic;
    int count;
    double step[MOST], of[CLASSES][MOST]; /* losses of the classes; of the quadratic: |w_k - 1| */
} trace;

/* Records are 2^(1 / PER_OCTAVE) apart, and the last step is one. */
static bool is_recorded(const trace *t, int64_t step)
{
    double next = t->count ? t->step[t->count - 1] * pow(2, 1.0 / PER_OCTAVE) : 1;
    return t->count < MOST && (step == t->steps || (double)step >= next);
}

static rv_status watch(void *context, int64_t step, const void *weights, double loss, rv_error *err)
{
    (void)loss, (void)err;
    trace *t = context;
    const double *w = weights;
    const rv_study_options *o = t->run->options;
    if (o->stop && *o->stop)
        return RV_E_INTERRUPTED;
    if (!is_recorded(t, step))
        return RV_OK;
    t->step[t->count] = (double)step;
    for (int k = 0; k < CLASSES; k++)
        t->of[k][t->count] = t->quadratic ? fabs(w[k] - 1) : class_loss(w + k * CLASSES, k);
    t->count++;
    return RV_OK;
}

static rv_status descend(trace *t, rv_error *err)
{
    int64_t size = t->quadratic ? CLASSES : CLASSES * CLASSES;
    size_t *bytes = malloc(sizeof *bytes);
    if (!bytes)
        return rv_fail(err, RV_E_MEMORY, "no memory for an objective");
    *bytes = (size_t)size * sizeof(double);
    rv_analytic formula = {.name = "imbalance", .size = size, .examples = 1, .context = bytes, .start = start_zero,
                           .value_grad = t->quadratic ? quadratic_value : softmax_value, .release = free};
    rv_objective *objective = NULL;
    RV_TRY(rv_analytic_new(&objective, &formula, RV_F64, err));
    rv_descent d = {.objective = objective, .method = t->method, .params = t->params, .steps = t->steps, .observe = watch, .context = t};
    void *w = rv_study_vector(objective, err);
    rv_status status = w ? rv_objective_init(objective, 0, w, err) : RV_E_MEMORY;
    if (status == RV_OK)
        status = rv_descend(&d, w, err);
    free(w);
    rv_objective_free(objective);
    return status;
}

/* ---- closed forms ------------------------------------------------------------------------------ */

/* The margin of gradient flow at c pi t: Newton from the right on a convex, increasing function. */
static double flow_margin(double cpt)
{
    double z = log1p(cpt);
    for (int i = 0; i < 100; i++)
        z -= (exp(z) - 1 + (CLASSES - 1) * z - cpt) / (exp(z) + CLASSES - 1);
    return z;
}

static double loss_of_margin(double z)
{
    return log1p((CLASSES - 1) * exp(-z));
}

/* Largest relative difference to the closed form over classes and records. */
static double apart(const trace *t, bool sign)
{
    double most = 0;
    for (int k = 0; k < CLASSES; k++)
        for (int i = 0; i < t->count; i++) {
            double z = sign ? 2 * SIGN_LR * t->step[i] : flow_margin(CLASSES * rv_hierarchy_share(SIZE, k) * FLOW_LR * t->step[i]);
            most = fmax(most, fabs(t->of[k][i] / loss_of_margin(z) - 1));
        }
    return most;
}

/* Largest relative difference between classes over the records. */
static double spread(const trace *t)
{
    double most = 0;
    for (int i = 0; i < t->count; i++)
        for (int k = 1; k < CLASSES; k++)
            most = fmax(most, fabs(t->of[k][i] / t->of[0][i] - 1));
    return most;
}

/* Largest |l_k pi_k t c / (c - 1) - 1| at the end. */
static double off_law(const trace *t)
{
    double most = 0;
    for (int k = 0; k < CLASSES; k++) {
        double time = FLOW_LR * t->step[t->count - 1];
        most = fmax(most, fabs(t->of[k][t->count - 1] * rv_hierarchy_share(SIZE, k) * time * CLASSES / (CLASSES - 1) - 1));
    }
    return most;
}

static double off_quadratic(const trace *t, double lr)
{
    double most = 0;
    for (int k = 0; k < CLASSES; k++)
        for (int i = 0; i < t->count; i++)
            most = fmax(most, fabs(t->of[k][i] - pow(1 - lr * rv_hierarchy_share(SIZE, k), t->step[i])));
    return most;
}

/* ---- the part of the study ------------------------------------------------------------------------ */

static void draw(rv_study_run *run, const char *name, const char *title, const char *caption, bool log_x, const trace *t, bool flow)
{
    rv_figure *figure = rv_study_figure(run, name, title, caption, (rv_axis){.label = "step", .log = log_x}, (rv_axis){.label = "loss of a class", .log = true});
    rv_figure_half(figure);
    for (int level = 0; level < SIZE; level++) {
        int k = (1 << level) - 1;
        char label[48];
        snprintf(label, sizeof label, "share 1/%d", SIZE << level);
        rv_figure_series(figure, label, RV_SERIES_LINE, t->count, t->step, t->of[k]);
        double y[MOST];
        for (int i = 0; flow && i < t->count; i++)
            y[i] = loss_of_margin(flow_margin(CLASSES * rv_hierarchy_share(SIZE, k) * FLOW_LR * t->step[i]));
        if (flow)
            rv_figure_series(figure, label, RV_SERIES_POINTS, t->count, t->step, y);
    }
}

rv_status rv_imbalance_theory(rv_study_run *run, int steps, rv_error *err)
{
    char flow_text[48], sign_text[48], quadratic_text[48];
    const double quadratic_lr = 0.9 / rv_hierarchy_share(SIZE, 0);
    snprintf(flow_text, sizeof flow_text, "lr=%g", FLOW_LR);
    snprintf(sign_text, sizeof sign_text, "lr=%g", SIGN_LR);
    snprintf(quadratic_text, sizeof quadratic_text, "lr=%.17g", quadratic_lr);
    trace flow = {.run = run, .method = "sgd", .params = flow_text, .steps = steps}, sign = {.run = run, .method = "signsgd", .params = sign_text, .steps = SIGN_STEPS};
    trace adam = {.run = run, .method = "adam", .params = "lr=0.01,eps=0", .steps = SIGN_STEPS};
    trace quadratic = {.run = run, .method = "sgd", .params = quadratic_text, .steps = QUADRATIC_STEPS, .quadratic = true};
    trace *const all[] = {&flow, &sign, &adam, &quadratic};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        RV_TRY(descend(all[i], err));
    rv_study_measure(run, "flow", apart(&flow, false));
    rv_study_measure(run, "law", off_law(&flow));
    rv_study_measure(run, "law_ratio", flow.of[CLASSES - 1][flow.count - 1] / flow.of[0][flow.count - 1]);
    rv_study_measure(run, "sign", apart(&sign, true));
    rv_study_measure(run, "sign_same", spread(&sign));
    rv_study_measure(run, "adam_same", spread(&adam));
    rv_study_measure(run, "quadratic", off_quadratic(&quadratic, quadratic_lr));
    draw(run, "theory-flow", "Theory: gradient descent", "One input a class, W = 0 at the start. Lines: gradient descent; points: the closed form of gradient flow. "
         "In the end the loss of a class is 1 / (share x time).", true, &flow, true);
    draw(run, "theory-sign", "Theory: sign descent", "The same problem: the curves of all classes are one curve, whatever their share.", false, &sign, false);
    return RV_OK;
}
