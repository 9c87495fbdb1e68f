/* State out and in.  Invariant: restoring changes either everything or nothing. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "optim/optimizer.h"

static void put(rv_array *arrays, int capacity, int *at, const rv_array *array)
{
    if (*at < capacity)
        arrays[*at] = *array;
    ++*at;
}

int rv_optimizer_state(rv_optimizer *o, rv_array *arrays, int capacity)
{
    int at = 0;
    rv_array steps = {.name = "steps", .dtype = RV_F64, .data = &o->steps};
    put(arrays, capacity, &at, &steps);
    for (int k = 0; k < rv_groups_all(o); k++) {
        rv_group *group = &o->groups[k];
        const rv_method *method = group->method;
        for (int s = 0; s < method->scalar_count && group->count > 0; s++) {
            rv_array scalar = {.dtype = RV_F64, .data = &group->scalars[s]};
            snprintf(scalar.name, sizeof scalar.name, "%s.%s", group->label, method->scalars[s]);
            put(arrays, capacity, &at, &scalar);
        }
        for (int i = 0; i < group->count; i++) {
            for (int s = 0; s < method->slot_count; s++) {
                const int n = i * method->slot_count + s;
                if (group->slot_shapes[n].rank < 0)
                    continue;
                rv_array slot = {.dtype = rv_slot_dtype(o, group, s), .shape = group->slot_shapes[n], .data = group->slots[n]};
                snprintf(slot.name, sizeof slot.name, "%.30s.%.30s.%s", group->label, method->slots[s].name,
                         group->tensors[i].name);
                put(arrays, capacity, &at, &slot);
            }
        }
    }
    return at;
}

static size_t array_bytes(const rv_array *array)
{
    return (size_t)rv_shape_size(&array->shape) * rv_dtype_size(array->dtype);
}

size_t rv_optimizer_bytes(const rv_optimizer *o)
{
    size_t bytes = sizeof o->steps;
    for (int k = 0; k < rv_groups_all(o); k++) {
        const rv_group *group = &o->groups[k];
        if (group->count > 0)
            bytes += (size_t)group->method->scalar_count * sizeof group->scalars[0];
        for (int i = 0; i < group->count; i++)
            for (int s = 0; s < group->method->slot_count; s++)
                bytes += rv_slot_bytes(o, group, i, s);
    }
    return bytes;
}

static const rv_array *find(const rv_array *arrays, int count, const char *name, int guess)
{
    if (guess < count && strcmp(arrays[guess].name, name) == 0)
        return &arrays[guess];
    for (int i = 0; i < count; i++)
        if (strcmp(arrays[i].name, name) == 0)
            return &arrays[i];
    return NULL;
}

/* One line into faults when found does not fit own; returns whether it fits. */
static bool compare(const rv_array *own, const rv_array *found, rv_text *faults)
{
    char expected[96], actual[96];
    if (!found) {
        rv_text_format(faults, "; %s is missing", own->name);
        return false;
    }
    if (found->dtype != own->dtype || !rv_shape_equal(&found->shape, &own->shape)) {
        rv_text_format(faults, "; %s: expected %s %s, found %s %s", own->name, rv_dtype_name(own->dtype),
                       rv_shape_text(&own->shape, expected, sizeof expected), rv_dtype_name(found->dtype),
                       rv_shape_text(&found->shape, actual, sizeof actual));
        return false;
    }
    if (strcmp(own->name, "steps") == 0) {
        const double steps = *(const double *)found->data;
        if (!(steps >= 0 && steps < 9007199254740992.0 && floor(steps) == steps)) {
            rv_text_format(faults, "; steps: expected a whole number, found %g", steps);
            return false;
        }
    }
    return true;
}

static rv_status restore(const rv_array *own, int own_count, const rv_array *arrays, int count, rv_error *err)
{
    rv_text faults = {0};
    int wrong = 0;
    for (int i = 0; i < own_count; i++)
        wrong += !compare(&own[i], find(arrays, count, own[i].name, i), &faults);
    for (int i = 0; i < count; i++) {
        if (find(own, own_count, arrays[i].name, i))
            continue;
        rv_text_format(&faults, "; %s belongs to no tensor here", arrays[i].name);
        wrong++;
    }
    rv_status status = RV_OK;
    if (wrong > 0)
        status = rv_fail(err, RV_E_MISMATCH, "optimizer state: %d mismatches%s", wrong, faults.data ? faults.data : "");
    rv_text_release(&faults);
    for (int i = 0; i < own_count && status == RV_OK; i++)
        if (array_bytes(&own[i]) > 0)
            memcpy(own[i].data, find(arrays, count, own[i].name, i)->data, array_bytes(&own[i]));
    return status;
}

rv_status rv_optimizer_restore(rv_optimizer *o, const rv_array *arrays, int count, rv_error *err)
{
    const int own_count = rv_optimizer_state(o, NULL, 0);
    rv_array *own = calloc((size_t)own_count, sizeof *own);
    if (!own)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    rv_optimizer_state(o, own, own_count);
    const rv_status status = restore(own, own_count, arrays, count, err);
    free(own);
    return status;
}

/* ---- files ------------------------------------------------------------------ */

static rv_status write_state(const char *path, const rv_array *own, int count, const char *config, rv_error *err)
{
    json_t *object = config ? json_pack("{s:s}", "optimizer", config) : NULL;
    char *metadata = object ? rv_json_text(object, 0) : NULL;
    json_decref(object);
    const rv_status status = metadata ? rv_safetensors_write(path, own, count, metadata, err)
                                      : rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    free(metadata);
    return status;
}

rv_status rv_optimizer_save(rv_optimizer *o, const char *path, rv_error *err)
{
    const int count = rv_optimizer_state(o, NULL, 0);
    rv_array *own = calloc((size_t)count, sizeof *own);
    if (!own)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    rv_optimizer_state(o, own, count);
    char *config = rv_optimizer_config(o);
    const rv_status status = write_state(path, own, count, config, err);
    free(config);
    free(own);
    return status;
}

rv_status rv_optimizer_load(rv_optimizer *o, const char *path, rv_error *err)
{
    rv_array_set set = {0};
    RV_TRY(rv_safetensors_read(path, &set, err));
    rv_status status = rv_optimizer_restore(o, set.arrays, set.count, err);
    if (status != RV_OK)
        status = rv_fail_prefix(err, status, "%s", path);
    rv_array_set_release(&set);
    return status;
}
