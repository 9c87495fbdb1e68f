/* Help texts, all made from the command table. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

void help_program(void)
{
    printf("ravine %s - a laboratory for deep-learning optimizers\n\n"
           "usage: ravine COMMAND [ARGUMENT]... [OPTION]...\n"
           "       ravine --help | --version\n\ncommands:\n", rv_version());
    for (int i = 0; command_at(i); i++)
        printf("  %-12s %s\n", command_at(i)->name, command_at(i)->summary);
    fputs("\n'ravine COMMAND --help' tells the options of a command and ends with examples.\n\n"
          "examples:\n"
          "  ravine bench --suite quick            compare five optimizers in a few minutes\n"
          "  ravine train char-lm --set lr=3e-3    one training run\n"
          "  ravine explain muon                   equations, defaults, source of a method\n", stdout);
}

static void print_options(const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%c%c%c --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
                 o->letter ? ',' : ' ', o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-28s %s\n", left, o->help);
    }
}

void help_command(const cli_command *command)
{
    bool positional = command->synopsis[0] != '\0', ended = command->summary[strlen(command->summary) - 1] == '.';
    printf("usage: ravine %s%s%s [OPTION]...\n\n%s%s\n", command->name, positional ? " " : "",
           command->synopsis, command->summary, ended ? "" : ".");
    if (command->description)
        printf("\n%s\n", command->description);
    fputs("\noptions:\n", stdout);
    print_options(command->options);
    print_options(common_options);
    printf("\nexamples:\n%s", command->examples);
}
