/* Pictures in black and white.  Invariant: a pattern is square and has bright and dark cells. */
#include "probe/pattern.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"

enum { OWN = 10, LIMIT = 1 << 16 };

/* Lists the cells of each kind; false when one is missing. */
static bool index_cells(rv_pattern *p)
{
    p->cells = p->side * p->side;
    p->count[0] = p->count[1] = 0;
    for (int k = 0; k < p->cells; k++)
        p->list[p->bright[k]][p->count[p->bright[k]]++] = k;
    return p->count[0] > 0 && p->count[1] > 0;
}

void rv_pattern_built_in(rv_pattern *p, const char *name)
{
    static const char heart[] = ".........."
                                "..##..##.."
                                ".########."
                                ".########."
                                ".########."
                                "..######.."
                                "...####..."
                                "....##...."
                                ".........."
                                "..........",
                      smiley[] = "..######.."
                                 ".#......#."
                                 "#..#..#..#"
                                 "#..#..#..#"
                                 "#........#"
                                 "#.#....#.#"
                                 "#..####..#"
                                 ".#......#."
                                 "..######.."
                                 "..........";
    const char *picture = strcmp(name, "heart") == 0 ? heart : smiley;
    *p = (rv_pattern){.side = OWN};
    snprintf(p->name, sizeof p->name, "%s", name);
    for (int k = 0; k < OWN * OWN; k++)
        p->bright[k] = picture[k] == '#';
    index_cells(p);
}

void rv_pattern_random(rv_pattern *p, uint64_t seed)
{
    *p = (rv_pattern){.name = "noise", .side = OWN};
    for (int k = 0; k < OWN * OWN; k++)
        p->bright[k] = rv_random_uniform((rv_random){seed, RV_RANDOM_DATA, 0}, (uint64_t)k) < 0.4;
    index_cells(p);
}

/* ---- files ------------------------------------------------------------------------------- */

/* Rows as they stand in a file. */
typedef struct picture {
    int width, height;
    bool bright[RV_PATTERN_SIDE][RV_PATTERN_SIDE];
} picture;

/* The next number of a plain bitmap's head, comments skipped; -1: none. */
static int head_number(const char *text, size_t size, size_t *at)
{
    int number = -1;
    while (*at < size && (isspace((unsigned char)text[*at]) || text[*at] == '#'))
        if (text[(*at)++] == '#')
            while (*at < size && text[*at] != '\n')
                (*at)++;
    for (; *at < size && isdigit((unsigned char)text[*at]) && number < 10000; (*at)++)
        number = (number < 0 ? 0 : number) * 10 + (text[*at] - '0');
    return number;
}

static rv_status read_bitmap(picture *p, const char *text, size_t size, const char *path, rv_error *err)
{
    size_t at = 2;
    p->width = head_number(text, size, &at);
    p->height = head_number(text, size, &at);
    if (p->width < 1 || p->height < 1 || p->width > RV_PATTERN_SIDE || p->height > RV_PATTERN_SIDE)
        return rv_fail(err, RV_E_FORMAT, "%s: expected a bitmap of at most %d x %d, found %d x %d", path, RV_PATTERN_SIDE,
                       RV_PATTERN_SIDE, p->width, p->height);
    int found = 0;
    for (; at < size && found < p->width * p->height; at++)
        if (text[at] == '0' || text[at] == '1') {
            p->bright[found / p->width][found % p->width] = text[at] == '1';
            found++;
        }
    if (found < p->width * p->height)
        return rv_fail(err, RV_E_FORMAT, "%s: expected %d digits 0 or 1, found %d", path, p->width * p->height, found);
    return RV_OK;
}

static rv_status read_lines(picture *p, const char *text, size_t size, const char *path, rv_error *err)
{
    int row = 0, column = 0;
    for (size_t at = 0; at < size; at++) {
        if (text[at] == '\n') {
            row++;
            column = 0;
        } else if (text[at] != '\r') {
            if (row >= RV_PATTERN_SIDE || column >= RV_PATTERN_SIDE)
                return rv_fail(err, RV_E_FORMAT, "%s:%d: expected at most %d lines of %d characters", path, row + 1,
                               RV_PATTERN_SIDE, RV_PATTERN_SIDE);
            p->bright[row][column++] = !strchr(" .0", text[at]);
            p->width = column > p->width ? column : p->width;
            p->height = row + 1;
        }
    }
    return RV_OK;
}

/* In the middle of a square. */
static void take(rv_pattern *p, const picture *from)
{
    p->side = from->width > from->height ? from->width : from->height;
    const int left = (p->side - from->width) / 2, top = (p->side - from->height) / 2;
    for (int y = 0; y < from->height; y++)
        for (int x = 0; x < from->width; x++)
            p->bright[(top + y) * p->side + left + x] = from->bright[y][x];
}

rv_status rv_pattern_read(rv_pattern *p, const char *path, rv_error *err)
{
    rv_reader reader;
    picture found = {0};
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    *p = (rv_pattern){0};
    snprintf(p->name, sizeof p->name, "%.*s", (int)strcspn(base, "."), base);
    RV_TRY(rv_reader_open(&reader, path, LIMIT, err));
    const char *text = (const char *)reader.data;
    const bool bitmap = reader.size > 2 && text[0] == 'P' && text[1] == '1' && isspace((unsigned char)text[2]);
    rv_status status = bitmap ? read_bitmap(&found, text, reader.size, path, err)
                              : read_lines(&found, text, reader.size, path, err);
    rv_reader_close(&reader);
    RV_TRY(status);
    take(p, &found);
    if (!index_cells(p))
        return rv_fail(err, RV_E_FORMAT, "%s: expected bright and dark cells, found %d bright of %d", path, p->count[1],
                       p->cells);
    return RV_OK;
}

/* ---- what a surface shows of it -------------------------------------------------------------- */

double rv_pattern_agreement(const rv_pattern *p, const double *values)
{
    int best = 0;
    for (int k = -1; k < p->cells; k++) {
        double threshold = k < 0 ? -HUGE_VAL : values[k];
        int right = 0;
        for (int i = 0; i < p->cells; i++)
            right += p->bright[i] == (values[i] <= threshold);
        best = right > best ? right : best;
    }
    return (double)best / p->cells;
}

double rv_pattern_mean(const rv_pattern *p, const double *values, bool bright)
{
    double sum = 0;
    for (int k = 0; k < p->cells; k++)
        sum += p->bright[k] == bright ? values[k] / p->count[bright] : 0;
    return sum;
}
