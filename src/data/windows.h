/* Windows over a row of tokens: the source behind characters and words. */
#ifndef RV_DATA_WINDOWS_H
#define RV_DATA_WINDOWS_H

#include "ravine/data.h"

typedef struct rv_windows {
    const char *title; /* for errors; only read while rv_windows_new runs */
    int32_t *tokens;   /* all splits, one behind the other; owned by the source, also when it fails */
    int64_t size[3];   /* tokens of each split; 0: there is no such split */
    int64_t stride[3]; /* between the starts of its examples */
    int block;         /* tokens of a window */
    bool last;         /* one label i32 [], the token after the window; else i32 [block], one after each */
    bool draw;
    int classes;
    int64_t *counts;   /* [classes] or NULL; owned likewise */
    char **names;      /* [classes] or NULL, one allocation with its text; owned likewise */
} rv_windows;

/* The caller writes the description.  RV_E_RANGE where training or validation are shorter than a window
 * and its label. */
rv_status rv_windows_new(rv_source **out, rv_windows *windows, rv_error *err);
/* Frees what a source would own, where none is made. */
void rv_windows_release(rv_windows *windows);

#endif
