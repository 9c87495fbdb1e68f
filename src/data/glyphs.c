/* Procedural digits, where no photographs of digits are at hand: strokes through control
 * points, bent by a random smooth field, put through a random affine map and drawn with a
 * round pen.  Image i is a function of i alone. */
#include <math.h>
#include <stdlib.h>

#include "data/images.h"

enum {
    MAX_SIZE = 32,
    MAX_CHANNELS = 3,
    MAX_POINTS = 9,
    MAX_STROKES = 3,
    MAX_STYLES = 2,
    SPAN = 5,
    BEND = 3,
    GRAIN = 5
};

typedef struct point {
    float x, y;
} point;

/* In a unit square, y downwards; smooth: a Catmull-Rom curve through the points. */
typedef struct stroke {
    int count;
    bool smooth;
    point at[MAX_POINTS];
} stroke;

typedef struct style {
    int count;
    stroke strokes[MAX_STROKES];
} style;

/* clang-format off */
#define CURVE(n, ...) {n, true, {__VA_ARGS__}}
#define LINES(n, ...) {n, false, {__VA_ARGS__}}

/* Two ways to write each digit. */
static const style alphabet[RV_IMAGE_CLASSES][MAX_STYLES] = {
    {{1, {CURVE(8, {.5f, .1f}, {.26f, .28f}, {.22f, .6f}, {.38f, .88f}, {.62f, .88f}, {.78f, .6f}, {.74f, .26f}, {.5f, .1f})}},
     {1, {CURVE(9, {.64f, .14f}, {.44f, .11f}, {.3f, .32f}, {.27f, .62f}, {.4f, .88f}, {.58f, .86f}, {.7f, .6f}, {.68f, .3f}, {.52f, .12f})}}},
    {{1, {LINES(3, {.36f, .28f}, {.52f, .1f}, {.52f, .9f})}},
     {2, {LINES(3, {.32f, .3f}, {.5f, .1f}, {.5f, .9f}),
         LINES(2, {.32f, .9f}, {.7f, .9f})}}},
    {{2, {CURVE(6, {.25f, .3f}, {.36f, .14f}, {.6f, .11f}, {.74f, .29f}, {.6f, .54f}, {.25f, .88f}),
         LINES(2, {.25f, .88f}, {.78f, .88f})}},
     {2, {CURVE(6, {.28f, .26f}, {.44f, .11f}, {.66f, .15f}, {.7f, .36f}, {.5f, .64f}, {.24f, .86f}),
         CURVE(4, {.24f, .86f}, {.4f, .78f}, {.6f, .9f}, {.78f, .84f})}}},
    {{2, {CURVE(5, {.26f, .2f}, {.48f, .1f}, {.7f, .22f}, {.64f, .42f}, {.42f, .48f}),
         CURVE(5, {.42f, .48f}, {.7f, .56f}, {.74f, .76f}, {.52f, .9f}, {.25f, .8f})}},
     {2, {LINES(3, {.26f, .12f}, {.72f, .12f}, {.46f, .42f}),
         CURVE(5, {.46f, .42f}, {.72f, .54f}, {.73f, .76f}, {.5f, .9f}, {.25f, .8f})}}},
    {{2, {LINES(3, {.6f, .1f}, {.22f, .64f}, {.8f, .64f}),
         LINES(2, {.61f, .1f}, {.61f, .92f})}},
     {2, {LINES(3, {.3f, .1f}, {.26f, .54f}, {.78f, .54f}),
         LINES(2, {.68f, .14f}, {.66f, .92f})}}},
    {{2, {LINES(3, {.74f, .12f}, {.34f, .12f}, {.3f, .46f}),
         CURVE(6, {.3f, .46f}, {.52f, .39f}, {.73f, .52f}, {.72f, .76f}, {.5f, .9f}, {.26f, .82f})}},
     {2, {CURVE(6, {.36f, .14f}, {.33f, .45f}, {.58f, .43f}, {.72f, .64f}, {.58f, .87f}, {.28f, .86f}),
         LINES(2, {.36f, .14f}, {.72f, .11f})}}},
    {{1, {CURVE(9, {.66f, .12f}, {.42f, .26f}, {.28f, .55f}, {.32f, .82f}, {.52f, .9f}, {.72f, .78f}, {.68f, .56f}, {.48f, .5f}, {.3f, .66f})}},
     {1, {CURVE(8, {.46f, .08f}, {.32f, .38f}, {.28f, .7f}, {.44f, .9f}, {.66f, .84f}, {.68f, .64f}, {.5f, .56f}, {.31f, .72f})}}},
    {{1, {LINES(3, {.24f, .13f}, {.76f, .13f}, {.42f, .9f})}},
     {2, {CURVE(4, {.24f, .16f}, {.74f, .13f}, {.56f, .5f}, {.46f, .9f}),
         LINES(2, {.36f, .52f}, {.7f, .5f})}}},
    {{2, {CURVE(7, {.5f, .47f}, {.31f, .35f}, {.34f, .16f}, {.5f, .1f}, {.66f, .16f}, {.68f, .35f}, {.5f, .47f}),
         CURVE(7, {.5f, .47f}, {.27f, .64f}, {.31f, .84f}, {.5f, .91f}, {.7f, .84f}, {.73f, .64f}, {.5f, .47f})}},
     {1, {CURVE(9, {.68f, .2f}, {.46f, .1f}, {.32f, .28f}, {.54f, .49f}, {.7f, .7f}, {.5f, .9f}, {.3f, .72f}, {.48f, .5f}, {.7f, .2f})}}},
    {{2, {CURVE(7, {.72f, .27f}, {.56f, .11f}, {.35f, .17f}, {.28f, .38f}, {.45f, .52f}, {.64f, .45f}, {.72f, .27f}),
         LINES(3, {.72f, .27f}, {.69f, .6f}, {.6f, .91f})}},
     {2, {CURVE(7, {.7f, .28f}, {.54f, .1f}, {.34f, .18f}, {.3f, .38f}, {.46f, .5f}, {.64f, .42f}, {.7f, .28f}),
         CURVE(4, {.7f, .28f}, {.72f, .62f}, {.58f, .87f}, {.32f, .84f})}}},
};
/* clang-format on */

/* One image while it is drawn. */
typedef struct sheet {
    rv_random stream;
    uint64_t drawn; /* numbers taken from the stream */
    int size;
    point bend[BEND][BEND];              /* displacements, interpolated between */
    float map[2][3];                     /* unit square to pixels */
    float distance[MAX_SIZE * MAX_SIZE]; /* squared, to the nearest stroke */
} sheet;

static float between(sheet *s, float low, float high)
{
    return low + (high - low) * (float)rv_random_uniform(s->stream, s->drawn++);
}

/* fminf and fmaxf obey rules for NaN that cost a call each. */
static float least(float a, float b)
{
    return a < b ? a : b;
}

static float most(float a, float b)
{
    return a > b ? a : b;
}

static float clamp(float value, float low, float high)
{
    return least(most(value, low), high);
}

static float mix(float a, float b, float t)
{
    return a + (b - a) * t;
}

/* Where t in [0, 1] lies among n equally spaced knots: after which, and how far to the next. */
static int knot(float t, int n, float *fraction)
{
    float place = clamp(t, 0, 1) * (float)(n - 1);
    int index = place >= (float)(n - 2) ? n - 2 : (int)place;
    *fraction = place - (float)index;
    return index;
}

/* ---- geometry ---------------------------------------------------------- */

static void draw_transform(sheet *s)
{
    for (int i = 0; i < BEND; i++)
        for (int j = 0; j < BEND; j++)
            s->bend[i][j].x = between(s, -.1f, .1f), s->bend[i][j].y = between(s, -.1f, .1f);
    float size = (float)s->size;
    float wide = size * between(s, .55f, .92f), tall = size * between(s, .62f, .92f);
    float shear = between(s, -.25f, .25f);
    float t = between(s, -.16f, .16f), norm = 1 + t * t; /* t: tangent of half the angle */
    float cosine = (1 - t * t) / norm, sine = 2 * t / norm;
    float middle_x = size * .5f + size * between(s, -.075f, .075f);
    float middle_y = size * .5f + size * between(s, -.075f, .075f);
    float m00 = cosine * wide, m01 = cosine * shear * tall - sine * tall;
    float m10 = sine * wide, m11 = sine * shear * tall + cosine * tall;
    s->map[0][0] = m00, s->map[0][1] = m01, s->map[0][2] = middle_x - .5f * (m00 + m01);
    s->map[1][0] = m10, s->map[1][1] = m11, s->map[1][2] = middle_y - .5f * (m10 + m11);
}

static point place(const sheet *s, point p)
{
    float u, v;
    int j = knot(p.x, BEND, &u), i = knot(p.y, BEND, &v);
    float x = p.x + mix(mix(s->bend[i][j].x, s->bend[i][j + 1].x, u),
                        mix(s->bend[i + 1][j].x, s->bend[i + 1][j + 1].x, u), v);
    float y = p.y + mix(mix(s->bend[i][j].y, s->bend[i][j + 1].y, u),
                        mix(s->bend[i + 1][j].y, s->bend[i + 1][j + 1].y, u), v);
    return (point){s->map[0][0] * x + s->map[0][1] * y + s->map[0][2],
                   s->map[1][0] * x + s->map[1][1] * y + s->map[1][2]};
}

/* Lowers the distances of the pixels within reach of the segment from a to b. */
static void draw_segment(sheet *s, point a, point b, float reach)
{
    float end = (float)(s->size - 1);
    int left = (int)clamp(least(a.x, b.x) - reach, 0, end),
        right = (int)clamp(most(a.x, b.x) + reach, 0, end);
    int top = (int)clamp(least(a.y, b.y) - reach, 0, end),
        bottom = (int)clamp(most(a.y, b.y) + reach, 0, end);
    float dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    float scale = length > 0 ? 1 / length : 0;
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            float px = (float)x + .5f - a.x, py = (float)y + .5f - a.y;
            float t = clamp((px * dx + py * dy) * scale, 0, 1);
            float ex = px - t * dx, ey = py - t * dy;
            float *d = &s->distance[y * s->size + x];
            *d = least(*d, ex * ex + ey * ey);
        }
}

/* Between b and c, at t in [0, 1], on the Catmull-Rom curve through a, b, c, d. */
static float spline(float a, float b, float c, float d, float t)
{
    return b + .5f * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}

static void draw_stroke(sheet *s, const stroke *k, float reach)
{
    for (int i = 0; i + 1 < k->count; i++) {
        point b = place(s, k->at[i]), c = place(s, k->at[i + 1]);
        point a = i > 0 ? place(s, k->at[i - 1]) : b;
        point d = i + 2 < k->count ? place(s, k->at[i + 2]) : c;
        point from = b;
        for (int step = 1; step <= (k->smooth ? SPAN : 1); step++) {
            float t = (float)step / SPAN;
            point to = k->smooth ? (point){spline(a.x, b.x, c.x, d.x, t), spline(a.y, b.y, c.y, d.y, t)} : c;
            draw_segment(s, from, to, reach);
            from = to;
        }
    }
}

/* ---- ink, paper and noise ---------------------------------------------- */

/* Colours of one channel: the ink's, and the paper's at GRAIN x GRAIN knots. */
typedef struct tint {
    float ink, paper[GRAIN][GRAIN];
} tint;

static void draw_tints(sheet *s, int channels, tint tints[])
{
    if (channels == 1) {
        tints[0] = (tint){.ink = between(s, 150, 255)};
        return;
    }
    float dark = between(s, 0, 1) < .5f ? -1 : 1; /* ink darker or lighter than paper in every channel */
    for (int c = 0; c < channels; c++) {
        float paper = between(s, 70, 185);
        tints[c].ink = paper + dark * between(s, 40, 110);
        for (int i = 0; i < GRAIN; i++)
            for (int j = 0; j < GRAIN; j++)
                tints[c].paper[i][j] = paper + between(s, -38, 38);
    }
}

/* The paper along row y at the GRAIN columns of knots; between them it is linear. */
static void paper_row(const tint *t, float y, float row[GRAIN])
{
    float v;
    int i = knot(y, GRAIN, &v);
    for (int j = 0; j < GRAIN; j++)
        row[j] = mix(t->paper[i][j], t->paper[i + 1][j], v);
}

/* Centred noise for the bytes of a row. */
static void draw_noise(sheet *s, float amount, int count, float noise[])
{
    uint32_t words[4];
    for (int n = 0; n < count; n++) {
        if (n % 16 == 0) /* a block of random numbers is sixteen bytes */
            rv_random_block(s->stream, s->drawn++, words);
        noise[n] = amount * ((float)(words[n / 4 % 4] >> 8 * (n % 4) & 255) - 127.5f);
    }
}

static void colour(sheet *s, int channels, float radius, unsigned char *pixels)
{
    tint tints[MAX_CHANNELS];
    float noise[MAX_SIZE * MAX_CHANNELS], paper[MAX_CHANNELS][GRAIN], fraction[MAX_SIZE];
    int column[MAX_SIZE], size = s->size;
    draw_tints(s, channels, tints);
    float amount = between(s, 4, 36) / 128;
    for (int x = 0; x < size; x++)
        column[x] = knot((float)x / (float)size, GRAIN, &fraction[x]);
    for (int y = 0; y < size; y++) {
        draw_noise(s, amount, size * channels, noise);
        for (int c = 0; c < channels; c++)
            paper_row(&tints[c], (float)y / (float)size, paper[c]);
        for (int x = 0; x < size; x++) {
            float cover = clamp(radius + .5f - sqrtf(s->distance[y * size + x]), 0, 1);
            for (int c = 0; c < channels; c++) {
                float under = mix(paper[c][column[x]], paper[c][column[x] + 1], fraction[x]);
                float value = mix(under, tints[c].ink, cover) + noise[x * channels + c];
                *pixels++ = (unsigned char)clamp(value, 0, 255);
            }
        }
    }
}

static void draw_glyph(int size, int channels, uint64_t number, unsigned char *pixels, unsigned char *label)
{
    sheet s = {.stream = {0x676c7970, RV_RANDOM_DATA, number}, .size = size};
    *label = (unsigned char)rv_random_below(s.stream, s.drawn++, RV_IMAGE_CLASSES);
    const style *written = &alphabet[*label][rv_random_below(s.stream, s.drawn++, MAX_STYLES)];
    draw_transform(&s);
    float radius = (float)size / 28 * between(&s, .55f, 1.6f);
    for (int i = 0; i < size * size; i++)
        s.distance[i] = 1e9f;
    for (int i = 0; i < written->count; i++)
        draw_stroke(&s, &written->strokes[i], radius + 1);
    colour(&s, channels, radius, pixels);
}

rv_status rv_glyphs_draw(int size, int channels, uint64_t first, int64_t count, rv_image_block *out,
                         rv_error *err)
{
    size_t bytes = (size_t)size * (size_t)size * (size_t)channels;
    *out = (rv_image_block){.count = count, .height = size, .width = size, .channels = channels};
    out->pixels = malloc((size_t)count * bytes);
    out->labels = malloc((size_t)count);
    if (!out->pixels || !out->labels) {
        rv_image_block_release(out);
        return rv_fail(err, RV_E_MEMORY, "procedural glyphs: no memory for %lld images", (long long)count);
    }
    for (int64_t i = 0; i < count; i++)
        draw_glyph(size, channels, first + (uint64_t)i, out->pixels + (size_t)i * bytes, &out->labels[i]);
    return RV_OK;
}
