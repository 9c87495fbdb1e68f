/* Puts the page together, keeps its state in the address, and tests itself on request. */

const refreshers = [];

/* ---- state: what is shown is remembered after the '#' ---- */

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [key, allowed] of [["x", ["step", "examples", "seconds"]], ["unit", ["examples", "seconds"]]])
    if (allowed.includes(given.get(key))) state[key] = given.get(key);
  for (const key of ["logx", "logy", "smooth"]) if (given.has(key)) state[key] = given.get(key) === "1";
}

function writeState() {
  const words = new URLSearchParams({ x: state.x, unit: state.unit });
  for (const key of ["logx", "logy", "smooth"]) words.set(key, state[key] ? "1" : "0");
  history.replaceState(null, "", "#" + words);
}

function refresh() {
  for (const button of document.querySelectorAll("button[data-key]"))
    button.setAttribute("aria-pressed", String(String(state[button.dataset.key]) === button.dataset.value));
  for (const button of document.querySelectorAll("button[data-series]"))
    button.setAttribute("aria-pressed", String(!state.hidden.has(button.dataset.series)));
  for (const update of refreshers) update();
  return drawAll();
}

function setState(key, value) {
  state[key] = value;
  writeState();
  return refresh();
}

function toggleSeries(label) {
  if (!state.hidden.delete(label)) state.hidden.add(label);
  return refresh();
}

/* ---- light and dark ---- */

const prefersDark = matchMedia("(prefers-color-scheme: dark)");

function stored() {
  return remembered("ravine-theme");
}

function applyTheme(name) {
  document.documentElement.dataset.theme = name;
  const button = document.getElementById("theme");
  if (button) button.textContent = say(name === "dark" ? "Light" : "Dark");
  if (button) button.setAttribute("aria-label", say(`Switch to ${name === "dark" ? "light" : "dark"} colours`));
}

function switchTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  remember("ravine-theme", next);
  applyTheme(next);
  return refresh();
}

/* ---- the page ---- */

function assemble(data) {
  if (data.gallery) assembleGallery(data);
  else if (data.study) assembleStudy(data);
  else if (data.probe) assembleProbe(data);
  else assembleRuns(data);
  document.getElementById("foot").replaceChildren(say(data.gallery ? "Written by Ravine %s on %s." : "Written by Ravine %s on %s. Charts by Plotly.js.", data.version, day(data.made)));
}

function assembleRuns(data) {
  const problems = data.bench ? benchProblems(data) : runProblems(data);
  const main = document.getElementById("main");
  document.getElementById("head").replaceChildren(...head(data), ...[notices(data)].filter(Boolean));
  const parts = [];
  if (data.bench) parts.push(summarySection(problems, data.bench.scores.optimizers));
  if (data.score && Array.isArray(data.score.scores) && data.score.scores.length) 
    parts.push(scoreSection(data.score, data.bench ? data.bench.scores.optimizers.map((o) => o.label) : []));
  if (problems.length)
    parts.push(el("section", { id: "curves" }, el("h2", {}, "Curves"), axisTools(), problems.map(problemBlock)), configSection(data, problems));
  parts.push(dataSection(data));
  main.replaceChildren(...parts);
}

/* ---- self-test: open the page with #selftest and read the attributes of <html> ---- */

function firstAxis() {
  return document.querySelector("#curves .plot")._fullLayout.xaxis;
}

async function testAxes(out, settle) {
  const press = (key, value) => document.querySelector(`#curves button[data-key="${key}"][data-value="${value}"]`).click();
  out.axisBefore = firstAxis().type;
  press("logx", "true");
  await settle();
  out.axisAfter = firstAxis().type;
  press("x", "seconds");
  await settle();
  out.axisTitle = firstAxis().title.text;
  press("logx", "true");
  await settle();
  out.axisBack = firstAxis().type;
}

/* Every field as a surface and back; counts the surfaces that were drawn. */
async function testSurfaces(out, settle) {
  out.surfaces = 0;
  for (const button of document.querySelectorAll('button[data-view="surface"][data-value="true"]:not([disabled])')) {
    button.click();
    await settle();
    const plot = button.closest("figure").querySelector(".plot");
    out.surfaces = Number(out.surfaces) + (plot._fullLayout.scene && plot.querySelector(".gl-container canvas") ? 1 : 0);
    button.previousElementSibling.click();
    await settle();
  }
}

async function testLanguages(out, settle) {
  const heading = () => document.querySelector("h1").textContent, title = heading();
  document.querySelector('button[data-language="ru"]').click();
  await settle();
  out.russian = `${document.documentElement.lang} ${heading() !== title} ${figures.length}`;
  out.overflowRussian = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  document.querySelector('button[data-language="en"]').click();
  await settle();
  out.english = heading() === title;
}

/* Cards whose still has something on it. */
function testStills(out) {
  const painted = (canvas) => canvas.width > 0 && canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v);
  out.stills = [...document.querySelectorAll(".card canvas")].filter(painted).length;
  out.links = [...document.querySelectorAll("a.card")].map((a) => a.getAttribute("href").split("/")[0]).join(" ");
}

async function selfTest(errors) {
  const out = document.documentElement.dataset, settle = () => new Promise((done) => setTimeout(done, 50));
  out.figures = figures.length;
  out.drawn = [...document.querySelectorAll(".plot")].filter((plot) => plot.querySelector(".main-svg .trace, .main-svg .heatmaplayer image, .gl-container canvas")).length;
  if (document.querySelector("#curves")) await testAxes(out, settle);
  if (document.querySelector(".gallery")) testStills(out);
  out.neighbours = [...document.querySelectorAll(".neighbours a")].map((a) => `${a.rel}:${a.getAttribute("href").split("/")[1]}`).join(" ");
  await testSurfaces(out, settle);
  if (document.querySelector("button[data-language]")) await testLanguages(out, settle);
  for (const slider of document.querySelectorAll("input[type=range]")) {
    slider.value = slider.min;
    slider.dispatchEvent(new Event("input"));
    await settle();
  }
  switchTheme();
  await settle();
  if (figures.length) out.svg = (await Plotly.toImage({ data: figures[0].build().traces, layout: layoutOf(figures[0].build()) }, { format: "svg" })).startsWith("data:image/svg+xml");
  out.overflow = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  out.scripts = document.scripts.length;
  out.errors = errors.join(" | ");
  out.selftest = "done";
}

/* The chart script comes packed; the policy knows its hash and lets nothing else run. */
async function loadCharts() {
  const packed = document.getElementById("charts");
  if (!packed) return;
  if (!window.DecompressionStream) {
    document.getElementById("main").prepend(el("p", { class: "notice" }, say("The charts need a browser of 2023 or later.")));
    return;
  }
  const binary = atob(packed.textContent), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  const script = document.createElement("script");
  script.textContent = text;
  packed.replaceWith(script);
}

async function start() {
  const errors = [], testing = location.hash === "#selftest";
  addEventListener("error", (event) => errors.push(event.message));
  addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
  document.addEventListener("securitypolicyviolation", (event) => errors.push(`policy: ${event.violatedDirective}`));
  applyTheme(stored() || (prefersDark.matches ? "dark" : "light"));
  readState();
  const data = JSON.parse(document.getElementById("data").textContent);
  if (data.study || data.probe) texts = (data.study || data.probe).ru;
  if (data.study || data.gallery || data.probe) chooseLanguage(data);
  assemble(data);
  applyTheme(theme());
  prefersDark.addEventListener("change", () => { if (!stored()) { applyTheme(prefersDark.matches ? "dark" : "light"); refresh(); } });
  await loadCharts();
  await refresh();
  if (testing) await selfTest(errors);
}

start();
