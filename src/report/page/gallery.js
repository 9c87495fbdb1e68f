/* The gallery: a card for every study of a folder, in the order of the lecture.  Stills are
   drawn here by hand, so that the page needs no chart script and opens at once. */

function assembleGallery(data) {
  const cards = data.gallery, sum = (key) => cards.reduce((total, card) => total + card.verdicts[key], 0);
  document.title = `${say("Studies")} – Ravine`;
  const facts = [[say("Studies"), String(cards.length)], [say("Verdict"), verdictText(sum("held"), sum("failed"), sum("unjudged"))],
    [say("Time"), duration(cards.reduce((total, card) => total + card.seconds, 0))]];
  document.getElementById("head").replaceChildren(...studyHead(data, say("The experiments of the lecture, replayed"),
    say("Every study states its claims first, measures, and says which of them hold. In the order of the lecture.")),
  el("dl", { class: "facts" }, facts.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v)))));
  document.getElementById("main").replaceChildren(el("ol", { class: "gallery" }, cards.map(galleryCard)));
  refreshers.length = 0;
  refreshers.push(() => document.querySelectorAll("canvas.still").forEach((canvas, i) => drawStill(canvas, cards.filter((c) => c.still)[i].still)));
}

function verdictText(held, failed, unjudged) {
  const judged = held + failed;
  return [judged ? say("%s of %s claims hold", held, judged) : "", unjudged ? say("%s not judged", unjudged) : ""].filter(Boolean).join(", ");
}

/* Of a study's page that is entered from the gallery: it is told which studies there are. */
function studyAddress(name, up, shown) {
  return `${up}${name}/index.html?lang=${language}&gallery=${shown.join(",")}`;
}

function galleryCard(card, _, cards) {
  const shown = cards.map((other) => other.study), { held, failed, unjudged } = card.verdicts, own = (text) => (language === "ru" && card.ru[text]) || say(text);
  return el("li", {}, el("a", { class: "card", href: studyAddress(card.study, "", shown) },
    card.still ? el("canvas", { class: "still", "aria-hidden": "true" }) : null,
    el("h2", {}, own(card.title)), el("p", { class: "soft small" }, own(card.question)),
    el("p", { class: "small card-facts" }, el("span", { class: `verdict ${failed ? "fails" : held ? "holds" : ""}` }, `${failed ? "✗ " : held ? "✓ " : ""}${verdictText(held, failed, unjudged)}`),
      el("span", { class: "soft" }, [duration(card.seconds), `n = ${card.seeds}`, own(card.data), card.quick ? say("quick") : ""].filter(Boolean).join(" · ")))));
}

/* ---- stills ---- */

/* Values of an axis -> 0 ... 1, as the figure scales them. */
function stillScale(axis, values) {
  const of = axis.log ? (v) => (v > 0 ? Math.log10(v) : NaN) : (v) => v;
  const kept = (axis.range || values.filter((v) => v !== null)).map(of).filter(Number.isFinite);
  const low = kept.reduce((a, b) => Math.min(a, b), Infinity), high = kept.reduce((a, b) => Math.max(a, b), -Infinity), span = high - low || 1;
  return (v) => (v === null ? NaN : (of(v) - low) / span);
}

function mix(scale, share) {
  const i = Math.max(1, scale.findIndex(([at]) => at >= share)), [a, first] = scale[i - 1], [b, second] = scale[i], t = (share - a) / (b - a || 1);
  return [1, 3, 5].map((k) => Math.round((1 - t) * parseInt(first.slice(k, k + 2), 16) + t * parseInt(second.slice(k, k + 2), 16)));
}

function stillField(pen, field, width, height) {
  const rows = field.z.length, columns = field.z[0].length, image = new ImageData(columns, rows), small = document.createElement("canvas");
  const level = stillScale({ log: field.log }, field.z.flat());
  field.z.forEach((row, j) => row.forEach((value, i) => {
    const share = level(value), rgb = Number.isFinite(share) ? mix(fieldScale(), Math.min(1, Math.max(0, share))) : [128, 128, 128];
    image.data.set([...rgb, 255], 4 * ((rows - 1 - j) * columns + i));
  }));
  small.width = columns;
  small.height = rows;
  small.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = columns > 24;
  pen.drawImage(small, 0, 0, width, height);
}

function drawStill(canvas, still) {
  const width = canvas.clientWidth, height = canvas.clientHeight, dots = devicePixelRatio || 1, pen = canvas.getContext("2d");
  canvas.width = width * dots;
  canvas.height = height * dots;
  pen.scale(dots, dots);
  const all = (key) => [...still.series.flatMap((s) => s[key]), ...(still.field ? still.field[key] : [])];
  const edge = still.field ? 0 : 0.05, x = stillScale(still.x, all("x")), y = stillScale(still.y, all("y")), names = [...new Set(still.series.map((s) => s.name))];
  if (still.field) stillField(pen, still.field, width, height);
  for (const s of still.series) {
    const points = s.x.map((v, i) => [(edge + (1 - 2 * edge) * x(v)) * width, (1 - edge - (1 - 2 * edge) * y(s.y[i])) * height]);
    pen.strokeStyle = pen.fillStyle = colour(names.indexOf(s.name));
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    if (s.style === "bars") stillBars(pen, points, height * (1 - edge));
    else if (s.style === "points" || points.length === 1) stillDots(pen, points, points.length === 1 ? 4 : 2);
    else stillLine(pen, points);
  }
}

function stillLine(pen, points) {
  let down = false;
  pen.beginPath();
  for (const [u, v] of points) {
    const ok = Number.isFinite(u) && Number.isFinite(v);
    if (ok) (down ? pen.lineTo(u, v) : pen.moveTo(u, v));
    down = ok;
  }
  pen.stroke();
}

function stillDots(pen, points, radius) {
  for (const [u, v] of points) {
    pen.beginPath();
    pen.arc(u, v, radius, 0, 7);
    pen.fill();
  }
}

function stillBars(pen, points, floor) {
  const thick = points.length > 1 ? Math.max(1, 0.8 * Math.abs(points[1][0] - points[0][0])) : 12;
  pen.globalAlpha = 0.55;
  for (const [u, v] of points) if (Number.isFinite(v)) pen.fillRect(u - thick / 2, v, thick, floor - v);
  pen.globalAlpha = 1;
}
