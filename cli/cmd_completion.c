/* ravine completion: shell scripts made from the command table. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "ravine/bench.h"
#include "ravine/optim.h"

/* The words that may follow a command, one space before each. */
static void print_words(const char *kind)
{
    bool names = strcmp(kind, "names") == 0;
    if (strcmp(kind, "kinds") == 0)
        fputs(" optimizers schedules workloads suites", stdout);
    if (strcmp(kind, "shells") == 0)
        fputs(" bash zsh fish", stdout);
    for (int i = 0; names && rv_method_at(i); i++)
        printf(" %s", rv_method_at(i)->name);
    for (int i = 0; names && rv_schedule_at(i); i++)
        printf(" %s", rv_schedule_at(i)->name);
    for (int i = 0; (names || strcmp(kind, "workloads") == 0) && rv_workload_at(i); i++)
        printf(" %s", rv_workload_at(i)->name);
    for (int i = 0; names && rv_suite_at(i); i++)
        printf(" %s", rv_suite_at(i)->name);
}

static void print_options(const option *options)
{
    for (const option *o = options; o && o->name; o++)
        printf(" --%s", o->name);
}

static void bash(void)
{
    puts("# bash completion of ravine\n_ravine() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} words\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then");
    fputs("    words=\"", stdout);
    for (int i = 0; command_at(i); i++)
        printf("%s%s", i ? " " : "", command_at(i)->name);
    puts("\"\n  else\n    case ${COMP_WORDS[1]} in");
    for (int i = 0; command_at(i); i++) {
        printf("      %s) words=\"", command_at(i)->name);
        print_options(command_at(i)->options);
        print_options(common_options);
        if (command_at(i)->complete)
            print_words(command_at(i)->complete);
        puts("\" ;;");
    }
    puts("    esac\n  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
         "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$word\"))\n"
         "}\ncomplete -o filenames -F _ravine ravine");
}

static void zsh(void)
{
    puts("#compdef ravine\n# zsh completion of ravine\nautoload -U +X bashcompinit && bashcompinit");
    bash();
}

/* One fish completion; quotes in help texts are doubled away by using none. */
static void fish_option(const char *command, const option *o)
{
    printf("complete -c ravine -n '__fish_seen_subcommand_from %s' -l %s", command, o->name);
    if (o->letter)
        printf(" -s %c", o->letter);
    if (o->value)
        fputs(" -r", stdout);
    fputs(" -d '", stdout);
    for (const char *c = o->help; *c; c++)
        if (*c != '\'')
            putchar(*c);
    puts("'");
}

static void fish(void)
{
    puts("# fish completion of ravine");
    for (int i = 0; command_at(i); i++) {
        const command *c = command_at(i);
        printf("complete -c ravine -n __fish_use_subcommand -f -a %s -d '%s'\n", c->name, c->summary);
        for (const option *o = c->options; o->name; o++)
            fish_option(c->name, o);
        if (c->complete && strcmp(c->complete, "files") != 0) {
            printf("complete -c ravine -n '__fish_seen_subcommand_from %s' -f -a '", c->name);
            print_words(c->complete);
            puts("'");
        }
    }
}

static int run(const cli *cli)
{
    static const struct { const char *name; void (*print)(void); } shells[] = {
        {"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(cli->argument[0], shells[i].name) == 0) {
            shells[i].print();
            return EXIT_DONE;
        }
    return cli_usage(cli, "expected bash, zsh or fish, found '%s'", cli->argument[0]);
}

static const option options[] = {{NULL, 0, NULL, NULL, false}};

const command command_completion = {
    .name = "completion",
    .synopsis = "bash|zsh|fish",
    .summary = "Print a completion script for a shell",
    .examples = "  source <(ravine completion bash)\n  ravine completion fish > ~/.config/fish/completions/ravine.fish\n",
    .options = options,
    .least = 1,
    .most = 1,
    .complete = "shells",
    .run = run,
};
