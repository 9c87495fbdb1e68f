/* The one piece of global state in the program: a signal handler has no other. */
#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "ravine/core.h"

static struct {
    sigset_t signals;   /* that are waited for; written before the watcher starts */
    double first;       /* when the first came; the watcher's alone */
    volatile int asked; /* its number, or 0 */
} state;

/* coreutils' timeout sends its signal twice, to the process and to its group: that is one wish. */
static const double AGAIN = 0.1; /* seconds */

static void handle(int number)
{
    if (state.asked)
        _exit(128 + number);
    state.asked = number;
}

static void *watch(void *unused)
{
    for (int number = 0; sigwait(&state.signals, &number) == 0;) {
        if (!state.asked)
            state.first = rv_clock();
        else if (rv_clock() - state.first < AGAIN)
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
    sigemptyset(&state.signals);
    sigaddset(&state.signals, SIGINT);
    sigaddset(&state.signals, SIGTERM);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    pthread_sigmask(SIG_BLOCK, &state.signals, NULL);
    if (pthread_create(&watcher, NULL, watch, NULL) == 0)
        pthread_detach(watcher);
    else
        pthread_sigmask(SIG_UNBLOCK, &state.signals, NULL);
    return &state.asked;
}

int interrupt_exit(void)
{
    return 128 + (state.asked ? state.asked : SIGINT);
}
