/* Grafting: a matrix method keeps its direction and takes the length of another method's step
 * (Agarwal et al. 2020; Anil et al. 2020).  A table of methods that are grafted. */
#ifndef RV_OPTIM_MATRIX_GRAFT_H
#define RV_OPTIM_MATRIX_GRAFT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum rv_grafting { RV_GRAFT_NONE, RV_GRAFT_SGD, RV_GRAFT_ADAGRAD, RV_GRAFT_RMSPROP, RV_GRAFT_ADAM } rv_grafting;
#define RV_GRAFTING_WORDS "none|sgd|adagrad|rmsprop|adam"

/* One grafted method in one step: squares <- keep squares + weight g^2, and the direction is
 * f / (root sqrt(squares) + epsilon). */
typedef struct rv_graft {
    bool squares; /* whether it has any; else the direction is f */
    double keep, weight, root, epsilon;
} rv_graft;

bool rv_graft_has_squares(int grafting);
rv_graft rv_graft_at(int grafting, double beta2, double epsilon, int64_t step);

#endif
