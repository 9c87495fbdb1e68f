/* Normalisations: mean first, then the squares around it, so nothing cancels.
 *
 * Column passes go block by block of rows that stay in the first-level cache;
 * all sums are taken in an order that depends on the shape only. */
#include "tensor/kernels/cpu/norm.h"

#include <math.h>

#include "tensor/kernels/cpu/vec.h"

/* ---- rows ------------------------------------------------------------- */

enum { ROWS = 4 }; /* taken together: their sums overlap, and vectors of columns are loaded once */

/* v in the first k lanes, zero beyond. */
RV_INLINE vf keep_lanes(vf v, size_t k)
{
    static const int32_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vi lane;
    memcpy(&lane, numbers, sizeof lane);
    return vf_select(lane < vi_set1((int32_t)k), v, vf_zero());
}

/* mean of count rows. */
RV_INLINE void row_means(const float *x, size_t width, size_t count, float *mean)
{
    vf sum[ROWS];
    for (size_t i = 0; i < count; i++)
        sum[i] = vf_zero();
    RV_EACH_VECTOR(width, j, k, {
        for (size_t i = 0; i < count; i++)
            sum[i] += vf_load_n(x + i * width + j, k);
    });
    for (size_t i = 0; i < count; i++)
        mean[i] = vf_sum(sum[i]) / (float)width;
}

/* 1 / sqrt(var + eps) of count rows around their means. */
RV_INLINE void row_scales(const float *x, size_t width, size_t count, const float *mean, float eps,
                          float *scale)
{
    vf sum[ROWS];
    for (size_t i = 0; i < count; i++)
        sum[i] = vf_zero();
    RV_EACH_VECTOR(width, j, k, {
        for (size_t i = 0; i < count; i++) {
            const vf apart = vf_load_n(x + i * width + j, k) - vf_set1(mean[i]);
            const vf kept = k < RV_LANES ? keep_lanes(apart, k) : apart;
            sum[i] += kept * kept;
        }
    });
    for (size_t i = 0; i < count; i++)
        scale[i] = 1 / sqrtf(vf_sum(sum[i]) / (float)width + eps);
}

/* count rows from r. */
RV_INLINE void normalise_rows(const rv_norm_rows *norm, const float *shift, float eps, size_t r, size_t count,
                              float *y, uint16_t *rounded, float *saved)
{
    const size_t width = norm->width;
    const float *x = norm->x + r * width;
    float mean[ROWS] = {0}, scale[ROWS];
    if (norm->centred)
        row_means(x, width, count, mean);
    row_scales(x, width, count, mean, eps, scale);
    y = y ? y + r * width : NULL;
    rounded = rounded ? rounded + r * width : NULL;
    RV_EACH_VECTOR(width, j, k, {
        const vf g = norm->gain ? vf_load_n(norm->gain + j, k) : vf_set1(1);
        const vf b = shift ? vf_load_n(shift + j, k) : vf_zero();
        for (size_t i = 0; i < count; i++) {
            const vf h = (vf_load_n(x + i * width + j, k) - vf_set1(mean[i])) * vf_set1(scale[i]) * g + b;
            if (y)
                vf_store_n(y + i * width + j, h, k);
            if (rounded)
                vf_store_bf16_n(rounded + i * width + j, h, k);
        }
    });
    for (size_t i = 0; i < count; i++) {
        saved[2 * (r + i)] = mean[i];
        saved[2 * (r + i) + 1] = scale[i];
    }
}

static void rows_forward(const rv_norm_rows *norm, const float *shift, float eps, float *y, uint16_t *rounded,
                         float *saved)
{
    size_t r = 0;
    for (; r + ROWS <= norm->rows; r += ROWS)
        normalise_rows(norm, shift, eps, r, ROWS, y, rounded, saved);
    for (; r < norm->rows; r++)
        normalise_rows(norm, shift, eps, r, 1, y, rounded, saved);
}

/* What a row needs for its gradient: mean, scale, and the means of d and d h where
 * d = gy gain and h = (x - mean) scale. */
typedef struct row_terms {
    float mean, scale, mean_d, mean_dh;
} row_terms;

/* Terms of count rows from r; adds their gy h and gy to sums [2, width]. */
RV_INLINE void row_sums(const rv_norm_rows *norm, const float *saved, const float *gy, size_t r, size_t count,
                        float *sums, row_terms *terms)
{
    const size_t width = norm->width;
    vf d_sum[ROWS], dh_sum[ROWS], m[ROWS], s[ROWS];
    for (size_t i = 0; i < count; i++) {
        d_sum[i] = dh_sum[i] = vf_zero();
        m[i] = vf_set1(saved[2 * (r + i)]);
        s[i] = vf_set1(saved[2 * (r + i) + 1]);
    }
    RV_EACH_VECTOR(width, j, k, {
        const vf gain = norm->gain ? vf_load_n(norm->gain + j, k) : vf_set1(1);
        vf gain_sum = vf_load_n(sums + j, k);
        vf shift_sum = vf_load_n(sums + width + j, k);
        for (size_t i = 0; i < count; i++) {
            const vf g = vf_load_n(gy + (r + i) * width + j, k); /* zero beyond k, so all sums are */
            const vf gh = g * ((vf_load_n(norm->x + (r + i) * width + j, k) - m[i]) * s[i]);
            d_sum[i] += g * gain;
            dh_sum[i] += gh * gain;
            gain_sum += gh;
            shift_sum += g;
        }
        vf_store_n(sums + j, gain_sum, k);
        vf_store_n(sums + width + j, shift_sum, k);
    });
    for (size_t i = 0; i < count; i++)
        terms[i] = (row_terms){saved[2 * (r + i)], saved[2 * (r + i) + 1],
                               norm->centred ? vf_sum(d_sum[i]) / (float)width : 0,
                               vf_sum(dh_sum[i]) / (float)width};
}

RV_INLINE void row_gradient(const rv_norm_rows *norm, const row_terms *t, const float *x, const float *gy,
                            float *gx, bool add)
{
    const vf mean = vf_set1(t->mean), scale = vf_set1(t->scale);
    const vf mean_d = vf_set1(t->mean_d), mean_h = vf_set1(t->mean_dh * t->scale);
    RV_EACH_VECTOR(norm->width, j, k, {
        const vf gain = norm->gain ? vf_load_n(norm->gain + j, k) : vf_set1(1);
        vf g = scale * (vf_load_n(gy + j, k) * gain - mean_d - (vf_load_n(x + j, k) - mean) * mean_h);
        if (add)
            g += vf_load_n(gx + j, k);
        vf_store_n(gx + j, g, k);
    });
}

static void rows_backward(const rv_norm_rows *norm, const float *saved, const float *gy, float *gx, bool add,
                          float *sums)
{
    const size_t width = norm->width;
    memset(sums, 0, 2 * width * sizeof *sums);
    row_terms terms[ROWS];
    for (size_t r = 0; r < norm->rows; r += ROWS) {
        const size_t count = norm->rows - r < ROWS ? norm->rows - r : ROWS;
        if (count == ROWS)
            row_sums(norm, saved, gy, r, ROWS, sums, terms);
        else
            for (size_t i = 0; i < count; i++)
                row_sums(norm, saved, gy, r + i, 1, sums, terms + i);
        for (size_t i = 0; gx && i < count; i++)
            row_gradient(norm, &terms[i], norm->x + (r + i) * width, gy + (r + i) * width,
                         gx + (r + i) * width, add);
    }
}

/* ---- columns ---------------------------------------------------------- */

/* A strip is v neighbouring vectors of columns, WIDE or 1, each of k lanes.  Sums of a
 * strip run in CHAINS / v rows at once, so that CHAINS of them are in flight. */
enum { WIDE = 4, CHAINS = 8, BLOCK_BYTES = 16384 };

/* Runs the statement for every strip: J its first column, V and K constants in all but the last. */
#define EACH_STRIP(width, J, V, K, ...)                                       \
    do {                                                                      \
        const size_t wide_ = (width) - (width) % (WIDE * RV_LANES);           \
        for (size_t J = 0; J < wide_; J += WIDE * RV_LANES) {                 \
            const size_t V = WIDE, K = RV_LANES;                              \
            __VA_ARGS__;                                                      \
        }                                                                     \
        RV_EACH_VECTOR((width) - wide_, rest_, K, {                           \
            const size_t V = 1, J = wide_ + rest_;                            \
            __VA_ARGS__;                                                      \
        });                                                                   \
    } while (0)

/* Runs the statement for blocks of COUNT rows from R that stay in the first-level cache. */
#define EACH_BLOCK(rows, width, R, COUNT, ...)                                \
    do {                                                                      \
        const size_t block_ = block_rows(width);                              \
        for (size_t R = 0; R < (rows); R += block_) {                         \
            const size_t COUNT = (rows) - R < block_ ? (rows) - R : block_;   \
            __VA_ARGS__;                                                      \
        }                                                                     \
    } while (0)

RV_INLINE size_t block_rows(size_t width)
{
    const size_t rows = BLOCK_BYTES / (width * sizeof(float));
    return rows > CHAINS ? rows - rows % CHAINS : CHAINS;
}

RV_INLINE void load_strip(const float *x, size_t v, size_t k, vf *out)
{
    for (size_t i = 0; i < v; i++)
        out[i] = vf_load_n(x + i * RV_LANES, k);
}

/* x [v] receives the sums over chains [CHAINS / v, v]. */
RV_INLINE void join_chains(const vf *chains, size_t v, vf *x)
{
    for (size_t i = 0; i < v; i++) {
        x[i] = chains[i];
        for (size_t c = v; c < CHAINS; c += v)
            x[i] += chains[c + i];
    }
}

/* Sums over rows of x - centre, or of its square. */
RV_INLINE void strip_sum(bool square, size_t rows, size_t width, const float *x, const vf *centre, size_t v,
                         size_t k, vf *sum)
{
    vf chains[CHAINS];
    for (size_t c = 0; c < CHAINS; c++)
        chains[c] = vf_zero();
    const size_t step = CHAINS / v;
    size_t r = 0;
    for (; r + step <= rows; r += step)
        for (size_t c = 0; c < CHAINS; c++) {
            const vf apart = vf_load_n(x + (r + c / v) * width + c % v * RV_LANES, k) - centre[c % v];
            chains[c] += square ? apart * apart : apart;
        }
    for (; r < rows; r++)
        for (size_t c = 0; c < v; c++) {
            const vf apart = vf_load_n(x + r * width + c * RV_LANES, k) - centre[c];
            chains[c] += square ? apart * apart : apart;
        }
    join_chains(chains, v, sum);
}

/* Joins the moments of a block to those of the rows before it (Chan, Golub, LeVeque 1979). */
RV_INLINE void join_moments(size_t before, size_t rows, const float *x, size_t width, float *mean,
                            float *squares, size_t v, size_t k)
{
    const float share = (float)rows / (float)(before + rows);
    vf centre[WIDE], sum[WIDE];
    load_strip(x, v, k, centre); /* the first row keeps the sums small against their terms */
    strip_sum(false, rows, width, x, centre, v, k, sum);
    for (size_t i = 0; i < v; i++)
        centre[i] += sum[i] * vf_set1(1 / (float)rows);
    strip_sum(true, rows, width, x, centre, v, k, sum);
    for (size_t i = 0; i < v; i++) {
        float *m = mean + i * RV_LANES, *s = squares + i * RV_LANES;
        const vf apart = centre[i] - vf_load_n(m, k);
        vf_store_n(m, vf_load_n(m, k) + apart * vf_set1(share), k);
        vf_store_n(s, vf_load_n(s, k) + sum[i] + apart * apart * vf_set1((float)before * share), k);
    }
}

static void column_moments(size_t rows, size_t width, const float *x, float *mean, float *squares)
{
    memset(mean, 0, width * sizeof *mean);
    memset(squares, 0, width * sizeof *squares);
    EACH_BLOCK(rows, width, r, count, {
        EACH_STRIP(width, j, v, k,
                   join_moments(r, count, x + r * width + j, width, mean + j, squares + j, v, k));
    });
}

RV_INLINE void strip_affine(size_t rows, size_t width, const float *x, const float *mean, const float *factor,
                            const float *shift, float *y, size_t v, size_t k)
{
    vf m[WIDE], f[WIDE], s[WIDE];
    load_strip(mean, v, k, m);
    load_strip(factor, v, k, f);
    load_strip(shift, v, k, s);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < v; i++) {
            const size_t at = r * width + i * RV_LANES;
            vf_store_n(y + at, (vf_load_n(x + at, k) - m[i]) * f[i] + s[i], k);
        }
}

static void column_affine(size_t rows, size_t width, const float *x, const float *mean, const float *factor,
                          const float *shift, float *y)
{
    EACH_BLOCK(rows, width, r, count, {
        EACH_STRIP(width, j, v, k, {
            const size_t at = r * width + j;
            strip_affine(count, width, x + at, mean + j, factor + j, shift + j, y + at, v, k);
        });
    });
}

RV_INLINE void strip_products(size_t rows, size_t width, const float *x, const float *gy, const float *mean,
                              float *sum, float *product, size_t v, size_t k)
{
    vf m[WIDE], s[CHAINS], p[CHAINS];
    load_strip(mean, v, k, m);
    for (size_t c = 0; c < CHAINS; c++)
        s[c] = p[c] = vf_zero();
    const size_t step = CHAINS / v;
    size_t r = 0;
    for (; r + step <= rows; r += step)
        for (size_t c = 0; c < CHAINS; c++) {
            const size_t at = (r + c / v) * width + c % v * RV_LANES;
            const vf g = vf_load_n(gy + at, k);
            s[c] += g;
            p[c] += g * (vf_load_n(x + at, k) - m[c % v]);
        }
    for (; r < rows; r++)
        for (size_t c = 0; c < v; c++) {
            const size_t at = r * width + c * RV_LANES;
            const vf g = vf_load_n(gy + at, k);
            s[c] += g;
            p[c] += g * (vf_load_n(x + at, k) - m[c]);
        }
    vf total[WIDE];
    join_chains(s, v, total);
    for (size_t i = 0; i < v; i++)
        vf_store_n(sum + i * RV_LANES, vf_load_n(sum + i * RV_LANES, k) + total[i], k);
    join_chains(p, v, total);
    for (size_t i = 0; i < v; i++)
        vf_store_n(product + i * RV_LANES, vf_load_n(product + i * RV_LANES, k) + total[i], k);
}

static void column_sums(size_t rows, size_t width, const float *x, const float *gy, const float *mean,
                        float *sum, float *product)
{
    memset(sum, 0, width * sizeof *sum);
    memset(product, 0, width * sizeof *product);
    EACH_BLOCK(rows, width, r, count, {
        EACH_STRIP(width, j, v, k, {
            const size_t at = r * width + j;
            strip_products(count, width, x + at, gy + at, mean + j, sum + j, product + j, v, k);
        });
    });
}

/* Per column what column_gradient subtracts and multiplies. */
typedef struct gradient_terms {
    const float *mean, *factor, *offset, *slope;
} gradient_terms;

RV_INLINE void strip_gradient(size_t rows, size_t width, const float *x, const float *gy,
                              const gradient_terms *t, size_t j, float *gx, bool add, size_t v, size_t k)
{
    vf m[WIDE], f[WIDE], o[WIDE], s[WIDE];
    load_strip(t->mean + j, v, k, m);
    load_strip(t->factor + j, v, k, f);
    load_strip(t->offset + j, v, k, o);
    load_strip(t->slope + j, v, k, s);
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < v; i++) {
            const size_t at = r * width + j + i * RV_LANES;
            vf g = vf_load_n(gy + at, k) * f[i] - o[i] - (vf_load_n(x + at, k) - m[i]) * s[i];
            if (add)
                g += vf_load_n(gx + at, k);
            vf_store_n(gx + at, g, k);
        }
}

RV_INLINE void column_gradient_of(size_t rows, size_t width, const float *x, const float *gy,
                                  const gradient_terms *t, float *gx, bool add)
{
    EACH_BLOCK(rows, width, r, count, {
        EACH_STRIP(width, j, v, k, {
            const size_t at = r * width;
            strip_gradient(count, width, x + at, gy + at, t, j, gx + at, add, v, k);
        });
    });
}

static void column_gradient(size_t rows, size_t width, const float *x, const float *gy, const float *mean,
                            const float *factor, const float *offset, const float *slope, float *gx, bool add)
{
    const gradient_terms t = {mean, factor, offset, slope};
    if (add)
        column_gradient_of(rows, width, x, gy, &t, gx, true);
    else
        column_gradient_of(rows, width, x, gy, &t, gx, false);
}

const struct rv_cpu_norm RV_CPU_TABLE(norm) = {
    .rows_forward = rows_forward,
    .rows_backward = rows_backward,
    .column_moments = column_moments,
    .column_affine = column_affine,
    .column_sums = column_sums,
    .column_gradient = column_gradient,
};
