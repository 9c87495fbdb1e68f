/* Figures of the study `speedrun`: targets, curves, lengths, sweeps, widths, and the public records.  The
 * control has a figure of its own: the page tells eight colours apart. */
#include <math.h>
#include <stdio.h>

#include "studies/bands.h"
#include "studies/speedrun.h"

enum { MOST = 64, COMPARED = RV_NO_MOMENTUM /* the methods before it */ };

/* One point a seed for AdamW's loss, one a method for the absolute target, which the mean over seeds reaches. */
static void draw_targets(const rv_race *race)
{
    rv_figure *own = rv_study_figure(race->run, "end", "Steps and seconds to AdamW's loss", "By runs of their own length, one point a seed; who is missing does not get there. Further left: fewer steps; further down: fewer seconds.",
                                     (rv_axis){.label = "steps"}, (rv_axis){.label = "CPU seconds"});
    rv_figure *fixed = rv_study_figure(race->run, "target", "Steps and seconds to the absolute target", "First evaluation of full runs at which the mean over seeds is below the target with p < 0.001.",
                                       (rv_axis){.label = "steps"}, (rv_axis){.label = "CPU seconds"});
    for (int i = 0; i < COMPARED; i++) {
        const rv_racer *r = &race->racer[i];
        double x = r->reached, y = r->reached * r->step_seconds;
        if (isfinite(x))
            rv_figure_series(fixed, rv_race_name(i), RV_SERIES_POINTS, 1, &x, &y);
        for (int s = 0; s < race->run->seeds; s++) {
            x = rv_race_needed(race, i, (uint64_t)s);
            y = x * r->step_seconds;
            if (isfinite(x) && (s == 0 || r->method != RV_ADAMW))
                rv_figure_series(own, rv_race_name(i), RV_SERIES_POINTS, 1, &x, &y);
        }
    }
    rv_figure_half(own);
    rv_figure_half(fixed);
}

static void draw_sweeps(const rv_race *race)
{
    rv_figure *figure = rv_study_figure(race->run, "sweep", "Every method at its own learning rate", "Final validation loss with seed 0; every curve turns inside its sweep.",
                                        (rv_axis){.label = "learning rate", .log = true}, (rv_axis){.label = "validation loss"});
    for (int i = 0; i < COMPARED; i++) {
        const rv_racer *r = &race->racer[i];
        double loss[RV_RATES];
        for (int k = 0; k < r->rates; k++)
            loss[k] = rv_race_trial(race, i, r->rate[k], race->params->steps, 0)->final;
        rv_figure_series(figure, rv_race_name(i), RV_SERIES_BOTH, r->rates, r->rate, loss);
    }
}

/* The mean over seeds in a band that holds them all, over steps or over seconds of steps. */
static void draw_curve(const rv_race *race, rv_figure *figure, int racer, double unit)
{
    const rv_racer *r = &race->racer[racer];
    double x[MOST], values[MOST * 32];
    int count = MOST, seeds = race->run->seeds < 32 ? race->run->seeds : 32;
    for (int s = 0; s < seeds; s++) {
        const rv_study_trial *t = rv_race_trial(race, racer, r->best, race->params->steps, (uint64_t)s);
        count = t && t->count < count ? t->count : t ? count : 0;
        for (int k = 1; k < count; k++) { /* the first is that of step 1 */
            x[k - 1] = unit * t->step[k];
            values[s * MOST + k - 1] = t->value[k];
        }
    }
    rv_seed_band(figure, rv_race_name(r->method), seeds, count - 1, MOST, x, values);
}

static void draw_curves(const rv_race *race)
{
    double goal = rv_race_mean(race, RV_ADAMW, race->params->steps);
    rv_figure *steps = rv_study_figure(race->run, "steps", "Loss against steps", "Each method at its best rate; mean and range over seeds. The bend is where the learning rate begins to fall.",
                                       (rv_axis){.label = "steps"}, (rv_axis){.label = "validation loss"});
    rv_figure *seconds = rv_study_figure(race->run, "seconds", "Loss against seconds", "The same runs over CPU time on one core, evaluation not counted: at 768 tokens a step a matrix method pays for its steps.",
                                         (rv_axis){.label = "CPU seconds", .log = true}, (rv_axis){.label = "validation loss"});
    for (int i = 0; i < COMPARED; i++) {
        draw_curve(race, steps, i, 1);
        draw_curve(race, seconds, i, race->racer[i].step_seconds);
    }
    for (int k = 0; k < 2; k++) {
        rv_figure_mark(k ? seconds : steps, 'y', race->params->target, "target");
        rv_figure_mark(k ? seconds : steps, 'y', goal, "AdamW's end");
    }
    rv_figure_half(steps);
    rv_figure_half(seconds);
}

/* Final losses of runs of several lengths, and where they cross AdamW's. */
static void draw_lengths(const rv_race *race)
{
    rv_figure *figure = rv_study_figure(race->run, "lengths", "Runs of their own length", "Final loss of whole runs, each with a schedule of its length, one point a seed. Where a line crosses AdamW's end, "
                                        "the method needs that many steps.",
                                        (rv_axis){.label = "steps of the run", .log = true}, (rv_axis){.label = "final validation loss"});
    for (int i = 0; i < COMPARED; i++) {
        const rv_racer *r = &race->racer[i];
        double x[RV_LENGTHS], mean[RV_LENGTHS];
        for (int k = 0; k < r->lengths; k++) {
            x[k] = (double)r->length[k];
            mean[k] = rv_race_mean(race, i, r->length[k]);
        }
        rv_figure_series(figure, rv_race_name(i), r->lengths > 1 ? RV_SERIES_LINE : RV_SERIES_POINTS, r->lengths, x, mean);
        for (int k = 0; r->lengths > 1 && k < r->lengths; k++)
            for (int s = 0; s < race->run->seeds; s++) {
                double loss = rv_race_final(race, i, r->length[k], (uint64_t)s);
                rv_figure_series(figure, rv_race_name(i), RV_SERIES_POINTS, 1, &x[k], &loss);
            }
    }
    rv_figure_mark(figure, 'y', rv_race_mean(race, RV_ADAMW, race->params->steps), "AdamW's end");
}

static void draw_widths(const rv_race *race)
{
    static const int muon[] = {RV_NARROW + 1, RV_MUON, RV_WIDE + 1};
    enum { WIDTHS = 3 };
    rv_figure *figure = rv_study_figure(race->run, "widths", "Does Muon's gain persist with scale?", "Steps of AdamW for each step of Muon, and seconds of AdamW for each second of Muon, to AdamW's final loss; "
                                        "points: seeds. Above 1 Muon is ahead.",
                                        (rv_axis){.label = "width", .log = true}, (rv_axis){.label = "AdamW / Muon"});
    rv_figure *gap = rv_study_figure(race->run, "gap", "The gap at equal steps", "Final loss of AdamW minus that of Muon; points: seeds.", (rv_axis){.label = "width", .log = true},
                                     (rv_axis){.label = "AdamW - Muon, validation loss"});
    double x[WIDTHS], steps[WIDTHS] = {0}, seconds[WIDTHS] = {0}, gaps[WIDTHS] = {0};
    for (int w = 0; w < WIDTHS; w++) {
        const rv_racer *r = &race->racer[muon[w]], *adamw = &race->racer[r->adamw];
        x[w] = (double)r->width;
        for (int s = 0; s < race->run->seeds; s++) {
            double gain = (double)race->params->steps / rv_race_needed(race, muon[w], (uint64_t)s), fast = gain * adamw->step_seconds / r->step_seconds;
            double one = rv_race_final(race, r->adamw, race->params->steps, (uint64_t)s) - rv_race_final(race, muon[w], race->params->steps, (uint64_t)s);
            rv_figure_series(figure, "steps", RV_SERIES_POINTS, 1, &x[w], &gain);
            rv_figure_series(figure, "seconds", RV_SERIES_POINTS, 1, &x[w], &fast);
            rv_figure_series(gap, "AdamW - Muon", RV_SERIES_POINTS, 1, &x[w], &one);
            steps[w] += gain / race->run->seeds;
            seconds[w] += fast / race->run->seeds;
            gaps[w] += one / race->run->seeds;
        }
    }
    rv_figure_series(figure, "steps", RV_SERIES_LINE, WIDTHS, x, steps);
    rv_figure_series(figure, "seconds", RV_SERIES_LINE, WIDTHS, x, seconds);
    rv_figure_series(gap, "AdamW - Muon", RV_SERIES_LINE, WIDTHS, x, gaps);
    rv_figure_mark(figure, 'y', 1, "1");
    rv_figure_half(figure);
    rv_figure_half(gap);
}

static void draw_control(const rv_race *race)
{
    static const int shown[] = {RV_ADAMW, RV_MUON, RV_NO_MOMENTUM};
    rv_figure *figure = rv_study_figure(race->run, "control", "Control: Muon without momentum", "Each gradient orthogonalised by itself, at its own best rate; mean and range over seeds.", (rv_axis){.label = "steps"},
                                        (rv_axis){.label = "validation loss"});
    for (int i = 0; i < 3; i++)
        draw_curve(race, figure, shown[i], 1);
    rv_figure_half(figure);
}

void rv_race_draw(const rv_race *race)
{
    draw_targets(race);
    draw_curves(race);
    draw_lengths(race);
    draw_sweeps(race);
    draw_widths(race);
    draw_control(race);
}

/* ---- the public records ------------------------------------------------------------------------- */

typedef struct record {
    int number;
    double minutes;
    int year, month, day;
    bool timed_again;
    const char *what;
} record;

static const record records[] = {
#define RECORD(number, minutes, year, month, day, again, what) {number, minutes, year, month, day, again, what},
#include "studies/speedrun_records.def"
#undef RECORD
};
enum { RECORDS = sizeof records / sizeof records[0] };

/* Years since the first record. */
static double date_of(const record *r)
{
    const record *first = &records[0];
    return r->year - first->year + (r->month - first->month + (r->day - first->day) / 31.0) / 12;
}

int rv_records_slower(void)
{
    int slower = 0;
    for (int i = 1; i < RECORDS; i++)
        slower += !records[i].timed_again && records[i].minutes >= records[i - 1].minutes;
    return slower;
}

void rv_records_draw(rv_study_run *run)
{
    rv_figure *figure = rv_study_figure(run, "records", "The public records of the speedrun", "Minutes on eight H100 until a GPT-2 of 124M parameters has a validation loss of 3.28 on FineWeb. "
                                        "Named points are records that brought one idea; Muon came with the third.",
                                        (rv_axis){.label = "years since the first"}, (rv_axis){.label = "minutes", .log = true});
    double x[RECORDS], y[RECORDS];
    int n = 0;
    for (int i = 0; i < RECORDS; i++)
        if (!records[i].timed_again) {
            x[n] = date_of(&records[i]);
            y[n++] = records[i].minutes;
        }
    rv_figure_series(figure, "all records", RV_SERIES_BOTH, n, x, y);
    for (int i = 0; i < RECORDS; i++)
        if (*records[i].what) {
            char name[96];
            double at = date_of(&records[i]);
            snprintf(name, sizeof name, "%d: %s", records[i].number, records[i].what);
            rv_figure_series(figure, name, RV_SERIES_POINTS, 1, &at, &records[i].minutes);
        }
    const record *first = &records[0], *last = &records[RECORDS - 1];
    rv_study_note(run, "Public records: from %g to %g minutes, %.0f times, in %.1f years; the third, Muon, took %.0f %% off the second.", first->minutes, last->minutes,
                  first->minutes / last->minutes, date_of(last), 100 * (1 - records[2].minutes / records[1].minutes));
}
