/* The page of a study: what the slide says, the figures, the verdict on every claim, and how
   to run it again in another way. */

function assembleStudy(data) {
  const study = data.study;
  document.title = `${say(study.title)} – Ravine`;
  document.getElementById("head").replaceChildren(...studyHead(data, say(study.title), say(study.question)),
    el("dl", { class: "facts" }, studyFacts(data).map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v)))));
  document.getElementById("main").replaceChildren(...[figuresSection(study), claimsSection(study), findingsSection(study), methodSection(study), variationSection(study),
    neighbourLinks(study)].filter(Boolean));
}

/* The studies that the gallery said it has, in the order of the lecture; null: the page was opened on its own. */
function lectureOf(study) {
  const asked = new URLSearchParams(location.search).get("gallery");
  return asked === null ? null : study.lecture.filter((other) => asked.split(",").includes(other.study));
}

function neighbourLinks(study) {
  const shown = lectureOf(study) || [], names = shown.map((other) => other.study), at = names.indexOf(study.study);
  const link = (other, rel, label, text) => other ? el("a", { rel, href: studyAddress(other.study, "../", names) },
    el("span", { class: "soft small" }, label), el("span", {}, text((language === "ru" && other.ru) || other.title))) : el("span", {});
  if (at < 0 || names.length < 2) return null;
  return el("nav", { class: "neighbours", "aria-label": say("The studies beside this one") },
    link(shown[at - 1], "prev", say("Previous study"), (title) => `← ${title}`), link(shown[at + 1], "next", say("Next study"), (title) => `${title} →`));
}

/* Small ones on top as well: a lecturer goes on without scrolling. */
function wayBack(study) {
  const shown = study && lectureOf(study);
  if (!shown) return null;
  const names = shown.map((other) => other.study), at = names.indexOf(study.study);
  const link = (other, rel, text) => other && at >= 0 ? el("a", { rel, title: (language === "ru" && other.ru) || other.title, href: studyAddress(other.study, "../", names) }, text) : null;
  return el("p", { class: "small back" }, el("a", { href: `../index.html?lang=${language}` }, say("All studies")),
    ...[link(shown[at - 1], "prev", `← ${say("previous")}`), link(shown[at + 1], "next", `${say("next")} →`)].filter(Boolean));
}

function studyHead(data, title, lead) {
  document.querySelector(".skip").textContent = say("Skip to the results");
  return [el("div", { class: "topline" }, el("span", { class: "brand" }, mark(), "Ravine"),
    el("span", { class: "choice" }, languageSwitch(data), el("button", { type: "button", class: "plain", id: "theme", onclick: switchTheme }, ""))),
  ...[wayBack(data.study)].filter(Boolean), el("h1", {}, title), el("p", { class: "lead" }, lead)];
}

function studyFacts(data) {
  const study = data.study, judged = study.claims.filter((c) => c.holds !== null), held = judged.filter((c) => c.holds).length;
  return [[say("Verdict"), verdictText(held, judged.length - held, study.claims.length - judged.length)], [say("Seeds"), String(study.seeds)], [say("Data"), say(study.data)],
    [say("Time"), duration(study.seconds)], [say("Size"), say(study.quick ? "quick" : "full")], ["Ravine", data.version]];
}

function figuresSection(study) {
  return el("section", { id: "figures" }, el("h2", {}, say("What was measured")), el("div", { class: "charts study" }, study.figures.map(studyFigure)));
}

/* ---- claims ---- */

function claimRow(claim) {
  const [low, high] = claim.spread.map(real), n = claim.values.length, spread = n > 1 && low !== high ? `${measure(low)} … ${measure(high)}, n = ${n}` : n > 1 ? say("all %s seeds", n) : null;
  const verdict = claim.holds === null ? ["", say("not judged")] : claim.holds ? ["holds", `✓ ${say("holds")}`] : ["fails", `✗ ${say("does not hold")}`];
  const expected = n > 1 ? `expected %s, ${claim.over === "mean" ? "the mean" : "every seed"}` : "expected %s";
  return el("tr", {}, el("td", {}, el("span", { class: `verdict ${verdict[0]}` }, verdict[1])),
    el("td", { class: "text" }, say(claim.claim), el("span", { class: "soft" }, say(claim.source)), reason(claim)),
    el("td", {}, say(claim.quantity), el("span", { class: "soft" }, say(expected, say(claim.expected).replace(/-/g, "−")))),
    el("td", { class: "number" }, n ? measure(real(claim.measured)) : "–", spread ? el("span", { class: "soft" }, spread) : null));
}

/* Why a claim does not hold: what the numbers say, then what the study knows about it. */
function reason(claim) {
  if (claim.holds !== false) return null;
  const values = claim.values.map(real), [low, high] = claim.interval.map(real), inside = (v) => v >= low && v <= high;
  const outside = values.filter((v) => !inside(v)).length;
  const counted = !values.length ? say("Nothing was measured.") : claim.over === "mean" ? say("The mean lies outside the interval.")
    : values.length === 1 ? say("The value lies outside the interval.") : say("%s of %s values lie outside the interval.", outside, values.length);
  return el("span", { class: "reason" }, counted, claim.why ? ` ${say(claim.why)}` : "");
}

function measure(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "∞" : "−∞";
  const size = Math.abs(value), text = size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2).replace("e+", "e") : String(Number(value.toPrecision(4)));
  return text.replace(/-/g, "−");
}

/* What the user set; --quick sets its own. */
function changed(study) {
  return study.quick ? [] : study.settings.filter((s) => s.value !== s.initial && Number(s.value) !== Number(s.initial)).map((s) => `${s.name} = ${s.value}`);
}

function claimsSection(study) {
  const heads = [["", ""], [say("Claim"), ""], [say("Measured quantity"), ""], [say("Measured"), "number"]];
  const unjudged = study.claims.some((c) => c.holds === null);
  return el("section", { id: "claims" }, el("h2", {}, say("Claims, checked")),
    changed(study).length ? el("p", { class: "method soft small" }, say("The claims are about the study's own settings; this run has others: %s.", changed(study).join(", "))) : null,
    unjudged ? el("p", { class: "method soft small" }, say("Claims that need the full size are not judged: this run was made with --quick.")) : null,
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": say("Claims, checked") }, el("table", { class: "claims" },
      el("thead", {}, el("tr", {}, heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text)))),
      el("tbody", {}, study.claims.map(claimRow)))));
}

function findingsSection(study) {
  if (!study.notes.length) return null;
  return el("section", { id: "findings" }, el("h2", {}, say("Findings")), el("ul", { class: "findings" }, study.notes.map((note) => el("li", {}, say(note)))));
}

/* ---- the setting, and other ones ---- */

function methodSection(study) {
  return el("section", { id: "method" }, el("h2", {}, say("How it was done")), el("p", { class: "method" }, say(study.method).replace(/\s+/g, " ")),
    el("p", { class: "method soft small" }, say("Source: %s", say(study.source))));
}

function bounds(setting) {
  if (setting.choices) return setting.choices.replace(/\|/g, ", ");
  const [low, high] = (setting.bounds || []).map(real);
  if (low === undefined) return "";
  return `${setting.open[0] ? "(" : "["}${rate(low)}, ${Number.isFinite(high) ? rate(high) : "∞"}${setting.open[1] || !Number.isFinite(high) ? ")" : "]"}`;
}

function variationSection(study) {
  const heads = [[say("name"), ""], [say("this run"), "number"], [say("default"), "number"], [say("allowed"), ""], [say("meaning"), "wrap"]];
  const rows = study.settings.map((s) => [el("code", {}, s.name), s.value, s.initial, bounds(s), say(s.help)]);
  const start = `ravine study ${study.study}`, set = study.settings.length ? ` --set ${study.settings[0].name}=${study.settings[0].value}` : "";
  return el("section", { id: "variation" }, el("h2", {}, say("Vary it")),
    el("p", { class: "method" }, say("This run again; every setting below can be changed with --set, and more seeds narrow the spread.")),
    commandBlock(`${start}${study.quick ? " --quick" : ""} --seeds ${study.seeds}${set} --check`),
    rows.length ? table(say("Settings"), heads, rows) : null);
}
