#!/usr/bin/env python3
"""Writes folders of made-up runs: fixtures for the report, never results.

    fixture.py bench DIR    a benchmark: 3 problems x 5 optimizers x 3 learning rates x 3 seeds
    fixture.py partial DIR  the same, stopped early: one problem not run, one where all miss, a failed setting
    fixture.py runs DIR     plain runs of two workloads, one of them still going, one diverged

Curves are power laws with noise, drawn from a fixed seed.  The scores are computed here a
second time, independently of src/bench/score.c, from the definitions."""
import json
import math
import os
import random
import statistics
import sys

MARKUP = "<script>alert(1)</script>"  # a hostile label: must stay text

PROBLEMS = [
    dict(label="char-lm", workload="char-lm", title="Character-level GPT on tinyshakespeare", metric="loss",
         maximize=False, target=2.1, steps=600, batch=16, every=20, cost=0.006, start=4.2, end=1.6),
    dict(label="glyphs-cnn", workload="fashion-cnn", title="Small convolutional network on Fashion-MNIST",
         metric="accuracy", maximize=True, target=0.95, steps=200, batch=64, every=10, cost=0.012, start=2.3, end=0.05),
    dict(label="glyphs-mlp", workload="mnist-mlp", title="MLP 784-512-512-10 on MNIST", metric="accuracy",
         maximize=True, target=0.93, steps=400, batch=128, every=10, cost=0.002, start=2.3, end=0.08),
]
# label: (learning rates, speed at each, cost of a step relative to the cheapest)
OPTIMIZERS = {
    "sgd": ([0.03, 0.1, 0.3], [0.5, 0.9, 0.7], 1.0),
    "adamw": ([0.001, 0.003, 0.01], [0.8, 1.4, 0.6], 1.05),
    "muon": ([0.005, 0.02, 0.05], [1.3, 2.4, 1.5], 1.25),
    "shampoo": ([0.001, 0.003, 0.01], [1.0, 1.9, 0.0], 2.1),
    "schedule_free_adamw": ([0.003, 0.01, 0.03], [0.9, 1.5, 1.1], 1.08),
}


def number(x):
    return "nan" if math.isnan(x) else ("inf" if x > 0 else "-inf") if math.isinf(x) else x


def curve(problem, speed, cost, seed, noise):
    """Log lines, and (step, examples, seconds) at the target or None."""
    draw = random.Random(f"{problem['label']} {speed} {seed}")
    lines, hit, seconds = [], None, 0.0
    span, best = problem["start"] - problem["end"], None
    for step in range(1, problem["steps"] + 1):
        seconds += problem["cost"] * cost * draw.uniform(0.95, 1.1)
        at = dict(step=step, examples=step * problem["batch"], seconds=round(seconds, 5))
        level = problem["end"] + span / (1 + 6 * speed * (1 + 0.06 * draw.gauss(0, 1) * noise) * step / problem["steps"]) ** 1.7
        loss = level * math.exp(0.05 * draw.gauss(0, 1))
        if speed == 0 and step > problem["steps"] // 5:
            lines.append(dict(at, loss="nan", lr=0.01, grad_norm="inf"))
            return lines, None, best
        if step % 5 == 0 or step == 1:
            lines.append(dict(at, loss=loss, lr=0.003, grad_norm=abs(draw.gauss(1, 0.2))))
        if step % problem["every"] == 0:
            value = level * 1.03 if not problem["maximize"] else 1 - 0.9 * (level / problem["start"]) ** 1.1
            metrics = dict(loss=level * 1.03)
            metrics[problem["metric"]] = value
            lines.append(dict(at, split="validation", metrics=metrics))
            better = best is None or (value > best if problem["maximize"] else value < best)
            best = value if better else best
            if value >= problem["target"] if problem["maximize"] else value <= problem["target"]:
                return lines, (step, step * problem["batch"], seconds), best
    return lines, hit, best


def write_run(folder, config, lines, result, seconds):
    os.makedirs(folder, exist_ok=True)
    meta = dict(version="0.1.0", compiler="gcc 12.2.0", cpu=["avx2", "fma"], sessions=1, threads=1,
                start="2024-05-01T10:00:00Z", end="2024-05-01T10:00:%02dZ" % min(59, int(seconds)),
                argv=["ravine", "bench", "--suite", "quick"])
    for name, value in (("config.json", config), ("meta.json", meta), ("result.json", result)):
        if value is not None:
            with open(os.path.join(folder, name), "w") as file:
                json.dump(value, file, indent=1)
    with open(os.path.join(folder, "log.jsonl"), "w") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
        file.write('{"step": 1')  # a torn last line


def config_of(problem, optimizer, lr, seed):
    return dict(workload=problem["workload"], workload_params=dict(images=4000), optimizer=optimizer,
                optimizer_params=dict(lr=lr, weight_decay=0.01), schedule="warmup_cosine",
                schedule_params=dict(warmup=10, minimum=0.1),
                train=dict(seed=seed, steps=problem["steps"], target=problem["target"], batch=problem["batch"]))


def profile(times):
    """times[problem][optimizer] -> score: mean of rho over tau in [1, 4]."""
    n, scores = len(times), [0.0] * len(times[0])
    for row in times:
        for i, t in enumerate(row):
            if math.isfinite(t):
                scores[i] += max(0.0, (4 - t / min(row)) / 3) / n
    return scores


def rank(scores):
    return [1 + sum(other > s for other in scores) for s in scores]


def bench(root):
    trials, cells, labels = [], [], list(OPTIMIZERS)
    medians = {unit: [[] for _ in PROBLEMS] for unit in ("examples", "seconds", "steps")}
    for p, problem in enumerate(PROBLEMS):
        for o, label in enumerate(labels):
            rates, speeds, cost = OPTIMIZERS[label]
            points = []
            for k, lr in enumerate(rates):
                hits, bests = [], []
                for seed in range(3):
                    slow = {("muon", "glyphs-mlp"): 0.55, ("sgd", "char-lm"): 0.12}
                    speed = speeds[k] * slow.get((label, problem["label"]), 1)
                    lines, hit, best = curve(problem, speed, cost, seed, 1)
                    run = f"{problem['workload']}-{label}-{k}{p}{o}fixture-seed{seed}"
                    last = lines[-1]
                    outcome = "target" if hit else "diverged" if last.get("loss") == "nan" else "budget"
                    write_run(os.path.join(root, run), config_of(problem, label, lr, seed), lines,
                              dict(outcome=outcome), last["seconds"])
                    time = hit or (math.inf,) * 3
                    hits.append(time)
                    bests.append(best if best is not None else math.nan)
                    trials.append(dict(run=run, problem=p, optimizer=o, point=k, seed=seed, state="done",
                                       outcome=outcome, why="loss at step 41" if outcome == "diverged" else "",
                                       steps=last["step"], examples=last["examples"], seconds=last["seconds"],
                                       best=number(bests[-1]), final=number(bests[-1]), target_step=number(time[0]),
                                       target_examples=number(time[1]), target_seconds=number(time[2])))
                middle = [statistics.median(h[i] for h in hits) for i in range(3)]
                points.append(dict(settings=dict(lr=lr), n=3, reached=sum(math.isfinite(h[0]) for h in hits),
                                   steps=middle[0], examples=middle[1], seconds=middle[2],
                                   metric=statistics.median(bests)))
            sign = -1 if problem["maximize"] else 1
            best = min(range(3), key=lambda i: (points[i]["examples"], sign * points[i]["metric"]))
            for unit, rows in medians.items():
                rows[p].append(points[best][unit])
            cells.append(dict(problem=p, optimizer=o, best=best,
                              points=[{k: number(v) if isinstance(v, float) else v for k, v in pt.items()} for pt in points]))
    scores = {unit: profile(rows) for unit, rows in medians.items()}
    ranks = {unit: rank(values) for unit, values in scores.items()}
    keep = ("label", "workload", "title", "metric", "maximize", "target")
    shown = list(labels)
    if os.environ.get("FIXTURE_MARKUP"):
        shown[0] = MARKUP
    record = dict(
        format=1, ravine="0.1.0", machine="Fixture CPU (made-up runs), 2 cores", finished="2024-05-01T10:04:40Z", complete=True, jobs=2,
        command=["ravine", "bench", "--suite", "quick", "-j", "2", "-o", "runs/quick"],
        suite=dict(name="quick", problems=[dict(label=p["label"], workload=p["workload"], target=p["target"]) for p in PROBLEMS],
                   optimizers=[dict(label=shown[i], optimizer=l, grid=dict(lr=OPTIMIZERS[l][0])) for i, l in enumerate(labels)],
                   seeds=[0, 1, 2]),
        notes=[dict(problem="char-lm", line="no data folder: procedural text instead"),
               dict(problem="glyphs-cnn", line="no data folder: procedural digits instead"),
               dict(problem="glyphs-mlp", line="no data folder: procedural digits instead")],
        trials=trials,
        scores=dict(problems=[{k: p[k] for k in keep} for p in PROBLEMS],
                    optimizers=[dict(label=shown[o], reached=sum(math.isfinite(row[o]) for row in medians["examples"]),
                                     score={u: scores[u][o] for u in scores}, rank={u: ranks[u][o] for u in ranks})
                                for o in range(len(labels))],
                    cells=cells))
    with open(os.path.join(root, "bench.json"), "w") as file:
        json.dump(record, file, indent=1)


def partial(root):
    bench(root)
    path = os.path.join(root, "bench.json")
    with open(path) as file:
        record = json.load(file)
    record["complete"] = False
    for trial in record["trials"]:
        state = "pending" if trial["problem"] == 1 else "failed" if (trial["problem"], trial["optimizer"]) == (0, 0) else "done"
        if state != "done":
            for key in set(trial) - {"run", "problem", "optimizer", "point", "seed"}:
                del trial[key]
            trial.update(state=state, **(dict(error="disk full") if state == "failed" else {}))
    for cell in record["scores"]["cells"]:
        time = {1: "nan", 2: "inf"}.get(cell["problem"])
        for point in cell["points"]:
            if time:
                point.update(n=0 if time == "nan" else 3, reached=0, examples=time, seconds=time, steps=time)
        if time == "nan":
            cell["best"] = -1
    with open(path, "w") as file:
        json.dump(record, file)


def runs(root):
    for problem, optimizers in ((PROBLEMS[0], ["adamw", "muon"]), (PROBLEMS[2], ["sgd", "shampoo"])):
        for label in optimizers:
            rates, speeds, cost = OPTIMIZERS[label]
            for k in (1, 2):
                for seed in range(3):
                    lines, hit, best = curve(problem, speeds[k], cost, seed, 1)
                    outcome = "target" if hit else "diverged" if lines[-1].get("loss") == "nan" else "budget"
                    result = dict(outcome=outcome, metric=problem["metric"],
                                  best=dict(value=number(best if best is not None else math.nan), step=lines[-1]["step"]))
                    write_run(os.path.join(root, f"{problem['workload']}-{label}-{k}-seed{seed}"),
                              config_of(problem, label, rates[k], seed), lines, result if seed < 2 or k == 1 else None,
                              lines[-1]["seconds"])


if __name__ == "__main__":
    kinds = dict(bench=bench, partial=partial, runs=runs)
    if len(sys.argv) != 3 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    os.makedirs(sys.argv[2], exist_ok=True)
    kinds[sys.argv[1]](sys.argv[2])
