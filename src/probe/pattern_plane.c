/* The plane of networks and its gradient, back through the projection that keeps its axes orthogonal
 * and of one length. */
#include "probe/pattern_plane.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

rv_status rv_pattern_plane_init(rv_pattern_plane *p, int64_t n, rv_error *err)
{
    *p = (rv_pattern_plane){.n = n, .memory = calloc(8 * (size_t)n, sizeof(double))};
    if (!p->memory)
        return rv_fail(err, RV_E_MEMORY, "no memory for a plane of %lld numbers", (long long)n);
    double **parts[] = {&p->origin, &p->right, &p->up, &p->r, &p->u, &p->g_origin, &p->g_right, &p->g_up};
    for (size_t k = 0; k < 8; k++)
        *parts[k] = p->memory + k * (size_t)n;
    return RV_OK;
}

void rv_pattern_plane_derive(rv_pattern_plane *p)
{
    for (int64_t i = 0; i < p->n; i++)
        p->r[i] = p->right[i] - p->origin[i];
    double rr = dot(p->r, p->r, p->n), c = dot(p->up, p->r, p->n) / rr;
    for (int64_t i = 0; i < p->n; i++)
        p->u[i] = p->up[i] - c * p->r[i];
    double factor = sqrt(rr / dot(p->u, p->u, p->n));
    for (int64_t i = 0; i < p->n; i++) {
        p->u[i] *= factor;
        p->g_origin[i] = p->g_right[i] = p->g_up[i] = 0;
    }
    p->g_scale = 0;
}

static void offsets(const rv_pattern_plane *p, int cell, double *a, double *b)
{
    *a = cell / p->side - (p->side - 1) / 2.0;
    *b = cell % p->side - (p->side - 1) / 2.0;
}

double rv_pattern_plane_at(const rv_pattern_plane *p, int cell, int64_t i)
{
    double a, b;
    offsets(p, cell, &a, &b);
    return p->origin[i] + p->scale * (a * p->u[i] + b * p->r[i]);
}

void rv_pattern_plane_add(rv_pattern_plane *p, int cell, double weight, const double *g)
{
    double a, b;
    offsets(p, cell, &a, &b);
    for (int64_t i = 0; i < p->n; i++) {
        double value = weight * g[i];
        p->g_origin[i] += value;
        p->g_up[i] += p->scale * a * value;
        p->g_right[i] += p->scale * b * value;
        p->g_scale += value * (a * p->u[i] + b * p->r[i]);
    }
}

/* Back through the projection: u = |r| v / |v|, v = up - c r, c = <up, r> / <r, r>. */
void rv_pattern_plane_finish(rv_pattern_plane *p)
{
    int64_t n = p->n;
    double rr = dot(p->r, p->r, n), c = dot(p->up, p->r, n) / rr, length = sqrt(rr);
    double along = dot(p->u, p->g_up, n) / length; /* <u / |u|, g_u>; |u| = |r| */
    double vv = dot(p->up, p->up, n) - c * c * rr, shrink = length / sqrt(vv);
    for (int64_t i = 0; i < n; i++) {
        p->g_right[i] += along * p->r[i] / length;
        p->g_up[i] = shrink * (p->g_up[i] - along * p->u[i] / length); /* now of v */
    }
    double rv = dot(p->r, p->g_up, n);
    for (int64_t i = 0; i < n; i++) {
        p->g_right[i] -= c * p->g_up[i] + rv * (p->up[i] - 2 * c * p->r[i]) / rr;
        p->g_up[i] -= rv / rr * p->r[i];
        p->g_origin[i] -= p->g_right[i];
    }
}

double rv_pattern_plane_error(rv_error *err)
{
    enum { N = 7, K = 3 };
    static const int at[K] = {3, 48, 91};
    rv_pattern_plane p;
    double g[K][N], worst = 0;
    if (rv_pattern_plane_init(&p, N, err) != RV_OK)
        return NAN;
    p.side = 10;
    for (int i = 0; i < 3 * N; i++)
        p.memory[i] = rv_random_normal((rv_random){1, RV_RANDOM_PROBE, 0}, (uint64_t)i);
    for (int i = 0; i < K * N; i++)
        g[i / N][i % N] = rv_random_normal((rv_random){1, RV_RANDOM_PROBE, 1}, (uint64_t)i);
    p.scale = 0.3;
    rv_pattern_plane_derive(&p);
    for (int k = 0; k < K; k++)
        rv_pattern_plane_add(&p, at[k], 1, g[k]);
    rv_pattern_plane_finish(&p);
    double exact[3 * N];
    memcpy(exact, p.g_origin, sizeof exact);
    for (int i = 0; i < 3 * N; i++) {
        double side[2] = {0}, keep = p.memory[i];
        for (int s = 0; s < 2; s++) {
            p.memory[i] = keep + (s ? 1e-6 : -1e-6);
            rv_pattern_plane_derive(&p);
            for (int k = 0; k < K * N; k++)
                side[s] += g[k / N][k % N] * rv_pattern_plane_at(&p, at[k / N], k % N);
        }
        p.memory[i] = keep;
        worst = fmax(worst, fabs((side[1] - side[0]) / 2e-6 - exact[i]) / (1 + fabs(exact[i])));
    }
    free(p.memory);
    return worst;
}
