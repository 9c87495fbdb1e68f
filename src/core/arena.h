/* One block of memory for a run: 64-byte aligned, zeroed, on huge pages when large. */
#ifndef RV_CORE_ARENA_H
#define RV_CORE_ARENA_H

#include "ravine/core.h"

typedef struct rv_arena {
    void *base;
    size_t size;
    size_t mapped; /* bytes of the mapping */
} rv_arena;

rv_status rv_arena_init(rv_arena *arena, size_t size, rv_error *err);
void rv_arena_release(rv_arena *arena);
/* Rounds up to the alignment of everything placed in an arena. */
size_t rv_arena_align(size_t size);

#endif
