/* A sigmoid autoencoder 49-32-16-8-16-32-49 on digits of 7 x 7 pixels. */
#ifndef RV_STUDIES_AUTOENCODER_H
#define RV_STUDIES_AUTOENCODER_H

#include "ravine/objective.h"
#include "studies/study.h"

/* Digits averaged to 7 x 7 pixels in [0, 1]. */
typedef struct rv_pixels {
    int64_t images;
    float *at; /* [images, 49]; the caller frees, also after a failure */
} rv_pixels;
rv_status rv_pixels_read(const rv_study_run *run, int64_t images, rv_pixels *out, rv_error *err);

/* pixels are borrowed and outlive the objective. */
rv_status rv_autoencoder_new(rv_objective **out, const rv_pixels *pixels, int64_t batch, rv_error *err);
/* Martens 2010: of every unit's incoming weights `incoming` are N(0, scale^2), the others zero. */
void rv_autoencoder_sparse(const rv_objective *o, uint64_t seed, int64_t incoming, double scale, float *w);
/* Mean over the images of the squared error, summed over pixels. */
rv_status rv_autoencoder_error(rv_objective *o, const void *w, double *error, rv_error *err);

#endif
