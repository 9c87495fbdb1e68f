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
#include "optim/verify_map.h"
#include "optim/verify_network.h"
#include "optim/verify_words.h"

typedef struct session {
    const char *path;
    json_t *file, *problem;
    rv_verify_map map;
    rv_layout layout;
    bool network; /* the problem is that of verify_network.h */
    rv_linear_layer layers[2];
    double *w, *g, *x; /* flat */
    rv_optimizer *optimizer;
    rv_verify_result *result;
} session;

static void session_release(session *s)
{
    rv_optimizer_free(s->optimizer);
    json_decref(s->file);
    json_decref(s->problem);
    rv_verify_map_release(&s->map);
    free(s->layout.tensors);
    free(s->w);
    free(s->g);
    free(s->x);
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
    if (s->network) {
        rv_verify_network_layers(&s->layout, s->layers);
        s->layout.layers = s->layers;
        s->layout.layer_count = 2;
    }
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

/* g at w of 1/2 sum a (x - c)^2 + s sum (x_(i+1) - x_i^2)^2 over the concatenation of all tensors. */
static rv_status objective_gradient(const session *s, const double *w, double *g, rv_error *err)
{
    const json_t *objective = json_object_get(s->problem, "objective");
    const json_t *a = json_object_get(objective, "a"), *c = json_object_get(objective, "c");
    const double chain = json_number_value(json_object_get(objective, "s"));
    memset(g, 0, (size_t)s->layout.size * sizeof *g);
    int64_t before = -1; /* flat index of the element before */
    for (int i = 0; i < s->layout.count; i++) {
        const rv_tensor *tensor = &s->layout.tensors[i];
        const json_t *ai = json_object_get(a, tensor->name), *ci = json_object_get(c, tensor->name);
        const int64_t size = rv_shape_size(&tensor->shape);
        if ((int64_t)json_array_size(ai) != size || (int64_t)json_array_size(ci) != size)
            return rv_fail(err, RV_E_FORMAT, "%s: the problem's objective lacks tensor '%s'", s->path, tensor->name);
        for (int64_t k = 0; k < size; k++) {
            const int64_t at = tensor->offset + k;
            g[at] += json_number_value(json_array_get(ai, (size_t)k)) *
                        (w[at] - json_number_value(json_array_get(ci, (size_t)k)));
            if (before >= 0) {
                const double gap = w[at] - w[before] * w[before];
                g[at] += 2 * chain * gap;
                g[before] -= 4 * chain * w[before] * gap;
            }
            before = at;
        }
    }
    return RV_OK;
}

/* What SAM and its kin, and methods that look at layers ask for. */
static rv_status closure(void *context, rv_probe probe, const void *w, void *g, double *loss, rv_error *err)
{
    (void)loss;
    const session *s = context;
    if (probe == RV_PROBE_FACTORS && s->network)
        return rv_verify_network_gradient(s->file, &s->layout, w, NULL, g, err);
    return probe == RV_PROBE_GRADIENT ? objective_gradient(s, w, g, err)
                                      : rv_fail(err, RV_E_UNSUPPORTED, "verify: the problem has no labels to sample");
}

static rv_status gradient(const session *s, const char *which, int64_t step, rv_error *err)
{
    if (s->network)
        return rv_verify_network_gradient(s->file, &s->layout, s->w, s->g, NULL, err);
    if (strcmp(which, "objective") == 0)
        return objective_gradient(s, s->w, s->g, err);
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
        if (rv_verify_apart(result->optimizer, json_object_get(s->file, "hyperparameters"), tensor->name))
            continue;
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
    char *params = rv_json_text(s->map.options, 0);
    if (!params)
        return rv_fail(err, RV_E_MEMORY, "verify: out of memory");
    const rv_optimizer_options options = {.method = s->map.method, .params = params, .rules = s->map.rules,
                                          .wrappers = s->map.wrapper, .dtype = RV_F64};
    const rv_status status = rv_optimizer_new_flat(&s->optimizer, &options, &s->layout, s->w, err);
    free(params);
    if (status != RV_OK)
        return rv_fail_prefix(err, status, "%s: %s", s->path, s->result->optimizer);
    const json_t *hyper = json_object_get(s->file, "hyperparameters");
    return rv_verify_initial_state(s->result->optimizer, hyper, s->optimizer, err);
}

static rv_status run_case(session *s, const char *which, const json_t *object, rv_error *err)
{
    const json_t *params = json_object_get(object, "params"), *eval = json_object_get(object, "eval_params");
    RV_TRY(read_flat(s, json_object_get(s->file, "initial_params"), "initial weights", s->w, err));
    RV_TRY(new_optimizer(s, err));
    const int64_t last = last_step(params);
    for (int64_t step = 1; step <= last; step++) {
        RV_TRY(gradient(s, which, step, err));
        RV_TRY(rv_optimizer_step_closure_flat(s->optimizer, s->w, s->g, closure, s, err));
        RV_TRY(rv_optimizer_evaluation_weights_flat(s->optimizer, s->w, s->x, NULL));
        RV_TRY(compare(s, which, "params", stored(params, step), s->map.averaged ? s->x : s->w, step, err));
        if (eval && stored(eval, step))
            RV_TRY(compare(s, which, "eval_params", stored(eval, step), s->x, step, err));
    }
    return RV_OK;
}

static rv_status verify(session *s, double tolerance, rv_error *err)
{
    RV_TRY(rv_json_read(s->path, &s->file, err));
    RV_TRY(rv_verify_network_open(s->file, s->path, &s->network, err));
    const char *name = json_string_value(json_object_get(s->file, "name"));
    snprintf(s->result->name, sizeof s->result->name, "%s", name ? name : s->path);
    const char *optimizer = json_string_value(json_object_get(s->file, "optimizer"));
    const json_t *hyper = json_object_get(s->file, "hyperparameters");
    if (!optimizer || !json_is_object(hyper))
        return rv_fail(err, RV_E_FORMAT, "%s: expected a trajectory with \"optimizer\" and \"hyperparameters\"", s->path);
    snprintf(s->result->optimizer, sizeof s->result->optimizer, "%s", optimizer);
    RV_TRY(rv_verify_map_make(&s->map, s->path, s->file, optimizer, hyper, err));
    const rv_method *method = NULL;
    RV_TRY(rv_method_lookup(s->map.method, &method, err));
    snprintf(s->result->method, sizeof s->result->method, "%s@%d", method->info.name, method->info.version);
    s->result->tolerance = isnan(tolerance) ? method->tolerance : tolerance;
    if (!s->network)
        RV_TRY(open_problem(s, err));
    RV_TRY(make_layout(s, err));
    static const char *const cases[] = {"fixed", "objective"}, *const runs[] = {"eigen", "inverse"};
    for (int i = 0; i < 2; i++) {
        const char *which = s->network ? runs[i] : cases[i];
        const json_t *object = json_object_get(json_object_get(s->file, "cases"), which);
        if (object && s->network)
            json_object_set_new(s->map.options, "method", json_string(which));
        if (object)
            RV_TRY(run_case(s, which, object, err));
    }
    s->result->pass = s->result->count > 0 && s->result->worst <= s->result->tolerance;
    return RV_OK;
}

rv_status rv_verify_file(const char *path, double tolerance, rv_verify_result *result, rv_error *err)
{
    memset(result, 0, sizeof *result);
    session s = {.path = path, .result = result};
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
