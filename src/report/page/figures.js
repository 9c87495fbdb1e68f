/* Figures: a card with a title, a Plotly chart, a caption and its downloads.  A figure
   is a function of the page's state; drawing again is calling it again. */

const state = { x: "examples", logx: false, logy: false, smooth: true, unit: "examples", hidden: new Set() };
const figures = [];

const AXIS_TITLES = { step: "steps", examples: "training examples", seconds: "training time (s)" };

/* build() returns {traces, x, y, text, rows, shapes, annotations}: x and y are axis
   layouts (or scene is that of a 3-D chart), text describes the chart for those who cannot
   see it, rows are its data or a function that makes them.  file: name of its downloads. */
function figure(title, caption, build, file = slug(title)) {
  const plot = el("div", { class: "plot", role: "img" });
  const heading = el("h3", {}, title);
  const own = { plot, build, heading, title, file };
  const button = (label, name, action) => el("button", { class: "tiny", type: "button", "aria-label": name, onclick: action }, label);
  const head = el("div", { class: "figure-head" }, heading, el("div", {},
    button("CSV", say("Download the data of %s as CSV", title), () => save(`${file}.csv`, "text/csv", csv(rowsOf(own)))),
    button("SVG", say("Download %s as SVG", title), () => saveImage(own))));
  figures.push(own);
  return el("figure", {}, head, plot, caption ? el("figcaption", {}, caption) : null);
}

function rowsOf(own) {
  const { rows } = own.build();
  return typeof rows === "function" ? rows() : rows;
}

function cssValue(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/* Ticks of a logarithmic axis as whole numbers, not Plotly's lone digits. */
function logTicks(values) {
  const kept = values.filter((v) => Number.isFinite(v) && v > 0);
  if (!kept.length) return {};
  const low = kept.reduce((a, b) => Math.min(a, b)), high = kept.reduce((a, b) => Math.max(a, b)), decades = Math.log10(high / low);
  const steps = decades < 0.5 ? [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9] : decades < 1.2 ? [1, 1.5, 2, 3, 4, 5, 7] : decades < 2.6 ? (innerWidth < 600 ? [1, 3] : [1, 2, 5]) : [1];
  const every = Math.max(1, Math.ceil(decades / 7)), tickvals = [];
  for (let e = Math.floor(Math.log10(low)) - 1; e <= Math.log10(high) + 1; e++)
    if (e % every === 0) for (const step of steps) tickvals.push(Number(`${step}e${e}`));
  /* over many decades all of them as powers: 1, 100M and 10^16 on one axis are hard to compare */
  return { tickvals, ticktext: tickvals.map(decades < 9 ? tickText : (v) => `10<sup>${Math.round(Math.log10(v))}</sup>`.replace("-", "−")) };
}

function tickText(value) {
  if (value >= 1e12) return `10<sup>${Math.round(Math.log10(value))}</sup>`;
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) if (value >= size) return Number((value / size).toPrecision(3)) + unit;
  return value < 1e-4 ? value.toExponential().replace("-", "−") : String(value);
}

function axisStyle(axis, values) {
  return {
    gridcolor: cssValue("--grid"), linecolor: cssValue("--line"), zeroline: false, showline: true, ticks: "outside",
    tickcolor: cssValue("--line"), ticklen: 4, tickangle: 0, automargin: true, fixedrange: matchMedia("(pointer: coarse)").matches,
    ...(axis.type === "log" ? logTicks(values) : {}),
    ...axis,
    title: { text: axis.title, font: { size: 13 }, standoff: 8 },
  };
}

function layoutOf(built) {
  const plane = built.scene ? { scene: built.scene, margin: { l: 0, r: 0, t: 0, b: 0 } } : {
    xaxis: axisStyle(built.x, built.traces.flatMap((t) => t.x)), yaxis: axisStyle(built.y, built.traces.flatMap((t) => t.y)) };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: cssValue("--soft") },
    margin: { l: 52, r: 14, t: 12, b: 46 }, showlegend: false, hovermode: "closest", barmode: "overlay",
    hoverlabel: { bgcolor: cssValue("--ground"), bordercolor: cssValue("--line"), font: { color: cssValue("--ink"), size: 12 }, align: "left" },
    shapes: built.shapes || [], annotations: built.annotations || [], ...plane,
  };
}

const PLOT_OPTIONS = { displayModeBar: false, responsive: true, doubleClick: "reset" };

/* A browser keeps a few WebGL contexts and then takes the oldest one away from whoever has it,
   so that of a surface no longer shown is given back at once. */
function giveBack(canvases) {
  for (const canvas of canvases) {
    const context = canvas.getContext("webgl"), lose = context && context.getExtension("WEBGL_lose_context");
    if (lose) lose.loseContext();
  }
}

function surfacesOf(plot) {
  return [...plot.querySelectorAll(".gl-container canvas")];
}

function clear(own) {
  const canvases = surfacesOf(own.plot);
  Plotly.purge(own.plot);
  giveBack(canvases);
}

async function draw(own) {
  if (!window.Plotly) return; /* a browser too old for the charts still has all the rest */
  const built = own.build(), canvases = built.scene ? [] : surfacesOf(own.plot);
  own.plot.setAttribute("aria-label", `${own.title}. ${built.text}`);
  await Plotly.react(own.plot, built.traces, layoutOf(built), PLOT_OPTIONS);
  giveBack(canvases);
}

function drawAll() {
  for (const line of document.querySelectorAll("svg.swatch line")) line.style.stroke = colour(Number(line.dataset.series));
  return Promise.all(figures.map(draw));
}

/* An image stands alone: opaque, with its title and a legend. */
async function saveImage(own) {
  const built = own.build(), layout = layoutOf(built);
  Object.assign(layout, { paper_bgcolor: cssValue("--ground"), showlegend: true, legend: { orientation: "h", y: -0.22 } });
  layout.title = { text: plain(own.title), font: { size: 15, color: cssValue("--ink") }, x: 0.02 };
  layout.margin.t = 40;
  const url = await Plotly.toImage({ data: built.traces, layout }, { format: "svg", width: 760, height: 480 });
  save(`${own.file}.svg`, "href", url);
}

/* Plotly reads a little markup in its texts; names must not be read so. */
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function lineTrace(series, x, y, extra) {
  return {
    type: "scatter", mode: "lines", x, y: y.map((v) => (Number.isFinite(v) ? v : null)), name: plain(series.label),
    line: { color: colour(series.index), width: 2.25, dash: dash(series.index) }, ...extra,
  };
}

function bandTrace(series, summary, transform) {
  const x = [], y = [];
  const put = (i, v) => { x.push(summary.x[i]); y.push(transform(v[i])); };
  const ok = summary.x.map((_, i) => i).filter((i) => Number.isFinite(summary.low[i]) && Number.isFinite(summary.high[i]));
  for (const i of ok) put(i, summary.high);
  for (const i of ok.reverse()) put(i, summary.low);
  return { type: "scatter", mode: "lines", x, y, fill: "toself", fillcolor: translucent(series.index, 0.13), line: { width: 0 },
           hoverinfo: "skip", showlegend: false };
}

/* ---- curves ---- */

/* A share of right answers has nothing to show on a log axis; its complement has. */
function metricTransform(problem, key, log) {
  if (!log || !problem.maximize || key !== problem.metric) return { of: (v) => v, title: key };
  return { of: (v) => 1 - v, title: `1 − ${key}` };
}

/* Spikes of a run that blows up must not flatten all others. */
function yRange(traces, log) {
  if (log) return undefined;
  const first = [], all = [];
  for (const t of traces) {
    const kept = t.y.filter(Number.isFinite);
    if (kept.length) first.push(kept[0]);
    all.push(...kept);
  }
  const top = 1.5 * Math.max(...first), highest = all.reduce((a, b) => Math.max(a, b), -Infinity);
  const lowest = all.reduce((a, b) => Math.min(a, b), Infinity);
  return highest > top && top > lowest ? [lowest - 0.05 * (top - lowest), top] : undefined;
}

function curveFigure(problem, split, key, title, caption) {
  return figure(title, caption, () => {
    const transform = metricTransform(problem, key, state.logy), aimed = split !== "train" && key === problem.metric;
    const window = split === "train" && state.smooth ? 9 : 1, bands = [], lines = [];
    const rows = [["series", "runs", AXIS_TITLES[state.x], `median ${key}`, "low", "high"]];
    for (const series of problem.series) {
      const s = overSeeds(series.runs, split, key, state.x, window);
      for (let i = 0; i < s.x.length; i++) rows.push([series.label, s.n, s.x[i], s.y[i], s.low[i], s.high[i]]);
      if (!s.x.length || state.hidden.has(series.label)) continue;
      if (s.n > 1) bands.push(bandTrace(series, s, transform.of));
      lines.push(lineTrace(series, s.x, s.y.map(transform.of), {
        name: `${plain(series.label)} (n = ${s.n})`,
        hovertemplate: `${plain(series.label)}<br>%{y:.4~g} at %{x:.4~s}<extra></extra>` }));
    }
    const target = aimed && Number.isFinite(problem.target) ? targetLine(transform.of(problem.target)) : {};
    const hits = aimed ? hitTraces(problem, transform.of) : [];
    return {
      traces: [...bands, ...lines, ...hits],
      x: { title: AXIS_TITLES[state.x], type: state.logx ? "log" : "linear",
           ...(state.logx ? {} : { rangemode: "tozero", tickformat: state.x === "seconds" ? "" : "~s" }) },
      y: { title: transform.title, type: state.logy ? "log" : "linear", range: problem.maximize && key === problem.metric ? undefined : yRange(lines, state.logy) },
      text: `Median ${transform.title} over seeds against ${AXIS_TITLES[state.x]}, one line each for ${sentence(problem.series.map((s) => s.label))}.`,
      rows, ...target,
    };
  });
}

function targetLine(value) {
  return { shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: value, y1: value, line: { color: cssValue("--soft"), width: 1, dash: "4px,4px" } }] };
}

/* Where the median seed reached the target: what the scores count. */
function hitTraces(problem, transform) {
  const unit = state.x === "step" ? "steps" : state.x, traces = [];
  for (const series of problem.series) {
    const point = series.cell && series.cell.points[series.cell.best];
    if (!point || state.hidden.has(series.label) || !Number.isFinite(real(point[unit]))) continue;
    traces.push({
      type: "scatter", mode: "markers", x: [real(point[unit])], y: [transform(problem.target)], showlegend: false,
      marker: { size: 10, color: cssValue("--ground"), line: { color: colour(series.index), width: 2.5 } }, cliponaxis: false,
      hovertemplate: `${plain(series.label)}<br>median time to target: %{x:.4~s}<extra></extra>`,
    });
  }
  return traces;
}

/* ---- performance profile ---- */

function profileFigure(problems, optimizers) {
  return figure("Performance profile", "The share of problems on which an optimizer needs at most τ times as long as the fastest one. " +
    "Higher and further to the left is better; the score is the mean height between 1 and 4.", () => {
    const rows = [["optimizer", "tau", "share of problems"]], traces = [];
    optimizers.forEach((optimizer, index) => {
      const ratios = problems.map((problem) => ratioToBest(problem, index)).filter((r) => r <= 4).sort((a, b) => a - b);
      const x = [1], y = [ratios.filter((r) => r <= 1).length / problems.length];
      ratios.forEach((r, i) => { if (r > 1) { x.push(r); y.push((i + 1) / problems.length); } });
      x.push(4); y.push(y[y.length - 1]);
      x.forEach((v, i) => rows.push([optimizer.label, v, y[i]]));
      if (state.hidden.has(optimizer.label)) return;
      traces.push(lineTrace({ label: optimizer.label, index }, x, y, {
        line: { color: colour(index), dash: dash(index), width: 2.5, shape: "hv" },
        hovertemplate: `${plain(optimizer.label)}<br>%{y:.0%} of problems within %{x:.3~g} × the fastest<extra></extra>` }));
    });
    return {
      traces, rows,
      x: { title: `τ: ${state.unit} to target ÷ fastest`, range: [0.97, 4.03], tickvals: [1, 1.5, 2, 2.5, 3, 3.5, 4] },
      y: { title: "share of problems", range: [-0.03, 1.05], tickformat: ".0%", tickvals: [0, 0.25, 0.5, 0.75, 1] },
      text: `Share of problems within a factor of the fastest, by ${state.unit}.`,
    };
  });
}

function bestTime(problem, optimizer, unit) {
  const cell = problem.series[optimizer].cell, point = cell.points[cell.best];
  return point ? real(point[unit]) : NaN;
}

function ratioToBest(problem, optimizer) {
  const times = problem.series.map((_, i) => bestTime(problem, i, state.unit)).filter(Number.isFinite);
  const time = bestTime(problem, optimizer, state.unit);
  return Number.isFinite(time) ? time / Math.min(...times) : Infinity;
}

/* ---- every seed ---- */

/* A row per problem, in it a lane per optimizer: what the medians were taken of. */
function seedsFigure(problems, optimizers) {
  return figure("Every seed", "Time to target of each seed at the best learning rate, relative to the fastest median; the bar is the median, " +
    "a cross a miss. Where the dots of two optimizers mix, their order is not established.", () => {
    const rows = [["problem", "optimizer", "seed", `${state.unit} to target`, "ratio to the fastest median"]], traces = [];
    const best = problems.map((p) => Math.min(...p.series.map((_, i) => bestTime(p, i, state.unit)).filter(Number.isFinite)));
    const ratios = problems.flatMap((p, k) => p.series.flatMap((s) => s.times.map((t) => t[state.unit] / best[k]))).filter((r) => r > 0 && r < Infinity);
    const edge = 1.15 * Math.max(1.5, ...ratios), shown = optimizers.map((o, i) => i).filter((i) => !state.hidden.has(optimizers[i].label));
    for (const index of shown) {
      const label = optimizers[index].label, lane = 0.62 * ((shown.indexOf(index) + 0.5) / shown.length - 0.5);
      const dots = { x: [], y: [], text: [], symbol: [] }, bars = { x: [], y: [] };
      problems.forEach((problem, k) => {
        for (const time of problem.series[index].times) {
          const value = time[state.unit], hit = Number.isFinite(value) && Number.isFinite(best[k]), ratio = value / best[k];
          rows.push([problem.label, label, time.seed, value, ratio]);
          dots.x.push(hit ? ratio : edge);
          dots.y.push(k + lane);
          dots.symbol.push(hit ? "circle" : "x-thin");
          dots.text.push(`${plain(label)}, ${plain(problem.label)}, seed ${time.seed}<br>${hit ? `${amount(state.unit, value)} (${ratio.toFixed(2)} × the fastest)` : "missed"}`);
        }
        const middle = bestTime(problem, index, state.unit) / best[k];
        if (Number.isFinite(middle)) { bars.x.push(middle, middle, null); bars.y.push(k + lane - 0.075, k + lane + 0.075, null); }
      });
      traces.push({ type: "scatter", mode: "lines", x: bars.x, y: bars.y, line: { color: colour(index), width: 3 }, hoverinfo: "skip", name: plain(label) });
      traces.push({ type: "scatter", mode: "markers", x: dots.x, y: dots.y, text: dots.text, hovertemplate: "%{text}<extra></extra>", showlegend: false, cliponaxis: false,
        marker: { size: 8, symbol: dots.symbol, color: translucent(index, 0.55), line: { width: dots.symbol.map((s) => (s === "circle" ? 0 : 2)), color: colour(index) } } });
    }
    return {
      traces, rows,
      x: { title: `${state.unit} to target ÷ fastest median`, type: "log", range: [Math.log10(Math.min(0.9, ...ratios) * 0.95), Math.log10(edge * 1.03)], tickvals: [0.25, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 10, 20, 50], ticktext: ["0.25", "0.5", "0.7", "1", "1.5", "2", "3", "4", "6", "10", "20", "50"] },
      y: { title: "", range: [problems.length - 0.5, -0.5], tickvals: problems.map((_, k) => k), ticktext: problems.map((p) => plain(p.label)), showgrid: false, ticks: "" },
      shapes: problems.slice(1).map((_, k) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: k + 0.5, y1: k + 0.5, line: { color: cssValue("--grid"), width: 1 } })),
      text: `Ratios of every seed's time to target on ${sentence(problems.map((p) => p.label))}.`,
    };
  });
}

/* ---- learning-rate sensitivity ---- */

function sensitivityFigure(problem) {
  return figure(`${problem.label}: sensitivity to the learning rate`,
    "Median over seeds. A cross on the upper edge is a learning rate at which half of the seeds or more missed the target.", () => {
    const rows = [["optimizer", "lr", "seeds", "reached", `median ${state.unit} to target`, `median best ${problem.metric}`]];
    const found = [], lost = [];
    for (const series of problem.series) {
      for (const point of series.cell.points) {
        const lr = point.settings.lr, time = real(point[state.unit]);
        rows.push([series.label, lr, point.n, point.reached, time, real(point.metric)]);
        if (typeof lr === "number" && !state.hidden.has(series.label) && point.n > 0)
          (Number.isFinite(time) ? found : lost).push({ series, lr, time, point });
      }
    }
    const times = found.map((f) => f.time), top = times.length ? Math.max(...times) * 1.6 : 1;
    const traces = problem.series.filter((s) => !state.hidden.has(s.label)).flatMap((series) => {
      const own = found.filter((f) => f.series === series).sort((a, b) => a.lr - b.lr);
      const missed = lost.filter((f) => f.series === series), name = plain(series.label);
      return [
        lineTrace(series, own.map((f) => f.lr), own.map((f) => f.time), {
          mode: "lines+markers", marker: { size: 9, symbol: MARKERS[series.index % 8], color: colour(series.index) },
          customdata: own.map((f) => [amount(state.unit, f.time), `${f.point.reached}/${f.point.n}`]),
          hovertemplate: `${name}, lr %{x}<br>%{customdata[0]} to target, %{customdata[1]} seeds<extra></extra>` }),
        { type: "scatter", mode: "markers", x: missed.map((f) => f.lr), y: missed.map(() => top), name: `${name}: missed`, showlegend: false,
          marker: { size: 9, symbol: "x-thin", line: { width: 2.25, color: colour(series.index) } }, cliponaxis: false,
          customdata: missed.map((f) => digits(real(f.point.metric), 3)),
          hovertemplate: `${name}, lr %{x}<br>missed; median best ${plain(problem.metric)} %{customdata}<extra></extra>` },
      ];
    });
    return {
      traces, rows,
      x: { title: "learning rate", type: "log" },
      y: { title: `${state.unit === "seconds" ? "seconds" : "examples"} to target`, type: "log" },
      annotations: lost.length ? [{ xref: "paper", x: 0, y: Math.log10(top), xanchor: "left", yanchor: "bottom", yshift: 5, showarrow: false, text: "missed", font: { size: 11 } }] : [],
      text: `Median ${state.unit} to target against learning rate; ${plural(lost.length, "setting")} missed.`,
    };
  });
}
