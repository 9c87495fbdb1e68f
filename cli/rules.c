/* Makes the objective and its optimizer as a trial would, and prints the rules as applied. */
#include "cli/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/optim.h"
#include "ravine/trial.h"

static void print_rows(const rv_optimizer *optimizer)
{
    static const char *const heads[] = {"tensor", "role", "shape", "method", "lr", "weight_decay", "state"};
    static const bool right[] = {false, false, false, false, true, true, true};
    int count = rv_optimizer_rows(optimizer, NULL, 0);
    rv_optimizer_row *rows = calloc((size_t)count + 1, sizeof *rows);
    rv_table *table = rv_table_new(7, heads, right);
    if (rows && table) {
        rv_optimizer_rows(optimizer, rows, count);
        for (int i = 0; i < count; i++) {
            char shape[64], lr[32] = "-", decay[32] = "-", state[32];
            if (!isnan(rows[i].lr))
                rv_json_number(rows[i].lr, lr, sizeof lr);
            if (!isnan(rows[i].weight_decay))
                rv_json_number(rows[i].weight_decay, decay, sizeof decay);
            snprintf(state, sizeof state, "%zu B", rows[i].bytes);
            rv_shape_text(&rows[i].shape, shape, sizeof shape);
            const char *cells[] = {rows[i].tensor, rows[i].role, shape, rows[i].method, lr, decay, state};
            rv_table_row(table, cells);
        }
        rv_text text = {0};
        rv_table_print(table, &text, false);
        fputs(text.data ? text.data : "", stdout);
        rv_text_release(&text);
    }
    rv_table_free(table);
    free(rows);
}

static rv_status make_objective(const json_t *config, const char *data, rv_objective **out, rv_error *err)
{
    const rv_workload *workload = rv_workload_find(json_string_value(json_object_get(config, "workload")));
    void *params = malloc(workload->params->size);
    if (!params)
        return rv_fail(err, RV_E_MEMORY, "no memory");
    rv_params_init(workload->params, params);
    rv_status status =
        rv_params_from_json(workload->params, params, json_object_get(config, "workload_params"), err);
    rv_workload_env env = {.data = data, .backend = RV_BACKEND_CPU};
    if (status == RV_OK)
        status = workload->make(params, &env, out, err);
    free(params);
    return status;
}

static rv_status make_optimizer(const json_t *config, rv_objective *objective, rv_optimizer **out,
                                rv_error *err)
{
    const json_t *list = json_object_get(config, "optimizer_rules");
    char *params = rv_json_text(json_object_get(config, "optimizer_params"), 0);
    char *rules = json_is_array(list) ? rv_json_text(list, 0) : NULL;
    void *w = calloc((size_t)objective->layout->size, rv_dtype_size(objective->dtype));
    rv_optimizer_options options = {
        .method = json_string_value(json_object_get(config, "optimizer")), .params = params,
        .rules = rules, .dtype = objective->dtype};
    rv_status status = w ? rv_optimizer_new_flat(out, &options, objective->layout, w, err)
                         : rv_fail(err, RV_E_MEMORY, "no memory");
    free(params);
    free(rules);
    free(w);
    return status;
}

int rules_print(const char *resolved, const char *data)
{
    json_t *config;
    rv_objective *objective = NULL;
    rv_optimizer *optimizer = NULL;
    rv_error err;
    rv_status status = rv_json_parse(resolved, strlen(resolved), "configuration", &config, &err);
    if (status != RV_OK)
        return cli_error(&err);
    status = make_objective(config, data, &objective, &err);
    if (status == RV_OK)
        status = make_optimizer(config, objective, &optimizer, &err);
    if (status == RV_OK)
        print_rows(optimizer);
    rv_optimizer_free(optimizer);
    rv_objective_free(objective);
    json_decref(config);
    return status == RV_OK ? EXIT_DONE : cli_error(&err);
}
