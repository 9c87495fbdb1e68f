/* Trajectories of methods that look at layers: the file holds a small network in place of a problem,
 *     y = W2 tanh(W1 x + b1) + b2,   loss = mean over the N x out entries of (y - Y)^2
 * with X [N, in], Y [N, out] and the initial W1, b1, W2, b2; its "runs" are named by the method's
 * hyperparameter "method". */
#ifndef RV_OPTIM_VERIFY_NETWORK_H
#define RV_OPTIM_VERIFY_NETWORK_H

#include <jansson.h>

#include "ravine/tensor.h"

/* Whether the file is one of these; it then also gets the keys "tensors", "initial_params" and "cases"
 * that other trajectories have.  RV_E_FORMAT. */
rv_status rv_verify_network_open(json_t *file, const char *path, bool *found, rv_error *err);

/* The layers of the tensors W1, b1, W2, b2. */
void rv_verify_network_layers(const rv_layout *layout, rv_linear_layer layers[2]);

/* g [layout size] <- the gradient at w; factors [rv_layout_factors] <- the factor sums; NULL: not wanted. */
rv_status rv_verify_network_gradient(const json_t *file, const rv_layout *layout, const double *w, double *g,
                                     double *factors, rv_error *err);

#endif
