/* The one piece of global state in the program: a signal handler has no other. */
#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "ravine/core.h"

static volatile int asked;

static void handle(int number)
{
    if (asked)
        _exit(128 + number);
    asked = number;
}

static sigset_t signals;

/* coreutils' timeout sends its signal twice, to the process and to its group: that is one wish. */
static const double AGAIN = 0.1; /* seconds */

static void *watch(void *unused)
{
    double first = 0;
    for (int number = 0; sigwait(&signals, &number) == 0;) {
        if (!asked)
            first = rv_clock();
        else if (rv_clock() - first < AGAIN)
            continue;
        handle(number);
    }
    return unused;
}

/* The kernel lays a handler's frame below the stack pointer of the thread it interrupts, and oneDNN's generated
 * products use that register for addresses of the heap: the frame lands in somebody's memory.  So no thread that
 * computes may be interrupted: the caller and all threads it starts block both signals, one waits for them. */
const volatile int *interrupt_flag(void)
{
    pthread_t watcher;
    struct sigaction action = {.sa_handler = handle}; /* for threads that were there before */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (pthread_create(&watcher, NULL, watch, NULL) == 0)
        pthread_detach(watcher);
    else
        pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    return &asked;
}

int interrupt_exit(void)
{
    return 128 + (asked ? asked : SIGINT);
}
