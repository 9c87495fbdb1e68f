/* Progress on standard error: a bar on a terminal, a plain line every few seconds
 * elsewhere, nothing with -q.  Calls may come from several threads. */
#ifndef RV_CLI_PROGRESS_H
#define RV_CLI_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>

typedef struct progress {
    bool quiet, terminal;
    double shown; /* clock of the last line or bar */
    bool drawn;   /* a bar stands on the last line */
    pthread_mutex_t lock;
} progress;

void progress_init(progress *p, bool quiet);
/* fraction in [0, 1] or NaN; text: what stands beside the bar. */
void progress_show(progress *p, double fraction, const char *text);
/* One line that stays; the bar is removed first. */
void progress_line(progress *p, const char *text);
/* Removes a bar that stands, so that results can be printed between. */
void progress_clear(progress *p);
void progress_end(progress *p);

#endif
