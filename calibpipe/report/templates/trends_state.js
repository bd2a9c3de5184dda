"use strict";
/* What is shown: the range of nights, telescopes, categories. Times are days since the first night. */
const data = JSON.parse(document.getElementById("trends-data").textContent);
const DAY = 86400000;
const FIRST = Date.parse(`${data.first}T00:00:00Z`);
const WHOLE = [-0.5, data.nights + 0.5];
const SHORTEST = 2;
const MINUS = "\u2212";
const state = {
  from: WHOLE[0],
  to: WHOLE[1],
  telescopes: new Set(data.telescopes.keys()),
  categories: new Set(["B", "C"]),
  sys: false,
};
const views = [];

function nightName(day) {
  return new Date(FIRST + Math.floor(day) * DAY).toISOString().slice(0, 10);
}

function dayOf(name) {
  return Math.round((Date.parse(`${name}T00:00:00Z`) - FIRST) / DAY);
}

function pageOf(category, day) {
  const name = `${category}/${nightName(day)}`;
  return data.pages.includes(name) ? `${data.base}/${name}/report/index.html` : "";
}

function setRange(from, to) {
  let span = Math.min(Math.max(to - from, SHORTEST), WHOLE[1] - WHOLE[0]);
  const middle = (from + to) / 2;
  state.from = Math.min(Math.max(middle - span / 2, WHOLE[0]), WHOLE[1] - span);
  state.to = state.from + span;
  redraw();
}

function zoom(factor, centre) {
  const at = centre === undefined ? (state.from + state.to) / 2 : centre;
  setRange(at - (at - state.from) * factor, at + (state.to - at) * factor);
}

function pan(part) {
  const step = part * (state.to - state.from);
  setRange(state.from + step, state.to + step);
}

function showAll() {
  setRange(...WHOLE);
}

function isShown(series) {
  return state.categories.has(series.cat) && (series.tel < 0 || state.telescopes.has(series.tel));
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    for (const view of views) view.draw();
    tellRange();
  });
}

/* Numbers as on the night page: two significant digits of the smallest error. */
function rounded(value, ...errors) {
  const known = errors.filter((error) => error !== null && error > 0);
  let places = 4;
  if (known.length) places = 1 - Math.floor(Math.log10(Math.min(...known)));
  else if (value !== 0) places = 4 - Math.floor(Math.log10(Math.abs(value)));
  places = Math.min(Math.max(places, 0), 12);
  return [value, ...errors].map((number) =>
    number === null ? "" : number.toFixed(places).replace("-", MINUS),
  );
}

/* Round values between two ends, about so many, and how many decimals they need. */
function valueTicks(low, high, number) {
  const rough = (high - low) / number;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const places = Math.min(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)), 12);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + 1e-12) + 1e-12 * step; k++) {
    ticks.push([k * step, (k * step).toFixed(places).replace("-", MINUS)]);
  }
  return ticks;
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/* Evenings with round dates between two days; first or day of the year, month, week. */
function timeTicks(from, to, number) {
  const span = to - from;
  const rough = span / number;
  const ticks = [];
  if (rough <= 14) {
    const step = [1, 2, 7, 14].find((days) => days >= rough);
    for (let day = Math.ceil(from / step) * step; day <= to; day += step) {
      const date = new Date(FIRST + day * DAY);
      ticks.push([day, `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`]);
    }
    return ticks;
  }
  const step = [1, 2, 3, 6, 12, 24, 60, 120].find((months) => months * 30.4 >= rough) || 240;
  const begin = new Date(FIRST + from * DAY);
  let month = Math.ceil((begin.getUTCFullYear() * 12 + begin.getUTCMonth()) / step) * step;
  for (;; month += step) {
    const [year, index] = [Math.floor(month / 12), month % 12];
    const day = (Date.UTC(year, index, 1) - FIRST) / DAY;
    if (day > to) return ticks;
    if (day >= from) ticks.push([day, step >= 12 ? `${year}` : `${MONTHS[index]} ${year}`]);
  }
}
