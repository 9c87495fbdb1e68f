/* The texts of a page and their Russian. */
#ifndef RV_REPORT_TEXTS_H
#define RV_REPORT_TEXTS_H

#include <jansson.h>

#include "ravine/core.h"

typedef struct rv_texts {
    json_t *table;                  /* formats to formats */
    json_t *russian, *untranslated; /* of the page: texts to texts; texts without */
} rv_texts;

/* name: as rv_russian_open has it.  Closed by rv_texts_close, after a success only. */
rv_status rv_texts_open(rv_texts *texts, const char *name, rv_error *err);
/* Sets "ru" {English: Russian} of all that was added, and "untranslated" [English, ..], which is empty when the
 * table is complete. */
void rv_texts_close(rv_texts *texts, json_t *body);

/* A text; symbols and numbers need no translation.  Anything but a string is left alone. */
void rv_texts_add(rv_texts *texts, const json_t *value);
void rv_texts_field(rv_texts *texts, const json_t *object, const char *key);
/* These keys (the last NULL) of every object of a list. */
void rv_texts_list(rv_texts *texts, const json_t *list, const char *const *keys);
void rv_texts_figure(rv_texts *texts, const json_t *figure);
/* A source as a whole, or else reference by reference: "slide; Gupta et al. 2018". */
void rv_texts_source(rv_texts *texts, const json_t *value);

#endif
