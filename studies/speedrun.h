/* The race of the study `speedrun`: methods at widths, their sweeps, seeds and shorter runs.
 * Every trial is asked for by what it is, and run once, whoever asks. */
#ifndef RV_STUDIES_SPEEDRUN_H
#define RV_STUDIES_SPEEDRUN_H

#include "studies/trials.h"

#define RV_SPEEDRUN_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                        \
    INT(width, 64, 8, 2048, 0, "of the fixed architecture, a multiple of 8; the others have half and twice it") \
    INT(layers, 4, 1, 64, 0, "transformer blocks")                                               \
    INT(block, 64, 4, 1024, 0, "length of the context in characters")                            \
    INT(batch, 12, 2, 4096, 0, "windows of a step")                                              \
    INT(steps, 800, 20, 1000000, 0, "of a run, its schedule's whole length; a multiple of 20")   \
    INT(evaluate, 256, 8, 1000000, 0, "validation windows")                                      \
    REAL(target, 2.2, 0, 100, 0, "the absolute target: a validation loss")
RV_PARAM_STRUCT(rv_speedrun_params, RV_SPEEDRUN_PARAMS);

/* The last is a control. */
enum { RV_ADAMW, RV_NADAMW, RV_MUON, RV_SOAP, RV_SHAMPOO, RV_SCHEDULE_FREE, RV_LION, RV_SGD, RV_NO_MOMENTUM, RV_METHODS };
/* Racers: all methods at the middle width, then AdamW and Muon at half and at twice it. */
enum { RV_NARROW = RV_METHODS, RV_WIDE = RV_NARROW + 2, RV_RACERS = RV_WIDE + 2 };
enum { RV_RATES = 10, RV_LENGTHS = 5 };

/* A method at a width. */
typedef struct rv_racer {
    int method, adamw; /* adamw: the racer whose rate its embeddings and vectors have */
    int64_t width;
    int rates;
    double rate[RV_RATES]; /* swept with seed 0, rising */
    double best;           /* of them */
    double rest;           /* AdamW's rate for embeddings and vectors, of a matrix method */
    bool inside;           /* both neighbours of the best were tried */
    int lengths;
    int64_t length[RV_LENGTHS]; /* steps of runs with all seeds, falling from the study's */
    double step_seconds;   /* CPU time of a step */
    double reached;        /* steps to the absolute target; NAN: not reached */
} rv_racer;

typedef struct rv_race_run {
    int racer;
    double lr;
    int64_t steps;
    uint64_t seed;
    rv_study_trial trial;
} rv_race_run;

typedef struct rv_race {
    rv_study_run *run;
    const rv_speedrun_params *params;
    rv_racer racer[RV_RACERS];
    rv_race_run *runs; /* owned */
    int count, capacity;
} rv_race;

const char *rv_race_name(int method); /* "Schedule-Free" */

void rv_race_init(rv_race *race, rv_study_run *run, const rv_speedrun_params *params);
void rv_race_release(rv_race *race);

/* The first rates of a sweep, a factor 2 apart: three around a middle, or (NAN) four of the method's own. */
void rv_race_start(rv_race *race, int racer, double middle);
/* Runs the rates of these racers with seed 0, and one more beyond the best of each until it has been
 * passed on both sides.  The racer that gives them their rate of AdamW must have been swept before. */
rv_status rv_race_sweep(rv_race *race, const int *racers, int count, double from, double to, rv_error *err);
/* All seeds of all racers at their best rates, in full length; the rate below takes the place of one that
 * other seeds do not bear. */
rv_status rv_race_seeds(rv_race *race, double from, double to, rv_error *err);
/* For racers that end below AdamW: shorter runs, schedules of their own, until they end above. */
rv_status rv_race_shorten(rv_race *race, double from, double to, rv_error *err);
/* CPU time of a step of every racer, one after another in the calling thread. */
rv_status rv_race_cost(rv_race *race, rv_error *err);

/* NULL: was never run. */
const rv_study_trial *rv_race_trial(const rv_race *race, int racer, double lr, int64_t steps, uint64_t seed);
/* Final loss at the racer's best rate; NAN: was never run, infinity: diverged. */
double rv_race_final(const rv_race *race, int racer, int64_t steps, uint64_t seed);
double rv_race_mean(const rv_race *race, int racer, int64_t steps); /* over seeds */
/* Steps that a racer needs to end at AdamW's loss, with the same seed: by its runs of several
 * lengths, linear in the logarithm of the length.  NAN: it does not get there in full length. */
double rv_race_needed(const rv_race *race, int racer, uint64_t seed);
/* Step at which full runs first pass a loss, linear between evaluations, mean over seeds; NAN: not all do. */
double rv_race_crossing(const rv_race *race, int racer, double level);

/* speedrun_figures.c */
void rv_race_draw(const rv_race *race);
void rv_records_draw(rv_study_run *run);
/* How many records are no faster than the one before them, as it was last timed. */
int rv_records_slower(void);

#endif
