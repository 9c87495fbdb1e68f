/* The page of a probe: where the point stands, the figures, every value. */

function assembleProbe(data) {
  const probe = data.probe, title = say("%s after %s steps", probe.workload, whole(probe.step));
  document.title = `${title} – Ravine`;
  document.getElementById("head").replaceChildren(...studyHead(data, title, probe.file),
    el("dl", { class: "facts" }, probeFacts(data).map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v)))));
  document.getElementById("main").replaceChildren(...[probe.figures.length ? figuresSection(probe) : null, valuesSection(probe), findingsSection(probe), probeSettings(probe)].filter(Boolean));
}

function whole(number) {
  return Number(number).toLocaleString(language === "ru" ? "ru-RU" : "en-US");
}

function probeFacts(data) {
  const probe = data.probe;
  return [[say("Optimizer"), probe.optimizer], [say("Weights"), say(probe.weights)], [say("Parameters"), whole(probe.parameters)], [say("Data"), probe.data.split(":")[0]],
    [say("Time"), duration(probe.seconds)], ["Ravine", data.version]];
}

function valueRow(part, value, first) {
  const error = value.error === null ? null : el("span", { class: "soft" }, `± ${measure(real(value.error))}`);
  return el("tr", {}, el("td", { class: "text" }, first ? say(part.title) : "", first && part.measure !== "point" ? el("span", { class: "soft" }, part.measure) : null),
    el("td", {}, say(value.quantity), el("span", { class: "soft" }, value.key)), el("td", { class: "number" }, measure(real(value.value)), error));
}

function valuesSection(probe) {
  const heads = [[say("Measure"), ""], [say("Quantity"), ""], [say("Value"), "number"]];
  return el("section", { id: "values" }, el("h2", {}, say("Values")),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": say("Values") }, el("table", { class: "claims" },
      el("thead", {}, el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))),
      el("tbody", {}, probe.measures.flatMap((part) => part.values.map((value, i) => valueRow(part, value, i === 0)))))));
}

function probeSettings(probe) {
  const rows = probe.measures.flatMap((part) => Object.entries(part.params).map(([name, value]) => [`${part.measure === "point" ? "" : `${part.measure}.`}${name}`, String(value)]));
  const options = [...probe.asked.with.map((path) => `--with ${path}`), ...probe.asked.set.map((text) => `--set ${text}`), ...(probe.weights === "stepped" ? ["--raw"] : [])];
  const words = [probe.file, ...probe.measures.slice(1).map((part) => part.measure), ...options];
  return el("section", { id: "method" }, el("h2", {}, say("How it was done")), el("p", { class: "method soft small" }, `${say("Data")}: ${probe.data}.`),
    el("details", {}, el("summary", {}, say("Settings")), el("div", { class: "body" }, table(say("Settings"), [[say("name"), ""], [say("value"), ""]], rows))),
    commandBlock(`ravine probe ${words.join(" ")}`));
}
