/* SGD with momentum and AdamW on the linear transformer, at a grid of learning rates: runs of one seed and one kind of
 * prompts see the same batches and are made together. */
#ifndef RV_STUDIES_PROMPT_RACE_H
#define RV_STUDIES_PROMPT_RACE_H

#include "ravine/optim.h"
#include "ravine/probe.h"
#include "studies/study.h"

enum {
    RV_PROMPT_METHODS = 2,
    RV_PROMPT_RATES = 8,
    RV_PROMPT_RACERS = RV_PROMPT_METHODS * RV_PROMPT_RATES,
    RV_PROMPT_CHUNK = 125,                    /* steps between two looks */
    RV_PROMPT_MOST = 20000 / RV_PROMPT_CHUNK + 1, /* looks */
    RV_PROMPT_MOST_SEEDS = 100
};
typedef enum rv_prompt_set { RV_PROMPT_N20, RV_PROMPT_N5, RV_PROMPT_GAMMA, RV_PROMPT_FIXED, RV_PROMPT_SETS } rv_prompt_set;
typedef struct rv_prompt_setting {
    const char *key, *title, *params;
    double slowest[RV_PROMPT_METHODS]; /* first of a grid of doubling rates */
    int authors[RV_PROMPT_METHODS];    /* their rates' places in it */
} rv_prompt_setting;
extern const rv_prompt_setting rv_prompt_sets[RV_PROMPT_SETS];
extern const char *const rv_prompt_labels[RV_PROMPT_METHODS];

/* One run among those that share their batches. */
typedef struct rv_prompt_racer {
    rv_optimizer *optimizer;
    double *w;
    bool diverged;
    double loss[RV_PROMPT_MOST];      /* after every chunk */
    double condition[RV_PROMPT_MOST]; /* at the authors' rates, after every second chunk */
} rv_prompt_racer;

typedef struct rv_prompt_group {
    rv_prompt_set set;
    uint64_t seed;
    rv_objective *objective;
    double *g;
    rv_prompt_racer racers[RV_PROMPT_RACERS];
    int chunks; /* done */
    rv_noise noise;
    double *norms; /* [noise] of the race */
    rv_status status;
    rv_error error;
} rv_prompt_group;

typedef struct rv_prompt_race {
    rv_study_run *run;
    int64_t steps, prompts; /* of a run, a multiple of the chunk; of a mini-batch */
    int noise;              /* mini-batch gradients behind a histogram */
    int groups, first;      /* first: of those that run now */
    rv_prompt_group *group; /* [sets][seeds] */
    int best[RV_PROMPT_SETS][RV_PROMPT_METHODS]; /* racers */
} rv_prompt_race;

/* Makes all groups and runs them, with looks and progress.  Release the race also after a failure. */
rv_status rv_prompt_race_run(rv_prompt_race *race, rv_error *err);
void rv_prompt_race_release(rv_prompt_race *race);

/* Racer k's learning rate, and the racer with the authors' rate for a method. */
double rv_prompt_lr(rv_prompt_set set, int k);
int rv_prompt_authors(const rv_prompt_setting *setting, int method);

#endif
