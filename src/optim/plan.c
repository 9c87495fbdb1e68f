/* Memory and division of work.  Invariant: pieces and spans follow from the tensors alone,
 * so sums are added in the same tree whoever computes their parts. */
#include <stdlib.h>
#include <string.h>

#include "optim/optimizer.h"

enum { PIECE = 16384 }; /* elements; a few of them keep a worker busy for tens of microseconds */

bool rv_slot_like(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    (void)params;
    *shape = tensor->shape;
    return true;
}

static rv_status plan_chunks(rv_group *group, rv_error *err)
{
    if (!group->method->segments)
        return RV_OK;
    group->chunk_count = rv_segments_cut(group, NULL, &group->whole_chunks);
    group->chunks = calloc((size_t)group->chunk_count + 1, sizeof *group->chunks);
    group->decided = calloc((size_t)group->chunk_count + 1, sizeof *group->decided);
    if (!group->chunks || !group->decided)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    rv_segments_cut(group, group->chunks, &group->whole_chunks);
    return RV_OK;
}

typedef struct priced {
    double cost;
    int task;
} priced;

static int dearest_first(const void *a, const void *b)
{
    const priced *p = a, *q = b;
    return p->cost != q->cost ? (p->cost < q->cost) - (p->cost > q->cost) : (p->task > q->task) - (p->task < q->task);
}

/* Long tasks that begin last leave the other workers idle. */
static rv_status plan_order(rv_group *group, size_t tasks, rv_error *err)
{
    const rv_method *method = group->method;
    if (!method->tasks || tasks == 0)
        return RV_OK;
    priced *list = calloc(tasks, sizeof *list);
    group->order = calloc(tasks, sizeof *group->order);
    if (!list || !group->order) {
        free(list);
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    }
    for (int i = 0; i < group->count; i++) {
        const rv_tensor *tensor = &group->tensors[i];
        for (int k = 0; k < method->tasks(tensor, group->params); k++) {
            list[group->order_count] = (priced){
                method->cost ? method->cost(tensor, group->params, k) : (double)rv_shape_size(&tensor->shape),
                group->order_count};
            group->order_count++;
        }
    }
    qsort(list, tasks, sizeof *list, dearest_first);
    for (size_t i = 0; i < tasks; i++)
        group->order[i] = list[i].task;
    free(list);
    return RV_OK;
}

static rv_status plan_pieces(rv_group *group, rv_error *err)
{
    size_t pieces = 0, tasks = 0;
    for (int i = 0; i < group->count; i++) {
        pieces += (size_t)((rv_shape_size(&group->tensors[i].shape) + PIECE - 1) / PIECE);
        tasks += group->method->tasks ? (size_t)group->method->tasks(&group->tensors[i], group->params) : 1;
    }
    RV_TRY(plan_order(group, tasks, err));
    RV_TRY(plan_chunks(group, err));
    const size_t chunks = (size_t)group->chunk_count, sums = pieces > chunks ? pieces : chunks;
    group->pieces = calloc(pieces + 1, sizeof *group->pieces);
    group->spans = calloc(pieces + 1, sizeof *group->spans);
    group->faults = calloc((sums > tasks ? sums : tasks) + 1, 1);
    group->partial = calloc(sums + 1, sizeof *group->partial);
    group->tensor_sums = calloc((size_t)group->count + 1, sizeof *group->tensor_sums);
    if (!group->pieces || !group->spans || !group->faults || !group->partial || !group->tensor_sums)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    int64_t filled = 0;
    for (int i = 0; i < group->count; i++) {
        const int64_t size = rv_shape_size(&group->tensors[i].shape);
        for (int64_t start = 0; start < size; start += PIECE) {
            const int64_t n = size - start < PIECE ? size - start : PIECE;
            if (group->span_count == 0 || filled + n > PIECE) {
                group->spans[group->span_count++] = (rv_span){group->piece_count, 0};
                filled = 0;
            }
            group->spans[group->span_count - 1].count++;
            group->pieces[group->piece_count++] = (rv_piece){i, start, n};
            filled += n;
        }
    }
    return RV_OK;
}

/* Whether slot k may be bf16 in memory: kernels alone see it, element by element, and it holds
 * no weights. */
static bool packs(const rv_group *group, int k)
{
    const rv_method *method = group->method;
    if (group->wrapper || method->tasks || method->segments || method->workspace || method->whole_slots >> k & 1 ||
        method->slots[k].from_weights)
        return false;
    for (int i = 0; i < group->count; i++) {
        const rv_shape *shape = &group->slot_shapes[i * method->slot_count + k];
        if (shape->rank >= 0 && !rv_shape_equal(shape, &group->tensors[i].shape))
            return false;
    }
    return true;
}

bool rv_group_slot_shape(const rv_group *group, int i, int slot, rv_shape *shape)
{
    const rv_method *method = group->method;
    if (method->slots[slot].shape)
        return method->slots[slot].shape(&group->tensors[i], group->params, shape);
    for (int l = 0; l < group->layer_count; l++)
        if (group->layers[l].weight == i)
            return method->layer_shape(&group->layers[l], slot, group->params, shape);
    return false;
}

/* Shapes and types of all slots; returns their bytes in the arena. */
static rv_status plan_slots(const rv_optimizer *o, rv_group *group, size_t *bytes, rv_error *err)
{
    const int slots = group->method->slot_count;
    const size_t n = (size_t)group->count * (size_t)slots + 1;
    group->slots = calloc(n, sizeof *group->slots);
    group->slot_shapes = calloc(n, sizeof *group->slot_shapes);
    if (!group->slots || !group->slot_shapes)
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    for (int i = 0; i < group->count; i++) {
        for (int k = 0; k < slots; k++) {
            rv_shape *shape = &group->slot_shapes[i * slots + k];
            if (!rv_group_slot_shape(group, i, k, shape))
                shape->rank = -1;
        }
    }
    for (int k = 0; k < slots; k++) {
        if (o->state_dtype == RV_BF16 && packs(group, k))
            group->packed |= 1u << k;
        for (int i = 0; i < group->count; i++)
            *bytes += rv_arena_align(rv_slot_bytes(o, group, i, k));
    }
    return RV_OK;
}

static void place_slots(const rv_optimizer *o, rv_group *group, const void *const *w, char **at)
{
    const int slots = group->method->slot_count;
    /* Slot by slot: the streams of one slot over all tensors follow each other in memory. */
    for (int k = 0; k < slots; k++) {
        for (int i = 0; i < group->count; i++) {
            if (group->slot_shapes[i * slots + k].rank < 0)
                continue;
            const size_t bytes = rv_slot_bytes(o, group, i, k);
            group->slots[i * slots + k] = *at;
            if (group->method->slots[k].from_weights && bytes > 0)
                memcpy(*at, w[group->index[i]], bytes);
            *at += rv_arena_align(bytes);
        }
    }
}

static size_t workspace_of(const rv_group *group, rv_dtype dtype)
{
    size_t most = 0;
    for (int i = 0; i < group->count && group->method->workspace; i++) {
        const size_t bytes = group->method->workspace(&group->tensors[i], group->params, dtype);
        most = bytes > most ? bytes : most;
    }
    return rv_arena_align(most);
}

/* Rooms of all tensors, behind the workers' workspaces: bytes in all, or their places from `at` on. */
static rv_status plan_rooms(const rv_optimizer *o, rv_group *group, char *at, size_t *bytes, rv_error *err)
{
    const rv_method *method = group->method;
    if (!method->room)
        return RV_OK;
    if (at && !(group->room = calloc((size_t)group->count + 1, sizeof *group->room)))
        return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
    for (int i = 0; i < group->count; i++) {
        if (at)
            group->room[i] = at + *bytes;
        *bytes += rv_arena_align(method->room(&group->tensors[i], group->params, o->dtype));
    }
    return RV_OK;
}

rv_status rv_optimizer_reserve(rv_optimizer *o, rv_arena *arena, size_t size, rv_error *err)
{
    if (!o->allocator.allocate || size == 0)
        return rv_arena_init(arena, size, err);
    void *base = o->allocator.allocate(o->allocator.context, size);
    if (!base)
        return rv_fail(err, RV_E_MEMORY, "optimizer: the allocator refused %zu bytes", size);
    *arena = (rv_arena){.base = base, .size = size, .mapped = 0};
    if ((uintptr_t)base % 64 != 0)
        return rv_fail(err, RV_E_ARGUMENT, "optimizer: the allocator's memory is not 64-byte aligned");
    memset(base, 0, size);
    return RV_OK;
}

void rv_optimizer_unreserve(rv_optimizer *o, rv_arena *arena)
{
    if (arena->base && arena->mapped == 0) {
        o->allocator.release(o->allocator.context, arena->base, arena->size);
        *arena = (rv_arena){0};
    }
    rv_arena_release(arena);
}

/* ---- buffers of wrappers and closures ------------------------------------------ */

/* The addresses in the buffer at base of the tensors index [count]; NULL: of all. */
static void **buffer(const rv_optimizer *o, const int *index, int count, const char *base)
{
    void **parts = calloc((size_t)count + 1, sizeof *parts);
    for (int i = 0; parts && i < count; i++)
        parts[i] = (char *)(uintptr_t)base + (size_t)o->places[index ? index[i] : i] * rv_dtype_size(o->dtype);
    return parts;
}

static rv_status plan_probe(const rv_optimizer *o, rv_group *group, char **base, size_t bytes, rv_error *err)
{
    rv_probe_room *room = &group->probe;
    room->w_base = *base;
    room->g_base = *base + bytes;
    *base += 2 * bytes;
    room->w = buffer(o, NULL, o->count, room->w_base);
    room->g = buffer(o, NULL, o->count, room->g_base);
    room->own_w = buffer(o, group->index, group->count, room->w_base);
    room->own_g = buffer(o, group->index, group->count, room->g_base);
    return room->w && room->g && room->own_w && room->own_g ? RV_OK : rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
}

/* One buffer for all filters, two for each group that probes, one for each with scratch, and the factors. */
static rv_status plan_buffers(rv_optimizer *o, rv_error *err)
{
    const size_t bytes = rv_arena_align((size_t)o->places_size * rv_dtype_size(o->dtype));
    size_t count = 0, filters = 0;
    for (int k = 0; k < rv_groups_all(o); k++) {
        const rv_wrapper *wrapper = o->groups[k].wrapper;
        filters |= wrapper && wrapper->filters ? 1 : 0;
        count += rv_group_probes(&o->groups[k]) ? 2 : 0;
        count += wrapper && wrapper->scratch ? 1 : 0;
    }
    const size_t factors = rv_arena_align((size_t)o->factors_size * rv_dtype_size(o->dtype));
    RV_TRY(rv_optimizer_reserve(o, &o->buffers, bytes * (count + filters) + factors, err));
    char *base = (char *)o->buffers.base + filters * bytes;
    for (int k = 0; k < rv_groups_all(o); k++) {
        rv_group *group = &o->groups[k];
        if (rv_group_probes(group))
            RV_TRY(plan_probe(o, group, &base, bytes, err));
        if (!group->wrapper)
            continue;
        if (group->wrapper->filters && !(group->filtered = buffer(o, NULL, o->count, o->buffers.base)))
            return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
        if (group->wrapper->scratch && !(group->scratch = buffer(o, NULL, o->count, base)))
            return rv_fail(err, RV_E_MEMORY, "optimizer: out of memory");
        base += group->wrapper->scratch ? bytes : 0;
    }
    o->factors = base;
    return RV_OK;
}

rv_status rv_optimizer_plan(rv_optimizer *o, const void *const *w, rv_error *err)
{
    size_t bytes = 0, workspace = 0, rooms = 0;
    for (int k = 0; k < rv_groups_all(o); k++) {
        RV_TRY(plan_pieces(&o->groups[k], err));
        RV_TRY(plan_slots(o, &o->groups[k], &bytes, err));
        const size_t most = workspace_of(&o->groups[k], o->dtype);
        workspace = most > workspace ? most : workspace;
        RV_TRY(plan_rooms(o, &o->groups[k], NULL, &rooms, err));
    }
    const size_t workers = (size_t)rv_pool_workers(o->pool), workspaces = workspace * workers;
    const size_t team = workspace > 0 && o->dtype == RV_F32 ? RV_TEAM_ROOM * workers : 0;
    RV_TRY(rv_optimizer_reserve(o, &o->state, bytes, err));
    RV_TRY(rv_optimizer_reserve(o, &o->workspace, workspaces + team + rooms, err));
    rooms = workspaces + team;
    RV_TRY(plan_buffers(o, err));
    char *at = o->state.base;
    for (int k = 0; k < rv_groups_all(o); k++) {
        o->groups[k].owner = o;
        o->groups[k].pool = o->pool;
        o->groups[k].workspace = o->workspace.base;
        o->groups[k].workspace_size = workspace;
        o->groups[k].team_rooms = (char *)o->workspace.base + workspaces;
        RV_TRY(plan_rooms(o, &o->groups[k], o->workspace.base, &rooms, err));
        place_slots(o, &o->groups[k], w, &at);
    }
    return RV_OK;
}
