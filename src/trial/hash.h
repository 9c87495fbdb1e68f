/* A 64-bit hash against accidents (torn, flipped, swapped bytes), not against malice. */
#ifndef RV_TRIAL_HASH_H
#define RV_TRIAL_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Continues from hash; any start value will do.  Any change inside one 8-byte word,
 * every single bit flip among them, changes the result for certain. */
uint64_t rv_hash(uint64_t hash, const void *bytes, size_t n);

#endif
