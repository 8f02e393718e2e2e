const SVG = "http://www.w3.org/2000/svg";
const make = (name, attributes, text) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

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
    for (const fraction of [0, .25, .5, .75, 1]) {
      svg.append(make("line", {class: "grid", x1: at(fraction * end), x2: at(fraction * end), y1: 0,
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
    for (const fraction of [0, .5, 1]) {
      const anchor = fraction === 0 ? "start" : fraction === 1 ? "end" : "middle";
      const text = String(Number((fraction * end).toPrecision(3)));
      svg.append(make("text", {x: `${100 * fraction}%`, y: 14, "text-anchor": anchor}, text));
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
