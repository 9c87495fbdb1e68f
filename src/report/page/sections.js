/* The parts of the page, from the top down. */

function toggleGroup(name, values, key) {
  const buttons = values.map(([value, label]) => el("button", {
    type: "button", "data-key": key, "data-value": String(value), "aria-pressed": String(state[key] === value),
    onclick: () => setState(key, typeof value === "boolean" ? !state[key] : value),
  }, label));
  return el("div", { class: "choice", role: "group", "aria-label": name }, el("span", {}, name), el("div", { class: "segments" }, buttons));
}

function unitChoice() {
  return toggleGroup("Measured in", [["examples", "Examples"], ["seconds", "Seconds"]], "unit");
}

function axisTools() {
  const flag = (key, label) => el("button", {
    type: "button", "data-key": key, "data-value": "true", "aria-pressed": String(state[key]), onclick: () => setState(key, !state[key]) }, label);
  return el("div", { class: "tools sticky" },
    toggleGroup("Against", [["step", "Steps"], ["examples", "Examples"], ["seconds", "Seconds"]], "x"),
    el("div", { class: "choice", role: "group", "aria-label": "Scales" }, el("span", {}, "Scales"),
      el("div", { class: "segments" }, flag("logx", "log x"), flag("logy", "log y"))),
    el("div", { class: "choice", role: "group", "aria-label": "Training loss" }, el("span", {}, "Training loss"),
      el("div", { class: "segments" }, flag("smooth", "Smooth"))));
}

function legend(series, runsOf, solid) {
  return el("div", { class: "legend", role: "group", "aria-label": say("Show or hide") }, series.map((s) => el("button", {
    type: "button", "data-series": s.label, "aria-pressed": String(!state.hidden.has(s.label)), onclick: () => toggleSeries(s.label),
  }, swatch(s.index, solid), s.text || s.label, runsOf ? el("span", { class: "n" }, `n = ${runsOf(s)}`) : null)));
}

function named(label, index) {
  return el("span", { class: "named" }, swatch(index), label);
}

function table(caption, heads, rows) {
  return el("div", {}, el("p", { class: "caption" }, caption), el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell, i) => el("td", { class: heads[i][1] }, cell))))))));
}

/* ---- head ---- */

function mark() {
  const path = svg("path", { d: "M2 3 C6 20 9 20 12 12 S 18 16 22 3", fill: "none", stroke: "currentColor", "stroke-width": 2.2, "stroke-linecap": "round" });
  return svg("svg", { width: 24, height: 22, viewBox: "0 0 24 22", "aria-hidden": "true" }, path);
}

function head(data) {
  const { bench } = data, metas = data.runs.map((r) => r.meta).filter(Boolean), meta = metas[0] || {};
  const alone = data.score && !bench && !data.runs.length ? data.score : null;
  const title = alone ? `Score: ${alone.title}` : bench ? `Benchmark: ${bench.suite.name || data.folder}` : `Runs in ${data.folder.replace(/\/+$/, "").split("/").pop() || data.folder}`;
  document.title = `${title} – Ravine`;
  const ends = metas.map((m) => m.end).filter(Boolean).sort();
  const facts = alone ? scoreFacts(alone) : [["Finished", day(bench ? bench.finished : ends[ends.length - 1])]];
  if (machine(bench, meta)) facts.push([bench ? "Machine" : "Processor", machine(bench, meta)]);
  if (bench) {
    const total = bench.trials.reduce((sum, t) => sum + (real(t.seconds) || 0), 0);
    facts.push(["Trials", `${bench.trials.length}, ${bench.jobs} side by side`], ["Training time", duration(total)]);
  } else if (!alone) facts.push(["Runs", String(data.runs.length)]);
  facts.push(["Ravine", bench ? bench.ravine : data.version]);
  return [
    el("div", { class: "topline" }, el("span", { class: "brand" }, mark(), "Ravine"),
      el("button", { type: "button", class: "plain", id: "theme", onclick: switchTheme }, "")),
    el("h1", {}, title),
    el("p", { class: "lead" }, alone ? "A comparison by time to target, under rules that are written down." : bench ? leadText(bench) : "Training curves, grouped by configuration; the line is the median over seeds."),
    el("dl", { class: "facts" }, facts.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v)))),
  ];
}

/* Of plain runs only what the processor can do is known. */
function machine(bench, meta) {
  return (bench && bench.machine) || [].concat(meta.cpu || []).join(" ");
}

function leadText(bench) {
  return `${plural(bench.scores.optimizers.length, "optimizer")} on ${plural(bench.scores.problems.length, "problem")}, the same budget and ` +
    `search effort for each, ${plural(bench.suite.seeds.length, "seed")} per setting, ranked by the time to a target.`;
}

function notices(data) {
  const lines = [];
  const { bench } = data;
  if (bench && !bench.complete) {
    const waiting = bench.trials.filter((t) => t.state === "pending").length;
    lines.push(`Not complete: ${plural(waiting, "trial")} not run yet. The same command goes on where it stopped.`);
  }
  const failed = bench ? bench.trials.filter((t) => t.state === "failed") : [];
  if (failed.length) lines.push(`${plural(failed.length, "trial")} failed and count as misses; the first: ${failed[0].error}`);
  const procedural = proceduralNotes(data);
  if (procedural.length)
    lines.push(`Procedural data: ${sentence(procedural)} ran on generated data instead of the data set in the name. ` +
      "The comparison is fair, but the numbers are not those of the real data set.");
  return lines.length ? el("div", { class: "notice", role: "note" }, lines.map((line) => el("p", {}, line))) : null;
}

/* Trials say where their data came from; in a benchmark by problem. */
function proceduralNotes(data) {
  if (data.bench)
    return [...new Set((data.bench.notes || []).filter((n) => /procedural/.test(n.line)).map((n) => n.problem))];
  const said = data.runs.filter((r) => r.meta && /^procedural/.test(r.meta.data || ""));
  return [...new Set(said.map((r) => r.config.workload))];
}

/* ---- summary of a benchmark ---- */

function ranked(optimizers) {
  const other = state.unit === "examples" ? "seconds" : "examples";
  return optimizers.map((o, index) => ({ ...o, index })).sort((a, b) =>
    real(b.score[state.unit]) - real(a.score[state.unit]) || real(b.score[other]) - real(a.score[other]) || a.index - b.index);
}

function reading(problems, optimizers) {
  const order = ranked(optimizers), lines = [], unit = state.unit, few = unit === "examples" ? "the fewest examples" : "the least time";
  const wins = optimizers.map((_, i) => problems.filter((p) => ratioToBest(p, i) === 1));
  const most = Math.max(...wins.map((w) => w.length));
  if (most > 0) {
    const best = order.filter((o) => wins[o.index].length === most);
    lines.push(`${sentence(best.map((o) => o.label))} ${best.length > 1 ? "each reach" : "reaches"} the target in ${few} on ` +
      `${most} of ${plural(problems.length, "problem")}.`);
  } else lines.push("No optimizer reached a target.");
  const first = order[0], second = order[1];
  if (second && real(first.score[unit]) > real(second.score[unit])) {
    const [a, b] = [first, second].map((o) => real(o.score[unit])), places = a.toFixed(2) === b.toFixed(2) ? 3 : 2;
    lines.push(`${first.label} ranks first with a score of ${a.toFixed(places)}, before ${second.label} with ${b.toFixed(places)}.`);
  }
  for (const p of problems) {
    const missing = order.filter((o) => bestTime(p, o.index, unit) === Infinity).map((o) => o.label);
    if (missing.length === order.length) lines.push(`No optimizer reaches the target on ${p.label}.`);
    else if (missing.length) lines.push(`${sentence(missing)} ${missing.length > 1 ? "miss" : "misses"} the target on ${p.label}.`);
  }
  return lines;
}

function scoreCell(value, index, places = 2) {
  const bar = el("i");
  bar.style.width = `${100 * Math.max(0, Math.min(1, value))}%`;
  bar.style.background = colour(index);
  return el("span", { class: "score" }, el("span", { class: "track", "aria-hidden": "true" }, bar), el("span", {}, value.toFixed(places)));
}

function timeCell(problem, index) {
  const time = bestTime(problem, index, state.unit), ratio = ratioToBest(problem, index);
  if (Number.isNaN(time)) return el("span", { class: "miss" }, "not run");
  if (!Number.isFinite(time)) return el("span", { class: "miss" }, "miss");
  return el("span", { class: ratio === 1 ? "best" : null }, amount(state.unit, time), el("span", { class: "ratio" }, `${ratio.toFixed(2)}×`));
}

function rankingTable(problems, optimizers) {
  const heads = [["#", "number"], ["Optimizer", "name"], ["Score", "number"], ["Targets", "number"], ...problems.map((p) => [p.label, "number"])];
  const rows = ranked(optimizers).map((o) => [String(o.rank[state.unit]), named(o.label, o.index), scoreCell(real(o.score[state.unit]), o.index),
    `${o.reached} of ${problems.length}`, ...problems.map((p) => timeCell(p, o.index))]);
  const what = state.unit === "examples" ? "training examples" : "training seconds";
  return table(`Median ${what} to target at the best learning rate, and the ratio to the fastest`, heads, rows);
}

function summarySection(problems, optimizers) {
  const list = el("ul", { class: "reading" }), holder = el("div");
  refreshers.push(() => {
    list.replaceChildren(...reading(problems, optimizers).map((line) => el("li", {}, line)));
    holder.replaceChildren(rankingTable(problems, optimizers));
  });
  return el("section", { id: "ranking" }, el("h2", {}, "Ranking"), list, el("div", { class: "tools" }, unitChoice()), holder,
    el("div", { class: "problem" }, legend(optimizers.map((o, index) => ({ label: o.label, index }))),
      el("div", { class: "charts" }, profileFigure(problems, optimizers), seedsFigure(problems, optimizers))));
}

/* ---- problems ---- */

function goal(problem) {
  if (!Number.isFinite(problem.target)) return "";
  return `Target: validation ${problem.metric} ${problem.maximize ? "at least" : "at most"} ${digits(problem.target, 4)}.`;
}

function band(problem) {
  const n = Math.max(...problem.series.map((s) => s.runs.length));
  return n < 2 ? "One seed." : `Line: median over seeds; band: ${n >= 5 ? "quartiles" : "minimum to maximum"}.`;
}

/* What the trials said about their data. */
function said(problem) {
  return problem.notes && problem.notes.length ? `Data: ${problem.notes.join("; ")}.` : "";
}

function hasCurve(problem, split, key) {
  return problem.series.some((s) => s.runs.some((r) => r.curves[split] && r.curves[split][key]));
}

function problemBlock(problem) {
  const charts = [], dashed = Number.isFinite(problem.target) ? " Dashed: the target." : "";
  const circle = problem.series.some((s) => s.cell) ? " Circles: median time to target." : "";
  if (hasCurve(problem, "validation", problem.metric))
    charts.push(curveFigure(problem, "validation", problem.metric, `${problem.label}: validation ${problem.metric}`, band(problem) + dashed + circle));
  if (hasCurve(problem, "train", "loss"))
    charts.push(curveFigure(problem, "train", "loss", `${problem.label}: training loss`, "Loss of the mini-batches; the smoothed line is a running mean over 9 logged points."));
  if (problem.metric !== "loss" && hasCurve(problem, "validation", "loss"))
    charts.push(curveFigure(problem, "validation", "loss", `${problem.label}: validation loss`, band(problem)));
  const rates = problem.series.flatMap((s) => (s.cell ? s.cell.points : [])).filter((p) => typeof p.settings.lr === "number" && p.n > 0);
  if (rates.length) charts.push(sensitivityFigure(problem));
  return el("div", { class: "problem" }, el("h3", { class: "title" }, problem.label),
    el("p", { class: "soft" }, [problem.title && `${problem.title}.`, goal(problem), said(problem)].filter(Boolean).join(" ")),
    legend(problem.series, (s) => s.runs.length),
    el("div", { class: "charts" }, charts),
    problem.series[0].cell ? bestTable(problem) : runTable(problem));
}

function settingsText(settings) {
  return Object.entries(settings).map(([key, value]) => (key === "lr" ? rate(value) : `${key} ${value}`)).join(", ");
}

/* The best value at an end of the grid says that the grid was too small. */
function atEdge(cell) {
  const rates = cell.points.map((p) => p.settings.lr), best = cell.points[cell.best];
  return best && rates.length > 1 && (best.settings.lr === Math.min(...rates) || best.settings.lr === Math.max(...rates));
}

function bestTable(problem) {
  const heads = [["Optimizer", "name"], ["Best learning rate", ""], ["Seeds at target", "number"], ["Examples", "number"], ["Seconds", "number"],
    [`Best ${problem.metric}`, "number"]];
  const rows = problem.series.map((series) => {
    const { cell } = series, point = cell.points[cell.best];
    if (!point) return [named(series.label, series.index), "not run", "–", "–", "–", "–"];
    const time = (unit) => (Number.isFinite(real(point[unit])) ? amount(unit, real(point[unit])) : el("span", { class: "miss" }, "miss"));
    const lr = el("span", {}, settingsText(point.settings), atEdge(cell) ? el("span", { class: "edge" }, "edge of the grid") : null);
    return [named(series.label, series.index), lr, `${point.reached} of ${point.n}`, time("examples"), time("seconds"), fixed(real(point.metric), 4)];
  });
  return table(`${problem.label}: best learning rate of each optimizer, medians over seeds`, heads, rows);
}

function bestOfRun(problem, run) {
  const c = column(run, "validation", problem.metric, "step");
  if (!c) return NaN;
  const kept = c.y.filter(Number.isFinite);
  return kept.length ? kept.reduce((a, b) => (problem.maximize ? Math.max(a, b) : Math.min(a, b))) : NaN;
}

function runTable(problem) {
  const heads = [["Configuration", "name"], ["Runs", "number"], ["Outcomes", ""], [`Best ${problem.metric}, median`, "number"]];
  const rows = problem.series.map((series) => {
    const outcomes = new Map();
    for (const run of series.runs) {
      const outcome = (run.result && run.result.outcome) || "not over";
      outcomes.set(outcome, (outcomes.get(outcome) || 0) + 1);
    }
    const told = [...outcomes].map(([name, n]) => `${n} ${name}`).join(", ");
    return [named(series.label, series.index), String(series.runs.length), told, fixed(median(series.runs.map((r) => bestOfRun(problem, r))), 4)];
  });
  return table(`${problem.label}: outcomes`, heads, rows);
}

/* ---- configurations and data ---- */

function commandLine(words) {
  return words.map((w) => (/^[\w./:=,@%+-]+$/.test(w) ? w : `'${w.replace(/'/g, "'\\''")}'`)).join(" ");
}

function commandBlock(text) {
  const button = el("button", { type: "button", class: "plain", onclick: () => {
    navigator.clipboard.writeText(text).then(() => { button.textContent = say("Copied"); }, () => { button.textContent = say("Select and copy"); });
  } }, say("Copy"));
  return el("div", { class: "command" }, el("pre", {}, el("code", {}, text)), button);
}

function configDetails(series) {
  const run = series.runs[0];
  if (!run) return null;
  const text = JSON.stringify(run.config, null, 2);
  return el("details", {}, el("summary", {}, series.label, " ", el("span", { class: "soft small" }, `seed ${run.seed ?? "–"} of ${series.runs.length}`)),
    el("div", { class: "body" }, el("p", { class: "small soft" }, "Folder ", el("code", {}, run.run), ". Its config.json alone repeats the run:"),
      el("pre", {}, el("code", {}, text)),
      el("p", {}, el("button", { type: "button", class: "tiny", onclick: () => save("config.json", "application/json", text + "\n") }, "Download config.json"))));
}

function configSection(data, problems) {
  const { bench } = data;
  const repeat = bench && bench.command && bench.command.length
    ? [el("p", {}, "The whole benchmark again (what is there already is not run twice):"), commandBlock(commandLine(bench.command))] : [];
  const what = bench ? "Resolved configurations at the best learning rate" : "Resolved configurations";
  return el("section", { id: "configurations" }, el("h2", {}, "How to repeat it"), repeat,
    el("p", { class: "soft", style: "margin-top: 22px; margin-bottom: 8px" }, `${what}, with every default written out.`),
    problems.map((p) => el("details", {}, el("summary", {}, p.label, " ", el("span", { class: "soft small" }, p.title || "")), p.series.map(configDetails))),
    bench ? el("details", {}, el("summary", {}, "Suite"), el("div", { class: "body" }, el("pre", {}, el("code", {}, JSON.stringify(bench.suite, null, 2))))) : null);
}

function scoreRows(bench) {
  const rows = [["problem", "optimizer", "settings", "best", "seeds", "reached", "examples", "seconds", "steps", "metric"]];
  for (const cell of bench.scores.cells)
    cell.points.forEach((point, i) => rows.push([bench.scores.problems[cell.problem].label, bench.scores.optimizers[cell.optimizer].label,
      JSON.stringify(point.settings), i === cell.best ? 1 : 0, point.n, point.reached, real(point.examples), real(point.seconds), real(point.steps), real(point.metric)]));
  return rows;
}

function curveRows(data) {
  const rows = [["run", "workload", "optimizer", "seed", "split", "step", "examples", "seconds", "name", "value"]];
  for (const run of data.runs) for (const [split, curve] of Object.entries(run.curves))
    for (const key of Object.keys(curve).filter((k) => !["step", "examples", "seconds"].includes(k)))
      curve[key].forEach((value, i) => { if (value !== null) rows.push([run.run, run.config.workload, run.config.optimizer,
        run.config.train && run.config.train.seed, split, curve.step[i], real(curve.examples[i]), real(curve.seconds[i]), key, real(value)]); });
  return rows;
}

function dataSection(data) {
  const button = (label, action) => el("button", { type: "button", class: "plain", onclick: action }, label);
  return el("section", { id: "data-files" }, el("h2", {}, "Data"),
    el("p", {}, "Everything drawn above is in this file; nothing was loaded from anywhere."),
    el("div", { class: "tools" },
      button("All data (JSON)", () => save("ravine-report.json", "application/json", document.getElementById("data").textContent)),
      data.score ? button("Score (CSV)", () => save("score.csv", "text/csv", csv(scoreRowsCsv(data.score)))) : null,
      data.bench ? button("Scores (CSV)", () => save("scores.csv", "text/csv", csv(scoreRows(data.bench)))) : null,
      !data.runs.length ? null : button("Curves (CSV)", () => save("curves.csv", "text/csv", csv(curveRows(data))))));
}
