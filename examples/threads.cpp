// A host application's own memory and threads under Ravine, from C++: the state of the optimizer
// comes from the host's allocator, its steps run on the host's threads, and the state goes to a file
// and back.  The same bits come out of any number of threads.
//     c++ -std=c++11 threads.cpp $(pkg-config --cflags --libs ravine) -pthread -o threads
#include <ravine/optim.h>
#include <stdlib.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

const int kThreads = 3, kRows = 512, kCols = 300;

std::size_t held = 0;  // bytes that the library holds of ours

void *allocate(void *, std::size_t size)
{
    void *block = nullptr;
    if (posix_memalign(&block, 64, size) != 0)
        return nullptr;
    held += size;
    return block;
}

void release(void *, void *block, std::size_t size)
{
    held -= size;
    free(block);
}

// Tasks by a shared counter, over threads made for the occasion; a real host has a pool.
void run(void *, int tasks, rv_task *task, void *context)
{
    std::atomic<int> next{0};
    std::vector<std::thread> threads;
    for (int worker = 0; worker < kThreads; worker++)
        threads.emplace_back([&, worker] {
            for (int i; (i = next++) < tasks;)
                task(context, i, worker);
        });
    for (std::thread &thread : threads)
        thread.join();
}

void check(rv_status status, const rv_error &err)
{
    if (status != RV_OK)
        throw std::runtime_error(err.message);
}

typedef std::unique_ptr<rv_optimizer, void (*)(rv_optimizer *)> Optimizer;

Optimizer make(rv_pool *pool, std::vector<float> &w, const rv_tensor &tensor)
{
    const rv_allocator memory = {allocate, release, nullptr};
    const void *start[] = {w.data()};
    rv_optimizer_options options = {};
    options.method = "muon";
    options.wrappers = "clip_norm,lookahead(k=2)";
    options.pool = pool;
    options.allocator = &memory;
    rv_optimizer *made = nullptr;
    rv_error err;
    check(rv_optimizer_new(&made, &options, &tensor, 1, start, &err), err);
    return Optimizer(made, rv_optimizer_free);
}

void step(rv_optimizer *optimizer, std::vector<float> &w, std::vector<float> &g)
{
    for (std::size_t i = 0; i < w.size(); i++)
        g[i] = w[i] - static_cast<float>(i % 11) / 11;
    void *weights[] = {w.data()};
    const void *gradient[] = {g.data()};
    rv_error err;
    check(rv_optimizer_step(optimizer, weights, gradient, &err), err);
}

}  // namespace

int main(int argc, char **argv)
{
    rv_tensor tensor = {};
    std::snprintf(tensor.name, sizeof tensor.name, "w");
    tensor.shape = RV_SHAPE(kRows, kCols);
    std::vector<float> a(kRows * kCols, 0.25f), b = a, g(a.size());
    rv_error err;
    rv_pool *pool = nullptr;
    check(rv_pool_new_over(&pool, kThreads, run, nullptr, &err), err);
    {
        Optimizer threaded = make(pool, a, tensor), alone = make(nullptr, b, tensor);
        for (int i = 0; i < 3; i++)
            step(threaded.get(), a, g), step(alone.get(), b, g);
        const char *path = argc > 1 ? argv[1] : "optimizer.safetensors";
        check(rv_optimizer_save(threaded.get(), path, &err), err);
        alone = make(nullptr, b, tensor);
        check(rv_optimizer_load(alone.get(), path, &err), err);
        for (int i = 0; i < 3; i++)
            step(threaded.get(), a, g), step(alone.get(), b, g);
        std::printf("steps %d, state of %zu bytes, weights %s\n", static_cast<int>(rv_optimizer_steps(alone.get())),
                    rv_optimizer_bytes(alone.get()), a == b ? "equal" : "different");
    }
    rv_pool_free(pool);
    return a == b && held == 0 ? 0 : 1;
}
