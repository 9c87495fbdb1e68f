/* Two optimizers on one grouped problem, each at the best steady learning rate of its own sweep. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "studies/grouped.h"

double rv_contest_rate(const rv_contestant *who, int rate)
{
    return pow(10, who->first + 0.5 * rate);
}

static rv_course *course_at(const rv_contest_result *r, int who, int rate, int seed)
{
    return r->courses + ((size_t)who * RV_RATES + (size_t)rate) * (size_t)r->seeds + seed;
}

const rv_course *rv_contest_course(const rv_contest_result *result, int who, int rate, int seed)
{
    return course_at(result, who, rate, seed);
}

const rv_course *rv_contest_best(const rv_contest_result *result, int who, int seed)
{
    return result->best[who] < 0 ? NULL : course_at(result, who, result->best[who], seed);
}

void rv_contest_release(rv_contest_result *result)
{
    free(result->courses);
    result->courses = NULL;
}

/* ---- running ------------------------------------------------------------------------------ */

static rv_status descend(rv_study_run *run, const rv_contest *c, rv_grouped_net *net, int who, int rate, int seed, rv_contest_result *r,
                         rv_error *err)
{
    char params[96];
    const rv_contestant *w = &c->who[who];
    double done = ((double)seed * RV_CONTESTANTS + who + (double)rate / w->rates) / (run->seeds * RV_CONTESTANTS);
    RV_TRY(rv_study_progress(run, c->from + (c->to - c->from) * done, "%s, seed %d, %s at %.2g", c->title, seed, w->name, rv_contest_rate(w, rate)));
    snprintf(params, sizeof params, "lr=%.17g%s%s", rv_contest_rate(w, rate), *w->fixed ? "," : "", w->fixed);
    return rv_grouped_descend(net, w->method, params, (uint64_t)seed, c->steps, true, course_at(r, who, rate, seed), err);
}

/* The rate with the lowest mean over the swept seeds, all of them steady. */
static void choose(const rv_contest *c, int seeds, rv_contest_result *r)
{
    for (int k = 0; k < RV_CONTESTANTS; k++) {
        double least = INFINITY;
        r->best[k] = -1;
        for (int i = 0; i < c->who[k].rates; i++) {
            double mean = 0;
            for (int s = 0; s < seeds; s++)
                mean += course_at(r, k, i, s)->steady ? rv_course_end(course_at(r, k, i, s)) / seeds : INFINITY;
            if (mean < least) {
                least = mean;
                r->best[k] = i;
            }
        }
    }
}

static rv_status run_seed(rv_study_run *run, const rv_contest *c, int seed, bool sweep, rv_contest_result *r, rv_error *err)
{
    rv_grouped problem = {0};
    rv_grouped_net *net = NULL;
    rv_status status = c->make(run, c->context, (uint64_t)seed, &problem, err);
    if (status == RV_OK)
        status = rv_grouped_net_new(&net, run, &problem, err);
    r->groups = problem.groups;
    for (int k = 0; k < RV_CONTESTANTS; k++)
        for (int i = 0; i < c->who[k].rates && status == RV_OK; i++)
            if (sweep || i == r->best[k])
                status = descend(run, c, net, k, i, seed, r, err);
    rv_grouped_net_free(net);
    rv_grouped_release(&problem);
    return status;
}

/* ---- showing ---------------------------------------------------------------------------------- */

static void draw_rates(rv_study_run *run, const rv_contest *c, int swept, const rv_contest_result *r)
{
    char name[64], title[128];
    snprintf(name, sizeof name, "%s-rates", c->name);
    snprintf(title, sizeof title, "%s: the sweeps", c->title);
    rv_figure *figure = rv_study_figure(run, name, title, "Training loss at the end by learning rate, one line a swept seed. A rate whose loss ever stood above its first value is left out.",
                                        (rv_axis){.label = "learning rate", .log = true}, (rv_axis){.label = "training loss at the end", .log = true});
    for (int k = 0; k < RV_CONTESTANTS; k++)
        for (int s = 0; s < swept; s++) {
            double x[RV_RATES], y[RV_RATES];
            for (int i = 0; i < c->who[k].rates; i++) {
                const rv_course *course = course_at(r, k, i, s);
                x[i] = rv_contest_rate(&c->who[k], i);
                y[i] = course->steady ? rv_course_end(course) : INFINITY;
            }
            rv_figure_series(figure, c->who[k].name, RV_SERIES_BOTH, c->who[k].rates, x, y);
        }
    rv_figure_half(figure);
}

/* Losses of the groups at the end: mean over seeds and all seeds. */
static void draw_ends(rv_study_run *run, const rv_contest *c, const rv_contest_result *r)
{
    char name[64], title[128];
    double x[RV_GROUPS], mean[RV_GROUPS], low[RV_GROUPS], high[RV_GROUPS];
    snprintf(name, sizeof name, "%s-groups", c->name);
    snprintf(title, sizeof title, "%s: where the difference lies", c->title);
    rv_figure *figure = rv_study_figure(run, name, title, "Training loss of each group at the end, both at their best learning rate: mean over seeds in a band that holds them all.",
                                        (rv_axis){.label = c->groups_axis}, (rv_axis){.label = "training loss"});
    for (int k = 0; k < RV_CONTESTANTS; k++) {
        if (r->best[k] < 0)
            continue;
        for (int g = 0; g < r->groups; g++) {
            x[g] = g + 1;
            mean[g] = 0;
            low[g] = INFINITY;
            high[g] = -INFINITY;
            for (int s = 0; s < run->seeds; s++) {
                double v = rv_course_end_of(rv_contest_best(r, k, s), g);
                mean[g] += v / run->seeds;
                low[g] = fmin(low[g], v);
                high[g] = fmax(high[g], v);
            }
        }
        rv_figure_band(figure, c->who[k].name, r->groups, x, mean, low, high);
    }
    rv_figure_half(figure);
}

static void draw_courses(rv_study_run *run, const rv_contest *c, const rv_contest_result *r, int who)
{
    char name[64], title[128];
    snprintf(name, sizeof name, "%s-%s", c->name, c->who[who].method);
    snprintf(title, sizeof title, "%s: %s", c->title, c->who[who].name);
    rv_figure *figure = rv_study_figure(run, name, title, "Training loss of each frequency group, 1 the most frequent; one line a seed.",
                                        (rv_axis){.label = "step"}, (rv_axis){.label = "training loss"});
    rv_figure_half(figure);
    for (int g = 0; g < r->groups && r->best[who] >= 0; g++)
        for (int s = 0; s < run->seeds; s++) {
            const rv_course *course = rv_contest_best(r, who, s);
            snprintf(name, sizeof name, "group %d", g + 1);
            rv_figure_series(figure, name, RV_SERIES_LINE, course->records, course->step, course->group[g]);
        }
}

static void note_rates(rv_study_run *run, const rv_contest *c, int swept, const rv_contest_result *r)
{
    for (int k = 0; k < RV_CONTESTANTS; k++) {
        const rv_contestant *w = &c->who[k];
        int left_out = 0;
        for (int i = 0; i < w->rates; i++)
            for (int s = 0; s < swept; s++)
                left_out += !course_at(r, k, i, s)->steady;
        if (r->best[k] < 0) {
            rv_study_note(run, "%s: %s stays below its first loss at no rate of its grid.", c->title, w->name);
            continue;
        }
        double mean = 0;
        for (int s = 0; s < run->seeds; s++)
            mean += rv_course_end(rv_contest_best(r, k, s)) / run->seeds;
        rv_study_note(run, "%s: %s is best at rate %.3g of %.3g to %.3g (%s), mean loss %.4g; %d of %d runs of the sweep rose above their first loss.", c->title,
                      w->name, rv_contest_rate(w, r->best[k]), rv_contest_rate(w, 0), rv_contest_rate(w, w->rates - 1),
                      r->best[k] > 0 && r->best[k] < w->rates - 1 ? "inside the grid" : "at the edge of the grid", mean, left_out, w->rates * swept);
    }
}

rv_status rv_contest_hold(rv_study_run *run, const rv_contest *contest, rv_contest_result *result, rv_error *err)
{
    int swept = contest->swept < run->seeds ? contest->swept : run->seeds;
    *result = (rv_contest_result){.seeds = run->seeds};
    result->courses = calloc((size_t)RV_CONTESTANTS * RV_RATES * (size_t)run->seeds, sizeof *result->courses);
    if (!result->courses)
        return rv_fail(err, RV_E_MEMORY, "no memory for the courses of %s", contest->name);
    for (int s = 0; s < run->seeds; s++) {
        if (s == swept)
            choose(contest, swept, result);
        RV_TRY(run_seed(run, contest, s, s < swept, result, err));
    }
    choose(contest, swept, result);
    draw_rates(run, contest, swept, result);
    if (result->groups > 1)
        draw_ends(run, contest, result);
    for (int k = 0; k < RV_CONTESTANTS; k++)
        draw_courses(run, contest, result, k);
    note_rates(run, contest, swept, result);
    return RV_OK;
}
