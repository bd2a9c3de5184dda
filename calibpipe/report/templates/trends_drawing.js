/* Drawings: SVG that follows the range, the telescopes and the width of the page. */
const NS = "http://www.w3.org/2000/svg";
const MARGIN = { left: 66, right: 14, top: 12, bottom: 42 };
const HEIGHT = 290;
const WORDS = ["certified", "certified by a decision although it failed", "failed",
  "passed, not certified"];

function put(parent, name, attributes, text) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

/* Outline of a marker of radius r about (x, y); seven shapes. */
function marker(shape, x, y, r) {
  const at = (points) => `M${points.map(([u, v]) =>
    `${(x + u * r).toFixed(1)} ${(y + v * r).toFixed(1)}`).join("L")}Z`;
  const s = 0.42;
  switch (shape % 7) {
    case 1: return at([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]);
    case 2: return at([[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]]);
    case 3: return at([[0, -1.2], [1.1, 0.9], [-1.1, 0.9]]);
    case 4: return at([[0, 1.2], [1.1, -0.9], [-1.1, -0.9]]);
    case 5: return at([[-s, -1.2], [s, -1.2], [s, -s], [1.2, -s], [1.2, s], [s, s], [s, 1.2],
      [-s, 1.2], [-s, s], [-1.2, s], [-1.2, -s], [-s, -s]]);
    case 6: return at([[0, -0.5], [0.7, -1.2], [1.2, -0.7], [0.5, 0], [1.2, 0.7], [0.7, 1.2],
      [0, 0.5], [-0.7, 1.2], [-1.2, 0.7], [-0.5, 0], [-1.2, -0.7], [-0.7, -1.2]]);
    default: return `M${(x - r).toFixed(1)} ${y.toFixed(1)}a${r} ${r} 0 1 0 ${2 * r} 0` +
      `a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  }
}

/* What all drawings do: pointer and keyboard, range, box with the value. */
class View {
  constructor(holder, label) {
    this.holder = holder;
    this.holder.replaceChildren();
    this.holder.classList.add("live");
    this.svg = put(this.holder, "svg", { "aria-hidden": "true" });
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.holder.append(this.tip);
    this.holder.tabIndex = 0;
    this.holder.setAttribute("role", "group");
    this.holder.setAttribute("aria-label",
      `${label}. Arrow keys: from value to value. Plus and minus: zoom. 0: all nights.`);
    this.active = null;
    this.listen();
    views.push(this);
  }

  listen() {
    let start = null;
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button === 0) start = this.place(event)[0];
    });
    this.svg.addEventListener("pointermove", (event) => {
      const [x, y] = this.place(event);
      if (start !== null && Math.abs(x - start) > 6) {
        if (!this.svg.hasPointerCapture(event.pointerId)) this.svg.setPointerCapture(event.pointerId);
        this.select(start, x);
      } else if (!this.pinned) this.show(this.nearest(x, y));
    });
    this.svg.addEventListener("pointerup", (event) => {
      const [x, y] = this.place(event);
      const moved = start !== null && Math.abs(x - start) > 6;
      if (moved) setRange(...[start, x].map((at) => this.dayAt(at)).sort((a, b) => a - b));
      else {
        this.show(this.nearest(x, y));
        this.pinned = this.active !== null; // stays, so that its link can be followed
      }
      start = null;
    });
    this.svg.addEventListener("pointercancel", () => { start = null; this.draw(); });
    this.holder.addEventListener("dblclick", () => showAll());
    this.holder.addEventListener("pointerleave", () => {
      if (!this.pinned && document.activeElement !== this.holder) this.show(null);
    });
    this.holder.addEventListener("focusout", (event) => {
      if (!this.holder.contains(event.relatedTarget)) this.show(null);
    });
    this.holder.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.holder);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const actions = { "+": () => zoom(0.5, this.active?.t), "=": () => zoom(0.5, this.active?.t),
      "-": () => zoom(2, this.active?.t), 0: showAll, Escape: () => this.show(null) };
    if (event.key in moves) {
      const [along, across] = moves[event.key];
      if (event.shiftKey && along) pan(along / 4);
      else this.show(this.step(along, across));
    } else if (event.key in actions) actions[event.key]();
    else if (event.key === "Enter" && this.active?.page) location.href = this.active.page;
    else return;
    event.preventDefault();
  }

  place(event) {
    const box = this.svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  frame(height, left) {
    this.left = left;
    this.width = Math.max(this.holder.clientWidth, 240);
    this.height = height;
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${height}`);
    this.svg.setAttribute("height", height);
  }

  xOf(day) {
    const inner = this.width - this.left - MARGIN.right;
    return this.left + ((day - state.from) / (state.to - state.from)) * inner;
  }

  dayAt(x) {
    const inner = this.width - this.left - MARGIN.right;
    return state.from + ((x - this.left) / inner) * (state.to - state.from);
  }

  times(y, grid) {
    const number = Math.max(2, Math.floor((this.width - this.left) / 95));
    for (const [day, text] of timeTicks(state.from, state.to, number)) {
      const x = this.xOf(day + 0.5).toFixed(1);
      if (x < this.left || x > this.width - MARGIN.right) continue;
      if (grid) put(this.svg, "path", { class: "grid", d: `M${x} ${MARGIN.top}V${y - 18}` });
      const end = this.width - x < 34 ? "end" : "middle";
      put(this.svg, "text", { class: "tick", x, y, "text-anchor": end }, text);
    }
  }

  select(from, to) {
    this.svg.querySelector(".selection")?.remove();
    put(this.svg, "rect", { class: "selection", x: Math.min(from, to), y: MARGIN.top,
      width: Math.abs(to - from), height: this.height - MARGIN.top - MARGIN.bottom });
  }

  show(found) {
    this.active = found;
    this.pinned = false;
    this.svg.querySelector(".ring")?.remove();
    this.tip.hidden = !found;
    if (!found) return;
    this.mark(found);
    this.tip.replaceChildren(...found.lines().map((text, index) => {
      const line = document.createElement(index ? "p" : "strong");
      line.textContent = text;
      return line;
    }));
    if (found.page) {
      const link = document.createElement("a");
      link.href = found.page;
      link.textContent = "page of the night";
      this.tip.append(link);
    }
    const room = this.holder.clientWidth - this.tip.offsetWidth - 4;
    this.tip.style.left = `${Math.max(4, Math.min(found.x + 14, room))}px`;
    const above = found.y - this.tip.offsetHeight - 14;
    this.tip.style.top = `${above < -30 ? found.y + 16 : above}px`;
  }
}

/* Values of a quantity. */
class ValueView extends View {
  constructor(holder, figure, title) {
    super(holder, title);
    this.figure = figure;
    holder.setAttribute("aria-roledescription", "figure with values");
  }

  draw() {
    this.frame(HEIGHT, MARGIN.left);
    this.show(null);
    const shown = this.figure.series.filter(isShown);
    const [low, high] = this.ends(shown);
    const bottom = HEIGHT - MARGIN.bottom;
    this.points = [];
    if (low === null) {
      put(this.svg, "text", { class: "tick", x: this.width / 2, y: HEIGHT / 2,
        "text-anchor": "middle" }, "no value in this range");
    } else {
      const yOf = (v) => bottom - ((v - low) / (high - low)) * (bottom - MARGIN.top);
      for (const [value, text] of valueTicks(low, high, 5)) {
        const y = yOf(value).toFixed(1);
        put(this.svg, "path", { class: "grid", d: `M${this.left} ${y}H${this.width - MARGIN.right}` });
        put(this.svg, "text", { class: "tick", x: this.left - 7, y: +y + 4, "text-anchor": "end" }, text);
      }
      for (const limit of this.figure.limits || []) {
        if (limit <= low || limit >= high) continue;
        const y = yOf(limit).toFixed(1);
        put(this.svg, "path", { class: "limit", d: `M${this.left} ${y}H${this.width - MARGIN.right}` });
      }
      shown.forEach((series) => this.drawSeries(series, yOf));
    }
    put(this.svg, "path", { class: "axis", d: `M${this.left} ${MARGIN.top}V${bottom}` +
      `H${this.width - MARGIN.right}` });
    this.times(bottom + 18, true);
    put(this.svg, "text", { class: "label", x: 0, y: 0, "text-anchor": "middle",
      transform: `translate(13 ${(bottom + MARGIN.top) / 2}) rotate(-90)` }, this.figure.label);
    put(this.svg, "text", { class: "label", x: (this.width + this.left) / 2, y: HEIGHT - 5,
      "text-anchor": "middle" }, "evening of the night");
    this.points.sort((a, b) => a.t - b.t);
  }

  ends(shown) {
    let [low, high] = [Infinity, -Infinity];
    for (const series of shown) {
      series.t.forEach((t, k) => {
        if (t < state.from || t > state.to) return;
        const error = Math.max(series.s[k] || 0, state.sys ? series.y[k] || 0 : 0);
        low = Math.min(low, series.v[k] - error);
        high = Math.max(high, series.v[k] + error);
      });
    }
    if (low === Infinity) return [null, null];
    const pad = (high - low || Math.abs(high) || 1) * 0.07;
    return [low - pad, high + pad];
  }

  drawSeries(series, yOf) {
    const rank = Math.max(series.tel, 0);
    const group = put(this.svg, "g", { class: `series c${rank % 6} ${series.cat === "B" ? "hollow" : ""}` });
    const paths = { sys: "", stat: "", points: "", failed: "" };
    series.t.forEach((t, k) => {
      if (t < state.from || t > state.to) return;
      const [x, y] = [this.xOf(t), yOf(series.v[k])];
      const bar = (error) => `M${x.toFixed(1)} ${yOf(series.v[k] - error).toFixed(1)}` +
        `V${yOf(series.v[k] + error).toFixed(1)}`;
      if (state.sys && series.y[k]) paths.sys += bar(series.y[k]);
      if (series.s[k]) paths.stat += bar(series.s[k]);
      const months = series.n && series.n[k] > 1;
      paths.points += marker(rank, x, y, months ? 4.6 : 3.2);
      if (series.f[k] === "2") paths.failed += marker(0, x, y, 6.5);
      this.points.push(new ValuePoint(series, k, x, y, this.figure.unit));
    });
    for (const [name, d] of Object.entries(paths)) if (d) put(group, "path", { class: name, d });
  }

  nearest(x, y) {
    let [best, least] = [null, 40 ** 2];
    for (const point of this.points) {
      const distance = (point.x - x) ** 2 + (point.y - y) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  }

  /* Along: the next value of the same series; across: the same night of another one. */
  step(along, across) {
    if (!this.points.length) return null;
    if (!this.active) return this.points[along < 0 ? 0 : this.points.length - 1];
    const now = this.active;
    if (along) {
      const own = this.points.filter((point) => point.series === now.series);
      return own[Math.min(Math.max(own.indexOf(now) + along, 0), own.length - 1)];
    }
    const all = [...new Set(this.points.map((point) => point.series))];
    all.sort((a, b) => a.tel - b.tel || a.cat.localeCompare(b.cat));
    const next = all[(all.indexOf(now.series) + across + all.length) % all.length];
    const own = this.points.filter((point) => point.series === next);
    return own.reduce((a, b) => (Math.abs(b.t - now.t) < Math.abs(a.t - now.t) ? b : a));
  }

  mark(point) {
    put(this.svg, "circle", { class: "ring", cx: point.x, cy: point.y, r: 8 });
  }
}

class ValuePoint {
  constructor(series, k, x, y, unit) {
    Object.assign(this, { series, k, x, y, unit, t: series.t[k] });
    const night = !series.n || series.n[k] === 1;
    this.page = night ? pageOf(series.cat, this.t) : "";
  }

  lines() {
    const { series, k } = this;
    const who = series.tel < 0 ? "" : `${data.telescopes[series.tel]} · `;
    const [value, stat, sys] = rounded(series.v[k], series.s[k], series.y[k]);
    const unit = this.unit ? ` ${this.unit}` : "";
    if (series.n && series.n[k] > 1) {
      return [`${who}${nightName(this.t).slice(0, 7)} · category ${series.cat}`,
        `median ${value}${unit} of ${series.n[k]} values`, `68 % of them within ± ${stat}`];
    }
    const errors = [stat && `± ${stat} (stat)`, sys && `± ${sys} (sys)`].filter(Boolean).join(" ");
    return [`${who}${nightName(this.t)} · category ${series.cat}`, `${value} ${errors}${unit}`,
      WORDS[series.f[k]]];
  }
}
