/* The spectrum of a Hessian from several Lanczos runs: its ends, its trace, its density. */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "probe/vector.h"

/* The trace by one start: the mean of its measure times the number of parameters. */
static double trace_of(const rv_ritz *ritz, int made, double parameters)
{
    double mean = 0;
    for (int i = 0; i < made; i++)
        mean += ritz[i].weight * ritz[i].value;
    return parameters * mean;
}

static rv_status run_starts(const rv_probe_target *probe, const void *w, uint64_t seed, rv_spectrum *s, rv_error *err)
{
    double sum = 0, squares = 0, parameters = (double)rv_layout_parameters(probe->objective->layout);
    for (int k = 0; k < s->starts; k++) {
        rv_ritz *own = s->ritz + (size_t)k * (size_t)s->steps;
        RV_TRY(rv_probe_lanczos(probe, w, seed, (uint64_t)k, s->steps, own, &s->made[k], err));
        const rv_ritz *last = &own[s->made[k] - 1];
        s->least = k == 0 || own->value < s->least.value ? *own : s->least;
        s->most = k == 0 || last->value > s->most.value ? *last : s->most;
        double trace = trace_of(own, s->made[k], parameters);
        sum += trace;
        squares += trace * trace;
    }
    double mean = sum / s->starts, spread = fmax(squares / s->starts - mean * mean, 0);
    s->trace = (rv_estimate){mean, s->starts > 1 ? sqrt(spread / (s->starts - 1)) : NAN, s->starts};
    return RV_OK;
}

rv_status rv_probe_spectrum(const rv_probe_target *probe, const void *w, uint64_t seed, int starts, int steps,
                            rv_spectrum *spectrum, rv_error *err)
{
    assert(starts >= 1 && steps >= 1);
    *spectrum = (rv_spectrum){.starts = starts, .steps = steps, .made = calloc((size_t)starts, sizeof *spectrum->made),
                              .ritz = calloc((size_t)starts * (size_t)steps, sizeof *spectrum->ritz)};
    if (!spectrum->made || !spectrum->ritz)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for a spectrum", probe->objective->name);
    return run_starts(probe, w, seed, spectrum, err);
}

void rv_spectrum_release(rv_spectrum *spectrum)
{
    free(spectrum->made);
    free(spectrum->ritz);
    spectrum->made = NULL;
    spectrum->ritz = NULL;
}

void rv_spectrum_curve(const rv_spectrum *s, double width, int n, double *x, double *density, double *error)
{
    double least = fmin(s->least.value, 0), span = fmax(s->most.value, 0) - least;
    for (int i = 0; i < n; i++)
        x[i] = least - 0.05 * span + 1.1 * span * i / (n - 1);
    rv_spectral_density(s->ritz, s->made, s->starts, s->steps, width * span, n, x, density, error);
}
