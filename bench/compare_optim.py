"""The optimizer table: time, bandwidth and its share of the machine's copy, beside PyTorch and JAX (optax).

    compare_optim.py BUILD [--millions 100] [--methods GLOB] [--python PYTHON_WITH_TORCH] [--jax-python PYTHON_WITH_OPTAX]

Ravine's lines come from bench_optim, which copies and steps in turn; the peers run right after it, with one process
each per number of threads.  Prints Markdown.  Uses the standard library only.
"""
import argparse
import ast
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PEER = HERE / "peer_optim.py"


def tables():
    """The methods that each peer has, from its own tables."""
    found = {}
    for node in ast.parse(PEER.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("TORCH", "OPTAX"):
            found[node.targets[0].id] = ast.literal_eval(node.value)
    return {"torch": found["TORCH"], "jax": found["OPTAX"]}


def lines(command):
    """One JSON object a line, as they come."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        yield json.loads(line)
    if process.wait() != 0:
        sys.exit(f"compare_optim: {command[0]} failed")


def label(row):
    return row["method"] + ("+m" if row["params"] == "momentum=0.9" else "")


def has(python, module):
    try:
        return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0
    except OSError:
        return False


def peers(python, backend, module, millions, labels):
    """(label, layout, threads) -> {mode: ms}."""
    if not has(python, module):
        print(f"compare_optim: no {module} in {python}", file=sys.stderr)
        return {}
    methods = tables()[backend]
    wanted = [label for label in labels if label.partition("+")[0] in methods]
    found = {}
    for threads in (1, 2):
        for row in lines([python, PEER, backend, millions, threads, *wanted]) if wanted else ():
            found.setdefault((row["method"], row["layout"], row["threads"]), {})[f"{backend} {row['mode']}"] = row["ms"]
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--millions", type=float, default=100)
    parser.add_argument("--methods", default="*")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--jax-python", default=sys.executable)
    options = parser.parse_args()
    rows = list(lines([options.build / "bench" / "bench_optim", "--json", options.millions, options.methods]))
    labels = list(dict.fromkeys(label(row) for row in rows))
    beside = {}
    for found in (peers(options.python, "torch", "torch", options.millions, labels),
                  peers(options.jax_python, "jax", "optax", options.millions, labels)):
        for key, modes in found.items():
            beside.setdefault(key, {}).update(modes)
    modes = ("torch fused", "torch foreach", "torch loop", "jax jit")
    print("| method | layout | state | threads | ms | GB/s | copy GB/s | share | " + " | ".join(f"{m} ms" for m in modes) + " | fastest peer / ours |")
    print("|---" * (9 + len(modes)) + "|")
    for row in rows:
        peer = beside.get((label(row), row["layout"], row["threads"]), {}) if row["state"] == "f32" else {}
        times = " | ".join(f"{peer[mode]:.2f}" if mode in peer else "-" for mode in modes)
        best = min(peer, key=peer.get) if peer else None
        ratio = f"{peer[best] / row['ms']:.2f} ({best})" if best else "-"
        print(f"| {row['method']} {row['params']} | {row['layout']} | {row['state']} | {row['threads']} | {row['ms']:.2f} | {row['gbs']:.1f} "
              f"| {row['copy_gbs']:.1f} | {100 * row['share']:.0f} % | {times} | {ratio} |", flush=True)


main()
