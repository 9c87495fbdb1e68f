/* ravine export: logs and weights in the formats of other programs. */

#include "cli/command.h"
#include "core/file.h"
#include "ravine/report.h"
#include "ravine/tensor.h"

/* The weights of a run folder, rewritten as npz or safetensors. */
static rv_status export_weights(const char *run, const char *out, bool npz, rv_error *err)
{
    char path[RV_PATH_SIZE];
    rv_array_set set;
    RV_TRY(rv_path_join(path, run, "weights.safetensors", err));
    RV_TRY(rv_safetensors_read(path, &set, err));
    rv_status status = npz ? rv_npz_write(out, set.arrays, set.count, err)
                           : rv_safetensors_write(out, set.arrays, set.count, set.metadata, err);
    rv_array_set_release(&set);
    return status;
}

static int run(const cli_line *cli)
{
    static const char *const formats[] = {"csv", "tensorboard", "npz", "safetensors"};
    enum { CSV, TENSORBOARD, NPZ };
    const char *dir = cli->argument[0], *out = cli->argument[1];
    rv_error err;
    rv_status status;
    int to = cli_choice(cli, "--to", cli_value(cli, "to", "csv"), formats, 4);
    if (to < 0)
        return EXIT_USAGE;
    if (to == CSV)
        status = rv_export_csv(dir, out, &err);
    else if (to == TENSORBOARD)
        status = rv_export_tensorboard(dir, out, &err);
    else
        status = export_weights(dir, out, to == NPZ, &err);
    return status == RV_OK ? cli_print_path(cli, formats[to], out) : cli_error(&err);
}

static const cli_option options[] = {
    {"to", 0, "FORMAT", "csv, tensorboard, npz or safetensors; default: csv", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_export = {
    .name = "export",
    .synopsis = "DIR OUT",
    .summary = "Export logs as CSV or TensorBoard events, weights as npz or safetensors",
    .description = "csv and tensorboard take a folder with any number of runs below it; npz and safetensors take\n"
                   "one run folder and write its last weights.",
    .examples = "  ravine export runs all.csv\n"
                "  ravine export runs events --to tensorboard\n"
                "  ravine export runs/char-lm-adamw-1a2b3c4d-s0 weights.npz --to npz\n",
    .options = options,
    .least = 2,
    .most = 2,
    .complete = "files",
    .run = run,
};
