/* The language of a study's page: English, or Russian where the data bring it.  Every text
   passes through say() once; what has no translation stays English. */

const LANGUAGES = ["en", "ru"];
let language = "en";
let texts = {}; /* of the data: English -> Russian */

/* say("Seed %s", 3): the text in the page's language with its words filled in. */
function say(text, ...words) {
  const said = language === "ru" ? texts[text] ?? CHROME_RU[text] ?? text : text;
  return words.length ? said.replace(/%s/g, () => words.shift()) : said;
}

function remembered(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* private window: not remembered */ }
}

/* The address says it, else the reader said it before, else whoever wrote the page. */
function chooseLanguage(data) {
  const asked = new URLSearchParams(location.search).get("lang");
  language = [asked, remembered("ravine-language"), data.language].find((word) => LANGUAGES.includes(word)) || "en";
  document.documentElement.lang = language;
}

function languageSwitch(data) {
  const button = (name) => el("button", { type: "button", lang: name, "data-language": name, "aria-pressed": String(language === name), onclick: () => switchLanguage(data, name) }, name.toUpperCase());
  return el("div", { class: "segments", role: "group", "aria-label": say("Language") }, LANGUAGES.map(button));
}

function switchLanguage(data, name) {
  const top = scrollY;
  language = name;
  remember("ravine-language", name);
  if (new URLSearchParams(location.search).has("lang")) replaceQuery("lang", name);
  document.documentElement.lang = name;
  for (const own of figures) if (window.Plotly) clear(own);
  figures.length = played.length = 0;
  assemble(data);
  applyTheme(theme());
  const drawn = refresh();
  scrollTo(0, top);
  return drawn;
}

function replaceQuery(key, value) {
  const query = new URLSearchParams(location.search);
  query.set(key, value);
  history.replaceState(null, "", `?${query}${location.hash}`);
}

const CHROME_RU = {
  "%s after %s steps": "%s, шагов обучения: %s",
  "Optimizer": "Оптимизатор",
  "Weights": "Веса",
  "Parameters": "Параметров",
  "Values": "Значения",
  "Measure": "Измерение",
  "Quantity": "Величина",
  "Value": "Значение",
  "value": "значение",
  "Light": "Светлая",
  "Dark": "Тёмная",
  "Switch to light colours": "Включить светлую тему",
  "Switch to dark colours": "Включить тёмную тему",
  "Language": "Язык",
  "Skip to the results": "К результатам",
  "Verdict": "Итог",
  "%s of %s claims hold": "утверждений выполняется: %s из %s",
  "Seeds": "Зёрна",
  "Data": "Данные",
  "Time": "Время",
  "Size": "Объём",
  "quick": "сокращённый",
  "full": "полный",
  "holds": "выполняется",
  "does not hold": "не выполняется",
  "not judged": "не оценивалось",
  "n = %s": "n = %s",
  "all %s seeds": "все зёрна: %s",
  "expected %s": "ожидалось: %s",
  "expected %s, the mean": "ожидалось: %s, среднее",
  "expected %s, every seed": "ожидалось: %s, для каждого зерна",
  "Claim": "Утверждение",
  "Claims, checked": "Утверждения и проверка",
  "Measured quantity": "Измеряемая величина",
  "Measured": "Измерено",
  "What was measured": "Что измерено",
  "Findings": "Наблюдения",
  "How it was done": "Как это сделано",
  "Source: %s": "Источник: %s",
  "Settings": "Параметры",
  "Vary it": "Попробуйте иначе",
  "This run again; every setting below can be changed with --set, and more seeds narrow the spread.":
    "Этот же запуск; любой параметр ниже меняется ключом --set, а большее число зёрен сужает разброс.",
  "Copy": "Копировать",
  "Copied": "Скопировано",
  "Select and copy": "Выделите и скопируйте",
  "name": "имя",
  "this run": "в этом запуске",
  "default": "по умолчанию",
  "allowed": "допустимо",
  "meaning": "смысл",
  "Claims that need the full size are not judged: this run was made with --quick.":
    "Утверждения, которым нужен полный объём, не оценивались: этот запуск сделан с --quick.",
  "Nothing was measured.": "Ничего не измерено.",
  "The mean lies outside the interval.": "Среднее лежит вне интервала.",
  "The value lies outside the interval.": "Значение лежит вне интервала.",
  "%s of %s values lie outside the interval.": "Вне интервала лежит значений: %s из %s.",
  "Scales": "Шкалы",
  "View": "Вид",
  "Heat map": "Карта",
  "Surface": "Поверхность",
  "Nothing to draw: no run got that far.": "Рисовать нечего: ни один запуск не дошёл до этого.",
  "The claims are about the study's own settings; this run has others: %s.": "Утверждения относятся к собственным параметрам исследования, а в этом запуске другие: %s.",
  "Play": "Пуск",
  "Pause": "Пауза",
  "Frame": "Кадр",
  "Show or hide": "Показать или скрыть",
  "Download the data of %s as CSV": "Скачать данные рисунка «%s» в CSV",
  "Download %s as SVG": "Скачать рисунок «%s» в SVG",
  "The charts need a browser of 2023 or later.": "Для графиков нужен браузер 2023 года или новее.",
  "Studies": "Исследования",
  "All studies": "Все исследования",
  "The studies beside this one": "Соседние исследования",
  "Previous study": "Предыдущее исследование",
  "Next study": "Следующее исследование",
  "previous": "предыдущее",
  "next": "следующее",
  "The experiments of the lecture, replayed": "Эксперименты лекции, повторённые заново",
  "Every study states its claims first, measures, and says which of them hold. In the order of the lecture.":
    "Каждое исследование сначала формулирует утверждения, затем измеряет и говорит, какие из них выполняются. В порядке лекции.",
  "%s not judged": "не оценивалось: %s",
  "Written by Ravine %s on %s.": "Создано программой Ravine %s, %s.",
  "Written by Ravine %s on %s. Charts by Plotly.js.": "Создано программой Ravine %s, %s. Графики: Plotly.js.",
};
