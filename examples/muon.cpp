// Muon from C++: a matrix goes to Muon, its bias to AdamW, as the method's own rules say.
//     c++ -std=c++11 muon.cpp $(pkg-config --cflags --libs ravine) -o muon
// Learns the linear map y = A x + b from its noiseless outputs.
#include <ravine/optim.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

const int kIn = 8, kOut = 4, kExamples = 64, kSteps = 400;

// The loss at w [out, in] and b [out] over the examples; gradients into gw and gb.
double gradient(const std::vector<double> &w, const std::vector<double> &b, std::vector<double> &gw, std::vector<double> &gb)
{
    double sum = 0, x[kIn];
    gw.assign(gw.size(), 0);
    gb.assign(gb.size(), 0);
    for (int n = 0; n < kExamples; n++) {
        for (int i = 0; i < kIn; i++)
            x[i] = rv_random_normal(rv_random{7, RV_RANDOM_DATA, 0}, static_cast<uint64_t>(n * kIn + i));
        for (int o = 0; o < kOut; o++) {
            double r = b[o] - 0.5 * o;
            for (int i = 0; i < kIn; i++)
                r += (w[o * kIn + i] - std::sin(1.0 + o * kIn + i)) * x[i];
            sum += 0.5 * r * r / kExamples;
            gb[o] += r / kExamples;
            for (int i = 0; i < kIn; i++)
                gw[o * kIn + i] += r * x[i] / kExamples;
        }
    }
    return sum;
}

int main()
{
    std::vector<double> weight(kOut * kIn), bias(kOut), gw(kOut * kIn), gb(kOut);
    const rv_tensor tensors[] = {{"layer.weight", RV_ROLE_HIDDEN, RV_SHAPE(kOut, kIn), 0, 0},
                                 {"layer.bias", RV_ROLE_BIAS, RV_SHAPE(kOut), 0, 0}};
    void *w[] = {weight.data(), bias.data()};
    const void *g[] = {gw.data(), gb.data()}, *start[] = {weight.data(), bias.data()};
    rv_optimizer_options options = {};
    options.method = "muon";
    options.params = "lr=0.02,weight_decay=0,adamw.lr=0.02,adamw.weight_decay=0";
    options.dtype = RV_F64;
    rv_error err;
    rv_optimizer *made = nullptr;
    rv_status status = rv_optimizer_new(&made, &options, tensors, 2, start, &err);
    std::unique_ptr<rv_optimizer, void (*)(rv_optimizer *)> muon(made, rv_optimizer_free);
    const double first = gradient(weight, bias, gw, gb);
    for (int step = 0; step < kSteps && status == RV_OK; step++) {
        rv_optimizer_set_lr_factor(muon.get(), 1.0 - static_cast<double>(step) / kSteps);
        status = rv_optimizer_step(muon.get(), w, g, &err);
        gradient(weight, bias, gw, gb);
    }
    const double last = gradient(weight, bias, gw, gb);
    std::printf("loss %g -> %g %s\n", first, last, status == RV_OK ? "" : err.message);
    return status == RV_OK && last < 1e-2 * first ? 0 : 1;
}
