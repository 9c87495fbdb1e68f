/* AlgoPerf's shuffled Halton points.  Invariant: with the same seed of the last shuffle, the
 * bits of mlcommons/algorithmic-efficiency, algoperf/halton.py, generate_sequence(). */
#include <math.h>
#include <stdlib.h>

#include "bench/mt19937.h"
#include "bench/sampler.h"

enum { SKIP = 100, PRIME_BLOCK = 1000, MAX_DIMS = 1000 };

static bool is_odd_prime(int n)
{
    bool prime = n > 2 && n % 2 == 1;
    for (int d = 3; prime && d * d <= n; d += 2)
        prime = n % d != 0;
    return prime;
}

/* bases [dims]: of the odd primes below the first multiple of 1000 that leaves more than dims of
 * them, the last dims before the largest, in ascending order. */
static void find_bases(int dims, int *bases)
{
    int found = 0;
    for (int limit = PRIME_BLOCK; found < dims; limit += PRIME_BLOCK) {
        int n = limit - 1;
        while (!is_odd_prime(n))
            n--; /* the largest, which is left out */
        for (found = 0; found < dims && --n > 2;)
            if (is_odd_prime(n))
                bases[dims - ++found] = n;
    }
}

/* Coordinate `dim` of points SKIP + 1 .. SKIP + count; digits [base]. */
static void draw_dimension(int base, int dim, const rv_point_request *request, int *digits, double *points)
{
    rv_mt19937 mt;
    rv_mt19937_seed(&mt, (uint32_t)base);
    for (int i = 0; i < base; i++)
        digits[i] = i;
    rv_mt19937_shuffle(&mt, digits + 1, base - 1); /* 0 stays, so that leading zeros add nothing */
    double shift = rv_mt19937_uniform(&mt);
    for (int i = 0; i < request->count; i++) {
        double value = 0, scale = base;
        for (int n = SKIP + 1 + i; n > 0; n /= base, scale *= base)
            value += digits[n % base] / scale;
        points[(size_t)i * (size_t)request->dims + (size_t)dim] = fmod(value + shift, 1.0);
    }
}

/* The rows of points in the order that RandomState(seed).shuffle gives a list. */
static bool shuffle_rows(const rv_point_request *request, const double *from, double *points)
{
    int *order = malloc((size_t)request->count * sizeof *order);
    rv_mt19937 mt;
    if (!order)
        return false;
    for (int i = 0; i < request->count; i++)
        order[i] = i;
    rv_mt19937_seed(&mt, (uint32_t)request->seed);
    rv_mt19937_shuffle(&mt, order, request->count);
    for (int i = 0; i < request->count; i++)
        for (int d = 0; d < request->dims; d++)
            points[i * request->dims + d] = from[order[i] * request->dims + d];
    free(order);
    return true;
}

static rv_status draw(const rv_point_request *request, double *points, int *made, rv_error *err)
{
    *made = request->count;
    if (request->dims > MAX_DIMS)
        return rv_fail(err, RV_E_RANGE, "halton: %d dimensions; at most %d", request->dims, MAX_DIMS);
    int *bases = calloc((size_t)request->dims, sizeof *bases), *digits = NULL;
    double *ordered = malloc((size_t)request->count * (size_t)request->dims * sizeof *ordered);
    if (bases && ordered) {
        find_bases(request->dims, bases);
        digits = malloc((size_t)bases[request->dims - 1] * sizeof *digits);
    }
    for (int d = 0; digits && d < request->dims; d++)
        draw_dimension(bases[d], d, request, digits, ordered);
    bool done = digits && shuffle_rows(request, ordered, points);
    free(bases);
    free(digits);
    free(ordered);
    return done ? RV_OK : rv_fail(err, RV_E_MEMORY, "halton: no memory for %d points", request->count);
}

const rv_point_sampler rv_point_sampler_halton = {
    .info = {.name = "halton",
             .title = "Shuffled Halton points, as AlgoPerf draws them",
             .description = "Per dimension the radical inverse of 101, 102, ... in a prime base just below 997, its digits\n"
                            "permuted (0 stays) and a shift added modulo 1, both from RandomState(base); the list of\n"
                            "points is then shuffled.  The seed is that of this last shuffle alone, so that every\n"
                            "space of as many dimensions meets the same points.  (AlgoPerf leaves it unseeded.)",
             .reference = "Bousquet et al. 2017, Critical hyper-parameters: no random, no cry (arXiv 1706.03200); "
                          "mlcommons/algorithmic-efficiency algoperf/halton.py"},
    .draw = draw,
};
