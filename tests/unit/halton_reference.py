#!/usr/bin/env python3
"""The reference numbers of bench_sampler.c: AlgoPerf's shuffled Halton points, restated with numpy.

    python3 halton_reference.py POINTS DIMENSIONS SEED

Needs numpy (any version: its RandomState is frozen).  Rules: mlcommons/algorithmic-efficiency,
algoperf/halton.py, generate_sequence() with its defaults and numpy.random.seed(SEED) before it.
"""
import math
import sys

import numpy as np


def bases(dimensions):
    limit, found = 0, []
    while len(found) < dimensions + 1:
        limit += 1000
        found = [n for n in range(3, limit, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2))]
    return found[-dimensions - 1:-1]


def coordinate(points, base, skip=100):
    stream = np.random.RandomState(base)
    digits = list(range(1, base))
    stream.shuffle(digits)
    digits.insert(0, 0)
    shift = stream.random_sample()
    values = []
    for i in range(skip + 1, skip + points + 1):
        value, scale = 0.0, base
        while i:
            value += digits[i % base] / scale
            i, scale = i // base, scale * base
        values.append(math.fmod(value + shift, 1.0))
    return values


def main():
    points, dimensions, seed = map(int, sys.argv[1:])
    rows = list(zip(*(coordinate(points, base) for base in bases(dimensions))))
    np.random.RandomState(seed).shuffle(rows)
    for row in rows:
        print(*(value.hex() for value in row))


if __name__ == "__main__":
    main()
