/* The table "which tensor gets which method" of a resolved configuration. */
#ifndef RV_CLI_RULES_H
#define RV_CLI_RULES_H

#include <stdbool.h>

/* Prints it on standard output, as text or as a JSON list; an exit status. */
int rules_print(const char *resolved, const char *data, bool json);

#endif
