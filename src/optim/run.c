/* The parallel primitives of a step.  Invariant: tasks own disjoint parts of memory and
 * sums are added in the order of pieces, so the number of workers changes no bit. */
#include <assert.h>
#include <string.h>

#include "optim/optimizer.h"

/* Of libgomp: products that a task asks for run on its own thread.  Workers of a pool are
 * set so when they start; the thread of a caller without a pool only for the task's time. */
extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);

typedef struct pass {
    const rv_run *run;
    rv_kernel_loop *loop;
    const void *args;
    bool sums;
} pass;

void *rv_run_slot(const rv_run *run, int tensor, int slot)
{
    assert((run->group->packed >> slot & 1) == 0); /* whole_slots of the method must name it */
    return run->group->slots[tensor * run->group->method->slot_count + slot];
}

void *rv_run_workspace(const rv_run *run, int worker)
{
    return (char *)run->group->workspace + (size_t)worker * run->group->workspace_size;
}

rv_team rv_run_team(const rv_run *run, int worker)
{
    return (rv_team){run->group->pool, worker, run->group->team_rooms};
}

void *const *rv_run_rooms(const rv_run *run)
{
    return run->group->room;
}

double (*rv_run_sums(const rv_run *run))[RV_MAX_SUMS]
{
    return run->group->tensor_sums;
}

/* By the position in the state of the elements. */
static rv_dice_key dice_key(const rv_run *run, uint64_t position)
{
    uint32_t words[4];
    rv_random_block((rv_random){.seed = run->seed, .purpose = RV_RANDOM_OPTIMIZER, .step = (uint64_t)run->step}, position,
                    words);
    return (rv_dice_key){words[0], words[1]};
}

static rv_fault run_piece(const pass *p, int number)
{
    const rv_run *run = p->run;
    rv_group *group = run->group;
    const rv_piece *piece = &group->pieces[number];
    const size_t skip = (size_t)piece->start * rv_dtype_size(run->dtype);
    rv_block block = {.w = (char *)run->w[piece->tensor] + skip,
                      .g = (const char *)run->g[piece->tensor] + skip,
                      .size = piece->size,
                      .tensor = piece->tensor,
                      .start = piece->start,
                      .args = p->args,
                      .sums = p->sums ? group->partial[number] : NULL,
                      .to = group->filtered ? (char *)group->filtered[piece->tensor] + skip : NULL,
                      .packed = group->packed};
    for (int k = 0; k < group->method->slot_count; k++) {
        char *slot = group->slots[piece->tensor * group->method->slot_count + k];
        if (!slot)
            continue;
        block.slot[k] = slot + (size_t)piece->start * rv_dtype_size(rv_slot_dtype(group->owner, group, k));
        if (group->packed >> k & 1)
            block.dice[k] = dice_key(run, (uint64_t)((char *)block.slot[k] - (char *)group->owner->state.base));
    }
    return p->loop(&block);
}

static void run_span(void *context, int task, int worker)
{
    (void)worker;
    const pass *p = context;
    const rv_span span = p->run->group->spans[task];
    for (int i = span.first; i < span.first + span.count; i++)
        p->run->group->faults[i] = (unsigned char)run_piece(p, i);
}

static rv_status fault_status(const rv_run *run, rv_fault fault, int tensor)
{
    static const char *const what[] = {
        [RV_FAULT_GRADIENT] = "the gradient is not finite",
        [RV_FAULT_UPDATE] = "the new weights would not be finite",
        [RV_FAULT_FILTER] = "the changed gradient is not finite",
        [RV_FAULT_FACTOR] = "a factor of its layer is not finite",
        [RV_FAULT_EIGEN] = "the eigendecomposition of a factor failed",
    };
    return rv_fail(run->err, RV_E_NUMERIC, "%s, step %lld, tensor '%s': %s", run->group->method->info.name,
                   (long long)run->step, run->tensors[tensor].name, what[fault]);
}

static rv_status run_pass(const rv_run *run, rv_kernel kernel, const void *args, bool sums)
{
    rv_group *group = run->group;
    pass p = {run, run->dtype == RV_F32 ? kernel.f32 : kernel.f64, args, sums};
    rv_pool_run_near(group->pool, group->span_count, run_span, &p);
    for (int i = 0; i < group->piece_count; i++)
        if (group->faults[i] != RV_FAULT_NONE)
            return fault_status(run, (rv_fault)group->faults[i], group->pieces[i].tensor);
    return RV_OK;
}

rv_status rv_run_map(const rv_run *run, rv_kernel kernel, const void *args)
{
    return run_pass(run, kernel, args, false);
}

void rv_sums_add(double (*rows)[RV_MAX_SUMS], int count)
{
    for (int step = 1; step < count; step *= 2)
        for (int i = 0; i + step < count; i += 2 * step)
            for (int k = 0; k < RV_MAX_SUMS; k++)
                rows[i][k] += rows[i + step][k];
}

rv_status rv_run_sum(const rv_run *run, rv_kernel kernel, const void *args, double *total,
                     double (*each)[RV_MAX_SUMS])
{
    rv_group *group = run->group;
    RV_TRY(run_pass(run, kernel, args, true));
    if (each) {
        memset(each, 0, (size_t)group->count * sizeof *each);
        for (int first = 0, next; first < group->piece_count; first = next) {
            const int tensor = group->pieces[first].tensor;
            for (next = first; next < group->piece_count && group->pieces[next].tensor == tensor;)
                next++;
            double (*rows)[RV_MAX_SUMS] = group->partial + first;
            rv_sums_add(rows, next - first);
            memcpy(each[tensor], rows[0], sizeof rows[0]);
            memset(rows + 1, 0, (size_t)(next - first - 1) * sizeof *rows);
        }
    }
    memset(total, 0, RV_MAX_SUMS * sizeof *total);
    if (group->piece_count > 0) {
        rv_sums_add(group->partial, group->piece_count);
        memcpy(total, group->partial[0], RV_MAX_SUMS * sizeof *total);
    }
    return RV_OK;
}

typedef struct each_job {
    const rv_run *run;
    rv_run_task *task;
    const void *context;
    const int *order; /* NULL: as they are numbered */
} each_job;

static void run_each_task(void *context, int task, int worker)
{
    const each_job *job = context;
    const int number = job->order ? job->order[task] : task;
    job->run->group->faults[number] = (unsigned char)job->task(job->run, job->context, number, worker);
}

rv_status rv_run_each(const rv_run *run, int tasks, rv_run_task *task, rv_run_tensor_of *tensor_of,
                      const void *context)
{
    const each_job job = {run, task, context, tasks == run->group->order_count ? run->group->order : NULL};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    rv_pool_run(run->group->pool, tasks, run_each_task, (void *)(uintptr_t)&job);
    omp_set_num_threads(threads);
    for (int i = 0; i < tasks; i++)
        if (run->group->faults[i] != RV_FAULT_NONE)
            return fault_status(run, (rv_fault)run->group->faults[i],
                                tensor_of ? tensor_of(run, context, i) : i);
    return RV_OK;
}
