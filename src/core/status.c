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
    size_t used = n < 0 ? 0 : (size_t)n, room = sizeof err->message - 1;
    if (used + 2 < room) {
        size_t length = strlen(rest), fits = room - used - 2;
        memcpy(err->message + used, ": ", 2);
        memcpy(err->message + used + 2, rest, length < fits ? length : fits);
        err->message[used + 2 + (length < fits ? length : fits)] = '\0';
    }
    err->status = status;
    return status;
}

const char *rv_version(void)
{
    return RV_VERSION;
}
