/* A trial: one training run, from a configuration to a folder that can repeat it.
 *
 *     DIR/<id>/config.json   resolved and complete: this file alone repeats the run
 *              meta.json     version, compiler, CPU features, threads, argv, start and end
 *              log.jsonl     append-only, one object a line; a torn last line is ignored
 *              checkpoint/   the last two, each written beside and renamed
 *              trajectory/   those that stay, where they were asked for
 *              result.json   written once, when the run is over
 *     DIR/index.sqlite       an index that can be rebuilt from the folders
 *
 * Running the same configuration again completes what is missing and repeats
 * nothing; 100 steps are, bit for bit, 50 steps, a stop, and 50 more. */
#ifndef RAVINE_TRIAL_H
#define RAVINE_TRIAL_H

#include "ravine/objective.h"
#include "ravine/param.h"
#include "ravine/workload.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Options of the training loop: the "train" object of a configuration. */
#define RV_TRAIN_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                              \
    INT(seed, 0, 0, 4294967295, 0, "seed of weights, order of examples, dropout and augmentation")  \
    INT(steps, 1000, 1, 1e15, RV_PARAM_LOG, "budget in optimizer steps")                                \
    INT(horizon, 0, 0, 1e15, 0, "steps over which the schedule runs; 0: the budget in steps")       \
    INT(examples, 0, 0, 1e18, 0, "budget in training examples; 0: none")                            \
    REAL(seconds, 0, 0, 1e9, 0, "budget in seconds of training, evaluation not counted; 0: none")   \
    REAL(target, NAN, -HUGE_VAL, HUGE_VAL, 0, "value of the metric at which a run counts as solved") \
    BOOL(stop_at_target, true, "end the run when the target is reached")                            \
    INT(eval_every, 100, 1, 1e15, 0, "steps between evaluations; also after the first and last step") \
    INT(log_every, 10, 1, 1e15, 0, "steps between lines of the log")                                \
    INT(checkpoint_every, 1000, 1, 1e15, 0, "steps between checkpoints; also at the end and on a stop") \
    INT(batch, 0, 0, 1e9, 0, "examples of a mini-batch; 0: the workload's own")                     \
    INT(accumulate, 1, 1, 65536, 0, "mini-batches whose gradients are averaged in one step")        \
    REAL(clip, 0, 0, HUGE_VAL, RV_PARAM_OPEN_HI, "largest global norm of the gradient; 0: no clipping") \
    CHOICE(precision, "f32|bf16|f64", "f32", "of the network's arithmetic; f64 runs the reference kernels") \
    CHOICE(state_dtype, "weights|bf16", "weights", "of the optimizer's elementwise state; bf16: rounded stochastically")

RV_PARAM_STRUCT(rv_train_params, RV_TRAIN_PARAMS);
RV_API const rv_param_table *rv_train_table(void);

#define RV_OUTCOME_MAP(X)                                              \
    X(RV_OUTCOME_TARGET, "target")           /* reached its target */  \
    X(RV_OUTCOME_BUDGET, "budget")           /* spent its budget */    \
    X(RV_OUTCOME_DIVERGED, "diverged")       /* a value was not finite */ \
    X(RV_OUTCOME_INTERRUPTED, "interrupted") /* stopped on request; can be resumed */
typedef enum rv_outcome {
#define X(code, name) code,
    RV_OUTCOME_MAP(X)
#undef X
} rv_outcome;
RV_API const char *rv_outcome_name(rv_outcome outcome);

enum { RV_RUN_SIZE = 1024 }; /* longest path of a run folder, its end counted */

typedef struct rv_trial_result {
    char run[RV_RUN_SIZE]; /* folder of the run */
    rv_outcome outcome;
    char why[256];       /* of a divergence: tensor or operation, and step */
    int64_t steps, examples;
    double seconds;      /* of training; evaluation, logging and checkpoints not counted */
    char metric[RV_NAME_SIZE / 2];
    double best, final;  /* of the metric on the validation split */
    int64_t best_step;
    /* When the target was first reached; step -1 and NaN: never. */
    int64_t target_step, target_examples;
    double target_seconds;
    char weights[RV_RUN_SIZE + 32]; /* safetensors file of the last weights, or "" */
} rv_trial_result;

typedef struct rv_progress {
    int64_t step, steps;
    double loss, metric, seconds, steps_per_second, eta; /* NaN: unknown yet */
    const char *metric_name;
} rv_progress;

typedef struct rv_trial_options {
    const char *dir;   /* where run folders go; made if missing */
    const char *data;  /* folder of data sets, or NULL */
    int threads;       /* workers of this trial, >= 1 */
    int argc;          /* for meta.json; may be 0 */
    char *const *argv;
    /* Asked between steps: non-zero ends the trial with a checkpoint.  May be NULL. */
    const volatile int *stop;
    /* Ends the trial at this step as stop would: the same configuration goes on from there.  0: never. */
    int64_t pause;
    /* Every so many steps, and at both ends, a checkpoint stays in DIR/<id>/trajectory/: how weights moved.
     * Of no influence on the run.  0: none. */
    int64_t keep;
    /* Adds to the metrics of every evaluation of the validation split, and so to the log; w: the
     * weights that are evaluated, borrowed.  At most RV_MAX_METRICS in all.  May be NULL. */
    rv_status (*measure)(void *context, rv_objective *objective, const void *w, rv_metrics *metrics, rv_error *err);
    void (*progress)(void *context, const rv_progress *progress); /* may be NULL */
    void (*note)(void *context, const char *line);                /* may be NULL */
    void *context;
} rv_trial_options;

/* Resolves a partial configuration (JSON text: workload, workload_params, optimizer,
 * optimizer_params, optimizer_rules (a list as rv_optimizer_options.rules has it; absent: the
 * method's own), wrappers (as rv_optimizer_options.wrappers has them, text or list), schedule,
 * schedule_params, schedules ({"momentum": "one_cycle_momentum(low=0.85)", ...}: a schedule of any
 * hyperparameter, a factor on its configured value), train) against the workload's recipe and all
 * defaults.  overrides [count] are "name=value" in order: a bare name is
 * looked up in optimizer_params, schedule_params, train, workload_params; a dotted
 * one ("train.steps", "optimizer.lr", "ema.decay", "schedules.momentum") goes where it says, and
 * "wrappers=LIST" takes the place of the list.  Returns JSON that is complete and canonical; caller
 * frees with free(). */
RV_API rv_status rv_trial_resolve(const char *config, const char *const *overrides, int count,
                                  char **resolved, rv_error *err);

/* The folder name of a resolved configuration: workload, optimizer, hash, seed. */
RV_API void rv_trial_id(const char *resolved, char *id, size_t size);

/* Runs, resumes or, when result.json is there, only reads a trial.  Divergence is
 * an outcome, not an error.  RV_E_BUSY: another process runs it. */
RV_API rv_status rv_trial_run(const char *resolved, const rv_trial_options *options,
                              rv_trial_result *result, rv_error *err);

/* The result of a finished run folder; RV_E_IO when there is none yet. */
RV_API rv_status rv_trial_read(const char *run, rv_trial_result *result, rv_error *err);

/* `train --json`: {"run","outcome","steps",...}; caller frees with free(). */
RV_API char *rv_trial_result_json(const rv_trial_result *result);

/* ---- saved weights, read back ------------------------------------------------------ */

/* A point of an objective: what was trained, and where it stands. */
typedef struct rv_point {
    char file[512];          /* that the weights were read from */
    char workload[RV_NAME_SIZE], optimizer[RV_NAME_SIZE];
    char *config;            /* resolved, with the changes of the options */
    int64_t step;
    bool averaged;           /* w are weights to evaluate, other than those that were stepped */
    bool other_data;         /* the options allow points of other data */
    rv_objective *objective; /* owned; its running statistics belong to w */
    void *w;                 /* [layout size] of the objective's type */
} rv_point;

typedef struct rv_point_options {
    const char *data; /* folder of data sets, or NULL */
    rv_pool *pool;    /* borrowed, outlives the point; NULL: the calling thread */
    bool raw;         /* the weights that were stepped, not those to evaluate */
    bool other_data;  /* weights that were trained on other data than those here are told of, not refused */
    /* Changes to what the file says was trained, "workload.dropout=0", "train.precision=f64":
     * any that leave the tensors as they are. */
    const char *const *set;
    int set_count;
    /* > 0: examples of a split that an evaluation reads, where the workload has a parameter "evaluate"
     * (set comes after it). */
    int64_t evaluate;
    void (*note)(void *context, const char *line); /* may be NULL */
    void *context;
} rv_point_options;

/* path: the folder of a run (its last weights to evaluate, or of an unfinished run those of its newest
 * checkpoint), its folder of checkpoints (the newest), one checkpoint, or a weights.safetensors.  With "@start"
 * behind it: the weights that the run began with, which its configuration tells.
 * RV_E_IO: nothing there; RV_E_FORMAT: damaged; RV_E_MISMATCH: no file of a run, tensors that are not
 * the workload's, all of them listed, or another data set than the weights were trained on (names, and sizes unless
 * set changes the workload; older files do not say).  Release with rv_point_release, also after a failure. */
RV_API rv_status rv_point_load(rv_point *point, const char *path, const rv_point_options *options, rv_error *err);
RV_API void rv_point_release(rv_point *point);

/* w [layout size of the point] <- the weights of another saved point of the same tensors and, by name, of the same
 * data; statuses as above. */
RV_API rv_status rv_point_weights(const rv_point *point, const char *path, bool raw, void *w, rv_error *err);

/* The saved points that a path stands for where several may stand: of a folder of checkpoints all of them in the
 * order of their steps, else the path itself.  files [count] is one allocation, the caller's. */
RV_API rv_status rv_point_list(const char *path, char ***files, int *count, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
