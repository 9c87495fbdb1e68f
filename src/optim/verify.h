/* Replaying the trajectory of a reference implementation: a JSON file with initial
 * weights, hyperparameters and the weights after some steps, and beside it the problem file
 * with the gradients (or the objective that they are taken of). */
#ifndef RV_OPTIM_VERIFY_H
#define RV_OPTIM_VERIFY_H

#include "ravine/optim.h"

enum { RV_VERIFY_ROWS = 128 };

typedef struct rv_verify_row {
    const char *gradients; /* "fixed" or "objective"; of a network (verify_network.h) its run */
    const char *weights;   /* "params" or "eval_params" */
    int64_t step;
    double error; /* largest over tensors of max |ours - theirs| / (1 + max |theirs|) */
} rv_verify_row;

typedef struct rv_verify_result {
    char name[RV_NAME_SIZE], optimizer[2 * RV_NAME_SIZE], method[RV_NAME_SIZE];
    double tolerance, worst;
    bool pass; /* worst <= tolerance, at least one row */
    int count;
    rv_verify_row rows[RV_VERIFY_ROWS];
} rv_verify_result;

/* Replays the file in double through the same code that trains.  tolerance NaN: the
 * method's own.  RV_E_IO, RV_E_FORMAT; RV_E_UNKNOWN with the optimizer's name when there is no
 * such method here; RV_E_NUMERIC.  A result beyond the tolerance is not an error. */
rv_status rv_verify_file(const char *path, double tolerance, rv_verify_result *result, rv_error *err);

/* The result for people (several lines) and as a JSON object; caller frees with free(). */
char *rv_verify_text(const rv_verify_result *result);
char *rv_verify_json(const rv_verify_result *result);

#endif
