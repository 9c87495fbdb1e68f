/* Run folders for the tests of reports and exports, in a temporary folder. */
#ifndef RV_TEST_REPORT_FOLDER_H
#define RV_TEST_REPORT_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "temp_folder.h"

static void write_file(const char *run, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", test_folder, run);
    assert_int_equal(rv_folder_make(path, NULL), RV_OK);
    snprintf(path, sizeof path, "%s/%s/%s", test_folder, run, name);
    assert_int_equal(rv_file_write(path, text, strlen(text), NULL), RV_OK);
}

/* Good until the next but one call. */
static const char *path_of(const char *name)
{
    static char paths[2][512];
    static int turn;
    turn = !turn;
    snprintf(paths[turn], sizeof paths[turn], "%s/%s", test_folder, name);
    return paths[turn];
}

/* The bytes of a file, with a NUL after them; the caller frees. */
__attribute__((unused)) static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = calloc(1, *size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

#endif
