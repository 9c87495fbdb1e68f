/* TensorBoard event files, written by hand: the format is the contract.
 *
 * A record is  u64 length | u32 masked CRC32C of it | payload | u32 masked CRC32C of that,
 * little-endian; the payload is a protobuf Event: wall_time (1, double), step (2, varint),
 * file_version (3, text) or summary (5) of values (1) of tag (1) and simple_value (2, float).
 * https://github.com/tensorflow/tensorboard, compat/proto/{event,summary}.proto. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "ravine/report.h"
#include "trial/runs.h"

/* ---- records ---------------------------------------------------------------- */

typedef struct crc_table {
    uint32_t row[256];
} crc_table;

/* CRC-32C (Castagnoli), reflected polynomial 0x82F63B78. */
static void crc_init(crc_table *table)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
        table->row[i] = crc;
    }
}

static uint32_t crc_masked(const crc_table *table, const char *bytes, size_t n)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++)
        crc = table->row[(crc ^ (unsigned char)bytes[i]) & 0xFF] ^ crc >> 8;
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

static void put_le(rv_text *out, uint64_t value, int bytes)
{
    char little[8];
    for (int i = 0; i < bytes; i++)
        little[i] = (char)(value >> (8 * i) & 0xFF);
    rv_text_put(out, little, (size_t)bytes);
}

static void put_record(rv_text *out, const crc_table *crc, const rv_text *payload)
{
    size_t start = out->size;
    put_le(out, payload->size, 8);
    if (out->failed)
        return;
    put_le(out, crc_masked(crc, out->data + start, 8), 4);
    rv_text_put(out, payload->data, payload->size);
    put_le(out, crc_masked(crc, payload->data, payload->size), 4);
}

/* ---- protobuf ---------------------------------------------------------------- */

enum { WIRE_VARINT = 0, WIRE_DOUBLE = 1, WIRE_BYTES = 2, WIRE_FLOAT = 5 };

static void put_varint(rv_text *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_le(out, (value & 0x7F) | 0x80, 1);
    put_le(out, value, 1);
}

static void put_key(rv_text *out, unsigned field, unsigned wire)
{
    put_varint(out, field << 3 | wire);
}

static void put_bytes(rv_text *out, unsigned field, const char *bytes, size_t n)
{
    put_key(out, field, WIRE_BYTES);
    put_varint(out, n);
    rv_text_put(out, bytes, n);
}

static void put_time(rv_text *out, double seconds)
{
    uint64_t bits;
    memcpy(&bits, &seconds, sizeof bits);
    put_key(out, 1, WIRE_DOUBLE);
    put_le(out, bits, 8);
}

static void put_value(rv_text *summary, const char *split, const char *name, double value)
{
    rv_text entry = {0}, tag = {0};
    float single = (float)value;
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    rv_text_format(&tag, "%s/%s", split, name);
    put_bytes(&entry, 1, tag.data ? tag.data : "", tag.size);
    put_key(&entry, 2, WIRE_FLOAT);
    put_le(&entry, bits, 4);
    put_bytes(summary, 1, entry.data ? entry.data : "", entry.size);
    summary->failed |= entry.failed || tag.failed;
    rv_text_release(&entry);
    rv_text_release(&tag);
}

/* ---- runs -------------------------------------------------------------------- */

/* Seconds since 1970 at which the run began; 0 when its meta.json does not tell. */
static double start_time(const rv_run *run)
{
    const char *text = json_string_value(json_object_get(run->meta, "start"));
    struct tm utc = {0};
    return text && strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc) ? (double)timegm(&utc) : 0;
}

static void put_version(rv_text *out, const crc_table *crc, double start)
{
    static const char version[] = "brain.Event:2";
    rv_text event = {0};
    put_time(&event, start);
    put_bytes(&event, 3, version, sizeof version - 1);
    put_record(out, crc, &event);
    rv_text_release(&event);
}

/* Wall time is the start and the training clock, so that a relative axis shows the latter. */
static void put_line(rv_text *out, const crc_table *crc, double start, const json_t *line)
{
    const json_t *values = rv_run_values(line);
    rv_text event = {0}, summary = {0};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        if (!rv_run_is_coordinate(key) && (json_is_number(value) || json_is_string(value)))
            put_value(&summary, rv_run_split(line), key, rv_json_real(values, key, NAN));
    }
    put_time(&event, start + rv_json_real(line, "seconds", 0));
    put_key(&event, 2, WIRE_VARINT);
    put_varint(&event, (uint64_t)json_integer_value(json_object_get(line, "step")));
    if (summary.size)
        put_bytes(&event, 5, summary.data, summary.size);
    put_record(out, crc, &event);
    out->failed |= event.failed || summary.failed;
    rv_text_release(&event);
    rv_text_release(&summary);
}

static rv_status export_run(const rv_run *run, const crc_table *crc, const char *out_dir, rv_error *err)
{
    char folder[2048], path[2200];
    double start = start_time(run);
    rv_text out = {0};
    size_t i;
    json_t *line;
    if (snprintf(folder, sizeof folder, "%s/%s", out_dir, run->name) >= (int)sizeof folder)
        return rv_fail(err, RV_E_IO, "%s/%s: path too long", out_dir, run->name);
    RV_TRY(rv_folder_make(folder, err));
    /* The reader looks for "tfevents" in the name; the rest is free and the same every time. */
    snprintf(path, sizeof path, "%s/events.out.tfevents.0.ravine", folder);
    put_version(&out, crc, start);
    json_array_foreach(run->log, i, line)
    {
        put_line(&out, crc, start, line);
    }
    rv_status status = out.failed ? rv_fail(err, RV_E_MEMORY, "%s: no memory for the events", path)
                                  : rv_file_write(path, out.data, out.size, err);
    rv_text_release(&out);
    return status;
}

rv_status rv_export_tensorboard(const char *dir, const char *out, rv_error *err)
{
    rv_runs runs;
    crc_table crc;
    crc_init(&crc);
    RV_TRY(rv_runs_list(&runs, dir, err));
    rv_status status = runs.count ? RV_OK : rv_fail(err, RV_E_IO, "%s: no run folder (with a config.json) here or below", dir);
    for (int i = 0; i < runs.count && status == RV_OK; i++) {
        rv_run run;
        status = rv_run_load(&run, dir, runs.name[i], err);
        if (status == RV_OK)
            status = export_run(&run, &crc, out, err);
        rv_run_release(&run);
    }
    rv_runs_release(&runs);
    return status;
}
