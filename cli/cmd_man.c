/* ravine man: the manual page, made from the command table. */
#include <stdio.h>

#include "cli/command.h"

/* Text for roff: backslashes, dashes and leading dots escaped. */
static void roff(FILE *out, const char *text)
{
    bool start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
        start = *text == '\n';
    }
}

static void roff_options(FILE *out, const cli_option *options)
{
    for (const cli_option *o = options; o && o->name; o++) {
        fputs(".TP\n\\fB", out);
        if (o->letter)
            fprintf(out, "\\-%c\\fR, \\fB", o->letter);
        fputs("\\-\\-", out);
        roff(out, o->name);
        fputs("\\fR", out);
        if (o->value) {
            fputs(" \\fI", out);
            roff(out, o->value);
            fputs("\\fR", out);
        }
        fputc('\n', out);
        roff(out, o->help);
        fputc('\n', out);
    }
}

static void roff_command(FILE *out, const cli_command *c)
{
    fputs(".SS \"ravine ", out);
    roff(out, c->name);
    fprintf(out, "%s", c->synopsis[0] ? " " : "");
    roff(out, c->synopsis);
    fputs("\"\n", out);
    roff(out, c->summary);
    fputs(".\n", out);
    if (c->description) {
        fputs(".PP\n", out);
        roff(out, c->description);
        fputc('\n', out);
    }
    roff_options(out, c->options);
    fputs(".PP\nExamples:\n.nf\n", out);
    roff(out, c->examples);
    fputs(".fi\n", out);
}

static void page(FILE *out)
{
    fprintf(out, ".TH RAVINE 1 \"\" \"ravine %s\" \"User Commands\"\n.SH NAME\n"
           "ravine \\- a laboratory for deep\\-learning optimizers\n"
           ".SH SYNOPSIS\n.B ravine\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR]... [\\fIOPTION\\fR]...\n"
           ".SH DESCRIPTION\nTrains small networks, compares optimizers on the same problems, budgets and\n"
           "search effort, and shows the result in one HTML page.  Results go to standard output,\n"
           "progress and notes to standard error.\n.SH COMMANDS\n", rv_version());
    for (int i = 0; command_at(i); i++)
        roff_command(out, command_at(i));
    fputs(".SH COMMON OPTIONS\n", out);
    roff_options(out, common_options);
    fputs(".SH ENVIRONMENT\n.TP\n\\fBRAVINE_DATA\\fR\nFolder of data sets, as \\-\\-data.\n"
         ".TP\n\\fBRAVINE_SET\\fR\nParameters \"a=b,c=d\" that come before those of \\-\\-set.\n"
         ".TP\n\\fBRAVINE_ISA\\fR\nUse this instruction set: baseline, avx2, avx512 or avx512_bf16.\n"
         ".TP\n\\fBNO_COLOR\\fR\nNo colours and no bars.\n"
         ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong use, 130 interrupted.\n", out);
}

static int run(const cli_line *cli)
{
    return cli_print_written(cli, "man", page);
}

static const cli_option options[] = {{NULL, 0, NULL, NULL, false}};

const cli_command command_man = {
    .name = "man",
    .synopsis = "",
    .summary = "Print the manual page",
    .examples = "  ravine man | man -l -\n",
    .options = options,
    .least = 0,
    .most = 0,
    .run = run,
};
