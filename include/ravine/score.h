/* Scoring: rulesets as data, trials from many sources, one set of rules.
 *
 * A ruleset says what a comparison is: workloads with targets and budgets, how many studies
 * and trials, and how times become credits.  Trials come from tables, from AlgoPerf's log
 * folders or from Ravine's own runs; the score that comes out is the same code for all.
 *
 * Source of the rules: Dahl et al. 2023, "Benchmarking neural network training algorithms",
 * section 4, and the scoring code of the AlgoPerf competition, whose quirks are options here.
 * All functions are safe to call from several threads on different objects. */
#ifndef RAVINE_SCORE_H
#define RAVINE_SCORE_H

#include "ravine/core.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- rulesets ---------------------------------------------------------- */

/* Which trial of a study gives its time. */
typedef enum rv_pick {
    RV_PICK_EVALUATION, /* the one that reached the target at the smallest index of evaluation;
                           among equals the smallest trial.  AlgoPerf's own code does this */
    RV_PICK_TIME,       /* the fastest */
    RV_PICK_SETTING     /* one setting (trial) for all studies: the one with the smallest median */
} rv_pick;

/* The rules that take credits away; a ruleset lists them in the order in which they apply. */
typedef enum rv_score_rule {
    RV_RULE_HELD_OUT_NEEDS_BASE, /* a held-out workload counts as missed where its base is */
    RV_RULE_CUT,                 /* missed where slower than cut times the fastest submission */
    RV_RULE_BASE_NEEDS_HELD_OUT, /* a base workload counts as missed where its held-out one is */
    RV_SCORE_RULES
} rv_score_rule;

typedef struct rv_ruleset_workload {
    const char *name;
    const char *guards; /* held-out: the base workload it guards; NULL: a base workload */
    const char *metric; /* of the validation split, "loss"; NULL: the run knows */
    bool maximize;
    double target;      /* NAN: the run knows */
    double budget;      /* seconds a trial, budget_factor applied; NAN: none stated */
    double steps;       /* the same in steps; NAN: none stated */
} rv_ruleset_workload;

typedef struct rv_ruleset {
    const char *name, *title, *source;
    bool self_tuning;
    int studies, trials;   /* trials of one study */
    double budget_factor;  /* on the budgets of a suite; those of workloads have it already */
    const char *clock;     /* "seconds", "examples", "steps" */
    rv_pick pick;
    rv_score_rule rules[RV_SCORE_RULES];
    int rule_count;
    double cut;            /* of RV_RULE_CUT */
    double tau_max;        /* profiles run over ratios 1 to tau_max */
    int points;            /* of the trapezoid over [1, tau_max]; 0: the exact integral */
    double miss;           /* geometric means count a miss as budget + miss */
    int workload_count;    /* 0: every workload that was run is a base workload */
    rv_ruleset_workload *workloads; /* base first, then held-out */
    int base_count;
    void *owner;           /* holds the texts */
} rv_ruleset;

/* Built-in ruleset number i as (name, JSON text); NULL beyond the last. */
RV_API const char *rv_ruleset_name(int i);
RV_API const char *rv_ruleset_json(const char *name); /* NULL: no such name */
/* A built-in name or the path of a JSON file (it ends in .json), which may say "extends":
 * NAME and then holds only what differs.  Caller frees.  RV_E_UNKNOWN names the nearest,
 * RV_E_FORMAT the key. */
RV_API rv_status rv_ruleset_load(rv_ruleset **out, const char *name, rv_error *err);
RV_API rv_status rv_ruleset_parse(rv_ruleset **out, const char *json, const char *source, rv_error *err);
RV_API void rv_ruleset_free(rv_ruleset *ruleset); /* NULL is fine */
/* Index of a workload by name, -1: not in the ruleset. */
RV_API int rv_ruleset_find(const rv_ruleset *ruleset, const char *workload);

/* ---- trials ------------------------------------------------------------ */

/* What was measured: any number of trials of any number of submissions. */
typedef struct rv_trials rv_trials;

/* One trial.  Texts are copied; study and trial are any labels ("study_0", "3"). */
typedef struct rv_trial_row {
    const char *submission, *workload, *study, *trial;
    double time;  /* to the target on the chosen clock, any unit; INFINITY: missed; NAN: the
                     trial left nothing behind and is ignored */
    double order; /* what RV_PICK_EVALUATION (index of evaluation) and RV_PICK_SETTING (examples,
                     so that a noisy clock does not choose) compare; NAN: the time */
    double merit; /* breaks ties of RV_PICK_SETTING, larger is better; NAN: the first wins */
} rv_trial_row;

RV_API rv_status rv_trials_new(rv_trials **out, rv_error *err);
RV_API void rv_trials_free(rv_trials *trials); /* NULL is fine */
/* RV_E_ARGUMENT: a time below zero. */
RV_API rv_status rv_trials_add(rv_trials *trials, const rv_trial_row *row, rv_error *err);

typedef struct rv_trials_options {
    const char *ruleset; /* name or file; "external" or "self": the one of that tuning that fits;
                            NULL: recognised from the workloads */
    const char *clock;   /* "seconds", "examples", "steps" or a column; NULL: the ruleset's */
    void (*note)(void *context, const char *line); /* what was ignored and why; may be NULL */
    void *context;
} rv_trials_options;

/* Reads files and folders, each recognised by what it holds: a table (CSV) of trials, of medians
 * (long or one column a workload), AlgoPerf's logs (a submission, or a folder of submissions),
 * Ravine's runs or benchmark.  *ruleset receives the rules they are to be scored by (caller
 * frees).  RV_E_FORMAT names file and line. */
RV_API rv_status rv_trials_read(rv_trials **out, rv_ruleset **ruleset, const char *const *paths, int count,
                                const rv_trials_options *options, rv_error *err);

/* ---- the score --------------------------------------------------------- */

/* Why a cell has no credit; X(code, name). */
#define RV_CAUSE_MAP(X)                                                                       \
    X(RV_CAUSE_NONE, "credited")      /* it has one (0 when slower than tau_max) */           \
    X(RV_CAUSE_NO_TRIAL, "no trial")  /* nothing was left behind: crashed, or never run */    \
    X(RV_CAUSE_MISSED, "missed")      /* too few studies reached the target */                \
    X(RV_CAUSE_BASE, "base missed")   /* held-out: its base workload was missed */            \
    X(RV_CAUSE_CUT, "too slow")       /* beyond cut times the fastest */                      \
    X(RV_CAUSE_HELD_OUT, "held-out")  /* base: its held-out workload was missed or cut */
typedef enum rv_cause {
#define X(code, name) code,
    RV_CAUSE_MAP(X)
#undef X
} rv_cause;
RV_API const char *rv_cause_name(rv_cause cause);

typedef struct rv_score_cell {
    double time;      /* median over studies; INFINITY: missed, NAN: no trial */
    double ratio;     /* to the fastest that kept its credit; INFINITY: none */
    double credit;    /* max(0, (tau_max - ratio) / (tau_max - 1)) */
    double area;      /* the same by the ruleset's integral */
    rv_cause cause;
    int studies, solved; /* -1: a table of medians does not tell */
    int setting;      /* RV_PICK_SETTING: number of the trial's label as it came; else -1 */
    double beyond;    /* time over the fastest submission before any cut; NAN: not finite */
} rv_score_cell;

typedef struct rv_score {
    int submissions, workloads, base; /* base workloads are the first columns */
    const char **submission;   /* [submissions], borrowed from the trials */
    const char **workload;     /* [workloads], borrowed from ruleset or trials */
    rv_score_cell *cells;      /* [submissions][workloads] */
    double *budget;            /* [workloads], on the clock: what a miss counts as in geometric means: the
                                  ruleset's budget + miss, else the most that a trial spent; NAN: unknown */
    double *score;             /* [submissions]: mean area over the base workloads */
    double *exact;             /* [submissions]: mean credit, the closed form of the same */
    int *rank;                 /* [submissions]: 1 + how many score higher */
    double *study_times;       /* of all cells; see studies_at */
    int *study;                /* beside each of them the number of its label as it came */
    size_t *studies_at;        /* [submissions * workloads + 1]: where a cell's study times begin */
} rv_score;

/* Scores trials by a ruleset; workloads that it does not name are left out.  The caller frees,
 * before the trials and the ruleset.  RV_E_ARGUMENT: no trial of a workload of the ruleset, or
 * the same trial twice. */
RV_API rv_status rv_score_make(rv_score **out, const rv_trials *trials, const rv_ruleset *ruleset, rv_error *err);
RV_API void rv_score_free(rv_score *score); /* NULL is fine */

/* Height of the performance profile: the share of base workloads with ratio <= tau. */
RV_API double rv_score_profile(const rv_score *score, int submission, double tau);
/* Geometric mean over base workloads of time / time of the reference, a miss counting as the
 * budget; below 1 is faster.  NAN where a miss has no budget. */
RV_API double rv_score_speed(const rv_score *score, int submission, int reference);

/* Everything about a score as JSON: {"ruleset", "scores": [{"submission", "score", "exact", "rank",
 * "credits": {..}, ...}], "profiles", "workloads", "uncertainty", "without", "sensitivity", ..}. */
enum { RV_SCORE_RESAMPLES = 1000 }; /* enough for a rank's share to two digits */
typedef struct rv_score_report_options {
    int resamples;         /* of the studies; 0: no intervals */
    uint64_t seed;         /* of the resampling */
    const char *reference; /* submission that speed-ups refer to; NULL: "baseline", else the best */
} rv_score_report_options;
/* Caller frees *json with free(). */
RV_API rv_status rv_score_report(char **json, const rv_trials *trials, const rv_ruleset *ruleset,
                                 const rv_score_report_options *options, rv_error *err);
/* That JSON as a leaderboard for a terminal of this width, with the reasons why credits were lost
 * where asked for, and as CSV, a row per submission and workload.  Caller frees *text. */
RV_API rv_status rv_score_table(const char *json, int width, bool colour, bool reasons, char **text, rv_error *err);
RV_API rv_status rv_score_csv(const char *json, char **text, rv_error *err);

/* ---- evidence ---------------------------------------------------------- */

/* The rules of the third track of the NanoGPT speedrun (modded-nanogpt, track_3_optimization): a
 * method reached the target at the earliest step, the same for all its seeds, at which
 * (target - mean loss) sqrt(seeds) >= margin; one is better than another when
 * (difference of mean losses + difference of steps x loss_per_step) / sqrt(1/n1 + 1/n2) >= margin. */
#define RV_EVIDENCE_Z 3.090232306167813 /* one-sided p = 0.001 */
typedef struct rv_evidence_options {
    double target;        /* of the mean */
    double sigma;         /* spread of one run; NAN: pooled over the methods of the table */
    double margin;        /* NAN: RV_EVIDENCE_Z sigma; the track has 0.004 */
    double loss_per_step; /* what a step less costs, to compare unequal stops; 0: nothing */
    bool maximize;        /* of a table; runs know */
    const char *workload; /* where there are several; NULL: the only one */
} rv_evidence_options;
/* path: a table (CSV) with the columns submission, seed, step and loss, or a folder of runs.
 * {"target", "sigma", "margin", "methods": [{"submission", "seeds", "reached", "step", "mean", "z", "p"}],
 * "pairs": [{"better", "than", "statistic", "z", "p", "significant"}]}; caller frees *json. */
RV_API rv_status rv_evidence_report(char **json, const char *path, const rv_evidence_options *options, rv_error *err);

#ifdef __cplusplus
}
#endif
#endif
