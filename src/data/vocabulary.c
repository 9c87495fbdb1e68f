/* A hash table with open addressing over words that lie one behind the other. */
#include "data/vocabulary.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1024 };

void rv_vocabulary_release(rv_vocabulary *v)
{
    free(v->text);
    free(v->end);
    free(v->slots);
    *v = (rv_vocabulary){0};
}

const char *rv_vocabulary_word(const rv_vocabulary *v, int32_t number, size_t *length)
{
    size_t from = number > 0 ? v->end[number - 1] : 0;
    *length = v->end[number] - from;
    return v->text + from;
}

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static uint64_t hash(const void *word, size_t length)
{
    const unsigned char *byte = word;
    uint64_t h = 0xcbf29ce484222325;
    for (size_t i = 0; i < length; i++)
        h = (h ^ byte[i]) * 0x100000001b3;
    return h;
}

/* The slot that holds the word, or the free one where it belongs. */
static int32_t *slot_of(const rv_vocabulary *v, const void *word, size_t length)
{
    for (size_t at = hash(word, length);; at++) {
        int32_t *slot = &v->slots[at & (v->slot_count - 1)];
        size_t found;
        if (*slot < 0)
            return slot;
        const char *other = rv_vocabulary_word(v, *slot, &found);
        if (found == length && memcmp(other, word, length) == 0)
            return slot;
    }
}

static bool grow_table(rv_vocabulary *v)
{
    size_t room = v->room ? 2 * v->room : FIRST_ROOM;
    size_t *end = realloc(v->end, room * sizeof *end);
    if (end)
        v->end = end;
    int32_t *slots = end ? malloc(2 * room * sizeof *slots) : NULL;
    if (!slots)
        return false;
    free(v->slots);
    v->slots = slots;
    v->room = room;
    v->slot_count = 2 * room;
    for (size_t i = 0; i < v->slot_count; i++)
        slots[i] = -1;
    for (int32_t k = 0; k < v->count; k++) {
        size_t length;
        const char *word = rv_vocabulary_word(v, k, &length);
        *slot_of(v, word, length) = k;
    }
    return true;
}

static bool grow_text(rv_vocabulary *v, size_t length)
{
    size_t used = v->count > 0 ? v->end[v->count - 1] : 0;
    if (used + length <= v->text_room)
        return true;
    size_t room = 2 * (used + length) + FIRST_ROOM;
    char *text = realloc(v->text, room);
    if (text) {
        v->text = text;
        v->text_room = room;
    }
    return text;
}

rv_status rv_vocabulary_add(rv_vocabulary *v, const void *word, size_t length, int32_t *number, rv_error *err)
{
    if ((size_t)v->count == v->room && (v->count == INT32_MAX || !grow_table(v)))
        return rv_fail(err, RV_E_MEMORY, "no memory for a vocabulary of %lld words", (long long)v->count + 1);
    int32_t *slot = slot_of(v, word, length);
    if (*slot < 0) {
        if (!grow_text(v, length))
            return rv_fail(err, RV_E_MEMORY, "no memory for the words of a vocabulary");
        size_t used = v->count > 0 ? v->end[v->count - 1] : 0;
        memcpy(v->text + used, word, length);
        v->end[v->count] = used + length;
        *slot = v->count++;
    }
    *number = *slot;
    return RV_OK;
}
