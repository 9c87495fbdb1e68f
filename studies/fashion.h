/* The course's convolutional network, trained in memory: the centre of the loss-surface studies. */
#ifndef RV_STUDIES_FASHION_H
#define RV_STUDIES_FASHION_H

#include "studies/descend.h"

/* Parameters of the training, for the tables of the studies. */
#define RV_FASHION_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    INT(steps, 800, 1, 1000000, 0, "of training; the course: 2925")                                   \
    INT(batch, 128, 8, 4096, 0, "images of a mini-batch; the course: 512")                            \
    REAL(lr, 0.05, 0, 10, RV_PARAM_LOG | RV_PARAM_OPEN_LO, "of SGD with momentum 0.9; the course: 0.01") \
    INT(images, 0, 0, 55000, 0, "to train on; 0: all")                                                \
    INT(evaluate, 2048, 64, 10000, 0, "images of a split behind every value of a surface; the course: 512")
RV_PARAM_STRUCT(rv_fashion_params, RV_FASHION_PARAMS);

typedef struct rv_fashion {
    rv_objective *objective;
    float *start, *end; /* weights [layout size] before and after training */
    double train, test, accuracy; /* after: losses on `evaluate` images, accuracy on the test split */
} rv_fashion;

/* seed: of weights and order.  Release also after a failure. */
rv_status rv_fashion_train(rv_study_run *run, const rv_fashion_params *params, double dropout, uint64_t seed,
                           rv_fashion *out, rv_error *err);
void rv_fashion_release(rv_fashion *net);

#endif
