/* Saved weights as a point of their objective.  Invariants: what is filled in matches tensor for
 * tensor; the element type of the file need not be the objective's; no file is written. */
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/json.h"
#include "core/text.h"
#include "trial/checkpoint.h"
#include "trial/find.h"

/* ---- reading it ----------------------------------------------------------------------- */

typedef struct saved {
    char path[RV_PATH_SIZE];
    rv_array_set set;
    json_t *meta;
    bool checkpoint;
    bool start;         /* not its weights are meant, but those that the run began with */
    const char *config; /* as the run resolved it; in meta */
} saved;

static void close_saved(saved *s)
{
    json_decref(s->meta);
    rv_array_set_release(&s->set);
}

static rv_status check_kind(saved *s, bool raw, rv_error *err)
{
    const char *format = json_string_value(json_object_get(s->meta, "format"));
    s->checkpoint = format != NULL && strcmp(format, RV_CHECKPOINT_FORMAT) == 0;
    if (!s->checkpoint && (format == NULL || strcmp(format, RV_WEIGHTS_FORMAT) != 0))
        return rv_fail(err, RV_E_MISMATCH, "%s: expected a file of a run (\"format\" %s or %s), found %.40s", s->path,
                       RV_CHECKPOINT_FORMAT, RV_WEIGHTS_FORMAT, format == NULL ? "none" : format);
    if (s->checkpoint)
        RV_TRY(rv_checkpoint_check(s->path, s->meta, &s->set, err));
    else if (raw && !s->start)
        return rv_fail(err, RV_E_MISMATCH, "%s: holds weights to evaluate only; those that were stepped are in the run's checkpoints",
                       s->path);
    s->config = json_string_value(json_object_get(s->meta, "config"));
    return s->config != NULL ? RV_OK : rv_fail(err, RV_E_FORMAT, "%s: its configuration is missing", s->path);
}

/* Close also after a failure. */
static rv_status open_saved(saved *s, const char *path, bool raw, rv_error *err)
{
    *s = (saved){.meta = NULL};
    RV_TRY(rv_find_saved(path, raw, s->path, &s->start, err));
    RV_TRY(rv_safetensors_read(s->path, &s->set, err));
    const char *text = s->set.metadata == NULL ? "{}" : s->set.metadata;
    RV_TRY(rv_json_parse(text, strlen(text), s->path, &s->meta, err));
    return check_kind(s, raw, err);
}

/* ---- from the file's arrays to the objective's vector --------------------------------- */

static bool real_type(rv_dtype dtype)
{
    return dtype == RV_F32 || dtype == RV_F64;
}

static void convert(void *to, rv_dtype to_type, const void *from, rv_dtype from_type, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double value = from_type == RV_F64 ? ((const double *)from)[i] : (double)((const float *)from)[i];
        if (to_type == RV_F64)
            ((double *)to)[i] = value;
        else
            ((float *)to)[i] = (float)value;
    }
}

/* Appends what is wrong with the array that should be called name; NULL: it is missing. */
static void complain(rv_text *list, const char *name, const rv_shape *wanted, const rv_array *found)
{
    char here[96], there[96];
    rv_text_format(list, "%s%s: expected %s, found %s", list->size > 0 ? "; " : "", name,
                   rv_shape_text(wanted, here, sizeof here),
                   found == NULL ? "none" : rv_shape_text(&found->shape, there, sizeof there));
    if (found != NULL && !real_type(found->dtype))
        rv_text_format(list, " of %s", rv_dtype_name(found->dtype));
}

/* Copies an array where it fits, complains where it does not. */
static void take(const saved *s, const char *prefix, const char *name, const rv_shape *shape, void *to, rv_dtype dtype,
                 rv_text *list)
{
    char full[2 * RV_NAME_SIZE];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const rv_array *found = rv_checkpoint_array(&s->set, full);
    if (found == NULL || !real_type(found->dtype) || !rv_shape_equal(&found->shape, shape))
        complain(list, name, shape, found);
    else
        convert(to, dtype, found->data, found->dtype, rv_shape_size(shape));
}

/* The tensors of the file into w of this type, statistics into the objective where wanted. */
static rv_status fill(const saved *s, rv_objective *o, bool statistics, void *w, rv_dtype dtype, rv_error *err)
{
    rv_text list = {0};
    const char *prefix = s->checkpoint ? RV_CHECKPOINT_WEIGHTS : "";
    for (int i = 0; i < o->layout->count; i++) {
        const rv_tensor *t = &o->layout->tensors[i];
        take(s, prefix, t->name, &t->shape, (char *)w + (size_t)t->offset * rv_dtype_size(dtype), dtype, &list);
    }
    if (statistics && o->state_size > 0)
        take(s, "", RV_CHECKPOINT_STATISTICS, &RV_SHAPE(o->state_size), o->state, o->dtype, &list);
    int surplus = s->checkpoint ? 0 : s->set.count - o->layout->count - (o->state_size > 0);
    if (surplus > 0)
        rv_text_format(&list, "%s%d arrays that the workload does not have", list.size > 0 ? "; " : "", surplus);
    rv_status status = RV_OK;
    if (list.size > 0 || list.failed)
        status = rv_fail(err, RV_E_MISMATCH, "%s: does not fit %s: %s", s->path, o->name,
                         list.failed ? "no memory to list the differences" : list.data);
    rv_text_release(&list);
    return status;
}

/* The type of the weights in the file: the optimizer's state belongs to it. */
static rv_dtype type_of(const saved *s, const rv_objective *o)
{
    for (int i = 0; i < s->set.count; i++)
        if (strncmp(s->set.arrays[i].name, RV_CHECKPOINT_WEIGHTS, strlen(RV_CHECKPOINT_WEIGHTS)) == 0)
            return real_type(s->set.arrays[i].dtype) ? s->set.arrays[i].dtype : o->dtype;
    return o->dtype;
}

/* average <- the weights to evaluate that belong to w and the optimizer's state in the file. */
static rv_status evaluation_weights(const saved *s, const rv_objective *o, const void *w, rv_dtype dtype, void *average,
                                    bool *differs, rv_error *err)
{
    rv_config config;
    rv_optimizer *optimizer = NULL;
    rv_status status = rv_config_resolve(&config, s->config, false, NULL, 0, err);
    rv_optimizer_options options = {.method = config.optimizer,
                                    .params = config.optimizer_params,
                                    .rules = config.optimizer_rules,
                                    .wrappers = config.wrappers,
                                    .dtype = dtype,
                                    .seed = (uint64_t)config.train.seed};
    if (status == RV_OK) {
        options.state_dtype = rv_config_state_dtype(&config);
        status = rv_optimizer_new_flat(&optimizer, &options, o->layout, w, err);
    }
    if (status == RV_OK)
        status = rv_checkpoint_optimizer(s->path, &s->set, optimizer, err);
    if (status == RV_OK)
        status = rv_optimizer_evaluation_weights_flat(optimizer, w, average, differs);
    rv_optimizer_free(optimizer);
    rv_config_release(&config);
    return status;
}

/* w <- the weights that the run began with; the statistics that belong to them only where wanted. */
static rv_status first_weights(const saved *s, rv_objective *o, bool statistics, void *w, rv_error *err)
{
    rv_config config;
    size_t bytes = (size_t)o->state_size * rv_dtype_size(o->dtype);
    void *kept = bytes > 0 && !statistics ? malloc(bytes) : NULL;
    rv_status status = rv_config_resolve(&config, s->config, false, NULL, 0, err);
    if (status == RV_OK && bytes > 0 && !statistics && kept == NULL)
        status = rv_fail(err, RV_E_MEMORY, "%s: no memory for its statistics", s->path);
    if (kept != NULL)
        memcpy(kept, o->state, bytes);
    if (status == RV_OK)
        status = rv_objective_init(o, (uint64_t)config.train.seed, w, err);
    if (kept != NULL)
        memcpy(o->state, kept, bytes);
    free(kept);
    rv_config_release(&config);
    return status;
}

/* w of the objective's type <- the file's weights, those that were stepped where raw. */
static rv_status weights_of(const saved *s, rv_objective *o, bool raw, bool statistics, void *w, bool *differs, rv_error *err)
{
    *differs = false;
    if (s->start)
        return first_weights(s, o, statistics, w, err);
    if (raw || !s->checkpoint)
        return fill(s, o, statistics, w, o->dtype, err);
    rv_dtype dtype = type_of(s, o);
    size_t bytes = rv_arena_align((size_t)o->layout->size * rv_dtype_size(dtype));
    char *stepped = aligned_alloc(64, 2 * bytes), *average = stepped == NULL ? NULL : stepped + bytes;
    if (stepped == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its weights", s->path);
    memset(stepped, 0, 2 * bytes);
    rv_status status = fill(s, o, statistics, stepped, dtype, err);
    if (status == RV_OK)
        status = evaluation_weights(s, o, stepped, dtype, average, differs, err);
    if (status == RV_OK)
        convert(w, o->dtype, average, dtype, o->layout->size);
    free(stepped);
    return status;
}

/* ---- the whole -------------------------------------------------------------------------- */

/* The file's configuration with the changes of the options. */
static rv_status resolve(rv_config *config, const saved *s, const rv_point_options *options, rv_error *err)
{
    char evaluate[48];
    const char **set = calloc((size_t)options->set_count + 1, sizeof *set);
    if (set == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for its configuration", s->path);
    rv_status status = rv_config_resolve(config, s->config, false, NULL, 0, err);
    bool limited = status == RV_OK && options->evaluate > 0 && rv_params_find(config->workload->params, "evaluate");
    snprintf(evaluate, sizeof evaluate, "workload.evaluate=%lld", (long long)options->evaluate);
    set[0] = evaluate;
    for (int i = 0; i < options->set_count; i++)
        set[i + limited] = options->set[i];
    if (status == RV_OK && limited + options->set_count > 0) {
        rv_config_release(config);
        status = rv_config_resolve(config, s->config, false, set, options->set_count + limited, err);
    }
    free(set);
    return status;
}

static rv_status make(rv_point *p, const saved *s, const rv_point_options *options, rv_error *err)
{
    rv_config config = {0};
    const char *step = json_string_value(json_object_get(s->meta, "step"));
    rv_status status = resolve(&config, s, options, err);
    if (status == RV_OK)
        status = rv_config_objective(&config, options->data, options->pool, options->note, options->context, &p->objective, err);
    else
        rv_fail_prefix(err, status, "%s", s->path);
    if (status == RV_OK) {
        snprintf(p->file, sizeof p->file, "%.480s%s", s->path, s->start ? "@start" : "");
        p->other_data = options->other_data;
        snprintf(p->workload, sizeof p->workload, "%s", config.workload->name);
        snprintf(p->optimizer, sizeof p->optimizer, "%s", config.optimizer);
        p->step = step == NULL || s->start ? 0 : atoll(step);
        p->config = config.text;
        config.text = NULL;
        size_t bytes = rv_arena_align((size_t)p->objective->layout->size * rv_dtype_size(p->objective->dtype));
        p->w = aligned_alloc(64, bytes);
        if (p->w == NULL)
            status = rv_fail(err, RV_E_MEMORY, "%s: no memory for its weights", s->path);
        else
            memset(p->w, 0, bytes);
    }
    rv_config_release(&config);
    return status;
}

static bool changes_workload(const rv_point_options *options)
{
    for (int i = 0; i < options->set_count; i++)
        if (strncmp(options->set[i], "workload.", 9) == 0)
            return true;
    return false;
}

/* Losses of other data than the weights were trained on are numbers that mean something else. */
static rv_status check_data(const saved *s, const rv_point *point, bool whole, rv_error *err)
{
    if (point->other_data || rv_checkpoint_same_data(s->meta, point->objective, whole))
        return RV_OK;
    return rv_fail(err, RV_E_MISMATCH, "%s: trained on other data: expected \"%s\", found \"%s\"; is --data (RAVINE_DATA) the folder it had?",
                   s->path, json_string_value(json_object_get(s->meta, "data")), point->objective->data);
}

static void tell_data(const saved *s, const rv_point *point, const rv_point_options *options)
{
    char line[RV_PATH_SIZE + 1024];
    snprintf(line, sizeof line, "%s was trained on other data: \"%.256s\", found \"%.256s\"", s->path,
             json_string_value(json_object_get(s->meta, "data")), point->objective->data);
    if (options->note != NULL)
        options->note(options->context, line);
}

rv_status rv_point_load(rv_point *point, const char *path, const rv_point_options *options, rv_error *err)
{
    saved s;
    *point = (rv_point){.step = 0};
    rv_status status = open_saved(&s, path, options->raw, err);
    if (status == RV_OK)
        status = make(point, &s, options, err);
    if (status == RV_OK)
        status = check_data(&s, point, !changes_workload(options), err);
    if (status == RV_OK && point->other_data && !rv_checkpoint_same_data(s.meta, point->objective, false))
        tell_data(&s, point, options);
    if (status == RV_OK)
        status = rv_objective_init(point->objective, 0, point->w, err); /* the state of statistics */
    if (status == RV_OK)
        status = weights_of(&s, point->objective, options->raw, true, point->w, &point->averaged, err);
    if (status == RV_OK && point->averaged && point->objective->state_size > 0)
        status = rv_objective_recompute(point->objective, point->w, err);
    close_saved(&s);
    return status;
}

void rv_point_release(rv_point *point)
{
    rv_objective_free(point->objective);
    free(point->w);
    free(point->config);
    *point = (rv_point){.step = 0};
}

/* Tensors of one name and shape in two workloads are still not the same thing. */
static rv_status check_workload(const saved *s, const rv_point *point, rv_error *err)
{
    rv_config config;
    rv_status status = rv_config_resolve(&config, s->config, false, NULL, 0, err);
    if (status == RV_OK && strcmp(config.workload->name, point->workload) != 0)
        status = rv_fail(err, RV_E_MISMATCH, "%s: expected weights of %s, found those of %s", s->path, point->workload,
                         config.workload->name);
    rv_config_release(&config);
    return status;
}

rv_status rv_point_weights(const rv_point *point, const char *path, bool raw, void *w, rv_error *err)
{
    saved s;
    bool differs;
    rv_status status = open_saved(&s, path, raw, err);
    if (status == RV_OK)
        status = check_workload(&s, point, err);
    if (status == RV_OK)
        status = check_data(&s, point, false, err);
    if (status == RV_OK)
        status = weights_of(&s, point->objective, raw, false, w, &differs, err);
    close_saved(&s);
    return status;
}
