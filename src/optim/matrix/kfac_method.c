/* K-FAC as a method: the gradients of linear layers are preconditioned by the Kronecker factors of their
 * inputs and output gradients, which the objective shows (rv_objective_factors); then a step of SGD.
 *     every factor_update_steps: A <- d A + (1 - d) sum a a'/rows,  G <- d G + (1 - d) sum g g'/rows
 *     every inverse_update_steps: A = Q_A diag(d_A) Q_A',  G = Q_G diag(d_G) Q_G'
 *     P = Q_G [(Q_G' W Q_A) / (d_G d_A' + damping)] Q_A',  W = [weight | bias] gradients
 *     m <- momentum m + nu P,  nu = min(1, sqrt(kl_clip/|sum over layers of lr^2 <P, W>|))
 *     w <- w (1 - lr weight_decay) - lr m
 * Invariant: a task owns one layer, one factor of one, or one tensor, so workers change no bit. */
#include <math.h>
#include <string.h>

#include "optim/matrix/kfac.h"
#include "optim/rows.h"
#include "optim/sgd.h"

#define KFAC_PARAMS(REAL, INT, BOOL, CHOICE, TEXT)                                                          \
    RV_HP_LR(REAL, 0.1)                                                                                     \
    REAL(momentum, 0, 0, 1, RV_PARAM_OPEN_HI, "decay of the buffer; 0: no buffer")                        \
    RV_HP_DECOUPLED(REAL, 0)                                                                                \
    RV_KFAC_ROWS(REAL, INT, CHOICE, 1e-2, 1e-2, 5, 20)                                                      \
    CHOICE(labels, "data|sampled", "data", "labels of the output gradients: the data's, or drawn from the model") \
    CHOICE(scale, "example|mean", "example", "output gradients of one example's loss, or of the mean over the batch") \
    CHOICE(start, "mean|identity", "mean", "factors begin as the mean of those seen, or at the identity")   \
    BOOL(stagger, false, "spread the decompositions over the steps between two")
RV_PARAM_STRUCT(kfac_params, KFAC_PARAMS);
RV_PARAM_TABLE(kfac_method_table, "kfac", kfac_params, KFAC_PARAMS);
enum { DATA, SAMPLED };
enum { EXAMPLE, MEAN };
enum { START_MEAN, START_IDENTITY };
enum { SLOT_B, SLOT_A, SLOT_A_BASIS, SLOT_A_VALUES, SLOT_G, SLOT_G_BASIS, SLOT_G_VALUES };

/* ---- memory ------------------------------------------------------------------ */

static bool buffer_shape(const rv_tensor *tensor, const void *params, rv_shape *shape)
{
    return ((const kfac_params *)params)->momentum > 0 && rv_slot_like(tensor, params, shape);
}

static bool layer_shape(const rv_run_layer *layer, int slot, const void *params, rv_shape *shape)
{
    const bool values = slot == SLOT_A_VALUES || slot == SLOT_G_VALUES;
    const int n = slot < SLOT_G ? layer->width : layer->out;
    *shape = values ? RV_SHAPE(n) : RV_SHAPE(n, n);
    return !values || ((const kfac_params *)params)->method == RV_KFAC_EIGEN;
}

static size_t matrix_bytes(int64_t rows, int64_t columns, rv_dtype dtype)
{
    return rv_arena_align((size_t)(rows * columns) * rv_dtype_size(dtype));
}

/* The new gradient of a tensor and, behind that of a weight, gradient, result and spare of its layer. */
static size_t room(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    (void)params;
    const int64_t size = rv_shape_size(&tensor->shape), out = tensor->shape.rank > 1 ? tensor->shape.dim[0] : 0;
    return matrix_bytes(size, 1, dtype) + (size > 0 && out > 0 ? 3 * matrix_bytes(out, size / out + 1, dtype) : 0);
}

static size_t workspace(const rv_tensor *tensor, const void *params, rv_dtype dtype)
{
    (void)params;
    (void)dtype;
    const int64_t size = rv_shape_size(&tensor->shape), out = tensor->shape.rank > 1 ? tensor->shape.dim[0] : 0;
    if (size == 0 || out == 0)
        return 0;
    return rv_kfac_work((int)(size / out + 1 > out ? size / out + 1 : out)) * sizeof(double);
}

static int tasks(const rv_tensor *tensor, const void *params)
{
    (void)tensor;
    (void)params;
    return 2;
}

static rv_kfac_side side_of(const rv_run *run, int layer, bool g)
{
    const rv_run_layer *l = &run->layers[layer];
    const int first = g ? SLOT_G : SLOT_A;
    return (rv_kfac_side){.n = g ? l->out : l->width,
                          .factor = rv_run_slot(run, l->weight, first),
                          .basis = rv_run_slot(run, l->weight, first + 1),
                          .values = rv_run_slot(run, l->weight, first + 2)};
}

static rv_kfac_unit unit_of(const rv_run *run, int layer)
{
    const rv_run_layer *l = &run->layers[layer];
    void *const *rooms = rv_run_rooms(run);
    const size_t matrix = matrix_bytes(l->out, l->width, run->dtype);
    char *work = (char *)rooms[l->weight] + matrix_bytes(l->out, l->in, run->dtype);
    rv_kfac_unit u = {.in = l->in, .out = l->out, .bias = l->bias >= 0,
                      .a = side_of(run, layer, false), .g = side_of(run, layer, true),
                      .weight_from = run->g[l->weight], .weight_to = rooms[l->weight],
                      .gradient = work, .result = work + matrix, .spare = work + 2 * matrix};
    if (u.bias) {
        u.bias_from = run->g[l->bias];
        u.bias_to = rooms[l->bias];
    }
    return u;
}

/* ---- factors ------------------------------------------------------------------ */

typedef struct factors {
    const void *sums;
    double keep, losses;
} factors;

static double number_at(const rv_run *run, const void *vector, int64_t i)
{
    return run->dtype == RV_F32 ? (double)((const float *)vector)[i] : ((const double *)vector)[i];
}

/* Tasks are the sides of layers, or layers. */
static int side_tensor(const rv_run *run, const void *context, int task)
{
    (void)context;
    return run->layers[task / 2].weight;
}

static int layer_tensor(const rv_run *run, const void *context, int task)
{
    (void)context;
    return run->layers[task].weight;
}

/* Beside 1/rows.  Of a convolution the paper's A is summed over the positions of an example, and its G
 * a mean; the reference divides inputs and gradients by their number. */
static double scale_of(const rv_run_layer *layer, bool g, int scale, double losses)
{
    const double positions = layer->positions;
    if (scale == EXAMPLE)
        return g ? 1 : positions;
    return 1 / (positions * positions) / (g ? losses * losses : 1);
}

static rv_fault settle(const rv_run *run, const void *context, int task, int worker)
{
    (void)worker;
    const factors *f = context;
    const kfac_params *p = run->params;
    const rv_run_layer *l = &run->layers[task / 2];
    const bool g = task % 2;
    rv_kfac_side side = side_of(run, task / 2, g);
    const int64_t a_size = (int64_t)l->width * l->width, g_size = (int64_t)l->out * l->out;
    const double rows = number_at(run, f->sums, l->sums + a_size + g_size);
    const double weight = (1 - f->keep) * scale_of(l, g, p->scale, f->losses) / rows;
    if (run->step == 1 && p->start == START_IDENTITY)
        (run->dtype == RV_F32 ? rv_kfac_identity_f32 : rv_kfac_identity_f64)(&side);
    if (!(rows > 0))
        return RV_FAULT_FACTOR;
    const void *sum = (const char *)f->sums + (size_t)(l->sums + (g ? a_size : 0)) * rv_dtype_size(run->dtype);
    return (run->dtype == RV_F32 ? rv_kfac_settle_f32 : rv_kfac_settle_f64)(&side, f->keep, weight, sum)
               ? RV_FAULT_NONE
               : RV_FAULT_FACTOR;
}

static bool wants_factors(const void *params, int64_t step)
{
    const kfac_params *p = params;
    return p->labels == DATA && (step - 1) % p->factor_update_steps == 0;
}

static rv_status take_factors(const rv_run *run)
{
    const kfac_params *p = run->params;
    factors f = {.keep = p->factor_decay};
    const int64_t before = (run->step - 1) / p->factor_update_steps; /* factors seen so far */
    if ((run->step - 1) % p->factor_update_steps != 0 || run->layer_count == 0)
        return RV_OK;
    if (p->start == START_MEAN)
        f.keep = fmin(f.keep, 1 - 1 / ((double)before + 1));
    RV_TRY(rv_run_factors(run, p->labels == SAMPLED, &f.sums));
    f.losses = number_at(run, f.sums, rv_run_factor_losses(run));
    return rv_run_each(run, 2 * run->layer_count, settle, side_tensor, &f);
}

/* The first ones are all due, afterwards, with stagger, side i where i modulo the period says. */
static rv_fault decompose(const rv_run *run, const void *context, int task, int worker)
{
    (void)context;
    const kfac_params *p = run->params;
    const int64_t phase = p->stagger && run->step > 1 ? task % p->inverse_update_steps : 0;
    rv_kfac_side side = side_of(run, task / 2, task % 2);
    if ((run->step - 1) % p->inverse_update_steps != phase)
        return RV_FAULT_NONE;
    return (run->dtype == RV_F32 ? rv_kfac_decompose_f32 : rv_kfac_decompose_f64)(&side, p->method, p->damping,
                                                                                rv_run_workspace(run, worker))
               ? RV_FAULT_NONE
               : RV_FAULT_EIGEN;
}

/* ---- the step ------------------------------------------------------------------ */

/* Looks at a tensor's gradient, which goes through as it is unless a layer's takes its place. */
static rv_fault admit(const rv_run *run, const void *context, int task, int worker)
{
    (void)context;
    (void)worker;
    const size_t size = (size_t)rv_shape_size(&run->tensors[task].shape);
    memcpy(rv_run_rooms(run)[task], run->g[task], size * rv_dtype_size(run->dtype));
    for (size_t i = 0; i < size; i++)
        if (!isfinite(number_at(run, run->g[task], (int64_t)i)))
            return RV_FAULT_GRADIENT;
    return RV_FAULT_NONE;
}

static rv_fault precondition(const rv_run *run, const void *context, int task, int worker)
{
    (void)context;
    (void)worker;
    const kfac_params *p = run->params;
    rv_kfac_unit u = unit_of(run, task);
    const bool fine = (run->dtype == RV_F32 ? rv_kfac_precondition_f32 : rv_kfac_precondition_f64)(&u, p->method, p->damping);
    rv_run_sums(run)[run->layers[task].weight][0] = u.product;
    return fine ? RV_FAULT_NONE : RV_FAULT_FILTER;
}

static rv_fault write(const rv_run *run, const void *context, int task, int worker)
{
    (void)worker;
    const rv_kfac_unit u = unit_of(run, task);
    (run->dtype == RV_F32 ? rv_kfac_write_f32 : rv_kfac_write_f64)(&u, *(const double *)context);
    return RV_FAULT_NONE;
}

static rv_status measure(const rv_run *run, int pass, double *total)
{
    (void)pass;
    RV_TRY(rv_run_each(run, run->count, admit, NULL, NULL));
    RV_TRY(take_factors(run));
    RV_TRY(rv_run_each(run, 2 * run->layer_count, decompose, side_tensor, NULL));
    RV_TRY(rv_run_each(run, run->layer_count, precondition, layer_tensor, NULL));
    for (int i = 0; i < run->layer_count; i++)
        total[0] += run->lr * run->lr * rv_run_sums(run)[run->layers[i].weight][0];
    return RV_OK;
}

static rv_status step(const rv_run *run)
{
    const kfac_params *p = run->params;
    const double nu = rv_kfac_nu(p->kl_clip, run->joint[0]);
    RV_TRY(rv_run_each(run, run->layer_count, write, layer_tensor, &nu));
    rv_run changed = *run;
    changed.g = (const void *const *)rv_run_rooms(run);
    return rv_run_sgd(&changed, p->momentum, 1 - run->lr * p->weight_decay);
}

static const rv_slot slots[] = {
    [SLOT_B] = {"b", buffer_shape, false},        [SLOT_A] = {"a", NULL, false},
    [SLOT_A_BASIS] = {"a_basis", NULL, false},    [SLOT_A_VALUES] = {"a_values", NULL, false},
    [SLOT_G] = {"g", NULL, false},                [SLOT_G_BASIS] = {"g_basis", NULL, false},
    [SLOT_G_VALUES] = {"g_values", NULL, false},
};

static const rv_rule rules[] = {
    {.layered = true, .rank_max = RV_MAX_RANK, .method = "kfac"},
    {.rank_max = RV_MAX_RANK, .method = "adamw", .params = "weight_decay=0"},
};

const rv_method rv_method_kfac = {
    .info = {.name = "kfac",
             .version = 1,
             .title = "K-FAC: Kronecker-factored approximate curvature of linear layers",
             .equations = "of each layer, a: inputs with a 1 appended where it has a bias, g: gradient by its outputs\n"
                          "every factor_update_steps: A <- d A + (1 - d) sum a a'/rows;  G <- d G + (1 - d) sum g g'/rows; "
                          "d = factor_decay, start mean: min(factor_decay, 1 - 1/k) for the k-th\n"
                          "every inverse_update_steps: eigenvectors Q and values d of A and G (method inverse: inverses)\n"
                          "W = [weight | bias] gradients\n"
                          "eigen: P = Q_G [(Q_G' W Q_A) / (d_G d_A' + damping)] Q_A'\n"
                          "inverse: P = (G + damping I)^-1 W (A + damping I)^-1\n"
                          "nu = min(1, sqrt(kl_clip/|sum over layers of lr^2 <P, W>|));  b <- momentum b + nu P\n"
                          "w <- w (1 - lr weight_decay) - lr b;  tensors of no layer: adamw by the rules, else g in place of P",
             .paper = "Martens & Grosse 2015, Optimizing neural networks with Kronecker-factored approximate curvature; "
                      "Grosse & Martens 2016 (convolutions)",
             .reference = "gpauloski/kfac-pytorch 869cf110 kfac/ with torch's SGD behind it: scale mean, start identity, "
                          "momentum 0",
             .deviations = "by default g is of one example's loss, as in the paper (the reference's is of the mean over N, so "
                           "that its damping counts N^2 times as much), and factors begin as the paper's running mean.  labels "
                           "sampled is the paper's Fisher matrix at the price of a second pass, data the empirical one of the "
                           "reference.  Tensors of no layer go to adamw.  No factored Tikhonov split of the damping, no "
                           "rescaling by a quadratic model.  While kl_clip bounds the step its length does not depend on lr.  Defaults "
                           "of damping, kl_clip and both periods, and stagger, are ours",
             .params = &kfac_method_table,
             .state = "b: like the tensor, only with momentum > 0; of each layer a, a_basis: width x width, g, g_basis: out x "
                      "out, and with method eigen the eigenvalues a_values, g_values",
             .bytes_per_parameter = NAN},
    .tolerance = 1e-9,
    .slots = slots,
    .slot_count = sizeof slots / sizeof slots[0],
    .rules = rules,
    .rule_count = 2,
    .layer_shape = layer_shape,
    .wants_factors = wants_factors,
    .workspace = workspace,
    .room = room,
    .tasks = tasks,
    .measure = measure,
    .passes = 1,
    .step = step,
};
