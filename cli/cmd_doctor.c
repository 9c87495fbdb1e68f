/* ravine doctor: this machine and this build, and what to do about what is wrong.
 * All is gathered into one JSON object first; the text is printed from it. */
#include <cblas.h>
#include <dnnl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

#include "cli/command.h"
#include "core/json.h"
#include "ravine/data.h"
#include "ravine/graph.h"
#include "tensor/kernels/cpu/cpu.h"
#include "tensor/limits.h"

/* ---- gathering ----------------------------------------------------------- */

/* The value of the first line "key : value" of a small file of the kernel. */
static bool kernel_line(const char *path, const char *key, char *value, size_t size)
{
    char line[8192];
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        found = colon && strncmp(line, key, strlen(key)) == 0;
        if (found) {
            colon += 1 + strspn(colon + 1, " \t");
            snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
        }
    }
    if (file)
        fclose(file);
    return found;
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

static json_t *processor(void)
{
    static const char *const wanted[] = {"avx", "fma", "avx2", "avx512f", "avx512_bf16", "amx_bf16"};
    char name[256] = "unknown", flags[8192] = "";
    struct utsname system = {0};
    json_t *features = json_array();
    uname(&system);
    kernel_line("/proc/cpuinfo", "model name", name, sizeof name);
    kernel_line("/proc/cpuinfo", "flags", flags, sizeof flags);
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (has_word(flags, wanted[i]))
            json_array_append_new(features, json_string(wanted[i]));
    return json_pack("{s:s,s:s,s:i,s:i,s:o,s:s}", "name", name, "architecture", system.machine, "online",
                     (int)sysconf(_SC_NPROCESSORS_ONLN), "usable", cli_processors(), "features", features,
                     "instruction_set", rv_cpu()->isa);
}

static json_t *libraries(void)
{
    char dnnl[64];
    const dnnl_version_t *v = dnnl_version();
    snprintf(dnnl, sizeof dnnl, "%d.%d.%d", v->major, v->minor, v->patch);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "oneDNN", dnnl, "OpenBLAS", openblas_get_config(), "OpenBLAS core",
                     openblas_get_corename(), "SQLite", sqlite3_libversion(), "zlib", zlibVersion(), "jansson",
                     jansson_version_str());
}

/* The word in brackets of "always [madvise] never". */
static void huge_pages(char *mode, size_t size)
{
    char text[128] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file && !fgets(text, sizeof text, file))
        text[0] = '\0';
    if (file)
        fclose(file);
    const char *open = strchr(text, '[');
    if (open)
        snprintf(mode, size, "%.*s", (int)strcspn(open + 1, "]"), open + 1);
    else
        snprintf(mode, size, "unknown");
}

static json_t *data_sets(const char *folder)
{
    json_t *found = json_array(), *absent = json_array();
    for (int i = 0; rv_data_set_at(i); i++) {
        const rv_data_set *set = rv_data_set_at(i);
        bool there = folder && rv_data_set_check(set, folder, NULL) == RV_OK;
        json_array_append_new(there ? found : absent, json_string(set->name));
    }
    return json_pack("{s:s?,s:o,s:o}", "folder", folder, "found", found, "absent", absent);
}

static json_t *backends(void)
{
    json_t *list = json_array();
    for (int i = 0; i < RV_BACKEND_COUNT; i++)
        json_array_append_new(list, json_string(rv_backend_name((rv_backend)i)));
    return list;
}

static void warn(json_t *warnings, const char *what, const char *remedy)
{
    json_array_append_new(warnings, json_pack("{s:s,s:s}", "warning", what, "remedy", remedy));
}

static json_t *warnings(const json_t *doctor)
{
    json_t *list = json_array();
    const json_t *data = json_object_get(doctor, "data");
    const char *isa = json_string_value(json_object_get(json_object_get(doctor, "processor"), "instruction_set"));
    const char *pages = json_string_value(json_object_get(doctor, "huge_pages"));
    if (json_is_null(json_object_get(data, "folder")))
        warn(list, "no data folder: workloads use procedural data instead",
             "point --data or RAVINE_DATA at a folder; 'ravine data list' names the files");
    else if (json_array_size(json_object_get(data, "found")) == 0)
        warn(list, "no data set was found in the data folder", "'ravine data check' tells what is missing");
    if (strcmp(pages, "never") == 0)
        warn(list, "transparent huge pages are off: large models step more slowly",
             "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
    if (strcmp(isa, "baseline") == 0)
        warn(list, "only the baseline instruction set is used: training is several times slower",
             getenv("RAVINE_ISA") ? "unset RAVINE_ISA" : "a processor with AVX2 and FMA is needed for more");
    if (openblas_get_parallel() == OPENBLAS_SEQUENTIAL)
        warn(list, "OpenBLAS is the serial flavour: runs with several threads may differ from each other",
             "install libopenblas0-openmp");
    return list;
}

static json_t *examine(const cli_line *cli)
{
    char pages[64];
    rv_limits limits;
    huge_pages(pages, sizeof pages);
    json_t *doctor = json_pack("{s:s,s:s,s:o,s:o,s:o,s:s,s:o}", "version", rv_version(), "compiler",
#if defined(__clang__)
                               __VERSION__,
#else
                               "gcc " __VERSION__,
#endif
                               "processor", processor(), "backends", backends(), "libraries", libraries(),
                               "huge_pages", pages, "data", data_sets(cli_data(cli)));
    if (!cli_has(cli, "no-limits")) {
        rv_limits_measure(&limits);
        json_object_set_new(doctor, "limits",
                            json_pack("{s:o,s:o,s:s,s:o,s:o}", "f32_gflops", rv_json_from_real(limits.f32_gflops),
                                      "bf16_gflops", rv_json_from_real(limits.bf16_gflops), "bf16_by", limits.bf16_by,
                                      "copy_l2_gbs", rv_json_from_real(limits.copy_l2_gbs), "copy_gbs",
                                      rv_json_from_real(limits.copy_gbs)));
    }
    json_object_set_new(doctor, "warnings", warnings(doctor));
    return doctor;
}

/* ---- printing -------------------------------------------------------------- */

static void print_value(const json_t *value)
{
    size_t i;
    json_t *item;
    if (json_is_array(value)) {
        if (json_array_size(value) == 0)
            fputs("none", stdout);
        json_array_foreach (value, i, item)
            printf("%s%s", i ? " " : "", json_string_value(item));
    } else if (json_is_number(value)) {
        printf("%.4g", json_number_value(value));
    } else {
        fputs(json_is_string(value) ? json_string_value(value) : "none", stdout);
    }
    putchar('\n');
}

static const char *unit(const char *key)
{
    return strcmp(key, "f32_gflops") == 0    ? "float32, GFLOP/s of one core"
           : strcmp(key, "bf16_gflops") == 0 ? "bf16, GFLOP/s of one core"
           : strcmp(key, "bf16_by") == 0     ? "bf16 by"
           : strcmp(key, "copy_l2_gbs") == 0 ? "copy in the cache, GB/s"
           : strcmp(key, "copy_gbs") == 0    ? "copy in memory, GB/s"
                                             : key;
}

static void print_section(const char *title, const json_t *section)
{
    const char *key;
    json_t *value;
    printf("\n%s\n", title);
    json_object_foreach ((json_t *)(uintptr_t)section, key, value) {
        printf("  %-30s ", unit(key));
        print_value(value);
    }
}

static void print_doctor(const json_t *doctor)
{
    static const char *const sections[] = {"processor", "libraries", "data", "limits"};
    static const char *const lines[] = {"compiler", "backends", "huge_pages"};
    printf("ravine %s\n", json_string_value(json_object_get(doctor, "version")));
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        printf("  %-30s ", lines[i]);
        print_value(json_object_get(doctor, lines[i]));
    }
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        if (json_object_get(doctor, sections[i]))
            print_section(sections[i], json_object_get(doctor, sections[i]));
    size_t i;
    json_t *entry;
    json_array_foreach (json_object_get(doctor, "warnings"), i, entry)
        printf("%swarning: %s\n  %s\n", i ? "" : "\n", json_string_value(json_object_get(entry, "warning")),
               json_string_value(json_object_get(entry, "remedy")));
}

static int run(const cli_line *cli)
{
    json_t *doctor = examine(cli);
    if (!doctor || cli_has(cli, "json"))
        return cli_print_json(doctor);
    print_doctor(doctor);
    json_decref(doctor);
    return EXIT_DONE;
}

static const cli_option options[] = {
    {"data", 0, "DIR", "folder of data sets; default: RAVINE_DATA", false},
    {"no-limits", 0, NULL, "do not measure the machine's limits", false},
    {NULL, 0, NULL, NULL, false},
};

const cli_command command_doctor = {
    .name = "doctor",
    .synopsis = "",
    .summary = "Tell about this machine and this build, and what to do about what is wrong",
    .description = "Processor, instruction set in use, libraries, data sets found, and the limits that speed is\n"
                   "held against, measured: peak rates of float32 and bf16 products and of copying.",
    .examples = "  ravine doctor\n  ravine doctor --data ~/data --json\n",
    .options = options,
    .least = 0,
    .most = 0,
    .run = run,
};
