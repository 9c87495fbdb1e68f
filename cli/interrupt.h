/* SIGINT and SIGTERM ask for an orderly stop; a second one ends the program at once. */
#ifndef RV_CLI_INTERRUPT_H
#define RV_CLI_INTERRUPT_H

/* Installs the handlers; the flag becomes the signal's number. */
const volatile int *interrupt_flag(void);
/* 130 for SIGINT, 143 for SIGTERM. */
int interrupt_exit(void);

#endif
