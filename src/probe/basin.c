/* Counting in a picture: how much of it lies low, and how much of that is not convex. */
#include <math.h>

#include "ravine/landscape.h"

/* The largest |f| of the nine points whose differences are taken: rounding is relative to it. */
static double largest_around(const double *f, int nx)
{
    double largest = 0;
    for (int dj = -1; dj <= 1; dj++)
        for (int di = -1; di <= 1; di++)
            largest = fmax(largest, isfinite(f[dj * nx + di]) ? fabs(f[dj * nx + di]) : HUGE_VAL);
    return largest;
}

/* The smaller eigenvalue of (a, b; b, c), the second differences at f. */
static double smallest_difference(const double *f, int nx)
{
    double a = f[1] + f[-1] - 2 * f[0], c = f[nx] + f[-nx] - 2 * f[0];
    double b = (f[nx + 1] - f[nx - 1] - f[1 - nx] + f[-nx - 1]) / 4;
    return (a + c) / 2 - hypot((a - c) / 2, b);
}

rv_basin rv_grid_basin(int nx, int ny, const double *f, double level, double tolerance, const bool *mask)
{
    rv_basin out = {0};
    int points = 0, low = 0, inner = 0, bent = 0, bent_low = 0;
    for (int j = 0; j < ny; j++)
        for (int i = 0; i < nx; i++) {
            const double *at = f + j * nx + i;
            if (mask && !mask[j * nx + i])
                continue;
            bool inside = *at < level;
            points++;
            low += inside;
            double scale = i == 0 || j == 0 || i == nx - 1 || j == ny - 1 ? HUGE_VAL : largest_around(at, nx);
            if (!isfinite(scale))
                continue;
            bool down = smallest_difference(at, nx) < -tolerance * scale;
            inner++;
            bent += down;
            out.judged += inside;
            bent_low += inside && down;
        }
    out.area = points ? (double)low / points : NAN;
    out.bent = out.judged ? (double)bent_low / out.judged : NAN;
    out.bent_all = inner ? (double)bent / inner : NAN;
    return out;
}
