/* Trains the registered workload fashion-cnn; on a stop by the user it ends between two steps. */
#include "studies/fashion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rv_status watch(void *context, int64_t step, const void *w, double loss, rv_error *err)
{
    (void)w;
    (void)loss;
    (void)err;
    const rv_study_run *run = context;
    return step % 10 == 0 && run->options->stop && *run->options->stop ? RV_E_INTERRUPTED : RV_OK;
}

static rv_status train(rv_study_run *run, const rv_fashion_params *p, uint64_t seed, rv_fashion *net, rv_error *err)
{
    char text[64];
    snprintf(text, sizeof text, "lr=%.17g,momentum=0.9", p->lr);
    RV_TRY(rv_objective_init(net->objective, seed, net->start, err));
    memcpy(net->end, net->start, (size_t)net->objective->layout->size * sizeof *net->end);
    rv_descent d = {.objective = net->objective, .method = "sgd", .params = text, .seed = seed, .steps = p->steps,
                    .observe = watch, .context = run};
    RV_TRY(rv_descend(&d, net->end, err));
    if (d.diverged)
        return rv_fail(err, RV_E_NUMERIC, "the training diverged at step %lld", (long long)d.made);
    RV_TRY(rv_study_evaluate(net->objective, net->end, RV_SPLIT_TRAIN, "loss", &net->train, err));
    RV_TRY(rv_study_evaluate(net->objective, net->end, RV_SPLIT_TEST, "loss", &net->test, err));
    return rv_study_evaluate(net->objective, net->end, RV_SPLIT_TEST, "accuracy", &net->accuracy, err);
}

rv_status rv_fashion_train(rv_study_run *run, const rv_fashion_params *p, double dropout, uint64_t seed, rv_fashion *out,
                           rv_error *err)
{
    char text[96];
    *out = (rv_fashion){0};
    snprintf(text, sizeof text, "dropout=%.17g,images=%lld,evaluate=%lld", dropout, (long long)p->images, (long long)p->evaluate);
    RV_TRY(rv_study_objective(run, "fashion-cnn", text, RV_BACKEND_CPU, p->batch, &out->objective, err));
    out->start = rv_study_vector(out->objective, err);
    out->end = rv_study_vector(out->objective, err);
    return out->start && out->end ? train(run, p, seed, out, err) : RV_E_MEMORY;
}

void rv_fashion_release(rv_fashion *net)
{
    rv_objective_free(net->objective);
    free(net->start);
    free(net->end);
}
