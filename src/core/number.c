/* Shortest decimals.  Invariant: reading the text gives the same bits back, in any locale. */
#include <locale.h>
#include <math.h>
#include <string.h>

#include "core/json.h"
#include "core/text.h"

/* "1e+05" -> "1e5", "1e-05" -> "1e-5": the same number, as JSON and people write it. */
static void tidy_exponent(char *text)
{
    char *e = strchr(text, 'e');
    if (e == NULL)
        return;
    char *to = e + 1, *from = e + 1;
    if (*from == '-')
        to++;
    from++;
    while (*from == '0' && from[1] != '\0')
        from++;
    memmove(to, from, strlen(from) + 1);
}

int rv_json_number(double value, char *text, size_t size)
{
    char shortest[40];
    if (isnan(value)) {
        strcpy(shortest, "nan");
    } else if (isinf(value)) {
        strcpy(shortest, value > 0 ? "inf" : "-inf");
    } else if (value == 0) {
        strcpy(shortest, signbit(value) ? "-0.0" : "0"); /* "-0" would be read as an integer */
    } else {
        locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
        locale_t before = c == (locale_t)0 ? c : uselocale(c);
        double back = 0;
        /* Any decimal of up to 15 digits survives the way there and back, so a shorter
         * form, if there is one, is what %.15g prints without its trailing zeros. */
        for (int digits = 15; digits <= 17 && back != value; digits++) {
            snprintf(shortest, sizeof shortest, "%.*g", digits, value);
            if (!rv_text_to_real(shortest, &back))
                break;
        }
        if (c != (locale_t)0) {
            uselocale(before);
            freelocale(c);
        }
        tidy_exponent(shortest);
    }
    return snprintf(text, size, "%s", shortest);
}
