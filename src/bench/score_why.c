/* What took a credit away, in words. */
#include <math.h>

#include "bench/score.h"

typedef struct reason {
    const rv_score *score;
    const rv_board *board;
    const rv_trials *trials;
    rv_text *out;
} reason;

static const rv_score_cell *cell_at(const rv_score *score, int submission, int workload)
{
    return &score->cells[submission * score->workloads + workload];
}

/* "missed in studies 1, 4, 5 of 5" */
static void say_missed(const reason *r, int submission, int workload)
{
    const rv_score *s = r->score;
    const rv_score_cell *cell = cell_at(s, submission, workload);
    size_t at = (size_t)(submission * s->workloads + workload);
    int told = 0;
    for (size_t i = s->studies_at[at]; i < s->studies_at[at + 1]; i++)
        if (!isfinite(s->study_times[i]))
            rv_text_format(r->out, "%s%s", told++ ? ", " : "missed in studies ", r->trials->studies.name[s->study[i]]);
    if (told)
        rv_text_format(r->out, " of %d", cell->studies);
    else if (cell->studies > 0)
        rv_text_format(r->out, "solved in %d of %d studies", cell->solved, cell->studies);
    else
        rv_text_format(r->out, "missed");
}

static const char *fastest_at(const rv_score *score, int workload)
{
    for (int i = 0; i < score->submissions; i++)
        if (cell_at(score, i, workload)->beyond == 1)
            return score->submission[i];
    return "the fastest";
}

static void say(const reason *r, int submission, int workload);

/* Every held-out workload of the base that has no credit itself. */
static void say_held_out(const reason *r, int submission, int workload)
{
    int told = 0;
    for (int h = r->score->base; h < r->score->workloads; h++) {
        if (r->board->guards[h] != workload || cell_at(r->score, submission, h)->cause == RV_CAUSE_NONE)
            continue;
        rv_text_format(r->out, "%s%s: ", told++ ? "; " : "", r->score->workload[h]);
        say(r, submission, h);
    }
}

static void say(const reason *r, int submission, int workload)
{
    const rv_score_cell *cell = cell_at(r->score, submission, workload);
    switch (cell->cause) {
    case RV_CAUSE_NONE:
        break;
    case RV_CAUSE_NO_TRIAL:
        rv_text_format(r->out, "no trial left an evaluation");
        break;
    case RV_CAUSE_MISSED:
        say_missed(r, submission, workload);
        break;
    case RV_CAUSE_BASE:
        rv_text_format(r->out, "its base workload was missed");
        break;
    case RV_CAUSE_CUT:
        rv_text_format(r->out, "%.2f times as long as %s, more than %g", cell->beyond, fastest_at(r->score, workload),
                       r->board->cut);
        break;
    case RV_CAUSE_HELD_OUT:
        say_held_out(r, submission, workload);
        break;
    }
}

void rv_score_why(const rv_score *score, const rv_board *board, const rv_trials *trials, int submission, int workload,
                  rv_text *out)
{
    say(&(reason){score, board, trials, out}, submission, workload);
}
