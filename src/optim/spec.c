/* Reading lists of NAME(PARAMS).  Invariant: what comes out has a name and parameters in
 * every entry, whatever form it was written in. */
#include "optim/spec.h"

#include <string.h>

const char *rv_spec_item_end(const char *text)
{
    int depth = 0;
    for (; *text && (*text != ',' || depth > 0); text++) {
        depth += (*text == '(') - (*text == ')');
        if (depth < 0)
            return NULL;
    }
    return depth == 0 ? text : NULL;
}

static rv_status put_item(const char *text, size_t n, const char *what, json_t *list, rv_error *err)
{
    while (n > 0 && strchr(" \t\n", *text))
        text++, n--;
    while (n > 0 && strchr(" \t\n", text[n - 1]))
        n--;
    const char *open = memchr(text, '(', n);
    size_t name = open ? (size_t)(open - text) : n;
    if (open && text[n - 1] != ')')
        return rv_fail(err, RV_E_ARGUMENT, "%s: expected NAME(PARAMETERS), found '%.*s'", what, (int)n, text);
    const char *params = open ? open + 1 : "";
    const size_t params_size = open ? n - name - 2 : 0;
    while (name > 0 && strchr(" \t\n", text[name - 1]))
        name--;
    if (name == 0)
        return rv_fail(err, RV_E_ARGUMENT, "%s: an item has no name", what);
    json_t *item = json_pack("{s:s%, s:s%}", "name", text, name, "params", params, params_size);
    return item && json_array_append_new(list, item) == 0 ? RV_OK : rv_fail(err, RV_E_MEMORY, "%s: out of memory", what);
}

static rv_status put_text(const char *text, const char *what, json_t *list, rv_error *err)
{
    while (text[strspn(text, " \t\n")]) {
        const char *end = rv_spec_item_end(text);
        if (!end)
            return rv_fail(err, RV_E_ARGUMENT, "%s: parentheses do not match in '%s'", what, text);
        RV_TRY(put_item(text, (size_t)(end - text), what, list, err));
        text = *end ? end + 1 : end;
    }
    return RV_OK;
}

static rv_status put_object(const json_t *object, const char *what, json_t *list, rv_error *err)
{
    const char *key;
    json_t *value, *params = json_object_get(object, "params");
    if (!json_is_string(json_object_get(object, "name")))
        return rv_fail(err, RV_E_ARGUMENT, "%s: expected NAME(PARAMETERS) or an object with \"name\"", what);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
        if (strcmp(key, "name") != 0 && strcmp(key, "params") != 0)
            return rv_fail(err, RV_E_UNKNOWN, "%s: an item has \"name\" and \"params\", not '%s'", what, key);
    if (params && !json_is_object(params) && !json_is_string(params))
        return rv_fail(err, RV_E_ARGUMENT, "%s: params must be an object or \"name=value,...\"", what);
    json_t *item = json_pack("{s:O, s:o}", "name", json_object_get(object, "name"), "params",
                             params ? json_incref(params) : json_string(""));
    return item && json_array_append_new(list, item) == 0 ? RV_OK : rv_fail(err, RV_E_MEMORY, "%s: out of memory", what);
}

static rv_status put_list(const json_t *given, const char *what, json_t *list, rv_error *err)
{
    if (!json_is_array(given))
        return rv_fail(err, RV_E_ARGUMENT, "%s: expected a list", what);
    for (size_t i = 0; i < json_array_size(given); i++) {
        const json_t *item = json_array_get(given, i);
        if (json_is_string(item))
            RV_TRY(put_text(json_string_value(item), what, list, err));
        else
            RV_TRY(put_object(item, what, list, err));
    }
    return RV_OK;
}

rv_status rv_spec_parse(const char *text, const char *what, json_t **out, rv_error *err)
{
    json_t *given = NULL, *list = json_array();
    *out = NULL;
    if (!list)
        return rv_fail(err, RV_E_MEMORY, "%s: out of memory", what);
    rv_status status = RV_OK;
    if (text[strspn(text, " \t\n")] == '[') {
        status = rv_json_parse(text, strlen(text), what, &given, err);
        if (status == RV_OK)
            status = put_list(given, what, list, err);
        json_decref(given);
    } else {
        status = put_text(text, what, list, err);
    }
    if (status != RV_OK)
        json_decref(list);
    else
        *out = list;
    return status;
}
