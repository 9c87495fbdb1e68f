/* Scores again under changed circumstances.  Invariant: only the times or the board change;
 * the rules are those of rv_board_apply. */
#include "bench/doubt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static rv_status no_memory(rv_error *err)
{
    return rv_fail(err, RV_E_MEMORY, "score: no memory to score again");
}

static size_t cells_of(const rv_score *score)
{
    return (size_t)score->submissions * (size_t)score->workloads;
}

rv_status rv_score_again(const rv_score *score, const rv_board *board, double *out, rv_error *err)
{
    size_t cells = cells_of(score);
    double *times = malloc((2 * cells + 1) * sizeof *times);
    if (!times)
        return no_memory(err);
    for (size_t c = 0; c < cells; c++)
        times[c] = score->cells[c].time;
    rv_board_apply(board, times, &(rv_verdict){.kept = times + cells, .score = out});
    free(times);
    return RV_OK;
}

/* ---- resampling -------------------------------------------------------------- */

/* Study times at random, four choices to a block. */
static void draw(const rv_score *score, rv_random stream, size_t from, int n, double *out)
{
    uint32_t word[4];
    for (int i = 0; i < n; i++) {
        size_t at = from + (size_t)i;
        if (i == 0 || at % 4 == 0)
            rv_random_block(stream, at / 4, word);
        out[i] = score->study_times[from + (size_t)((uint64_t)word[at % 4] * (uint64_t)n >> 32)];
    }
}

typedef struct resampler {
    const rv_score *score;
    rv_board board;
    double *times, *kept, *scratch;
    int *guards, *rank;
} resampler;

static bool resampler_init(resampler *r, const rv_score *score, const rv_ruleset *ruleset)
{
    size_t cells = cells_of(score), studies = score->studies_at[cells], n = (size_t)score->submissions;
    r->score = score;
    r->times = malloc((cells + 1) * sizeof *r->times);
    r->kept = malloc((cells + 1) * sizeof *r->kept);
    r->scratch = malloc((studies + n + 1) * sizeof *r->scratch);
    r->guards = malloc(((size_t)score->workloads + 1) * sizeof *r->guards);
    r->rank = malloc((n + 1) * sizeof *r->rank);
    if (!r->times || !r->kept || !r->scratch || !r->guards || !r->rank)
        return false;
    r->board = rv_score_board(score, ruleset, r->guards);
    return true;
}

static void resampler_release(resampler *r)
{
    free(r->times);
    free(r->kept);
    free(r->scratch);
    free(r->guards);
    free(r->rank);
}

static void resample_once(resampler *r, rv_random stream, double *out)
{
    const rv_score *score = r->score;
    for (size_t c = 0; c < cells_of(score); c++) {
        int n = (int)(score->studies_at[c + 1] - score->studies_at[c]);
        r->times[c] = score->cells[c].time;
        if (n == 0)
            continue;
        draw(score, stream, score->studies_at[c], n, r->scratch);
        r->times[c] = rv_score_median(r->scratch, n);
    }
    rv_board_apply(&r->board, r->times, &(rv_verdict){.kept = r->kept, .score = out});
    rv_score_rank(out, score->submissions, r->rank, r->scratch);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which a share of the sorted values lies, linear between them. */
static double quantile(const double *sorted, int n, double share)
{
    double at = share * (n - 1);
    int below = (int)at;
    return below + 1 < n ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[n - 1];
}

static void summarise(rv_resampled *r, int submission, double *column)
{
    double mean = 0, square = 0;
    for (int i = 0; i < r->resamples; i++) {
        column[i] = r->score[(size_t)i * (size_t)r->submissions + (size_t)submission];
        mean += column[i] / r->resamples;
    }
    for (int i = 0; i < r->resamples; i++)
        square += (column[i] - mean) * (column[i] - mean);
    qsort(column, (size_t)r->resamples, sizeof *column, compare_doubles);
    r->lo[submission] = quantile(column, r->resamples, 0.025);
    r->hi[submission] = quantile(column, r->resamples, 0.975);
    r->sd[submission] = r->resamples > 1 ? sqrt(square / (r->resamples - 1)) : 0;
    const int *count = r->rank_count + (size_t)submission * (size_t)r->submissions;
    int seen = 0;
    r->rank_lo[submission] = 0;
    for (int k = 0; k < r->submissions; k++) {
        int before = seen;
        seen += count[k];
        if (before <= 0.025 * r->resamples && seen > 0.025 * r->resamples)
            r->rank_lo[submission] = k + 1;
        if (before < 0.975 * r->resamples && seen >= 0.975 * r->resamples)
            r->rank_hi[submission] = k + 1;
    }
}

static bool resampled_init(rv_resampled *r)
{
    size_t n = (size_t)r->submissions, all = (size_t)r->resamples * n;
    r->score = calloc(all + 1, sizeof *r->score);
    r->rank_count = calloc(n * n + 1, sizeof *r->rank_count);
    r->lo = calloc(n + 1, sizeof *r->lo);
    r->hi = calloc(n + 1, sizeof *r->hi);
    r->sd = calloc(n + 1, sizeof *r->sd);
    r->rank_lo = calloc(n + 1, sizeof *r->rank_lo);
    r->rank_hi = calloc(n + 1, sizeof *r->rank_hi);
    return r->score && r->rank_count && r->lo && r->hi && r->sd && r->rank_lo && r->rank_hi;
}

void rv_resampled_release(rv_resampled *r)
{
    free(r->score);
    free(r->rank_count);
    free(r->lo);
    free(r->hi);
    free(r->sd);
    free(r->rank_lo);
    free(r->rank_hi);
    *r = (rv_resampled){0};
}

rv_status rv_resample(rv_resampled *out, const rv_score *score, const rv_ruleset *ruleset, int resamples, uint64_t seed,
                      rv_error *err)
{
    resampler r = {0};
    size_t n = (size_t)score->submissions;
    *out = (rv_resampled){.resamples = resamples, .submissions = score->submissions};
    double *column = malloc(((size_t)resamples + 1) * sizeof *column);
    bool ready = column && resampled_init(out) && resampler_init(&r, score, ruleset);
    for (int i = 0; i < resamples && ready; i++) {
        resample_once(&r, (rv_random){seed, RV_RANDOM_RESAMPLE, (uint64_t)i}, out->score + (size_t)i * n);
        for (size_t s = 0; s < n; s++)
            out->rank_count[s * n + (size_t)r.rank[s] - 1]++;
    }
    for (int s = 0; s < score->submissions && ready; s++)
        summarise(out, s, column);
    resampler_release(&r);
    free(column);
    if (!ready)
        rv_resampled_release(out);
    return ready ? RV_OK : no_memory(err);
}

/* ---- agreement --------------------------------------------------------------- */

/* Twice the mean rank of every value. */
static void mean_ranks(const double *a, int n, double *rank)
{
    for (int i = 0; i < n; i++) {
        rank[i] = 0;
        for (int k = 0; k < n; k++)
            rank[i] += (a[k] < a[i]) + (a[k] <= a[i]);
    }
}

double rv_spearman(const double *a, const double *b, int n)
{
    double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
    double *x = malloc(2 * (size_t)(n + 1) * sizeof *x);
    if (!x)
        return NAN;
    double *y = x + n;
    mean_ranks(a, n, x);
    mean_ranks(b, n, y);
    for (int i = 0; i < n; i++) {
        mx += x[i] / n;
        my += y[i] / n;
    }
    for (int i = 0; i < n; i++) {
        xy += (x[i] - mx) * (y[i] - my);
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
    }
    free(x);
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}
