/* Hyperparameters of references that are words or objects, in our parameters, and state that
 * a trajectory starts from. */
#ifndef RV_OPTIM_VERIFY_WORDS_H
#define RV_OPTIM_VERIFY_WORDS_H

#include "core/json.h"
#include "ravine/optim.h"

/* Adds our parameters for one hyperparameter of `optimizer` to options; false: verify_words.def
 * does not say what it means. */
bool rv_verify_word(const char *optimizer, const char *key, const json_t *value, json_t *options);

/* Copies the initial state that the file's hyperparameters give into a double optimizer. */
rv_status rv_verify_initial_state(const char *optimizer, const json_t *hyper, rv_optimizer *o, rv_error *err);

/* Whether the file's hyperparameters leave a tensor's trajectory to the eigensolver. */
bool rv_verify_apart(const char *optimizer, const json_t *hyper, const char *tensor);

#endif
