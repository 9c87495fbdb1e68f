/* AdamW behind the C ABI: memory of our own, no graph and no trial.
 *     cc -std=c99 adamw.c $(pkg-config --cflags --libs ravine) -o adamw
 * Fits w to a target by the gradient of half the squared distance. */
#include <ravine/optim.h>
#include <stdio.h>

enum { ROWS = 64, COLUMNS = 32, SIZE = ROWS * COLUMNS, STEPS = 300 };

static float weights[SIZE], gradient[SIZE];

/* The loss at the weights, and its gradient. */
static double loss(void)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++) {
        gradient[i] = weights[i] - (float)(i % 7) / 7;
        sum += 0.5 * (double)gradient[i] * (double)gradient[i];
    }
    return sum;
}

int main(void)
{
    rv_tensor tensor = {.name = "w", .role = RV_ROLE_HIDDEN, .shape = RV_SHAPE(ROWS, COLUMNS)};
    rv_optimizer_options options = {.method = "adamw", .params = "lr=1e-2,weight_decay=0", .dtype = RV_F32};
    rv_optimizer *adamw;
    rv_error err;
    void *w[] = {weights};
    const void *g[] = {gradient}, *start[] = {weights};
    rv_status status = rv_optimizer_new(&adamw, &options, &tensor, 1, start, &err);
    double first = loss();
    for (int step = 0; step < STEPS && status == RV_OK; step++) {
        loss();
        status = rv_optimizer_step(adamw, w, g, &err);
    }
    if (status != RV_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("loss %g -> %g after %d steps\n", first, loss(), (int)rv_optimizer_steps(adamw));
    rv_optimizer_free(adamw);
    return loss() < 1e-3 * first ? 0 : 1;
}
