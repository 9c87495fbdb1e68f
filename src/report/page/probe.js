/* The page of a probe: where the point stands, the figures, every value. */

function assembleProbe(data) {
  const probe = data.probe, title = `${probe.workload} after ${Number(probe.step).toLocaleString("en-US")} steps`;
  document.title = `${title} – Ravine`;
  document.getElementById("head").replaceChildren(
    el("div", { class: "topline" }, el("span", { class: "brand" }, mark(), "Ravine"),
      el("button", { type: "button", class: "plain", id: "theme", onclick: switchTheme }, "")),
    el("h1", {}, title), el("p", { class: "lead" }, probe.file),
    el("dl", { class: "facts" }, probeFacts(data).map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v)))));
  document.getElementById("main").replaceChildren(...[probe.figures.length ? figuresSection(probe) : null, valuesSection(probe), findingsSection(probe), probeSettings(probe)].filter(Boolean));
}

function probeFacts(data) {
  const probe = data.probe;
  return [["Optimizer", probe.optimizer], ["Weights", probe.weights], ["Parameters", Number(probe.parameters).toLocaleString("en-US")], ["Data", probe.data.split(":")[0]],
    ["Time", duration(probe.seconds)], ["Ravine", data.version]];
}

function valueRow(part, value, first) {
  const error = value.error === null ? null : el("span", { class: "soft" }, `± ${measure(real(value.error))}`);
  return el("tr", {}, el("td", { class: "text" }, first ? part.measure : ""), el("td", {}, value.key, el("span", { class: "soft" }, value.quantity)),
    el("td", { class: "number" }, measure(real(value.value)), error));
}

function valuesSection(probe) {
  const heads = [["Measure", ""], ["Quantity", ""], ["Value", "number"]];
  return el("section", { id: "values" }, el("h2", {}, "Values"),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Values" }, el("table", { class: "claims" },
      el("thead", {}, el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))),
      el("tbody", {}, probe.measures.flatMap((part) => part.values.map((value, i) => valueRow(part, value, i === 0)))))));
}

function probeSettings(probe) {
  const rows = probe.measures.flatMap((part) => Object.entries(part.params).map(([name, value]) => [`${part.measure === "point" ? "" : `${part.measure}.`}${name}`, String(value)]));
  const others = probe.asked.with.map((path) => ` --with ${path}`).join("") + probe.asked.set.map((text) => ` --set ${text}`).join(""), names = probe.measures.slice(1).map((part) => ` ${part.measure}`).join("");
  return el("section", { id: "method" }, el("h2", {}, "How it was done"), el("p", { class: "method soft small" }, `Data: ${probe.data}.`),
    el("details", {}, el("summary", {}, "Settings"), el("div", { class: "body" }, table("Parameters of this probe", [["name", ""], ["value", ""]], rows))),
    el("div", { class: "command" }, el("pre", {}, `ravine probe ${probe.file}${names}${others}${probe.weights === "stepped" ? " --raw" : ""}`)));
}
