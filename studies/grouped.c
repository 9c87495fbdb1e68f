/* Trains a grouped problem through the network objective and reads the losses of its groups from
 * the logits.  Invariant: sums are over chunks of a fixed size, added in order, so they do not
 * depend on the workers. */
#include "studies/grouped.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "objective/network.h"
#include "studies/tables.h"

enum { ROWS = 128 }; /* examples of a chunk */

struct rv_grouped_net {
    const rv_study_run *run;
    const rv_grouped *problem;
    rv_objective *objective;
    rv_graph *graph;       /* the forward pass over ROWS examples */
    rv_plan *plan;
    rv_runner **runners;   /* [workers] */
    int workers, chunks;
    int64_t sample;
    double (*sum)[RV_GROUPS], (*count)[RV_GROUPS]; /* [chunks] */
    rv_status *status;     /* [chunks] */
};

void rv_grouped_release(rv_grouped *problem)
{
    rv_source_free(problem->source);
    free(problem->group);
    *problem = (rv_grouped){0};
}

/* ---- construction -------------------------------------------------------------------------- */

static rv_status build_forward(rv_grouped_net *net, rv_error *err)
{
    const rv_grouped *p = net->problem;
    rv_value inputs[RV_SOURCE_INPUTS];
    static const char *const names[RV_SOURCE_INPUTS] = {"input", "input1", "input2", "input3"};
    for (int i = 0; i < p->source->inputs; i++) {
        rv_shape shape = {.rank = p->source->input_shape[i].rank + 1, .dim = {ROWS}};
        for (int k = 1; k < shape.rank; k++)
            shape.dim[k] = p->source->input_shape[i].dim[k - 1];
        inputs[i] = rv_graph_input(net->graph, names[i], p->source->input_dtype[i], shape);
    }
    p->build(net->graph, inputs, p->params);
    RV_TRY(rv_graph_status(net->graph, err));
    RV_TRY(rv_plan_new(&net->plan, net->graph, (rv_plan_options){.backend = RV_BACKEND_CPU}, err));
    for (int i = 0; i < net->workers; i++)
        RV_TRY(rv_runner_new(&net->runners[i], net->plan, err));
    return RV_OK;
}

static rv_status build_training(rv_grouped_net *net, rv_error *err)
{
    const rv_grouped *p = net->problem;
    rv_network network = {.name = "grouped", .build = p->build, .params = p->params, .source = rv_source_lend(p->source), .batch = p->batch,
                          .shards = 2, .least_rows = 16, .drop_last = true, .evaluation_rows = 1, .evaluation_limit = 1};
    if (!network.source)
        return rv_fail(err, RV_E_MEMORY, "no memory for a source");
    return rv_network_new(&net->objective, &network, &(rv_workload_env){.pool = net->run->pool, .backend = RV_BACKEND_CPU}, err);
}

rv_status rv_grouped_net_new(rv_grouped_net **out, const rv_study_run *run, const rv_grouped *problem, rv_error *err)
{
    int64_t examples = problem->source->examples[RV_SPLIT_TRAIN];
    int64_t sample = problem->sample > 0 && problem->sample < examples ? problem->sample : examples;
    size_t chunks = (size_t)((sample + ROWS - 1) / ROWS), workers = (size_t)rv_pool_workers(run->pool);
    rv_grouped_net *net = calloc(1, sizeof *net);
    *out = net;
    if (net) {
        *net = (rv_grouped_net){.run = run, .problem = problem, .sample = sample, .workers = (int)workers, .chunks = (int)chunks};
        net->graph = rv_graph_new();
        net->runners = calloc(workers, sizeof *net->runners);
        net->sum = calloc(chunks, sizeof *net->sum);
        net->count = calloc(chunks, sizeof *net->count);
        net->status = calloc(chunks, sizeof *net->status);
    }
    if (!net || !net->graph || !net->runners || !net->sum || !net->count || !net->status)
        return rv_fail(err, RV_E_MEMORY, "no memory for the losses of the groups");
    RV_TRY(build_forward(net, err));
    return build_training(net, err);
}

void rv_grouped_net_free(rv_grouped_net *net)
{
    if (!net)
        return;
    for (int i = 0; net->runners && i < net->workers; i++)
        rv_runner_free(net->runners[i]);
    rv_plan_free(net->plan);
    rv_graph_free(net->graph);
    rv_objective_free(net->objective);
    free(net->runners);
    free(net->sum);
    free(net->count);
    free(net->status);
    free(net);
}

const rv_objective *rv_grouped_objective(const rv_grouped_net *net)
{
    return net->objective;
}

/* ---- losses of the groups ---------------------------------------------------------------------- */

/* log(sum exp) - the label's logit; row [classes]. */
static double row_loss(const float *row, int classes, int32_t label)
{
    float most = row[0];
    double sum = 0;
    for (int c = 1; c < classes; c++)
        most = row[c] > most ? row[c] : most;
    for (int c = 0; c < classes; c++)
        sum += (double)expf(row[c] - most);
    return log(sum) + (double)most - (double)row[label];
}

typedef struct pass {
    rv_grouped_net *net;
    const void *w;
} pass;

static void chunk_losses(void *context, int chunk, int worker)
{
    const pass *p = context;
    rv_grouped_net *net = p->net;
    const rv_source *source = net->problem->source;
    rv_runner *runner = net->runners[worker];
    int64_t ids[ROWS], all = source->examples[RV_SPLIT_TRAIN];
    void *inputs[RV_SOURCE_INPUTS];
    double loss[2];
    for (int i = 0; i < ROWS; i++) {
        int64_t k = (int64_t)chunk * ROWS + i;
        ids[i] = k < net->sample ? (int64_t)((double)k * (double)all / (double)net->sample) : -1;
    }
    for (int i = 0; i < source->inputs; i++)
        inputs[i] = rv_runner_input(runner, i);
    source->fill(source, RV_SPLIT_TRAIN, ids, ROWS, (rv_random){0, RV_RANDOM_AUGMENT, 0}, 0, RV_F32, inputs);
    net->status[chunk] = rv_runner_forward(runner, p->w, NULL, (rv_shard){.shard = chunk}, loss, NULL);
    const float *logits = rv_runner_output(runner, "logits"); /* [ROWS, classes] */
    const int32_t *labels = inputs[source->inputs - 1];
    memset(net->sum[chunk], 0, sizeof net->sum[chunk]);
    memset(net->count[chunk], 0, sizeof net->count[chunk]);
    for (int i = 0; i < ROWS; i++) {
        if (labels[i] < 0)
            continue;
        int group = net->problem->group[labels[i]];
        net->sum[chunk][group] += row_loss(logits + (int64_t)i * source->classes, source->classes, labels[i]);
        net->count[chunk][group] += 1;
    }
}

rv_status rv_grouped_losses(rv_grouped_net *net, const void *w, double *loss, double *group, rv_error *err)
{
    double sum = 0, count = 0;
    pass p = {net, w};
    RV_TRY(rv_plan_pack(net->plan, w, net->run->pool, err));
    rv_pool_run(net->run->pool, net->chunks, chunk_losses, &p);
    for (int k = 0; k < net->chunks; k++)
        if (net->status[k] != RV_OK)
            return rv_fail(err, net->status[k], "losses of the groups: the forward pass failed");
    for (int g = 0; g < net->problem->groups; g++) {
        double of_group = 0, examples = 0;
        for (int k = 0; k < net->chunks; k++) {
            of_group += net->sum[k][g];
            examples += net->count[k][g];
        }
        if (group)
            group[g] = of_group / examples;
        sum += of_group;
        count += examples;
    }
    *loss = sum / count;
    return RV_OK;
}

/* ---- a descent ------------------------------------------------------------------------------------ */

double rv_course_end(const rv_course *course)
{
    bool whole = course->records > 0 && course->step[course->records - 1] >= (double)course->steps;
    return whole ? course->loss[course->records - 1] : INFINITY;
}

double rv_course_end_of(const rv_course *course, int group)
{
    return isfinite(rv_course_end(course)) ? course->group[group][course->records - 1] : INFINITY;
}

typedef struct watched {
    rv_grouped_net *net;
    rv_course *course;
    double first;
    bool guarded, ended; /* ended: because it was not steady */
} watched;

/* Steps that are recorded: RV_RECORDS - 1 or fewer evenly spaced ones and the last. */
static bool is_recorded(const rv_course *course, int64_t step)
{
    int64_t every = (course->steps + RV_RECORDS - 2) / (RV_RECORDS - 1);
    return step % every == 0 || step == course->steps;
}

static void look(watched *s, double loss)
{
    s->course->peak = fmax(s->course->peak, loss / s->first);
    s->course->steady = s->course->peak <= RV_STEADY;
    s->ended = s->guarded && !s->course->steady;
}

static rv_status watch(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    watched *s = context;
    rv_course *c = s->course;
    const rv_study_options *options = s->net->run->options;
    if (step == 0)
        s->first = loss;
    if (step < c->steps)
        look(s, loss);
    if (s->ended || (options->stop && *options->stop))
        return RV_E_INTERRUPTED;
    if (!is_recorded(c, step))
        return RV_OK;
    double group[RV_GROUPS];
    RV_TRY(rv_grouped_losses(s->net, w, &c->loss[c->records], group, err));
    look(s, c->loss[c->records]);
    for (int g = 0; g < s->net->problem->groups; g++)
        c->group[g][c->records] = group[g];
    c->step[c->records++] = (double)step;
    return s->ended ? RV_E_INTERRUPTED : RV_OK;
}

rv_status rv_grouped_descend(rv_grouped_net *net, const char *method, const char *params, uint64_t seed, int64_t steps,
                             bool guarded, rv_course *course, rv_error *err)
{
    *course = (rv_course){.steps = steps};
    watched s = {.net = net, .course = course, .guarded = guarded};
    rv_descent d = {.objective = net->objective, .method = method, .params = params, .seed = seed, .steps = steps, .observe = watch, .context = &s};
    void *w = rv_study_vector(net->objective, err);
    rv_status status = w ? rv_objective_init(net->objective, seed, w, err) : RV_E_MEMORY;
    if (status == RV_OK)
        status = rv_descend(&d, w, err);
    free(w);
    course->steady = course->steady && !d.diverged;
    return status == RV_E_INTERRUPTED && s.ended ? RV_OK : status;
}
