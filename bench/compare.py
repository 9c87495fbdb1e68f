"""The speed table: Ravine, PyTorch and the machine's limits in turn, as ratios.

    compare.py BUILD [--models a,b] [--batches 1,2] [--threads 1,2] [--rounds 3] [--seconds 0.5] [--all] [--python PYTHON_WITH_TORCH]

Runs the same training step (forward, backward, AdamW) of each model in Ravine and, where PyTorch is
installed, in every setting of peer_torch.py, in turn within every round; quotes medians over the rounds.
PyTorch's fastest setting counts, and the table names it.  A setting that does not work is named below the
table.  Compilation is never timed; PyTorch keeps its results for the next run.  Prints Markdown.  Uses the
standard library only.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
ROWS = [("modular-division", 512), ("char-lm", 12), ("char-lm-large", 8), ("mlp", 128), ("resnet20", 128)]
SMALLER = (1, 8, 64)
HEADS = ("model", "batch", "precision", "threads", "ms", "GFLOP/s", "of peak", "PyTorch ms", "setting", "ratio")


def run(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"compare: {' '.join(map(str, command))}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


class Peer:
    """PyTorch with a cell's steps made ready, all settings in one process; it waits while it is not asked."""

    def __init__(self, command):
        self.words = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.words, text=True)
        found = self.answer() or {"ready": {}, "failed": {"PyTorch": self.last_word()}}
        self.settings, self.failed = list(found["ready"]), found["failed"]

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def last_word(self):
        self.words.seek(0)
        return (self.words.read().strip().splitlines() or ["it ended without a word"])[-1]

    def measure(self, setting, seconds):
        """Milliseconds of a step, or None for a setting that is lost."""
        if setting in self.failed:
            return None
        try:
            self.process.stdin.write(f"{setting} {seconds}\n")
            self.process.stdin.flush()
            found = self.answer()
        except BrokenPipeError:
            found = None
        if found is None:
            self.failed[setting] = self.last_word()
            return None
        return found["ms"]

    def close(self):
        try:
            self.process.communicate()
        except BrokenPipeError:
            pass
        self.words.close()


def measure(ours, peer, rounds, seconds):
    """Our results, and PyTorch's milliseconds by setting, round by round."""
    results, times = [], {}
    for _ in range(rounds):
        result = run([*ours, seconds])
        if result:
            results.append(result)
        for setting in peer.settings if peer else []:
            ms = peer.measure(setting, seconds)
            if ms is not None:
                times.setdefault(setting, []).append(ms)
    return results, times


def row(cell, results, times, peak):
    """A line of the table; peak: GFLOP/s of the cell's cores, or 0."""
    ms = statistics.median(r["ms"] for r in results)
    gflops = 1e3 * results[0]["gflop"] / ms
    share = f"{100 * gflops / peak:.0f} %" if peak else "-"
    best, setting = min(((statistics.median(t), s) for s, t in times.items()), default=(None, "-"))
    beside = (f"{best:.2f}", setting, f"{best / ms:.2f}") if best else ("-", "-", "-")
    return "| " + " | ".join(map(str, (*cell, f"{ms:.2f}", f"{gflops:.0f}", share, *beside))) + " |"


def cells(models, batches, threads):
    for model, full in ROWS:
        for batch in dict.fromkeys(max(1, full // k) for k in SMALLER):
            if model in models and (batches is None or batch in batches):
                yield from ((model, batch, precision, count) for precision in ("f32", "bf16") for count in threads)


def numbers(text):
    return [int(part) for part in text.split(",")]


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--models", type=lambda text: text.split(","), default=[name for name, _ in ROWS])
    parser.add_argument("--batches", type=numbers, help="of the table's; default: all")
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of every measurement")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--all", action="store_true", help="every setting's time below the table")
    options = parser.parse_args()
    unknown = set(options.models) - {name for name, _ in ROWS}
    if unknown:
        parser.error(f"no model {', '.join(sorted(unknown))}; there are {', '.join(name for name, _ in ROWS)}")
    return options


def notes(cells_of, settings_of):
    """What did not work, and where: the table must not hide it."""
    for (setting, why), where in cells_of.items():
        names = dict.fromkeys(" ".join(map(str, cell)) for cell in where)
        yield f"{setting} failed ({', '.join(names)}): {why}"
    for cell, times in settings_of:
        yield " ".join(map(str, cell)) + ": " + ", ".join(f"{s} {statistics.median(t):.2f}" for s, t in times.items())


def main():
    options = parse()
    has_torch = subprocess.run([options.python, "-c", "import torch"], capture_output=True).returncode == 0
    if not has_torch:
        print("compare: no PyTorch here; the table has no peer", file=sys.stderr)
    limits = (run([options.build / "bin" / "ravine", "doctor", "--json"]) or {}).get("limits", {})
    print("| " + " | ".join(HEADS) + " |\n" + "|---" * len(HEADS) + "|", flush=True)
    failed, every, start, preparing, count = {}, [], time.monotonic(), 0, 0
    for cell in cells(options.models, options.batches, options.threads):
        before, count = time.monotonic(), count + 1
        peer = Peer([options.python, HERE / "peer_torch.py", *cell]) if has_torch else None
        preparing += time.monotonic() - before
        results, times = measure([options.build / "bench" / "bench_train", *cell], peer, options.rounds, options.seconds)
        if peer:
            peer.close()
            for setting, why in peer.failed.items():
                failed.setdefault((setting, why), []).append(cell)
        if options.all and times:
            every.append((cell, times))
        if results:
            print(row(cell, results, times, limits.get(f"{cell[2]}_gflops", 0) * cell[3]), flush=True)
    for line in notes(failed, every):
        print("\n" + line)
    print(f"compare: {count} cells in {time.monotonic() - start:.0f} s, of which {preparing:.0f} s to start and compile PyTorch",
          file=sys.stderr)


if __name__ == "__main__":
    main()
