/* ravine completion: shell scripts made from the command table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/kinds.h"

static bool takes_files(const cli_command *c)
{
    return c->complete && strncmp(c->complete, "files", 5) == 0;
}

/* The kind of words beside files, or NULL. */
static const char *word_kind(const cli_command *c)
{
    if (!takes_files(c))
        return c->complete;
    return c->complete[5] == ' ' ? c->complete + 6 : NULL;
}

/* The words that may follow a command, one space before each. */
static void put_words(FILE *out, const char *kind)
{
    static const struct { const char *kind, *words; } fixed[] = {
        {"shells", " bash zsh fish"},
        {"data", " list check"},
        {"actions", " rebuild"},
        {"studies", " all"},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (strcmp(kind, fixed[i].kind) == 0)
            fputs(fixed[i].words, out);
    const char *name, *title;
    for (int k = 0; k < CLI_KINDS; k++) {
        if (strcmp(kind, "kinds") == 0)
            fprintf(out, " %s", cli_kinds[k].name);
        bool all = strcmp(kind, "names") == 0 || strcmp(kind, cli_kinds[k].name) == 0;
        for (int i = 0; all && cli_kinds[k].at(i, &name, &title); i++)
            if (name)
                fprintf(out, " %s", name);
    }
}

static void put_options(FILE *out, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++)
        fprintf(out, " --%s", o->name);
}

/* One branch per command of a shell's case: its options and what may be its first argument. */
static void put_cases(FILE *out)
{
    for (int i = 0; command_at(i); i++) {
        const cli_command *c = command_at(i);
        fprintf(out, "      %s) words=\"", c->name);
        put_options(out, c->options);
        put_options(out, common_options);
        if (word_kind(c))
            put_words(out, word_kind(c));
        fputs("\" ;;\n", out);
    }
}

static void put_commands(FILE *out)
{
    for (int i = 0; command_at(i); i++)
        fprintf(out, "%s%s", i ? " " : "", command_at(i)->name);
}

static void bash(FILE *out)
{
    fputs("# bash completion of ravine\n_ravine() {\n"
          "  local word=${COMP_WORDS[COMP_CWORD]} words=\n"
          "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"", out);
    put_commands(out);
    fputs("\"\n  else\n    case ${COMP_WORDS[1]} in\n", out);
    put_cases(out);
    fputs("    esac\n  fi\n"
          "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
          "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$word\"))\n"
          "}\ncomplete -o filenames -F _ravine ravine\n", out);
}

static void zsh(FILE *out)
{
    fputs("#compdef ravine\n# zsh completion of ravine\n_ravine() {\n"
          "  local words_of_line=(\"${words[@]}\") words=\n"
          "  if (( CURRENT == 2 )); then\n    words=\"", out);
    put_commands(out);
    fputs("\"\n  else\n    case ${words_of_line[2]} in\n", out);
    put_cases(out);
    fputs("    esac\n  fi\n"
          "  compadd -- ${=words}\n"
          "  (( CURRENT == 2 )) || _files\n"
          "}\n"
          "if [ \"$funcstack[1]\" = _ravine ]; then _ravine \"$@\"; else compdef _ravine ravine; fi\n", out);
}

static void fish_option(FILE *out, const char *command, const cli_option *o)
{
    fprintf(out, "complete -c ravine -n '__fish_seen_subcommand_from %s' -l %s", command, o->name);
    if (o->letter)
        fprintf(out, " -s %c", o->letter);
    if (o->value)
        fputs(" -r", out);
    fputs(" -d '", out);
    for (const char *c = o->help; *c; c++)
        fprintf(out, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
    fputs("'\n", out);
}

static void fish(FILE *out)
{
    fputs("# fish completion of ravine\n", out);
    for (int i = 0; command_at(i); i++) {
        const cli_command *c = command_at(i);
        fprintf(out, "complete -c ravine -n __fish_use_subcommand -f -a %s -d '%s'\n", c->name, c->summary);
        for (const cli_option *o = c->options; o->name; o++)
            fish_option(out, c->name, o);
        for (const cli_option *o = common_options; o->name; o++)
            fish_option(out, c->name, o);
        if (word_kind(c)) {
            fprintf(out, "complete -c ravine -n '__fish_seen_subcommand_from %s'%s -a '", c->name, takes_files(c) ? "" : " -f");
            put_words(out, word_kind(c));
            fputs("'\n", out);
        }
    }
}

static int run(const cli_line *cli)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    static void (*const print[])(FILE *) = {bash, zsh, fish};
    int shell = cli_choice(cli, "", cli->argument[0], shells, 3);
    return shell < 0 ? EXIT_USAGE : cli_print_written(cli, "completion", print[shell]);
}

static const cli_option options[] = {{NULL, 0, NULL, NULL, false}};

const cli_command command_completion = {
    .name = "completion",
    .synopsis = "bash|zsh|fish",
    .summary = "Print a completion script for a shell",
    .examples = "  source <(ravine completion bash)\n"
                "  ravine completion zsh > ~/.zfunc/_ravine\n"
                "  ravine completion fish > ~/.config/fish/completions/ravine.fish\n",
    .options = options,
    .least = 1,
    .most = 1,
    .complete = "shells",
    .run = run,
};
