/* Replaying reference trajectories.  Invariant: weights move through rv_optimizer alone,
 * in double, as in training. */
#include "optim/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"
#include "optim/method.h"

typedef struct replay {
    const char *optimizer, *method, *params, *required;
} replay;

static const replay replays[] = {
#define RV_REPLAY(optimizer, method, params, required) {optimizer, method, params, required},
#include "optim/verify.def"
#undef RV_REPLAY
};

typedef struct session {
    const char *path;
    json_t *file, *problem, *options; /* options: our parameters */
    const replay *row;
    double max_norm; /* of global-norm clipping; NaN: none */
    rv_layout layout;
    double *w, *g, *x; /* flat */
    rv_optimizer *optimizer;
    rv_verify_result *result;
} session;

static void session_release(session *s)
{
    rv_optimizer_free(s->optimizer);
    json_decref(s->file);
    json_decref(s->problem);
    json_decref(s->options);
    free(s->layout.tensors);
    free(s->w);
    free(s->g);
    free(s->x);
}

/* ---- which method, with which parameters --------------------------------- */

static bool same_value(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (!json_is_array(a) || !json_is_array(b))
        return json_equal(a, b) != 0;
    bool same = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; i < json_array_size(a) && same; i++)
        same = same_value(json_array_get(a, i), json_array_get(b, i));
    return same;
}

/* Whether every required value reads so in hyper (or is absent there). */
static bool fits(const json_t *required, const json_t *hyper)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)required, key, value)
    {
        const json_t *found = json_object_get(hyper, key);
        if (found && !same_value(found, value))
            return false;
    }
    return true;
}

/* Names that references have for one or several numbers of ours. */
static const struct {
    const char *theirs, *ours[3];
} names[] = {
    {"betas", {"beta1", "beta2", "beta3"}},
    {"beta", {"beta1"}},
    {"b1", {"beta1"}},
    {"b2", {"beta2"}},
    {"etas", {"shrink", "grow"}},
    {"step_sizes", {"step_min", "step_max"}},
};

/* Sets what a name of the table stands for; false: it is not there. */
static bool map_name(json_t *options, const char *prefix, const char *key, json_t *value)
{
    size_t i = 0;
    while (i < sizeof names / sizeof names[0] && strcmp(names[i].theirs, key) != 0)
        i++;
    if (i == sizeof names / sizeof names[0])
        return false;
    for (size_t k = 0; k < 3 && names[i].ours[k]; k++) {
        json_t *number = json_is_array(value) ? json_array_get(value, k) : k == 0 ? value : NULL;
        char name[2 * RV_NAME_SIZE];
        snprintf(name, sizeof name, "%s%s", prefix, names[i].ours[k]);
        if (number)
            json_object_set(options, name, number);
    }
    return true;
}

/* Reference names to ours: those of the table; the group "adam" to adamw; the rest as it is. */
static rv_status map_params(session *s, const char *prefix, const json_t *hyper, const json_t *required, rv_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)hyper, key, value)
    {
        char name[2 * RV_NAME_SIZE];
        if (json_is_null(value) || json_object_get(required, key) || (*prefix && strcmp(key, "params") == 0))
            continue;
        if (json_is_object(value) && !*prefix) {
            const char *owner = strcmp(key, "adam") == 0 ? "adamw" : key;
            snprintf(name, sizeof name, "%s.", owner);
            RV_TRY(map_params(s, name, value, required, err));
        } else if (strcmp(key, "max_norm") == 0) {
            s->max_norm = json_number_value(value);
        } else if (!map_name(s->options, prefix, key, value)) {
            snprintf(name, sizeof name, "%s%s", prefix, key);
            json_object_set(s->options, name, value);
        }
    }
    return RV_OK;
}

static rv_status choose(session *s, rv_error *err)
{
    const char *optimizer = json_string_value(json_object_get(s->file, "optimizer"));
    const json_t *hyper = json_object_get(s->file, "hyperparameters");
    if (!optimizer || !json_is_object(hyper))
        return rv_fail(err, RV_E_FORMAT, "%s: expected a trajectory with \"optimizer\" and \"hyperparameters\"", s->path);
    snprintf(s->result->optimizer, sizeof s->result->optimizer, "%s", optimizer);
    for (size_t i = 0; i < sizeof replays / sizeof replays[0] && !s->row; i++) {
        if (strcmp(replays[i].optimizer, optimizer) != 0)
            continue;
        json_t *required = NULL;
        RV_TRY(rv_json_parse(replays[i].required, strlen(replays[i].required), "verify.def", &required, err));
        if (fits(required, hyper)) {
            s->row = &replays[i];
            rv_status status = rv_json_parse(s->row->params, strlen(s->row->params), "verify.def", &s->options, err);
            if (status == RV_OK)
                status = map_params(s, "", hyper, required, err);
            json_decref(required);
            return status;
        }
        json_decref(required);
    }
    char *text = rv_json_text(hyper, 0);
    const rv_status status = rv_fail(err, RV_E_UNKNOWN, "%s: no method here replays '%s' with %s", s->path, optimizer,
                                     text ? text : "these hyperparameters");
    free(text);
    return status;
}

/* ---- the problem ----------------------------------------------------------- */

static rv_status open_problem(session *s, rv_error *err)
{
    const char *name = json_string_value(json_object_get(s->file, "problem"));
    if (!name || strchr(name, '/'))
        return rv_fail(err, RV_E_FORMAT, "%s: \"problem\" must name a file beside this one", s->path);
    const char *slash = strrchr(s->path, '/');
    rv_text path = {0};
    rv_text_format(&path, "%.*s%s", slash ? (int)(slash + 1 - s->path) : 0, s->path, name);
    const rv_status status = path.failed ? rv_fail(err, RV_E_MEMORY, "verify: out of memory")
                                         : rv_json_read(path.data, &s->problem, err);
    rv_text_release(&path);
    return status;
}

static rv_status read_tensor(const session *s, const json_t *object, rv_tensor *tensor, rv_error *err)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    const json_t *shape = json_object_get(object, "shape");
    const size_t rank = json_array_size(shape);
    if (!name || strlen(name) >= RV_NAME_SIZE || !json_is_array(shape) || rank > RV_MAX_RANK)
        return rv_fail(err, RV_E_FORMAT, "%s: a tensor needs a name and a shape of at most %d axes", s->path, RV_MAX_RANK);
    snprintf(tensor->name, sizeof tensor->name, "%s", name);
    tensor->shape.rank = (int)rank;
    for (size_t k = 0; k < rank; k++) {
        tensor->shape.dim[k] = json_integer_value(json_array_get(shape, k));
        if (tensor->shape.dim[k] < 0 || tensor->shape.dim[k] > 1 << 20)
            return rv_fail(err, RV_E_FORMAT, "%s: tensor '%s' has a bad shape", s->path, name);
    }
    tensor->role = rank < 2 ? RV_ROLE_BIAS : rank == 2 ? RV_ROLE_HIDDEN : RV_ROLE_CONV;
    return RV_OK;
}

static rv_status make_layout(session *s, rv_error *err)
{
    const json_t *list = json_object_get(s->file, "tensors");
    const size_t count = json_array_size(list);
    if (count == 0 || count > 4096)
        return rv_fail(err, RV_E_FORMAT, "%s: expected a list of tensors", s->path);
    s->layout.tensors = calloc(count, sizeof *s->layout.tensors);
    if (!s->layout.tensors)
        return rv_fail(err, RV_E_MEMORY, "verify: out of memory");
    for (size_t i = 0; i < count; i++) {
        rv_tensor *tensor = &s->layout.tensors[i];
        RV_TRY(read_tensor(s, json_array_get(list, i), tensor, err));
        tensor->offset = s->layout.size;
        const int64_t size = rv_shape_size(&tensor->shape);
        if (size > 1 << 26)
            return rv_fail(err, RV_E_FORMAT, "%s: tensor '%s' is too large", s->path, tensor->name);
        s->layout.size += (size + 7) / 8 * 8;
    }
    s->layout.count = (int)count;
    s->w = calloc((size_t)s->layout.size, sizeof *s->w);
    s->g = calloc((size_t)s->layout.size, sizeof *s->g);
    s->x = calloc((size_t)s->layout.size, sizeof *s->x);
    return s->w && s->g && s->x ? RV_OK : rv_fail(err, RV_E_MEMORY, "verify: out of memory");
}

/* {tensor: [numbers]} into a flat vector. */
static rv_status read_flat(const session *s, const json_t *object, const char *what, double *flat, rv_error *err)
{
    for (int i = 0; i < s->layout.count; i++) {
        const rv_tensor *tensor = &s->layout.tensors[i];
        const json_t *values = json_object_get(object, tensor->name);
        const int64_t size = rv_shape_size(&tensor->shape);
        if ((int64_t)json_array_size(values) != size)
            return rv_fail(err, RV_E_FORMAT, "%s: %s of tensor '%s': expected %lld numbers, found %zu", s->path, what,
                           tensor->name, (long long)size, json_array_size(values));
        for (int64_t k = 0; k < size; k++)
            flat[tensor->offset + k] = json_number_value(json_array_get(values, (size_t)k));
    }
    return RV_OK;
}

/* Gradient of 1/2 sum a (x - c)^2 + s sum (x_(i+1) - x_i^2)^2 over the concatenation of all tensors. */
static rv_status objective_gradient(const session *s, rv_error *err)
{
    const json_t *objective = json_object_get(s->problem, "objective");
    const json_t *a = json_object_get(objective, "a"), *c = json_object_get(objective, "c");
    const double chain = json_number_value(json_object_get(objective, "s"));
    memset(s->g, 0, (size_t)s->layout.size * sizeof *s->g);
    int64_t before = -1; /* flat index of the element before */
    for (int i = 0; i < s->layout.count; i++) {
        const rv_tensor *tensor = &s->layout.tensors[i];
        const json_t *ai = json_object_get(a, tensor->name), *ci = json_object_get(c, tensor->name);
        const int64_t size = rv_shape_size(&tensor->shape);
        if ((int64_t)json_array_size(ai) != size || (int64_t)json_array_size(ci) != size)
            return rv_fail(err, RV_E_FORMAT, "%s: the problem's objective lacks tensor '%s'", s->path, tensor->name);
        for (int64_t k = 0; k < size; k++) {
            const int64_t at = tensor->offset + k;
            s->g[at] += json_number_value(json_array_get(ai, (size_t)k)) *
                        (s->w[at] - json_number_value(json_array_get(ci, (size_t)k)));
            if (before >= 0) {
                const double gap = s->w[at] - s->w[before] * s->w[before];
                s->g[at] += 2 * chain * gap;
                s->g[before] -= 4 * chain * s->w[before] * gap;
            }
            before = at;
        }
    }
    return RV_OK;
}

static rv_status gradient(const session *s, const char *which, int64_t step, rv_error *err)
{
    if (strcmp(which, "objective") == 0)
        return objective_gradient(s, err);
    const json_t *list = json_object_get(json_object_get(s->problem, "fixed"), "gradients");
    if ((int64_t)json_array_size(list) < step)
        return rv_fail(err, RV_E_FORMAT, "%s: the problem has no gradient for step %lld", s->path, (long long)step);
    return read_flat(s, json_array_get(list, (size_t)(step - 1)), "gradient", s->g, err);
}

/* ---- the replay ------------------------------------------------------------ */

/* Weights stored for a step: lists hold every step, objects the ones they name. */
static const json_t *stored(const json_t *steps, int64_t step)
{
    char key[24];
    snprintf(key, sizeof key, "%lld", (long long)step);
    return json_is_array(steps) ? json_array_get(steps, (size_t)(step - 1)) : json_object_get(steps, key);
}

static int64_t last_step(const json_t *steps)
{
    int64_t last = (int64_t)json_array_size(steps);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)steps, key, value)
        last = atoll(key) > last ? atoll(key) : last;
    return last;
}

static rv_status compare(session *s, const char *which, const char *weights, const json_t *theirs, const double *ours,
                         int64_t step, rv_error *err)
{
    rv_verify_result *result = s->result;
    if (!theirs || result->count == RV_VERIFY_ROWS)
        return RV_OK;
    RV_TRY(read_flat(s, theirs, weights, s->g, err)); /* g is free between steps */
    double error = 0;
    for (int i = 0; i < s->layout.count; i++) {
        const rv_tensor *tensor = &s->layout.tensors[i];
        double apart = 0, most = 0;
        for (int64_t k = tensor->offset; k < tensor->offset + rv_shape_size(&tensor->shape); k++) {
            apart = fmax(apart, isnan(ours[k]) || isnan(s->g[k]) ? HUGE_VAL : fabs(ours[k] - s->g[k]));
            most = fmax(most, fabs(s->g[k]));
        }
        error = fmax(error, apart / (1 + most));
    }
    result->rows[result->count++] = (rv_verify_row){which, weights, step, error};
    result->worst = fmax(result->worst, error);
    return RV_OK;
}

static rv_status new_optimizer(session *s, rv_error *err)
{
    rv_optimizer_free(s->optimizer);
    s->optimizer = NULL;
    char *params = rv_json_text(s->options, 0);
    if (!params)
        return rv_fail(err, RV_E_MEMORY, "verify: out of memory");
    const rv_optimizer_options options = {.method = s->row->method, .params = params, .dtype = RV_F64};
    const rv_status status = rv_optimizer_new_flat(&s->optimizer, &options, &s->layout, s->w, err);
    free(params);
    return status == RV_OK ? status : rv_fail_prefix(err, status, "%s: %s", s->path, s->result->optimizer);
}

static rv_status run_case(session *s, const char *which, const json_t *object, rv_error *err)
{
    const json_t *params = json_object_get(object, "params"), *eval = json_object_get(object, "eval_params");
    RV_TRY(read_flat(s, json_object_get(s->file, "initial_params"), "initial weights", s->w, err));
    RV_TRY(new_optimizer(s, err));
    const int64_t last = last_step(params);
    for (int64_t step = 1; step <= last; step++) {
        RV_TRY(gradient(s, which, step, err));
        if (!isnan(s->max_norm))
            rv_clip_global_norm(s->g, &s->layout, RV_F64, s->max_norm, NULL);
        RV_TRY(rv_optimizer_step_flat(s->optimizer, s->w, s->g, err));
        RV_TRY(compare(s, which, "params", stored(params, step), s->w, step, err));
        if (eval && stored(eval, step)) {
            RV_TRY(rv_optimizer_evaluation_weights_flat(s->optimizer, s->w, s->x, NULL));
            RV_TRY(compare(s, which, "eval_params", stored(eval, step), s->x, step, err));
        }
    }
    return RV_OK;
}

static rv_status verify(session *s, double tolerance, rv_error *err)
{
    RV_TRY(rv_json_read(s->path, &s->file, err));
    const char *name = json_string_value(json_object_get(s->file, "name"));
    snprintf(s->result->name, sizeof s->result->name, "%s", name ? name : s->path);
    RV_TRY(choose(s, err));
    const rv_method *method = NULL;
    RV_TRY(rv_method_lookup(s->row->method, &method, err));
    snprintf(s->result->method, sizeof s->result->method, "%s@%d", method->info.name, method->info.version);
    s->result->tolerance = isnan(tolerance) ? method->tolerance : tolerance;
    RV_TRY(open_problem(s, err));
    RV_TRY(make_layout(s, err));
    static const char *const cases[] = {"fixed", "objective"};
    for (int i = 0; i < 2; i++) {
        const json_t *object = json_object_get(json_object_get(s->file, "cases"), cases[i]);
        if (object)
            RV_TRY(run_case(s, cases[i], object, err));
    }
    s->result->pass = s->result->count > 0 && s->result->worst <= s->result->tolerance;
    return RV_OK;
}

rv_status rv_verify_file(const char *path, double tolerance, rv_verify_result *result, rv_error *err)
{
    memset(result, 0, sizeof *result);
    session s = {.path = path, .max_norm = (double)NAN, .result = result};
    const rv_status status = verify(&s, tolerance, err);
    session_release(&s);
    return status;
}

char *rv_verify_text(const rv_verify_result *r)
{
    rv_text text = {0};
    rv_text_format(&text, "%s  %s: %s as %s, worst %.1e, tolerance %.0e\n", r->pass ? "ok  " : "FAIL", r->name,
                   r->optimizer, r->method, r->worst, r->tolerance);
    for (int i = 0; i < r->count; i++)
        rv_text_format(&text, "      step %3lld  %-9s  %-11s  %.1e\n", (long long)r->rows[i].step, r->rows[i].gradients,
                       r->rows[i].weights, r->rows[i].error);
    return text.data;
}

char *rv_verify_json(const rv_verify_result *r)
{
    json_t *rows = json_array();
    for (int i = 0; i < r->count; i++)
        json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:o}", "gradients", r->rows[i].gradients, "weights",
                                              r->rows[i].weights, "step", (json_int_t)r->rows[i].step, "error",
                                              rv_json_from_real(r->rows[i].error)));
    json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:o, s:b, s:o}", "name", r->name, "optimizer", r->optimizer,
                               "method", r->method, "tolerance", rv_json_from_real(r->tolerance), "worst",
                               rv_json_from_real(r->worst), "pass", r->pass, "steps", rows);
    char *text = rv_json_text(object, 0);
    json_decref(object);
    return text;
}
