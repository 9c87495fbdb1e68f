/* Products by register tiles: MR rows by NV vectors of c stay in registers while p runs.
 * A pair of bf16 is loaded and broadcast as one float is, so both products are one.
 * Tile heights are as equal as can be; which tile an element falls into never changes
 * the order of its sum. */
#include "tensor/kernels/cpu/gemm.h"
#include "tensor/kernels/cpu/vec.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* MR * NV sums, NV vectors of b and one element of a: of 32 registers, or of 16. */
#if defined(__AVX512F__)
enum { MR = 12, NV = 2 };
#else
enum { MR = 6, NV = 2 };
#endif

typedef rv_gemm_operands operands;

/* Sums this long leave the time to bring what they are added to from afar. */
enum { FAR = 256 };

RV_INLINE void fetch(const operands *o, int rows, int vectors)
{
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++) {
            __builtin_prefetch(o->c + i * o->ldc + v * RV_LANES, 1);
            if (o->keep != 0 && o->base != o->c)
                __builtin_prefetch(o->base + i * o->ld_base + v * RV_LANES, 0);
        }
}

RV_INLINE vf multiply_add(bool pairs, vf sum, vf a, vf b)
{
#if defined(__AVX512BF16__)
    if (pairs)
        return vf_dot_bf16(sum, a, b);
#endif
    (void)pairs;
    return sum + a * b;
}

/* One tile of rows x vectors * RV_LANES columns, of which the last vector has lanes lanes. */
RV_INLINE void tile(bool pairs, const operands *o, int rows, int vectors, size_t lanes)
{
    vf sum[MR][NV];
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[i][v] = vf_zero();
    if (o->k >= FAR)
        fetch(o, rows, vectors);
    for (int64_t p = 0; p < o->k; p++) {
        const float *a = o->a + p * o->a_column, *b = o->b + p * o->ldb;
        vf bv[NV];
        UNROLL for (int v = 0; v < vectors; v++)
            bv[v] = v == vectors - 1 ? vf_load_n(b + v * RV_LANES, lanes) : vf_load(b + v * RV_LANES);
        UNROLL for (int i = 0; i < rows; i++) {
            vf x = vf_set1(a[i * o->a_row]);
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i][v] = multiply_add(pairs, sum[i][v], x, bv[v]);
        }
    }
    const vf weight = vf_set1(o->weight), keep = vf_set1(o->keep);
    if (o->weight != 1)
        UNROLL for (int i = 0; i < rows; i++)
            UNROLL for (int v = 0; v < vectors; v++)
                sum[i][v] *= weight;
    UNROLL for (int i = 0; i < rows; i++)
        UNROLL for (int v = 0; v < vectors; v++) {
            const float *base = o->base + i * o->ld_base + v * RV_LANES;
            size_t n = v == vectors - 1 ? lanes : RV_LANES;
            vf_store_n(o->c + i * o->ldc + v * RV_LANES,
                       o->keep != 0 ? vf_load_n(base, n) * keep + sum[i][v] : sum[i][v], n);
        }
}

#define TILE(height)                                                          \
    case height:                                                              \
        tile(pairs, o, height <= MR ? height : MR, vectors, lanes);                  \
        break;

RV_INLINE void tile_of(bool pairs, const operands *o, int64_t rows, int vectors, size_t lanes)
{
    switch (rows) {
        TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if defined(__AVX512F__)
        TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif
    }
}

static void tile_wide(const operands *o, int64_t rows)
{
    tile_of(false, o, rows, NV, RV_LANES);
}

static void tile_single(const operands *o, int64_t rows)
{
    tile_of(false, o, rows, 1, RV_LANES);
}

static void tile_tail(const operands *o, int64_t rows, size_t lanes)
{
    tile_of(false, o, rows, 1, lanes);
}

#if defined(__AVX512BF16__)
static void tile_wide_bf16(const operands *o, int64_t rows)
{
    tile_of(true, o, rows, NV, RV_LANES);
}

static void tile_tail_bf16(const operands *o, int64_t rows, size_t lanes)
{
    tile_of(true, o, rows, 1, lanes);
}
#endif

/* One tile of `columns` columns. */
static void tile_at(const operands *o, int64_t rows, int64_t columns)
{
#if defined(__AVX512BF16__)
    if (o->pairs) {
        if (columns == NV * RV_LANES)
            tile_wide_bf16(o, rows);
        else
            tile_tail_bf16(o, rows, (size_t)columns);
        return;
    }
#endif
    if (columns == NV * RV_LANES)
        tile_wide(o, rows);
    else if (columns == RV_LANES)
        tile_single(o, rows);
    else
        tile_tail(o, rows, (size_t)columns);
}

/* All rows of a strip of columns. */
static void strip(operands o, int64_t m, int64_t columns)
{
    const int64_t tiles = (m + MR - 1) / MR, least = m / tiles, higher = m % tiles;
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t rows = t < higher ? least + 1 : least;
        tile_at(&o, rows, columns);
        o.a += rows * o.a_row;
        o.base += rows * o.ld_base;
        o.c += rows * o.ldc;
    }
}

static void combine(int64_t m, int64_t n, operands o)
{
    const float *b = o.b, *base = o.base;
    float *c = o.c;
    if (m == 0)
        return;
    for (int64_t j = 0; j < n;) {
        int64_t left = n - j;
        int64_t columns = left >= NV * RV_LANES ? NV * RV_LANES : left >= RV_LANES ? RV_LANES : left;
        o.b = b + j;
        o.base = base + j;
        o.c = c + j;
        strip(o, m, columns);
        j += columns;
    }
}

static void product(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_column,
                    const float *b, int64_t ldb, bool add, float *c, int64_t ldc)
{
    combine(m, n, (operands){false, k, a, a_row, a_column, b, ldb, 1, add ? 1 : 0, c, ldc, c, ldc});
}

#if defined(__AVX512BF16__)
static void product_bf16(int64_t m, int64_t n, int64_t pairs, const void *a, int64_t a_row, int64_t a_column,
                         const void *b, int64_t ldb, bool add, float *c, int64_t ldc)
{
    combine(m, n, (operands){true, pairs, a, a_row, a_column, b, ldb, 1, add ? 1 : 0, c, ldc, c, ldc});
}
#endif

/* ---- copies ---- */

RV_INLINE void copy_rows(int64_t rows, size_t columns, const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    for (int64_t r = 0; r < rows; r++, from += ld_from, to += ld_to)
        RV_EACH_VECTOR(columns, j, n, vf_store_n(to + j, vf_load_n(from + j, n), n));
}

static void copy(int64_t rows, int64_t columns, const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    if (columns == 32) /* a panel: no loop within */
        copy_rows(rows, 32, from, ld_from, to, ld_to);
    else
        copy_rows(rows, (size_t)columns, from, ld_from, to, ld_to);
}

/* ---- transposition ---- */

#if defined(__AVX512F__)
enum { BLOCK = 16 };

/* rows, columns <= 16 of from; the others are neither read nor written. */
RV_INLINE void transpose_block(const float *from, int64_t ld_from, float *to, int64_t ld_to, int rows, int columns)
{
    const __mmask16 row_mask = (__mmask16)((1u << rows) - 1), column_mask = (__mmask16)((1u << columns) - 1);
    __m512 r[16], t[16];
    UNROLL for (int i = 0; i < 16; i++)
        r[i] = i < rows ? _mm512_maskz_loadu_ps(column_mask, from + i * ld_from) : _mm512_setzero_ps();
    UNROLL for (int i = 0; i < 16; i += 2) { /* pairs of rows, within quarters */
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL for (int i = 0; i < 16; i += 4) { /* fours of rows: r[i + c] has column c of each quarter */
        r[i] = (__m512)_mm512_unpacklo_pd((__m512d)t[i], (__m512d)t[i + 2]);
        r[i + 1] = (__m512)_mm512_unpackhi_pd((__m512d)t[i], (__m512d)t[i + 2]);
        r[i + 2] = (__m512)_mm512_unpacklo_pd((__m512d)t[i + 1], (__m512d)t[i + 3]);
        r[i + 3] = (__m512)_mm512_unpackhi_pd((__m512d)t[i + 1], (__m512d)t[i + 3]);
    }
    UNROLL for (int i = 0; i < 4; i++) { /* quarters 0, 2 and 1, 3 of eights of rows */
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 16; i++)
        if (i < columns)
            _mm512_mask_storeu_ps(to + i * ld_to, row_mask, r[i]);
}
#else
enum { BLOCK = 4 };
typedef float quad __attribute__((vector_size(16)));

RV_INLINE void transpose_quad(const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    quad r[4];
    for (int i = 0; i < 4; i++)
        memcpy(&r[i], from + i * ld_from, sizeof r[i]);
    quad a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    quad c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
    for (int i = 0; i < 4; i++)
        memcpy(to + i * ld_to, &r[i], sizeof r[i]);
}

RV_INLINE void transpose_block(const float *from, int64_t ld_from, float *to, int64_t ld_to, int rows, int columns)
{
    if (rows == BLOCK && columns == BLOCK) {
        transpose_quad(from, ld_from, to, ld_to);
        return;
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            to[j * ld_to + i] = from[i * ld_from + j];
}
#endif

static void transpose(int64_t rows, int64_t columns, const float *from, int64_t ld_from, float *to, int64_t ld_to)
{
    for (int64_t r = 0; r < rows; r += BLOCK)
        for (int64_t c = 0; c < columns; c += BLOCK) {
            const float *block = from + r * ld_from + c;
            float *target = to + c * ld_to + r;
            int m = rows - r < BLOCK ? (int)(rows - r) : BLOCK, n = columns - c < BLOCK ? (int)(columns - c) : BLOCK;
            if (m == BLOCK && n == BLOCK)
                transpose_block(block, ld_from, target, ld_to, BLOCK, BLOCK);
            else
                transpose_block(block, ld_from, target, ld_to, m, n);
        }
}

/* ---- pairs of rows ---- */

static void pair_rows(int64_t rows, int64_t width, const uint16_t *x, int64_t ld, uint32_t *pairs)
{
    for (int64_t r = 0; r < rows; r += 2, x += 2 * ld, pairs += width)
        for (int64_t j = 0; j < width; j++)
            pairs[j] = x[j] | (uint32_t)(r + 1 < rows ? x[ld + j] : 0) << 16;
}

const struct rv_cpu_gemm RV_CPU_TABLE(gemm) = {
    .product = product,
#if defined(__AVX512BF16__)
    .product_bf16 = product_bf16,
#endif
    .pair_rows = pair_rows,
    .combine = combine,
    .copy = copy,
    .transpose = transpose,
};
