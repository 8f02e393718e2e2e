/**
 * Cuts the model's crop out of an image exactly as the package does: MMPose's matrices and
 * cv2.warpAffine (bilinear, black outside), to the bit. A canvas would smooth otherwise.
 */

/**
 * A part of an image as the model sees it.
 * @typedef {object} Crop
 * @property {Pair} center px of the image
 * @property {Pair} scale width and height, px of the image
 * @property {Pair} size width and height, px of the crop
 * @property {[number, number, number, number]} matrix scale and shift along x, then along y, that
 *   map px of the image to px of the crop
 */
/** @typedef {[number, number, number, number]} Box left, top, right and bottom, px of the image */
/** @typedef {[number, number]} Pair along x and y */
/** @typedef {(center: Pair, scale: Pair, size: Pair) => Crop} Placing */

const f32 = Math.fround;

/**
 * The box of a whole image, which ends at its last px as in training.
 * @param {number} width px
 * @param {number} height px
 * @returns {Box}
 */
export const wholeImage = (width, height) => [0, 0, width - 1, height - 1];

/**
 * Place the crop of a box.
 * @param {import("./model.js").Input} input
 * @param {number} width px of the image
 * @param {number} height px of the image
 * @param {Box} box
 * @returns {Crop}
 */
export function cropOf(input, width, height, box) {
  const [w, h] = input.size, { rule, padding = 1, udp = false } = input.crop;
  if (rule === "fit") {
    const fit = Math.min(w / width, h / height);
    return plain([width / 2, height / 2], [f32(w / fit), f32(h / fit)], input.size);
  }
  const [left, top, right, bottom] = rule === "whole" ? wholeImage(width, height) : box.map(f32);
  /** @type {Pair} */
  const center = [f32(f32(right + left) * 0.5), f32(f32(bottom + top) * 0.5)];
  const wide = f32(f32(right - left) * f32(padding)), high = f32(f32(bottom - top) * f32(padding));
  const aspect = w / h;
  /** @type {Pair} */
  const scale = wide > f32(high * f32(aspect))
    ? [wide, f32(wide / f32(aspect))] : [f32(high * f32(aspect)), high];
  return udp ? unbiased(center, scale, input.size) : plain(center, scale, input.size);
}

/** MMPose's get_udp_warp_matrix: the first and last px lie on the box's edges. @type {Placing} */
function unbiased(center, scale, size) {
  const [x, y] = size.map((side, axis) => f32((side - 1) / scale[axis]));
  const shift = (/** @type {number} */ step, /** @type {0 | 1} */ axis) =>
    f32(step * f32(0.5 * scale[axis] - center[axis]));
  return { center, scale, size, matrix: [x, shift(x, 0), y, shift(y, 1)] };
}

/** MMPose's get_warp_matrix: three points in single precision, solved. @type {Placing} */
function plain(center, scale, size) {
  const half = size[0] / 2, x0 = f32(center[0]), y0 = f32(center[1]);
  const reach = f32(x0 - f32(x0 - scale[0] / 2));
  const x = half / reach, y = half / (f32(y0 + reach) - y0);
  return { center, scale, size, matrix: [x, half - x * x0, y, size[1] / 2 - y * y0] };
}

/** Round to the nearest integer, halves to the even one. @param {number} value */
function rint(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

/**
 * Both px of the image that each px of a crop lies between, along one axis, with their weights in
 * 32 parts; px outside of the image have weight 0. OpenCV rounds to 1/1024 px, along x the shift for
 * itself, then down to 1/32.
 * @param {number} step px of the image a px of the crop
 * @param {number} shift px of the crop
 * @param {number} count px of the crop
 * @param {number} length px of the image
 * @param {boolean} isX
 */
function taps(step, shift, count, length, isX) {
  const low = new Int32Array(count), high = new Int32Array(count);
  const lowPart = new Int32Array(count), highPart = new Int32Array(count);
  const start = -step * shift;
  for (let index = 0; index < count; index++) {
    const fine = isX ? rint(step * index * 1024) + rint(start * 1024) : rint((step * index + start) * 1024);
    const position = (fine + 16) >> 5;
    const first = position >> 5, part = position & 31;
    const inside = (/** @type {number} */ at) => at >= 0 && at < length;
    if (inside(first)) { low[index] = first; lowPart[index] = 32 - part; }
    if (inside(first + 1)) { high[index] = first + 1; highPart[index] = part; }
  }
  return { low, high, lowPart, highPart };
}

/**
 * Fill the crop's RGB values from an image.
 * @param {ImageData} image
 * @param {Crop} crop
 * @param {Uint8Array} out (h, w, 3)
 */
export function warp(image, crop, out) {
  const { data, width, height } = image, [w, h] = crop.size, [x, x0, y, y0] = crop.matrix;
  const inverse = 1 / (x * y); // as OpenCV inverts, to the last bit
  const columns = taps(y * inverse, x0, w, width, true);
  const rows = taps(x * inverse, y0, h, height, false);
  let at = 0;
  for (let row = 0; row < h; row++) {
    const upper = rows.low[row] * width, lower = rows.high[row] * width;
    const up = rows.lowPart[row], down = rows.highPart[row];
    for (let column = 0; column < w; column++) {
      const left = columns.low[column], right = columns.high[column];
      const a = up * columns.lowPart[column], b = up * columns.highPart[column];
      const c = down * columns.lowPart[column], d = down * columns.highPart[column];
      for (let channel = 0; channel < 3; channel++) {
        const sum = a * data[4 * (upper + left) + channel] + b * data[4 * (upper + right) + channel]
          + c * data[4 * (lower + left) + channel] + d * data[4 * (lower + right) + channel];
        out[at++] = (sum + 512) >> 10;
      }
    }
  }
}

/**
 * Map a point of a crop to px of the image, as MMPose's estimators do.
 * @param {Crop} crop
 * @param {number} x
 * @param {number} y
 * @returns {Pair}
 */
export function toImage(crop, x, y) {
  const along = (/** @type {number} */ value, /** @type {0 | 1} */ axis) =>
    (value / crop.size[axis]) * crop.scale[axis] + crop.center[axis] - 0.5 * crop.scale[axis];
  return [along(x, 0), along(y, 1)];
}

/** Px of the image that one px of a crop stands for. @param {Crop} crop */
export const pxPerCropPx = (crop) =>
  Math.sqrt((crop.scale[0] / crop.size[0]) * (crop.scale[1] / crop.size[1]));
