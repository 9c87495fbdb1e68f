/* The handling of oneDNN's objects, said once. */
#include "tensor/kernels/cpu/onednn.h"

#include <assert.h>

/* libgomp's, which oneDNN runs on; clang ships no omp.h for it. */
extern int omp_get_max_threads(void);
extern void omp_set_num_threads(int threads);

enum { MAX_OPERANDS = 6 };

int rv_onednn_threads(int threads)
{
    const int before = omp_get_max_threads();
    if (before != threads)
        omp_set_num_threads(threads);
    return before;
}

rv_status rv_onednn_check(dnnl_status_t status, const char *what, rv_error *err)
{
    if (status == dnnl_success)
        return RV_OK;
    return rv_fail(err, status == dnnl_out_of_memory ? RV_E_MEMORY : RV_E_UNSUPPORTED, "%s: oneDNN status %d", what,
                   (int)status);
}

dnnl_memory_desc_t rv_onednn_query(const_dnnl_primitive_desc_t desc, dnnl_query_t operand)
{
    const dnnl_memory_desc_t *found = dnnl_primitive_desc_query_md(desc, operand, 0);
    return found ? *found : (dnnl_memory_desc_t){0};
}

dnnl_status_t rv_onednn_attributes(dnnl_primitive_attr_t *attr, bool add)
{
    dnnl_post_ops_t sum = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && add) {
        status = dnnl_post_ops_create(&sum);
        if (status == dnnl_success)
            status = dnnl_post_ops_append_sum(sum, 1);
        if (status == dnnl_success)
            status = dnnl_primitive_attr_set_post_ops(*attr, sum);
        dnnl_post_ops_destroy(sum);
    }
    return status;
}

dnnl_status_t rv_step_make(rv_step *step, const_dnnl_primitive_desc_t desc)
{
    step->scratch = rv_onednn_query(desc, dnnl_query_scratchpad_md);
    return dnnl_primitive_create(&step->primitive, desc);
}

void rv_step_release(rv_step *step)
{
    dnnl_primitive_destroy(step->primitive);
    *step = (rv_step){0};
}

size_t rv_step_scratch(const rv_step *step)
{
    return dnnl_memory_desc_get_size(&step->scratch);
}

rv_status rv_step_run(const rv_step *step, dnnl_engine_t engine, const rv_step_operand *operands, int count,
                      void *scratch, const char *what, rv_error *err)
{
    dnnl_exec_arg_t args[MAX_OPERANDS + 1];
    rv_step_operand all[MAX_OPERANDS + 1];
    dnnl_stream_t stream = NULL;
    int made = 0;
    assert(count <= MAX_OPERANDS);
    for (int i = 0; i < count; i++)
        all[i] = operands[i];
    if (rv_step_scratch(step) > 0)
        all[count++] = (rv_step_operand){DNNL_ARG_SCRATCHPAD, &step->scratch, scratch};
    dnnl_status_t status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    for (; status == dnnl_success && made < count; made += status == dnnl_success) {
        args[made].arg = all[made].role;
        status = dnnl_memory_create(&args[made].memory, all[made].desc, engine, (void *)(uintptr_t)all[made].data);
    }
    if (status == dnnl_success) {
        const int threads = rv_onednn_threads(1);
        status = dnnl_primitive_execute(step->primitive, stream, made, args);
        rv_onednn_threads(threads);
    }
    while (made > 0)
        dnnl_memory_destroy(args[--made].memory);
    dnnl_stream_destroy(stream);
    return rv_onednn_check(status, what, err);
}
