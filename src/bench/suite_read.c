/* Reading a suite: problems, optimizers, submissions, ruleset, studies.  Invariant: what the plan
 * then works with has been checked here, and plan->suite alone repeats it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/keys.h"
#include "bench/plan.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/score.h"

rv_status rv_plan_need(const void *pointer, rv_error *err)
{
    return pointer ? RV_OK : rv_fail(err, RV_E_MEMORY, "suite: no memory for the plan");
}

/* ---- lists and labels ------------------------------------------------------- */

static rv_status list_of(const json_t *suite, const char *key, json_t **list, rv_error *err)
{
    *list = json_object_get(suite, key);
    if (!json_is_array(*list) || json_array_size(*list) == 0)
        return rv_fail(err, RV_E_FORMAT, "suite: '%s' must be a list with at least one entry", key);
    return RV_OK;
}

static rv_status text_of(const json_t *entry, const char *where, size_t i, const char *key, const char **text,
                         rv_error *err)
{
    *text = json_string_value(json_object_get(entry, key));
    if (!*text)
        return rv_fail(err, RV_E_FORMAT, "suite: %s %zu has no text '%s'", where, i, key);
    return RV_OK;
}

static rv_status check_labels(const char *const *labels, int count, const char *where, rv_error *err)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < i; k++)
            if (strcmp(labels[i], labels[k]) == 0)
                return rv_fail(err, RV_E_ARGUMENT, "suite: two %s are called '%s'", where, labels[i]);
    return RV_OK;
}

/* Calls each for every name of "a,b,c". */
static rv_status each_name(const char *names, rv_status (*each)(void *context, const char *name, rv_error *err),
                           void *context, rv_error *err)
{
    for (const char *p = names; p;) {
        const char *end = strchr(p, ',');
        char name[1024];
        snprintf(name, sizeof name, "%.*s", (int)(end ? end - p : (ptrdiff_t)strlen(p)), p);
        RV_TRY(each(context, name, err));
        p = end ? end + 1 : NULL;
    }
    return RV_OK;
}

/* ---- which optimizers -------------------------------------------------------- */

static const char *label_of(const json_t *entry)
{
    const char *label = json_string_value(json_object_get(entry, "label"));
    return label ? label : json_string_value(json_object_get(entry, "name"));
}

typedef struct keeper {
    json_t *lists[2]; /* optimizers, submissions; NULL: none */
    json_t *kept;     /* object of labels */
} keeper;

static rv_status keep_name(void *context, const char *name, rv_error *err)
{
    keeper *k = context;
    const char *known[256]; /* that may be meant */
    size_t i;
    json_t *entry;
    int count = 0;
    for (int l = 0; l < 2; l++)
        json_array_foreach(k->lists[l], i, entry)
        {
            const char *label = label_of(entry);
            if (label && strcmp(label, name) == 0)
                return json_object_set_new(k->kept, name, json_true()) == 0 ? RV_OK : rv_plan_need(NULL, err);
            if (label && count < (int)(sizeof known / sizeof known[0]))
                known[count++] = label;
        }
    const char *near = rv_text_nearest(name, known, count);
    return rv_fail(err, RV_E_UNKNOWN, "the suite has no optimizer '%s'%s%s%s", name, near ? "; did you mean '" : "",
                   near ? near : "", near ? "'?" : "");
}

/* Every name asked for must be a label of the suite. */
static rv_status keep_optimizers(keeper *k, const char *names, rv_error *err)
{
    k->kept = json_object();
    rv_status status = each_name(names, keep_name, k, err);
    for (int l = 0; l < 2 && status == RV_OK; l++)
        for (size_t i = json_array_size(k->lists[l]); i-- > 0;) {
            const char *label = label_of(json_array_get(k->lists[l], i));
            if (label && !json_object_get(k->kept, label))
                json_array_remove(k->lists[l], i);
        }
    json_decref(k->kept);
    return status;
}

static rv_status add_submission(void *context, const char *name, rv_error *err)
{
    return json_array_append_new(context, json_string(name)) == 0 ? RV_OK : rv_plan_need(NULL, err);
}

/* Those of the suite, or the ones asked for in place of all it has; each is written out in full. */
static rv_status load_submissions(json_t *suite, const char *names, rv_error *err)
{
    if (names) {
        json_t *list = json_array();
        json_object_del(suite, "optimizers");
        if (json_object_set_new(suite, "submissions", list) != 0)
            return rv_plan_need(NULL, err);
        RV_TRY(each_name(names, add_submission, list, err));
    }
    json_t *list = json_object_get(suite, "submissions"), *json;
    if (list && !json_is_array(list))
        return rv_fail(err, RV_E_FORMAT, "suite: 'submissions' must be a list of names, files and objects");
    for (size_t i = 0; i < json_array_size(list); i++) {
        RV_TRY(rv_submission_json(json_array_get(list, i), &json, err));
        if (json_array_set_new(list, i, json) != 0)
            return rv_plan_need(NULL, err);
    }
    return RV_OK;
}

/* ---- ruleset and studies ------------------------------------------------------- */

/* "external" and "self" are short for the house's own; a suite without a ruleset ranks one setting
 * per problem, as "ravine" says. */
static rv_status read_ruleset(rv_plan *plan, const char *asked, rv_error *err)
{
    const json_t *value = json_object_get(plan->suite, "ruleset");
    const char *name = asked ? asked : json_string_value(value);
    if (!asked && value && !name)
        return rv_fail(err, RV_E_FORMAT, "suite: 'ruleset' must be the name of a ruleset or of its file");
    plan->strict = name != NULL;
    if (name && (strcmp(name, "external") == 0 || strcmp(name, "self") == 0))
        name = name[0] == 'e' ? "ravine-external" : "ravine-self";
    RV_TRY(rv_ruleset_load(&plan->ruleset, name ? name : "ravine", err));
    if (name && json_object_set_new(plan->suite, "ruleset", json_string(name)) != 0)
        return rv_plan_need(NULL, err);
    return RV_OK;
}

/* The seeds of the suite, else as many as it has studies, else as many as the ruleset has. */
static rv_status read_studies(rv_plan *plan, int asked, rv_error *err)
{
    const json_t *search = json_object_get(plan->suite, "search_seed");
    if (search && (!json_is_integer(search) || json_integer_value(search) < 0 || json_integer_value(search) > UINT32_MAX))
        return rv_fail(err, RV_E_FORMAT, "suite: 'search_seed' must be a whole number from 0 to %u", UINT32_MAX);
    json_t *seeds = json_object_get(plan->suite, "seeds"), *studies = json_object_get(plan->suite, "studies");
    if (studies && (!json_is_integer(studies) || json_integer_value(studies) < 1 || json_integer_value(studies) > 10000))
        return rv_fail(err, RV_E_FORMAT, "suite: 'studies' must be a whole number from 1 to 10000");
    if (asked > 0 || !seeds) {
        int count = asked > 0 ? asked : studies ? (int)json_integer_value(studies) : plan->ruleset->studies;
        seeds = json_array();
        for (int s = 0; s < count; s++)
            json_array_append_new(seeds, json_integer(s));
        json_object_del(plan->suite, "studies");
        if (json_object_set_new(plan->suite, "seeds", seeds) != 0)
            return rv_plan_need(NULL, err);
    } else if (studies) { /* both are given */
        return rv_fail(err, RV_E_FORMAT, "suite: 'studies' and 'seeds' say the same; expected one of them");
    }
    RV_TRY(list_of(plan->suite, "seeds", &seeds, err));
    plan->seeds = (int)json_array_size(seeds);
    for (size_t i = 0; i < (size_t)plan->seeds; i++) {
        if (!json_is_integer(json_array_get(seeds, i)))
            return rv_fail(err, RV_E_FORMAT, "suite: seed %zu is not an integer", i);
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_array_get(seeds, i), json_array_get(seeds, k)))
                return rv_fail(err, RV_E_ARGUMENT, "suite: seed %lld is there twice",
                               (long long)json_integer_value(json_array_get(seeds, i)));
    }
    return RV_OK;
}

/* ---- problems -------------------------------------------------------------------- */

/* The budget of the problem itself: its configuration over the workload's recipe. */
static rv_status read_budget(rv_plan_problem *problem, const json_t *entry, rv_error *err)
{
    static const char *const keys[] = {"workload_params", "train"}; /* the rest is for its optimizer */
    json_t *config = json_pack("{s:s}", "workload", problem->workload), *resolved = NULL;
    for (int i = 0; i < 2; i++)
        json_object_set(config, keys[i], json_object_get(json_object_get(entry, "config"), keys[i]));
    char *partial = rv_json_text(config, 0), *text = NULL;
    json_decref(config);
    RV_TRY(rv_plan_need(partial, err));
    rv_status status = rv_trial_resolve(partial, NULL, 0, &text, err);
    free(partial);
    if (status == RV_OK)
        status = rv_json_parse(text, strlen(text), "configuration", &resolved, err);
    free(text);
    if (status != RV_OK)
        return rv_fail_prefix(err, status, "suite: problem '%s'", problem->label);
    rv_train_params train;
    rv_params_init(rv_train_table(), &train);
    const json_t *own = json_object_get(resolved, "train");
    if (own)
        status = rv_params_from_json(rv_train_table(), &train, own, err);
    json_decref(resolved);
    problem->steps = train.steps;
    problem->batch = train.batch;
    problem->eval_every = train.eval_every;
    problem->seconds = train.seconds;
    return status == RV_OK ? RV_OK : rv_fail_prefix(err, status, "suite: problem '%s'", problem->label);
}

/* What the ruleset states about the problem holds, but for a target or a budget of the problem's own. */
static rv_status apply_ruleset(const rv_ruleset *ruleset, rv_plan_problem *problem, rv_error *err)
{
    int w = rv_ruleset_find(ruleset, problem->label);
    if (ruleset->workload_count == 0)
        return RV_OK;
    if (w < 0)
        return rv_fail(err, RV_E_UNKNOWN, "suite: problem '%s' is no workload of the ruleset '%s'", problem->label,
                       ruleset->name);
    const rv_ruleset_workload *stated = &ruleset->workloads[w];
    if (!isfinite(problem->target))
        problem->target = stated->target;
    if (problem->seconds <= 0 && stated->budget > 0)
        problem->seconds = stated->budget / ruleset->budget_factor;
    return RV_OK;
}

static rv_status read_problem(rv_plan *plan, rv_plan_problem *problem, const json_t *entry, rv_error *err)
{
    static const char *const keys[] = {"label", "workload", "title", "target", "config", "stands_for"};
    char where[160];
    snprintf(where, sizeof where, "suite: problem '%.100s'", problem->label);
    RV_TRY(rv_keys_check(entry, keys, sizeof keys / sizeof keys[0], where, err));
    const char *stands_for = json_string_value(json_object_get(entry, "stands_for"));
    problem->stands_for = stands_for ? stands_for : problem->label;
    problem->registered = rv_workload_find(problem->workload);
    if (!problem->registered)
        return rv_fail(err, RV_E_UNKNOWN, "suite: problem '%s': no workload '%s'", problem->label, problem->workload);
    problem->title = problem->registered->title;
    problem->metric = problem->registered->metric;
    problem->maximize = problem->registered->maximize;
    problem->target = rv_json_real(entry, "target", NAN);
    RV_TRY(read_budget(problem, entry, err));
    RV_TRY(apply_ruleset(plan->ruleset, problem, err));
    if (!isfinite(problem->target))
        return rv_fail(err, RV_E_FORMAT, "suite: problem '%s' has no finite number 'target'", problem->label);
    return RV_OK;
}

static rv_status read_problems(rv_plan *plan, const json_t *list, rv_error *err)
{
    plan->problems = (int)json_array_size(list);
    plan->problem = calloc((size_t)plan->problems, sizeof *plan->problem);
    const char **labels = calloc((size_t)plan->problems, sizeof *labels);
    rv_status status = rv_plan_need(plan->problem && labels ? labels : NULL, err);
    for (int i = 0; i < plan->problems && status == RV_OK; i++) {
        const json_t *entry = json_array_get(list, (size_t)i);
        rv_plan_problem *problem = &plan->problem[i];
        status = text_of(entry, "problems", (size_t)i, "label", &problem->label, err);
        labels[i] = problem->label;
        if (status == RV_OK)
            status = text_of(entry, "problems", (size_t)i, "workload", &problem->workload, err);
        if (status == RV_OK)
            status = read_problem(plan, problem, entry, err);
    }
    if (status == RV_OK)
        status = check_labels(labels, plan->problems, "problems", err);
    free(labels);
    return status;
}

/* ---- optimizers and submissions ------------------------------------------------------ */

/* The keys of an optimizer's entry, and of what it says about single problems. */
static rv_status check_optimizer(const rv_plan *plan, const json_t *json, const char *where, rv_error *err)
{
    static const char *const keys[] = {"optimizer", "optimizer_params", "optimizer_rules", "wrappers", "schedule",
                                       "schedule_params", "schedules", "train", "grid", "label", "title", "problems",
                                       "search_space", "sampler"};
    enum { ALL = (int)(sizeof keys / sizeof keys[0]), OF_A_PROBLEM = 9, NAMES = 256 };
    const char *labels[NAMES], *label;
    json_t *own;
    int count = 0;
    RV_TRY(rv_keys_check(json, keys, ALL, where, err));
    for (; count < plan->problems && count < NAMES; count++)
        labels[count] = plan->problem[count].label;
    json_t *list = json_object_get(json, "problems");
    if (list && plan->problems <= NAMES)
        RV_TRY(rv_keys_check(list, labels, count, where, err));
    json_object_foreach(list, label, own)
        RV_TRY(rv_keys_check(own, keys, OF_A_PROBLEM, where, err));
    return RV_OK;
}

static rv_status read_optimizer(rv_plan *plan, int at, const json_t *json, size_t i, rv_error *err)
{
    rv_plan_entry *entry = &plan->entry[at];
    char source[160];
    entry->json = json;
    RV_TRY(text_of(json, "optimizers", i, "label", &plan->optimizer[at], err));
    snprintf(source, sizeof source, "suite: optimizer '%.100s'", plan->optimizer[at]);
    RV_TRY(check_optimizer(plan, json, source, err));
    json_t *space = json_object_get(json, "search_space");
    if (!space)
        return RV_OK;
    if (json_object_get(json, "grid"))
        return rv_fail(err, RV_E_FORMAT, "%s has a grid and a search space; expected one of them", source);
    const char *sampler = json_string_value(json_object_get(json, "sampler"));
    entry->has_space = true;
    RV_TRY(rv_space_read(&entry->space, space, source, err));
    rv_status status = rv_point_sampler_find(sampler ? sampler : "halton", &entry->sampler, err);
    return status == RV_OK ? RV_OK : rv_fail_prefix(err, status, "%s", source);
}

static rv_status read_submission(rv_plan *plan, int at, json_t *json, size_t i, rv_error *err)
{
    static const char *const tunings[] = {"external tuning", "self-tuning"};
    rv_plan_entry *entry = &plan->entry[at];
    const char *name = json_string_value(json_object_get(json, "name"));
    char source[160];
    if (name)
        snprintf(source, sizeof source, "submission '%.100s'", name);
    else
        snprintf(source, sizeof source, "submission %zu", i + 1);
    entry->json = json;
    entry->submission = true;
    RV_TRY(rv_entrant_read(&entry->entrant, json, source, err));
    plan->optimizer[at] = entry->entrant.name;
    entry->sampler = entry->entrant.sampler;
    entry->has_space = entry->entrant.has_space;
    if (plan->strict && entry->entrant.self_tuning != plan->ruleset->self_tuning)
        return rv_fail(err, RV_E_ARGUMENT, "%s is for %s; the ruleset '%s' is for %s", source,
                       tunings[entry->entrant.self_tuning], plan->ruleset->name, tunings[plan->ruleset->self_tuning]);
    return RV_OK;
}

static rv_status read_entries(rv_plan *plan, json_t *optimizers, json_t *submissions, rv_error *err)
{
    size_t n = json_array_size(optimizers), m = json_array_size(submissions);
    if (n + m == 0)
        return rv_fail(err, RV_E_FORMAT, "suite: 'optimizers' or 'submissions' must be a list with at least one entry");
    plan->optimizer = calloc(n + m, sizeof *plan->optimizer);
    plan->entry = calloc(n + m, sizeof *plan->entry);
    RV_TRY(rv_plan_need(plan->optimizer && plan->entry ? plan->entry : NULL, err));
    plan->optimizers = (int)(n + m);
    for (size_t i = 0; i < n; i++)
        RV_TRY(read_optimizer(plan, (int)i, json_array_get(optimizers, i), i, err));
    for (size_t i = 0; i < m; i++)
        RV_TRY(read_submission(plan, (int)(n + i), json_array_get(submissions, i), i, err));
    return check_labels(plan->optimizer, plan->optimizers, "optimizers", err);
}

rv_status rv_suite_read(rv_plan *plan, const char *text, const rv_bench_options *options, rv_error *err)
{
    static const char *const keys[] = {"name", "title", "problems", "optimizers", "submissions", "ruleset",
                                       "seeds", "studies", "search_seed"};
    json_t *problems;
    RV_TRY(rv_json_parse(text, strlen(text), "suite", &plan->suite, err));
    RV_TRY(rv_keys_check(plan->suite, keys, sizeof keys / sizeof keys[0], "suite", err));
    RV_TRY(list_of(plan->suite, "problems", &problems, err));
    RV_TRY(load_submissions(plan->suite, options->submissions, err));
    json_t *optimizers = json_object_get(plan->suite, "optimizers");
    keeper k = {.lists = {optimizers, json_object_get(plan->suite, "submissions")}};
    if (options->optimizers)
        RV_TRY(keep_optimizers(&k, options->optimizers, err));
    RV_TRY(read_ruleset(plan, options->ruleset, err));
    RV_TRY(read_studies(plan, options->studies, err));
    RV_TRY(read_problems(plan, problems, err));
    return read_entries(plan, k.lists[0], k.lists[1], err);
}
