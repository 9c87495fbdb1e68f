/* Planes through the space of weights: making them, and the values over them. */
#include "ravine/landscape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "probe/vector.h"

rv_status rv_plane_new(rv_plane *plane, const rv_objective *objective, const void *w, rv_error *err)
{
    int64_t n = objective->layout->size;
    *plane = (rv_plane){.size = n, .origin = rv_vector_new(objective, 3, err)};
    if (!plane->origin)
        return RV_E_MEMORY;
    plane->u = plane->origin + n;
    plane->v = plane->u + n;
    for (int64_t i = 0; i < n; i++)
        plane->origin[i] = rv_vector_at(w, objective->dtype, i);
    return RV_OK;
}

void rv_plane_release(rv_plane *plane)
{
    free(plane->origin);
    *plane = (rv_plane){0};
}

rv_status rv_plane_random(rv_plane *plane, const rv_objective *objective, const void *w, rv_direction kind,
                          uint64_t seed, uint64_t index, rv_error *err)
{
    RV_TRY(rv_plane_new(plane, objective, w, err));
    rv_direction_draw(objective, w, kind, seed, 2 * index, plane->u);
    rv_direction_draw(objective, w, kind, seed, 2 * index + 1, plane->v);
    return RV_OK;
}

/* direction <- w - origin */
static void towards(const rv_plane *plane, rv_dtype dtype, const void *w, double *direction)
{
    for (int64_t i = 0; i < plane->size; i++)
        direction[i] = rv_vector_at(w, dtype, i) - plane->origin[i];
}

rv_status rv_plane_through(rv_plane *plane, const rv_objective *objective, const void *a, const void *b, const void *c,
                           rv_error *err)
{
    RV_TRY(rv_plane_new(plane, objective, a, err));
    int64_t n = plane->size;
    towards(plane, objective->dtype, b, plane->u);
    towards(plane, objective->dtype, c, plane->v);
    double first = rv_vector_norm(plane->u, n), second = rv_vector_norm(plane->v, n);
    if (first > 0) {
        rv_vector_scale(plane->u, 1 / first, n);
        for (int pass = 0; pass < 2; pass++) /* the second for the rounding of the first */
            rv_vector_add(plane->v, -rv_vector_dot(plane->v, plane->u, n), plane->u, n);
    }
    double rest = rv_vector_norm(plane->v, n);
    if (!(first > 0) || !(rest > 1e-7 * second))
        return rv_fail(err, RV_E_ARGUMENT, "%s: no plane through three points on a line", objective->name);
    rv_vector_scale(plane->v, 1 / rest, n);
    return RV_OK;
}

rv_status rv_plane_principal(rv_plane *plane, const rv_objective *objective, const void *const *points, int count,
                             double shares[2], rv_error *err)
{
    RV_TRY(rv_plane_new(plane, objective, points[count - 1], err));
    return rv_pca(objective, points, count, 2, plane->u, shares, err); /* u and v lie side by side */
}

void rv_plane_point(const rv_plane *plane, rv_dtype dtype, double x, double y, void *w)
{
    for (int64_t i = 0; i < plane->size; i++)
        rv_vector_set(w, dtype, i, plane->origin[i] + x * plane->u[i] + y * plane->v[i]);
}

void rv_plane_coordinates(const rv_plane *plane, rv_dtype dtype, const void *w, double *x, double *y, double *distance)
{
    double uu = 0, uv = 0, vv = 0, du = 0, dv = 0, rest = 0;
    for (int64_t i = 0; i < plane->size; i++) {
        double u = plane->u[i], v = plane->v[i], d = rv_vector_at(w, dtype, i) - plane->origin[i];
        uu += u * u;
        uv += u * v;
        vv += v * v;
        du += d * u;
        dv += d * v;
    }
    /* elimination of u: what v adds to it */
    double slope = uu > 0 ? uv / uu : 0, own = vv - slope * uv;
    double b = own > 1e-14 * vv ? (dv - slope * du) / own : 0, a = uu > 0 ? (du - b * uv) / uu : 0;
    for (int64_t i = 0; i < plane->size; i++)
        rest += pow(rv_vector_at(w, dtype, i) - plane->origin[i] - a * plane->u[i] - b * plane->v[i], 2);
    if (x)
        *x = a;
    if (y)
        *y = b;
    if (distance)
        *distance = sqrt(rest);
}

rv_status rv_plane_values(const rv_plane *plane, const rv_view *view, int nx, const double *x, int ny, const double *y,
                          double *values, const volatile int *stop, rv_error *err)
{
    rv_dtype dtype = view->probe.objective->dtype;
    void *point = rv_weights_new(view->probe.objective, err);
    rv_status status = point ? RV_OK : RV_E_MEMORY;
    for (int k = 0; k < nx * ny && status == RV_OK; k++) {
        if (k % nx == 0 && stop && *stop) {
            status = rv_fail(err, RV_E_INTERRUPTED, "%s: stopped in row %d of a plane", view->probe.objective->name, k / nx);
            break;
        }
        rv_plane_point(plane, dtype, x[k % nx], y[k / nx], point);
        status = rv_view_value(view, point, &values[k], err);
    }
    free(point);
    return status;
}
