/* Tensors as matrices: a tensor, or each of its equal parts, is [out, rest], and every one
 * is a task of its own.  Tasks are numbered through the parts of all tensors. */
#ifndef RV_OPTIM_MATRIX_PART_H
#define RV_OPTIM_MATRIX_PART_H

#include "optim/method.h"

int rv_parts(const rv_tensor *tensor);
/* Rows and columns of one part. */
void rv_part_matrix(const rv_tensor *tensor, int64_t *rows, int64_t *cols);

/* The `tasks` of a method's descriptor, and what rv_run_each needs. */
int rv_part_tasks(const rv_tensor *tensor, const void *params);
int rv_part_count(const rv_run *run);
/* The tensor of task *number, which becomes the number of its part. */
int rv_part_locate(const rv_run *run, int *number);
rv_run_tensor_of rv_part_tensor;

#endif
