/* Verdicts over the nights; the controls. */
const LABELS = 232;
const ROW = 22;
const STATES = ["nothing", "certified", "certified in part, or by a decision",
  "failed, nothing certified", "passed, not certified"];
const WORSE = [0, 1, 3, 4, 2]; // a state stands for a cell of several nights if it is worse

class CalendarView extends View {
  draw() {
    const narrow = this.holder.clientWidth < 560;
    const { kinds } = data.calendar;
    const rows = kinds.length;
    this.frame(26 + rows * ROW * (narrow ? 1.75 : 1) + 4, narrow ? 4 : LABELS);
    this.show(null);
    const inner = this.width - this.left - MARGIN.right;
    this.each = Math.max(1, Math.ceil((5 * (state.to - state.from)) / inner));
    this.cells = kinds.map(() => []);
    this.times(14, false);
    kinds.forEach((kind, row) => {
      const y = 24 + row * ROW * (narrow ? 1.75 : 1) + (narrow ? ROW * 0.75 : 0);
      put(this.svg, "text", { class: "kind", x: narrow ? 4 : 0, y: narrow ? y - 4 : y + 13 }, kind);
      this.drawRow(row, y);
    });
  }

  drawRow(row, y) {
    const first = Math.max(0, Math.floor(state.from / this.each) * this.each);
    const paths = { s1: "", s2: "", s3: "", s4: "", x: "" };
    for (let day = first; day < Math.min(state.to, data.nights); day += this.each) {
      const cell = this.cell(row, day);
      if (!cell) continue;
      const x = Math.max(this.xOf(day), this.left);
      const end = Math.min(this.xOf(day + this.each), this.width - MARGIN.right);
      const width = Math.min(Math.max(end - x - 1.5, 1.5), 22);
      if (end <= this.left || x > this.width - MARGIN.right) continue;
      const [top, height] = cell.state === 2 ? [y + 8, 8] : [y, 16];
      const box = `M${x.toFixed(1)} ${top}h${width.toFixed(1)}v${height}h${(-width).toFixed(1)}Z`;
      paths[`s${cell.state}`] += box;
      if (cell.state === 3) {
        paths.x += `M${x.toFixed(1)} ${y}l${width.toFixed(1)} 16m0 -16l${(-width).toFixed(1)} 16`;
      }
      this.cells[row].push(Object.assign(cell, { x: x + width / 2, y: y + 8, t: day + 0.5, width }));
    }
    for (const [name, d] of Object.entries(paths)) if (d) put(this.svg, "path", { class: name, d });
  }

  /* Worst state of the nights of a cell; category C, where it has nothing B. */
  cell(row, day) {
    const counts = [0, 0, 0, 0, 0];
    let [state_, category, told] = [0, "", ""];
    for (let night = day; night < Math.min(day + this.each, data.nights); night++) {
      for (const name of ["C", "B"]) {
        const found = state.categories.has(name) && +(data.calendar.cells[row][name][night] || 0);
        if (!found) continue;
        counts[found] += 1;
        if (WORSE[found] > WORSE[state_]) {
          [state_, category] = [found, name];
          told = data.calendar.told[`${row} ${name} ${night}`] || "";
        }
        break;
      }
    }
    if (!state_) return null;
    const last = Math.min(day + this.each, data.nights) - 1;
    const kind = data.calendar.kinds[row];
    const page = this.each === 1 ? pageOf(category, day) : "";
    const lines = () => (this.each === 1
      ? [`${kind} · ${nightName(day)} · category ${category}`, STATES[state_], told]
      : [`${kind} · ${nightName(day)} to ${nightName(last)}`,
        ...[1, 2, 4, 3].filter((s) => counts[s]).map((s) => `${counts[s]}: ${STATES[s]}`)]
    ).filter(Boolean);
    return { row, state: state_, lines, page };
  }

  nearest(x, y) {
    const all = this.cells.flat().filter((cell) => Math.abs(cell.y - y) < 11);
    const near = all.filter((cell) => Math.abs(cell.x - x) <= cell.width / 2 + 3);
    return near[0] || null;
  }

  step(along, across) {
    const rows = this.cells.filter((row) => row.length);
    if (!rows.length) return null;
    if (!this.active) return rows[0][rows[0].length - 1];
    const own = this.cells[this.active.row];
    if (along) {
      const at = own.indexOf(this.active) + along;
      return own[Math.min(Math.max(at, 0), own.length - 1)];
    }
    const next = rows[(rows.indexOf(own) + across + rows.length) % rows.length];
    const now = this.active.x;
    return next.reduce((a, b) => (Math.abs(b.x - now) < Math.abs(a.x - now) ? b : a));
  }

  mark(cell) {
    put(this.svg, "rect", { class: "ring", x: cell.x - cell.width / 2 - 2, y: cell.y - 10,
      width: cell.width + 4, height: 20 });
  }
}

function tellRange() {
  const [from, to] = [Math.max(state.from, 0), Math.min(state.to, data.nights) - 0.01];
  const names = [nightName(from), nightName(to)];
  const inputs = [document.getElementById("from"), document.getElementById("to")];
  inputs.forEach((input, k) => { if (document.activeElement !== input) input.value = names[k]; });
  const all = data.telescopes.length;
  const telescopes = all ? `, ${state.telescopes.size} of ${all} telescopes` : "";
  document.getElementById("range-told").textContent = `${names[0]} to ${names[1]}${telescopes}`;
}

function lastDays(days) {
  setRange(Math.max(WHOLE[1] - days - 0.5, WHOLE[0]), WHOLE[1]);
}

function listen() {
  const actions = { in: () => zoom(0.5), out: () => zoom(2), earlier: () => pan(-0.5),
    later: () => pan(0.5), all: showAll };
  for (const button of document.querySelectorAll("[data-action]")) {
    button.addEventListener("click", actions[button.dataset.action]);
  }
  for (const button of document.querySelectorAll("[data-days]")) {
    button.addEventListener("click", () => lastDays(+button.dataset.days));
  }
  const [from, to] = [document.getElementById("from"), document.getElementById("to")];
  const dates = () => {
    if (from.value && to.value && from.value <= to.value) {
      setRange(dayOf(from.value), dayOf(to.value) + 1);
    }
  };
  from.addEventListener("change", dates);
  to.addEventListener("change", dates);
  const boxes = [...document.querySelectorAll("[data-telescope]")];
  const chosen = () => {
    state.telescopes = new Set(boxes.filter((b) => b.checked).map((b) => +b.dataset.telescope));
    redraw();
  };
  for (const box of boxes) box.addEventListener("change", chosen);
  for (const button of document.querySelectorAll("[data-every]")) {
    button.addEventListener("click", () => {
      for (const box of boxes) box.checked = button.dataset.every === "yes";
      chosen();
    });
  }
  const categories = [...document.querySelectorAll("[data-category]")];
  for (const box of categories) {
    box.addEventListener("change", () => {
      const names = categories.filter((b) => b.checked).map((b) => b.dataset.category);
      state.categories = new Set(names);
      redraw();
    });
  }
  document.getElementById("sys").addEventListener("change", (event) => {
    state.sys = event.target.checked;
    redraw();
  });
}

function begin() {
  for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;
  for (const mark of document.querySelectorAll("svg[data-marker]")) {
    put(mark, "path", { d: marker(+mark.dataset.marker, 7, 7, 4.2) });
  }
  const holder = document.querySelector("#calendar .drawing");
  if (holder) new CalendarView(holder, "Verdicts by kind and night");
  for (const figure of data.figures) {
    const place = document.getElementById(figure.id);
    new ValueView(place.querySelector(".drawing"), figure, place.querySelector("h3").textContent);
  }
  listen();
  if (data.nights > 400) lastDays(365);
  redraw();
}

begin();
