/* The store of trials.  Invariant: every number in an entry is a name that is there. */
#include "bench/trials.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------- */

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash;
}

/* The slot that holds the name, or the free one where it belongs. */
static int slot_of(const rv_names *names, const char *name)
{
    int mask = names->slots - 1, at = (int)(hash_of(name) & (uint32_t)mask);
    while (names->slot[at] != 0 && strcmp(names->name[names->slot[at] - 1], name) != 0)
        at = (at + 1) & mask;
    return at;
}

static bool grow_names(rv_names *names)
{
    int capacity = names->capacity ? 2 * names->capacity : 32;
    char **name = realloc(names->name, (size_t)capacity * sizeof *name);
    if (name)
        names->name = name;
    int *slot = name ? calloc(2 * (size_t)capacity, sizeof *slot) : NULL;
    if (!slot)
        return false;
    free(names->slot);
    names->slot = slot;
    names->slots = 2 * capacity;
    names->capacity = capacity;
    for (int i = 0; i < names->count; i++)
        slot[slot_of(names, names->name[i])] = i + 1;
    return true;
}

int rv_names_find(const rv_names *names, const char *name)
{
    return names->slots ? names->slot[slot_of(names, name)] - 1 : -1;
}

int rv_names_put(rv_names *names, const char *name)
{
    int found = rv_names_find(names, name);
    if (found >= 0)
        return found;
    if (names->count == names->capacity && !grow_names(names))
        return -1;
    char *copy = strdup(name);
    if (!copy)
        return -1;
    names->name[names->count++] = copy;
    names->slot[slot_of(names, name)] = names->count;
    return names->count - 1;
}

void rv_names_release(rv_names *names)
{
    for (int i = 0; i < names->count; i++)
        free(names->name[i]);
    free(names->name);
    free(names->slot);
    *names = (rv_names){0};
}

/* Runs of digits compare as numbers, everything else as bytes. */
static int compare_natural(const char *a, const char *b)
{
    const char *x = a, *y = b;
    while (*x && *y) {
        if (!isdigit((unsigned char)*x) || !isdigit((unsigned char)*y)) {
            if (*x != *y)
                return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
            x++;
            y++;
            continue;
        }
        x += strspn(x, "0");
        y += strspn(y, "0");
        size_t n = strspn(x, "0123456789"), m = strspn(y, "0123456789");
        int order = n != m ? (n < m ? -1 : 1) : strncmp(x, y, n);
        if (order != 0)
            return order;
        x += n;
        y += m;
    }
    return *x || *y ? (*x ? 1 : -1) : strcmp(a, b);
}

static int compare_places(const void *a, const void *b, void *names)
{
    return compare_natural(((const rv_names *)names)->name[*(const int *)a],
                           ((const rv_names *)names)->name[*(const int *)b]);
}

bool rv_names_rank(const rv_names *names, int *rank)
{
    int *place = malloc(((size_t)names->count + 1) * sizeof *place);
    if (!place)
        return false;
    for (int i = 0; i < names->count; i++)
        place[i] = i;
    qsort_r(place, (size_t)names->count, sizeof *place, compare_places, (void *)(uintptr_t)names);
    for (int i = 0; i < names->count; i++)
        rank[place[i]] = i;
    free(place);
    return true;
}

/* ---- the store --------------------------------------------------------------- */

rv_status rv_trials_new(rv_trials **out, rv_error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? RV_OK : rv_fail(err, RV_E_MEMORY, "score: no memory");
}

void rv_trials_free(rv_trials *trials)
{
    if (!trials)
        return;
    rv_names_release(&trials->submissions);
    rv_names_release(&trials->workloads);
    rv_names_release(&trials->studies);
    rv_names_release(&trials->settings);
    rv_names_release(&trials->sources);
    free(trials->entry);
    free(trials->cell);
    free(trials->value);
    free(trials->clock);
    free(trials->order);
    free(trials);
}

/* Room for one more of size bytes in the array that *array points to. */
static bool reserve(void *array, size_t count, size_t *capacity, size_t size)
{
    void *old;
    if (count < *capacity)
        return true;
    memcpy(&old, array, sizeof old);
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *grown = realloc(old, wanted * size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return true;
}

static rv_status no_memory(const rv_trials *trials, rv_error *err)
{
    return rv_fail(err, RV_E_MEMORY, "score: no memory after %zu trials", trials->count);
}

rv_status rv_trials_put(rv_trials *trials, const rv_trial_entry *entry, rv_error *err)
{
    if (entry->submission < 0 || entry->workload < 0 || entry->study < 0 || entry->trial < 0 ||
        !reserve(&trials->entry, trials->count, &trials->capacity, sizeof *trials->entry))
        return no_memory(trials, err);
    trials->entry[trials->count] = *entry;
    trials->entry[trials->count++].curve = trials->points;
    return RV_OK;
}

rv_status rv_trials_put_cell(rv_trials *trials, const rv_cell_entry *cell, rv_error *err)
{
    if (cell->submission < 0 || cell->workload < 0 ||
        !reserve(&trials->cell, trials->cells, &trials->cell_capacity, sizeof *trials->cell))
        return no_memory(trials, err);
    trials->cell[trials->cells++] = *cell;
    return RV_OK;
}

rv_status rv_trials_put_point(rv_trials *trials, double value, double clock, double order, rv_error *err)
{
    size_t room[3] = {trials->point_capacity, trials->point_capacity, trials->point_capacity};
    double **arrays[3] = {&trials->value, &trials->clock, &trials->order};
    for (int i = 0; i < 3; i++)
        if (!reserve(arrays[i], trials->points, &room[i], sizeof **arrays[i]))
            return no_memory(trials, err);
    trials->point_capacity = room[0];
    trials->value[trials->points] = value;
    trials->clock[trials->points] = clock;
    trials->order[trials->points++] = order;
    trials->entry[trials->count - 1].points++;
    return RV_OK;
}

rv_status rv_trials_add(rv_trials *trials, const rv_trial_row *row, rv_error *err)
{
    if (row->time < 0)
        return rv_fail(err, RV_E_ARGUMENT, "score: %s on %s: a time of %g", row->submission, row->workload, row->time);
    rv_trial_entry entry = {
        .submission = rv_names_put(&trials->submissions, row->submission),
        .workload = rv_names_put(&trials->workloads, row->workload),
        .study = rv_names_put(&trials->studies, row->study ? row->study : ""),
        .trial = rv_names_put(&trials->settings, row->trial ? row->trial : ""),
        .time = row->time,
        .order = row->order,
        .merit = row->merit,
        .source = -1,
    };
    return rv_trials_put(trials, &entry, err);
}

void rv_trial_reach(const rv_trials *trials, const rv_trial_entry *entry, const rv_ruleset_workload *workload,
                    double slack, double *time, double *order)
{
    bool ruled = workload && !isnan(workload->target), maximize = ruled ? workload->maximize : entry->maximize;
    double target = ruled ? workload->target : entry->target;
    target += (maximize ? -slack : slack) * fabs(target);
    *time = entry->time;
    *order = isnan(entry->order) ? entry->time : entry->order;
    if (entry->points == 0 || (slack == 0 && !isnan(entry->time)))
        return;
    *time = *order = INFINITY;
    for (size_t i = entry->curve; i < entry->curve + entry->points; i++)
        if (maximize ? trials->value[i] >= target : trials->value[i] <= target) {
            *time = trials->clock[i];
            *order = trials->order[i];
            return;
        }
}
