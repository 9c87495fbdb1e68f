/* One mapping for a run.  Invariant: base is 64-byte aligned (2 MiB when large, so
 * that huge pages fit), the memory is zero, and nothing is ever moved. */
#include <stdint.h>
#include <sys/mman.h>

#include "core/arena.h"

static const size_t page = (size_t)4096, huge = (size_t)2 << 20, worth_huge = (size_t)4 << 20;

size_t rv_arena_align(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

rv_status rv_arena_init(rv_arena *arena, size_t size, rv_error *err)
{
    *arena = (rv_arena){0};
    bool large = size >= worth_huge;
    size_t unit = large ? huge : page;
    if (size > SIZE_MAX - 2 * huge)
        return rv_fail(err, RV_E_MEMORY, "no memory for an arena of %zu bytes", size);
    size_t mapped = round_up(size > 0 ? size : 1, unit);
    size_t asked = large ? mapped + huge : mapped;
    char *map = mmap(NULL, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return rv_fail(err, RV_E_MEMORY, "no memory for an arena of %zu bytes", size);
    size_t head = round_up((size_t)(uintptr_t)map, unit) - (size_t)(uintptr_t)map;
    size_t tail = asked - mapped - head;
    if (head > 0)
        munmap(map, head);
    if (tail > 0)
        munmap(map + head + mapped, tail);
    *arena = (rv_arena){map + head, size, mapped};
    if (large)
        (void)madvise(arena->base, mapped, MADV_HUGEPAGE); /* a wish: small pages do as well */
    return RV_OK;
}

void rv_arena_release(rv_arena *arena)
{
    if (arena->base != NULL)
        munmap(arena->base, arena->mapped);
    *arena = (rv_arena){0};
}
