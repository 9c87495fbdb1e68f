/* Writes the report of a folder, for the test that opens it in a browser. */
#include <stdio.h>

#include "ravine/report.h"

int main(int argc, char **argv)
{
    rv_error err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: %s DIR PAGE\n", argv[0]);
        return 2;
    }
    if (rv_report_write(argv[1], argv[2], &err) != RV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return 0;
}
