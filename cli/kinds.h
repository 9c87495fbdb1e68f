/* The kinds of things that have names. */
#ifndef RV_CLI_KINDS_H
#define RV_CLI_KINDS_H

#include <stdbool.h>

typedef struct cli_kind {
    const char *name; /* "optimizers" */
    /* Name (NULL: pass it over) and title of entry i, the title until the next call; false beyond the last. */
    bool (*at)(int i, const char **name, const char **title);
} cli_kind;

enum { CLI_KINDS = 10 };
extern const cli_kind cli_kinds[CLI_KINDS];

#endif
