/* The program: finds the command, parses its options, runs it.  Results go to
 * standard output, progress and errors to standard error. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "core/text.h"

static const cli_command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "commands.def"
#undef COMMAND
};

const cli_command *command_at(int i)
{
    int count = (int)(sizeof commands / sizeof commands[0]);
    return i >= 0 && i < count ? commands[i] : NULL;
}

const cli_command *command_find(const char *name)
{
    for (int i = 0; command_at(i); i++)
        if (strcmp(command_at(i)->name, name) == 0)
            return command_at(i);
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof commands[0]];
    int count = 0;
    for (; command_at(count); count++)
        names[count] = command_at(count)->name;
    const char *near = rv_text_nearest(name, names, count);
    if (near)
        fprintf(stderr, "ravine: unknown command '%s'; did you mean '%s'?\n", name, near);
    else
        fprintf(stderr, "ravine: unknown command '%s'\n", name);
    fputs("Try: ravine --help\n", stderr);
    return EXIT_USAGE;
}

/* Options of a command stand behind it; the program has none but --help and --version. */
static int option_before_command(const char *name)
{
    fprintf(stderr, "ravine: expected a COMMAND before '%s'\nTry: ravine --help\n", name);
    return EXIT_USAGE;
}

/* What was printed must have arrived: a full disk behind stdout is a failure. */
static int flushed(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fprintf(stderr, "ravine: standard output: %s\n", strerror(errno));
    return status == EXIT_DONE ? EXIT_FAILED : status;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("ravine %s\n", rv_version());
        return flushed(EXIT_DONE);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        const cli_command *about = argc > 2 ? command_find(argv[2]) : NULL;
        if (argc > 2 && !about)
            return unknown_command(argv[2]);
        if (about)
            help_command(about);
        else
            help_program();
        return flushed(EXIT_DONE);
    }
    const cli_command *found = command_find(name);
    if (!found)
        return name[0] == '-' ? option_before_command(name) : unknown_command(name);
    cli_line line;
    int status = cli_parse(&line, found, argc, argv, 2);
    if (status != EXIT_DONE)
        return status;
    if (cli_has(&line, "help")) {
        help_command(found);
        return flushed(EXIT_DONE);
    }
    return cli_folders_ok(&line) ? flushed(found->run(&line)) : EXIT_USAGE;
}
