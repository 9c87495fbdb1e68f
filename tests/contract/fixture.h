/* A small network's worth of tensors of every role, with sizes 0 and 1 among them and one
 * that is cut into several pieces; and a convex quadratic over them. */
#ifndef TESTS_CONTRACT_FIXTURE_H
#define TESTS_CONTRACT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optim/method.h"

enum { TENSORS = 14, LARGE = TENSORS - 1 };

static const rv_tensor proto[TENSORS] = {
    {.name = "embedding.weight", .role = RV_ROLE_EMBEDDING, .shape = {2, {17, 8}}},
    {.name = "block0.wide", .role = RV_ROLE_HIDDEN, .shape = {2, {8, 12}}},
    {.name = "block0.tall", .role = RV_ROLE_HIDDEN, .shape = {2, {12, 8}}},
    {.name = "block0.empty", .role = RV_ROLE_HIDDEN, .shape = {2, {0, 5}}},
    {.name = "block0.one", .role = RV_ROLE_HIDDEN, .shape = {2, {1, 1}}},
    {.name = "block0.bias", .role = RV_ROLE_BIAS, .shape = {1, {12}}},
    {.name = "block0.nothing", .role = RV_ROLE_BIAS, .shape = {1, {0}}},
    {.name = "norm.gain", .role = RV_ROLE_NORM, .shape = {1, {1}}},
    {.name = "stem", .role = RV_ROLE_FIRST_CONV, .shape = {4, {4, 1, 3, 3}}},
    {.name = "conv", .role = RV_ROLE_CONV, .shape = {4, {4, 3, 3, 2}}},
    {.name = "input", .role = RV_ROLE_INPUT, .shape = {2, {5, 3}}},
    {.name = "point", .role = RV_ROLE_POINT, .shape = {0, {0}}},
    {.name = "head", .role = RV_ROLE_HEAD, .shape = {2, {3, 7}}},
    {.name = "table", .role = RV_ROLE_EMBEDDING, .shape = {2, {530, 32}}}, /* more than one piece */
};

/* Linear layers among them, for methods that look at layers; weight and bias by number above. */
enum { LAYERS = 6, FACTOR_ROWS = 16 };
static const rv_linear_layer proto_layers[LAYERS] = {
    {.weight = 1, .bias = -1, .in = 12, .out = 8, .positions = 1}, {.weight = 2, .bias = 5, .in = 8, .out = 12, .positions = 1},
    {.weight = 4, .bias = -1, .in = 1, .out = 1, .positions = 1},  {.weight = 9, .bias = -1, .in = 18, .out = 4, .positions = 3},
    {.weight = 10, .bias = -1, .in = 3, .out = 5, .positions = 1}, {.weight = 12, .bias = -1, .in = 7, .out = 3, .positions = 1},
};

typedef struct fixture {
    rv_tensor tensors[TENSORS];
    rv_linear_layer layers[LAYERS];
    rv_layout layout;
    rv_dtype dtype;
    void *w, *g; /* flat */
    rv_optimizer *optimizer;
} fixture;

static inline double get(const void *x, rv_dtype dtype, int64_t i)
{
    return dtype == RV_F32 ? (double)((const float *)x)[i] : ((const double *)x)[i];
}

static inline void put(void *x, rv_dtype dtype, int64_t i, double value)
{
    if (dtype == RV_F32)
        ((float *)x)[i] = (float)value;
    else
        ((double *)x)[i] = value;
}

/* Curvature and centre of the quadratic at element i. */
static inline double curvature(int64_t i)
{
    return 1 + 0.5 * sin(0.7 * (double)i);
}

static inline double centre(int64_t i)
{
    return cos(1.3 * (double)i);
}

#define EACH_ELEMENT(f, i)                                                        \
    for (int t_ = 0; t_ < (f)->layout.count; t_++)                                \
        for (int64_t i = (f)->tensors[t_].offset,                                 \
                     end_ = i + rv_shape_size(&(f)->tensors[t_].shape);           \
             i < end_; i++)

static inline double bowl(const fixture *f)
{
    double sum = 0;
    EACH_ELEMENT(f, i)
    {
        const double d = get(f->w, f->dtype, i) - centre(i);
        sum += 0.5 * curvature(i) * d * d;
    }
    return sum;
}

static inline void bowl_gradient(fixture *f)
{
    EACH_ELEMENT(f, i)
    put(f->g, f->dtype, i, curvature(i) * (get(f->w, f->dtype, i) - centre(i)));
}

/* A side of a layer as if its rows had been FACTOR_ROWS of some correlated numbers. */
static inline int64_t bowl_factor(const fixture *f, void *sums, int64_t at, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            put(sums, f->dtype, at + i * n + j, FACTOR_ROWS * ((i == j) + 0.4 * sin(1 + (double)i) * sin(1 + (double)j)));
    return at + n * n;
}

static inline void bowl_factors(const fixture *f, void *sums)
{
    int64_t at = 0;
    for (int l = 0; l < f->layout.layer_count; l++) {
        at = bowl_factor(f, sums, at, rv_layer_width(&f->layers[l]));
        at = bowl_factor(f, sums, at, f->layers[l].out);
        put(sums, f->dtype, at++, FACTOR_ROWS);
    }
    put(sums, f->dtype, at, FACTOR_ROWS);
}

/* What methods and wrappers with probes ask for; the labels of a bowl are its centre. */
static inline rv_status bowl_closure(void *context, rv_probe probe, const void *w, void *g, double *loss, rv_error *err)
{
    (void)err;
    const fixture *f = context;
    *loss = 0;
    if (probe == RV_PROBE_FACTORS || probe == RV_PROBE_SAMPLED_FACTORS) {
        bowl_factors(f, g);
        return RV_OK;
    }
    EACH_ELEMENT(f, i)
    put(g, f->dtype, i, curvature(i) * (get(w, f->dtype, i) - centre(i)));
    return RV_OK;
}

/* A gradient that does not depend on the weights: values a float holds, some exactly zero. */
static inline void fixed_gradient(fixture *f, int64_t step)
{
    EACH_ELEMENT(f, i)
    put(f->g, f->dtype, i,
        (i + step) % 11 == 0 ? 0 : (double)(float)(sin(0.37 * (double)i + 1.7 * (double)step) * (0.1 + (double)(i % 5))));
}

/* A method that estimates the distance to the solution goes to infinity under gradients that
 * do not depend on the weights.  On the bowl it arrives within about 100 steps; what is left
 * of the gradient then is rounding, made large again by the method's denominator. */
static inline bool estimates_a_distance(const rv_method_info *info)
{
    return rv_params_find(info->params, "d0") || rv_params_find(info->params, "reps_rel");
}

/* A method that cannot be made without a layout's layers. */
static inline bool looks_at_layers(const rv_method_info *info)
{
    const rv_method *method = NULL;
    return rv_method_lookup(info->name, &method, NULL) == RV_OK && method->layer_shape != NULL;
}

/* The first `count` tensors; weights start away from the centre. */
static inline void fixture_init(fixture *f, int count, rv_dtype dtype)
{
    *f = (fixture){.dtype = dtype, .layout = {.count = count}};
    memcpy(f->tensors, proto, sizeof proto);
    memcpy(f->layers, proto_layers, sizeof proto_layers);
    f->layout.tensors = f->tensors;
    f->layout.layers = f->layers;
    while (f->layout.layer_count < LAYERS && f->layers[f->layout.layer_count].weight < count)
        f->layout.layer_count++;
    for (int i = 0; i < count; i++) {
        f->tensors[i].offset = f->layout.size;
        f->layout.size += (rv_shape_size(&f->tensors[i].shape) + 15) / 16 * 16;
    }
    const size_t bytes = (size_t)f->layout.size * rv_dtype_size(dtype);
    f->w = aligned_alloc(64, bytes);
    f->g = aligned_alloc(64, bytes);
    assert_true(f->w && f->g);
    memset(f->w, 0, bytes);
    memset(f->g, 0, bytes);
    EACH_ELEMENT(f, i)
    put(f->w, dtype, i, (double)(float)(centre(i) + 2 * sin(0.9 * (double)i + 0.1)));
}

static inline void fixture_release(fixture *f)
{
    rv_optimizer_free(f->optimizer);
    free(f->w);
    free(f->g);
}

/* Refreshes of preconditioners often enough that short tests see several. */
static inline const char *test_params(const rv_method_info *info)
{
    if (rv_params_find(info->params, "inverse_update_steps"))
        return "factor_update_steps=2,inverse_update_steps=3";
    return rv_params_find(info->params, "precondition_frequency")
               ? "precondition_frequency=3,max_preconditioner_dim=64"
               : "";
}

static inline rv_status fixture_wrapped(fixture *f, const char *method, const char *params, const char *wrappers,
                                        rv_pool *pool, rv_error *err)
{
    const rv_optimizer_options options = {
        .method = method, .params = params, .wrappers = wrappers, .dtype = f->dtype, .pool = pool};
    rv_optimizer_free(f->optimizer);
    return rv_optimizer_new_flat(&f->optimizer, &options, &f->layout, f->w, err);
}

static inline rv_status fixture_optimizer(fixture *f, const char *method, const char *params, rv_pool *pool, rv_error *err)
{
    return fixture_wrapped(f, method, params, NULL, pool, err);
}

static inline void must(rv_status status, const rv_error *err)
{
    if (status != RV_OK)
        fail_msg("%s", err->message);
}

static inline void fixture_step(fixture *f)
{
    rv_error err;
    must(rv_optimizer_step_closure_flat(f->optimizer, f->w, f->g, bowl_closure, f, &err), &err);
}

/* The whole state as one owned copy, in the order of rv_optimizer_state. */
typedef struct saved {
    int count;
    rv_array *arrays;
} saved;

static inline size_t saved_bytes(const rv_array *array)
{
    return (size_t)rv_shape_size(&array->shape) * rv_dtype_size(array->dtype);
}

static inline saved save(rv_optimizer *optimizer)
{
    saved s = {.count = rv_optimizer_state(optimizer, NULL, 0)};
    s.arrays = calloc((size_t)s.count, sizeof *s.arrays);
    rv_optimizer_state(optimizer, s.arrays, s.count);
    for (int i = 0; i < s.count; i++) {
        void *copy = malloc(saved_bytes(&s.arrays[i]) + 1);
        memcpy(copy, s.arrays[i].data, saved_bytes(&s.arrays[i]));
        s.arrays[i].data = copy;
    }
    return s;
}

static inline void saved_release(saved *s)
{
    for (int i = 0; i < s->count; i++)
        free(s->arrays[i].data);
    free(s->arrays);
}

static inline bool saved_equal(const saved *a, const saved *b)
{
    bool same = a->count == b->count;
    for (int i = 0; i < a->count && same; i++)
        same = strcmp(a->arrays[i].name, b->arrays[i].name) == 0 &&
               memcmp(a->arrays[i].data, b->arrays[i].data, saved_bytes(&a->arrays[i])) == 0;
    return same;
}

/* "adamw@1": old versions that stay registered are held to the same promises. */
static inline const char *full_name(const rv_method_info *info)
{
    static char names[4][RV_NAME_SIZE + 16];
    static int next;
    char *name = names[next++ % 4];
    snprintf(name, sizeof names[0], "%s@%d", info->name, info->version);
    return name;
}

#define EACH_METHOD(info) \
    for (const rv_method_info *info = rv_method_at(0); info; info = next_method(info))

static inline const rv_method_info *next_method(const rv_method_info *info)
{
    int i = 0;
    while (rv_method_at(i) != info)
        i++;
    return rv_method_at(i + 1);
}

/* ---- wrappers: every one, in every form ------------------------------------ */

enum { VARIANTS = 64 };

typedef struct variant {
    const rv_method_info *info;
    char text[192]; /* "lookahead(k=3,form=timm)" */
} variant;

/* Short periods, so that short tests see several. */
static inline int variant_text(const rv_method_info *info, char *text, size_t size)
{
    static const char *const periods[] = {"window=3", "k=3", "steps=2", "interval=2", "rho=0.01"};
    int n = snprintf(text, size, "%s(", info->name);
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(periods[i], "="), periods[i]);
        if (rv_params_find(info->params, name))
            n += snprintf(text + n, size - (size_t)n, "%s,", periods[i]);
    }
    return n;
}

/* The defaults, then every word of every choice and the other value of every flag. */
static inline int all_variants(variant *list)
{
    int count = 0;
    for (int w = 0; rv_wrapper_at(w); w++) {
        const rv_method_info *info = rv_wrapper_at(w);
        int n = variant_text(info, list[count].text, sizeof list[0].text);
        snprintf(list[count].text + n, sizeof list[0].text - (size_t)n, ")");
        list[count++].info = info;
        for (size_t i = 0; i < info->params->count; i++) {
            const rv_param *row = &info->params->rows[i];
            char words[128];
            snprintf(words, sizeof words, "%s", row->type == RV_PARAM_CHOICE ? row->choices
                                                : row->type == RV_PARAM_BOOL ? "false|true" : "");
            char *rest = NULL;
            for (char *word = strtok_r(words, "|", &rest); word; word = strtok_r(NULL, "|", &rest)) {
                if (strcmp(word, row->initial) == 0)
                    continue;
                assert_true(count < VARIANTS);
                n = variant_text(info, list[count].text, sizeof list[0].text);
                snprintf(list[count].text + n, sizeof list[0].text - (size_t)n, "%s=%s)", row->name, word);
                list[count++].info = info;
            }
        }
    }
    return count;
}

#endif
