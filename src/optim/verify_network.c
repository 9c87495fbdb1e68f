/* A small network in double, row after row.  Invariant: sizes are checked when the file is opened, so that
 * gradients read nothing that is not there. */
#include "optim/verify_network.h"

#include <math.h>
#include <string.h>

enum { WIDEST = 64, W1 = 0, B1, W2, B2 };

static const char *const names[] = {"W1", "b1", "W2", "b2"};

static int64_t extent(const json_t *file, const char *shape, size_t axis)
{
    return json_integer_value(json_array_get(json_object_get(file, shape), axis));
}

static bool holds(const json_t *file, const char *key, int64_t size)
{
    return (int64_t)json_array_size(json_object_get(file, key)) == size;
}

rv_status rv_verify_network_open(json_t *file, const char *path, bool *found, rv_error *err)
{
    const int64_t rows = extent(file, "X_shape", 0), in = extent(file, "X_shape", 1), out = extent(file, "Y_shape", 1);
    const int64_t hidden = (int64_t)json_array_size(json_object_get(file, "b1"));
    *found = json_is_object(json_object_get(file, "runs")) && json_object_get(file, "X_shape") != NULL;
    if (!*found)
        return RV_OK;
    if (rows < 1 || in < 1 || out < 1 || hidden < 1 || in > WIDEST || out > WIDEST || hidden > WIDEST || rows > 1 << 16 ||
        !holds(file, "X", rows * in) || !holds(file, "Y", rows * out) || !holds(file, "W1", hidden * in) ||
        !holds(file, "W2", out * hidden) || !holds(file, "b2", out))
        return rv_fail(err, RV_E_FORMAT, "%s: X, Y, W1, b1, W2 and b2 do not fit X_shape and Y_shape", path);
    json_t *start = json_object();
    for (int i = 0; i < 4; i++)
        json_object_set(start, names[i], json_object_get(file, names[i]));
    json_object_set_new(file, "initial_params", start);
    json_object_set(file, "cases", json_object_get(file, "runs"));
    json_object_set_new(file, "tensors",
                        json_pack("[{s:s,s:[I,I]},{s:s,s:[I]},{s:s,s:[I,I]},{s:s,s:[I]}]", "name", names[W1], "shape",
                                  (json_int_t)hidden, (json_int_t)in, "name", names[B1], "shape", (json_int_t)hidden, "name",
                                  names[W2], "shape", (json_int_t)out, (json_int_t)hidden, "name", names[B2], "shape",
                                  (json_int_t)out));
    return RV_OK;
}

void rv_verify_network_layers(const rv_layout *layout, rv_linear_layer layers[2])
{
    for (int i = 0; i < 2; i++) {
        const rv_shape *shape = &layout->tensors[2 * i].shape;
        layers[i] = (rv_linear_layer){.weight = 2 * i, .bias = 2 * i + 1, .in = shape->dim[1], .out = shape->dim[0], .positions = 1};
    }
}

/* ---- one layer, one row -------------------------------------------------------- */

typedef struct layer {
    int64_t in, out;
    const double *w, *b;
    double *gw, *gb, *a, *g, *rows; /* a NULL: no factors */
} layer;

static layer layer_at(const rv_layout *layout, int number, const double *w, double *g, double **factors)
{
    const rv_linear_layer *l = &layout->layers[number];
    const int64_t weight = layout->tensors[l->weight].offset, bias = layout->tensors[l->bias].offset;
    layer made = {.in = l->in, .out = l->out, .w = w + weight, .b = w + bias};
    if (g) {
        made.gw = g + weight;
        made.gb = g + bias;
    }
    if (*factors) {
        made.a = *factors;
        made.g = made.a + rv_layer_width(l) * rv_layer_width(l);
        made.rows = made.g + l->out * l->out;
        *factors += rv_layer_factors(l);
    }
    return made;
}

static void apply(const layer *l, const double *x, double *y)
{
    for (int64_t o = 0; o < l->out; o++) {
        y[o] = l->b[o];
        for (int64_t i = 0; i < l->in; i++)
            y[o] += l->w[o * l->in + i] * x[i];
    }
}

/* gy: gradient of the row's loss by the outputs, whose mean over `rows` the gradient is of. */
static void learn(const layer *l, const double *x, const double *gy, double rows)
{
    const int64_t width = l->in + 1;
    for (int64_t o = 0; o < l->out && l->gw; o++) {
        l->gb[o] += gy[o] / rows;
        for (int64_t i = 0; i < l->in; i++)
            l->gw[o * l->in + i] += gy[o] * x[i] / rows;
    }
    if (!l->a)
        return;
    for (int64_t i = 0; i < width; i++)
        for (int64_t j = 0; j <= i; j++)
            l->a[i * width + j] += (i < l->in ? x[i] : 1) * (j < l->in ? x[j] : 1);
    for (int64_t o = 0; o < l->out; o++)
        for (int64_t p = 0; p <= o; p++)
            l->g[o * l->out + p] += gy[o] * gy[p];
    *l->rows += 1;
}

static double number(const json_t *file, const char *key, int64_t i)
{
    return json_number_value(json_array_get(json_object_get(file, key), (size_t)i));
}

rv_status rv_verify_network_gradient(const json_t *file, const rv_layout *layout, const double *w, double *g,
                                     double *factors, rv_error *err)
{
    double x[WIDEST], h[WIDEST], gh[WIDEST], gy[WIDEST], *at = factors;
    const int64_t rows = extent(file, "X_shape", 0);
    if (layout->layer_count != 2)
        return rv_fail(err, RV_E_UNSUPPORTED, "verify: the problem has no layers");
    if (g)
        memset(g, 0, (size_t)layout->size * sizeof *g);
    if (factors) {
        memset(factors, 0, (size_t)rv_layout_factors(layout) * sizeof *factors);
        factors[rv_layout_factors(layout) - 1] = (double)rows;
    }
    const layer first = layer_at(layout, 0, w, g, &at), second = layer_at(layout, 1, w, g, &at);
    for (int64_t n = 0; n < rows; n++) {
        for (int64_t i = 0; i < first.in; i++)
            x[i] = number(file, "X", n * first.in + i);
        apply(&first, x, h);
        for (int64_t i = 0; i < first.out; i++)
            h[i] = tanh(h[i]);
        apply(&second, h, gy);
        for (int64_t o = 0; o < second.out; o++)
            gy[o] = 2 * (gy[o] - number(file, "Y", n * second.out + o)) / (double)second.out;
        for (int64_t i = 0; i < first.out; i++) {
            gh[i] = 0;
            for (int64_t o = 0; o < second.out; o++)
                gh[i] += gy[o] * second.w[o * second.in + i];
            gh[i] *= 1 - h[i] * h[i];
        }
        learn(&second, h, gy, (double)rows);
        learn(&first, x, gh, (double)rows);
    }
    return RV_OK;
}
