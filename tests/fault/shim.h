/* Calls of the library that the linker hands to the test (--wrap): they can be counted,
 * made to fail, or forgotten as a power loss would. */
#ifndef RV_TEST_SHIM_H
#define RV_TEST_SHIM_H

#include <stdbool.h>

enum {
    SHIM_MALLOC = 1, SHIM_OPEN = 2, SHIM_WRITE = 4, SHIM_FSYNC = 8, SHIM_RENAME = 16, SHIM_CLOSE = 32,
    SHIM_MKDIR = 64, SHIM_FILES = SHIM_OPEN | SHIM_WRITE | SHIM_FSYNC | SHIM_RENAME | SHIM_CLOSE | SHIM_MKDIR
};

typedef struct shim {
    int kinds;        /* which calls count */
    long fail_at;     /* the call that fails, from 1; 0: none */
    bool persistent;  /* and all after it */
    int error;        /* errno of a failure */
    bool shorten;     /* writes are short, at most 7 bytes, and interrupted in between */
    long calls;
    bool failed;      /* a failure was handed out */
    /* Of the gradient calls. */
    int *stop;        /* set to 1 ... */
    long stop_at;     /* ... in this call, from 1; 0: never */
    long poison_at;   /* a call whose gradient gets a NaN; 0: none */
    bool poison_loss; /* or its loss, instead */
    long gradients;
    /* Power loss: what was not synced is torn or undone when the call fail_at comes, and
     * the process ends.  lying: fsync does nothing (the negative control). */
    bool power, lying;
    int report;       /* a byte goes here for every checkpoint the program believes to be safe; 0: nowhere */
    unsigned chance;  /* seed of what is lost */
} shim;

extern shim shim_now;

#endif
