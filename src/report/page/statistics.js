/* Curves over seeds.  A run that ended keeps its last value (it reached its target or
   spent its budget); one that diverged counts as infinitely bad.  The median line ends
   where half of the runs have ended, because then it no longer says anything new. */

function quantile(sorted, q) {
  const at = q * (sorted.length - 1), low = Math.floor(at), high = Math.ceil(at);
  return low === high || sorted[low] === sorted[high] ? sorted[low] : sorted[low] + (sorted[high] - sorted[low]) * (at - low);
}

function median(values) {
  const kept = values.filter((v) => !Number.isNaN(v)).sort((a, b) => a - b);
  return kept.length ? quantile(kept, 0.5) : NaN;
}

/* {step, x, y} of one run without gaps; y is NaN where the log has a word. */
function column(run, split, key, axis) {
  const curve = run.curves[split];
  if (!curve || !curve[key]) return null;
  const out = { step: [], x: [], y: [], diverged: run.diverged };
  for (let i = 0; i < curve.step.length; i++) {
    if (curve[key][i] === null) continue;
    out.step.push(curve.step[i]);
    out.x.push(real(curve[axis][i]));
    out.y.push(real(curve[key][i]));
  }
  return out.step.length ? out : null;
}

/* Mean over a centred window; the window shrinks at both ends. */
function smoothed(values, width) {
  const half = Math.floor(width / 2);
  return values.map((value, i) => {
    const reach = Math.min(half, i, values.length - 1 - i);
    if (!Number.isFinite(value)) return value;
    const part = values.slice(i - reach, i + reach + 1).filter(Number.isFinite);
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
}

/* Median and band over the runs of a series: {x, y, low, high, n, band}. */
function overSeeds(runs, split, key, axis, window) {
  const columns = runs.map((run) => column(run, split, key, axis)).filter(Boolean);
  const out = { x: [], y: [], low: [], high: [], n: columns.length, band: columns.length >= 5 ? "quartiles" : "min to max" };
  if (!columns.length) return out;
  if (window > 1) for (const c of columns) c.y = smoothed(c.y, window);
  const steps = [...new Set(columns.flatMap((c) => c.step))].sort((a, b) => a - b);
  const cursor = columns.map(() => -1);
  for (const step of steps) {
    const values = [], places = [];
    let active = 0;
    columns.forEach((c, i) => {
      while (cursor[i] + 1 < c.step.length && c.step[cursor[i] + 1] <= step) cursor[i]++;
      const at = cursor[i], over = step > c.step[c.step.length - 1];
      if (at < 0) return;
      active += !over;
      if (!over) places.push(c.x[at]);
      const value = over && c.diverged ? NaN : c.y[at];
      values.push(Number.isNaN(value) ? Infinity : value);
    });
    if (2 * active < columns.length) break;
    values.sort((a, b) => a - b);
    const wide = columns.length >= 5 ? 0.25 : 0;
    out.x.push(median(places));
    out.y.push(quantile(values, 0.5));
    out.low.push(quantile(values, wide));
    out.high.push(quantile(values, 1 - wide));
  }
  return out;
}

/* ---- a benchmark or plain runs as problems with series ---- */

/* A trial that failed has no times: it missed. */
function timeOf(value) {
  return value === undefined ? Infinity : real(value);
}

/* problem: {label, title, workload, metric, maximize, target, notes, series}
   series:  {label, index, runs, cell, times}; of benchmarks only: cell, its row of the
   scores, and times, {seed, examples, seconds} to target at the best setting. */
function benchProblems(data) {
  const { scores, trials } = data.bench;
  const runs = new Map(data.runs.map((run) => [run.run, run]));
  return scores.problems.map((problem, p) => ({
    ...problem,
    target: real(problem.target),
    notes: (data.bench.notes || []).filter((n) => n.problem === problem.label).map((n) => n.line),
    series: scores.optimizers.map((optimizer, o) => {
      const cell = scores.cells.find((c) => c.problem === p && c.optimizer === o);
      const own = trials.filter((t) => t.problem === p && t.optimizer === o && t.point === cell.best);
      return {
        label: optimizer.label,
        index: o,
        cell,
        times: own.filter((t) => t.state !== "pending").map((t) => ({ seed: t.seed, examples: timeOf(t.target_examples), seconds: timeOf(t.target_seconds) })),
        runs: own.filter((t) => runs.has(t.run)).map((t) => ({ ...runs.get(t.run), diverged: t.outcome === "diverged", seed: t.seed })),
      };
    }),
  }));
}

function flatten(value, prefix, out) {
  for (const [key, inner] of Object.entries(value || {})) {
    if (inner && typeof inner === "object" && !Array.isArray(inner)) flatten(inner, prefix + key + ".", out);
    else out[prefix + key] = JSON.stringify(inner);
  }
  return out;
}

/* Groups are configurations without their seed; a label says what differs. */
function runProblems(data) {
  const workloads = new Map();
  for (const run of data.runs) {
    const config = structuredClone(run.config);
    const seed = config.train ? config.train.seed : undefined;
    if (config.train) delete config.train.seed;
    const name = String(config.workload || "runs"), key = JSON.stringify(config);
    if (!workloads.has(name)) workloads.set(name, new Map());
    const groups = workloads.get(name);
    if (!groups.has(key)) groups.set(key, { flat: flatten(config, "", {}), runs: [] });
    const diverged = Boolean(run.result && run.result.outcome === "diverged");
    groups.get(key).runs.push({ ...run, diverged, seed });
  }
  return [...workloads].map(([name, groups]) => runProblem(data, name, [...groups.values()]));
}

function runProblem(data, name, groups) {
  const known = (data.workloads || {})[name] || {};
  const keys = [...new Set(groups.flatMap((g) => Object.keys(g.flat)))];
  const differing = keys.filter((key) => new Set(groups.map((g) => g.flat[key])).size > 1 && key !== "optimizer");
  const target = real(groups[0].runs[0].config.train ? groups[0].runs[0].config.train.target : NaN);
  const series = groups.map((group, index) => {
    const optimizer = JSON.parse(group.flat.optimizer || '"run"');
    /* What this optimizer's groups differ in among themselves is enough. */
    const kin = groups.filter((g) => g.flat.optimizer === group.flat.optimizer);
    const told = differing.filter((key) => new Set(kin.map((g) => g.flat[key])).size > 1 && group.flat[key] !== undefined);
    const parts = told.slice(0, 3).map((key) => `${key.split(".").pop()} ${group.flat[key].replace(/^"|"$/g, "")}`);
    return { label: [optimizer, ...parts].join(", "), index, runs: group.runs, cell: null };
  });
  return { label: name, workload: name, title: known.title || "", metric: known.metric || "loss",
           maximize: Boolean(known.maximize), target, series };
}
