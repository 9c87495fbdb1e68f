/* The figures of a study: lines, bands, bars, and fields over a plane that are seen as a heat
   map or as a surface.  Each figure keeps its own view: scales of its axes, map or surface. */

const played = []; /* figures with a slider, so that printing and tests find them */

/* The names of a figure's series in order of appearance: the index is the colour. */
function seriesNames(spec) {
  const all = [...spec.series, ...(spec.frames || []).flatMap((frame) => frame.series)];
  return [...new Set(all.map((s) => s.name))];
}

function studyFigure(spec) {
  if (!spec.field && !seriesNames(spec).length)
    return el("figure", { class: spec.half ? "" : "wide" }, el("h3", {}, say(spec.title)), el("p", { class: "soft small" }, say("Nothing to draw: no run got that far.")));
  const names = seriesNames(spec), player = spec.frames || spec.trail ? makePlayer(spec) : null;
  const view = { logx: spec.x.log, logy: spec.y.log, logz: Boolean(spec.field && spec.field.log), surface: Boolean(spec.field && spec.field.surface && hasWebGL()) };
  const node = figure(say(spec.title), say(spec.caption), () => buildStudy(spec, names, view, player ? player.at : 0), spec.name);
  if (!spec.half) node.classList.add("wide");
  const plot = node.querySelector(".plot"), own = figures[figures.length - 1];
  if (player) {
    player.redraw = () => draw(own);
    plot.after(player.node);
    played.push(player);
  }
  if (names.length > 1) plot.before(legend(names.map((label, index) => ({ label, index, text: say(label) })), null, true));
  const tools = viewTools(spec, view, () => draw(own));
  if (tools) plot.before(tools);
  return node;
}

/* ---- switches ---- */

function hasWebGL() {
  if (hasWebGL.known === undefined) {
    const canvas = document.createElement("canvas");
    try { hasWebGL.known = Boolean(canvas.getContext("webgl")); } catch { hasWebGL.known = false; }
    if (hasWebGL.known) giveBack([canvas]);
  }
  return hasWebGL.known;
}

/* A logarithm is offered where every number of the axis has one, or where the study wants it. */
function canLog(spec, axis) {
  if (spec[axis].log) return true;
  if (spec.field || spec.series.some((s) => s.style === "bars")) return false;
  const values = [...spec.series, ...(spec.frames || []).flatMap((f) => f.series)].flatMap((s) => (axis === "y" && s.low ? [...s[axis], ...s.low] : s[axis]));
  const kept = values.filter((v) => v !== null), low = kept.reduce((a, b) => Math.min(a, b), Infinity), high = kept.reduce((a, b) => Math.max(a, b), 0);
  return low > 0 && high > 3 * low;
}

function viewTools(spec, view, redraw) {
  const sync = [], flag = (key, label, value, off) => {
    const button = el("button", { type: "button", disabled: off, "data-view": key, "data-value": String(value), onclick: () => {
      view[key] = typeof value === "boolean" && key.startsWith("log") ? !view[key] : value;
      for (const update of sync) update();
      redraw();
    } }, label);
    sync.push(() => {
      button.setAttribute("aria-pressed", String(view[key] === value));
      button.hidden = (key === "logx" || key === "logy") && view.surface;
    });
    return button;
  };
  const segments = (name, ...buttons) => el("div", { class: "segments", role: "group", "aria-label": name }, buttons);
  const logs = ["x", "y"].filter((axis) => canLog(spec, axis)).map((axis) => flag(`log${axis}`, `log ${axis}`, true));
  if (spec.field && spec.field.z.flat().every((v) => v === null || v > 0)) logs.push(flag("logz", "log z", true));
  const parts = logs.length ? [segments(say("Scales"), ...logs)] : [];
  if (spec.field) parts.unshift(segments(say("View"), flag("surface", say("Heat map"), false), flag("surface", say("Surface"), true, !hasWebGL())));
  for (const update of sync) update();
  return parts.length ? el("div", { class: "tools figure-tools" }, parts) : null;
}

/* ---- data ---- */

/* The same table as the CSV file beside the page. */
function studyRows(spec) {
  const rows = [["series", "frame", "x", "y", "low", "high", "z"]];
  for (const [label, all] of [["", spec.series], ...(spec.frames || []).map((f) => [f.label, f.series])])
    for (const s of all) s.x.forEach((x, i) => rows.push([s.name, label, x, s.y[i], s.low ? s.low[i] : "", s.high ? s.high[i] : "", ""]));
  if (spec.field) spec.field.y.forEach((y, j) => spec.field.x.forEach((x, i) => rows.push([spec.field.label, "", x, y, "", "", spec.field.z[j][i]])));
  return rows;
}

function buildStudy(spec, names, view, at) {
  const frame = spec.frames ? spec.frames[Math.min(at, spec.frames.length - 1)] : null;
  const list = [...spec.series, ...(frame ? frame.series : [])].filter((s) => !state.hidden.has(s.name)), limit = spec.trail ? at + 1 : Infinity;
  const text = `${say(spec.y.label)} / ${say(spec.x.label)}: ${names.map((n) => say(n)).join(", ")}.`, rows = () => studyRows(spec);
  if (view.surface)
    return { traces: [surfaceTrace(spec, view), ...list.flatMap((s) => liftedTraces(s, names.indexOf(s.name), spec, view, limit))], rows, text, scene: sceneOf(spec, view) };
  const traces = spec.field ? [fieldTrace(spec.field, view)] : [];
  for (const s of list) traces.push(...seriesTraces(s, names.indexOf(s.name), spec, limit));
  return { traces, rows, x: studyAxis(spec.x, view.logx), y: studyAxis(spec.y, view.logy), ...marks(spec, view), text };
}

function studyAxis(axis, log) {
  const out = { title: plain(say(axis.label)), type: log ? "log" : "linear" };
  if (axis.range && (!log || axis.range[0] > 0)) out.range = log ? axis.range.map(Math.log10) : axis.range;
  return out;
}

function seriesTraces(s, index, spec, limit) {
  const x = s.x.slice(0, limit), y = s.y.slice(0, limit), name = plain(say(s.name)), series = { label: say(s.name), index };
  const hovertemplate = `${name}<br>${plain(say(spec.y.label))} %{y:.4~g}<br>${plain(say(spec.x.label))} %{x:.4~g}<extra></extra>`;
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

/* ---- fields: one grid, as a heat map or as a surface ---- */

/* Plotly's colour axis is linear; a logarithmic field is drawn as its logarithm with true labels. */
function heights(field, log) {
  return log ? field.z.map((row) => row.map((v) => (v > 0 ? Math.log10(v) : null))) : field.z;
}

function fieldTicks(z, log) {
  if (!log) return {};
  const all = z.flat().filter(Number.isFinite), low = all.reduce((a, b) => Math.min(a, b), Infinity), high = all.reduce((a, b) => Math.max(a, b), -Infinity);
  if (high - low < 1.5) {
    const tickvals = [low, (low + high) / 2, high];
    return { tickvals, ticktext: tickvals.map((e) => digits(10 ** e, 2)) };
  }
  const tickvals = [], step = Math.max(1, Math.ceil((high - low) / 6));
  for (let e = Math.ceil(low); e <= high; e += step) tickvals.push(e);
  return { tickvals, ticktext: tickvals.map((e) => `10<sup>${e}</sup>`) };
}

function fieldTrace(field, view) {
  const z = heights(field, view.logz), label = plain(say(field.label));
  const bar = { thickness: 12, outlinewidth: 0, title: { text: label, side: "top", font: { size: 12 } }, tickfont: { size: 11 }, ...fieldTicks(z, view.logz) };
  return { type: "heatmap", x: field.x, y: field.y, z, zsmooth: field.x.length > 24 ? "best" : false, colorscale: fieldScale(), colorbar: bar,
    customdata: field.z, hovertemplate: `${label} %{customdata:.4~g}<br>(%{x:.3~g}, %{y:.3~g})<extra></extra>` };
}

function surfaceTrace(spec, view) {
  const { field } = spec, z = heights(field, view.logz), label = plain(say(field.label));
  return { type: "surface", x: field.x, y: field.y, z, colorscale: SURFACE, showscale: false, lighting: { ambient: 0.75, diffuse: 0.6, specular: 0.08, roughness: 0.9 },
    contours: { z: { show: true, usecolormap: false, color: "rgba(255,255,255,0.5)", width: 1 } }, customdata: field.z,
    hovertemplate: `${label} %{customdata:.4~g}<br>(%{x:.3~g}, %{y:.3~g})<extra></extra>` };
}

/* The height of the surface at a place, bilinear; NaN outside the grid. */
function heightAt(field, z, x, y) {
  const cell = (grid, v) => {
    const n = grid.length, share = ((v - grid[0]) / (grid[n - 1] - grid[0])) * (n - 1), i = Math.min(n - 2, Math.floor(share));
    return share >= 0 && share <= n - 1 ? [i, share - i] : null;
  };
  const across = cell(field.x, x), up = cell(field.y, y);
  if (!across || !up) return NaN;
  const [i, a] = across, [j, b] = up;
  return (1 - b) * ((1 - a) * z[j][i] + a * z[j][i + 1]) + b * ((1 - a) * z[j + 1][i] + a * z[j + 1][i + 1]);
}

/* A series of the plane, laid on the surface. */
function liftedTraces(s, index, spec, view, limit) {
  const z = heights(spec.field, view.logz), x = s.x.slice(0, limit), y = s.y.slice(0, limit), all = z.flat().filter(Number.isFinite);
  const above = 0.02 * (all.reduce((a, b) => Math.max(a, b), -Infinity) - all.reduce((a, b) => Math.min(a, b), Infinity));
  const lifted = x.map((v, i) => { const h = heightAt(spec.field, z, v, y[i]); return Number.isFinite(h) ? h + above : null; });
  const base = { type: "scatter3d", name: plain(say(s.name)), hovertemplate: `${plain(say(s.name))}<br>(%{x:.4~g}, %{y:.4~g})<extra></extra>`, marker: { size: 5, color: colour(index) }, line: { color: colour(index), width: 5 } };
  const out = [{ ...base, x, y, z: lifted, mode: s.style === "points" || s.x.length === 1 ? "markers" : "lines" }];
  if (spec.trail && x.length) out.push({ ...base, x: x.slice(-1), y: y.slice(-1), z: lifted.slice(-1), mode: "markers" });
  return out;
}

function sceneOf(spec, view) {
  const z = heights(spec.field, view.logz);
  const axis = (title, more) => ({ title: { text: plain(say(title)), font: { size: 12 } }, gridcolor: cssValue("--line"), zeroline: false, showbackground: false, tickfont: { size: 10 }, ...more });
  const range = (a) => (a.range ? { range: a.range } : {});
  return { xaxis: axis(spec.x.label, range(spec.x)), yaxis: axis(spec.y.label, range(spec.y)), zaxis: axis(spec.field.label, fieldTicks(z, view.logz)),
    aspectratio: { x: 1, y: 1, z: 0.65 }, camera: { eye: { x: -1.05, y: -1.2, z: 0.75 }, center: { x: 0, y: 0, z: -0.14 } }, uirevision: "kept" };
}

/* One hue with rising lightness, so that paths in any colour stay visible. */
const LIGHT_FIELD = [[0, "#2f5d8a"], [0.35, "#7fa3c7"], [0.7, "#c9d9e8"], [1, "#f4f7fa"]];
const DARK_FIELD = [[0, "#0c1a2a"], [0.35, "#1f4468"], [0.7, "#4f7ca8"], [1, "#a9c4de"]];

/* Its light end must not fade into the ground. */
const SURFACE = [[0, "#1d4f85"], [0.3, "#3f86b0"], [0.6, "#83b8a8"], [1, "#e2c26b"]];

function fieldScale() {
  return theme() === "dark" ? DARK_FIELD : LIGHT_FIELD;
}

function marks(spec, view) {
  const shapes = [], annotations = [];
  for (const mark of spec.marks || []) {
    const vertical = mark.axis === "x", log = vertical ? view.logx : view.logy;
    const line = { color: cssValue("--soft"), width: 1, dash: "4px,4px" }, v = mark.value;
    if (log && v <= 0) continue;
    shapes.push(vertical ? { type: "line", x0: v, x1: v, yref: "paper", y0: 0, y1: 1, line } : { type: "line", y0: v, y1: v, xref: "paper", x0: 0, x1: 1, line });
    const at = log ? Math.log10(v) : v, font = { size: 11, color: cssValue("--soft") }, text = plain(say(mark.label)), bgcolor = "rgba(0,0,0,0)";
    annotations.push(vertical ? { x: at, yref: "paper", y: 1, yanchor: "top", xanchor: "left", xshift: 3, showarrow: false, text, font, bgcolor }
      : { y: at, xref: "paper", x: 1, xanchor: "right", yanchor: "bottom", showarrow: false, text, font, bgcolor });
  }
  return { shapes, annotations };
}

/* ---- the slider ---- */

function makePlayer(spec) {
  const length = spec.frames ? spec.frames.length : Math.max(...spec.series.map((s) => s.x.length));
  const player = { at: length - 1, timer: 0, redraw: () => {} };
  const label = () => (spec.frames ? say(spec.frames[player.at].label) : `${say(spec.trail.unit)} ${Math.round(player.at * spec.trail.every)}`);
  const range = el("input", { type: "range", min: 0, max: length - 1, value: length - 1, step: 1, "aria-label": spec.frames ? say("Frame") : say(spec.trail.unit) });
  const text = el("output", {}, label()), button = el("button", { type: "button", class: "plain" }, say("Play"));
  const show = (at) => { player.at = at; range.value = at; text.textContent = label(); return player.redraw(); };
  const stop = () => { clearTimeout(player.timer); player.timer = 0; button.textContent = say("Play"); };
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
    button.textContent = say("Pause");
    player.timer = setTimeout(tick, 40);
  });
  player.node = el("div", { class: "player" }, button, range, text);
  return player;
}
