/* The index of runs.  Invariants: it is never the only place of anything; every write is
 * one immediate transaction on a rollback journal (the write-ahead log of the SQLite
 * versions in use has a known race). */
#include <dirent.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/json.h"
#include "trial/index.h"

enum { BUSY_MS = 30000 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS runs ("
    " run TEXT PRIMARY KEY, workload TEXT, optimizer TEXT, seed INTEGER, outcome TEXT, why TEXT,"
    " steps INTEGER, examples INTEGER, seconds REAL, metric TEXT, best REAL, best_step INTEGER, final REAL,"
    " target_step INTEGER, target_examples INTEGER, target_seconds REAL, config TEXT) WITHOUT ROWID";
static const char insert[] = "INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

static rv_status fail(sqlite3 *db, const char *path, rv_error *err)
{
    return rv_fail(err, sqlite3_errcode(db) == SQLITE_NOMEM ? RV_E_MEMORY : RV_E_IO, "%s: %s", path, sqlite3_errmsg(db));
}

static rv_status execute(sqlite3 *db, const char *path, const char *statement, rv_error *err)
{
    return sqlite3_exec(db, statement, NULL, NULL, NULL) == SQLITE_OK ? RV_OK : fail(db, path, err);
}

static rv_status begin(const char *dir, char path[RV_PATH_SIZE], sqlite3 **db, rv_error *err)
{
    RV_TRY(rv_path_join(path, dir, "index.sqlite", err));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(path, db, flags, NULL) != SQLITE_OK)
        return *db == NULL ? rv_fail(err, RV_E_MEMORY, "%s: no memory to open it", path) : fail(*db, path, err);
    sqlite3_busy_timeout(*db, BUSY_MS);
    RV_TRY(execute(*db, path, "PRAGMA journal_mode=DELETE", err));
    /* At once a writer: a reader that becomes one later can be refused at any time. */
    RV_TRY(execute(*db, path, "BEGIN IMMEDIATE", err));
    return execute(*db, path, schema, err);
}

/* NaN has no place in SQLite: it is NULL there. */
static void bind(sqlite3_stmt *s, const char *config_text, const json_t *config, const rv_trial_result *r)
{
    const char *slash = strrchr(r->run, '/');
    const char *workload = json_string_value(json_object_get(config, "workload"));
    const char *optimizer = json_string_value(json_object_get(config, "optimizer"));
    const json_t *seed = json_object_get(json_object_get(config, "train"), "seed");
    int i = 1;
    sqlite3_bind_text(s, i++, slash == NULL ? r->run : slash + 1, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, i++, workload, -1, SQLITE_STATIC);
    sqlite3_bind_text(s, i++, optimizer, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, i++, json_integer_value(seed));
    sqlite3_bind_text(s, i++, rv_outcome_name(r->outcome), -1, SQLITE_STATIC);
    sqlite3_bind_text(s, i++, r->why, -1, SQLITE_STATIC);
    sqlite3_bind_int64(s, i++, r->steps);
    sqlite3_bind_int64(s, i++, r->examples);
    sqlite3_bind_double(s, i++, r->seconds);
    sqlite3_bind_text(s, i++, r->metric, -1, SQLITE_STATIC);
    sqlite3_bind_double(s, i++, r->best);
    sqlite3_bind_int64(s, i++, r->best_step);
    sqlite3_bind_double(s, i++, r->final);
    if (r->target_step >= 0) {
        sqlite3_bind_int64(s, i, r->target_step);
        sqlite3_bind_int64(s, i + 1, r->target_examples);
        sqlite3_bind_double(s, i + 2, r->target_seconds);
    }
    sqlite3_bind_text(s, i + 3, config_text, -1, SQLITE_STATIC);
}

static rv_status put_row(sqlite3 *db, const char *path, const char *config_text, const rv_trial_result *result, rv_error *err)
{
    sqlite3_stmt *statement = NULL;
    json_t *config = NULL;
    RV_TRY(rv_json_parse(config_text, strlen(config_text), result->run, &config, err));
    bool done = sqlite3_prepare_v2(db, insert, -1, &statement, NULL) == SQLITE_OK;
    if (done) {
        bind(statement, config_text, config, result);
        done = sqlite3_step(statement) == SQLITE_DONE;
    }
    rv_status status = done ? RV_OK : fail(db, path, err);
    sqlite3_finalize(statement);
    json_decref(config);
    return status;
}

rv_status rv_index_put(const char *dir, const char *config, const rv_trial_result *result, rv_error *err)
{
    char path[RV_PATH_SIZE];
    sqlite3 *db = NULL;
    rv_status status = begin(dir, path, &db, err);
    if (status == RV_OK)
        status = put_row(db, path, config, result, err);
    if (status == RV_OK)
        status = execute(db, path, "COMMIT", err);
    sqlite3_close(db);
    return status;
}

/* Folders without a result, or with files that cannot be read, are not runs that ended. */
static rv_status put_folder(sqlite3 *db, const char *path, const char *dir, const char *name, rv_error *err)
{
    char run[RV_PATH_SIZE], file[RV_PATH_SIZE];
    rv_trial_result result;
    json_t *config = NULL;
    if (rv_path_join(run, dir, name, NULL) != RV_OK || rv_trial_read(run, &result, NULL) != RV_OK ||
        rv_path_join(file, run, "config.json", NULL) != RV_OK || rv_json_read(file, &config, NULL) != RV_OK)
        return RV_OK;
    char *text = rv_json_text(config, 2);
    json_decref(config);
    rv_status status = text == NULL ? rv_fail(err, RV_E_MEMORY, "%s: no memory for its configuration", run)
                                    : put_row(db, path, text, &result, err);
    free(text);
    return status;
}

rv_status rv_index_rebuild(const char *dir, rv_error *err)
{
    char path[RV_PATH_SIZE];
    sqlite3 *db = NULL;
    DIR *folder = opendir(dir);
    if (folder == NULL)
        return rv_fail(err, RV_E_IO, "%s: %s", dir, strerror(errno));
    rv_status status = begin(dir, path, &db, err);
    if (status == RV_OK)
        status = execute(db, path, "DELETE FROM runs", err);
    for (struct dirent *entry; status == RV_OK && (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            status = put_folder(db, path, dir, entry->d_name, err);
    if (status == RV_OK)
        status = execute(db, path, "COMMIT", err);
    sqlite3_close(db);
    closedir(folder);
    return status;
}
