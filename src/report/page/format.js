/* Elements, numbers for people, downloads.  Text only ever enters the page through
   textContent, so that names of runs are data and never markup. */

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) node.append(child);
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/* JSON has no numbers for these three; the logs write words. */
function real(value) {
  if (typeof value === "number") return value;
  return { inf: Infinity, "-inf": -Infinity }[value] ?? NaN;
}

const NARROW = "\u202f"; /* between a number and its unit */

function digits(value, significant) {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value) >= 10 ** significant ? String(Math.round(value)) : String(Number(value.toPrecision(significant)));
  return text.replace("-", "−");
}

/* The same number of digits in every row of a column. */
function fixed(value, significant) {
  return Number.isFinite(value) ? value.toPrecision(significant).replace("-", "−") : "–";
}

function count(value) {
  if (!Number.isFinite(value)) return "–";
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (Math.abs(value) >= size) return (value / size).toPrecision(3).replace(/e.*/, "") + NARROW + unit;
  return digits(value, 3);
}

function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const [ms, s, min, h] = language === "ru" ? ["мс", "с", "мин", "ч"] : ["ms", "s", "min", "h"];
  if (seconds < 1) return digits(seconds * 1000, 2) + NARROW + ms;
  if (seconds < 100) return digits(seconds, seconds < 10 ? 2 : 3) + NARROW + s;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${Math.floor(seconds / 60)}${NARROW}${min} ${Math.round(seconds % 60)}${NARROW}${s}`;
  return `${Math.floor(minutes / 60)}${NARROW}${h} ${minutes % 60}${NARROW}${min}`;
}

function rate(value) {
  if (!Number.isFinite(value)) return "–";
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e6)) return value.toExponential().replace("e+", "e").replace("-", "−");
  return String(value).replace("-", "−");
}

function amount(unit, value) {
  return unit === "seconds" ? duration(value) : count(value);
}

function plural(n, word) {
  return `${n} ${word}${n === 1 ? "" : "s"}`;
}

function sentence(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

function day(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return String(iso || "–");
  return date.toLocaleString(language === "ru" ? "ru-RU" : "en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" }) + " UTC";
}

/* ---- downloads ---- */

function save(name, type, content) {
  const url = type === "href" ? content : URL.createObjectURL(new Blob([content], { type }));
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  if (type !== "href") setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/* RFC 4180; text that a spreadsheet would run gets an apostrophe. */
function csv(rows) {
  const cell = (value) => {
    if (typeof value === "number") return Number.isNaN(value) ? "nan" : Number.isFinite(value) ? String(value) : value > 0 ? "inf" : "-inf";
    let text = value === null || value === undefined ? "" : String(value);
    const formula = /^[=+\-@\t\r]/.test(text);
    if (formula) text = "'" + text;
    return formula || /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

function slug(text) {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "data";
}

/* ---- series ---- */

/* Okabe and Ito's palette; on a dark ground its blue and black are lightened. */
const PALETTE = {
  light: ["#0072B2", "#D55E00", "#009E73", "#B0558A", "#C98500", "#3FA4DC", "#000000", "#7A7A7A"],
  dark: ["#4C9FE0", "#F0803C", "#2BC299", "#E39AC4", "#F2B632", "#9AD6F8", "#F2F2F2", "#9C9C9C"],
};
const DASHES = ["solid", "7px,3px", "2px,2.5px", "9px,3px,2px,3px", "14px,4px", "5px,2px,2px,2px,2px,2px"];
const MARKERS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "star", "hexagon"];

function theme() {
  return document.documentElement.dataset.theme === "dark" ? "dark" : "light";
}

function colour(index) {
  return PALETTE[theme()][index % 8];
}

function translucent(index, alpha) {
  const hex = colour(index);
  return `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},${alpha})`;
}

/* Beyond eight colours the dash alone changes, so no two series look the same. */
function dash(index) {
  return DASHES[(index + Math.floor(index / 8)) % DASHES.length];
}

function swatch(index, solid) {
  const pattern = solid || dash(index) === "solid" ? "" : dash(index).replace(/px/g, "");
  const line = svg("line", { x1: 0, y1: 5, x2: 30, y2: 5, "stroke-width": 2.5, "stroke-dasharray": pattern });
  line.style.stroke = colour(index);
  line.dataset.series = index;
  return svg("svg", { class: "swatch", width: 30, height: 10, "aria-hidden": "true" }, line);
}
