/* Float64 vectors beside weights of the objective's own type, and running statistics that
 * come back.  Sums run in order, so results do not depend on threads. */
#ifndef RV_PROBE_VECTOR_H
#define RV_PROBE_VECTOR_H

#include "ravine/probe.h"

double rv_vector_at(const void *w, rv_dtype dtype, int64_t i);
void rv_vector_set(void *w, rv_dtype dtype, int64_t i, double value);
/* to <- w + a x, in w's type; x may be NULL (a copy). */
void rv_vector_move(void *to, const void *w, rv_dtype dtype, double a, const double *x, int64_t n);
double rv_vector_dot(const double *a, const double *b, int64_t n);
double rv_vector_norm(const double *a, int64_t n);
void rv_vector_scale(double *a, double factor, int64_t n);
/* y <- y + a x */
void rv_vector_add(double *y, double a, const double *x, int64_t n);

/* Zeroed memory for `count` vectors of the layout's size; NULL with err filled. */
double *rv_vector_new(const rv_objective *objective, int64_t count, rv_error *err);
void *rv_weights_new(const rv_objective *objective, rv_error *err); /* of the objective's type */

/* A copy of the running statistics; NULL where there are none.  RV_E_MEMORY. */
rv_status rv_statistics_save(const rv_objective *objective, void **copy, rv_error *err);
void rv_statistics_restore(rv_objective *objective, void *copy); /* frees it */

#endif
