/* Runs in throw-away folders, and whether two of them ended in the same bits. */
#ifndef RV_TEST_HELP_H
#define RV_TEST_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ravine/trial.h"
#include "shim.h"

extern char help_root[256];     /* folder of this test program, on memory where there is one */
extern char help_notes[4096];   /* the notes of the last run, a line each */

int help_start(void **state);   /* group set-up and tear-down */
int help_end(void **state);

/* root/name; in a buffer of its own for each of the last 8 calls. */
const char *help_path(const char *name);
void help_remove(const char *path);

/* A resolved configuration from a partial one with ' for "; kept until the program ends. */
const char *help_config(const char *partial, ...);
/* Runs config in root/dir. */
rv_status help_run(const char *config, const char *dir, int threads, int *stop, rv_trial_result *result, rv_error *err);

/* Fails unless both runs have the same weights, the same state (seconds aside) and the
 * same log (seconds aside). */
void help_same(const char *config, const char *dir_a, const char *dir_b);
/* The same as an answer, with what differs. */
const char *help_difference(const char *config, const char *dir_a, const char *dir_b);

#endif
