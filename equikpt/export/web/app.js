/** The page: what is opened, predicted and shown. */

import { draggable, placement, within } from "./boxes.js";
import { draw, frame } from "./draw.js";
import * as media from "./media.js";
import { loadMeta, Model } from "./model.js";
import { csv, download, fill, rows } from "./table.js";

/** @typedef {import("./crop.js").Box} Box */
/** @typedef {import("./model.js").Instance} Instance */

const get = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (get(id));
const button = (/** @type {string} */ id) => /** @type {HTMLButtonElement} */ (get(id));
const select = (/** @type {string} */ id) => /** @type {HTMLSelectElement} */ (get(id));
const view = /** @type {HTMLCanvasElement} */ (get("view"));
const video = /** @type {HTMLVideoElement} */ (get("video"));
const body = /** @type {HTMLTableSectionElement} */ (get("rows"));
const context = /** @type {CanvasRenderingContext2D} */ (view.getContext("2d"));

/** @type {import("./model.js").Meta} */
let meta;
/** @type {Promise<Model>} */
let loading;
/** What is shown: one image, or the frame that a video or the camera shows. */
const shown = {
  /** @type {"" | "image" | "video" | "camera"} */
  kind: "",
  name: "",
  /** @type {ImageData | null} */
  image: null,
  /** @type {Box[]} */
  boxes: [],
  /** @type {Instance[]} */
  instances: [],
  /** @type {Box | null} */
  moving: null,
  /** Rows of all frames of a video, once they are predicted. @type {ReturnType<typeof rows> | null} */
  all: null,
};
/** Number of what is opened: what was begun for an earlier one is given up. */
let opened = 0;
/** The model is at work; something is to be predicted after it; all frames are being predicted. */
let busy = false, again = false, sweeping = false;

/** @param {string} text @param {boolean} [isError] */
function say(text, isError = false) {
  get("status").textContent = text;
  get("status").classList.toggle("error", isError);
}

/**
 * Do something for the reader; what goes wrong becomes a sentence.
 * @param {() => Promise<unknown> | unknown} work
 */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    say(error instanceof Error ? error.message : `The model could not be run (${error}).`, true);
  }
}

/** Open a file, an image or a video, in place of what is shown. @param {File} file */
async function open(file) {
  const mine = begin("", file.name), isVideo = file.type.startsWith("video/");
  if (isVideo) {
    await media.openVideo(video, file);
    if (mine !== opened) return;
    get("player").hidden = false;
    shown.kind = "video";
    input("time").max = String(video.duration);
    await showFrame();
    return;
  }
  const image = await media.readImage(file, meta.input.reading === "radiograph");
  if (mine !== opened) return;
  shown.kind = "image";
  await show(image);
}

/**
 * Forget what is shown; the number of what comes.
 * @param {"" | "camera"} kind
 * @param {string} name
 */
function begin(kind, name) {
  media.close(video);
  sweeping = false;
  Object.assign(shown, { kind, name, image: null, boxes: [], instances: [], moving: null, all: null });
  get("player").hidden = true;
  get("camera").setAttribute("aria-pressed", String(kind === "camera"));
  input("time").value = "0";
  input("fps").value = "";
  button("csv").disabled = true;
  say(`Reading ${name} …`);
  return ++opened;
}

const showFrame = () => show(media.grab(video));

/** Show an image and its keypoints. @param {ImageData} image */
async function show(image) {
  get("hint").hidden = true;
  if (view.width !== image.width || view.height !== image.height) {
    [view.width, view.height] = [image.width, image.height];
  }
  const isFirst = !shown.image;
  shown.image = image;
  if (isFirst) redraw();
  await predict();
}

/** Predict what is shown; calls that come meanwhile are one more at the end. */
async function predict() {
  shown.all = null;
  if (busy) { again = true; return; }
  busy = true;
  try {
    do {
      again = false;
      const mine = opened, { image } = shown;
      if (!image) break;
      const model = await loading, start = performance.now();
      const instances = await model.predict(image, shown.boxes);
      if (mine !== opened) continue;
      shown.instances = instances;
      button("csv").disabled = false;
      say(summary(instances, performance.now() - start));
      redraw();
      list();
    } while (again);
  } finally {
    busy = false;
  }
}

/** @param {Instance[]} instances @param {number} ms */
function summary(instances, ms) {
  const refused = instances.filter((each) => each.refused), took = `${ms.toFixed(0)} ms`;
  const found = instances.map((each) => each.summary).filter(Boolean).join("; ");
  const count = instances.reduce((sum, each) => sum + each.points.filter((p) => Number.isFinite(p.x)).length, 0);
  const text = found || `${count} ${meta.task === "peaks" ? "peaks" : "keypoints"} in ${shown.boxes.length || "the whole"} ${
    shown.boxes.length ? (shown.boxes.length > 1 ? "boxes" : "box") : "image"}`;
  if (!refused.length) return `${text}, ${took}.`;
  const reason = instances.length > 1 ? `${refused.length} of ${instances.length} boxes ${refused[0].refused}` : refused[0].refused;
  return input("anyway").checked ? `${text}, ${took}; in doubt: ${reason}.` : `Refused: ${reason}.`;
}

/** Draw the image, its instances and its boxes. */
function redraw() {
  if (!shown.image) return;
  context.putImageData(shown.image, 0, 0);
  const { pxPerCss } = placement(view);
  const look = { rings: input("rings").checked, names: input("names").checked, anyway: input("anyway").checked };
  for (const box of [...shown.boxes, ...(shown.moving ? [shown.moving] : [])]) frame(context, box, 3 * pxPerCss);
  draw(context, meta, shown.instances, look, pxPerCss);
  view.setAttribute("aria-label", `${shown.name}: ${get("status").textContent}`);
}

/** Fill the table with the keypoints of the chosen animal, or with all where each has but one. */
function list() {
  const given = shown.instances.filter((each) => !each.refused || input("anyway").checked);
  const isAlone = meta.task === "peaks" || given.length < 2;
  get("which").hidden = isAlone;
  const animal = select("animal");
  if (animal.options.length !== given.length) {
    animal.replaceChildren(...given.map((_, n) => new Option(String(n + 1), String(n))));
  }
  const points = isAlone ? given.flatMap((each) => each.points) : given[Number(animal.value)].points;
  const named = meta.task === "keypoints" || meta.task === "ruler";
  const none = { x: NaN, y: NaN, score: NaN };
  fill(body, points.length || !named ? points : meta.keypoints.map((name, index) => ({ index, name, ...none })));
}

/** Show what a video or the camera shows, for as long as it runs. */
async function follow() {
  const mine = opened;
  while (mine === opened && !video.paused && !video.ended) {
    if (!busy) {
      await showFrame();
      if (shown.kind === "video") input("time").value = String(video.currentTime);
    }
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}

/** Begin or end the prediction of all frames, whose boxes and place must not be changed meanwhile. */
function sweep(/** @type {boolean} */ isOn) {
  busy = sweeping = isOn;
  button("all").textContent = isOn ? "Stop" : "Predict all frames";
  for (const id of ["view", "play", "time", "box", "whole", "anyway", "gpu"]) get(id).inert = isOn;
}

/** Predict each frame of a video and hand out the csv. */
async function predictAll() {
  const mine = opened, asked = Number(input("fps").value), model = await loading;
  if (busy) throw new Error("The model is at work; try again.");
  if (!Number.isFinite(video.duration)) throw new Error("The video does not state its length; convert it to MP4.");
  sweep(true);
  try {
    say("Measuring the frames per second …");
    const fps = asked > 0 ? asked : await media.frameRate(video);
    if (!fps) throw new Error("The browser does not say the frames per second; enter them.");
    input("fps").value = String(Math.round(fps * 1000) / 1000);
    const content = [], count = Math.max(1, Math.round(video.duration * fps));
    let number = 0, last = -1, refused = 0;
    for (let step = 0; step < count && sweeping; step++) {
      const time = await media.seek(video, Math.min((step + 0.5) / fps, video.duration));
      if (mine !== opened) return;
      if (time === last) continue; // more steps than the video has frames
      last = time;
      shown.image = media.grab(video);
      shown.instances = await model.predict(shown.image, shown.boxes);
      if (mine !== opened) return;
      refused += Number(shown.instances.some((each) => each.refused));
      content.push(...rows(number++, time, shown.instances, input("anyway").checked));
      input("time").value = String(video.currentTime);
      say(`Frame ${number} of about ${count} …`);
      redraw();
    }
    list();
    shown.all = content;
    button("csv").disabled = false;
    const doubt = refused ? `, ${refused} of them refused as unlike the training images` : "";
    say(`${number} frames${sweeping ? "" : ", stopped"}${doubt}: Download CSV has them all.`);
  } catch (error) {
    if (mine === opened) throw error; // else it is of what was closed
  } finally {
    sweep(false);
    if (again) attempt(predict);
  }
}

/** @param {Box | null} box */
async function addBox(box) {
  shown.moving = null;
  if (box) {
    shown.boxes = [...shown.boxes, box];
    for (const [at, id] of ["left", "top", "right", "bottom"].entries()) input(id).value = String(box[at]);
  }
  redraw();
  if (box) await predict();
}

function listen() {
  const on = (/** @type {string} */ id, /** @type {string} */ event, /** @type {() => unknown} */ work) =>
    get(id).addEventListener(event, () => attempt(work));
  on("file", "change", async () => {
    const [file] = input("file").files ?? [];
    input("file").value = "";
    if (file) await open(file);
  });
  const stage = get("stage");
  stage.addEventListener("dragover", (event) => { event.preventDefault(); stage.classList.add("over"); });
  stage.addEventListener("dragleave", () => stage.classList.remove("over"));
  stage.addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("over");
    const file = event.dataTransfer?.files[0];
    if (file) attempt(() => open(file));
  });
  on("camera", "click", async () => {
    const isOn = shown.kind === "camera";
    const mine = begin(isOn ? "" : "camera", "camera");
    if (isOn) { say("The camera is off."); return; }
    await media.openCamera(video, () => mine === opened).catch((error) => {
      if (mine === opened) begin("", "");
      throw error;
    });
    if (mine !== opened) return;
    await video.play();
    await follow();
  });
  on("play", "click", async () => {
    if (video.paused) { await video.play(); await follow(); } else video.pause();
  });
  for (const event of ["play", "pause", "ended"]) {
    video.addEventListener(event, () => { get("play").textContent = video.paused ? "Play" : "Pause"; });
  }
  on("time", "input", async () => {
    if (shown.kind !== "video") return;
    video.pause();
    video.currentTime = Number(input("time").value);
  });
  video.addEventListener("seeked", () => { if (video.paused && !sweeping && shown.kind === "video") attempt(showFrame); });
  on("all", "click", async () => {
    if (sweeping) { sweeping = false; return; }
    video.pause();
    await predictAll();
  });
  on("csv", "click", () => {
    const time = shown.kind === "image" ? null : video.currentTime;
    const anyway = input("anyway").checked;
    const content = shown.all ?? rows(shown.name, time, shown.instances, anyway);
    download(`${shown.name.replace(/\.[^.]*$/, "") || "keypoints"}.csv`, csv(content));
  });
  for (const id of ["rings", "names", "anyway"]) {
    on(id, "change", async () => {
      if (id === "anyway" && shown.image) await predict();
      redraw();
      list();
    });
  }
  on("animal", "change", list);
  on("gpu", "change", () => load(input("gpu").checked));
  on("theme", "change", () => theme(select("theme").value));
  window.addEventListener("resize", redraw);
  listenForBoxes(on);
}

/** @param {(id: string, event: string, work: () => unknown) => void} on */
function listenForBoxes(on) {
  on("whole", "click", async () => {
    Object.assign(shown, { boxes: [], moving: null });
    await predict();
  });
  on("drawing", "click", () => {
    const isOn = view.classList.toggle("drawing");
    get("drawing").setAttribute("aria-pressed", String(isOn));
  });
  draggable(view, (box) => { shown.moving = box; redraw(); }, (box) => attempt(() => addBox(box)));
  get("box").addEventListener("submit", (event) => {
    event.preventDefault();
    const [left, top, right, bottom] = ["left", "top", "right", "bottom"].map((id) => input(id).valueAsNumber);
    attempt(() => {
      if (!shown.image) throw new Error("Open an image before its box.");
      const { width, height } = shown.image, box = within([left, top, right, bottom], width, height);
      if (!box) {
        throw new Error(`Expected left below right and top below bottom, within ${width} × ${height} px.`);
      }
      return addBox(box);
    });
  });
}

/** @param {string} name */
function theme(name) {
  document.documentElement.dataset.theme = name;
  try { localStorage.setItem("theme", name); } catch { /* private windows keep nothing */ }
}

/** Load the model for the processor, or for WebGPU and where that fails for the processor again. */
async function load(/** @type {boolean} */ gpu) {
  loading = Model.load(meta, gpu);
  try {
    await loading;
    say(`Ready${gpu ? ", by WebGPU" : ""}.`);
    await predict();
  } catch (error) {
    if (!gpu) throw error;
    input("gpu").checked = false;
    await load(false);
    say(`WebGPU does not run this model (${error instanceof Error ? error.message : error}); the processor does.`);
  }
}

/** Fill what the page says of the model. */
function describe() {
  document.title = `${meta.name}: keypoints in the browser`;
  get("title").textContent = meta.name;
  const { parity, training, checkpoint } = meta;
  const counted = training && [
    training.images && `${training.images} images`, training.instances && `${training.instances} instances`,
    training.source,
  ].filter(Boolean).join(", ");
  /** @type {[string, string | null | undefined | false][]} */
  const facts = [
    ["Task", `${meta.task}, ${meta.keypoints.length} names: ${meta.keypoints.join(", ")}`],
    ["Parity", parity && `${parity.mean_px.toFixed(4)} px mean, ${parity.max_px.toFixed(4)} px at most, on ${parity.images} images against ${parity.against}`],
    ["Training", counted],
    ["Checkpoint", checkpoint && [checkpoint.config, checkpoint.epoch && `epoch ${checkpoint.epoch}`, checkpoint.sha256 && `SHA-256 ${checkpoint.sha256}`].filter(Boolean).join(", ")],
    ["Precision", meta.precision],
    ["Licence", meta.licence],
    ["Exported by", meta.producer],
    ["Runs on", `ONNX Runtime Web in this browser, ${self.crossOriginIsolated ? "several threads" : "one thread"}; no image leaves this device`],
  ];
  get("facts").replaceChildren(...facts.flatMap(([term, text]) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = term;
    dd.textContent = text || "not stated";
    return [dt, dd];
  }));
  const takesBoxes = meta.input.kind === "crop" && meta.input.crop.rule === "box";
  view.classList.toggle("boxes", takesBoxes);
  for (const element of document.querySelectorAll(".for-boxes")) /** @type {HTMLElement} */ (element).hidden = !takesBoxes;
  input("rings").disabled = !meta.uncertainty;
  if (meta.uncertainty) get("rings-text").textContent = `Radii (${100 * meta.uncertainty.level} %)`;
  input("anyway").disabled = !(meta.novelty || meta.ruler);
}

async function start() {
  get("served").remove();
  let kept = "";
  try { kept = localStorage.getItem("theme") ?? ""; } catch { /* as above */ }
  select("theme").value = kept;
  theme(kept);
  meta = await loadMeta("model.json");
  describe();
  list();
  listen();
  await load(false);
}

attempt(start);
