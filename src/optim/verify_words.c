/* What references write, in our words.  Invariant: nothing is guessed; a value that is not
 * in verify_words.def is left to the mapping by name, which refuses what is not known. */
#include "optim/verify_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct word {
    const char *optimizer, *key, *value, *params; /* value "*": any */
} word;

static const word words[] = {
#define RV_WORD(optimizer, key, value, params) {optimizer, key, value, params},
#define RV_START(optimizer, key, slot) {optimizer, key, "*", "{}"},
#define RV_APART(optimizer, key, value, tensor)
#include "optim/verify_words.def"
#undef RV_WORD
#undef RV_START
#undef RV_APART
};

typedef struct start {
    const char *optimizer, *key, *slot;
} start;

static const start starts[] = {
#define RV_WORD(optimizer, key, value, params)
#define RV_START(optimizer, key, slot) {optimizer, key, slot},
#define RV_APART(optimizer, key, value, tensor)
#include "optim/verify_words.def"
#undef RV_WORD
#undef RV_START
#undef RV_APART
};

/* The field params is the tensor here. */
static const word aparts[] = {
#define RV_WORD(optimizer, key, value, params)
#define RV_START(optimizer, key, slot)
#define RV_APART(optimizer, key, value, tensor) {optimizer, key, value, tensor},
#include "optim/verify_words.def"
#undef RV_WORD
#undef RV_START
#undef RV_APART
};

/* A text of the table is the beginning of what the reference says: some explain at length. */
static bool means(const char *text, const json_t *value)
{
    if (strcmp(text, "*") == 0)
        return true;
    json_t *expected = NULL;
    if (rv_json_parse(text, strlen(text), "verify_words.def", &expected, NULL) != RV_OK)
        return false;
    bool same = json_equal(expected, value) != 0;
    if (json_is_string(expected) && json_is_string(value)) {
        const char *short_text = json_string_value(expected);
        same = strncmp(short_text, json_string_value(value), strlen(short_text)) == 0;
    }
    json_decref(expected);
    return same;
}

bool rv_verify_word(const char *optimizer, const char *key, const json_t *value, json_t *options)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const word *w = &words[i];
        if (strcmp(w->optimizer, optimizer) != 0 || strcmp(w->key, key) != 0 || !means(w->value, value))
            continue;
        json_t *params = NULL;
        if (rv_json_parse(w->params, strlen(w->params), "verify_words.def", &params, NULL) != RV_OK)
            return false;
        json_object_update(options, params);
        json_decref(params);
        return true;
    }
    return false;
}

/* {tensor: [numbers]} into the arrays called slot.tensor. */
static rv_status fill(const rv_array *arrays, int count, const char *slot, const json_t *numbers, rv_error *err)
{
    const char *tensor;
    json_t *list;
    json_object_foreach((json_t *)(uintptr_t)numbers, tensor, list)
    {
        char name[2 * RV_NAME_SIZE];
        snprintf(name, sizeof name, "%.60s.%.60s", slot, tensor);
        int i = 0;
        while (i < count && strcmp(arrays[i].name, name) != 0)
            i++;
        if (i == count || rv_shape_size(&arrays[i].shape) != (int64_t)json_array_size(list))
            return rv_fail(err, RV_E_FORMAT, "initial state '%s': expected the %zu numbers of one of our arrays", name,
                           json_array_size(list));
        for (size_t k = 0; k < json_array_size(list); k++)
            ((double *)arrays[i].data)[k] = json_number_value(json_array_get(list, k));
    }
    return RV_OK;
}

rv_status rv_verify_initial_state(const char *optimizer, const json_t *hyper, rv_optimizer *o, rv_error *err)
{
    rv_status status = RV_OK;
    const int count = rv_optimizer_state(o, NULL, 0);
    rv_array *arrays = calloc((size_t)count + 1, sizeof *arrays);
    if (!arrays)
        return rv_fail(err, RV_E_MEMORY, "verify: out of memory");
    rv_optimizer_state(o, arrays, count);
    for (size_t i = 0; i < sizeof starts / sizeof starts[0] && status == RV_OK; i++)
        if (strcmp(starts[i].optimizer, optimizer) == 0 && json_object_get(hyper, starts[i].key))
            status = fill(arrays, count, starts[i].slot, json_object_get(hyper, starts[i].key), err);
    free(arrays);
    return status;
}

bool rv_verify_apart(const char *optimizer, const json_t *hyper, const char *tensor)
{
    for (size_t i = 0; i < sizeof aparts / sizeof aparts[0]; i++) {
        const json_t *value = json_object_get(hyper, aparts[i].key);
        if (value && strcmp(aparts[i].optimizer, optimizer) == 0 && strcmp(aparts[i].params, tensor) == 0 &&
            means(aparts[i].value, value))
            return true;
    }
    return false;
}
