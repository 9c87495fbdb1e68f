/* ravine report: the HTML page of a folder of runs. */
#include <stdio.h>

#include "cli/command.h"
#include "core/file.h"
#include "ravine/report.h"

static int run(const cli_line *cli)
{
    char fallback[RV_PATH_SIZE];
    rv_error err;
    if (rv_path_join(fallback, cli->argument[0], "report.html", &err) != RV_OK)
        return cli_error(&err);
    const char *out = cli_value(cli, "out", fallback);
    if (rv_report_write(cli->argument[0], out, &err) != RV_OK)
        return cli_error(&err);
    return cli_print_path(cli, "report", out);
}

static const cli_option options[] = {
    {"out", 'o', "FILE", "default: DIR/report.html", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_report = {
    .name = "report",
    .synopsis = "DIR",
    .summary = "Write one self-contained HTML page about the runs in a folder",
    .examples = "  ravine report runs\n  ravine report runs/bench-quick -o quick.html\n",
    .options = options,
    .least = 1,
    .most = 1,
    .complete = "files",
    .run = run,
};
