/* Restarts: from a step on the initial weights are trained again with another setting, as tuning
 * methods do that try settings one after another.  Invariant: what runs at step k is a function
 * of k and the configuration, so that a stopped run resumes in the right part. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trial/draft.h"
#include "trial/loop.h"

int rv_config_merge(json_t *config, json_t *part)
{
    static const char *const of_method[] = {"optimizer_params", "optimizer_rules", "wrappers", "schedules"};
    for (size_t i = 0; json_object_get(part, "optimizer") && i < sizeof of_method / sizeof of_method[0]; i++)
        json_object_del(config, of_method[i]);
    if (json_object_get(part, "schedule"))
        json_object_del(config, "schedule_params");
    return json_object_update_recursive(config, part);
}

/* ---- configuration -------------------------------------------------------------------- */

static const char *const keys[] = {"at", "optimizer", "optimizer_params", "optimizer_rules", "wrappers",
                                   "schedules", "schedule", "schedule_params", "train"};
static const char *const train_keys[] = {"horizon", "clip"};
#define COUNT(list) (int)(sizeof list / sizeof list[0])

static rv_status check_keys(const json_t *object, const char *what, const char *const *names, int count, rv_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        int i = 0;
        while (i < count && strcmp(names[i], key) != 0)
            i++;
        if (i == count)
            return rv_draft_unknown(what, key, names, count, err);
    }
    return RV_OK;
}

static rv_status check_restart(const json_t *given, int64_t after, int64_t *at, rv_error *err)
{
    const json_t *step = json_object_get(given, "at");
    if (!json_is_object(given) || !json_is_number(step))
        return rv_fail(err, RV_E_ARGUMENT, "configuration: a restart must be an object with a step \"at\"");
    const double number = json_number_value(step);
    if (!(number > (double)after && number <= 1e15 && number == floor(number)))
        return rv_fail(err, RV_E_RANGE, "configuration: restart at %g: expected a whole step after %lld", number,
                       (long long)after);
    *at = (int64_t)number;
    RV_TRY(check_keys(given, "key of a restart", keys, COUNT(keys), err));
    return check_keys(json_object_get(given, "train"), "training option of a restart", train_keys, COUNT(train_keys), err);
}

/* whole with given over it, as a configuration of its own. */
static rv_status resolve_restart(rv_restart *r, const json_t *given, const json_t *whole, rv_error *err)
{
    json_t *base = json_deep_copy(whole), *part = json_deep_copy(given);
    bool made = base != NULL && part != NULL;
    if (made) {
        json_object_del(part, "at");
        made = rv_config_merge(base, part) == 0;
    }
    char *text = made ? rv_json_text(base, 0) : NULL;
    json_decref(base);
    json_decref(part);
    rv_status status = text == NULL ? rv_draft_no_memory(err) : rv_config_resolve(&r->config, text, false, NULL, 0, err);
    free(text);
    return status == RV_OK ? RV_OK : rv_fail_prefix(err, status, "restart at %lld", (long long)r->at);
}

/* The keys that a restart may set, of a resolved configuration. */
static json_t *excerpt(const rv_restart *r)
{
    json_t *all = json_loads(r->config.text, 0, NULL), *out = json_pack("{s:I}", keys[0], (json_int_t)r->at);
    int failed = all == NULL || out == NULL;
    for (int i = 1; i < COUNT(keys) - 1; i++)
        if (json_object_get(all, keys[i]) != NULL)
            failed |= json_object_set(out, keys[i], json_object_get(all, keys[i]));
    json_t *train = json_object();
    for (int i = 0; i < COUNT(train_keys); i++)
        failed |= json_object_set(train, train_keys[i], json_object_get(json_object_get(all, "train"), train_keys[i]));
    failed |= json_object_set_new(out, "train", train);
    json_decref(all);
    if (failed) {
        json_decref(out);
        return NULL;
    }
    return out;
}

rv_status rv_draft_restarts(rv_draft *d, const json_t *restarts, json_t *whole, rv_error *err)
{
    rv_config *c = d->config;
    const size_t count = json_array_size(restarts);
    if (count == 0)
        return RV_OK;
    json_t *list = json_array();
    c->restart = calloc(count, sizeof *c->restart);
    if (c->restart == NULL || json_object_set_new(whole, "restarts", list) != 0)
        return rv_draft_no_memory(err);
    json_t *base = json_deep_copy(whole);
    json_object_del(base, "restarts");
    rv_status status = RV_OK;
    for (size_t i = 0; i < count && status == RV_OK; i++) {
        rv_restart *r = &c->restart[i];
        const json_t *given = json_array_get(restarts, i);
        status = check_restart(given, i == 0 ? 0 : c->restart[i - 1].at, &r->at, err);
        c->restart_count++;
        if (status == RV_OK)
            status = resolve_restart(r, given, base, err);
        if (status == RV_OK && json_array_append_new(list, excerpt(r)) != 0)
            status = rv_draft_no_memory(err);
    }
    json_decref(base);
    return status;
}

void rv_restarts_release(rv_config *config)
{
    for (int i = 0; i < config->restart_count; i++)
        rv_config_release(&config->restart[i].config);
    free(config->restart);
}

/* ---- the run -------------------------------------------------------------------------- */

/* Room for factor sums where the optimizer looks at those of the step's own pass, as it does in its first
 * step, or may look at those of several micro-batches; it stays for later parts. */
static rv_status reserve_factors(rv_loop *t, rv_error *err)
{
    const size_t bytes = rv_loop_factor_bytes(t);
    const bool several = t->config->train.accumulate > 1 && rv_optimizer_wants_closure(t->optimizer);
    if (t->factors.base != NULL || bytes == 0 || !(several || rv_optimizer_wants_factors(t->optimizer)))
        return RV_OK;
    return rv_arena_init(&t->factors, 2 * bytes, err);
}

static rv_status make_optimizer(rv_loop *t, rv_error *err)
{
    const rv_config *c = t->part_config;
    rv_optimizer_options options = {.method = c->optimizer,
                                    .params = c->optimizer_params,
                                    .rules = c->optimizer_rules,
                                    .wrappers = c->wrappers,
                                    .state_dtype = rv_config_state_dtype(t->config),
                                    .dtype = t->objective->dtype,
                                    .pool = t->pool,
                                    .seed = (uint64_t)t->config->train.seed};
    rv_optimizer_free(t->optimizer);
    t->optimizer = NULL;
    RV_TRY(rv_optimizer_new_flat(&t->optimizer, &options, t->objective->layout, t->w, err));
    t->snapshot.optimizer = t->optimizer;
    return reserve_factors(t, err);
}

/* The restarts that were made before the step that leads to `step`. */
static int restarts_before(const rv_config *c, int64_t step)
{
    int count = 0;
    while (count < c->restart_count && c->restart[count].at < step)
        count++;
    return count;
}

/* Part 0 begins the run; part i is restart i - 1. */
static rv_status enter(rv_loop *t, int part, rv_error *err)
{
    const rv_config *c = t->config;
    if (part == t->part_number && t->optimizer != NULL)
        return RV_OK;
    t->part_number = part;
    t->part_config = part == 0 ? c : &c->restart[part - 1].config;
    t->part_start = part == 0 ? 0 : c->restart[part - 1].at;
    return make_optimizer(t, err);
}

rv_status rv_loop_enter(void *loop, int64_t step, rv_error *err)
{
    rv_loop *t = loop;
    return enter(t, restarts_before(t->config, step), err);
}

rv_status rv_loop_restart(rv_loop *t, rv_error *err)
{
    const rv_config *c = t->config;
    if (t->part_number == c->restart_count || c->restart[t->part_number].at != t->tally.step)
        return RV_OK;
    RV_TRY(rv_objective_init(t->objective, (uint64_t)c->train.seed, t->w, err));
    return enter(t, t->part_number + 1, err);
}

int64_t rv_loop_horizon(const rv_loop *t)
{
    const rv_train_params *p = &t->part_config->train;
    const rv_config *c = t->config;
    if (p->horizon > 0)
        return p->horizon;
    const int64_t end = t->part_number < c->restart_count ? c->restart[t->part_number].at : c->train.steps;
    return end < c->train.steps ? end - t->part_start : c->train.steps - t->part_start;
}
