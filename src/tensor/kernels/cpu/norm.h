/* Normalisations of rows (layer, RMS) and of columns (batch, group).
 *
 * Rows: every row of x [rows, width] has its own mean and variance.  Columns: the
 * caller says per column what to subtract and multiply, so batch and group norm
 * share the passes over memory and differ in arithmetic on [width] only. */
#ifndef RV_TENSOR_KERNELS_CPU_NORM_H
#define RV_TENSOR_KERNELS_CPU_NORM_H

#include "tensor/kernels/cpu/cpu.h"

typedef struct rv_norm_rows {
    size_t rows, width;
    const float *x;          /* [rows, width] */
    const float *gain;       /* [width] or NULL: 1 */
    bool centred;            /* subtract the mean (layer norm) or not (RMS norm) */
} rv_norm_rows;

struct rv_cpu_norm {
    /* y = (x - mean) / sqrt(var + eps) gain + shift; shift may be NULL; y may be x or, where only
     * rounded is wanted, NULL.  rounded: the same in bf16, of even width; NULL: not wanted.
     * saved [rows, 2]: mean and 1 / sqrt(var + eps). */
    void (*rows_forward)(const rv_norm_rows *norm, const float *shift, float eps, float *y, uint16_t *rounded,
                         float *saved);
    /* gx (+)= gradient of x (NULL: not wanted; may be gy); sums [2, width] receives the
     * gradients of gain and shift. */
    void (*rows_backward)(const rv_norm_rows *norm, const float *saved, const float *gy, float *gx, bool add,
                          float *sums);

    /* Per column: the mean of x [rows, width] and the sum of squares around it. */
    void (*column_moments)(size_t rows, size_t width, const float *x, float *mean, float *squares);
    /* y = (x - mean) factor + shift; y may be x. */
    void (*column_affine)(size_t rows, size_t width, const float *x, const float *mean, const float *factor,
                          const float *shift, float *y);
    /* Per column: the sums of gy and of gy (x - mean). */
    void (*column_sums)(size_t rows, size_t width, const float *x, const float *gy, const float *mean,
                        float *sum, float *product);
    /* gx (+)= gy factor - offset - (x - mean) slope; gx may be gy. */
    void (*column_gradient)(size_t rows, size_t width, const float *x, const float *gy, const float *mean,
                            const float *factor, const float *offset, const float *slope, float *gx,
                            bool add);
};

#endif
