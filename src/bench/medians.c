/* From trials to medians: trials to the time of a study, studies to a median.  Invariant: the
 * order of the rows changes nothing; submissions, studies and trials are sorted by name before
 * anything is compared. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/score.h"

/* One trial that counts, with places instead of names. */
typedef struct sample {
    int cell, study, trial; /* places in natural order */
    double time, order, merit;
    const rv_trial_entry *entry;
} sample;

typedef struct maker {
    const rv_trials *trials;
    const rv_ruleset *ruleset;
    rv_score *score;
    int *column;        /* [workload names]: of the score, -1: not in the ruleset */
    int *submission;    /* [submission names]: row of the score */
    int *study, *trial; /* [names]: places */
    sample *samples;    /* sorted */
    sample *spare;      /* [count] */
    size_t count;
    double *scratch; /* [count] */
    bool *taken;     /* [cells]: a table of medians told this one */
} maker;

enum { MAX_CELLS = 10000000 };

static rv_status no_memory(rv_error *err)
{
    return rv_fail(err, RV_E_MEMORY, "score: no memory");
}

/* ---- shape ------------------------------------------------------------------- */

/* Columns are the ruleset's workloads; a ruleset without any takes all, in natural order. */
static rv_status find_columns(maker *m, rv_error *err)
{
    const rv_names *names = &m->trials->workloads;
    rv_score *s = m->score;
    bool open = m->ruleset->workload_count == 0;
    s->workloads = open ? names->count : m->ruleset->workload_count;
    s->base = open ? names->count : m->ruleset->base_count;
    m->column = malloc(((size_t)names->count + 1) * sizeof *m->column);
    s->workload = calloc((size_t)s->workloads + 1, sizeof *s->workload);
    if (!m->column || !s->workload || (open && !rv_names_rank(names, m->column)))
        return no_memory(err);
    int known = 0;
    for (int i = 0; i < names->count; i++) {
        if (!open)
            m->column[i] = rv_ruleset_find(m->ruleset, names->name[i]);
        else
            s->workload[m->column[i]] = names->name[i];
        known += m->column[i] >= 0;
    }
    for (int w = 0; w < s->workloads && !open; w++)
        s->workload[w] = m->ruleset->workloads[w].name;
    return known ? RV_OK
                 : rv_fail(err, RV_E_ARGUMENT, "score: no trial of a workload of the ruleset '%s'", m->ruleset->name);
}

/* Submissions that have a trial or a time in a column. */
static rv_status find_submissions(maker *m, rv_error *err)
{
    const rv_trials *t = m->trials;
    const rv_names *names = &t->submissions;
    rv_score *s = m->score;
    int *rank = malloc(((size_t)names->count + 1) * sizeof *rank);
    int *row = malloc(((size_t)names->count + 1) * sizeof *row);
    bool *seen = calloc((size_t)names->count + 1, sizeof *seen);
    m->submission = malloc(((size_t)names->count + 1) * sizeof *m->submission);
    s->submission = calloc((size_t)names->count + 1, sizeof *s->submission);
    bool ready = rank && row && seen && m->submission && s->submission && rv_names_rank(names, rank);
    for (size_t i = 0; ready && i < t->count; i++)
        if (m->column[t->entry[i].workload] >= 0)
            seen[rank[t->entry[i].submission]] = true;
    for (size_t i = 0; ready && i < t->cells; i++)
        if (m->column[t->cell[i].workload] >= 0)
            seen[rank[t->cell[i].submission]] = true;
    for (int place = 0; ready && place < names->count; place++)
        row[place] = s->submissions += seen[place];
    for (int i = 0; ready && i < names->count; i++) {
        m->submission[i] = row[rank[i]] - 1;
        if (seen[rank[i]])
            s->submission[m->submission[i]] = names->name[i];
    }
    free(rank);
    free(row);
    free(seen);
    if (ready && (int64_t)s->submissions * s->workloads > MAX_CELLS)
        return rv_fail(err, RV_E_RANGE, "score: %d submissions on %d workloads; at most %d cells are scored",
                       s->submissions, s->workloads, MAX_CELLS);
    return ready ? RV_OK : no_memory(err);
}

/* The ruleset's budget in the unit of the clock; else the most that any trial spent. */
static rv_status find_budgets(maker *m, rv_error *err)
{
    const rv_trials *t = m->trials;
    const char *clock = t->clock_name[0] ? t->clock_name : m->ruleset->clock;
    bool seconds = strcmp(clock, "seconds") == 0, steps = strcmp(clock, "steps") == 0;
    double *budget = m->score->budget = malloc(((size_t)m->score->workloads + 1) * sizeof *budget);
    double *spent = calloc((size_t)m->score->workloads + 1, sizeof *spent);
    if (!budget || !spent) {
        free(spent);
        return no_memory(err);
    }
    for (int w = 0; w < m->score->workloads; w++) {
        const rv_ruleset_workload *rule = w < m->ruleset->workload_count ? &m->ruleset->workloads[w] : NULL;
        budget[w] = rule && seconds ? rule->budget + m->ruleset->miss : rule && steps ? rule->steps : NAN;
    }
    for (size_t i = 0; i < t->count; i++) {
        int w = m->column[t->entry[i].workload];
        if (w >= 0 && t->entry[i].spent > spent[w])
            spent[w] = t->entry[i].spent;
    }
    for (int w = 0; w < m->score->workloads; w++)
        if (isnan(budget[w]) && spent[w] > 0)
            budget[w] = spent[w];
    free(spent);
    return RV_OK;
}

/* ---- trials ------------------------------------------------------------------ */

static int compare_samples(const void *a, const void *b)
{
    const sample *x = a, *y = b;
    if (x->cell != y->cell)
        return x->cell < y->cell ? -1 : 1;
    if (x->study != y->study)
        return x->study < y->study ? -1 : 1;
    return (x->trial > y->trial) - (x->trial < y->trial);
}

static rv_status check_distinct(const maker *m, rv_error *err)
{
    for (size_t i = 1; i < m->count; i++) {
        const rv_trial_entry *e = m->samples[i].entry, *other = m->samples[i - 1].entry;
        if (compare_samples(&m->samples[i - 1], &m->samples[i]) != 0)
            continue;
        const rv_trials *t = m->trials;
        const rv_trial_entry *later = e > other ? e : other;
        char where[600] = "score";
        if (later->source >= 0)
            snprintf(where, sizeof where, "%.500s:%zu", t->sources.name[later->source], later->line);
        return rv_fail(err, RV_E_ARGUMENT, "%s: trial '%s' of study '%s' of %s on %s is there twice", where,
                       t->settings.name[e->trial], t->studies.name[e->study], t->submissions.name[e->submission],
                       t->workloads.name[e->workload]);
    }
    return RV_OK;
}

static rv_status gather(maker *m, double slack, rv_error *err)
{
    const rv_trials *t = m->trials;
    m->study = malloc(((size_t)t->studies.count + 1) * sizeof *m->study);
    m->trial = malloc(((size_t)t->settings.count + 1) * sizeof *m->trial);
    m->samples = malloc((t->count + 1) * sizeof *m->samples);
    m->spare = malloc((t->count + 1) * sizeof *m->spare);
    m->scratch = malloc((t->count + 1) * sizeof *m->scratch);
    if (!m->study || !m->trial || !m->samples || !m->spare || !m->scratch || !rv_names_rank(&t->studies, m->study) ||
        !rv_names_rank(&t->settings, m->trial))
        return no_memory(err);
    for (size_t i = 0; i < t->count; i++) {
        const rv_trial_entry *e = &t->entry[i];
        int column = m->column[e->workload];
        if (column < 0)
            continue;
        sample *s = &m->samples[m->count];
        *s = (sample){.cell = m->submission[e->submission] * m->score->workloads + column,
                      .study = m->study[e->study],
                      .trial = m->trial[e->trial],
                      .merit = e->merit,
                      .entry = e};
        rv_trial_reach(t, e, m->ruleset->workload_count ? &m->ruleset->workloads[column] : NULL, slack, &s->time,
                       &s->order);
        m->count += isnan(s->time) ? 0 : 1;
    }
    qsort(m->samples, m->count, sizeof *m->samples, compare_samples);
    return check_distinct(m, err);
}

/* ---- studies ----------------------------------------------------------------- */

/* Samples from..to of one study: the time of the trial that the rule picks. */
static double study_time(const maker *m, size_t from, size_t to)
{
    double time = INFINITY, order = INFINITY;
    for (size_t i = from; i < to; i++) {
        const sample *s = &m->samples[i];
        double own = m->ruleset->pick == RV_PICK_TIME ? s->time : s->order;
        if (isfinite(s->time) && own < order) {
            order = own;
            time = s->time;
        }
    }
    return time;
}

static int compare_settings(const void *a, const void *b)
{
    const sample *x = a, *y = b;
    if (x->trial != y->trial)
        return x->trial < y->trial ? -1 : 1;
    return (x->study > y->study) - (x->study < y->study);
}

/* Median over the studies of one setting, and of its merit. */
static double setting_median(const sample *samples, size_t n, double *scratch, double *merit)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = samples[i].merit;
    *merit = rv_score_median(scratch, (int)n);
    for (size_t i = 0; i < n; i++)
        scratch[i] = isfinite(samples[i].time) ? samples[i].order : INFINITY;
    return rv_score_median(scratch, (int)n);
}

/* The trial (by place) with the smallest median over the samples from..to of a cell; among
 * equals the one with the larger merit, then the first. */
static int pick_setting(const maker *m, size_t from, size_t to)
{
    size_t n = to - from;
    int best = -1;
    double best_order = INFINITY, best_merit = NAN;
    memcpy(m->spare, m->samples + from, n * sizeof *m->spare);
    qsort(m->spare, n, sizeof *m->spare, compare_settings);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && m->spare[end].trial == m->spare[i].trial;)
            end++;
        double merit, order = setting_median(m->spare + i, end - i, m->scratch, &merit);
        bool merrier = merit > best_merit || (isnan(best_merit) && !isnan(merit));
        if (best < 0 || order < best_order || (order == best_order && merrier)) {
            best = m->spare[i].trial;
            best_order = order;
            best_merit = merit;
        }
    }
    return best;
}

/* Study times of the samples from..to of one cell go behind those of the cells before. */
static void reduce_cell(maker *m, size_t from, size_t to, size_t *at)
{
    rv_score *s = m->score;
    rv_score_cell *cell = &s->cells[m->samples[from].cell];
    size_t first = *at;
    int setting = m->ruleset->pick == RV_PICK_SETTING ? pick_setting(m, from, to) : -1;
    for (size_t i = from; i < to;) {
        size_t end = i + 1;
        while (end < to && m->samples[end].study == m->samples[i].study)
            end++;
        s->study[*at] = m->samples[i].entry->study;
        for (size_t k = i; k < end && setting >= 0; k++)
            if (m->samples[k].trial == setting) {
                s->study_times[(*at)++] = m->samples[k].time;
                cell->setting = m->samples[k].entry->trial;
            }
        if (setting < 0)
            s->study_times[(*at)++] = study_time(m, i, end);
        i = end;
    }
    cell->studies = (int)(*at - first);
    memcpy(m->scratch, s->study_times + first, (*at - first) * sizeof *m->scratch);
    cell->time = rv_score_median(m->scratch, cell->studies);
    for (size_t i = first; i < *at; i++)
        cell->solved += isfinite(s->study_times[i]) != 0;
}

static rv_status reduce(maker *m, rv_error *err)
{
    rv_score *s = m->score;
    size_t cells = (size_t)s->submissions * (size_t)s->workloads, at = 0, i = 0;
    s->cells = calloc(cells + 1, sizeof *s->cells);
    s->study_times = calloc(m->count + 1, sizeof *s->study_times);
    s->study = calloc(m->count + 1, sizeof *s->study);
    s->studies_at = calloc(cells + 1, sizeof *s->studies_at);
    m->taken = calloc(cells + 1, sizeof *m->taken);
    if (!s->cells || !s->study_times || !s->study || !s->studies_at || !m->taken)
        return no_memory(err);
    for (size_t c = 0; c < cells; c++) {
        size_t from = i;
        s->cells[c].time = NAN;
        s->cells[c].setting = -1;
        s->studies_at[c] = at;
        while (i < m->count && (size_t)m->samples[i].cell == c)
            i++;
        if (i > from)
            reduce_cell(m, from, i, &at);
    }
    s->studies_at[cells] = at;
    return RV_OK;
}

/* Times of whole cells, as a table of medians has them. */
static rv_status take_medians(maker *m, rv_error *err)
{
    const rv_trials *t = m->trials;
    for (size_t i = 0; i < t->cells; i++) {
        const rv_cell_entry *e = &t->cell[i];
        int column = m->column[e->workload];
        if (column < 0)
            continue;
        int at = m->submission[e->submission] * m->score->workloads + column;
        rv_score_cell *cell = &m->score->cells[at];
        if (m->taken[at])
            return rv_fail(err, RV_E_ARGUMENT, "%s:%zu: %s on %s is there twice", t->sources.name[e->source], e->line,
                           t->submissions.name[e->submission], t->workloads.name[e->workload]);
        cell->time = e->time;
        m->taken[at] = true;
        if (cell->studies == 0) {
            cell->studies = e->studies;
            cell->solved = e->solved;
        }
    }
    return RV_OK;
}

/* ---- the whole --------------------------------------------------------------- */

rv_status rv_score_medians(rv_score *score, const rv_trials *trials, const rv_ruleset *ruleset, double slack,
                           rv_error *err)
{
    maker m = {.trials = trials, .ruleset = ruleset, .score = score};
    rv_status status = find_columns(&m, err);
    if (status == RV_OK)
        status = find_submissions(&m, err);
    if (status == RV_OK)
        status = find_budgets(&m, err);
    if (status == RV_OK)
        status = gather(&m, slack, err);
    if (status == RV_OK)
        status = reduce(&m, err);
    if (status == RV_OK)
        status = take_medians(&m, err);
    free(m.column);
    free(m.submission);
    free(m.study);
    free(m.trial);
    free(m.samples);
    free(m.spare);
    free(m.taken);
    free(m.scratch);
    return status;
}
