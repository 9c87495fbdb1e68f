/* JSON in and out.  Invariant: equal values give equal text, byte for byte, and a
 * number's text reads back to its bits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

static const size_t text_limit = (size_t)1 << 30;
enum { NUMBER_SIZE = 40 };

rv_status rv_json_parse(const char *text, size_t length, const char *source, json_t **out, rv_error *err)
{
    *out = NULL;
    if (length > text_limit)
        return rv_fail(err, RV_E_RANGE, "%s: %zu bytes of JSON, at most %zu are read", source, length, text_limit);
    json_error_t where;
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (*out != NULL)
        return RV_OK;
    if (json_error_code(&where) == json_error_out_of_memory)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu bytes of JSON", source, length);
    return rv_fail(err, RV_E_FORMAT, "%s: line %d, column %d: %s", source, where.line, where.column, where.text);
}

rv_status rv_json_read(const char *path, json_t **out, rv_error *err)
{
    *out = NULL;
    rv_reader reader;
    RV_TRY(rv_reader_open(&reader, path, text_limit, err));
    rv_status status = rv_json_parse((const char *)reader.data, reader.size, path, out, err);
    rv_reader_close(&reader);
    return status;
}

/* ---- text ------------------------------------------------------------------ */

static void put_string(rv_text *out, const char *bytes, size_t n)
{
    static const char hex[] = "0123456789abcdef", plain[] = "\"\\\n\t\r\b\f", escaped[] = "\"\\ntrbf";
    rv_text_put(out, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        const char *at = c == '\0' ? NULL : strchr(plain, c);
        if (at != NULL)
            rv_text_put(out, (const char[]){'\\', escaped[at - plain]}, 2);
        else if (c < 0x20)
            rv_text_put(out, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        else
            rv_text_put(out, bytes + i, 1);
    }
    rv_text_put(out, "\"", 1);
}

static void put_break(rv_text *out, int indent, int depth)
{
    if (indent > 0)
        rv_text_format(out, "\n%*s", indent * depth, "");
}

static void put_value(rv_text *out, const json_t *value, int indent, int depth);

static void put_object(rv_text *out, const json_t *value, int indent, int depth)
{
    const char *key = NULL;
    json_t *item = NULL, *object = (json_t *)(uintptr_t)value; /* jansson iterates over non-const only */
    size_t count = 0;
    rv_text_put(out, "{", 1);
    json_object_foreach (object, key, item) {
        if (count++ > 0)
            rv_text_put(out, ",", 1);
        put_break(out, indent, depth + 1);
        put_string(out, key, strlen(key));
        rv_text_put(out, ": ", indent > 0 ? 2 : 1);
        put_value(out, item, indent, depth + 1);
    }
    if (count > 0)
        put_break(out, indent, depth);
    rv_text_put(out, "}", 1);
}

static void put_array(rv_text *out, const json_t *value, int indent, int depth)
{
    rv_text_put(out, "[", 1);
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i > 0)
            rv_text_put(out, ",", 1);
        put_break(out, indent, depth + 1);
        put_value(out, json_array_get(value, i), indent, depth + 1);
    }
    if (json_array_size(value) > 0)
        put_break(out, indent, depth);
    rv_text_put(out, "]", 1);
}

static void put_value(rv_text *out, const json_t *value, int indent, int depth)
{
    char number[NUMBER_SIZE];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        put_object(out, value, indent, depth);
        break;
    case JSON_ARRAY:
        put_array(out, value, indent, depth);
        break;
    case JSON_STRING:
        put_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        rv_text_format(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        rv_json_number(json_real_value(value), number, sizeof number);
        rv_text_put(out, number, strlen(number));
        break;
    case JSON_TRUE:
        rv_text_put(out, "true", 4);
        break;
    case JSON_FALSE:
        rv_text_put(out, "false", 5);
        break;
    case JSON_NULL:
        rv_text_put(out, "null", 4);
        break;
    }
}

char *rv_json_text(const json_t *value, int indent)
{
    rv_text out = {0};
    put_value(&out, value, indent, 0);
    if (out.failed)
        rv_text_release(&out);
    return out.data;
}

/* ---- bytes ----------------------------------------------------------------- */

/* Length of the UTF-8 character at text, as Unicode's table 3-7 has them; 0: none begins here. */
static size_t character_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return 1;
    size_t n = text[0] >= 0xC2 && text[0] < 0xE0 ? 2 : (text[0] & 0xF0) == 0xE0 ? 3 : text[0] >= 0xF0 && text[0] < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xF0 && text[1] < 0x90);
    bool surrogate = text[0] == 0xED && text[1] >= 0xA0, beyond = text[0] == 0xF4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

json_t *rv_json_from_bytes(const char *bytes)
{
    rv_text text = {0};
    rv_text_put(&text, "", 0);
    while (*bytes != '\0') {
        size_t n = character_length((const unsigned char *)bytes);
        rv_text_put(&text, n > 0 ? bytes : "\xEF\xBF\xBD", n > 0 ? n : 3);
        bytes += n > 0 ? n : 1;
    }
    json_t *value = text.failed ? NULL : json_stringn(text.data, text.size);
    rv_text_release(&text);
    return value;
}

/* ---- numbers ---------------------------------------------------------------- */

json_t *rv_json_from_real(double value)
{
    if (isnan(value))
        return json_string("nan");
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}

json_t *rv_json_rounded(double value)
{
    char text[32];
    snprintf(text, sizeof text, "%.5e", value);
    return isfinite(value) ? json_real(strtod(text, NULL)) : rv_json_from_real(value);
}

double rv_json_value(const json_t *value, double fallback)
{
    double number = 0;
    if (json_is_number(value))
        return json_number_value(value);
    if (json_is_string(value) && strpbrk(json_string_value(value), "0123456789") == NULL &&
        rv_text_to_real(json_string_value(value), &number))
        return number;
    return fallback;
}

double rv_json_real(const json_t *object, const char *key, double fallback)
{
    return rv_json_value(json_object_get(object, key), fallback);
}

/* ---- parameters -------------------------------------------------------------- */

/* A value of NaN ("none") is null. */
static json_t *param_to_json(const rv_param *row, const void *values)
{
    const char *at = (const char *)values + row->offset;
    char text[RV_PARAM_TEXT_SIZE];
    double real = 0;
    int64_t integer = 0;
    bool yes = false;
    switch (row->type) {
    case RV_PARAM_REAL:
        memcpy(&real, at, sizeof real);
        return isnan(real) ? json_null() : rv_json_from_real(real);
    case RV_PARAM_INT:
        memcpy(&integer, at, sizeof integer);
        return json_integer(integer);
    case RV_PARAM_BOOL:
        memcpy(&yes, at, sizeof yes);
        return json_boolean(yes);
    default:
        rv_params_get(row, values, text, sizeof text);
        return json_string(text);
    }
}

json_t *rv_params_to_json(const rv_param_table *table, const void *values)
{
    json_t *object = json_object();
    for (size_t i = 0; object != NULL && i < table->count; i++)
        if (json_object_set_new(object, table->rows[i].name, param_to_json(&table->rows[i], values)) != 0) {
            json_decref(object);
            object = NULL;
        }
    return object;
}

static rv_status param_from_json(const rv_param_table *table, void *values, const char *name, const json_t *item,
                                 rv_error *err)
{
    const rv_param *row = rv_params_find(table, name);
    rv_param_type type = row == NULL ? RV_PARAM_TEXT : row->type; /* unknown names are refused by set */
    bool number = type == RV_PARAM_REAL || type == RV_PARAM_INT;
    if (json_is_string(item) && type != RV_PARAM_BOOL)
        return rv_params_set(table, values, name, json_string_value(item), err);
    if (row == NULL)
        return rv_params_set(table, values, name, "", err);
    if (json_is_number(item) && number)
        return rv_params_set_number(table, values, name, json_number_value(item), err);
    if (json_is_boolean(item) && type == RV_PARAM_BOOL)
        return rv_params_set(table, values, name, json_is_true(item) ? "true" : "false", err);
    if (json_is_null(item) && number)
        return rv_params_set(table, values, name, "none", err);
    char *given = rv_json_text(item, 0);
    static const char *const kinds[] = {"a number", "an integer", "true or false", "a word of its list", "text"};
    rv_status status = rv_fail(err, RV_E_ARGUMENT, "%s: %s must be %s, not %.80s", table->owner, name,
                               kinds[type], given == NULL ? "this" : given);
    free(given);
    return status;
}

rv_status rv_params_from_json(const rv_param_table *table, void *values, const json_t *object, rv_error *err)
{
    if (!json_is_object(object))
        return rv_fail(err, RV_E_ARGUMENT, "%s: the parameters must be a JSON object", table->owner);
    void *changed = malloc(table->size);
    if (changed == NULL)
        return rv_fail(err, RV_E_MEMORY, "%s: no memory for %zu bytes of parameters", table->owner, table->size);
    memcpy(changed, values, table->size);
    const char *name = NULL;
    json_t *item = NULL;
    rv_status status = RV_OK;
    json_object_foreach ((json_t *)(uintptr_t)object, name, item)
        if ((status = param_from_json(table, changed, name, item, err)) != RV_OK)
            break;
    if (status == RV_OK)
        memcpy(values, changed, table->size);
    free(changed);
    return status;
}
