/* Sums, products and scaling: one pass over memory, whole vectors and one masked tail. */
#include "tensor/kernels/cpu/elementwise.h"

#include "tensor/kernels/cpu/vec.h"

typedef enum pairing { ADD, MULTIPLY, MULTIPLY_ADD, SCALE, SCALE_ADD } pairing;

/* One vector of the result; b is the factor for the last two. */
RV_INLINE vf pair(pairing kind, vf a, vf b, vf y)
{
    switch (kind) {
    case ADD:
        return a + b;
    case MULTIPLY:
    case SCALE:
        return a * b;
    case MULTIPLY_ADD:
    case SCALE_ADD:
        return y + a * b;
    }
    return a;
}

RV_INLINE bool reads_y(pairing kind)
{
    return kind == MULTIPLY_ADD || kind == SCALE_ADD;
}

/* y = pair(a, b) over arrays of one length. */
RV_INLINE void pair_arrays(pairing kind, size_t n, const float *a, const float *b, float *y)
{
    RV_EACH_VECTOR(n, i, k, {
        const vf before = reads_y(kind) ? vf_load_n(y + i, k) : vf_zero();
        vf_store_n(y + i, pair(kind, vf_load_n(a + i, k), vf_load_n(b + i, k), before), k);
    });
}

/* y = pair(a, b) with one b for all. */
RV_INLINE void pair_scalar(pairing kind, size_t n, const float *a, float b, float *y)
{
    RV_EACH_VECTOR(n, i, k, {
        const vf before = reads_y(kind) ? vf_load_n(y + i, k) : vf_zero();
        vf_store_n(y + i, pair(kind, vf_load_n(a + i, k), vf_set1(b), before), k);
    });
}

RV_INLINE void pair_rows(pairing kind, size_t n, size_t m, const float *a, const float *b, float *y)
{
    if (m == 1) {
        pair_scalar(kind, n, a, b[0], y);
        return;
    }
    for (size_t at = 0; at < n; at += m)
        pair_arrays(kind, m, a + at, b, y + at);
}

static void add(size_t n, size_t m, const float *a, const float *b, float *y)
{
    pair_rows(ADD, n, m, a, b, y);
}

static void multiply(size_t n, size_t m, const float *a, const float *b, float *y, bool to)
{
    if (to)
        pair_rows(MULTIPLY_ADD, n, m, a, b, y);
    else
        pair_rows(MULTIPLY, n, m, a, b, y);
}

/* y (+)= value, all of one value. */
static void fill(size_t n, float value, float *y, bool to)
{
    const vf v = vf_set1(value);
    RV_EACH_VECTOR(n, i, k, vf_store_n(y + i, to ? vf_load_n(y + i, k) + v : v, k));
}

static void scale(size_t n, size_t m, float factor, const float *x, float *y, bool to)
{
    if (m == 1 && n > 1) {
        fill(n, factor * x[0], y, to);
        return;
    }
    for (size_t at = 0; at < n; at += m) {
        if (to)
            pair_scalar(SCALE_ADD, m, x, factor, y + at);
        else if (factor != 1)
            pair_scalar(SCALE, m, x, factor, y + at);
        else if (y + at != x)
            memcpy(y + at, x, m * sizeof *y);
    }
}

enum { BLOCK = 64, CHAINS = 8 }; /* rows summed before they join the total; sums in flight */

/* A vector of x (w) of k lanes. */
RV_INLINE vf term(const float *x, const float *w, size_t at, size_t k)
{
    return w ? vf_load_n(x + at, k) * vf_load_n(w + at, k) : vf_load_n(x + at, k);
}

RV_INLINE vf chain_sum(const vf *s)
{
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* The sum of rows [n / m] of one vector of k columns. */
RV_INLINE vf column_sum(size_t n, size_t m, const float *x, const float *w, size_t k)
{
    vf total = vf_zero();
    for (size_t at = 0; at < n;) {
        const size_t end = n - at < BLOCK * m ? n : at + BLOCK * m;
        vf sum[CHAINS];
        for (size_t c = 0; c < CHAINS; c++)
            sum[c] = vf_zero();
        for (; at + CHAINS * m <= end; at += CHAINS * m)
            for (size_t c = 0; c < CHAINS; c++)
                sum[c] += term(x, w, at + c * m, k);
        for (; at < end; at += m)
            sum[0] += term(x, w, at, k);
        total += chain_sum(sum);
    }
    return total;
}

/* The sums of CHAINS neighbouring vectors of columns: memory is read in longer runs. */
RV_INLINE void wide_sum(size_t n, size_t m, const float *x, const float *w, vf *total)
{
    for (size_t c = 0; c < CHAINS; c++)
        total[c] = vf_zero();
    for (size_t at = 0; at < n;) {
        const size_t end = n - at < BLOCK * m ? n : at + BLOCK * m;
        vf sum[CHAINS];
        for (size_t c = 0; c < CHAINS; c++)
            sum[c] = vf_zero();
        for (; at < end; at += m)
            for (size_t c = 0; c < CHAINS; c++)
                sum[c] += term(x, w, at + c * RV_LANES, RV_LANES);
        for (size_t c = 0; c < CHAINS; c++)
            total[c] += sum[c];
    }
}

/* All n elements in one sum: they are rows of one vector, summed over the lanes at the end. */
RV_INLINE float whole_sum(size_t n, const float *x, const float *w)
{
    const size_t whole = n - n % RV_LANES;
    const vf sum = column_sum(whole, RV_LANES, x, w, RV_LANES);
    return vf_sum(sum + term(x, w, whole, n - whole));
}

RV_INLINE void put_sum(vf sum, float factor, float *y, size_t k, bool to)
{
    sum *= vf_set1(factor);
    vf_store_n(y, to ? vf_load_n(y, k) + sum : sum, k);
}

RV_INLINE void fold_of(size_t n, size_t m, float factor, const float *x, const float *w, float *y, bool to)
{
    if (m == 1) {
        y[0] = (to ? y[0] : 0) + factor * whole_sum(n, x, w);
        return;
    }
    size_t wide = 0;
    for (; wide + CHAINS * RV_LANES <= m; wide += CHAINS * RV_LANES) {
        vf sums[CHAINS];
        wide_sum(n, m, x + wide, w ? w + wide : NULL, sums);
        for (size_t c = 0; c < CHAINS; c++)
            put_sum(sums[c], factor, y + wide + c * RV_LANES, RV_LANES, to);
    }
    x += wide, w = w ? w + wide : NULL, y += wide;
    RV_EACH_VECTOR(m - wide, j, k,
                   put_sum(column_sum(n, m, x + j, w ? w + j : NULL, k), factor, y + j, k, to));
}

static void fold(size_t n, size_t m, float factor, const float *x, const float *w, float *y, bool to)
{
    if (w)
        fold_of(n, m, factor, x, w, y, to);
    else
        fold_of(n, m, factor, x, NULL, y, to);
}

/* ---- the sum of several arrays ---- */

enum { LEAVES = 8 }; /* arrays whose sum is written out */

/* Lanes [j, j + k) of the sum of count arrays, count a constant up to LEAVES. */
RV_INLINE vf leaf(int count, const float *const *x, size_t j, size_t k)
{
    vf v[LEAVES];
    for (int i = 0; i < count; i++)
        v[i] = vf_load_n(x[i] + j, k);
    for (int half = 1; half < count; half *= 2)
        for (int i = 0; i + half < count; i += 2 * half)
            v[i] += v[i + half];
    return v[0];
}

RV_INLINE vf branches(int count, const float *const *x, size_t j, size_t k)
{
    vf v[RV_TREE_MOST / LEAVES];
    const int parts = count / LEAVES;
    for (int i = 0; i < parts; i++)
        v[i] = leaf(LEAVES, x + i * LEAVES, j, k);
    for (int half = 1; half < parts; half *= 2)
        for (int i = 0; i + half < parts; i += 2 * half)
            v[i] += v[i + half];
    return v[0];
}

RV_INLINE bool tree_of(int leaves, size_t n, int count, const float *const *x, float factor, float *y)
{
    vf nothing = vf_zero(); /* x - x is zero unless x is infinite or NaN */
    RV_EACH_VECTOR(n, j, k, {
        const vf sum = vf_set1(factor) * (leaves ? leaf(leaves, x, j, k) : branches(count, x, j, k));
        nothing += sum - sum;
        vf_store_n(y + j, sum, k);
    });
    return vf_sum(nothing) == 0;
}

static bool tree(size_t n, int count, const float *const *x, float factor, float *y)
{
    switch (count) {
    case 1:
        return tree_of(1, n, count, x, factor, y);
    case 2:
        return tree_of(2, n, count, x, factor, y);
    case 4:
        return tree_of(4, n, count, x, factor, y);
    case LEAVES:
        return tree_of(LEAVES, n, count, x, factor, y);
    default:
        return tree_of(0, n, count, x, factor, y);
    }
}

const struct rv_cpu_elementwise RV_CPU_TABLE(elementwise) = {
    .add = add,
    .multiply = multiply,
    .scale = scale,
    .fold = fold,
    .tree = tree,
};
