/* Different words, numbered in the order in which they come. */
#ifndef RV_DATA_VOCABULARY_H
#define RV_DATA_VOCABULARY_H

#include "ravine/core.h"

typedef struct rv_vocabulary {
    int32_t count;    /* different words so far */
    char *text;       /* their bytes, one behind the other */
    size_t *end;      /* [count]: of each word in the text */
    int32_t *slots;   /* hash table of slot_count numbers, -1 where free; a power of two, at most half full */
    size_t room, text_room, slot_count;
} rv_vocabulary;

/* Starts zeroed; release also after a failure. */
void rv_vocabulary_release(rv_vocabulary *vocabulary);
/* number <- that of the word, a new one if it has not been seen.  RV_E_MEMORY. */
rv_status rv_vocabulary_add(rv_vocabulary *vocabulary, const void *word, size_t length, int32_t *number, rv_error *err);
/* The bytes of a word, not ended by a zero. */
const char *rv_vocabulary_word(const rv_vocabulary *vocabulary, int32_t number, size_t *length);

#endif
