/* Writing and restoring checkpoints.  Invariants: a file covers itself by a checksum over
 * metadata, names, types, shapes and bytes; saving what was loaded gives the same file. */
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/text.h"
#include "trial/checkpoint.h"
#include "trial/checkpoint_files.h"
#include "trial/folder.h"
#include "trial/hash.h"

enum { FORMAT_VERSION = 1 };
static const char optimizer_prefix[] = "o.";

/* ---- arrays -------------------------------------------------------------------- */

static rv_status no_memory(const char *path, rv_error *err)
{
    return rv_fail(err, RV_E_MEMORY, "%s: no memory for its list of arrays", path);
}

static void *element(const rv_objective *objective, const void *w, int64_t offset)
{
    return (char *)(uintptr_t)w + (size_t)offset * rv_dtype_size(objective->dtype);
}

/* The tensors of w and the running statistics; returns their number. */
static int list_weights(const rv_objective *objective, const void *w, const char *prefix, rv_array *arrays)
{
    int n = objective->layout->count;
    for (int i = 0; i < n; i++) {
        const rv_tensor *tensor = &objective->layout->tensors[i];
        arrays[i] = (rv_array){.dtype = objective->dtype, .shape = tensor->shape,
                               .data = element(objective, w, tensor->offset)};
        snprintf(arrays[i].name, sizeof arrays[i].name, "%s%s", prefix, tensor->name);
    }
    if (objective->state_size > 0) {
        arrays[n] = (rv_array){.dtype = objective->dtype, .shape = RV_SHAPE(objective->state_size),
                               .data = objective->state};
        snprintf(arrays[n++].name, sizeof arrays[0].name, "%s", RV_CHECKPOINT_STATISTICS);
    }
    return n;
}

/* Everything of a snapshot; caller frees. */
static rv_array *list_all(const rv_snapshot *s, int *count)
{
    int weights = s->objective->layout->count + 1, states = rv_optimizer_state(s->optimizer, NULL, 0);
    rv_array *arrays = calloc((size_t)(weights + states), sizeof *arrays);
    if (arrays == NULL)
        return NULL;
    int n = list_weights(s->objective, s->w, RV_CHECKPOINT_WEIGHTS, arrays);
    rv_optimizer_state(s->optimizer, arrays + n, states);
    for (int i = n; i < n + states; i++) {
        char name[sizeof arrays[i].name];
        memcpy(name, arrays[i].name, sizeof name);
        snprintf(arrays[i].name, sizeof name, "%s%.*s", optimizer_prefix, (int)sizeof name - 3, name);
    }
    *count = n + states;
    return arrays;
}

/* A sum over the arrays, so that their order in the file does not matter. */
static uint64_t checksum(const char *metadata, const rv_array *arrays, int count)
{
    uint64_t sum = rv_hash(0, metadata, strlen(metadata));
    for (int i = 0; i < count; i++) {
        const rv_array *a = &arrays[i];
        uint64_t hash = rv_hash(1, a->name, strlen(a->name));
        hash = rv_hash(hash, rv_dtype_name(a->dtype), strlen(rv_dtype_name(a->dtype)));
        hash = rv_hash(hash, a->shape.dim, (size_t)a->shape.rank * sizeof a->shape.dim[0]);
        sum += rv_hash(hash, a->data, (size_t)rv_shape_size(&a->shape) * rv_dtype_size(a->dtype));
    }
    return sum;
}

static void checksum_text(const char *metadata, const rv_array *arrays, int count, char *text, size_t size)
{
    snprintf(text, size, "%016llx", (unsigned long long)checksum(metadata, arrays, count));
}

/* ---- writing -------------------------------------------------------------------- */

static json_t *tally_json(const rv_tally *tally)
{
    char text[40];
    json_t *object = json_object();
    int failed = 0;
#define INT(name)                                                     \
    snprintf(text, sizeof text, "%lld", (long long)tally->name);      \
    failed |= json_object_set_new(object, #name, json_string(text));
#define REAL(name)                                                    \
    rv_json_number(tally->name, text, sizeof text);                   \
    failed |= json_object_set_new(object, #name, json_string(text));
    RV_TALLY_MAP(INT, REAL)
#undef INT
#undef REAL
    if (failed) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

/* What the objective is made from, so that nobody goes on or looks at the weights with other data. */
static bool put_data(json_t *meta, const rv_objective *objective)
{
    return objective->data == NULL || json_object_set_new(meta, "data", json_string(objective->data)) == 0;
}

/* The metadata with the checksum in its last place; caller frees. */
static char *metadata_text(const rv_snapshot *s, const rv_array *arrays, int count)
{
    char version[16], sum[20];
    snprintf(version, sizeof version, "%d", FORMAT_VERSION);
    json_t *meta = json_pack("{s:s, s:s, s:s}", "format", RV_CHECKPOINT_FORMAT, "version", version, "config", s->config->text);
    json_t *tally = tally_json(s->tally);
    bool whole = meta != NULL && json_object_update(meta, tally) == 0 && put_data(meta, s->objective);
    char *plain = whole ? rv_json_text(meta, 0) : NULL, *text = NULL;
    if (plain != NULL) {
        checksum_text(plain, arrays, count, sum, sizeof sum);
        if (json_object_set_new(meta, "checksum", json_string(sum)) == 0)
            text = rv_json_text(meta, 0);
    }
    free(plain);
    json_decref(tally);
    json_decref(meta);
    return text;
}

static rv_status write_in(const char *folder, const rv_snapshot *s, rv_error *err)
{
    char path[RV_PATH_SIZE];
    int count = 0;
    RV_TRY(rv_checkpoint_path(folder, s->tally->step, path, err));
    rv_array *arrays = list_all(s, &count);
    char *metadata = arrays == NULL ? NULL : metadata_text(s, arrays, count);
    rv_status status = metadata == NULL ? no_memory(path, err) : rv_safetensors_write(path, arrays, count, metadata, err);
    free(metadata);
    free(arrays);
    return status;
}

rv_status rv_checkpoint_write(rv_snapshot *s, rv_error *err)
{
    RV_TRY(write_in(s->folder, s, err));
    rv_checkpoint_prune(s->folder, s->tally->step, s->previous);
    s->previous = s->tally->step;
    return RV_OK;
}

rv_status rv_checkpoint_keep(const rv_snapshot *s, rv_error *err)
{
    return write_in(s->kept, s, err);
}

rv_status rv_weights_write(const char *path, const rv_snapshot *s, const void *w, rv_error *err)
{
    rv_array *arrays = calloc((size_t)s->objective->layout->count + 1, sizeof *arrays);
    if (arrays == NULL)
        return no_memory(path, err);
    char step[24];
    snprintf(step, sizeof step, "%lld", (long long)s->tally->step);
    int count = list_weights(s->objective, w, "", arrays);
    json_t *meta = json_pack("{s:s, s:s, s:s, s:s, s:s}", "format", RV_WEIGHTS_FORMAT, "workload",
                             s->config->workload->name, "optimizer", s->config->optimizer, "step", step, "config",
                             s->config->text);
    char *text = meta == NULL || !put_data(meta, s->objective) ? NULL : rv_json_text(meta, 0);
    rv_status status = text == NULL ? no_memory(path, err) : rv_safetensors_write(path, arrays, count, text, err);
    free(text);
    json_decref(meta);
    free(arrays);
    return status;
}

/* ---- reading --------------------------------------------------------------------- */

static rv_status check_sum(const char *path, json_t *meta, const rv_array_set *set, rv_error *err)
{
    char expected[20], found[20] = "none";
    const char *text = json_string_value(json_object_get(meta, "checksum"));
    snprintf(found, sizeof found, "%s", text == NULL ? "none" : text);
    json_object_del(meta, "checksum");
    char *plain = rv_json_text(meta, 0);
    if (plain == NULL)
        return no_memory(path, err);
    checksum_text(plain, set->arrays, set->count, expected, sizeof expected);
    free(plain);
    if (strcmp(expected, found) != 0)
        return rv_fail(err, RV_E_FORMAT, "%s: checksum %s expected, %s found", path, expected, found);
    return RV_OK;
}

/* The checksum is of the same form in every version, so it is believed first. */
static rv_status check_version(const char *path, const json_t *meta, rv_error *err)
{
    const char *format = json_string_value(json_object_get(meta, "format"));
    const char *version = json_string_value(json_object_get(meta, "version"));
    if (format == NULL || version == NULL || strcmp(format, RV_CHECKPOINT_FORMAT) != 0)
        return rv_fail(err, RV_E_MISMATCH, "%s: not a checkpoint of a trial", path);
    if (atoi(version) != FORMAT_VERSION)
        return rv_fail(err, RV_E_UNSUPPORTED, "%s: checkpoint format %.20s, this version reads %d", path, version,
                       FORMAT_VERSION);
    return RV_OK;
}

rv_status rv_checkpoint_check(const char *path, json_t *meta, const rv_array_set *set, rv_error *err)
{
    RV_TRY(check_sum(path, meta, set, err));
    return check_version(path, meta, err);
}

static bool tally_from_json(const json_t *meta, rv_tally *tally)
{
    bool whole = true;
    double number = 0;
    const char *text = NULL;
#define REAL(name)                                                    \
    text = json_string_value(json_object_get(meta, #name));           \
    whole = whole && text != NULL && rv_text_to_real(text, &number);  \
    tally->name = number;
#define INT(name)                                                     \
    text = json_string_value(json_object_get(meta, #name));           \
    whole = whole && text != NULL && rv_text_to_real(text, &number);  \
    tally->name = (int64_t)number;
    RV_TALLY_MAP(INT, REAL)
#undef INT
#undef REAL
    return whole;
}

const rv_array *rv_checkpoint_array(const rv_array_set *set, const char *name)
{
    for (int i = 0; i < set->count; i++)
        if (strcmp(set->arrays[i].name, name) == 0)
            return &set->arrays[i];
    return NULL;
}

static void compare_array(const rv_array *here, const rv_array *there, rv_text *list)
{
    char a[96], b[96];
    const char *comma = list->size > 0 ? "; " : "";
    if (there == NULL)
        rv_text_format(list, "%s%s: missing", comma, here->name);
    else if (there->dtype != here->dtype || !rv_shape_equal(&there->shape, &here->shape))
        rv_text_format(list, "%s%s: %s %s there, %s %s here", comma, here->name, rv_dtype_name(there->dtype),
                       rv_shape_text(&there->shape, a, sizeof a), rv_dtype_name(here->dtype),
                       rv_shape_text(&here->shape, b, sizeof b));
}

bool rv_checkpoint_same_data(const json_t *meta, const rv_objective *objective, bool whole)
{
    const char *there = json_string_value(json_object_get(meta, "data")), *here = objective->data;
    if (there == NULL || here == NULL)
        return true;
    size_t name = strcspn(there, ":"); /* sizes stand behind it */
    return whole ? strcmp(there, here) == 0 : name == strcspn(here, ":") && strncmp(there, here, name) == 0;
}

/* Every difference of data, configuration, tensors and optimizer state. */
static rv_status check_match(const char *path, const rv_snapshot *s, const json_t *meta, const rv_array_set *set,
                             const rv_array *here, int count, rv_error *err)
{
    rv_text list = {0};
    if (!rv_checkpoint_same_data(meta, s->objective, true))
        rv_text_format(&list, "data: \"%s\" there, \"%s\" here", json_string_value(json_object_get(meta, "data")), s->objective->data);
    json_t *mine = json_loads(s->config->text, 0, NULL), *theirs = NULL;
    const char *config = json_string_value(json_object_get(meta, "config"));
    theirs = config == NULL ? NULL : json_loads(config, 0, NULL);
    if (mine == NULL || theirs == NULL)
        rv_text_format(&list, "its configuration cannot be read");
    else
        rv_json_differences(theirs, mine, "", &list);
    json_decref(mine);
    json_decref(theirs);
    for (int i = 0; i < count; i++)
        compare_array(&here[i], rv_checkpoint_array(set, here[i].name), &list);
    if (set->count > count)
        rv_text_format(&list, "%s%d arrays that do not belong here", list.size > 0 ? "; " : "", set->count - count);
    rv_status status = RV_OK;
    if (list.size > 0 || list.failed)
        status = rv_fail(err, RV_E_MISMATCH, "%s: belongs to another run: %s", path,
                         list.failed ? "no memory to list the differences" : list.data);
    rv_text_release(&list);
    return status;
}

/* By their names without the prefix. */
rv_status rv_checkpoint_optimizer(const char *path, const rv_array_set *set, rv_optimizer *optimizer, rv_error *err)
{
    size_t prefix = strlen(optimizer_prefix);
    rv_array *states = calloc((size_t)set->count + 1, sizeof *states);
    if (states == NULL)
        return no_memory(path, err);
    int n = 0;
    for (int i = 0; i < set->count; i++)
        if (strncmp(set->arrays[i].name, optimizer_prefix, prefix) == 0) {
            states[n] = set->arrays[i];
            memmove(states[n].name, states[n].name + prefix, sizeof states[n].name - prefix);
            n++;
        }
    rv_status status = rv_optimizer_restore(optimizer, states, n, err);
    free(states);
    return status == RV_OK ? RV_OK : rv_fail_prefix(err, status, "%s", path);
}

/* The optimizer's arrays, then everything else by copy. */
static rv_status restore(const char *path, rv_snapshot *s, const rv_array_set *set, const rv_array *here, int count,
                         rv_error *err)
{
    RV_TRY(rv_checkpoint_optimizer(path, set, s->optimizer, err));
    for (int i = 0; i < count; i++) {
        if (strncmp(here[i].name, optimizer_prefix, strlen(optimizer_prefix)) == 0)
            continue;
        size_t bytes = (size_t)rv_shape_size(&here[i].shape) * rv_dtype_size(here[i].dtype);
        memcpy(here[i].data, rv_checkpoint_array(set, here[i].name)->data, bytes);
    }
    return RV_OK;
}

static rv_status load_set(const char *path, rv_snapshot *s, const rv_array_set *set, rv_error *err)
{
    json_t *meta = NULL;
    rv_tally tally = {0};
    int count = 0;
    if (set->metadata == NULL)
        return rv_fail(err, RV_E_FORMAT, "%s: checksum missing", path);
    RV_TRY(rv_json_parse(set->metadata, strlen(set->metadata), path, &meta, err));
    rv_array *here = list_all(s, &count);
    rv_status status = here == NULL ? no_memory(path, err) : rv_checkpoint_check(path, meta, set, err);
    if (status == RV_OK)
        status = check_match(path, s, meta, set, here, count, err);
    if (status == RV_OK && !tally_from_json(meta, &tally))
        status = rv_fail(err, RV_E_MISMATCH, "%s: its counts cannot be read", path);
    if (status == RV_OK)
        status = restore(path, s, set, here, count, err);
    if (status == RV_OK)
        *s->tally = tally;
    free(here);
    json_decref(meta);
    return status;
}

static bool damaged(rv_status status)
{
    return status == RV_E_FORMAT || status == RV_E_IO || status == RV_E_RANGE;
}

rv_status rv_checkpoint_load(rv_snapshot *s, void (*note)(void *, const char *), void *context, bool *found, rv_error *err)
{
    *found = false;
    for (int64_t step = INT64_MAX; !*found && (step = rv_checkpoint_below(s->folder, step)) >= 0;) {
        char path[RV_PATH_SIZE], line[sizeof err->message + 64];
        rv_array_set set;
        rv_error why = {0};
        RV_TRY(rv_checkpoint_path(s->folder, step, path, err));
        rv_status status = rv_safetensors_read(path, &set, &why);
        if (status == RV_E_UNSUPPORTED)
            status = RV_E_FORMAT; /* an element type that no checkpoint has */
        if (status == RV_OK) {
            status = s->enter == NULL ? RV_OK : s->enter(s->context, step, &why);
            if (status == RV_OK)
                status = load_set(path, s, &set, &why);
            rv_array_set_release(&set);
        }
        if (status != RV_OK && !damaged(status)) {
            if (err != NULL)
                *err = why;
            return status;
        }
        *found = status == RV_OK;
        s->previous = *found ? step : -1;
        if (!*found && note != NULL) {
            snprintf(line, sizeof line, "damaged checkpoint left out: %s", why.message);
            note(context, line);
        }
    }
    return RV_OK;
}
