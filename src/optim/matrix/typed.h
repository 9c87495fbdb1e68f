/* Functions of this room in the float type at hand; included once per type, after
 * optim/kernel_real.h.  A tensor along one of its axes is [outer, d, inner]. */

/* One axis of a block as the middle one; factor: where its factor starts. */
typedef struct RV_FN(rv_axis) {
    int64_t outer, inner, factor;
    int d;
} RV_FN(rv_axis);
RV_FN(rv_axis) RV_FN(rv_axis_of)(const rv_subblock *block, int axis);

/* A block between the tensor and a contiguous buffer. */
void RV_FN(rv_block_gather)(RV_REAL *to, const RV_REAL *from, const rv_subblock *block);
void RV_FN(rv_block_scatter)(RV_REAL *to, const RV_REAL *from, const rv_subblock *block);

/* Lower triangle of factor [d, d] <- keep factor + weight unfold(g) unfold(g)'; with diagonal,
 * factor [d] is the diagonal of it. */
void RV_FN(rv_axis_gram)(const rv_team *team, RV_REAL *factor, const RV_REAL *g, int64_t outer, int d, int64_t inner,
                         double keep, double weight, bool diagonal);
/* to <- matrix [d, d], or its transpose, times from along the axis; to and from are apart. */
void RV_FN(rv_axis_apply)(const rv_team *team, const RV_REAL *matrix, bool transposed, const RV_REAL *from, RV_REAL *to,
                          int64_t outer, int d, int64_t inner);
/* The same for a diagonal matrix [d]. */
void RV_FN(rv_axis_scale)(const RV_REAL *diagonal, const RV_REAL *from, RV_REAL *to, int64_t outer, int d,
                          int64_t inner);

double RV_FN(rv_length)(const RV_REAL *x, int64_t n); /* Euclidean norm */

/* Lower triangle of a [d, d] as a whole matrix in double, times scale. */
void RV_FN(rv_widen_lower)(double *to, const RV_REAL *a, int d, double scale);
void RV_FN(rv_narrow)(RV_REAL *to, const double *from, size_t n);

/* The direction of the grafted method for the filtered gradient f into p [n]; squares [n]: its
 * sums, which take in g first; NULL for methods without. */
void RV_FN(rv_graft_direction)(const rv_graft *graft, const RV_REAL *g, const RV_REAL *f, RV_REAL *squares, RV_REAL *p,
                               int64_t n);
/* x takes over the length of graft. */
void RV_FN(rv_graft_rescale)(RV_REAL *x, const RV_REAL *graft, int64_t n);
