/** Boxes dragged over the image by mouse, pen or finger. */

const MIN_CSS_PX = 8;

/** @typedef {import("./crop.js").Box} Box */

/**
 * Px of the canvas at a place of the page: the canvas is shown whole, in the middle of its frame.
 * @param {HTMLCanvasElement} canvas
 */
export function placement(canvas) {
  const frame = canvas.getBoundingClientRect();
  const css = Math.min(frame.width / canvas.width, frame.height / canvas.height);
  const left = frame.left + (frame.width - css * canvas.width) / 2;
  const top = frame.top + (frame.height - css * canvas.height) / 2;
  return { left, top, pxPerCss: 1 / css };
}

/**
 * The part of a box that lies in an image; null where that is nothing.
 * @param {Box} box
 * @param {number} width
 * @param {number} height
 * @returns {Box | null}
 */
export function within([left, top, right, bottom], width, height) {
  const inside = left < right && top < bottom && right > 0 && bottom > 0 && left < width && top < height;
  return inside ? [left, top, right, bottom] : null;
}

/**
 * Let boxes be dragged over a canvas; a finger drags only where the canvas has the class "drawing",
 * as it scrolls the page otherwise.
 * @param {HTMLCanvasElement} canvas
 * @param {(box: Box) => void} moving called with each change of a box
 * @param {(box: Box | null) => void} done called at its end; null where it was given up
 */
export function draggable(canvas, moving, done) {
  /** @type {[number, number] | null} */
  let start = null;
  const at = (/** @type {PointerEvent} */ event) => {
    const { left, top, pxPerCss } = placement(canvas);
    const clipped = (/** @type {number} */ value, /** @type {number} */ length) =>
      Math.min(Math.max(value * pxPerCss, 0), length - 1);
    return /** @type {[number, number]} */ (
      [clipped(event.clientX - left, canvas.width), clipped(event.clientY - top, canvas.height)]);
  };
  const box = (/** @type {[number, number]} */ from, /** @type {[number, number]} */ to) =>
    /** @type {Box} */ ([Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])]
      .map((value) => Math.round(value * 10) / 10));

  canvas.addEventListener("pointerdown", (event) => {
    const may = event.pointerType !== "touch" || canvas.classList.contains("drawing");
    if (!may || event.button !== 0 || !canvas.classList.contains("boxes")) return;
    start = at(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => start && moving(box(start, at(event))));
  canvas.addEventListener("pointerup", (event) => {
    if (!start) return;
    const made = box(start, at(event)), least = MIN_CSS_PX * placement(canvas).pxPerCss;
    start = null;
    done(made[2] - made[0] >= least && made[3] - made[1] >= least ? made : null);
  });
  const giveUp = () => { if (start) { start = null; done(null); } };
  canvas.addEventListener("pointercancel", giveUp);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") giveUp(); });
}
