/* ravine index: the table of runs, made again from the run folders. */

#include "cli/command.h"
#include "core/file.h"
#include "trial/index.h"

static int run(const cli_line *cli)
{
    const char *dir = cli->argument[1];
    rv_error err;
    static const char *const actions[] = {"rebuild"};
    if (cli_choice(cli, "", cli->argument[0], actions, 1) < 0)
        return EXIT_USAGE;
    char path[RV_PATH_SIZE];
    if (rv_path_join(path, dir, "index.sqlite", &err) != RV_OK || rv_index_rebuild(dir, &err) != RV_OK)
        return cli_error(&err);
    return cli_print_path(cli, "index", path);
}

static const cli_option options[] = {{NULL, 0, NULL, NULL, false}};

const cli_command command_index = {
    .name = "index",
    .synopsis = "rebuild DIR",
    .summary = "Make the table of runs again from the run folders",
    .description = "Every run enters DIR/index.sqlite when it ends.  The table holds nothing that the folders do\n"
                   "not: after copying, moving or deleting runs, it is thrown away and made again.",
    .examples = "  ravine index rebuild runs\n",
    .options = options,
    .least = 2,
    .most = 2,
    .complete = "actions",
    .run = run,
};
