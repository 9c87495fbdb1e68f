/* The activation functions and their slopes in double: the reference behind every
 * operation that fuses one. */
#ifndef RV_GRAPH_ACTIVATION_H
#define RV_GRAPH_ACTIVATION_H

#include "ravine/graph.h"

const char *rv_activation_name(rv_activation act); /* NULL: no such activation */
double rv_activation_value(rv_activation act, double x);
double rv_activation_slope(rv_activation act, double x); /* d value / d x; 0 at the kink of relu */

#endif
