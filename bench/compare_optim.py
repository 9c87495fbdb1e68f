"""The optimizer table: time, bandwidth and its share of the machine's copy, beside PyTorch.

    compare_optim.py BUILD [--millions 100] [--methods GLOB] [--python PYTHON_WITH_TORCH]

Ravine's lines come from bench_optim, which copies and steps in turn; PyTorch runs right after it, with
one process per number of threads.  Prints Markdown.  Uses the standard library only.
"""
import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
# Optimizers that both have, "+" for momentum 0.9; the classes stand in peer_optim.py.
PEERS = ("sgd", "sgd+m", "adam", "adamw", "adagrad", "rmsprop", "rmsprop+m", "adadelta", "adamax", "nadam", "radam", "asgd",
         "rprop")


def lines(command):
    """One JSON object a line, as they come."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        yield json.loads(line)
    if process.wait() != 0:
        sys.exit(f"compare_optim: {command[0]} failed")


def label(row):
    return row["method"] + ("+m" if row["params"] == "momentum=0.9" else "")


def peers(python, millions, wanted):
    """(method, layout, threads) -> {mode: ms}."""
    found = {}
    if not wanted:
        return found
    for threads in (1, 2):
        for row in lines([python, HERE / "peer_optim.py", millions, threads, *wanted]):
            found.setdefault((row["method"], row["layout"], row["threads"]), {})[row["mode"]] = row["ms"]
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--millions", type=float, default=100)
    parser.add_argument("--methods", default="*")
    parser.add_argument("--python", default=sys.executable)
    options = parser.parse_args()
    rows = list(lines([options.build / "bench" / "bench_optim", "--json", options.millions, options.methods]))
    if subprocess.run([options.python, "-c", "import torch"], capture_output=True).returncode == 0:
        names = {label(row) for row in rows}
        beside = peers(options.python, options.millions, [p for p in PEERS if p in names])
    else:
        print("compare_optim: no PyTorch here; the table has no peer", file=sys.stderr)
        beside = {}
    print("| method | layout | state | threads | ms | GB/s | copy GB/s | share | fused ms | foreach ms | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        peer = beside.get((label(row), row["layout"], row["threads"]), {}) if row["state"] == "f32" else {}
        times = [f"{peer[mode]:.2f}" if mode in peer else "-" for mode in ("fused", "foreach")]
        ratio = f"{min(peer.values()) / row['ms']:.2f}" if peer else "-"
        print(f"| {row['method']} {row['params']} | {row['layout']} | {row['state']} | {row['threads']} | {row['ms']:.2f} | {row['gbs']:.1f} "
              f"| {row['copy_gbs']:.1f} | {100 * row['share']:.0f} % | {times[0]} | {times[1]} | {ratio} |")


main()
