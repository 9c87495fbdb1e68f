/* Dropout: a Philox block to a lane, so four vectors of elements at a time. */
#include "tensor/kernels/cpu/dropout.h"

#include "tensor/kernels/cpu/philox.h"

/* All-ones where the word is at least threshold. */
RV_INLINE vi keeps(vu words, uint64_t threshold)
{
    if (threshold == 0)
        return vi_set1(-1);
    return (vi)(words > vu_set1((uint32_t)(threshold - 1)));
}

RV_INLINE void apply_of(const rv_dropout_mask *mask, size_t n, const float *x, float *y, bool add)
{
    const vf factor = vf_set1(mask->factor);
    for (size_t i = 0; i < n; i += 4 * RV_LANES) {
        vu words[4];
        vu_philox(mask->stream, mask->first + i / 4, words);
        for (size_t q = 0; q < 4 && i + q * RV_LANES < n; q++) {
            const size_t at = i + q * RV_LANES, k = n - at < RV_LANES ? n - at : RV_LANES;
            vf v = x ? vf_load_n(x + at, k) * factor : factor;
            v = vf_select(keeps(words[q], mask->threshold), v, vf_zero());
            vf_store_n(y + at, add ? vf_load_n(y + at, k) + v : v, k);
        }
    }
}

static void apply(const rv_dropout_mask *mask, size_t n, const float *x, float *y, bool add)
{
    if (add)
        apply_of(mask, n, x, y, true);
    else
        apply_of(mask, n, x, y, false);
}

const struct rv_cpu_dropout RV_CPU_TABLE(dropout) = {.apply = apply};
