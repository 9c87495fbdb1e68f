/* The command table: one row per command, from which parsing, help, man page and
 * completion come.  A command is one file cmd_<name>.c and one line in commands.def. */
#ifndef RV_CLI_COMMAND_H
#define RV_CLI_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "ravine/core.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef struct cli_option {
    const char *name;  /* long name without dashes */
    char letter;       /* short name, or 0 */
    const char *value; /* what stands for its value in help, NULL: a switch */
    const char *help;
    bool repeats;      /* may be given several times */
} cli_option;

typedef struct cli_line cli_line;

typedef struct cli_command {
    const char *name;
    const char *synopsis;    /* positional arguments: "WORKLOAD" */
    const char *summary;     /* one line */
    const char *description; /* paragraphs, or NULL */
    const char *examples;    /* lines of "ravine ..." */
    const cli_option *options;   /* ends with a row whose name is NULL */
    int least, most;         /* positional arguments; most < 0: any number */
    const char *complete;    /* what completes an argument: "workloads", "files", "files measures", ..., NULL */
    int (*run)(const cli_line *cli);
} cli_command;

#define COMMAND(name) extern const cli_command command_##name;
#include "commands.def"
#undef COMMAND

/* Command number i in order, NULL beyond the last; and by name. */
const cli_command *command_at(int i);
const cli_command *command_find(const char *name);
/* Options that every command has, ends with NULL. */
extern const cli_option common_options[];

/* ---- a parsed command line --------------------------------------------- */

enum { CLI_MAX = 256 };

struct cli_line {
    const cli_command *command;
    int argc;
    char *const *argv;      /* as given to the program */
    int count;              /* positional arguments */
    const char *argument[CLI_MAX];
    int given_count;
    struct { const cli_option *option; const char *value; } given[CLI_MAX];
};

/* Parses argv[first..]; EXIT_DONE or EXIT_USAGE after a message on stderr. */
int cli_parse(cli_line *out, const cli_command *command, int argc, char *const *argv, int first);
bool cli_has(const cli_line *cli, const char *name);
/* The last value given, or fallback. */
const char *cli_value(const cli_line *cli, const char *name, const char *fallback);
/* Value number i of a repeated option, or NULL. */
const char *cli_each(const cli_line *cli, const char *name, int i);
/* An integer option within bounds; complains and returns false. */
bool cli_int(const cli_line *cli, const char *name, long fallback, long lo, long hi, long *out);
/* The folder of data sets: --data, RAVINE_DATA, or NULL. */
const char *cli_data(const cli_line *cli);
/* Whether what --data and --out say can be what is meant; complains and returns false. */
bool cli_folders_ok(const cli_line *cli);
/* Number of processors that this process may use. */
int cli_processors(void);

/* ---- speaking ---------------------------------------------------------- */

/* Colour and bars only where a person looks: a terminal, TERM not dumb, no NO_COLOR. */
bool cli_colour(int descriptor);
int cli_width(void);
/* "ravine: message" on stderr; returns EXIT_FAILED, or EXIT_USAGE for errors of use. */
int cli_error(const rv_error *err);
int cli_usage(const cli_line *cli, const char *format, ...) RV_PRINTF(2, 3);
/* The index of text among names; -1 after a message of use that names them and the nearest. */
int cli_choice(const cli_line *cli, const char *what, const char *text, const char *const *names, int count);
/* One line of JSON; takes the reference.  NULL is a lack of memory. */
int cli_print_json(json_t *value);
/* Where a result was written: the path, or {key: path}. */
int cli_print_path(const cli_line *cli, const char *key, const char *path);
/* What write puts into a file: as it is, or {key: text}. */
int cli_print_written(const cli_line *cli, const char *key, void (*write)(FILE *out));

/* Text of help, man page and completion scripts. */
void help_program(void);
void help_command(const cli_command *command);

#endif
