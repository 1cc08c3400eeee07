"use strict";
// Draws each figure from the numbers next to it. Hovering shows values, dragging zooms, double-clicking zooms out, and clicking
// in the legend hides or shows a line.
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "var(--ink)"];
const DASHES = { 0: "", 1: "8 5", 2: "9 4 2 4", 3: "2 4" };
// figures use the available width, which makes their text as large as the page's
const SIZE = { width: 640, height: 380, left: 74, right: 16, top: 12, bottom: 48 };

function element(name, attributes, parent, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function number(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(3) : String(Number(value.toPrecision(5)));
}

// about `count` round numbers between two ends, or powers of ten, each with its label
function ticks(from, to, { log, integer }, count) {
  if (log) {
    const [low, high] = [Math.log10(from), Math.log10(to)];
    const powers = [];
    const step = Math.max(1, Math.ceil((high - low) / 6));
    for (let at = Math.ceil(low - 1e-9); at <= high + 1e-9; at += step) powers.push({ value: 10 ** at, text: power(10 ** at) });
    if (powers.length > 1) return powers;
  }
  const rough = Math.max((to - from) / count, integer ? 1 : 0);
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * unit >= rough) * unit;
  const found = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9 * step && found.length < 100; k++) found.push(k * step);
  const texts = labels(found, step);
  return found.map((value, i) => ({ value, text: texts[i] }));
}

// the label of a power of ten
function power(value) {
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3 ? value.toExponential(0).replace("e+", "e") : String(Number(value.toPrecision(3)));
}

// labels with the fewest digits that tell neighbors apart; with one power of ten in all if they would be long otherwise
function labels(values, step) {
  const exponent = (value, digits) => Number(value.toExponential(digits).split("e")[1]);
  const largest = Math.max(0, ...values.map(Math.abs));
  const whole = exponent(largest, 6);
  const digit = exponent(step, 1) - (step.toExponential(1).includes(".0e") ? 0 : 1);
  const [written, scaled] = [Math.max(0, -digit), Math.max(0, whole - digit)];
  const width = (decimals) => (decimals > 0 ? decimals + 2 : 1);
  const long = Math.max(0, whole) + width(written);
  const is_written = long <= 6 || long <= width(scaled) + 1 + String(whole).length;
  return values.map((value) => {
    const is_zero = Math.abs(value) < 0.5 * step;
    if (is_written) return (is_zero ? 0 : value).toFixed(Math.min(written, 100));
    return is_zero ? "0" : `${(value / 10 ** whole).toFixed(Math.min(scaled, 100))}e${whole}`;
  });
}

// viridis at a few points, interpolated linearly between them
const SCALE = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
function shade(share) {
  const at = Math.min(Math.max(share, 0), 1) * (SCALE.length - 1);
  const low = Math.min(Math.floor(at), SCALE.length - 2);
  return "rgb(" + SCALE[low].map((c, i) => Math.round(c + (at - low) * (SCALE[low + 1][i] - c))).join(",") + ")";
}

class Figure {
  constructor(figure) {
    this.figure = figure;
    this.chart = JSON.parse(figure.querySelector("script").textContent);
    this.hidden = new Set();
    this.area = document.createElement("div");
    this.area.className = "chart";
    this.svg = element("svg", { role: "img", "aria-label": this.chart.title });
    this.area.append(this.svg);
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    const caption = figure.querySelector(".note");
    caption.after(this.area, this.legend(), this.tip);
    figure.classList.remove("still");
    this.all = this.range();
    this.view = this.all;
    this.listen();
    this.draw();
  }

  legend() {
    const legend = document.createElement("div");
    legend.className = "legend";
    this.chart.series.forEach((series, index) => {
      if (!series.name) return;
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.append(this.key(series), series.name);
      button.addEventListener("click", () => {
        const shown = this.hidden.has(index);
        this.parts(index).forEach((part) => (shown ? this.hidden.delete(part) : this.hidden.add(part)));
        button.setAttribute("aria-pressed", String(shown));
        this.draw();
      });
      legend.append(button);
    });
    this.reset = document.createElement("button");
    this.reset.type = "button";
    this.reset.textContent = "show all";
    this.reset.hidden = true;
    this.reset.addEventListener("click", () => this.zoom(this.all));
    legend.append(this.reset);
    return legend;
  }

  // a piece of a series' line
  key(series) {
    const key = element("svg", { width: 28, height: 8 });
    element("line", { x1: 0, x2: 28, y1: 4, y2: 4, ...this.stroke(series) }, key);
    return key;
  }

  // a series and those without a name that continue it
  parts(index) {
    const { series } = this.chart;
    const is_part = (one, at) => at === index || (!one.name && one.number === series[index].number);
    return series.map((one, at) => (is_part(one, at) ? at : -1)).filter((at) => at >= 0);
  }

  stroke(series) {
    const dash = { in_turn: DASHES[series.number % 4], solid: "", dashed: DASHES[1], dash_dotted: DASHES[2], dotted: DASHES[3] }[series.stroke];
    return { stroke: COLORS[series.number % COLORS.length], "stroke-width": 1.8, "stroke-dasharray": dash, fill: "none" };
  }

  range() {
    const { series, levels, rules, x, y } = this.chart;
    const xs = series.flatMap((one) => one.points.map((point) => point[0])).concat(levels ? levels.x : []);
    const ys = series.flatMap((one) => one.points.map((point) => point[1]).concat(one.band.flat())).concat(levels ? levels.y : []);
    rules.filter((rule) => !rule.upright && y.min === null && y.max === null).forEach((rule) => ys.push(rule.at));
    const ends = (values, axis) => {
      const good = values.filter((value) => Number.isFinite(value) && (!axis.log || value > 0));
      let [low, high] = [good.reduce((a, b) => Math.min(a, b), Infinity), good.reduce((a, b) => Math.max(a, b), -Infinity)];
      if (low === high && axis === y && !axis.log) {
        // 0 is most likely that of a quantity that cannot be negative
        const free = low === 0 ? [0, 1] : [low - 0.1 * Math.abs(low), low + 0.1 * Math.abs(low)];
        return [axis.min ?? free[0], axis.max ?? free[1]];
      }
      if (!(low < high)) [low, high] = axis.log ? [low / 2, low * 2] : [low - 1, low + 1];
      const free = axis === y && !levels && !axis.log ? 0.05 * (high - low) : 0;
      return [axis.min ?? low - free, axis.max ?? high + free];
    };
    return { x: ends(xs, x), y: ends(ys, y) };
  }

  // maps a value to its position, and back
  scale(name) {
    const { log } = this.chart[name];
    const map = log ? Math.log10 : (value) => value;
    const [low, high] = this.view[name].map(map);
    const [from, to] = name === "x" ? [SIZE.left, SIZE.width - SIZE.right] : [SIZE.height - SIZE.bottom, SIZE.top];
    const place = (value) => from + ((map(value) - low) / (high - low)) * (to - from);
    const value = (place) => {
      const mapped = low + ((place - from) / (to - from)) * (high - low);
      return log ? 10 ** mapped : mapped;
    };
    return { place, value };
  }

  draw() {
    const { svg, chart } = this;
    const [x, y] = [this.scale("x"), this.scale("y")];
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${SIZE.width} ${SIZE.height}`);
    const [left, right, top, bottom] = [SIZE.left, SIZE.width - SIZE.right, SIZE.top, SIZE.height - SIZE.bottom];
    const id = "clip-" + this.figure.id;
    element("rect", { x: left, y: top, width: right - left, height: bottom - top }, element("clipPath", { id }, svg));
    const inside = element("g", { "clip-path": `url(#${id})` }, svg);
    if (chart.levels) this.drawLevels(inside, x, y);
    for (const rule of chart.rules) {
      const [at, kind] = [rule.upright ? x.place(rule.at) : y.place(rule.at), rule.faint ? "faint" : "rule"];
      const ends = rule.upright ? { x1: at, x2: at, y1: top, y2: bottom } : { x1: left, x2: right, y1: at, y2: at };
      const line = element("line", { class: kind, ...ends }, inside);
      if (rule.number !== null) line.style.stroke = COLORS[rule.number % COLORS.length];
      if (rule.label) element("text", { x: right - 4, y: at - 4, "text-anchor": "end" }, inside, rule.label);
    }
    chart.series.forEach((series, index) => {
      if (this.hidden.has(index)) return;
      const at = (px, py) => `${x.place(px).toFixed(2)},${y.place(py).toFixed(2)}`;
      const fill = COLORS[series.number % COLORS.length];
      const starts = [0, ...series.breaks, series.points.length];
      starts.slice(1).forEach((end, piece) => {
        const [points, band] = [series.points, series.band].map((all) => all.slice(starts[piece], end));
        if (band.length) {
          const upper = points.map((point, i) => at(point[0], band[i][1]));
          const lower = points.map((point, i) => at(point[0], band[i][0])).reverse();
          element("polygon", { points: upper.concat(lower).join(" "), fill, "fill-opacity": 0.18 }, inside);
        }
        const line = points.map((point) => at(point[0], point[1])).join(" ");
        element("polyline", { class: "series", points: line, ...this.stroke(series) }, inside);
        // a line through one point would be invisible
        if (!series.dots && points.length !== 1) return;
        for (const point of points) {
          element("circle", { cx: x.place(point[0]), cy: y.place(point[1]), r: 3, fill }, inside);
        }
      });
    });
    element("path", { class: "axis", d: `M${left},${top}V${bottom}H${right}` }, svg);
    this.drawTicks("x", (at, text) => {
      element("path", { class: "axis", d: `M${at},${bottom}v5` }, svg);
      element("text", { x: at, y: bottom + 19, "text-anchor": "middle" }, svg, text);
    });
    this.drawTicks("y", (at, text) => {
      element("path", { class: "axis", d: `M${left},${at}h-5` }, svg);
      element("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, svg, text);
    });
    element("text", { x: (left + right) / 2, y: SIZE.height - 8, "text-anchor": "middle" }, svg, chart.x.label);
    const turn = `rotate(-90) translate(${-(top + bottom) / 2} 14)`;
    element("text", { transform: turn, "text-anchor": "middle" }, svg, chart.y.label);
    this.cursor = element("line", { class: "cursor", y1: top, y2: bottom, visibility: "hidden" }, svg);
    this.select = element("rect", { class: "select", visibility: "hidden" }, svg);
    this.reset.hidden = this.view === this.all;
  }

  drawTicks(name, put) {
    const { place } = this.scale(name);
    const [from, to] = this.view[name];
    const found = ticks(from, to, this.chart[name], name === "x" ? Math.max(3, Math.round(SIZE.width / 90)) : 6);
    found.forEach(({ value, text }) => put(place(value), text));
  }

  drawLevels(inside, x, y) {
    const { levels } = this.chart;
    const flat = levels.values.flat().filter(Number.isFinite);
    const [low, high] = [Math.min(...flat), Math.max(...flat)];
    const edges = (values) => values.map((value, i) => [
      i > 0 ? (values[i - 1] + value) / 2 : value, i + 1 < values.length ? (value + values[i + 1]) / 2 : value]);
    const columns = edges(levels.x);
    edges(levels.y).forEach(([y0, y1], row) => columns.forEach(([x0, x1], column) => {
      const fill = shade((levels.values[row][column] - low) / (high - low || 1));
      const [left, top] = [x.place(x0), y.place(y1)];
      element("rect", { x: left, y: top, width: x.place(x1) - left + 0.5, height: y.place(y0) - top + 0.5, fill }, inside);
    }));
  }

  // the position of an event in drawing units
  at(event) {
    const box = this.svg.getBoundingClientRect();
    const scale = SIZE.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }

  listen() {
    this.svg.addEventListener("pointermove", (event) => this.hover(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("pointerdown", (event) => {
      this.from = this.at(event);
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointerup", (event) => {
      const [from, to] = [this.from, this.at(event)];
      this.from = null;
      this.select.setAttribute("visibility", "hidden");
      if (!from || Math.abs(to.x - from.x) < 8 || Math.abs(to.y - from.y) < 8) return;
      const [x, y] = [this.scale("x"), this.scale("y")];
      const sorted = (a, b) => (a < b ? [a, b] : [b, a]);
      this.zoom({ x: sorted(x.value(from.x), x.value(to.x)), y: sorted(y.value(from.y), y.value(to.y)) });
    });
    this.svg.addEventListener("dblclick", () => this.zoom(this.all));
  }

  zoom(view) {
    this.view = view;
    this.draw();
  }

  leave() {
    this.tip.hidden = true;
    this.cursor.setAttribute("visibility", "hidden");
  }

  hover(event) {
    const { chart } = this;
    const at = this.at(event);
    if (this.from) {
      const [x, y] = [Math.min(at.x, this.from.x), Math.min(at.y, this.from.y)];
      const box = { x, y, width: Math.abs(at.x - this.from.x), height: Math.abs(at.y - this.from.y), visibility: "visible" };
      for (const key in box) this.select.setAttribute(key, box[key]);
    }
    const x = this.scale("x");
    const nearest = (values, value) => values.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(values[best] - value) ? i : best), 0);
    const lines = [];
    let place = null;
    if (chart.levels) {
      const { levels } = chart;
      const [column, row] = [nearest(levels.x, x.value(at.x)), nearest(levels.y, this.scale("y").value(at.y))];
      lines.push([`x ${number(levels.x[column])}, y ${number(levels.y[row])}`], [`${levels.name} ${number(levels.values[row][column])}`]);
    }
    const named = chart.series.some((series) => series.name);
    chart.series.forEach((series, index) => {
      if (this.hidden.has(index) || !series.points.length || chart.levels || (named && !series.name)) return;
      const found = nearest(series.points.map((point) => x.place(point[0])), at.x);
      const point = series.points[found];
      if (place === null || Math.abs(x.place(point[0]) - at.x) < Math.abs(place - at.x)) place = x.place(point[0]);
      const band = series.band.length ? ` (${number(series.band[found][0])} to ${number(series.band[found][1])})` : "";
      lines.push([this.key(series), `${series.name || chart.y.label}: ${number(point[1])}${band} at ${number(point[0])}`]);
    });
    this.tip.replaceChildren(...lines.map((parts) => {
      const line = document.createElement("div");
      line.append(...parts);
      return line;
    }));
    this.tip.hidden = lines.length === 0;
    if (place !== null) {
      this.cursor.setAttribute("x1", place);
      this.cursor.setAttribute("x2", place);
      this.cursor.setAttribute("visibility", "visible");
    }
    const box = this.figure.getBoundingClientRect();
    const beside = event.clientX - box.left + 14;
    const left = beside + this.tip.offsetWidth > box.width ? beside - 28 - this.tip.offsetWidth : beside;
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${event.clientY - box.top + 14}px`;
  }
}

function fit() {
  const figure = document.querySelector("figure");
  if (figure) SIZE.width = Math.round(Math.min(640, Math.max(300, figure.clientWidth)));
  SIZE.height = Math.round(Math.max(260, 0.6 * SIZE.width));
}

fit();
const figures = [...document.querySelectorAll("figure")].map((figure) => new Figure(figure));
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

window.addEventListener("resize", () => {
  fit();
  figures.forEach((figure) => figure.draw());
});

// clicking a setting hides or shows its lines in figures and its rows in tables
const filters = document.getElementById("filters");
if (filters) {
  const settings = JSON.parse(filters.dataset.settings);
  const hidden = new Set();
  const show = () => {
    for (const figure of figures.filter((figure) => figure.chart.by_setting)) {
      figure.hidden = new Set(figure.chart.series.map((series, at) => (hidden.has(series.number) ? at : -1)).filter((at) => at >= 0));
      figure.draw();
    }
    document.querySelectorAll(".results tbody tr").forEach((row) => {
      const is_of = (values) => values.every((value, at) => row.cells[at] && row.cells[at].textContent === value);
      row.hidden = [...hidden].some((setting) => is_of(settings[setting]));
    });
  };
  filters.querySelectorAll("button").forEach((button, setting) => button.addEventListener("click", () => {
    const shown = hidden.delete(setting);
    if (!shown) hidden.add(setting);
    button.setAttribute("aria-pressed", String(shown));
    show();
  }));
}

// a page of a run in progress reloads itself, and says so if it has not been updated for long
const live = document.getElementById("live");
if (live) {
  const minutes = Math.floor((Date.now() / 1000 - Number(live.dataset.written)) / 60);
  if (minutes >= 5) {
    live.textContent = `This page was last updated ${minutes} minutes ago, while the run was in progress; the run may have been killed.`;
    live.className = "note stale";
  }
  setTimeout(() => location.reload(), 60000);
}
