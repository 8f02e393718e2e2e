/** Keypoints as a table of the page and as the csv that `equikpt` and `equikpt-run` write. */

export const COLUMNS = [
  "image", "time_s", "animal", "keypoint", "x_px", "y_px", "score",
  "left_px", "top_px", "right_px", "bottom_px", "box_score", "radius_px", "presence", "seen",
];

/**
 * The rows of an image or frame: one a keypoint that the model gives, animals numbered from 1.
 * @param {string | number} image name, or number of the frame
 * @param {number | null} time seconds
 * @param {import("./model.js").Instance[]} instances
 * @param {boolean} anyway also of what is refused
 * @returns {(string | number | null | undefined)[][]}
 */
export function rows(image, time, instances, anyway) {
  return instances.flatMap(({ points, box, refused }, n) =>
    refused && !anyway ? [] : points.filter((point) => Number.isFinite(point.x)).map((point) => [
      image, time, n + 1, point.name, point.x, point.y, point.score,
      ...box, 1, point.radius, point.presence, point.seen,
    ]));
}

/**
 * Six digits a number, nothing for what is missing; text that a spreadsheet would run as a formula
 * has an apostrophe before it.
 * @param {string | number | null | undefined} value
 */
function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  const text = /^'?[=+\-@\t\r\n]|^''/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {(string | number | null | undefined)[][]} content @returns {string} */
export const csv = (content) =>
  [COLUMNS, ...content].map((row) => row.map(cell).join(",") + "\n").join("");

/** Hand a text to the browser as a file. @param {string} name @param {string} text */
export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * Fill the body of the page's table: name, x, y, score, radius, presence, seen.
 * @param {HTMLTableSectionElement} body
 * @param {import("./model.js").Point[]} points
 */
export function fill(body, points) {
  const number = (/** @type {number | undefined} */ value, /** @type {number} */ digits) =>
    Number.isFinite(value) ? /** @type {number} */ (value).toFixed(digits) : "–";
  body.replaceChildren(...points.map((point) => {
    const row = document.createElement("tr"), name = document.createElement("th");
    name.scope = "row";
    name.textContent = point.name;
    const { x, y, score, radius, presence, seen } = point;
    const values = [
      ...[x, y].map((value) => number(value, 1)), number(score, 2), number(radius, 1),
      ...[presence, seen].map((value) => number(value, 2)),
    ];
    row.append(name, ...values.map((value) => {
      const element = document.createElement("td");
      element.textContent = value;
      return element;
    }));
    return row;
  }));
}
