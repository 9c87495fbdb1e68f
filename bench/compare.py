"""The speed table: Ravine, PyTorch and the machine's limits in turn, as ratios.

    compare.py BUILD [--rounds 3] [--seconds 3] [--models a,b] [--python PYTHON_WITH_TORCH] [--compile]

Runs the same training step (forward, backward, AdamW) of each model in Ravine and,
where PyTorch is installed, in PyTorch, in turn within every round; quotes medians over
the rounds.  Prints Markdown.  Uses the standard library only.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
ROWS = [("modular-division", 512), ("char-lm", 12), ("char-lm-large", 8), ("mlp", 128), ("resnet20", 128)]
SMALLER = (1, 8, 64)


def run(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"compare: {' '.join(map(str, command))}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def has_torch(python):
    return subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0


def limits(build):
    found = run([build / "bin" / "ravine", "doctor", "--json"]) or {}
    return found.get("limits", {})


def measure(options, build, model, batch, precision, threads):
    """Median milliseconds of ours and of the fastest PyTorch mode, over the rounds."""
    ours, peers = [], {}
    modes = ["eager"] + (["compile"] if options.compile else [])
    for _ in range(options.rounds):
        result = run([build / "bench" / "bench_train", model, batch, precision, threads, options.seconds])
        if result:
            ours.append(result)
        for mode in modes if options.torch else []:
            peer = run([options.python, HERE / "peer_torch.py", model, batch, precision, threads,
                        options.seconds, mode])
            if peer:
                peers.setdefault(mode, []).append(peer["ms"])
    if not ours:
        return None
    best = min((statistics.median(times) for times in peers.values()), default=None)
    ms = statistics.median(r["ms"] for r in ours)
    return ms, ours[0]["gflop"] / ms, best  # GFLOP per ms = TFLOP/s


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--models", default=None)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    options.torch = has_torch(options.python)
    if not options.torch:
        print("compare: no PyTorch here; the table has no peer", file=sys.stderr)
    wanted = options.models.split(",") if options.models else [name for name, _ in ROWS]
    machine = limits(options.build)
    print("| model | batch | precision | threads | ms | GFLOP/s | of peak | PyTorch ms | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for model, full in ROWS:
        if model not in wanted:
            continue
        for batch in dict.fromkeys(max(1, full // k) for k in SMALLER):
            for precision in ("f32", "bf16"):
                for threads in (1, 2):
                    found = measure(options, options.build, model, batch, precision, threads)
                    if not found:
                        continue
                    ms, tflops, peer = found
                    peak = machine.get(f"{precision}_gflops", 0) * threads
                    share = f"{100e3 * tflops / peak:.0f} %" if peak else "-"
                    ratio = f"{peer / ms:.2f}" if peer else "-"
                    print(f"| {model} | {batch} | {precision} | {threads} | {ms:.2f} | {1e3 * tflops:.0f} "
                          f"| {share} | {f'{peer:.2f}' if peer else '-'} | {ratio} |", flush=True)


main()
