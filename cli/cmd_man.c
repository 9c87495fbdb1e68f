/* ravine man: the manual page, made from the command table. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

/* Text for roff: backslashes, dashes and leading dots escaped. */
static void roff(const char *text)
{
    bool start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
        start = *text == '\n';
    }
}

static void roff_options(const option *options)
{
    for (const option *o = options; o && o->name; o++) {
        fputs(".TP\n\\fB", stdout);
        if (o->letter)
            printf("\\-%c\\fR, \\fB", o->letter);
        fputs("\\-\\-", stdout);
        roff(o->name);
        fputs("\\fR", stdout);
        if (o->value) {
            fputs(" \\fI", stdout);
            roff(o->value);
            fputs("\\fR", stdout);
        }
        putchar('\n');
        roff(o->help);
        putchar('\n');
    }
}

static void roff_command(const command *c)
{
    fputs(".SS \"ravine ", stdout);
    roff(c->name);
    printf("%s", c->synopsis[0] ? " " : "");
    roff(c->synopsis);
    fputs("\"\n", stdout);
    roff(c->summary);
    fputs(".\n", stdout);
    if (c->description) {
        fputs(".PP\n", stdout);
        roff(c->description);
        putchar('\n');
    }
    roff_options(c->options);
    fputs(".PP\nExamples:\n.nf\n", stdout);
    roff(c->examples);
    fputs(".fi\n", stdout);
}

static int run(const cli *cli)
{
    (void)cli;
    printf(".TH RAVINE 1 \"\" \"ravine %s\" \"User Commands\"\n.SH NAME\n"
           "ravine \\- a laboratory for deep\\-learning optimizers\n"
           ".SH SYNOPSIS\n.B ravine\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR]... [\\fIOPTION\\fR]...\n"
           ".SH DESCRIPTION\nTrains small networks, compares optimizers on the same problems, budgets and\n"
           "search effort, and shows the result in one HTML page.  Results go to standard output,\n"
           "progress and notes to standard error.\n.SH COMMANDS\n", rv_version());
    for (int i = 0; command_at(i); i++)
        roff_command(command_at(i));
    puts(".SH COMMON OPTIONS");
    roff_options(common_options);
    puts(".SH ENVIRONMENT\n.TP\n\\fBRAVINE_DATA\\fR\nFolder of data sets, as \\-\\-data.\n"
         ".TP\n\\fBRAVINE_SET\\fR\nParameters \"a=b,c=d\" that come before those of \\-\\-set.\n"
         ".TP\n\\fBNO_COLOR\\fR\nNo colours and no bars.\n"
         ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong use, 130 interrupted.");
    return EXIT_DONE;
}

static const option options[] = {{NULL, 0, NULL, NULL, false}};

const command command_man = {
    .name = "man",
    .synopsis = "",
    .summary = "Print the manual page",
    .examples = "  ravine man | man -l -\n",
    .options = options,
    .least = 0,
    .most = 0,
    .run = run,
};
