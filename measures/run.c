/* Measures at a saved point and writes the results.  Invariant: every name and value is checked
 * before anything is loaded or computed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "measures/measure.h"
#include "report/page.h"
#include "report/texts.h"

enum { MOST = 64, NAME = 512 };

/* The measures that were asked for, with their parameters. */
typedef struct plan {
    const rv_measure *measure[MOST];
    void *params[MOST];
    int count;
    const char *point[MOST]; /* what goes to the point: "workload.dropout=0" */
    int points;
} plan;

/* ---- names and values -------------------------------------------------------------- */

static rv_status unknown(const char *what, const char *name, const char *const *names, int count, rv_error *err)
{
    const char *near = rv_text_nearest(name, names, count);
    return rv_fail(err, RV_E_UNKNOWN, "no %s '%s'%s%s%s", what, name, near ? "; did you mean '" : "", near ? near : "",
                   near ? "'?" : "");
}

static rv_status add(plan *p, const rv_measure *m, int others, rv_error *err)
{
    for (int i = 0; i < p->count; i++)
        if (p->measure[i] == m)
            return RV_OK;
    if (others < m->others)
        return rv_fail(err, RV_E_ARGUMENT, "%s needs %d more saved point%s: --with CHECKPOINT", m->name, m->others - others,
                       m->others - others == 1 ? "" : "s");
    p->params[p->count] = malloc(m->params->size);
    if (!p->params[p->count])
        return rv_fail(err, RV_E_MEMORY, "measure %s: no memory", m->name);
    rv_params_init(m->params, p->params[p->count]);
    p->measure[p->count++] = m;
    return RV_OK;
}

static rv_status choose(const rv_measure_options *o, plan *p, rv_error *err)
{
    const char *names[MOST];
    int count = 0;
    for (; rv_measure_at(count) && count < MOST; count++) {
        names[count] = rv_measure_at(count)->name;
        if (o->measure_count == 0 && rv_measure_at(count)->usual)
            RV_TRY(add(p, rv_measure_at(count), o->with_count, err));
    }
    for (int i = 0; i < o->measure_count; i++) {
        const rv_measure *m = rv_measure_find(o->measures[i]);
        if (!m)
            return unknown("measure", o->measures[i], names, count, err);
        RV_TRY(add(p, m, o->with_count, err));
    }
    return RV_OK;
}

/* Every parameter that a bare name may mean, for the nearest one. */
static rv_status unknown_parameter(const plan *p, const char *name, rv_error *err)
{
    const char *names[8 * MOST];
    int count = 0;
    for (int i = -1; i < p->count; i++) {
        const rv_param_table *t = i < 0 ? rv_measure_common() : p->measure[i]->params;
        for (size_t k = 0; k < t->count && count < 8 * MOST; k++)
            names[count++] = t->rows[k].name;
    }
    return unknown("parameter of these measures is called", name, names, count, err);
}

/* "hessian.products=20": of one measure; "seed=1": of every table that has it; "workload.x", "train.x": of the point. */
static rv_status set_one(plan *p, rv_measure_params *common, const char *text, rv_error *err)
{
    char name[NAME], *own = name;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || equals - text >= NAME)
        return rv_fail(err, RV_E_ARGUMENT, "--set: expected NAME=VALUE, found '%s'", text);
    snprintf(name, sizeof name, "%.*s", (int)(equals - text), text);
    char *dot = strchr(name, '.');
    if (strncmp(name, "workload.", 9) == 0 || strncmp(name, "train.", 6) == 0) {
        if (p->points == MOST)
            return rv_fail(err, RV_E_RANGE, "--set: more than %d changes to the workload", MOST);
        p->point[p->points++] = text;
        return RV_OK;
    }
    if (dot) {
        *dot = '\0';
        own = dot + 1;
    }
    bool found = false;
    for (int i = -1; i < p->count; i++) {
        const rv_param_table *t = i < 0 ? rv_measure_common() : p->measure[i]->params;
        if (dot ? strcmp(t->owner, name) != 0 : !rv_params_find(t, own))
            continue;
        RV_TRY(rv_params_set(t, i < 0 ? (void *)common : p->params[i], own, equals + 1, err));
        found = true;
    }
    return found ? RV_OK : unknown_parameter(p, own, err);
}

/* ---- the points -------------------------------------------------------------------- */

/* The files behind one --with to the end of the list. */
static rv_status append(rv_measure_run *run, const char *path, rv_error *err)
{
    char **files;
    int count;
    RV_TRY(rv_point_list(path, &files, &count, err));
    size_t total = (size_t)(run->other_count + count);
    char **names = realloc(run->other_names, total * sizeof *names);
    run->other_names = names ? names : run->other_names;
    for (int i = 0; names && i < count; i++)
        names[run->other_count + i] = strdup(files[i]);
    run->other_count += names ? count : 0;
    free(files);
    return names ? RV_OK : rv_fail(err, RV_E_MEMORY, "%s: no memory for %d names", path, count);
}

static rv_status load_others(rv_measure_run *run, rv_error *err)
{
    const rv_measure_options *o = run->options;
    for (int i = 0; i < o->with_count; i++)
        RV_TRY(append(run, o->with[i], err));
    run->others = calloc((size_t)run->other_count + 1, sizeof *run->others);
    for (int i = 0; i < run->other_count; i++) {
        const char *name = run->other_names[i] ? run->other_names[i] : "a point";
        if (run->others && run->other_names[i])
            run->others[i] = calloc((size_t)run->point.objective->layout->size, rv_dtype_size(run->point.objective->dtype));
        if (!run->others || !run->others[i])
            return rv_fail(err, RV_E_MEMORY, "%s: no memory for its weights", name);
        RV_TRY(rv_point_weights(&run->point, name, o->raw, run->others[i], err));
    }
    return RV_OK;
}

static void release_others(rv_measure_run *run)
{
    for (int i = 0; i < run->other_count; i++) {
        if (run->others)
            free(run->others[i]);
        free(run->other_names[i]);
    }
    free(run->others);
    free(run->other_names);
}

/* What is worth a line of the results as well. */
static void keep_note(void *context, const char *line)
{
    rv_measure_run *run = context;
    if (run->options->other_data && strstr(line, "other data"))
        json_array_append_new(run->notes, json_string(line));
    if (run->options->note)
        run->options->note(run->options->context, line);
}

static rv_status load(rv_measure_run *run, const char *path, const plan *p, rv_pool *pool, rv_error *err)
{
    const rv_measure_options *o = run->options;
    rv_point_options options = {.data = o->data, .pool = pool, .raw = o->raw, .other_data = o->other_data, .set = p->point,
                                .set_count = p->points, .evaluate = run->common.evaluate, .note = keep_note, .context = run};
    RV_TRY(rv_point_load(&run->point, path, &options, err));
    run->target = (rv_probe_target){.objective = run->point.objective, .seed = (uint64_t)run->common.seed,
                                    .batches = (int)run->common.batches};
    return load_others(run, err);
}

/* Loss and gradient at the point, whatever is measured. */
static rv_status look(rv_measure_run *run, rv_error *err)
{
    const rv_objective *o = run->point.objective;
    double loss, squares = 0, *g = calloc((size_t)o->layout->size, sizeof *g);
    rv_status status = g ? rv_probe_gradient(&run->target, run->point.w, g, &loss, err)
                         : rv_fail(err, RV_E_MEMORY, "%s: no memory for a gradient", o->name);
    for (int64_t i = 0; status == RV_OK && i < o->layout->size; i++)
        squares += g[i] * g[i];
    free(g);
    if (status != RV_OK)
        return status;
    rv_measure_value(run, "loss", loss, NAN, "mean training loss of %d mini-batches of %lld examples", run->target.batches,
                     (long long)o->examples);
    rv_measure_value(run, "gradient", sqrt(squares), NAN, "norm of its gradient");
    return RV_OK;
}

static json_t *part_json(const char *name, const char *title, json_t *values, double seconds, json_t *params)
{
    return json_pack("{s:s,s:s,s:o,s:f,s:o}", "measure", name, "title", title, "values", values, "seconds", seconds, "params",
                     params);
}

static rv_status run_all(rv_measure_run *run, const plan *p, json_t *parts, rv_error *err)
{
    rv_status status = rv_measure_progress(run, 0);
    for (int i = -1; i < p->count && status == RV_OK; i++) {
        double begin = rv_clock();
        const rv_measure *m = run->measure = i < 0 ? NULL : p->measure[i];
        run->begin = i < 0 ? 0 : (double)i / p->count;
        run->end = i < 0 ? 0 : (i + 1.0) / p->count;
        run->values = json_array();
        status = rv_measure_progress(run, 0);
        if (status == RV_OK)
            status = m ? m->run(run, p->params[i], err) : look(run, err);
        json_t *params = m ? rv_params_to_json(m->params, p->params[i]) : rv_params_to_json(rv_measure_common(), &run->common);
        json_array_append_new(parts, part_json(m ? m->name : "point", m ? m->title : "The point", run->values, rv_clock() - begin, params));
        if (status != RV_OK && status != RV_E_INTERRUPTED && m)
            rv_fail_prefix(err, status, "%s", m->name);
    }
    return status == RV_E_INTERRUPTED ? rv_fail(err, status, "probe: stopped") : status;
}

/* ---- results ------------------------------------------------------------------------ */

static json_t *words(const char *const *list, int count)
{
    json_t *out = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(out, json_string(list[i]));
    return out;
}

static json_t *result_json(const rv_measure_run *run, const char *dir, json_t *parts, double seconds)
{
    const rv_point *point = &run->point;
    const rv_measure_options *o = run->options;
    json_t *with = words((const char *const *)run->other_names, run->other_count);
    json_t *asked = json_pack("{s:o,s:o}", "with", words(o->with, o->with_count), "set", words(o->set, o->set_count));
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:s,s:I,s:s,s:o,s:o,s:O,s:o,s:O,s:f,s:s}", "folder", dir, "file", point->file, "workload",
                     point->workload, "optimizer", point->optimizer, "step", (json_int_t)point->step, "weights",
                     run->options->raw ? "stepped" : "to evaluate", "parameters",
                     (json_int_t)rv_layout_parameters(point->objective->layout), "data",
                     point->objective->data ? point->objective->data : "none", "with", with, "asked", asked, "measures", parts, "figures",
                     rv_figures_index(run->figures), "notes", run->notes, "seconds", seconds, "version", rv_version());
}

/* Every text of the page that is not a name, a path or a number. */
static rv_status add_texts(json_t *body, rv_error *err)
{
    static const char *const quantity[] = {"quantity", NULL};
    json_t *entry;
    size_t i;
    rv_texts t;
    RV_TRY(rv_texts_open(&t, "probe", err));
    rv_texts_field(&t, body, "weights");
    json_array_foreach(json_object_get(body, "measures"), i, entry)
    {
        rv_texts_field(&t, entry, "title");
        rv_texts_list(&t, json_object_get(entry, "values"), quantity);
    }
    json_array_foreach(json_object_get(body, "figures"), i, entry)
    {
        rv_texts_figure(&t, entry);
    }
    json_array_foreach(json_object_get(body, "notes"), i, entry)
    {
        rv_texts_add(&t, entry);
    }
    rv_texts_close(&t, body);
    return RV_OK;
}

static rv_status write_page(const rv_measure_run *run, const char *dir, json_t *result, rv_error *err)
{
    char path[RV_PATH_SIZE];
    RV_TRY(rv_path_join(path, dir, "index.html", err));
    json_t *page = json_object(), *body = json_copy(result);
    rv_page_head(page, NULL);
    json_object_set(body, "figures", run->figures);
    json_object_set_new(page, "probe", body);
    if (run->options->language)
        json_object_set_new(page, "language", json_string(run->options->language));
    rv_status status = add_texts(body, err);
    if (status == RV_OK)
        status = rv_page_write(path, page, true, err);
    json_decref(page);
    return status;
}

static rv_status write_results(const rv_measure_run *run, const char *dir, json_t *result, char **json, rv_error *err)
{
    char path[RV_PATH_SIZE];
    RV_TRY(rv_folder_make(dir, err));
    RV_TRY(rv_figures_write(run->figures, dir, err));
    RV_TRY(write_page(run, dir, result, err));
    RV_TRY(rv_path_join(path, dir, "probe.json", err));
    char *text = rv_json_text(result, 2);
    rv_status status = text ? rv_file_write(path, text, strlen(text), err) : rv_fail(err, RV_E_MEMORY, "%s: no memory", path);
    free(text);
    if (status == RV_OK && json) {
        *json = rv_json_text(result, 0);
        status = *json ? RV_OK : rv_fail(err, RV_E_MEMORY, "probe: no memory for its result");
    }
    return status;
}

/* runs/probe/mnist-mlp-sgd-1a2b3c4d-s0-step500 */
static void folder_of(const rv_measure_run *run, char *dir, size_t size)
{
    char id[NAME / 2];
    rv_trial_id(run->point.config, id, sizeof id);
    snprintf(dir, size, "runs/probe/%s-step%lld", id, (long long)run->point.step);
}

static rv_status measure_point(rv_measure_run *run, const plan *p, char **json, rv_error *err)
{
    double begin = rv_clock();
    char dir[NAME];
    json_t *parts = json_array();
    run->figures = json_array();
    rv_status status = run_all(run, p, parts, err);
    if (status == RV_OK) {
        folder_of(run, dir, sizeof dir);
        const char *to = run->options->dir ? run->options->dir : dir;
        json_t *result = result_json(run, to, parts, rv_clock() - begin);
        status = result ? write_results(run, to, result, json, err) : rv_fail(err, RV_E_MEMORY, "probe: no memory for its result");
        json_decref(result);
    }
    json_decref(parts);
    json_decref(run->figures);
    return status;
}

rv_status rv_measure_execute(const char *path, const rv_measure_options *options, char **json, rv_error *err)
{
    plan p = {.count = 0};
    rv_measure_run run = {.options = options};
    rv_pool *pool = NULL;
    rv_params_init(rv_measure_common(), &run.common);
    run.notes = json_array();
    rv_status status = choose(options, &p, err);
    for (int i = 0; i < options->set_count && status == RV_OK; i++)
        status = set_one(&p, &run.common, options->set[i], err);
    if (status == RV_OK)
        status = rv_pool_new(&pool, options->threads, err);
    if (status == RV_OK)
        status = load(&run, path, &p, pool, err);
    if (status == RV_OK)
        status = measure_point(&run, &p, json, err);
    release_others(&run);
    json_decref(run.notes);
    for (int i = 0; i < p.count; i++)
        free(p.params[i]);
    rv_point_release(&run.point);
    rv_pool_free(pool);
    return status;
}
