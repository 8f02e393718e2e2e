/** Loads the exported model into ONNX Runtime Web and turns its outputs into instances. */

import { cropOf, pxPerCropPx, toImage, warp, wholeImage } from "./crop.js";

/**
 * How images become the model's input.
 * @typedef {object} Input
 * @property {"crop" | "image"} kind
 * @property {[number, number]} size width and height, px of the crop
 * @property {{rule: "box" | "whole" | "fit", padding?: number, udp?: boolean}} crop
 * @property {"image" | "radiograph"} [reading]
 */
/**
 * The model's metadata, as the exporter wrote it into the ONNX file and into model.json.
 * @typedef {object} Meta
 * @property {string} name
 * @property {"keypoints" | "peaks" | "points" | "ruler"} task
 * @property {string} producer
 * @property {string[]} keypoints names
 * @property {[number, number][]} skeleton
 * @property {{keypoints: number[][], skeleton: number[][]}} colors RGB
 * @property {Input} input
 * @property {{level: number} | null} uncertainty
 * @property {{limit: number} | null} novelty
 * @property {{done_threshold: number, interval: [number, number] | null} | null} points
 * @property {{mm: number} | null} ruler
 * @property {{images: number | null, instances: number | null, source: string | null} | null} training
 * @property {string | null} licence
 * @property {string} precision
 * @property {{images: number, mean_px: number, max_px: number, against: string} | null} parity
 * @property {{sha256?: string, epoch?: number, config?: string} | null} checkpoint
 * @property {number} [schema]
 */
/**
 * A keypoint in px of the image; x and y are NaN where the model gives none.
 * @typedef {object} Point
 * @property {number} index of the keypoint
 * @property {string} name
 * @property {number} x
 * @property {number} y
 * @property {number} score
 * @property {number} [radius]
 * @property {number} [presence]
 * @property {number} [seen]
 */
/**
 * What was found in one box.
 * @typedef {object} Instance
 * @property {Point[]} points
 * @property {import("./crop.js").Box} box
 * @property {string} refused reason not to believe the points, or ""
 * @property {string} summary of a count or a ruler
 */
/** @typedef {{data: Float32Array, dims: number[]}} Output */
/** @typedef {Record<string, Output>} Outputs */

const SCHEMA = 1;
const MAX_THREADS = 4;
/** Limits of a ruler that is believed, as `equikpt calibrate` has them: distance in heights. */
const PLAUSIBLE = { distance: [0.01, 0.5], angle_deg: [30, 150], score: 0.3 };

/** Read the model's metadata. @param {string} url @returns {Promise<Meta>} */
export async function loadMeta(url) {
  const meta = await (await fetched(url)).json();
  if (meta.schema !== SCHEMA) {
    throw new Error(`This page reads models of schema ${SCHEMA}, not ${meta.schema}; export both together.`);
  }
  return meta;
}

/** @param {string} url */
async function fetched(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`The server has no ${url} (${answer.status}); copy the whole folder.`);
  return answer;
}

/** The model, ready for images. */
export class Model {
  /** @param {any} ort @param {any} session @param {Meta} meta */
  constructor(ort, session, meta) {
    this.ort = ort;
    this.session = session;
    this.meta = meta;
  }

  /** @param {Meta} meta @param {boolean} gpu compute by WebGPU */
  static async load(meta, gpu) {
    if (gpu && !(await (/** @type {any} */ (navigator).gpu?.requestAdapter()))) {
      throw new Error("the browser offers none here");
    }
    const ort = await import(gpu ? "./ort/ort.webgpu.min.mjs" : "./ort/ort.wasm.min.mjs");
    ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
    const threads = Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1);
    ort.env.wasm.numThreads = self.crossOriginIsolated ? threads : 1;
    ort.env.wasm.proxy = !gpu; // in a worker, so that the page answers meanwhile
    const content = new Uint8Array(await (await fetched("model.onnx")).arrayBuffer());
    const session = await ort.InferenceSession.create(content, {
      executionProviders: gpu ? ["webgpu", "wasm"] : ["wasm"],
      logSeverityLevel: 3,
    });
    const model = new Model(ort, session, meta);
    if (gpu) await model.predict(new ImageData(64, 64), []); // some operators fail when they run only
    return model;
  }

  /**
   * Find the keypoints in each box of an image.
   * @param {ImageData} image
   * @param {import("./crop.js").Box[]} boxes none stands for the whole image
   * @returns {Promise<Instance[]>}
   */
  async predict(image, boxes) {
    const { input, task } = this.meta, { width, height } = image;
    const whole = wholeImage(width, height);
    if (input.kind === "image") {
      return [this.instance(await this.run(rgb(image), [1, height, width, 3]), 0, whole, null)];
    }
    const used = boxes.length && input.crop.rule === "box" ? boxes : [whole];
    const [w, h] = input.size, length = w * h * 3;
    const batch = new Uint8Array(used.length * length);
    const crops = used.map((box) => cropOf(input, width, height, box));
    crops.forEach((crop, n) => warp(image, crop, batch.subarray(n * length, (n + 1) * length)));
    const outputs = await this.run(batch, [used.length, h, w, 3]);
    const found = used.map((box, n) => this.instance(outputs, n, box, crops[n]));
    return task === "peaks" ? found.flatMap(alone) : found;
  }

  /** @param {Uint8Array} values @param {number[]} shape @returns {Promise<Outputs>} */
  run(values, shape) {
    return this.session.run({ image: new this.ort.Tensor("uint8", values, shape) });
  }

  /**
   * @param {Outputs} outputs
   * @param {number} n of the batch
   * @param {import("./crop.js").Box} box
   * @param {import("./crop.js").Crop | null} crop null where outputs are px of the image
   * @returns {Instance}
   */
  instance(outputs, n, box, crop) {
    const { task, novelty } = this.meta;
    let points = this.points(outputs, n, crop), summary = "", refused = "";
    const distance = outputs.novelty?.data[n];
    if (novelty && outputs.novelty && !(distance <= novelty.limit)) {
      refused = `unlike the training images (score ${distance.toFixed(2)}, limit ${novelty.limit.toFixed(2)})`;
    }
    if (task === "points") [points, summary] = this.counted(outputs, n, points);
    if (task === "ruler") {
      const scale = this.measured(points, box);
      summary = scale.summary;
      refused ||= scale.refused;
    }
    return { points, box, refused, summary };
  }

  /**
   * @param {Outputs} outputs
   * @param {number} n
   * @param {import("./crop.js").Crop | null} crop
   * @returns {Point[]}
   */
  points(outputs, n, crop) {
    const { keypoints, scores, radius, visibility } = outputs;
    const named = this.meta.task !== "points", peaks = this.meta.task === "peaks";
    const count = scores.data.length / scores.dims[0], ranks = peaks ? scores.dims[2] : 1;
    const px = crop ? pxPerCropPx(crop) : 1;
    return Array.from({ length: count }, (_, k) => {
      // of peaks the highest of each keypoint come first, as in the package
      const index = k % (count / ranks), at = n * count + index * ranks + Math.floor(k / (count / ranks));
      const [x, y] = [keypoints.data[2 * at], keypoints.data[2 * at + 1]];
      const [inX, inY] = crop ? toImage(crop, x, y) : [x, y];
      return {
        index: named ? index : 0,
        name: named ? this.meta.keypoints[index] : String(k + 1),
        x: inX, y: inY, score: scores.data[at],
        radius: radius && radius.data[at] * px,
        presence: visibility?.data[2 * at],
        seen: visibility?.data[2 * at + 1],
      };
    }).filter((point) => !peaks || point.score > 0);
  }

  /**
   * The points before the sequence is over, and their number.
   * @param {Outputs} outputs
   * @param {number} n
   * @param {Point[]} points
   * @returns {[Point[], string]}
   */
  counted(outputs, n, points) {
    const size = outputs.over.dims[1], over = outputs.over.data.subarray(n * size, (n + 1) * size);
    const { done_threshold: limit, interval } = /** @type {NonNullable<Meta["points"]>} */ (this.meta.points);
    const before = (/** @type {number} */ probability) => {
      const first = over.findIndex((value) => value >= probability);
      return first < 0 ? size - 1 : first;
    };
    const count = before(limit), complete = over[count] >= limit;
    const range = interval ? ` (${interval.map(before).join(" to ")})` : "";
    const summary = complete ? `Count ${count}${range}`
      : `${count} or more: stopped at the most points of the model`;
    return [points.slice(0, count), summary];
  }

  /**
   * The scale that two marks give, and the reason not to believe it.
   * @param {Point[]} points
   * @param {import("./crop.js").Box} box
   */
  measured([p1, p2], box) {
    const ruler = { ...PLAUSIBLE, .../** @type {NonNullable<Meta["ruler"]>} */ (this.meta.ruler) };
    const distance = Math.hypot(p2.x - p1.x, p2.y - p1.y), height = box[3] + 1;
    const angle = (Math.atan2(p1.y - p2.y, p2.x - p1.x) * 180) / Math.PI;
    const confidence = Math.min(p1.score, p2.score);
    const reach = Math.hypot(p1.radius ?? NaN, p2.radius ?? NaN);
    const digits = (/** @type {number} */ value) => value.toFixed(5);
    const interval = reach < distance
      ? ` (${digits(ruler.mm / (distance + reach))} to ${digits(ruler.mm / (distance - reach))})` : "";
    const summary = `${digits(ruler.mm / distance)} mm per px${interval}, `
      + `marks ${distance.toFixed(1)} px apart, confidence ${confidence.toFixed(2)}`;
    const [nearest, farthest] = ruler.distance.map((part) => part * height), [low, high] = ruler.angle_deg;
    let refused = "";
    if (confidence < ruler.score) refused = `score ${confidence.toFixed(2)}, below ${ruler.score}`;
    else if (!(distance >= nearest && distance <= farthest)) {
      refused = `marks ${distance.toFixed(1)} px apart, expected ${nearest.toFixed(0)} to ${farthest.toFixed(0)}`;
    } else if (!(angle >= low && angle <= high)) {
      refused = `ruler at ${angle.toFixed(0)}°, expected ${low}° to ${high}°`;
    }
    return { summary, refused };
  }
}

/**
 * Each peak as an instance of its own: peaks are not grouped.
 * @param {Instance} found
 * @returns {Instance[]}
 */
function alone(found) {
  if (found.refused) return [found];
  return found.points.map((point) => ({ ...found, points: [point] }));
}

/** The RGB values (h, w, 3) of an image. @param {ImageData} image */
function rgb({ data, width, height }) {
  const values = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    values[to++] = data[from]; values[to++] = data[from + 1]; values[to++] = data[from + 2];
  }
  return values;
}
