/* Finds the largest number of columns whose blocks all fit, by printing them. */
#include "bench/blocks.h"

static int widest_line(const rv_text *text)
{
    int widest = 0, width = 0;
    for (size_t i = 0; i < text->size; i++) {
        bool leading = ((unsigned char)text->data[i] & 0xC0) != 0x80; /* of a UTF-8 letter */
        width = text->data[i] == '\n' ? 0 : width + leading;
        widest = width > widest ? width : widest;
    }
    return widest;
}

static bool fits(const void *context, int columns, int at_once, int width, rv_block_print *print)
{
    int widest = 0;
    for (int first = 0; first < columns; first += at_once) {
        rv_text trial = {0};
        print(context, first, columns - first < at_once ? columns - first : at_once, false, &trial);
        widest = widest_line(&trial) > widest ? widest_line(&trial) : widest;
        rv_text_release(&trial);
    }
    return widest <= width;
}

void rv_blocks_print(const void *context, int columns, int most, int width, bool colour, rv_block_print *print,
                     rv_text *out)
{
    int at_once = columns < most ? columns : most;
    while (at_once > 1 && !fits(context, columns, at_once, width, print))
        at_once--;
    for (int first = 0; first < columns; first += at_once) {
        if (first > 0)
            rv_text_format(out, "\n");
        print(context, first, columns - first < at_once ? columns - first : at_once, colour, out);
    }
}
