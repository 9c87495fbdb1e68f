/* The linear transformer of Ahn et al. 2023 on in-context regression: 150 parameters. */
#include <math.h>
#include <stdlib.h>

#include "objective/analytic.h"
#include "objective/metric.h"
#include "ravine/workload.h"
#include "workloads/prompt.h"

#define PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                        \
    INT(layers, 3, 1, RV_PROMPT_LAYERS, 0, "of linear attention, 50 parameters each") \
    INT(points, 20, 1, 10000, 0, "examples of a prompt")                             \
    CHOICE(data, "normal|gamma|sphere", "normal", "of points: N(0, 1), or radii with heavy tails, or radius 1") \
    REAL(deviation, 0.05, 0, 10, RV_PARAM_OPEN_LO, "of the initial weights")         \
    INT(evaluate, 10000, 1, 1000000, 0, "prompts of an evaluation")

RV_PARAM_STRUCT(params, PARAMS);
RV_PARAM_TABLE(table, "linear-transformer", params, PARAMS);

enum { BATCH = 1000 };
/* Seeds of the evaluation's prompts, which no training has. */
static const uint64_t held_out[3] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - 2};

typedef struct regression {
    params o;
    rv_prompt_kind kind;
    int64_t batch;
    rv_prompts *prompts; /* [batch]: those of `drawn`, so that several runs in step draw them once */
    rv_batch drawn;
    bool any;            /* drawn is one */
    rv_prompts *held[3]; /* [evaluate]: those of each split, once it has been evaluated */
} regression;

static void release(void *context)
{
    regression *r = context;
    free(r->prompts);
    for (int split = 0; split < 3; split++)
        free(r->held[split]);
    free(r);
}

static void start(void *context, uint64_t seed, double *w)
{
    const regression *r = context;
    rv_random stream = {seed, RV_RANDOM_INIT, 0};
    for (int64_t k = 0; k < r->o.layers * RV_PROMPT_LAYER; k++)
        w[k] = r->o.deviation * rv_random_normal(stream, (uint64_t)k);
}

static void draw_batch(regression *r, rv_batch batch)
{
    if (r->any && r->drawn.seed == batch.seed && r->drawn.step == batch.step && r->drawn.part == batch.part)
        return;
    rv_random stream = {batch.seed, RV_RANDOM_DATA, batch.step};
    rv_prompts_draw(r->prompts, r->batch, r->kind, (int)r->o.points, stream, (uint64_t)batch.part * (uint64_t)r->batch);
    r->drawn = batch;
    r->any = true;
}

static double value_grad(void *context, const double *w, rv_batch batch, double *g)
{
    regression *r = context;
    draw_batch(r, batch);
    return rv_prompts_loss(r->prompts, r->batch, w, (int)r->o.layers, g);
}

static void evaluate(void *context, const double *w, rv_split split, rv_metrics *metrics)
{
    regression *r = context;
    if (!r->held[split]) {
        r->held[split] = rv_prompts_new(r->o.evaluate);
        if (r->held[split])
            rv_prompts_draw(r->held[split], r->o.evaluate, r->kind, (int)r->o.points, (rv_random){held_out[split], RV_RANDOM_DATA, 0}, 0);
    }
    double loss = r->held[split] ? rv_prompts_loss(r->held[split], r->o.evaluate, w, (int)r->o.layers, NULL) : NAN;
    rv_metrics_put(metrics, "loss", loss);
}

static rv_status make(const void *values, const rv_workload_env *env, rv_objective **out, rv_error *err)
{
    regression *r = calloc(1, sizeof *r);
    int64_t batch = env->batch > 0 ? env->batch : BATCH;
    rv_prompts *prompts = rv_prompts_new(batch);
    if (!r || !prompts) {
        free(r);
        free(prompts);
        return rv_fail(err, RV_E_MEMORY, "linear-transformer: no memory for %lld prompts", (long long)batch);
    }
    *r = (regression){.o = *(const params *)values, .batch = batch, .prompts = prompts};
    r->kind = (rv_prompt_kind)r->o.data;
    rv_analytic analytic = {.name = "linear-transformer", .size = r->o.layers * RV_PROMPT_LAYER, .examples = batch, .context = r,
                            .start = start, .value_grad = value_grad, .evaluate = evaluate, .release = release};
    return rv_analytic_new(out, &analytic, rv_backend_dtype(env->backend), err);
}

const rv_workload rv_workload_linear_transformer = {
    .name = "linear-transformer",
    .title = "Linear transformer on in-context regression",
    .description = "A prompt has 20 examples (x, y = x . task), task ~ N(0, 1) anew for every prompt, and a query; three layers\n"
                   "of linear attention predict -y of the query: squared error of prediction + y, 1000 fresh prompts a step.\n"
                   "At zero weights the loss is 5 (normal points) or 1 (gamma, sphere).  Source: Ahn, Cheng, Song, Yun, Jadbabaie,\n"
                   "Sra 2023, \"Linear attention is (maybe) all you need (to understand transformer optimization)\", and its\n"
                   "repository chengxiang/LinearTransformer: AdamW with beta2 = 0.9, learning rate 0.02, gradient clipped to norm 1.",
    .params = &table,
    .make = make,
    .metric = "loss",
    .recipe = "{\"optimizer\": \"adamw\", \"optimizer_params\": {\"lr\": 0.02, \"beta2\": 0.9, \"weight_decay\": 0},"
              " \"schedule\": \"constant\", \"train\": {\"steps\": 3000, \"clip\": 1, \"eval_every\": 100}}",
};
