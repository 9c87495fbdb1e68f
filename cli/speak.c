/* Results on standard output, everything else on standard error. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/command.h"
#include "core/json.h"
#include "core/text.h"

bool cli_colour(int descriptor)
{
    const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
    return isatty(descriptor) && term && strcmp(term, "dumb") != 0 && !(no && *no);
}

int cli_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        return size.ws_col;
    return 100;
}

int cli_error(const rv_error *err)
{
    fprintf(stderr, "ravine: %s\n", err->message);
    bool use = err->status == RV_E_ARGUMENT || err->status == RV_E_UNKNOWN || err->status == RV_E_RANGE;
    return use ? EXIT_USAGE : err->status == RV_E_INTERRUPTED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

int cli_usage(const cli_line *cli, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "ravine %s: ", cli->command->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry: ravine %s --help\n", cli->command->name);
    va_end(args);
    return EXIT_USAGE;
}

int cli_choice(const cli_line *cli, const char *what, const char *text, const char *const *names, int count)
{
    rv_text list = {0};
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], text) == 0) {
            rv_text_release(&list);
            return i;
        }
        rv_text_format(&list, "%s%s", i == 0 ? "" : i + 1 < count ? ", " : " or ", names[i]);
    }
    const char *near = rv_text_nearest(text, names, count);
    cli_usage(cli, "%s%sexpected %s, found '%s'%s%s%s", what, *what ? ": " : "", list.data ? list.data : "another word",
              text, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    rv_text_release(&list);
    return -1;
}

int cli_print_json(json_t *value)
{
    char *text = value ? rv_json_text(value, 0) : NULL;
    json_decref(value);
    if (!text) {
        fputs("ravine: no memory for the result\n", stderr);
        return EXIT_FAILED;
    }
    puts(text);
    free(text);
    return EXIT_DONE;
}

int cli_print_path(const cli_line *cli, const char *key, const char *path)
{
    if (cli_has(cli, "json"))
        return cli_print_json(json_pack("{s:o}", key, rv_json_from_bytes(path)));
    puts(path);
    return EXIT_DONE;
}

int cli_print_written(const cli_line *cli, const char *key, void (*write)(FILE *out))
{
    if (!cli_has(cli, "json")) {
        write(stdout);
        return EXIT_DONE;
    }
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out) {
        write(out);
        fclose(out);
    }
    int status = cli_print_json(text ? json_pack("{s:s}", key, text) : NULL);
    free(text);
    return status;
}
