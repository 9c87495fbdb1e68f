/* The table "which tensor gets which method" of a resolved configuration. */
#ifndef RV_CLI_RULES_H
#define RV_CLI_RULES_H

/* Prints it on standard output; an exit status. */
int rules_print(const char *resolved, const char *data);

#endif
