"""PyTorch's optimizers on the layouts of bench/optim.c.

    peer_optim.py MILLIONS THREADS METHOD...

prints one JSON object per method, layout and mode (fused, foreach) that this PyTorch has on the CPU.
"""
import json
import math
import sys
import time

import torch

CLASSES = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "adagrad": "Adagrad", "rmsprop": "RMSprop", "adadelta": "Adadelta",
           "adamax": "Adamax", "nadam": "NAdam", "radam": "RAdam", "asgd": "ASGD", "rprop": "Rprop"}
REPEATS, BLOCKS = 11, 25


def shapes(layout, millions):
    if layout == "flat":
        return [(int(millions * 1e6),)]
    width = max(1, int(math.sqrt(millions * 1e6 / (BLOCKS * 9))))
    return [(width,), (width, width), (4 * width, width), (4 * width,), (width, 4 * width), (width,)] * BLOCKS


def measure(make, params, mode):
    optimizer = make(params, **{mode: True})
    best = math.inf
    for i in range(-2, REPEATS):
        start = time.perf_counter()
        optimizer.step()
        if i >= 0:
            best = min(best, time.perf_counter() - start)
    return 1e3 * best


def main():
    millions, threads = float(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    for layout in ("flat", "mixed"):
        params = [torch.nn.Parameter(torch.rand(shape)) for shape in shapes(layout, millions)]
        for p in params:
            p.grad = 0.01 * torch.rand_like(p)
        for method in sys.argv[3:]:
            name, _, momentum = method.partition("+")
            make = getattr(torch.optim, CLASSES[name])
            for mode in ("fused", "foreach"):
                try:
                    options = {"momentum": 0.9} if momentum else {}
                    ms = measure(lambda ps, **kw: make(ps, **options, **kw), params, mode)
                except (TypeError, RuntimeError):  # no such mode
                    continue
                print(json.dumps({"method": method, "layout": layout, "threads": threads, "mode": mode, "ms": ms}), flush=True)


main()
