// Muon from C++: a matrix goes to Muon, its bias to AdamW, as the method's own rules say.
//     c++ -std=c++11 muon.cpp $(pkg-config --cflags --libs ravine) -o muon
// Learns the linear map y = A x + b from its noiseless outputs.
#include <ravine/optim.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

namespace {

const int kIn = 8, kOut = 4, kExamples = 64, kSteps = 400;

struct Problem {
    std::vector<double> x, y, w, b, gw, gb;  // x [examples, in], y [examples, out], w [out, in]

    Problem() : x(kExamples * kIn), y(kExamples * kOut), w(kOut * kIn), b(kOut), gw(kOut * kIn), gb(kOut)
    {
        rv_random stream = {7, RV_RANDOM_DATA, 0};
        for (std::size_t i = 0; i < x.size(); i++)
            x[i] = rv_random_normal(stream, i);
        for (int n = 0; n < kExamples; n++)
            for (int o = 0; o < kOut; o++) {
                y[n * kOut + o] = 0.5 * o;
                for (int i = 0; i < kIn; i++)
                    y[n * kOut + o] += std::sin(1.0 + o * kIn + i) * x[n * kIn + i];
            }
    }

    double loss_and_gradient()
    {
        double sum = 0;
        gw.assign(gw.size(), 0);
        gb.assign(gb.size(), 0);
        for (int n = 0; n < kExamples; n++)
            for (int o = 0; o < kOut; o++) {
                double r = b[o] - y[n * kOut + o];
                for (int i = 0; i < kIn; i++)
                    r += w[o * kIn + i] * x[n * kIn + i];
                sum += 0.5 * r * r / kExamples;
                gb[o] += r / kExamples;
                for (int i = 0; i < kIn; i++)
                    gw[o * kIn + i] += r * x[n * kIn + i] / kExamples;
            }
        return sum;
    }
};

rv_tensor tensor(const char *name, rv_role role, rv_shape shape)
{
    rv_tensor t = {};
    std::snprintf(t.name, sizeof t.name, "%s", name);
    t.role = role;
    t.shape = shape;
    return t;
}

}  // namespace

int main()
{
    Problem p;
    const rv_tensor tensors[] = {tensor("layer.weight", RV_ROLE_HIDDEN, RV_SHAPE(kOut, kIn)),
                                 tensor("layer.bias", RV_ROLE_BIAS, RV_SHAPE(kOut))};
    void *w[] = {p.w.data(), p.b.data()};
    const void *g[] = {p.gw.data(), p.gb.data()}, *start[] = {p.w.data(), p.b.data()};
    rv_optimizer_options options = {};
    options.method = "muon";
    options.params = "lr=0.02,weight_decay=0,adamw.lr=0.02,adamw.weight_decay=0";
    options.dtype = RV_F64;
    rv_error err;
    rv_optimizer *made;
    if (rv_optimizer_new(&made, &options, tensors, 2, start, &err) != RV_OK) {
        std::fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    std::unique_ptr<rv_optimizer, void (*)(rv_optimizer *)> muon(made, rv_optimizer_free);
    const double first = p.loss_and_gradient();
    for (int step = 0; step < kSteps; step++) {
        p.loss_and_gradient();
        rv_optimizer_set_lr_factor(muon.get(), 1.0 - static_cast<double>(step) / kSteps);
        if (rv_optimizer_step(muon.get(), w, g, &err) != RV_OK) {
            std::fprintf(stderr, "%s\n", err.message);
            return 1;
        }
    }
    const double last = p.loss_and_gradient();
    std::printf("loss %g -> %g\n", first, last);
    return last < 1e-2 * first ? 0 : 1;
}
