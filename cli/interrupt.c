/* The one piece of global state in the program: a signal handler has no other. */
#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile int asked;

static void handle(int number)
{
    if (asked)
        _exit(128 + number);
    asked = number;
}

const volatile int *interrupt_flag(void)
{
    struct sigaction action = {.sa_handler = handle};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &asked;
}

int interrupt_exit(void)
{
    return 128 + (asked ? asked : SIGINT);
}
