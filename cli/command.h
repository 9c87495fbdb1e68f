/* The command table: one row per command, from which parsing, help, man page and
 * completion come.  A command is one file cmd_<name>.c and one line in commands.def. */
#ifndef RV_CLI_COMMAND_H
#define RV_CLI_COMMAND_H

#include <stdbool.h>

#include "ravine/core.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef struct option {
    const char *name;  /* long name without dashes */
    char letter;       /* short name, or 0 */
    const char *value; /* what stands for its value in help, NULL: a switch */
    const char *help;
    bool repeats;      /* may be given several times */
} option;

typedef struct cli cli;

typedef struct command {
    const char *name;
    const char *synopsis;    /* positional arguments: "WORKLOAD" */
    const char *summary;     /* one line */
    const char *description; /* paragraphs, or NULL */
    const char *examples;    /* lines of "ravine ..." */
    const option *options;   /* ends with a row whose name is NULL */
    int least, most;         /* positional arguments; most < 0: any number */
    const char *complete;    /* what completes the first argument: "workloads", "files", ..., NULL */
    int (*run)(const cli *cli);
} command;

#define COMMAND(name) extern const command command_##name;
#include "commands.def"
#undef COMMAND

/* Command number i in order, NULL beyond the last; and by name. */
const command *command_at(int i);
const command *command_find(const char *name);
/* Options that every command has, ends with NULL. */
extern const option common_options[];

/* ---- a parsed command line --------------------------------------------- */

enum { CLI_MAX = 256 };

struct cli {
    const command *command;
    int argc;
    char *const *argv;      /* as given to the program */
    int count;              /* positional arguments */
    const char *argument[CLI_MAX];
    int given_count;
    struct { const option *option; const char *value; } given[CLI_MAX];
};

/* Parses argv[first..]; EXIT_DONE or EXIT_USAGE after a message on stderr. */
int cli_parse(cli *out, const command *command, int argc, char *const *argv, int first);
bool cli_has(const cli *cli, const char *name);
/* The last value given, or fallback. */
const char *cli_value(const cli *cli, const char *name, const char *fallback);
/* Value number i of a repeated option, or NULL. */
const char *cli_each(const cli *cli, const char *name, int i);
/* An integer option within bounds; complains and returns false. */
bool cli_int(const cli *cli, const char *name, long fallback, long lo, long hi, long *out);
/* The folder of data sets: --data, RAVINE_DATA, or NULL. */
const char *cli_data(const cli *cli);
/* Number of processors that this process may use. */
int cli_processors(void);

/* ---- speaking ---------------------------------------------------------- */

/* Colour and bars only where a person looks: a terminal, TERM not dumb, no NO_COLOR. */
bool cli_colour(int descriptor);
int cli_width(void);
/* "ravine: message" on stderr; returns EXIT_FAILED, or EXIT_USAGE for errors of use. */
int cli_error(const rv_error *err);
int cli_usage(const cli *cli, const char *format, ...) RV_PRINTF(2, 3);
/* A note on stderr unless -q. */
void cli_note(void *quiet, const char *line);

/* Text of help, man page and completion scripts. */
void help_program(void);
void help_command(const command *command);

#endif
