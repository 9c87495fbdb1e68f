/* The parts of tensors as matrices.  Invariant: parts are equal blocks of whole rows. */
#include "optim/matrix/part.h"

int rv_parts(const rv_tensor *tensor)
{
    return tensor->parts > 1 ? tensor->parts : 1;
}

void rv_part_matrix(const rv_tensor *tensor, int64_t *rows, int64_t *cols)
{
    *rows = tensor->shape.rank > 0 ? tensor->shape.dim[0] / rv_parts(tensor) : 1;
    *cols = 1;
    for (int k = 1; k < tensor->shape.rank; k++)
        *cols *= tensor->shape.dim[k];
}

int rv_part_tasks(const rv_tensor *tensor, const void *params)
{
    (void)params;
    return rv_parts(tensor);
}

int rv_part_count(const rv_run *run)
{
    int count = 0;
    for (int i = 0; i < run->count; i++)
        count += rv_parts(&run->tensors[i]);
    return count;
}

int rv_part_locate(const rv_run *run, int *number)
{
    int tensor = 0;
    for (int n; *number >= (n = rv_parts(&run->tensors[tensor])); *number -= n)
        tensor++;
    return tensor;
}

int rv_part_tensor(const rv_run *run, const void *context, int number)
{
    (void)context;
    return rv_part_locate(run, &number);
}
