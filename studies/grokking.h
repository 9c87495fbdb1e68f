/* The runs of the grokking study, between its plan and its page. */
#ifndef RV_STUDIES_GROKKING_H
#define RV_STUDIES_GROKKING_H

#include "studies/modular.h"

typedef enum rv_grok_kind {
    RV_GROK_DECAY, /* transformer, a / b mod 97 */
    RV_GROK_NONE,
    RV_GROK_MUON,
    RV_GROK_FLAT,  /* perceptron, a + b mod 113: no decay */
    RV_GROK_FLAT_DECAY,
    RV_GROK_ORTHO,
    RV_GROK_STABLE_FLAT, /* with more data: softmax and StableMax */
    RV_GROK_STABLE,
    RV_GROK_SUBTRACT, /* other tables, orthogonal gradient */
    RV_GROK_MULTIPLY,
    RV_GROK_DIVIDE,
    RV_GROK_SQUARES,
    RV_GROK_CUBIC,
    RV_GROK_LESS, /* other shares of the table */
    RV_GROK_MORE,
    RV_GROK_MOST,
    RV_GROK_FAST, /* Grokfast on the transformer */
    RV_GROK_KINDS
} rv_grok_kind;

typedef struct rv_grok {
    int seeds;
    rv_study_trial *runs; /* [kinds * seeds] */
    int64_t pause;        /* steps of the transformer without decay that are judged */
} rv_grok;

static inline const rv_study_trial *rv_grok_run(const rv_grok *g, rv_grok_kind kind, int seed)
{
    return &g->runs[(int)kind * g->seeds + seed];
}

enum { RV_GROK_LEVEL_PERCENT = 99 };
/* Steps to 99 % of the training and of the validation split; NaN: not reached. */
static inline double rv_grok_memorised(const rv_study_trial *r)
{
    return rv_modular_reached(r, RV_TRAIN_ACCURACY, RV_GROK_LEVEL_PERCENT / 100.0);
}
static inline double rv_grok_grokked(const rv_study_trial *r)
{
    return rv_modular_reached(r, RV_VALIDATION_ACCURACY, RV_GROK_LEVEL_PERCENT / 100.0);
}

void rv_grok_draw(rv_study_run *run, const rv_grok *g);

#endif
