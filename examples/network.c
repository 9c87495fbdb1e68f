/* A network of one's own, in plain C99, under Ravine's optimizers: nothing here but this file knows
 * what a layer is.  SAM asks for a second gradient through the callback; the average that EMA keeps
 * is what is evaluated.  Learns y = x1 x2 with 8 hidden units.
 *     cc -std=c99 network.c $(pkg-config --cflags --libs ravine) -lm -o network */
#include <math.h>
#include <ravine/optim.h>
#include <stdio.h>

enum { HIDDEN = 8, EXAMPLES = 64, STEPS = 600 };

/* Loss and gradients of V tanh(W x + b), mean over the examples.  weights, gradients: W [8, 2], b [8], V [8]. */
static rv_status network(void *context, rv_probe probe, const void *const *weights, void *const *gradients, double *loss,
                         rv_error *err)
{
    const double *w = weights[0], *b = weights[1], *v = weights[2];
    double *gw = gradients[0], *gb = gradients[1], *gv = gradients[2];
    (void)context, (void)probe, (void)err;
    *loss = 0;
    for (int i = 0; i < HIDDEN; i++)
        gw[2 * i] = gw[2 * i + 1] = gb[i] = gv[i] = 0;
    for (int n = 0; n < EXAMPLES; n++) {
        double x[2] = {sin(1.7 * n), cos(2.3 * n)}, h[HIDDEN], residual = -x[0] * x[1];
        for (int i = 0; i < HIDDEN; i++)
            residual += v[i] * (h[i] = tanh(w[2 * i] * x[0] + w[2 * i + 1] * x[1] + b[i]));
        *loss += 0.5 * residual * residual / EXAMPLES;
        for (int i = 0; i < HIDDEN; i++) {
            double back = residual * v[i] * (1 - h[i] * h[i]) / EXAMPLES;
            gw[2 * i] += back * x[0], gw[2 * i + 1] += back * x[1], gb[i] += back;
            gv[i] += residual * h[i] / EXAMPLES;
        }
    }
    return RV_OK;
}

int main(void)
{
    static double weights[3][2 * HIDDEN], gradients[3][2 * HIDDEN], average[3][2 * HIDDEN], first, loss;
    void *w[] = {weights[0], weights[1], weights[2]}, *g[] = {gradients[0], gradients[1], gradients[2]};
    void *mean[] = {average[0], average[1], average[2]};
    rv_tensor tensors[] = {{.name = "W", .role = RV_ROLE_HIDDEN, .shape = RV_SHAPE(HIDDEN, 2)},
                           {.name = "b", .role = RV_ROLE_BIAS, .shape = RV_SHAPE(HIDDEN)},
                           {.name = "V", .role = RV_ROLE_HEAD, .shape = RV_SHAPE(1, HIDDEN)}};
    rv_optimizer_options options = {.method = "adamw", .params = "lr=0.02,weight_decay=1e-4", .dtype = RV_F64,
                                    .wrappers = "clip_norm(max_norm=1),sam(rho=0.02),ema(decay=0.95)"};
    rv_optimizer *optimizer;
    rv_error err;
    for (int i = 0; i < 2 * HIDDEN; i++)
        weights[0][i] = sin(3.1 * i), weights[2][i / 2] = 0.3 * cos(1.9 * i);
    rv_status status = rv_optimizer_new(&optimizer, &options, tensors, 3, (const void *const *)w, &err);
    for (int step = 0; step < STEPS && status == RV_OK; step++) {
        network(NULL, RV_PROBE_GRADIENT, (const void *const *)w, g, step == 0 ? &first : &loss, &err);
        rv_optimizer_set_lr_factor(optimizer, 1 - (double)step / STEPS);
        status = rv_optimizer_step_closure(optimizer, w, (const void *const *)g, network, NULL, &err);
    }
    if (status != RV_OK)
        return fprintf(stderr, "%s\n", err.message), 1;
    rv_optimizer_evaluation_weights(optimizer, (const void *const *)w, mean, NULL);
    network(NULL, RV_PROBE_GRADIENT, (const void *const *)mean, g, &loss, &err);
    printf("loss %g -> %g after %d steps\n", first, loss, (int)rv_optimizer_steps(optimizer));
    rv_optimizer_free(optimizer);
    return loss < 0.02 * first ? 0 : 1;
}
