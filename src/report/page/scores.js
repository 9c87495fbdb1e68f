/* A score by the rules of a comparison: what `ravine score` computed, drawn and never computed
   again here. */

const SHORT_CAUSE = { "no trial": "none", missed: "miss", "base missed": "base", "too slow": "slow", "held-out": "held" };

/* known: labels that have a colour on this page already; each keeps it, others come behind. */
function scoreSeries(score, known) {
  const labels = [...new Set([...known, ...score.scores.map((entry) => entry.submission)])];
  return score.scores.map((entry) => ({ label: entry.submission, index: labels.indexOf(entry.submission), entry }));
}

function baseWorkloads(score) {
  return score.workloads.filter((w) => !w.guards).map((w) => w.workload);
}

/* "conformer" for "librispeech_conformer" where no other name ends so. */
function shortWorkload(name, names) {
  const tail = name.slice(name.lastIndexOf("_") + 1);
  return tail && names.filter((n) => n.slice(n.lastIndexOf("_") + 1) === tail).length === 1 ? tail : name;
}

function rangeText(range, places) {
  return range ? `${range[0].toFixed(places)} to ${range[1].toFixed(places)}` : "–";
}

function scoreTable(score, series) {
  const doubt = Boolean(score.uncertainty);
  const heads = [["#", "number"], ["Submission", "name"], ["Score", "number"], ["Exact", "number"], [`Time ÷ ${score.reference}`, "number"],
    ...(doubt ? [["95 % of scores", "number"], ["Ranks", "number"]] : [])];
  const rows = series.map(({ label, index, entry }) => [String(entry.rank), named(label, index), scoreCell(entry.score, index, 4), entry.exact.toFixed(4),
    Number.isFinite(real(entry.speed)) ? real(entry.speed).toFixed(3) : "–",
    ...(doubt ? [rangeText(entry.interval, 3), rangeText(entry.rank_interval, 0)] : [])]);
  return table(`${score.title}: score, and the geometric mean of times against ${score.reference} (a miss counts as the budget)`, heads, rows);
}

function scoreProfiles(score, series) {
  return figure("Performance profiles", `The share of workloads on which a submission needs at most τ times as long as the fastest that kept its credit. The score is the mean height between 1 and ${score.tau_max}.`, () => {
    const rows = [["submission", "tau", "share of workloads"]], traces = [];
    for (const s of series) {
      const heights = score.profiles.rho[s.label] || [];
      heights.forEach((height, i) => rows.push([s.label, score.profiles.tau[i], height]));
      if (state.hidden.has(s.label)) continue;
      traces.push(lineTrace(s, score.profiles.tau, heights, {
        line: { color: colour(s.index), dash: dash(s.index), width: 2.25, shape: "hv" },
        hovertemplate: `${plain(s.label)}<br>%{y:.0%} of workloads within %{x:.3~g} × the fastest<extra></extra>` }));
    }
    return {
      traces, rows,
      x: { title: "τ: time to target ÷ fastest", range: [1 - 0.01 * score.tau_max, score.tau_max * 1.01] },
      y: { title: "share of workloads", range: [-0.03, 1.05], tickformat: ".0%", tickvals: [0, 0.25, 0.5, 0.75, 1] },
      text: `Share of workloads within a factor of the fastest, one line each for ${sentence(series.map((s) => s.label))}.`,
    };
  });
}

/* Dark is full credit; where there is none, the word says what took it. */
function creditMap(score, series) {
  const names = baseWorkloads(score);
  return figure("Credits", "Credit on each workload: 1 for the fastest, 0 at the largest ratio that counts. miss: too few studies reached the target; slow: beyond the cut; held: a held-out workload was missed or cut; none: no trial left an evaluation.", () => {
    const rows = [["submission", "workload", "credit", "ratio", "cause", "why"]], z = [], text = [], places = [];
    series.forEach((s, y) => {
      z.push(names.map((name) => s.entry.cells[name].credit));
      names.forEach((name, x) => {
        const cell = s.entry.cells[name], word = SHORT_CAUSE[cell.cause];
        rows.push([s.label, name, cell.credit, real(cell.ratio), cell.cause, cell.why || ""]);
        text.push(word || cell.credit.toFixed(2));
        places.push({ x, y, hover: `${plain(s.label)}, ${plain(name)}<br>${plain(cell.why || `${real(cell.ratio).toFixed(2)} × the fastest`)}`, full: !word && cell.credit > 0.55 });
      });
    });
    const scale = theme() === "dark" ? [[0, "#20242b"], [1, "#4C9FE0"]] : [[0, "#f4f6f8"], [1, "#0072B2"]];
    return {
      traces: [
        { type: "heatmap", x: names.map((_, i) => i), y: series.map((_, i) => i), z, zmin: 0, zmax: 1, colorscale: scale, showscale: false, xgap: 2, ygap: 2, hoverinfo: "skip" },
        { type: "scatter", mode: "text", x: places.map((p) => p.x), y: places.map((p) => p.y), text, customdata: places.map((p) => p.hover), showlegend: false,
          textfont: { size: 11, color: places.map((p) => (p.full ? (theme() === "dark" ? "#0b0d10" : "#ffffff") : cssValue("--ink"))) }, hovertemplate: "%{customdata}<extra></extra>" }],
      x: { title: "", tickvals: names.map((_, i) => i), ticktext: names.map((n) => plain(shortWorkload(n, names))), tickangle: -35, showgrid: false, ticks: "" },
      y: { title: "", range: [series.length - 0.5, -0.5], tickvals: series.map((_, i) => i), ticktext: series.map((s) => plain(s.label)), showgrid: false, ticks: "" },
      rows, text: `Credits of ${plural(series.length, "submission")} on ${plural(names.length, "workload")}.`,
    };
  });
}

/* Dots are scores, bars the middle 95 % over resampled studies. */
function intervalFigure(score, series) {
  return figure("How sure the ranking is", `Score and the middle 95 % over ${score.uncertainty.resamples} resamples of the studies; on the right the share of resamples in which a submission came first. Where bars overlap widely, the order is not established.`, () => {
    const rows = [["submission", "score", "low", "high", "rank low", "rank high", "first"]], traces = [], notes = [];
    series.forEach((s, y) => {
      const { score: value, interval, rank_interval: ranks } = s.entry, first = s.entry.ranks["1"] || 0;
      rows.push([s.label, value, interval[0], interval[1], ranks[0], ranks[1], first]);
      traces.push({ type: "scatter", mode: "lines+markers", x: [interval[0], value, interval[1]], y: [y, y, y], name: plain(s.label), line: { color: colour(s.index), width: 2.5 },
        marker: { size: [0, 10, 0], color: colour(s.index), symbol: MARKERS[s.index % 8] }, cliponaxis: false,
        hovertemplate: `${plain(s.label)}: %{x:.3f}<br>ranks ${ranks[0]} to ${ranks[1]}<extra></extra>` });
      notes.push({ xref: "paper", x: 1, y, xanchor: "right", yanchor: "bottom", showarrow: false, font: { size: 10.5 }, text: first >= 0.005 ? `first ${Math.round(100 * first)} %` : "" });
    });
    return {
      traces, rows, annotations: notes.filter((n) => n.text),
      x: { title: "score", rangemode: "tozero" },
      y: { title: "", range: [series.length - 0.5, -0.5], tickvals: series.map((_, i) => i), ticktext: series.map((s) => plain(s.label)), showgrid: false, ticks: "" },
      text: `Intervals of the scores of ${sentence(series.map((s) => s.label))}.`,
    };
  });
}

function sensitivityTable(score) {
  const cases = [...score.sensitivity.tau_max.map((c) => [`ratios up to ${c.tau_max}`, c]),
    ...score.sensitivity.target.map((c) => [`targets ${digits(100 * Math.abs(c.target_easier_by), 3)} % ${c.target_easier_by > 0 ? "easier" : "harder"}`, c])];
  const rows = cases.map(([what, c]) => {
    const order = Object.entries(c.scores).sort((a, b) => b[1] - a[1]);
    return [what, Number.isFinite(real(c.spearman)) ? real(c.spearman).toFixed(3) : "–", order.slice(0, 3).map(([name, value]) => `${name} ${value.toFixed(3)}`).join(", ")];
  });
  return table("What other limits and targets would have given: rank correlation with the score above, and the first three", [["Rules", ""], ["Spearman", "number"], ["First three", ""]], rows);
}

function reasonTable(score) {
  const rows = score.scores.flatMap((entry) => baseWorkloads(score).filter((name) => entry.cells[name].why)
    .map((name) => [entry.submission, name, entry.cells[name].cause, entry.cells[name].why]));
  return el("details", {}, el("summary", {}, "Why credits were lost ", el("span", { class: "soft small" }, plural(rows.length, "cell"))),
    el("div", { class: "body" }, table("Base workloads without credit", [["Submission", "name"], ["Workload", ""], ["No credit", ""], ["Why", ""]], rows)));
}

function scoreSection(score, known = []) {
  const series = scoreSeries(score, known);
  const charts = [scoreProfiles(score, series), ...(score.uncertainty ? [intervalFigure(score, series)] : []), creditMap(score, series)];
  return el("section", { id: "score" }, el("h2", {}, "Score"), el("p", { class: "soft" }, `${score.title} (ruleset ${score.ruleset}).`),
    scoreTable(score, series), el("div", { class: "problem" }, legend(series), el("div", { class: "charts tall" }, charts)), sensitivityTable(score), reasonTable(score));
}

/* ---- a page about a score alone ---- */

function scoreFacts(score) {
  return [["Ruleset", score.ruleset], ["Submissions", String(score.scores.length)], ["Workloads", String(baseWorkloads(score).length)],
    ...(score.uncertainty ? [["Resamples", String(score.uncertainty.resamples)]] : [])];
}

function scoreRowsCsv(score) {
  const rows = [["submission", "rank", "score", "exact", "workload", "time", "ratio", "credit", "cause", "why"]];
  for (const entry of score.scores) for (const { workload } of score.workloads) {
    const cell = entry.cells[workload];
    rows.push([entry.submission, entry.rank, entry.score, entry.exact, workload, real(cell.time), real(cell.ratio), cell.credit, cell.cause, cell.why || ""]);
  }
  return rows;
}
