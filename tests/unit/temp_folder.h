/* A folder in /tmp for a group of tests, or for each of them: cmocka's setup and teardown. */
#ifndef RV_TEST_TEMP_FOLDER_H
#define RV_TEST_TEMP_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One test at a time runs in a process, so one folder is enough. */
static char test_folder[32];

static inline int make_folder(void **state)
{
    strcpy(test_folder, "/tmp/ravine-test-XXXXXX");
    *state = mkdtemp(test_folder);
    return *state ? 0 : -1;
}

static inline int remove_folder(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", test_folder);
    return system(command);
}

#endif
