/* In-context regression: a prompt of N examples (x, y = x . task) and a query, and what a linear transformer
 * of Ahn et al. 2023 makes of it.
 *
 * The model maps Z [N + 1, d + 1], rows (x, y) and last (query, 0), by L layers
 *     Z <- Z + 1/N (Z Q Z') A (Z P'),   A = diag(1, .., 1, 0),
 * where Q is zero outside its upper d x d block, and P has such a block and a 1 in its corner.  Since y is
 * linear in x at every depth, all rows of x are X T and all y are X u (less X task in the query's row), with
 *     u <- u + T Q T' G u,   T <- T + T Q (T' G T) P',   G = X'X / N,   u = task, T = 1 at first,
 * and prediction + y of the query is query . u: no sum over the prompt is left but G. */
#ifndef RV_WORKLOADS_PROMPT_H
#define RV_WORKLOADS_PROMPT_H

#include "ravine/core.h"

enum {
    RV_PROMPT_D = 5,
    RV_PROMPT_D2 = RV_PROMPT_D * RV_PROMPT_D,
    RV_PROMPT_LAYER = 2 * RV_PROMPT_D2, /* parameters of a layer: P, then Q, by rows */
    RV_PROMPT_LAYERS = 8                /* most */
};

/* In the order of the workload's choice `data`. */
typedef enum rv_prompt_kind {
    RV_PROMPT_NORMAL, /* x ~ N(0, 1) */
    RV_PROMPT_GAMMA,  /* uniform direction, radius sqrt(Gamma(shape 0.1, scale 10)): E |x|^2 = 1 */
    RV_PROMPT_SPHERE  /* uniform direction, radius 1 */
} rv_prompt_kind;

/* Prompts are kept in packs of eight that are computed side by side; a lane that is left zero adds nothing. */
enum { RV_PROMPT_LANES = 8 };
typedef double rv_lanes __attribute__((vector_size(8 * RV_PROMPT_LANES)));
typedef struct rv_prompts {
    rv_lanes gram[RV_PROMPT_D2]; /* G */
    rv_lanes task[RV_PROMPT_D], query[RV_PROMPT_D];
} rv_prompts;

/* Memory for so many prompts, zeroed, in whole packs; free with free.  NULL: out of memory. */
rv_prompts *rv_prompts_new(int64_t count);

/* Prompt number index of a stream into one lane; rows [points + 1, d] <- its x and the query, or NULL. */
void rv_prompt_draw(rv_prompts *pack, int lane, rv_prompt_kind kind, int points, rv_random stream, uint64_t index,
                    double *rows);
/* Prompts first, first + 1, ... of a stream. */
void rv_prompts_draw(rv_prompts *packs, int64_t count, rv_prompt_kind kind, int points, rv_random stream, uint64_t first);

/* The mean over count prompts of (prediction + y)^2 at the weights w [layers * RV_PROMPT_LAYER], and its gradient
 * in g (same size, or NULL). */
double rv_prompts_loss(const rv_prompts *packs, int64_t count, const double *w, int layers, double *g);

#endif
