/** Draws keypoints over an image: dots and links in the model's colours, hollow where hidden. */

/**
 * @typedef {object} Look
 * @property {boolean} rings draw radii
 * @property {boolean} names write names
 * @property {boolean} anyway draw what is refused
 */
/** @typedef {import("./model.js").Point} Point */
/** @typedef {CanvasRenderingContext2D} Context */

const CERTAIN = 0.3; // below it a point is hollow and has no links, as in the package
const MIN_SCORE = 0.1; // below it a point is left out
const DOT_CSS_PX = 3;
const FRAME = "#f0f0f0";

/** @param {Point} point */
const isShown = (point) => Number.isFinite(point.x) && (point.presence ?? 1) >= 0.5;
/** @param {Point} point */
const isHollow = (point) => point.score < CERTAIN || (point.seen ?? 1) < 0.5;
/** @param {number[] | undefined} rgb */
const css = (rgb) => `rgb(${(rgb ?? [60, 240, 60]).join(" ")})`;

/**
 * Draw all instances and boxes over what is on the canvas.
 * @param {Context} context
 * @param {import("./model.js").Meta} meta
 * @param {import("./model.js").Instance[]} instances
 * @param {Look} look
 * @param {number} pxPerCss px of the canvas that one px of the page shows
 */
export function draw(context, meta, instances, look, pxPerCss) {
  const { width, height } = context.canvas;
  const dot = Math.max(2, Math.hypot(width, height) / 250, DOT_CSS_PX * pxPerCss);
  context.font = `${Math.max(12, 4 * dot)}px system-ui, sans-serif`;
  context.lineJoin = "round";
  for (const { points, box, refused } of instances) {
    if (refused && !look.anyway) { frame(context, box, dot); continue; }
    const unnamed = meta.task === "points";
    for (const [link, ends] of meta.skeleton.entries()) {
      const [start, end] = ends.map((index) => points.find((point) => point.index === index));
      if (unnamed || !start || !end || ![start, end].every((p) => isShown(p) && p.score >= CERTAIN)) continue;
      stroke(context, css(meta.colors.skeleton[link]), dot / 2, (path) => {
        path.moveTo(start.x, start.y);
        path.lineTo(end.x, end.y);
      });
    }
    // what is counted is drawn, whatever its score
    for (const point of points.filter((each) => isShown(each) && (unnamed || each.score >= MIN_SCORE))) {
      circle(context, point, dot, css(unnamed ? undefined : meta.colors.keypoints[point.index]));
      if (look.rings && Number.isFinite(point.radius)) {
        const radius = /** @type {number} */ (point.radius);
        const ring = (/** @type {Path2D} */ path) => path.arc(point.x, point.y, radius, 0, 2 * Math.PI);
        stroke(context, "#000", dot / 2, ring);
        stroke(context, "#fff", dot / 4, ring);
      }
      if (look.names) label(context, point.name, point.x + 1.5 * dot, point.y, dot);
    }
  }
}

/** @param {Context} context @param {import("./crop.js").Box} box @param {number} dot */
export function frame(context, [left, top, right, bottom], dot) {
  const outline = (/** @type {Path2D} */ path) => path.rect(left, top, right - left, bottom - top);
  stroke(context, "#000", dot * 0.75, outline);
  stroke(context, FRAME, dot / 3, outline);
}

/**
 * @param {Context} context
 * @param {string} colour
 * @param {number} width
 * @param {(path: Path2D) => void} outline
 */
function stroke(context, colour, width, outline) {
  const path = new Path2D();
  outline(path);
  context.strokeStyle = colour;
  context.lineWidth = Math.max(1, width);
  context.stroke(path);
}

/** @param {Context} context @param {Point} point @param {number} dot @param {string} colour */
function circle(context, point, dot, colour) {
  const around = (/** @type {Path2D} */ path) => path.arc(point.x, point.y, dot, 0, 2 * Math.PI);
  if (isHollow(point)) {
    stroke(context, "#000", dot * 0.9, around);
    stroke(context, colour, dot * 0.45, around);
    return;
  }
  const path = new Path2D();
  around(path);
  context.fillStyle = colour;
  context.fill(path);
  stroke(context, "#000", dot / 4, around);
}

/**
 * @param {Context} context
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {number} dot
 */
function label(context, text, x, y, dot) {
  context.textBaseline = "middle";
  context.strokeStyle = "#000";
  context.lineWidth = dot;
  context.strokeText(text, x, y);
  context.fillStyle = "#fff";
  context.fillText(text, x, y);
}
