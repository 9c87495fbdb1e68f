/* The moments of adam.h in the type of the kernel; included in the kernel's half of a file. */

typedef struct RV_FN(moments) {
    RV_REAL beta1, beta2, rest1, rest2, rate, root, eps;
} RV_FN(moments);

RV_INLINE RV_FN(moments) RV_FN(moments_of)(const rv_moments *m)
{
    return (RV_FN(moments)){.beta1 = (RV_REAL)m->beta1,
                            .beta2 = (RV_REAL)m->beta2,
                            .rest1 = (RV_REAL)m->rest1,
                            .rest2 = (RV_REAL)m->rest2,
                            .rate = (RV_REAL)m->rate,
                            .root = (RV_REAL)m->root,
                            .eps = (RV_REAL)m->eps};
}

/* m and v of element i take in the gradient g. */
RV_INLINE void RV_FN(moments_add)(const RV_FN(moments) *c, RV_REAL *m, RV_REAL *v, RV_REAL g)
{
    *m = c->beta1 * *m + c->rest1 * g;
    *v = c->beta2 * *v + c->rest2 * g * g;
}

/* The step of element i along u: rate u / (sqrt(v) root + eps). */
RV_INLINE RV_REAL RV_FN(moments_step)(const RV_FN(moments) *c, RV_REAL u, RV_REAL v)
{
    return c->rate * u / (RV_MATH(sqrt)(v) * c->root + c->eps);
}
