"""The optimizers of PyTorch or of JAX (optax) on the layouts of bench/optim.c.

    peer_optim.py torch|jax MILLIONS THREADS LABEL...

A label is a method of Ravine, with "+m" for momentum 0.9.  Prints one JSON object per method, layout and mode: fused,
foreach or loop (one tensor after another, where there is neither) of PyTorch, jit of optax.
"""
import importlib
import json
import math
import os
import sys
import time

BUDGET, LEAST, REPEATS, BLOCKS = 0.3, 3, 11, 25
TORCH = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "adagrad": "Adagrad", "rmsprop": "RMSprop", "adadelta": "Adadelta",
         "adamax": "Adamax", "nadam": "NAdam", "radam": "RAdam", "asgd": "ASGD", "rprop": "Rprop", "adafactor": "Adafactor",
         "muon": "Muon"}
OPTAX = {"sgd": "sgd", "adam": "adam", "adamw": "adamw", "adagrad": "adagrad", "rmsprop": "rmsprop", "adadelta": "adadelta",
         "adamax": "adamax", "nadam": "nadam", "nadamw": "nadamw", "radam": "radam", "rprop": "rprop", "adafactor": "adafactor",
         "adabelief": "adabelief", "adan": "adan", "lamb": "lamb", "lars": "lars", "lion": "lion", "signsgd": "sign_sgd",
         "signum": "signum", "fromage": "fromage", "adopt": "contrib.adopt", "ademamix": "contrib.ademamix",
         "prodigy": "contrib.prodigy", "dadapt_adam": "contrib.dadapt_adamw", "dog": "contrib.dog", "dowg": "contrib.dowg",
         "schedule_free_sgd": "contrib.schedule_free_sgd", "schedule_free_adamw": "contrib.schedule_free_adamw",
         "muon": "contrib.muon"}
MATRICES = ("muon",)


def shapes(layout, millions):
    if layout == "flat":
        return [(int(millions * 1e6),)]
    if layout == "matrices":  # whatever the size
        return [(3072 if i % 3 == 1 else 768, 3072 if i % 3 == 2 else 768) for i in range(6)]
    width = max(1, int(math.sqrt(millions * 1e6 / (BLOCKS * 9))))
    return [(width,), (width, width), (4 * width, width), (4 * width,), (width, 4 * width), (width,)] * BLOCKS


def best_ms(step):
    """Of as many steps as bench/optim.c makes; the first makes the state."""
    step()
    best, begin = math.inf, time.perf_counter()
    for i in range(REPEATS):
        if i >= LEAST and time.perf_counter() - begin > BUDGET:
            break
        start = time.perf_counter()
        step()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


def torch_steps(layout, millions, labels):
    """(label, mode, step) of everything that this PyTorch has."""
    import torch

    params = [torch.nn.Parameter(torch.rand(shape)) for shape in shapes(layout, millions)]
    for p in params:
        p.grad = 0.01 * torch.rand_like(p)
    for label in labels:
        name, _, momentum = label.partition("+")
        make = getattr(torch.optim, TORCH.get(name, ""), None)
        found = False
        for mode in ("fused", "foreach", "loop"):
            options = {"momentum": 0.9} if momentum else {}
            if mode != "loop":
                options[mode] = True
            try:
                step = make(params, **options).step
                step()
            except (TypeError, RuntimeError, ValueError):  # no such class, mode or tensors
                continue
            if mode != "loop" or not found:
                yield label, mode, step
            found = True


def jax_steps(layout, millions, labels):
    """Jitted updates whose weights and state are donated: XLA may write them in place."""
    import jax
    import numpy
    import optax

    importlib.import_module("optax.contrib")
    draw = numpy.random.default_rng(0)
    initial = [draw.random(shape, dtype=numpy.float32) for shape in shapes(layout, millions)]
    grads = [jax.numpy.asarray(0.01 * w) for w in initial]
    for label in labels:
        name, _, momentum = label.partition("+")
        make = optax
        for part in OPTAX.get(name, "").split("."):
            make = getattr(make, part, None)
        if make is None:  # not in this optax
            continue
        options = {"momentum": 0.9} if momentum else {}
        if name == "dog":  # has no default
            options["learning_rate"] = 1.0
        elif name not in ("prodigy", "dadapt_adam", "dowg", "schedule_free_adamw"):
            options["learning_rate"] = 1e-3
        optimizer = make(**options)

        def update(params, state, grads):
            updates, state = optimizer.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        params = [jax.numpy.array(w) for w in initial]
        held = [params, jax.tree.map(jax.numpy.array, optimizer.init(params))]  # copied: no buffer may be donated twice
        del params
        jitted = jax.jit(update, donate_argnums=(0, 1))

        def step():
            held[:] = jax.block_until_ready(jitted(*held, grads))

        yield label, "jit", step


def main():
    backend, millions, threads, labels = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # all that XLA listens to
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)
    for layout in ("flat", "mixed", "matrices"):
        wanted = [label for label in labels if (label in MATRICES) == (layout == "matrices")]
        if not wanted:
            continue
        for label, mode, step in (torch_steps if backend == "torch" else jax_steps)(layout, millions, wanted):
            print(json.dumps({"method": label, "layout": layout, "threads": threads, "mode": mode, "ms": best_ms(step)}), flush=True)


main()
