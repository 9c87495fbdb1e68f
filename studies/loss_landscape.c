/* Loss landscapes of residual nets with and without skips: convexity counted, not looked at;
 * the trajectory's plane, the Hessian's plane, and paths between minima. */
#include <math.h>
#include <stdlib.h>

#include "studies/landscape.h"

RV_PARAM_TABLE(table, "loss-landscape", rv_landscape_params, RV_LANDSCAPE_PARAMS);

#define FIGURE_7 "Li et al. 2018, figure 7: convex regions have eigenvalue ratios near 0"
#define TWO_DIMENSIONS "Li et al. 2018, section 7.2: 0.4 to 0.9 in two dimensions"

static const rv_claim claims[] = {
    {"skip_trains", "20 layers with skips learn the training digits", "training accuracy, smaller net with skips", "Li et al. 2018, table 1", 0.98, 1, RV_CLAIM_EVERY, true},
    {"plain_trains", "and without skips too", "training accuracy, smaller net without", "Li et al. 2018, table 1", 0.95, 1, RV_CLAIM_EVERY, true},
    {"deep_skip_trains", "With skips 56 layers learn them as well", "training accuracy, larger net with skips", "Li et al. 2018, table 1", 0.95, 1, RV_CLAIM_EVERY, true},
    {"deep_plain_fails", "without skips they do not, at neither of the paper's rates", "training accuracy, larger net without, the better of lr and lr / 10",
     "slide; the paper's ResNet-56-noshort trains at a loss of accuracy only, this narrow one not at all", 0, 0.5, RV_CLAIM_EVERY, true},
    {"convex_skip", "With skips the basin is nearly convex", "share of points below ln 10 that are not convex, mean over directions", "Li et al. 2018: a convex-looking region around the minimum",
     0, 0.05, RV_CLAIM_EVERY, true},
    {"convex_plain", "without it is not", "share of points below ln 10 that are not convex, mean over directions", "Li et al. 2018: without skips non-convex", 0.1, 1, RV_CLAIM_EVERY, true},
    {"convex_order", "whatever directions are drawn", "smallest share without skips - largest share with, over directions", "control: a difference of two pictures could be one of directions",
     1e-9, 1, RV_CLAIM_EVERY, true},
    {"convex_deep", "With skips the deeper net's basin is nearly convex too", "share of points below ln 10 that are not convex, mean over directions", "Li et al. 2018: skips keep deep nets convex",
     0, 0.12, RV_CLAIM_EVERY, true},
    {"area", "and skips make the basin wider", "points below ln 10, with skips / without", "Li et al. 2018: flatter minima", 1.1, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"share", "Most of a trajectory lies in a plane", "share of its variance in two dimensions, with skips", TWO_DIMENSIONS, 0.4, 0.9, RV_CLAIM_EVERY, true},
    {"share_plain", "also without skips", "share of its variance in two dimensions, without", TWO_DIMENSIONS, 0.4, 0.9, RV_CLAIM_EVERY, true},
    {"random_share", "but not in a random plane", "share of the squared distances in two Gaussian directions", "Li et al. 2018, section 7.1: random directions show almost nothing; 2 / n is due",
     0, 0.01, RV_CLAIM_EVERY, true},
    {"walk_share", "though a random walk has as much in two dimensions", "share of the variance in two dimensions, Gaussian random walk as long",
     "control: Antognini and Sohl-Dickstein 2018: 6 / pi^2 (1 + 1/4) = 0.76 for a long walk", 0.7, 0.82, RV_CLAIM_EVERY, false},
    {"eigenvector", "Lanczos finds the directions of largest curvature (GELU)", "|H v - lambda v| / lambda of the two largest, the worse of both nets", "control of the probe", 0, 0.02, RV_CLAIM_EVERY, true},
    {"curvature", "along which the loss rises as the eigenvalue says", "second difference of the training loss / eigenvalue, both nets", "control: Taylor's theorem", 0.9, 1.1, RV_CLAIM_EVERY, true},
    {"ratio_skip", "At the end of training negative curvature is small", "|smallest| / largest eigenvalue, with skips", FIGURE_7, 0, 0.1, RV_CLAIM_EVERY, true},
    {"ratio_order", "smaller than without skips", "|smallest| / largest eigenvalue, with skips / without", FIGURE_7, 0, 1, RV_CLAIM_MEAN, true},
    {"barrier", "On the straight line between two minima there is a barrier", "largest excess of the training loss over the ends' interpolation", "Garipov et al. 2018, figure 1 left; ln 10 is chance",
     0.5, HUGE_VAL, RV_CLAIM_EVERY, true},
    {"bridge", "that vanishes along a trained curve", "barrier along the Bezier curve / on the line", "Garipov et al. 2018; Draxler et al. 2018: no barriers", 0, 0.1, RV_CLAIM_EVERY, true},
    {"bridge_train", "on which the training accuracy stays", "lower end's - lowest training accuracy on the curve", "Garipov et al. 2018, section 3", -1, 0.02, RV_CLAIM_EVERY, true},
    {"bridge_test", "and the test accuracy", "lower end's - lowest test accuracy on the curve", "Garipov et al. 2018, section 3", -1, 0.03, RV_CLAIM_EVERY, true},
    {NULL, NULL, NULL, NULL, 0, 0, RV_CLAIM_EVERY, false}};

enum { DEEP_SLOW, DEEP_PLAIN, DEEP_SKIP, SMOOTH_PLAIN, SMOOTH_SKIP, PLAIN, SKIP, NETS, MINIMA = 3 }; /* the slowest first: workers end together */

/* ---- measuring ------------------------------------------------------------------------------- */

typedef struct spread {
    double mean, low, high;
} spread;

static spread of_directions(const rv_landscape_net *net)
{
    spread s = {0, HUGE_VAL, -HUGE_VAL};
    int n = (int)net->o->directions;
    for (int d = 0; d < n; d++) {
        s.mean += net->basin[d].bent / n;
        s.low = fmin(s.low, net->basin[d].bent);
        s.high = fmax(s.high, net->basin[d].bent);
    }
    return s;
}

static double area(const rv_landscape_net *net)
{
    double sum = 0;
    for (int d = 0; d < net->o->directions; d++)
        sum += net->basin[d].area / (double)net->o->directions;
    return sum;
}

static void measure_basins(rv_study_run *run, const rv_landscape_net *nets)
{
    spread skip = of_directions(&nets[SKIP]), plain = of_directions(&nets[PLAIN]);
    rv_study_measure(run, "skip_trains", nets[SKIP].train);
    rv_study_measure(run, "plain_trains", nets[PLAIN].train);
    rv_study_measure(run, "deep_skip_trains", nets[DEEP_SKIP].train);
    rv_study_measure(run, "deep_plain_fails", fmax(nets[DEEP_PLAIN].train, nets[DEEP_SLOW].train));
    rv_study_measure(run, "convex_skip", skip.mean);
    rv_study_measure(run, "convex_plain", plain.mean);
    rv_study_measure(run, "convex_order", plain.low - skip.high);
    rv_study_measure(run, "convex_deep", of_directions(&nets[DEEP_SKIP]).mean);
    rv_study_measure(run, "area", area(&nets[SKIP]) / area(&nets[PLAIN]));
    rv_study_reason(run, "deep_skip_trains", "It trains, but not to the end: in 80 epochs at this rate the deep net is not done with these digits, in training mode either. Without skips it stays near chance.");
    rv_study_reason(run, "area", "At this depth both basins are of one size: skips change the shape of the basin, not its area. The paper's wide minima are those of deeper nets, which do not train here without skips.");
    for (int k = NETS - 1; k >= 0; k--) {
        const rv_landscape_net *net = &nets[k];
        spread s = of_directions(net);
        if (net->slices)
            rv_study_note(run, "%s, seed %d: training accuracy %.1f %%, test %.1f %%, training loss %.2g; not convex below ln 10: %.1f %% of the points (%.1f to %.1f over directions), basin %.1f %% of the square.",
                          net->name, (int)net->seed, 100 * net->train, 100 * net->test, net->loss, 100 * s.mean, 100 * s.low, 100 * s.high, 100 * area(net));
        else if (!net->curvature)
            rv_study_note(run, "%s, seed %d: training accuracy %.1f %%, test %.1f %%, training loss %.2g.", net->name, (int)net->seed, 100 * net->train, 100 * net->test, net->loss);
    }
}

static void measure_trajectories(rv_study_run *run, const rv_landscape_net *nets)
{
    rv_study_measure(run, "share", nets[SKIP].share);
    rv_study_measure(run, "share_plain", nets[PLAIN].share);
    rv_study_measure(run, "random_share", nets[SKIP].random_share);
    rv_study_measure(run, "walk_share", nets[SKIP].walk_share);
    for (int k = SKIP; k >= PLAIN; k--)
        rv_study_note(run, "%s, seed %d: two dimensions hold %.1f %% of the trajectory's variance, a random plane %.3f %%. Kinks: the Ritz value %.3g comes with |H v - lambda v| = %.2g.",
                      nets[k].name, (int)nets[k].seed, 100 * nets[k].share, 100 * nets[k].random_share, nets[k].pairs[0].value, nets[k].pairs[0].residual);
}

static void measure_curvature(rv_study_run *run, const rv_landscape_net *nets)
{
    double residual = 0, ratio[NETS];
    for (int k = SMOOTH_SKIP; k >= SMOOTH_PLAIN; k--) {
        const rv_eigen *pairs = nets[k].pairs;
        for (int i = 0; i < 2; i++)
            residual = fmax(residual, pairs[i].residual / pairs[i].value);
        ratio[k] = fabs(fmin(pairs[2].value, 0)) / pairs[0].value;
        rv_study_measure(run, "curvature", nets[k].bend);
        rv_study_note(run, "%s, seed %d: training accuracy %.1f %%, training loss %.2g; largest eigenvalues %.4g and %.4g, smallest %.4g.", nets[k].name, (int)nets[k].seed,
                      100 * nets[k].train, nets[k].loss, pairs[0].value, pairs[1].value, pairs[2].value);
    }
    rv_study_measure(run, "eigenvector", residual);
    rv_study_measure(run, "ratio_skip", ratio[SMOOTH_SKIP]);
    rv_study_reason(run, "ratio_skip", "It differs between seeds more than between the nets with skips and without: three seeds do not settle it.");
    rv_study_reason(run, "ratio_order", "It differs between seeds more than between the nets with skips and without: three seeds do not settle it.");
    rv_study_measure(run, "ratio_order", ratio[SMOOTH_SKIP] / ratio[SMOOTH_PLAIN]);
}

static double least(const double *x)
{
    double low = HUGE_VAL;
    for (int k = 0; k < RV_LANDSCAPE_TIMES; k++)
        low = fmin(low, x[k]);
    return low;
}

static void measure_bridge(rv_study_run *run, const rv_landscape_bridge *b)
{
    const int last = RV_LANDSCAPE_TIMES - 1;
    double barrier[2];
    for (int k = 0; k < 2; k++)
        barrier[k] = rv_curve_barrier(RV_LANDSCAPE_TIMES, b->t, b->loss[k]);
    rv_study_measure(run, "barrier", barrier[0]);
    rv_study_measure(run, "bridge", barrier[1] / barrier[0]);
    rv_study_measure(run, "bridge_train", fmin(b->train[1][0], b->train[1][last]) - least(b->train[1]));
    rv_study_measure(run, "bridge_test", fmin(b->test[1][0], b->test[1][last]) - least(b->test[1]));
    rv_study_note(run, "Minima %d and %d: barrier %.3g on the line, %.3g along the curve; lowest training accuracy %.1f and %.1f %%, lowest test accuracy %.1f and %.1f %%.",
                  (int)b->ends[0]->seed, (int)b->ends[1]->seed, barrier[0], barrier[1], 100 * least(b->train[0]), 100 * least(b->train[1]), 100 * least(b->test[0]),
                  100 * least(b->test[1]));
}

/* ---- running --------------------------------------------------------------------------------- */

static void net_task(void *context, int task, int worker)
{
    (void)worker;
    rv_landscape_net_job((rv_landscape_net *)context + task);
}

static void bridge_task(void *context, int task, int worker)
{
    (void)worker;
    rv_landscape_bridge_job((rv_landscape_bridge *)context + task);
}

static rv_status failure(rv_status status, const rv_error *found, rv_error *err)
{
    if (status != RV_OK && err)
        *err = *found;
    return status;
}

static void describe(rv_study_run *run, const rv_landscape_params *o, uint64_t seed, rv_landscape_net *nets)
{
    static const struct {
        const char *name;
        bool deep, skips, slow, smooth;
    } kinds[NETS] = {[DEEP_SLOW] = {"larger without skips, a tenth of the rate", true, false, true, false},
                     [DEEP_PLAIN] = {"larger without skips", true, false, false, false},
                     [DEEP_SKIP] = {"larger with skips", true, true, false, false},
                     [SMOOTH_PLAIN] = {"smaller without skips, GELU", false, false, false, true},
                     [SMOOTH_SKIP] = {"smaller with skips, GELU", false, true, false, true},
                     [PLAIN] = {"smaller without skips", false, false, false, false},
                     [SKIP] = {"smaller with skips", false, true, false, false}};
    for (int k = 0; k < NETS; k++)
        nets[k] = (rv_landscape_net){.run = run, .o = o, .name = kinds[k].name, .layers = (int)(kinds[k].deep ? o->deep : o->shallow), .skips = kinds[k].skips,
                                     .act = kinds[k].smooth ? RV_ACT_GELU : RV_ACT_RELU, .slices = !kinds[k].slow && !kinds[k].smooth,
                                     .trajectory = !kinds[k].deep && !kinds[k].smooth, .curvature = kinds[k].smooth,
                                     .lr = kinds[k].slow ? o->lr / 10 : o->lr, .seed = seed};
}

/* All nets of a seed side by side; of seeds beyond the study's own only the minimum that the curves need. */
static rv_status one_seed(rv_study_run *run, const rv_landscape_params *o, int seed, rv_landscape_net *nets, rv_error *err)
{
    describe(run, o, (uint64_t)seed, nets);
    if (seed >= run->seeds) {
        nets[SKIP].slices = nets[SKIP].trajectory = false;
        net_task(nets, SKIP, 0);
        return failure(nets[SKIP].status, &nets[SKIP].err, err);
    }
    rv_pool_run(run->pool, NETS, net_task, nets);
    for (int k = 0; k < NETS; k++)
        RV_TRY(failure(nets[k].status, &nets[k].err, err));
    measure_basins(run, nets);
    measure_trajectories(run, nets);
    measure_curvature(run, nets);
    if (seed == 0)
        rv_landscape_draw_nets(run, nets, NETS);
    return RV_OK;
}

/* Minimum s to minimum s + 1, around. */
static rv_status bridges(rv_study_run *run, const rv_landscape_net *nets, int minima, rv_error *err)
{
    int count = run->seeds;
    rv_landscape_bridge *all = calloc((size_t)count, sizeof *all);
    if (!all)
        return rv_fail(err, RV_E_MEMORY, "no memory for %d curves", count);
    for (int s = 0; s < count; s++) {
        all[s].ends[0] = &nets[s * NETS + SKIP];
        all[s].ends[1] = &nets[(s + 1) % minima * NETS + SKIP];
        all[s].third = s == 0 ? &nets[2 * NETS + SKIP] : NULL;
    }
    rv_pool_run(run->pool, count, bridge_task, all);
    rv_status status = RV_OK;
    for (int s = 0; s < count && status == RV_OK; s++)
        status = failure(all[s].status, &all[s].err, err);
    for (int s = 0; s < count && status == RV_OK; s++)
        measure_bridge(run, &all[s]);
    if (status == RV_OK)
        rv_landscape_draw_bridges(run, all, count);
    for (int s = 0; s < count; s++)
        rv_landscape_bridge_release(&all[s]);
    free(all);
    return status;
}

static rv_status run_all(rv_study_run *run, const rv_landscape_params *o, rv_landscape_net *nets, int minima, rv_error *err)
{
    for (int s = 0; s < minima; s++) {
        RV_TRY(rv_study_progress(run, 0.8 * s / minima, "nets of seed %d", s));
        RV_TRY(one_seed(run, o, s, nets + s * NETS, err));
    }
    rv_landscape_draw_shares(run, nets, NETS, run->seeds);
    RV_TRY(rv_study_progress(run, 0.8, "curves between minima"));
    return bridges(run, nets, minima, err);
}

static rv_status run_study(rv_study_run *run, const void *values, rv_error *err)
{
    const rv_landscape_params *o = values;
    if (o->shallow % 2 || o->deep % 2 || o->images % RV_LANDSCAPE_BATCH || o->evaluate % 64 || o->points % 2 == 0)
        return rv_fail(err, RV_E_ARGUMENT, "loss-landscape: expected even layers, odd points, images a multiple of %d and evaluate of 64, found %lld and %lld, %lld, %lld, %lld",
                       RV_LANDSCAPE_BATCH, (long long)o->shallow, (long long)o->deep, (long long)o->points, (long long)o->images, (long long)o->evaluate);
    int minima = run->seeds > MINIMA ? run->seeds : MINIMA;
    rv_landscape_net *nets = calloc((size_t)(minima * NETS), sizeof *nets);
    rv_status status = nets ? run_all(run, o, nets, minima, err) : rv_fail(err, RV_E_MEMORY, "no memory for %d nets", minima * NETS);
    for (int k = 0; nets && k < minima * NETS; k++)
        rv_landscape_net_release(&nets[k]);
    free(nets);
    return status;
}

const rv_study rv_study_loss_landscape = {
    .name = "loss-landscape",
    .title = "The loss landscape of residual nets, with skips and without",
    .question = "Skip connections are said to turn a chaotic landscape into a smooth bowl. How much of the basin is not convex, in numbers, over several pairs "
                "of directions? What do a trajectory, the Hessian and a path between two minima look like in planes of their own?",
    .method = "Perceptrons of width 32 with batch norm, a stem, blocks of two layers and a head, on 1408 digits of 7 x 7 pixels (the paper: ResNets on CIFAR-10). 80 epochs, batch 128, Nesterov\n"
              "momentum 0.9, weight decay 5e-4, lr 0.1 divided by ten after 1/2, 3/4 and 11/12, as the paper's 300 epochs; He initialisation, head N(0, 1e-3^2). Random planes: Gaussian\n"
              "directions, every row of a weight matrix scaled to the norm of its weights, gains, shifts and biases fixed; 31 x 31 points over [-1, 1]^2, loss of 704 training digits in\n"
              "evaluation mode with the statistics of the centre. A point is not convex where the second differences of the grid have a negative eigenvalue; only points below ln 10, the loss\n"
              "of a guess, count, for in the far field the loss saturates. Trajectory: weights of every epoch, components about their mean, plane through the last point. Hessian: of the\n"
              "training-mode loss over one epoch's batches, 40 Lanczos steps in float64; its plane shows that same function. Its nets have GELU for ReLU: a net with kinks has no Hessian at the\n"
              "scale of a picture (first measured with ReLU, where products with it miss an eigenvector by 0.1 to 0.7 of the eigenvalue, whatever the step). Curves: Garipov et al. 2018, 160 epochs of the same recipe on the bend,\n"
              "whose weight decay acts on the bend alone instead of the curve's point; statistics recomputed at every point between minima.",
    .source = "Li et al. 2018; Garipov et al. 2018; Draxler et al. 2018; Antognini and Sohl-Dickstein 2018; Entezari et al. 2022",
    .cost = "4 min",
    .params = &table,
    .quick = "images=256,evaluate=128,shallow=6,deep=10,epochs=6,points=9,directions=2,curve=4",
    .seeds = 3,
    .quick_seeds = 1,
    .claims = claims,
    .run = run_study,
};
