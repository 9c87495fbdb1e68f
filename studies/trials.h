/* Trials that a study asks for: each runs once, many side by side with one worker each, and is kept
 * in DIR/trials, so that a study that was stopped goes on where it was.  For runs of which nothing
 * but what is observed remains there is studies/descend.h. */
#ifndef RV_STUDIES_TRIALS_H
#define RV_STUDIES_TRIALS_H

#include "ravine/trial.h"
#include "studies/study.h"

typedef struct rv_study_trial {
    char *config;  /* partial configuration, JSON as rv_trial_resolve takes it; owned */
    int64_t pause; /* the trial is done at this step and may go on later (rv_trial_options); 0: never */
    /* What every validation measures beside the workload's metrics (rv_trial_options); may be NULL. */
    rv_status (*measure)(void *context, rv_objective *objective, const void *w, rv_metrics *metrics, rv_error *err);
    const char *const *more; /* names of metrics whose curves are wanted as well; borrowed */
    int more_count;
    bool done;     /* what follows is known */
    bool paused;   /* it is done for now, and can go on */
    double final;  /* metric of the last validation; +infinity: the trial diverged */
    double seconds; /* of training */
    int64_t steps; /* made */
    int count;     /* validations */
    double *step, *value; /* [count], steps rising; owned */
    double *further;      /* [more_count * count], metric by metric; owned */
} rv_study_trial;

/* Runs those of the trials [count] that are not done, in the given order; a lone one has all workers.
 * Weights and checkpoints are removed once a result is there: a study reads curves alone.  Progress goes
 * from `from` to `to`.  RV_E_INTERRUPTED when the user stops: a trial that was running then has the curve
 * so far and is not done; the next call, in the same folder, goes on.  RV_E_BUSY: another process runs one of
 * them; if it is past its pause, its curve so far is taken instead. */
rv_status rv_study_trials(rv_study_run *run, rv_study_trial *const *trials, int count, double from, double to, rv_error *err);
void rv_study_trial_release(rv_study_trial *trial);

#endif
