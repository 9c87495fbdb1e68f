/* The bar rewrites one line; plain lines come every five seconds at most. */
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"

enum { BAR = 24 };

void progress_init(progress *p, bool quiet)
{
    *p = (progress){.quiet = quiet, .terminal = cli_colour(STDERR_FILENO), .shown = -HUGE_VAL};
    pthread_mutex_init(&p->lock, NULL);
}

static void erase(progress *p)
{
    if (p->drawn)
        fputs("\r\033[K", stderr);
    p->drawn = false;
}

static void draw(double fraction, const char *text)
{
    char bar[BAR * 3 + 1];
    int full = isnan(fraction) ? 0 : (int)(fraction * BAR), at = 0;
    for (int i = 0; i < BAR; i++)
        at += snprintf(bar + at, sizeof bar - (size_t)at, "%s", i < full ? "━" : "·");
    fprintf(stderr, "\r\033[K%s %3.0f%%  %s", bar, isnan(fraction) ? 0.0 : 100 * fraction, text);
}

void progress_show(progress *p, double fraction, const char *text)
{
    if (p->quiet)
        return;
    pthread_mutex_lock(&p->lock);
    double now = rv_clock();
    if (now - p->shown >= (p->terminal ? 0.1 : 5)) {
        p->shown = now;
        if (p->terminal)
            draw(fraction, text);
        else
            fprintf(stderr, "%3.0f%%  %s\n", isnan(fraction) ? 0.0 : 100 * fraction, text);
        p->drawn = p->terminal;
    }
    pthread_mutex_unlock(&p->lock);
}

void progress_line(progress *p, const char *text)
{
    if (p->quiet)
        return;
    pthread_mutex_lock(&p->lock);
    erase(p);
    fprintf(stderr, "%s\n", text);
    pthread_mutex_unlock(&p->lock);
}

void progress_clear(progress *p)
{
    pthread_mutex_lock(&p->lock);
    erase(p);
    pthread_mutex_unlock(&p->lock);
}

void progress_end(progress *p)
{
    erase(p);
    pthread_mutex_destroy(&p->lock);
}
