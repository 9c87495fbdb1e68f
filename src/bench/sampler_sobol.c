/* Sobol's points with Owen's scrambling.  Invariants: the first 2^m points are a net (every
 * elementary interval that should hold one point holds one), scrambled or not; a point is a
 * pure function of (seed, number, dimension). */
#include "bench/sampler_sobol.h"

#include "bench/sampler.h"

enum { BITS = 32, MAX_DEGREE = 7 };

/* A primitive polynomial over GF(2), x^degree + coefficients (bit j: of x^(j+1)) + 1, and the
 * first direction numbers, odd and m[k] < 2^(k+1). */
typedef struct direction {
    uint8_t degree, coefficients, m[MAX_DEGREE];
} direction;

/* Dimensions 2 to 37 of new-joe-kuo-6.21201 (Joe and Kuo, SIAM J. Sci. Comput. 30, 2008): the
 * primitive polynomials in ascending order.  Dimension 1 is the radical inverse in base 2. */
static const direction directions[] = {
    {1, 0, {1}}, {2, 1, {1, 3}}, {3, 1, {1, 3, 1}}, {3, 2, {1, 1, 1}}, {4, 1, {1, 1, 3, 3}},
    {4, 4, {1, 3, 5, 13}}, {5, 2, {1, 1, 5, 5, 17}}, {5, 4, {1, 1, 5, 5, 5}},
    {5, 7, {1, 1, 7, 11, 19}}, {5, 11, {1, 1, 5, 1, 1}}, {5, 13, {1, 1, 1, 3, 11}},
    {5, 14, {1, 3, 5, 5, 31}}, {6, 1, {1, 3, 3, 9, 7, 49}}, {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}}, {6, 19, {1, 1, 1, 15, 7, 5}}, {6, 22, {1, 3, 1, 15, 13, 25}},
    {6, 25, {1, 1, 5, 5, 19, 61}}, {7, 1, {1, 3, 7, 11, 23, 15, 103}},
    {7, 4, {1, 3, 7, 13, 13, 15, 69}}, {7, 7, {1, 1, 3, 13, 7, 35, 63}},
    {7, 8, {1, 3, 5, 9, 1, 25, 53}}, {7, 14, {1, 3, 1, 13, 9, 35, 107}},
    {7, 19, {1, 3, 1, 5, 27, 61, 31}}, {7, 21, {1, 1, 5, 11, 19, 41, 61}},
    {7, 28, {1, 3, 5, 3, 3, 13, 69}}, {7, 31, {1, 1, 7, 13, 1, 19, 1}},
    {7, 32, {1, 3, 7, 5, 13, 19, 59}}, {7, 37, {1, 1, 3, 9, 25, 29, 41}},
    {7, 41, {1, 3, 5, 13, 23, 1, 55}}, {7, 42, {1, 3, 7, 3, 13, 59, 17}},
    {7, 50, {1, 3, 1, 3, 5, 53, 69}}, {7, 55, {1, 1, 5, 5, 23, 33, 13}},
    {7, 56, {1, 1, 7, 7, 1, 61, 123}}, {7, 59, {1, 1, 7, 9, 13, 61, 49}},
    {7, 62, {1, 3, 3, 5, 3, 55, 33}}
};
enum { MAX_DIMS = 1 + (int)(sizeof directions / sizeof directions[0]) };

/* v[k] = m[k] 2^(32-k-1), k = 0, 1, ..., continued by the polynomial's recurrence. */
static void direction_numbers(int dim, uint32_t v[BITS])
{
    const direction *d = dim > 0 ? &directions[dim - 1] : NULL;
    for (int k = 0; k < BITS; k++) {
        if (!d || k < d->degree) {
            v[k] = (d ? (uint32_t)d->m[k] : 1u) << (BITS - 1 - k);
            continue;
        }
        v[k] = v[k - d->degree] ^ v[k - d->degree] >> d->degree;
        for (int j = 1; j < d->degree; j++)
            if (d->coefficients >> (d->degree - 1 - j) & 1)
                v[k] ^= v[k - j];
    }
}

uint32_t rv_sobol_bits(int dim, uint32_t number)
{
    uint32_t v[BITS], bits = 0, gray = number ^ number >> 1;
    direction_numbers(dim, v);
    for (int k = 0; k < BITS; k++)
        if (gray >> k & 1)
            bits ^= v[k];
    return bits;
}

/* Owen's nested scrambling: a bit is flipped by a coin that belongs to the bits before it. */
static uint32_t scramble(uint32_t bits, uint64_t seed, int dim)
{
    rv_random coins = {seed, RV_RANDOM_SEARCH, (uint64_t)dim};
    uint32_t flips = 0;
    for (int k = 0; k < BITS; k++) {
        uint64_t node = (uint64_t)1 << k | (k > 0 ? bits >> (BITS - k) : 0); /* of the tree of prefixes */
        flips |= (rv_random_u32(coins, node) & 1) << (BITS - 1 - k);
    }
    return bits ^ flips;
}

static rv_status draw(const rv_point_request *request, double *points, int *made, rv_error *err)
{
    *made = request->count;
    if (request->dims > MAX_DIMS)
        return rv_fail(err, RV_E_RANGE, "sobol: %d dimensions; at most %d", request->dims, (int)MAX_DIMS);
    for (int i = 0; i < request->count; i++)
        for (int d = 0; d < request->dims; d++)
            points[i * request->dims + d] = scramble(rv_sobol_bits(d, (uint32_t)i), request->seed, d) * 0x1p-32;
    return RV_OK;
}

const rv_point_sampler rv_point_sampler_sobol = {
    .info = {.name = "sobol",
             .title = "Sobol's points with Owen's scrambling",
             .description = "Direction numbers of Joe and Kuo for up to 37 dimensions, points in the order of the Gray\n"
                            "code, every bit flipped by a Philox coin of (seed, dimension, bits before it).",
             .reference = "Sobol 1967; Joe and Kuo 2008, Constructing Sobol sequences with better two-dimensional "
                          "projections; Owen 1998, Scrambling Sobol and Niederreiter-Xing points"},
    .draw = draw,
};
