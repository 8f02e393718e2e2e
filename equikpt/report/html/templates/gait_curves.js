// Footfalls and curves over one axis of time, with a cursor at the clock's time; a click sets it.
const SVG = "http://www.w3.org/2000/svg";
const make = (name, attributes, text) => {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
};
const html = (name, attributes, ...children) => {
  const element = document.createElement(name);
  Object.assign(element, attributes);
  element.append(...children);
  return element;
};
const COLOURS = {left: "--s0", right: "--s1", head: "--s2", withers: "--s3", pelvis: "--s5"};
const [LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX] = [44, 6, 6, 18];
const HEIGHT_PX = 118;
const ROW_PX = 17;

// Spans of time that a chart is wide: it turns a page where the cursor leaves it.
const spans = [["2 s", 2], ["5 s", 5], ["the trial", Infinity]].filter(([_, s]) => s === Infinity
  || s < last - first);
for (const [text, seconds] of spans) byId("span").append(html("option", {value: seconds}, text));
byId("span").value = String(spans[Math.min(1, spans.length - 1)][1]);
let page = [first, last];
const pageAt = (time) => {
  const wide = Math.min(Number(byId("span").value), last - first);
  if (wide >= last - first) return [first, last];
  const start = first + Math.min(Math.floor((time - first) / wide) * wide, last - first - wide);
  return [start, start + wide];
};

const ticks = (low, high, count) => {
  const unit = 10 ** Math.floor(Math.log10((high - low) / count));
  const step = [1, 2, 5, 10].map((f) => f * unit).find((s) => (high - low) / s <= count);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) {
    found.push(Number((k * step).toPrecision(6)));
  }
  return found;
};

class Chart {
  constructor(heightPx, title) {
    this.heightPx = heightPx;
    this.caption = html("figcaption", {}, html("b", {}, title));
    this.svg = make("svg", {role: "img", "aria-label": `${title}, over time`});
    this.figure = html("figure", {}, this.caption, this.svg);
    byId("curves").append(this.figure);
    const at = (event) => {
      const box = this.svg.getBoundingClientRect();
      const part = (event.clientX - box.left - LEFT_PX) / (box.width - LEFT_PX - RIGHT_PX);
      seek(page[0] + Math.min(Math.max(part, 0), 1) * (page[1] - page[0]));
    };
    this.svg.addEventListener("pointerdown", (event) => { play(false); at(event); });
    this.svg.addEventListener("pointermove", (event) => { if (event.buttons & 1) at(event); });
  }
  x(time) {
    return LEFT_PX + (time - page[0]) / (page[1] - page[0]) * (this.width - LEFT_PX - RIGHT_PX);
  }
  begin() {
    this.width = this.svg.clientWidth;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.heightPx}`);
    this.svg.setAttribute("height", this.heightPx);
    this.svg.replaceChildren();
    const bottom = this.heightPx - BOTTOM_PX;
    const count = Math.max(2, Math.floor(this.width / 80));
    for (const tick of ticks(...page, count)) {
      const x = this.x(tick);
      this.svg.append(make("line", {class: "grid", x1: x, x2: x, y1: TOP_PX, y2: bottom}),
        make("text", {x, y: this.heightPx - 4, "text-anchor": tick === page[1] ? "end" : "middle"},
          `${tick} s`));
    }
    for (const {span: [start]} of trial.strides) {
      if (start < page[0] || start > page[1]) continue;
      const x = this.x(start);
      this.svg.append(make("line", {class: "stride", x1: x, x2: x, y1: TOP_PX, y2: bottom}));
    }
  }
  end() {
    const bottom = this.heightPx - BOTTOM_PX;
    this.cursor = make("line", {class: "cursor", x1: 0, x2: 0, y1: 0, y2: bottom});
    this.svg.append(this.cursor);
    this.show(clock.time);
  }
  show(time) {
    this.cursor.setAttribute("transform", `translate(${this.x(time)} 0)`);
  }
}

class Footfalls extends Chart {
  constructor() {
    super(TOP_PX + BOTTOM_PX + ROW_PX * (trial.limbs.length + 1), trial.limbs.length
      ? "Footfalls" : "Strides");
    this.said = html("span", {className: "line where"});
    this.caption.append(this.said);
  }
  draw() {
    this.begin();
    for (const {number, span: [start, end], gait, footfalls} of trial.strides) {
      if (end < page[0] || start > page[1]) continue;
      const [left, right] = [Math.max(this.x(start), LEFT_PX), Math.min(this.x(end), this.width)];
      if (right - left < 18) continue;
      const text = make("text", {x: (left + right) / 2, y: TOP_PX + 10, "text-anchor": "middle"},
        right - left > 14 + 7 * gait.length + 14 ? `${number} ${gait}` : number);
      text.append(make("title", {}, `stride ${number}: ${gait}, ${footfalls}`));
      this.svg.append(text);
    }
    trial.limbs.forEach((limb, row) => {
      const y = TOP_PX + ROW_PX * (row + 1);
      this.svg.append(make("text", {x: LEFT_PX - 8, y: y + 12, "text-anchor": "end"}, limb));
      for (const [on, off] of trial.stances[limb]) {
        if (on === null || off === null || off < page[0] || on > page[1]) continue;
        const [from, to] = [Math.max(this.x(on), LEFT_PX), Math.min(this.x(off), this.width - RIGHT_PX)];
        const bar = make("rect", {x: from, y: y + 2, width: Math.max(to - from, 1),
          height: ROW_PX - 5, rx: 2, fill: `var(${COLOURS[limb[0] === "l" ? "left" : "right"]})`});
        bar.append(make("title", {}, `${limb}: ${on.toFixed(3)} to ${off.toFixed(3)} s`));
        this.svg.append(bar);
      }
    });
    this.end();
  }
  show(time) {
    super.show(time);
    const at = trial.strides.find(({span: [start, end]}) => start <= time && time < end);
    this.said.textContent = at ? `stride ${at.number}: ${at.gait}, ${at.footfalls}` : "";
  }
}

class Curves extends Chart {
  constructor({title, choices}) {
    super(HEIGHT_PX, title);
    this.choices = choices;
    this.lines = choices[0].lines;
    if (choices.length > 1) {
      const box = html("select", {ariaLabel: title});
      choices.forEach(({name}, index) => box.append(html("option", {value: index}, name)));
      box.addEventListener("change", () => { this.choose(choices[box.value].lines); this.draw(); });
      this.caption.append(box);
    }
    this.legend = html("span", {className: "controls"});
    this.legend.style.margin = 0;
    this.caption.append(this.legend);
    this.choose(this.lines);
  }
  choose(lines) {
    this.lines = lines;
    this.values = lines.map(({name}) => {
      const value = html("span", {});
      const key = html("span", {className: "key"});
      key.style.background = `var(${COLOURS[name]})`;
      this.legend.append(html("span", {className: "line"}, key, ` ${name} `, value));
      return value;
    });
    this.legend.replaceChildren(...[...this.legend.children].slice(-lines.length));
    const known = lines.flatMap(({values}) => values.filter((value) => value !== null));
    let [low, high] = [Infinity, -Infinity];
    for (const value of known) { low = Math.min(low, value); high = Math.max(high, value); }
    const margin = .05 * Math.max(high - low, 1e-6);
    this.range = known.length ? [low - margin, high + margin] : [0, 1];
  }
  draw() {
    this.begin();
    const [low, high] = this.range;
    const bottom = this.heightPx - BOTTOM_PX;
    const y = (value) => bottom - (value - low) / (high - low) * (bottom - TOP_PX);
    for (const tick of ticks(low, high, 4)) {
      this.svg.append(
        make("line", {class: "grid", x1: LEFT_PX, x2: this.width - RIGHT_PX, y1: y(tick), y2: y(tick)}),
        make("text", {x: LEFT_PX - 6, y: y(tick) + 4, "text-anchor": "end"}, tick));
    }
    const [from, to] = page.map(frameAt);
    // more than two points a px are not seen
    const stride = Math.max(1, Math.floor((to - from) / (2 * this.width)));
    for (const {name, values} of this.lines) {
      let [path, broken] = ["", true];
      for (let frame = from; frame <= to; frame += stride) {
        if (values[frame] === null) { broken = true; continue; }
        path += `${broken ? "M" : "L"}${this.x(times[frame]).toFixed(1)} ${y(values[frame]).toFixed(1)}`;
        broken = false;
      }
      this.svg.append(make("path", {d: path, style: `stroke: var(${COLOURS[name]})`}));
    }
    this.end();
  }
  show(time) {
    super.show(time);
    const frame = frameAt(time);
    this.lines.forEach(({values}, index) => {
      this.values[index].textContent = values[frame] === null ? "–" : values[frame].toFixed(1);
    });
  }
}

const charts = [new Footfalls(), ...trial.groups.map((group) => new Curves(group))];
const drawAll = () => {
  page = pageAt(clock.time);
  for (const chart of charts) chart.draw();
};
clock.shows.push((time) => {
  if (time < page[0] || time > page[1] || (time === page[1] && time < last)) drawAll();
  else for (const chart of charts) chart.show(time);
});
byId("span").addEventListener("change", drawAll);
addEventListener("resize", drawAll);
drawAll();
