/* Trials that a study asks for: each runs once, many side by side with one worker each, and is kept
 * in DIR/trials, so that a study that was stopped goes on where it was.  For runs of which nothing
 * but what is observed remains there is studies/descend.h. */
#ifndef RV_STUDIES_TRIALS_H
#define RV_STUDIES_TRIALS_H

#include "studies/study.h"

typedef struct rv_study_trial {
    char *config;  /* partial configuration, JSON as rv_trial_resolve takes it; owned */
    bool done;     /* what follows is known */
    double final;  /* metric of the last validation; +infinity: the trial diverged */
    int count;     /* validations */
    double *step, *value; /* [count], steps rising; owned */
} rv_study_trial;

/* Runs those of the trials [count] that are not done, in the given order.  Weights and checkpoints
 * are removed once a result is there: a study reads curves alone.  Progress goes from `from` to `to`.
 * RV_E_INTERRUPTED when the user stops; the next call, in the same folder, goes on. */
rv_status rv_study_trials(rv_study_run *run, rv_study_trial *const *trials, int count, double from, double to, rv_error *err);
void rv_study_trial_release(rv_study_trial *trial);

#endif
