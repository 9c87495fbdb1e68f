/* The page of a study: what the slide says, the verdict on every claim, the figures. */

const played = []; /* figures with a slider, so that printing and tests find them */

function assembleStudy(data) {
  const study = data.study;
  document.title = `${study.title} – Ravine`;
  document.getElementById("head").replaceChildren(
    el("div", { class: "topline" }, el("span", { class: "brand" }, mark(), "Ravine"),
      el("button", { type: "button", class: "plain", id: "theme", onclick: switchTheme }, "")),
    el("h1", {}, study.title), el("p", { class: "lead" }, study.question),
    el("dl", { class: "facts" }, studyFacts(data).map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v)))));
  document.getElementById("main").replaceChildren(...[figuresSection(study), claimsSection(study), findingsSection(study), methodSection(study)].filter(Boolean));
}

function studyFacts(data) {
  const study = data.study, judged = study.claims.filter((c) => c.holds !== null), held = judged.filter((c) => c.holds);
  return [["Verdict", `${held.length} of ${plural(judged.length, "claim")} hold`], ["Seeds", String(study.seeds)], ["Data", study.data], ["Time", duration(study.seconds)],
    ["Size", study.quick ? "quick" : "full"], ["Ravine", data.version]];
}

/* ---- claims ---- */

function claimRow(claim) {
  const verdict = claim.holds === null ? ["", "not judged"] : claim.holds ? ["holds", "✓ holds"] : ["fails", "✗ fails"];
  const [low, high] = claim.spread.map(real), n = claim.values.length;
  const spread = n > 1 && low !== high ? `${measure(low)} … ${measure(high)}, n = ${n}` : n > 1 ? `all ${n} seeds` : null;
  return el("tr", {}, el("td", {}, el("span", { class: `verdict ${verdict[0]}` }, verdict[1])),
    el("td", { class: "text" }, claim.claim, el("span", { class: "soft" }, claim.source)),
    el("td", {}, claim.quantity, el("span", { class: "soft" }, `expected ${claim.expected.replace(/-/g, "−")}${n > 1 ? (claim.over === "mean" ? ", the mean" : ", every seed") : ""}`)),
    el("td", { class: "number" }, n ? measure(real(claim.measured)) : "–", spread ? el("span", { class: "soft" }, spread) : null));
}

function measure(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value), text = size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2).replace("e+", "e") : String(Number(value.toPrecision(4)));
  return text.replace(/-/g, "−");
}

function claimsSection(study) {
  const heads = [["", ""], ["Claim", ""], ["Measured quantity", ""], ["Measured", "number"]];
  return el("section", { id: "claims" }, el("h2", {}, "Claims, checked"),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Claims" }, el("table", { class: "claims" },
      el("thead", {}, el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))),
      el("tbody", {}, study.claims.map(claimRow)))));
}

function findingsSection(study) {
  if (!study.notes.length) return null;
  return el("section", { id: "findings" }, el("h2", {}, "Findings"), el("ul", { class: "findings" }, study.notes.map((note) => el("li", {}, note))));
}

function methodSection(study) {
  const rows = Object.entries(study.params).map(([name, value]) => [name, String(value)]);
  return el("section", { id: "method" }, el("h2", {}, "How it was done"), el("p", { class: "method" }, study.method.replace(/\s+/g, " ")),
    el("p", { class: "method soft small" }, `Source: ${study.source}`),
    rows.length ? el("details", {}, el("summary", {}, "Settings"), el("div", { class: "body" }, table("Parameters of this run", [["name", ""], ["value", ""]], rows))) : null,
    el("div", { class: "command" }, el("pre", {}, `ravine study ${study.study}${study.quick ? " --quick" : ""} --seeds ${study.seeds} --check`)));
}

/* ---- figures ---- */

function figuresSection(study) {
  return el("section", { id: "figures" }, el("h2", {}, "What was measured"), el("div", { class: "charts study" }, study.figures.map(studyFigure)));
}

/* The names of a figure's series in order of appearance: the index is the colour. */
function seriesNames(spec) {
  const all = [...spec.series, ...(spec.frames || []).flatMap((frame) => frame.series)];
  return [...new Set(all.map((s) => s.name))];
}

function studyFigure(spec) {
  const names = seriesNames(spec), player = spec.frames || spec.trail ? makePlayer(spec) : null;
  const node = figure(spec.title, spec.caption, () => buildStudy(spec, names, player ? player.at : 0));
  if (!spec.half) node.classList.add("wide");
  const plot = node.querySelector(".plot"), own = figures[figures.length - 1];
  if (player) {
    player.redraw = () => draw(own);
    plot.after(player.node);
    played.push(player);
  }
  if (names.length > 1) plot.before(legend(names.map((label, index) => ({ label, index })), null, true));
  return node;
}

function buildStudy(spec, names, at) {
  const frame = spec.frames ? spec.frames[Math.min(at, spec.frames.length - 1)] : null;
  const list = [...spec.series, ...(frame ? frame.series : [])], rows = [["series", "frame", "x", "y", "low", "high"]];
  for (const [label, all] of [["", spec.series], ...(spec.frames || []).map((f) => [f.label, f.series])])
    for (const s of all) s.x.forEach((x, i) => rows.push([s.name, label, x, s.y[i], s.low ? s.low[i] : "", s.high ? s.high[i] : ""]));
  const traces = spec.field ? [fieldTrace(spec.field)] : [];
  for (const s of list) if (!state.hidden.has(s.name)) traces.push(...seriesTraces(s, names.indexOf(s.name), spec, spec.trail ? at + 1 : Infinity));
  return { traces, rows, x: studyAxis(spec.x), y: studyAxis(spec.y), ...marks(spec),
    text: `${spec.y.label} against ${spec.x.label}: ${sentence(names)}.` };
}

function studyAxis(axis) {
  const out = { title: plain(axis.label), type: axis.log ? "log" : "linear" };
  if (axis.range) out.range = axis.log ? axis.range.map(Math.log10) : axis.range;
  return out;
}

function seriesTraces(s, index, spec, limit) {
  const x = s.x.slice(0, limit), y = s.y.slice(0, limit), name = plain(s.name), series = { label: s.name, index };
  const hovertemplate = `${name}<br>${plain(spec.y.label)} %{y:.4~g}<br>${plain(spec.x.label)} %{x:.4~g}<extra></extra>`;
  if (s.style === "bars") return [{ type: "bar", x, y, name, marker: { color: translucent(index, 0.55), line: { width: 0 } }, hovertemplate }];
  const out = [], marker = { color: colour(index), size: s.x.length === 1 ? 13 : s.style === "points" ? 6 : 7, line: { color: cssValue("--ground"), width: s.x.length === 1 ? 1.5 : 0 }, symbol: MARKERS[index % MARKERS.length] };
  if (s.low) out.push(bandTrace(series, { x, low: s.low.slice(0, limit).map(nanOf), high: s.high.slice(0, limit).map(nanOf) }, (v) => v));
  const trace = lineTrace(series, x, y.map(nanOf), { hovertemplate });
  trace.line = { color: colour(index), width: 2 }; /* solid: dashes drown in oscillation */
  trace.mode = { line: "lines", points: "markers", both: "lines+markers" }[s.style];
  out.push({ ...trace, marker });
  if (spec.trail && x.length) /* a point where the path has got to */
    out.push({ ...trace, x: x.slice(-1), y: y.slice(-1), mode: "markers", showlegend: false, marker: { ...marker, size: 11, line: { color: cssValue("--ground"), width: 1.5 } } });
  return out;
}

function nanOf(value) {
  return value === null ? NaN : value;
}

/* Plotly's colour axis is linear; a logarithmic field is drawn as its logarithm with true labels. */
function fieldTrace(field) {
  const z = field.log ? field.z.map((row) => row.map((v) => (v > 0 ? Math.log10(v) : null))) : field.z;
  const bar = { thickness: 12, outlinewidth: 0, title: { text: plain(field.label), side: "top", font: { size: 12 } }, tickfont: { size: 11 } };
  const all = z.flat().filter(Number.isFinite), low = Math.min(...all), high = Math.max(...all);
  if (field.log) {
    const step = Math.max(1, Math.ceil((high - low) / 6));
    bar.tickvals = [];
    for (let e = Math.ceil(low); e <= high; e += step) bar.tickvals.push(e);
    if (high - low < 1.5) bar.tickvals = [low, (low + high) / 2, high];
    bar.ticktext = bar.tickvals.map((e) => digits(10 ** e, 2));
    if (high - low >= 1.5) bar.ticktext = bar.tickvals.map((e) => `10<sup>${e}</sup>`);
  }
  return { type: "heatmap", x: field.x, y: field.y, z, zsmooth: field.x.length > 24 ? "best" : false, colorscale: theme() === "dark" ? DARK_FIELD : LIGHT_FIELD, colorbar: bar,
    customdata: field.z, hovertemplate: `${plain(field.label)} %{customdata:.4~g}<br>at (%{x:.3~g}, %{y:.3~g})<extra></extra>` };
}

/* One hue with rising lightness, so that paths in any colour stay visible. */
const LIGHT_FIELD = [[0, "#2f5d8a"], [0.35, "#7fa3c7"], [0.7, "#c9d9e8"], [1, "#f4f7fa"]];
const DARK_FIELD = [[0, "#0c1a2a"], [0.35, "#1f4468"], [0.7, "#4f7ca8"], [1, "#a9c4de"]];

function marks(spec) {
  const shapes = [], annotations = [];
  for (const mark of spec.marks || []) {
    const vertical = mark.axis === "x", log = vertical ? spec.x.log : spec.y.log;
    const line = { color: cssValue("--soft"), width: 1, dash: "4px,4px" }, v = mark.value;
    shapes.push(vertical ? { type: "line", x0: v, x1: v, yref: "paper", y0: 0, y1: 1, line } : { type: "line", y0: v, y1: v, xref: "paper", x0: 0, x1: 1, line });
    const at = log ? Math.log10(v) : v, font = { size: 11, color: cssValue("--soft") }, text = plain(mark.label), bgcolor = "rgba(0,0,0,0)";
    annotations.push(vertical ? { x: at, yref: "paper", y: 1, yanchor: "top", xanchor: "left", xshift: 3, showarrow: false, text, font, bgcolor }
      : { y: at, xref: "paper", x: 1, xanchor: "right", yanchor: "bottom", showarrow: false, text, font, bgcolor });
  }
  return { shapes, annotations };
}

/* ---- the slider ---- */

function makePlayer(spec) {
  const length = spec.frames ? spec.frames.length : Math.max(...spec.series.map((s) => s.x.length));
  const player = { at: length - 1, timer: 0, redraw: () => {} };
  const label = () => (spec.frames ? spec.frames[player.at].label : `${spec.trail.unit} ${Math.round(player.at * spec.trail.every)}`);
  const range = el("input", { type: "range", min: 0, max: length - 1, value: length - 1, step: 1, "aria-label": spec.frames ? "Frame" : spec.trail.unit });
  const text = el("output", {}, label()), button = el("button", { type: "button", class: "plain" }, "Play");
  const show = (at) => { player.at = at; range.value = at; text.textContent = label(); return player.redraw(); };
  const stop = () => { clearTimeout(player.timer); player.timer = 0; button.textContent = "Play"; };
  const tick = async () => {
    if (!player.timer) return;
    await show(Math.min(length - 1, player.at + Math.max(1, Math.round(length / 150))));
    if (player.at >= length - 1) stop();
    else if (player.timer) player.timer = setTimeout(tick, Math.max(40, 6000 / length));
  };
  range.addEventListener("input", () => { stop(); show(Number(range.value)); });
  button.addEventListener("click", () => {
    if (player.timer) { stop(); return; }
    if (player.at >= length - 1) show(0);
    button.textContent = "Pause";
    player.timer = setTimeout(tick, 40);
  });
  player.node = el("div", { class: "player" }, button, range, text);
  return player;
}
