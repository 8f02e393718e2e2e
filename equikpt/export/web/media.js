/** Reads images, videos and the camera as RGBA values, as the package reads files. */

const PNG = [0x89, 0x50, 0x4e, 0x47];
const SEEK_WAIT_MS = 300;

/**
 * Read an image file upright, its alpha left out, its colours as stored.
 * @param {File} file
 * @param {boolean} isGray as radiographs are read
 * @returns {Promise<ImageData>}
 */
export async function readImage(file, isGray) {
  const start = new Uint8Array(await file.slice(0, 32).arrayBuffer());
  if (PNG.every((value, at) => start[at] === value) && start[24] === 16) {
    throw new Error(
      `${file.name} has 16 bits a channel, of which browsers keep the upper 8; predict it with `
      + "equikpt-run, or convert it to 8 bits.");
  }
  /** @type {ImageBitmapOptions} */
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  const bitmap = await createImageBitmap(file, options).catch(() => {
    throw new Error(`${file.name} cannot be decoded by this browser; export it as PNG or JPEG.`);
  });
  const drawn = pixels(bitmap, bitmap.width, bitmap.height);
  const isClear = drawn.data.some((value, at) => at % 4 === 3 && value < 255);
  const image = isClear ? withoutAlpha(bitmap) : drawn;
  return isGray ? gray(image) : image;
}

/** Replace the colours of an image by their gray value, as OpenCV does. @param {ImageData} image */
function gray(image) {
  const { data } = image;
  for (let at = 0; at < data.length; at += 4) {
    data.fill((4899 * data[at] + 9617 * data[at + 1] + 1868 * data[at + 2] + 8192) >> 14, at, at + 3);
  }
  return image;
}

/** The frame that a video shows. @param {HTMLVideoElement} video */
export const grab = (video) => pixels(video, video.videoWidth, video.videoHeight);

const canvas = document.createElement("canvas");
const context = /** @type {CanvasRenderingContext2D} */ (
  canvas.getContext("2d", { willReadFrequently: true }));

/** @param {CanvasImageSource} source @param {number} width @param {number} height */
function pixels(source, width, height) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  else context.clearRect(0, 0, width, height);
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height);
}

/** The colours below an alpha, which a 2D canvas would multiply. @param {ImageBitmap} bitmap */
function withoutAlpha(bitmap) {
  const { width, height } = bitmap, gl = document.createElement("canvas").getContext("webgl");
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) {
    throw new Error("This browser cannot read an image of this size with transparency; export it without.");
  }
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, gl.getParameter(gl.TEXTURE_BINDING_2D), 0);
  const values = new Uint8Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, values);
  for (let at = 3; at < values.length; at += 4) values[at] = 255;
  return new ImageData(new Uint8ClampedArray(values.buffer), width, height);
}

/** @param {HTMLVideoElement} video @param {File} file */
export async function openVideo(video, file) {
  video.srcObject = null;
  video.src = URL.createObjectURL(file);
  await once(video, "loadeddata", `${file.name} is of a kind that this browser cannot play; convert it to MP4 (H.264).`);
}

/**
 * Show the camera, unless it is no longer wanted once the reader has allowed it.
 * @param {HTMLVideoElement} video
 * @param {() => boolean} isWanted
 */
export async function openCamera(video, isWanted) {
  if (!navigator.mediaDevices) throw new Error("Browsers give a camera to pages from https or localhost alone.");
  const wish = { video: { facingMode: "environment" }, audio: false };
  const stream = await navigator.mediaDevices.getUserMedia(wish).catch((error) => {
    throw new Error(`The camera cannot be used (${error.message}); allow it in the browser.`);
  });
  if (!isWanted()) { stop(stream); return; }
  video.srcObject = stream;
  await once(video, "loadeddata", "The camera gives no images.");
}

/** @param {MediaStream | null} stream */
const stop = (stream) => stream?.getTracks().forEach((track) => track.stop());

/** @param {HTMLVideoElement} video */
export function close(video) {
  video.pause();
  stop(/** @type {MediaStream | null} */ (video.srcObject));
  if (video.src) URL.revokeObjectURL(video.src);
  video.srcObject = null;
  video.removeAttribute("src");
}

/** @param {HTMLVideoElement} video @param {string} event @param {string} problem */
const once = (video, event, problem) => new Promise((resolve, reject) => {
  video.addEventListener(event, resolve, { once: true });
  video.addEventListener("error", () => reject(new Error(problem)), { once: true });
});

/**
 * Wait for the next frame that a video shows; its time in seconds, or null if none comes.
 * @param {HTMLVideoElement} video
 * @param {number} patience ms
 * @returns {Promise<VideoFrameCallbackMetadata | null>}
 */
const nextFrame = (video, patience) => new Promise((resolve) => {
  setTimeout(() => resolve(null), patience);
  video.requestVideoFrameCallback?.((_, shown) => resolve(shown));
});

/**
 * Measure the frames a second of a video by playing its start.
 * @param {HTMLVideoElement} video
 * @returns {Promise<number>} 0 where the browser does not say
 */
export async function frameRate(video) {
  await seek(video, 0);
  /** @type {VideoFrameCallbackMetadata[]} */
  const shown = [];
  await video.play();
  while (shown.length < 20 && !video.ended) {
    const frame = await nextFrame(video, 1000);
    if (!frame) break;
    shown.push(frame);
  }
  video.pause();
  const rates = shown.slice(1).map((frame, at) =>
    (frame.presentedFrames - shown[at].presentedFrames) / (frame.mediaTime - shown[at].mediaTime));
  const sorted = rates.filter((rate) => Number.isFinite(rate) && rate > 0).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/**
 * Show the frame at a time; its own time, or the one asked for where the browser does not say.
 * @param {HTMLVideoElement} video
 * @param {number} time seconds
 * @returns {Promise<number>}
 */
export async function seek(video, time) {
  const frame = nextFrame(video, SEEK_WAIT_MS + 5000);
  const done = new Promise((resolve) => {
    // a seek does not end where another video is opened meanwhile
    for (const event of ["seeked", "emptied"]) video.addEventListener(event, resolve, { once: true });
  });
  video.currentTime = time;
  await done;
  const wait = new Promise((resolve) => setTimeout(() => resolve(null), SEEK_WAIT_MS));
  const shown = /** @type {VideoFrameCallbackMetadata | null} */ (await Promise.race([frame, wait]));
  return shown?.mediaTime ?? time;
}
