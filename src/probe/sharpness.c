/* Sharpness in a box around the weights (Keskar et al. 2017, metric 2.1). */
#include <math.h>
#include <stdlib.h>

#include "probe/vector.h"

/* The box of parameter i: |y_i| <= epsilon (|w_i| + 1). */
static double half_width(const rv_objective *o, const void *w, int64_t i, double epsilon)
{
    return epsilon * (fabs(rv_vector_at(w, o->dtype, i)) + 1);
}

/* y <- y + half a box along the sign of g, kept inside; gaps have no gradient and stay. */
static void climb(const rv_objective *o, const void *w, double epsilon, const double *g, double *y)
{
    for (int64_t i = 0; i < o->layout->size; i++) {
        double box = half_width(o, w, i, epsilon);
        y[i] += g[i] > 0 ? box / 2 : g[i] < 0 ? -box / 2 : 0;
        y[i] = fmin(fmax(y[i], -box), box);
    }
}

rv_status rv_probe_box_sharpness(const rv_probe_target *probe, const void *w, double epsilon, int steps,
                                 double *sharpness, rv_error *err)
{
    rv_objective *o = probe->objective;
    int64_t n = o->layout->size;
    double *g = rv_vector_new(o, 2, err), centre = 0, highest = -HUGE_VAL;
    void *moved = g ? rv_weights_new(o, err) : NULL;
    rv_status status = moved ? rv_probe_gradient(probe, w, g, &centre, err) : RV_E_MEMORY;
    for (int k = 0; k < steps && status == RV_OK; k++) {
        double loss;
        climb(o, w, epsilon, g, g + n);
        rv_vector_move(moved, w, o->dtype, 1, g + n, n);
        status = rv_probe_gradient(probe, moved, g, &loss, err);
        highest = status == RV_OK ? fmax(highest, loss) : highest;
    }
    *sharpness = 100 * fmax(highest - centre, 0) / (1 + centre);
    free(g);
    free(moved);
    return status;
}
