/* Perceptrons with batch norm, as residual nets of He et al. 2016 have it, with and without
 * their skips, on digits averaged to 7 x 7; and their training by the recipe of Li et al. 2018. */
#ifndef RV_STUDIES_RESIDUAL_H
#define RV_STUDIES_RESIDUAL_H

#include "studies/digits.h"

typedef struct rv_residual {
    int images;        /* to train on, a multiple of batch */
    int evaluate;      /* images of a split that an evaluation reads */
    int64_t batch;
    int width, layers; /* weight layers, stem and head included: even */
    bool skips;        /* around every two layers; false: the same net with all of them cut */
    rv_activation act;
} rv_residual;

/* For the calling thread alone, so that nets can be trained side by side; REF is float64. */
rv_status rv_residual_new(const rv_study_run *run, const rv_residual *spec, rv_backend backend, rv_objective **out, rv_error *err);

/* Nesterov momentum 0.9, weight decay 5e-4, the rate divided by ten after 1/2, 3/4 and 11/12 of the epochs. */
typedef struct rv_residual_training {
    double lr;
    int64_t epochs, per_epoch;
    uint64_t seed;            /* of the order; of the weights too in rv_residual_train */
    const volatile int *stop; /* as that of the study; may be NULL */
    float *path;              /* [epochs + 1][layout size]: the weights before every epoch, and the last; may be NULL */
} rv_residual_training;

/* Trains w in place from where it is: a net, or a curve between nets.  Divergence is no error: the last
 * finite weights remain, and the rest of the path repeats them. */
rv_status rv_residual_descend(rv_objective *objective, const rv_residual_training *training, float *w, rv_error *err);

#endif
