/* Statuses and errors as values.  Invariant: a message is always terminated and
 * never longer than its field; a NULL error is a caller who does not ask. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ravine/core.h"

const char *rv_status_name(rv_status status)
{
    switch (status) {
#define X(code, name, meaning)                                                                           \
    case code:                                                                                           \
        return name;
        RV_STATUS_MAP(X)
#undef X
    }
    return "unknown status";
}

rv_status rv_fail(rv_error *err, rv_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    va_list args;
    va_start(args, format);
    err->status = status;
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

rv_status rv_fail_prefix(rv_error *err, rv_status status, const char *format, ...)
{
    if (err == NULL)
        return status;
    char rest[sizeof err->message];
    memcpy(rest, err->message, sizeof rest);
    rest[sizeof rest - 1] = '\0';
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->message)
        snprintf(err->message + n, sizeof err->message - (size_t)n, ": %s", rest);
    err->status = status;
    return status;
}

const char *rv_version(void)
{
    return RV_VERSION;
}
