/* What a study writes for people: its page, with the texts in English and Russian. */
#ifndef RV_STUDIES_PAGE_H
#define RV_STUDIES_PAGE_H

#include "studies/study.h"

/* Adds to body, the page's data of a study, what the page needs to be read in Russian:
 * "ru" {English: Russian} of every text in it, and "untranslated" [English, ..], which is
 * empty when the study's file in studies/ru is complete. */
rv_status rv_study_page_texts(const rv_study *study, json_t *body, rv_error *err);
/* The same for a card of the gallery: sets "title", "question" and "ru". */
rv_status rv_study_card_texts(const rv_study *study, json_t *card, rv_error *err);
/* Writes DIR/index.html and DIR/still.json, what the gallery shows of it; result is the content of study.json. */
rv_status rv_study_page_write(const rv_study_run *run, const char *dir, json_t *result, rv_error *err);

#endif
