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

static void print_rows(const rv_optimizer_row *rows, int count)
{
    static const char *const heads[] = {"tensor", "role", "shape", "method", "lr", "weight_decay", "state"};
    static const bool right[] = {false, false, false, false, true, true, true};
    rv_table *table = rv_table_new(7, heads, right);
    rv_text text = {0};
    for (int i = 0; i < count && table; i++) {
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
    if (table)
        rv_table_print(table, &text, false);
    fputs(text.data ? text.data : "", stdout);
    rv_text_release(&text);
    rv_table_free(table);
}

static int print_rows_json(const rv_optimizer_row *rows, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (int k = 0; k < rows[i].shape.rank; k++)
            json_array_append_new(shape, json_integer(rows[i].shape.dim[k]));
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:o,s:s,s:o,s:o,s:I}", "tensor", rows[i].tensor, "role", rows[i].role, "shape",
                            shape, "method", rows[i].method, "lr", rv_json_from_real(rows[i].lr), "weight_decay",
                            rv_json_from_real(rows[i].weight_decay), "state_bytes", (json_int_t)rows[i].bytes));
    }
    return cli_print_json(list);
}

static int print_optimizer(const rv_optimizer *optimizer, bool json)
{
    int count = rv_optimizer_rows(optimizer, NULL, 0), status = EXIT_DONE;
    rv_optimizer_row *rows = calloc((size_t)count + 1, sizeof *rows);
    if (!rows)
        return cli_print_json(NULL);
    rv_optimizer_rows(optimizer, rows, count);
    if (json)
        status = print_rows_json(rows, count);
    else
        print_rows(rows, count);
    free(rows);
    return status;
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
    const json_t *around = json_object_get(config, "wrappers");
    char *wrappers = json_is_array(around) ? rv_json_text(around, 0) : NULL;
    void *w = calloc((size_t)objective->layout->size, rv_dtype_size(objective->dtype));
    rv_optimizer_options options = {
        .method = json_string_value(json_object_get(config, "optimizer")), .params = params,
        .rules = rules, .wrappers = wrappers, .dtype = objective->dtype};
    rv_status status = w ? rv_optimizer_new_flat(out, &options, objective->layout, w, err)
                         : rv_fail(err, RV_E_MEMORY, "no memory");
    free(params);
    free(rules);
    free(wrappers);
    free(w);
    return status;
}

int rules_print(const char *resolved, const char *data, bool json)
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
    int code = status == RV_OK ? print_optimizer(optimizer, json) : cli_error(&err);
    rv_optimizer_free(optimizer);
    rv_objective_free(objective);
    json_decref(config);
    return code;
}
