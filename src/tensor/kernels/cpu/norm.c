/* Normalisations: mean first, then the squares around it, so nothing cancels.
 *
 * Column passes go block by block of rows that stay in the first-level cache;
 * all sums are taken in an order that depends on the shape only. */
#include "tensor/kernels/cpu/norm.h"

#include <math.h>

#include "tensor/kernels/cpu/vec.h"

RV_INLINE size_t lanes_at(size_t j, size_t width)
{
    return width - j < RV_LANES ? width - j : RV_LANES;
}

/* ---- rows ------------------------------------------------------------- */

static const int32_t lane_numbers[RV_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* v in the first k lanes, zero beyond. */
RV_INLINE vf keep_lanes(vf v, size_t k)
{
    vi lane;
    memcpy(&lane, lane_numbers, sizeof lane);
    return vf_select(lane < vi_set1((int32_t)k), v, vf_zero());
}

RV_INLINE float row_mean(const float *x, size_t width)
{
    vf sum[2] = {vf_zero(), vf_zero()};
    size_t j = 0;
    for (; j + 2 * RV_LANES <= width; j += 2 * RV_LANES) {
        sum[0] += vf_load(x + j);
        sum[1] += vf_load(x + j + RV_LANES);
    }
    for (; j < width; j += RV_LANES)
        sum[0] += vf_load_n(x + j, lanes_at(j, width));
    return vf_sum(sum[0] + sum[1]) / (float)width;
}

RV_INLINE float row_variance(const float *x, size_t width, float mean)
{
    const vf m = vf_set1(mean);
    vf sum[2] = {vf_zero(), vf_zero()};
    size_t j = 0;
    for (; j + 2 * RV_LANES <= width; j += 2 * RV_LANES) {
        const vf a = vf_load(x + j) - m, b = vf_load(x + j + RV_LANES) - m;
        sum[0] += a * a;
        sum[1] += b * b;
    }
    for (; j < width; j += RV_LANES) {
        const size_t k = lanes_at(j, width);
        const vf a = keep_lanes(vf_load_n(x + j, k) - m, k);
        sum[0] += a * a;
    }
    return vf_sum(sum[0] + sum[1]) / (float)width;
}

static void rows_forward(const rv_norm_rows *norm, const float *shift, float eps, float *y, float *saved)
{
    const size_t width = norm->width;
    const vf one = vf_set1(1), zero = vf_zero();
    for (size_t r = 0; r < norm->rows; r++) {
        const float *x = norm->x + r * width;
        const float mean = norm->centred ? row_mean(x, width) : 0;
        const float scale = 1 / sqrtf(row_variance(x, width, mean) + eps);
        const vf m = vf_set1(mean), s = vf_set1(scale);
        for (size_t j = 0; j < width; j += RV_LANES) {
            const size_t k = lanes_at(j, width);
            const vf g = norm->gain ? vf_load_n(norm->gain + j, k) : one;
            const vf b = shift ? vf_load_n(shift + j, k) : zero;
            vf_store_n(y + r * width + j, (vf_load_n(x + j, k) - m) * s * g + b, k);
        }
        saved[2 * r] = mean;
        saved[2 * r + 1] = scale;
    }
}

enum { ROWS = 4 }; /* taken together, so that the columns' sums are loaded once for four */

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
    for (size_t j = 0; j < width; j += RV_LANES) {
        const size_t k = lanes_at(j, width);
        const vf gain = norm->gain ? vf_load_n(norm->gain + j, k) : vf_set1(1);
        vf gain_sum = vf_load_n(sums + j, k), shift_sum = vf_load_n(sums + width + j, k);
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
    }
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
    for (size_t j = 0; j < norm->width; j += RV_LANES) {
        const size_t k = lanes_at(j, norm->width);
        const vf gain = norm->gain ? vf_load_n(norm->gain + j, k) : vf_set1(1);
        vf g = scale * (vf_load_n(gy + j, k) * gain - mean_d - (vf_load_n(x + j, k) - mean) * mean_h);
        if (add)
            g += vf_load_n(gx + j, k);
        vf_store_n(gx + j, g, k);
    }
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

enum { CHAINS = 8, BLOCK_BYTES = 16384 };

/* Rows of a block of each operand. */
RV_INLINE size_t block_rows(size_t width)
{
    const size_t rows = BLOCK_BYTES / (width * sizeof(float));
    return rows > CHAINS ? rows - rows % CHAINS : CHAINS;
}

RV_INLINE vf chain_sum(const vf *s)
{
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* Sum over rows of (x - centre), or of its square, in one vector of k columns. */
RV_INLINE vf strip_sum(bool square, size_t rows, size_t width, const float *x, vf centre, size_t k)
{
    vf sum[CHAINS];
    for (size_t c = 0; c < CHAINS; c++)
        sum[c] = vf_zero();
    size_t r = 0;
    for (; r + CHAINS <= rows; r += CHAINS)
        for (size_t c = 0; c < CHAINS; c++) {
            const vf v = vf_load_n(x + (r + c) * width, k) - centre;
            sum[c] += square ? v * v : v;
        }
    for (; r < rows; r++) {
        const vf v = vf_load_n(x + r * width, k) - centre;
        sum[0] += square ? v * v : v;
    }
    return chain_sum(sum);
}

/* Joins the moments of a block to those of the rows before it (Chan, Golub, LeVeque 1979). */
RV_INLINE void join_moments(size_t before, size_t rows, const float *x, size_t width, float *mean,
                            float *squares, size_t k)
{
    const float n = (float)(before + rows);
    const vf first = vf_load_n(x, k); /* keeps the sum small against its terms */
    const vf block_mean =
        first + strip_sum(false, rows, width, x, first, k) * vf_set1(1 / (float)rows);
    const vf block_squares = strip_sum(true, rows, width, x, block_mean, k);
    const vf apart = block_mean - vf_load_n(mean, k);
    const vf weight = vf_set1((float)before * ((float)rows / n));
    vf_store_n(mean, vf_load_n(mean, k) + apart * vf_set1((float)rows / n), k);
    vf_store_n(squares, vf_load_n(squares, k) + block_squares + apart * apart * weight, k);
}

static void column_moments(size_t rows, size_t width, const float *x, float *mean, float *squares)
{
    const size_t block = block_rows(width);
    memset(mean, 0, width * sizeof *mean);
    memset(squares, 0, width * sizeof *squares);
    for (size_t r = 0; r < rows; r += block) {
        const size_t count = rows - r < block ? rows - r : block;
        for (size_t j = 0; j < width; j += RV_LANES) {
            const float *strip = x + r * width + j;
            if (width - j >= RV_LANES)
                join_moments(r, count, strip, width, mean + j, squares + j, RV_LANES);
            else
                join_moments(r, count, strip, width, mean + j, squares + j, width - j);
        }
    }
}

RV_INLINE void strip_affine(size_t rows, size_t width, const float *x, const float *mean, const float *factor,
                            const float *shift, float *y, size_t k)
{
    const vf m = vf_load_n(mean, k), f = vf_load_n(factor, k), s = vf_load_n(shift, k);
    for (size_t at = 0; at < rows * width; at += width)
        vf_store_n(y + at, (vf_load_n(x + at, k) - m) * f + s, k);
}

static void column_affine(size_t rows, size_t width, const float *x, const float *mean, const float *factor,
                          const float *shift, float *y)
{
    const size_t block = block_rows(width);
    for (size_t r = 0; r < rows; r += block) {
        const size_t count = rows - r < block ? rows - r : block, at = r * width;
        for (size_t j = 0; j < width; j += RV_LANES) {
            if (width - j >= RV_LANES)
                strip_affine(count, width, x + at + j, mean + j, factor + j, shift + j, y + at + j, RV_LANES);
            else
                strip_affine(count, width, x + at + j, mean + j, factor + j, shift + j, y + at + j, width - j);
        }
    }
}

RV_INLINE void strip_products(size_t rows, size_t width, const float *x, const float *gy, const float *mean,
                              float *sum, float *product, size_t k)
{
    const vf m = vf_load_n(mean, k);
    vf s[CHAINS], p[CHAINS];
    for (size_t c = 0; c < CHAINS; c++)
        s[c] = p[c] = vf_zero();
    size_t r = 0;
    for (; r + CHAINS <= rows; r += CHAINS)
        for (size_t c = 0; c < CHAINS; c++) {
            const vf g = vf_load_n(gy + (r + c) * width, k);
            s[c] += g;
            p[c] += g * (vf_load_n(x + (r + c) * width, k) - m);
        }
    for (; r < rows; r++) {
        const vf g = vf_load_n(gy + r * width, k);
        s[0] += g;
        p[0] += g * (vf_load_n(x + r * width, k) - m);
    }
    vf_store_n(sum, vf_load_n(sum, k) + chain_sum(s), k);
    vf_store_n(product, vf_load_n(product, k) + chain_sum(p), k);
}

static void column_sums(size_t rows, size_t width, const float *x, const float *gy, const float *mean,
                        float *sum, float *product)
{
    const size_t block = block_rows(width);
    memset(sum, 0, width * sizeof *sum);
    memset(product, 0, width * sizeof *product);
    for (size_t r = 0; r < rows; r += block) {
        const size_t count = rows - r < block ? rows - r : block, at = r * width;
        for (size_t j = 0; j < width; j += RV_LANES) {
            if (width - j >= RV_LANES)
                strip_products(count, width, x + at + j, gy + at + j, mean + j, sum + j, product + j, RV_LANES);
            else
                strip_products(count, width, x + at + j, gy + at + j, mean + j, sum + j, product + j, width - j);
        }
    }
}

/* Per column what column_gradient subtracts and multiplies. */
typedef struct gradient_terms {
    const float *mean, *factor, *offset, *slope;
} gradient_terms;

RV_INLINE void strip_gradient(size_t rows, size_t width, const float *x, const float *gy,
                              const gradient_terms *t, size_t j, float *gx, bool add, size_t k)
{
    const vf m = vf_load_n(t->mean + j, k), f = vf_load_n(t->factor + j, k);
    const vf o = vf_load_n(t->offset + j, k), s = vf_load_n(t->slope + j, k);
    for (size_t at = j; at < rows * width; at += width) {
        vf g = vf_load_n(gy + at, k) * f - o - (vf_load_n(x + at, k) - m) * s;
        if (add)
            g += vf_load_n(gx + at, k);
        vf_store_n(gx + at, g, k);
    }
}

static void column_gradient(size_t rows, size_t width, const float *x, const float *gy, const float *mean,
                            const float *factor, const float *offset, const float *slope, float *gx, bool add)
{
    const gradient_terms t = {mean, factor, offset, slope};
    const size_t block = block_rows(width);
    for (size_t r = 0; r < rows; r += block) {
        const size_t count = rows - r < block ? rows - r : block, at = r * width;
        for (size_t j = 0; j < width; j += RV_LANES) {
            if (width - j >= RV_LANES && add)
                strip_gradient(count, width, x + at, gy + at, &t, j, gx + at, true, RV_LANES);
            else if (width - j >= RV_LANES)
                strip_gradient(count, width, x + at, gy + at, &t, j, gx + at, false, RV_LANES);
            else
                strip_gradient(count, width, x + at, gy + at, &t, j, gx + at, add, width - j);
        }
    }
}

const struct rv_cpu_norm RV_CPU_TABLE(norm) = {
    .rows_forward = rows_forward,
    .rows_backward = rows_backward,
    .column_moments = column_moments,
    .column_affine = column_affine,
    .column_sums = column_sums,
    .column_gradient = column_gradient,
};
