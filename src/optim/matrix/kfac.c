/* K-FAC: layers, memory, steps and state.  Invariant: tasks own one layer, or one factor of one,
 * so the number of workers changes no bit. */
#include "optim/matrix/kfac.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of libgomp: products of a task run on its own thread (as in optim/run.c). */
extern void omp_set_num_threads(int threads);
extern int omp_get_max_threads(void);

RV_PARAM_TABLE(kfac_table, "kfac", rv_kfac_values, RV_KFAC_PARAMS);

const rv_param_table *rv_kfac_params(void)
{
    return &kfac_table;
}

/* ---- making ----------------------------------------------------------------- */

static rv_status read_params(rv_kfac *k, const char *list, rv_error *err)
{
    char item[RV_PARAM_TEXT_SIZE];
    rv_params_init(&kfac_table, &k->p);
    while (list && *list) {
        const size_t n = strcspn(list, ",");
        snprintf(item, sizeof item, "%.*s", (int)(n < sizeof item ? n : sizeof item - 1), list);
        char *equals = strchr(item, '=');
        if (!equals)
            return rv_fail(err, RV_E_ARGUMENT, "kfac: parameter '%s': expected name=value", item);
        *equals = 0;
        RV_TRY(rv_params_set(&kfac_table, &k->p, item, equals + 1, err));
        list += n + (list[n] == ',');
    }
    return RV_OK;
}

static rv_status check_layers(const rv_kfac_options *options, const rv_kfac_layer *layers, int count, rv_error *err)
{
    enum { MOST = 16384 };
    if (options->dtype != RV_F32 && options->dtype != RV_F64)
        return rv_fail(err, RV_E_ARGUMENT, "kfac: dtype must be f32 or f64, found %s", rv_dtype_name(options->dtype));
    if (count < 1)
        return rv_fail(err, RV_E_RANGE, "kfac: expected at least one layer, found %d", count);
    for (int i = 0; i < count; i++) {
        const rv_kfac_layer *l = &layers[i];
        if (!l->name || !*l->name || strlen(l->name) >= RV_NAME_SIZE)
            return rv_fail(err, RV_E_ARGUMENT, "kfac: layer %d needs a name of at most %d letters", i, RV_NAME_SIZE - 1);
        if (l->in < 1 || l->in > MOST || l->out < 1 || l->out > MOST)
            return rv_fail(err, RV_E_RANGE, "kfac: layer '%s': in and out must be 1 to %d, found %lld and %lld", l->name, MOST,
                           (long long)l->in, (long long)l->out);
    }
    return RV_OK;
}

/* Hands out parts of the arena; with base NULL only counts. */
static void *place(char *base, size_t *at, size_t bytes)
{
    void *found = base ? base + *at : NULL;
    *at += rv_arena_align(bytes);
    return found;
}

static void place_side(rv_kfac_side *side, void **sum, size_t size, char *base, size_t *at)
{
    const size_t n = (size_t)side->n;
    side->factor = place(base, at, n * n * size);
    *sum = place(base, at, n * n * size);
    side->basis = place(base, at, n * n * size);
    side->values = place(base, at, n * size);
}

static size_t place_all(rv_kfac *k, char *base)
{
    const size_t size = rv_dtype_size(k->dtype);
    size_t at = 0;
    k->work_size = 0;
    for (int i = 0; i < k->count; i++) {
        rv_kfac_unit *u = &k->entries[i].unit;
        const size_t matrix = (size_t)u->out * (size_t)u->a.n * size;
        place_side(&u->a, &k->entries[i].a_sum, size, base, &at);
        place_side(&u->g, &k->entries[i].g_sum, size, base, &at);
        u->gradient = place(base, &at, matrix);
        u->result = place(base, &at, matrix);
        u->spare = place(base, &at, matrix);
        const size_t work = rv_kfac_work(u->a.n > u->g.n ? u->a.n : u->g.n);
        k->work_size = work > k->work_size ? work : k->work_size;
    }
    k->work = place(base, &at, k->work_size * (size_t)rv_pool_workers(k->pool) * sizeof(double));
    return at;
}

static rv_status make(rv_kfac *k, const rv_kfac_options *options, const rv_kfac_layer *layers, int count, rv_error *err)
{
    RV_TRY(read_params(k, options->params, err));
    k->dtype = options->dtype;
    k->pool = options->pool;
    k->clip = 1;
    k->entries = calloc((size_t)count, sizeof *k->entries);
    if (!k->entries)
        return rv_fail(err, RV_E_MEMORY, "kfac: out of memory");
    k->count = count;
    for (int i = 0; i < count; i++) {
        rv_kfac_unit *u = &k->entries[i].unit;
        snprintf(k->entries[i].name, sizeof k->entries[i].name, "%s", layers[i].name);
        u->in = (int)layers[i].in;
        u->out = (int)layers[i].out;
        u->bias = layers[i].bias;
        u->a.n = u->in + u->bias;
        u->g.n = u->out;
    }
    RV_TRY(rv_arena_init(&k->memory, place_all(k, NULL), err));
    place_all(k, k->memory.base);
    for (int i = 0; i < count; i++) {
        (k->dtype == RV_F32 ? rv_kfac_identity_f32 : rv_kfac_identity_f64)(&k->entries[i].unit.a);
        (k->dtype == RV_F32 ? rv_kfac_identity_f32 : rv_kfac_identity_f64)(&k->entries[i].unit.g);
    }
    return RV_OK;
}

rv_status rv_kfac_new(rv_kfac **out, const rv_kfac_options *options, const rv_kfac_layer *layers, int count,
                      rv_error *err)
{
    *out = NULL;
    RV_TRY(check_layers(options, layers, count, err));
    rv_kfac *k = calloc(1, sizeof *k);
    if (!k)
        return rv_fail(err, RV_E_MEMORY, "kfac: out of memory");
    const rv_status status = make(k, options, layers, count, err);
    if (status != RV_OK) {
        rv_kfac_free(k);
        return status;
    }
    *out = k;
    return RV_OK;
}

void rv_kfac_free(rv_kfac *k)
{
    if (!k)
        return;
    rv_arena_release(&k->memory);
    free(k->entries);
    free(k);
}

/* ---- a step ------------------------------------------------------------------- */

static bool due(const rv_kfac *k, int64_t every)
{
    return (int64_t)k->steps % every == 0;
}

rv_status rv_kfac_observe(rv_kfac *k, int layer, int64_t rows, int64_t positions, const void *inputs,
                          const void *output_gradients, rv_error *err)
{
    if (layer < 0 || layer >= k->count || rows < 0 || rows > INT32_MAX || positions < 1)
        return rv_fail(err, RV_E_ARGUMENT, "kfac: layer must be 0 to %d, rows not negative and positions at least 1; found "
                       "%d, %lld and %lld", k->count - 1, layer, (long long)rows, (long long)positions);
    if (!due(k, k->p.factor_update_steps) || rows == 0)
        return RV_OK;
    const double weight = 1 / ((double)positions * (double)positions);
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const bool finite = (k->dtype == RV_F32 ? rv_kfac_add_f32 : rv_kfac_add_f64)(&k->entries[layer], rows, weight, inputs,
                                                                                 output_gradients);
    omp_set_num_threads(threads);
    if (finite)
        return RV_OK;
    return rv_fail(err, RV_E_NUMERIC, "kfac, step %lld, layer '%s': inputs or output gradients are not finite",
                   (long long)k->steps + 1, k->entries[layer].name);
}

/* Factors take in the sums. */
static void settle_task(void *context, int task, int worker)
{
    (void)worker;
    const rv_kfac *k = context;
    rv_kfac_entry *e = &k->entries[task / 2];
    rv_kfac_side *side = task % 2 ? &e->unit.g : &e->unit.a;
    void *sum = task % 2 ? e->g_sum : e->a_sum;
    *(task % 2 ? &e->g_fine : &e->a_fine) =
        e->rows == 0 || (k->dtype == RV_F32 ? rv_kfac_settle_f32 : rv_kfac_settle_f64)(
                            side, k->p.factor_decay, (1 - k->p.factor_decay) / e->rows, sum);
    memset(sum, 0, (size_t)side->n * (size_t)side->n * rv_dtype_size(k->dtype));
}

static void decompose_task(void *context, int task, int worker)
{
    const rv_kfac *k = context;
    rv_kfac_entry *e = &k->entries[task / 2];
    double *work = k->work + (size_t)worker * k->work_size;
    *(task % 2 ? &e->g_fine : &e->a_fine) = (k->dtype == RV_F32 ? rv_kfac_decompose_f32 : rv_kfac_decompose_f64)(
        task % 2 ? &e->unit.g : &e->unit.a, k->p.method, k->p.damping, work);
}

static void precondition_task(void *context, int task, int worker)
{
    (void)worker;
    const rv_kfac *k = context;
    rv_kfac_entry *e = &k->entries[task];
    e->unit.weight_from = e->unit.weight_to = k->weights[task];
    e->unit.bias_from = e->unit.bias_to = e->unit.bias ? k->biases[task] : NULL;
    e->finite = (k->dtype == RV_F32 ? rv_kfac_precondition_f32 : rv_kfac_precondition_f64)(&e->unit, k->p.method,
                                                                                           k->p.damping);
}

static rv_status fault(const rv_kfac *k, int layer, const char *what, rv_error *err)
{
    return rv_fail(err, RV_E_NUMERIC, "kfac, step %lld, layer '%s': %s", (long long)k->steps + 1, k->entries[layer].name, what);
}

/* A task for each of two sides of every layer. */
static rv_status run_sides(const rv_kfac *k, rv_task *task, const char *what, rv_error *err)
{
    rv_pool_run(k->pool, 2 * k->count, task, (void *)(uintptr_t)k);
    for (int i = 0; i < k->count; i++)
        if (!k->entries[i].a_fine || !k->entries[i].g_fine)
            return fault(k, i, what, err);
    return RV_OK;
}

static rv_status settle(const rv_kfac *k, rv_error *err)
{
    const rv_status status = run_sides(k, settle_task, "a factor is not finite", err);
    for (int i = 0; i < k->count; i++)
        k->entries[i].rows = 0;
    return status;
}

static rv_status run(rv_kfac *k, double lr, rv_error *err)
{
    double sum = 0;
    if (due(k, k->p.factor_update_steps))
        RV_TRY(settle(k, err));
    if (due(k, k->p.inverse_update_steps))
        RV_TRY(run_sides(k, decompose_task, "a factor could not be decomposed", err));
    rv_pool_run(k->pool, k->count, precondition_task, k);
    for (int i = 0; i < k->count; i++) {
        if (!k->entries[i].finite)
            return fault(k, i, "a gradient, or what becomes of it, is not finite", err);
        sum += lr * lr * k->entries[i].unit.product;
    }
    k->clip = rv_kfac_nu(k->p.kl_clip, sum);
    for (int i = 0; i < k->count; i++)
        (k->dtype == RV_F32 ? rv_kfac_write_f32 : rv_kfac_write_f64)(&k->entries[i].unit, k->clip);
    k->steps++;
    return RV_OK;
}

rv_status rv_kfac_step(rv_kfac *k, double lr, void *const *weight_gradients, void *const *bias_gradients, rv_error *err)
{
    const int threads = omp_get_max_threads();
    k->weights = weight_gradients;
    k->biases = bias_gradients;
    omp_set_num_threads(1);
    const rv_status status = run(k, lr, err);
    omp_set_num_threads(threads);
    return status;
}

int64_t rv_kfac_steps(const rv_kfac *k)
{
    return (int64_t)k->steps;
}

double rv_kfac_clip(const rv_kfac *k)
{
    return k->clip;
}

/* ---- state ---------------------------------------------------------------------- */

static void put(rv_array *arrays, int capacity, int *at, rv_dtype dtype, rv_shape shape, void *data, const char *what,
                const char *layer)
{
    if (*at < capacity) {
        rv_array *array = &arrays[*at];
        *array = (rv_array){.dtype = dtype, .shape = shape, .data = data};
        snprintf(array->name, sizeof array->name, layer ? "kfac.%s.%s" : "%s", what, layer);
    }
    ++*at;
}

static void put_side(rv_kfac *k, rv_kfac_side *side, const char *const *names, const char *layer, rv_array *arrays,
                     int capacity, int *at)
{
    const rv_shape square = RV_SHAPE(side->n, side->n), line = RV_SHAPE(side->n);
    put(arrays, capacity, at, k->dtype, square, side->factor, names[0], layer);
    put(arrays, capacity, at, k->dtype, square, side->basis, names[1], layer);
    put(arrays, capacity, at, k->dtype, line, side->values, names[2], layer);
}

int rv_kfac_state(rv_kfac *k, rv_array *arrays, int capacity)
{
    static const char *const a_names[] = {"a", "a_basis", "a_values"}, *const g_names[] = {"g", "g_basis", "g_values"};
    int at = 0;
    put(arrays, capacity, &at, RV_F64, (rv_shape){0}, &k->steps, "steps", NULL);
    for (int i = 0; i < k->count; i++) {
        put_side(k, &k->entries[i].unit.a, a_names, k->entries[i].name, arrays, capacity, &at);
        put_side(k, &k->entries[i].unit.g, g_names, k->entries[i].name, arrays, capacity, &at);
    }
    return at;
}

static bool fits(const rv_array *own, const rv_array *found)
{
    return strcmp(own->name, found->name) == 0 && own->dtype == found->dtype && rv_shape_equal(&own->shape, &found->shape);
}

static rv_status restore(rv_array *own, int own_count, const rv_array *arrays, int count, rv_error *err)
{
    if (count != own_count)
        return rv_fail(err, RV_E_MISMATCH, "kfac state: expected %d arrays, found %d", own_count, count);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < own_count; i++) {
            int j = i; /* usually in the same order */
            for (int tries = 0; tries < count && !fits(&own[i], &arrays[j]); tries++)
                j = (j + 1) % count;
            if (!fits(&own[i], &arrays[j]))
                return rv_fail(err, RV_E_MISMATCH, "kfac state: %s is missing or has another shape or type", own[i].name);
            if (pass == 1)
                memcpy(own[i].data, arrays[j].data, (size_t)rv_shape_size(&own[i].shape) * rv_dtype_size(own[i].dtype));
        }
    return RV_OK;
}

rv_status rv_kfac_restore(rv_kfac *k, const rv_array *arrays, int count, rv_error *err)
{
    const int own_count = rv_kfac_state(k, NULL, 0);
    rv_array *own = calloc((size_t)own_count, sizeof *own);
    if (!own)
        return rv_fail(err, RV_E_MEMORY, "kfac: out of memory");
    rv_kfac_state(k, own, own_count);
    const rv_status status = restore(own, own_count, arrays, count, err);
    free(own);
    return status;
}
