/* A table whose many columns are cut into blocks, one below the other, to fit a terminal. */
#ifndef RV_BENCH_BLOCKS_H
#define RV_BENCH_BLOCKS_H

#include "core/text.h"

/* Prints the table with the columns first..first+count-1 beside those that every block has. */
typedef void rv_block_print(const void *context, int first, int count, bool colour, rv_text *out);

/* As many of the columns beside each other as fit into width, at most `most`. */
void rv_blocks_print(const void *context, int columns, int most, int width, bool colour, rv_block_print *print,
                     rv_text *out);

#endif
