"""What a run's report adds to the house style: cards, charts, sorting and filtering."""

from __future__ import annotations

STYLE = """
:root { --s0: #1f6fb2; --s1: #b35900; --s2: #2e7d32; --s3: #7b3fa0; --s4: #6b6b66; }
@media screen and (prefers-color-scheme: dark) {
  :root { --s0: #79b8f3; --s1: #ffb066; --s2: #81c995; --s3: #d0a6f0; --s4: #a8a8a2; }
}
html { scroll-padding-top: 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin-top: 1.6rem; }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .6rem; padding-top: .8rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .5rem; }
.lead { color: var(--quiet); margin: 0 0 1rem; }
.note { border-left: .25rem solid var(--warning); background: var(--card); padding: .5rem .8rem;
  margin: .6rem 0; border-radius: .2rem; }
.tell { max-width: 46rem; color: var(--quiet); margin-bottom: .8rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 1rem 0 0; }
a { color: var(--info); }
nav a { min-height: 2rem; display: inline-flex; align-items: center; }
.tiles, .cards, .pictures { display: grid; gap: .8rem; }
.tiles { grid-template-columns: repeat(auto-fill, minmax(min(11rem, 46%), 1fr)); }
.cards { grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
.pictures { grid-template-columns: repeat(auto-fill, minmax(min(24rem, 100%), 1fr)); }
.card, .tile, figure { background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; min-width: 0; }
.card { padding: .8rem 1rem 1rem; }
.tile { padding: .6rem .9rem .7rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.3; font-weight: 600;
  font-variant-numeric: tabular-nums; }
.tile span { display: block; font-size: .85rem; color: var(--quiet); }
.tile span:first-child { color: var(--text); }
.facts td, .facts th { vertical-align: top; overflow-wrap: anywhere; }
.facts { width: 100%; }
.facts th { font-weight: 400; color: var(--quiet); width: 9rem; overflow-wrap: normal; }
.facts tr:last-child > * { border-bottom: 0; }
figure { margin: 0; overflow: hidden; break-inside: avoid; }
figure img { display: block; width: 100%; height: auto; background: #383838; }
figcaption { padding: .5rem .8rem .7rem; font-size: .875rem; overflow-wrap: anywhere; }
figcaption .where { display: block; font-size: .8rem; }
.group { margin: 1.2rem 0 .5rem; }
.chart { display: block; width: 100%; max-width: 32rem; height: auto; }
.chart text { font: 11px system-ui, sans-serif; fill: var(--text); }
.chart text.quiet { fill: var(--quiet); }
.chart .grid { stroke: var(--line); stroke-width: 1; }
.chart .axis { stroke: var(--quiet); stroke-width: 1; }
.chart .ideal { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 4 4; }
.chart .bar { fill: var(--line); }
.chart .line { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; }
.chart .range { stroke: currentColor; stroke-width: 3; stroke-linecap: round; opacity: .55; }
.chart .dot { fill: currentColor; }
.chart .ring { fill: none; stroke: var(--text); stroke-width: 1.5; }
.series-0 { color: var(--s0); } .series-1 { color: var(--s1); } .series-2 { color: var(--s2); }
.series-3 { color: var(--s3); } .series-4 { color: var(--s4); }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .8rem; }
.legend i { display: inline-block; width: .9rem; height: .2rem; background: currentColor;
  vertical-align: middle; margin-right: .35rem; }
.controls { display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; margin: .6rem 0; }
.controls label { display: inline-flex; align-items: center; gap: .4rem; }
.box { background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  position: relative; }
.box table { width: 100%; }
.box th, .box td { padding: .25rem .5rem; white-space: nowrap; }
.box th:first-child, .box td:first-child { padding-left: .9rem; }
.box tbody:last-child tr:last-child > * { border-bottom: 0; }
.box th[scope=row] { font-weight: 400; }
.box .total > th, .box .total > td { font-weight: 600; border-bottom: 2px solid var(--line); }
.pin { position: sticky; left: 0; background: var(--card); z-index: 1; }
.chosen { color: var(--s0); font-weight: 600; }
.box .wraps, .plain th[scope=row] { white-space: normal; }
.box .wraps { min-width: 16rem; }
.card .where { font-size: .875rem; }
.fit { width: fit-content; max-width: 100%; }
.below { margin-top: .8rem; }
.box thead th { white-space: normal; vertical-align: bottom; }
th button { font: inherit; font-weight: 600; color: inherit; background: none; border: 0;
  padding: .25rem 0; cursor: pointer; text-align: inherit; }
th button::after { content: "\\2195"; opacity: .35; margin-left: .25rem; }
th[aria-sort=ascending] button::after { content: "\\2191"; opacity: 1; }
th[aria-sort=descending] button::after { content: "\\2193"; opacity: 1; }
.plot { width: 11rem; min-width: 9rem; }
.plot svg { display: block; width: 100%; height: 1.4rem; overflow: visible; }
.plot .grid { stroke: var(--line); }
.plot .range { stroke: var(--s0); stroke-width: 3; stroke-linecap: round; opacity: .5; }
.plot .dot { fill: var(--s0); }
.plot text { font: 10px system-ui, sans-serif; fill: var(--quiet); }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .4rem;
  padding: .7rem .9rem; margin: .3rem 0 1rem; font-size: .85rem;
  white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 30rem) {
  .facts th { width: 7rem; }
  .plot { min-width: 8rem; width: 9rem; }
}
@media print {
  html { font-size: 11px; }
  body { background: none; }
  th button::after { display: none; }
  nav, .controls { display: none; }
  .box, .wide { overflow: visible; }
  .box th, .box td { padding: .1rem .4rem; font-size: .8rem; }
  h2, h3 { break-after: avoid; }
  .card, .tile, tr { break-inside: avoid; }
  .plot { width: 9rem; min-width: 7rem; }
}
"""

SCRIPT = """
const SVG = "http://www.w3.org/2000/svg";
const make = (name, attributes, text) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

function sortRows(table) {
  const head = table.querySelector("th[aria-sort]:not([aria-sort=none])");
  if (!head) return;
  const column = head.cellIndex;
  const sign = head.getAttribute("aria-sort") === "ascending" ? 1 : -1;
  const body = table.querySelector("tbody.rows");
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const numbers = [Number(x), Number(y)];
    const order = numbers.some(Number.isNaN) ? x.localeCompare(y) : numbers[0] - numbers[1];
    return sign * order;
  };
  body.append(...[...body.rows].sort(compare));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells].filter((head) => head.querySelector("button"));
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", rising ? "descending" : "ascending");
      sortRows(table);
    });
  }
}

const partsData = document.getElementById("parts-data");
if (partsData) {
  const data = JSON.parse(partsData.textContent);
  const table = document.getElementById("keypoints-table");
  const [partBox, measureBox] = ["part", "measure"].map((id) => document.getElementById(id));
  const format = (value, measure) => value === null ? "–" : value.toFixed(measure.digits);
  const range = (measure, rows) => {
    if (measure.top) return measure.top;
    const ends = rows.flatMap((row) => row.values[measure.index]).filter((v) => v !== null);
    const high = Math.max(...ends, 1e-9);
    const unit = 10 ** Math.floor(Math.log10(high));
    return [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((f) => f * unit).find((end) => end >= high);
  };
  const cell = (text, value, kind) => {
    const td = document.createElement("td");
    td.textContent = text;
    td.dataset.value = value ?? "";
    td.className = kind;
    return td;
  };
  const plot = ([middle, low, high], end, measure) => {
    const at = (value) => `${100 * value / end}%`;
    const svg = make("svg", {"aria-hidden": "true"});
    for (const share of [0, .25, .5, .75, 1]) {
      svg.append(make("line", {class: "grid", x1: at(share * end), x2: at(share * end), y1: 0,
        y2: "100%"}));
    }
    if (low !== null && high !== null) {
      svg.append(make("line", {class: "range", x1: at(low), x2: at(high), y1: "50%", y2: "50%"}));
    }
    if (middle !== null) {
      svg.append(make("circle", {class: "dot", cx: at(middle), cy: "50%", r: 4}));
    }
    const td = cell("", middle, "plot");
    td.append(svg);
    return td;
  };
  const axis = (end) => {
    const svg = make("svg", {"aria-hidden": "true"});
    for (const share of [0, .5, 1]) {
      const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
      const text = String(Number((share * end).toPrecision(3)));
      svg.append(make("text", {x: `${100 * share}%`, y: 14, "text-anchor": anchor}, text));
    }
    return svg;
  };
  const line = (row, place, measure, end) => {
    const tr = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    name.className = "pin";
    name.textContent = row.name;
    name.dataset.value = place;
    const chosen = row.values[measure.index];
    const interval = chosen[1] === null ? "–"
      : `${format(chosen[1], measure)} – ${format(chosen[2], measure)}`;
    tr.append(name, cell(row.labelled, row.labelled, "number"), plot(chosen, end, measure),
      cell(interval, chosen[1], "number where"));
    for (const other of data.measures) {
      const kind = other === measure ? "number chosen" : "number";
      tr.append(cell(format(row.values[other.index][0], other), row.values[other.index][0], kind));
    }
    return tr;
  };
  const render = () => {
    const part = data.parts[partBox.value];
    const measure = data.measures[measureBox.value];
    const end = range(measure, part.rows);
    const [total, body] = ["total", "rows"].map((kind) => table.querySelector(`tbody.${kind}`));
    body.replaceChildren(...part.rows.slice(0, -1).map((row, i) => line(row, i, measure, end)));
    const sum = line(part.rows.at(-1), -1, measure, end);
    sum.className = "total";
    total.replaceChildren(sum);
    document.getElementById("plot-axis").replaceChildren(axis(end));
    document.getElementById("plot-title").textContent = measure.title;
    sortRows(table);
  };
  partBox.addEventListener("change", render);
  measureBox.addEventListener("change", render);
  render();
}

addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
"""
