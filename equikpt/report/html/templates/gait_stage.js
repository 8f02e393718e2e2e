// The trial's time, which all parts show, and the skeleton over the video or alone.
const trial = JSON.parse(document.getElementById("trial-data").textContent);
const {times, roles, xy} = trial;
const [first, last] = [times[0], times[times.length - 1]];
const byId = (id) => document.getElementById(id);

const frameAt = (time) => {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (times[middle] <= time + 5e-4) low = middle; else high = middle - 1;
  }
  return low;
};

const clock = {
  time: first,
  playing: false,
  shows: [],
  set(time) {
    this.time = Math.min(Math.max(time, first), last);
    for (const show of this.shows) show(this.time);
  },
};

// The video plays where the browser knows it; else frames follow the computer's clock.
const video = byId("video");
let playable = Boolean(video);
const seek = (time) => {
  clock.set(time);
  if (playable) video.currentTime = clock.time + 1e-3;
};
const play = (playing) => {
  clock.playing = playing;
  byId("play").textContent = playing ? "Pause" : "Play";
  if (playing && clock.time >= last) seek(first);
  if (playable) {
    if (playing) video.play().catch(fallBack); else video.pause();
  } else if (playing) {
    before = null;
    requestAnimationFrame(step);
  }
};
let before = null;
const step = (now) => {
  if (!clock.playing || playable) return;
  if (before !== null) clock.set(clock.time + Number(byId("rate").value) * (now - before) / 1000);
  before = now;
  if (clock.time >= last) play(false); else requestAnimationFrame(step);
};
const follow = (time) => {
  if (clock.playing) clock.set(time);
  if (clock.playing && (time >= last || video.ended)) play(false);
};
const fallBack = () => {
  if (!playable) return;
  playable = false;
  video.remove();
  byId("unplayable").hidden = false;
  play(false);
  layOut();
};
if (video) {
  video.addEventListener("error", fallBack);
  video.addEventListener("ended", () => follow(last));
  if (video.requestVideoFrameCallback) {
    const shown = (_, frame) => {
      follow(frame.mediaTime);
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  } else {
    video.addEventListener("timeupdate", () => follow(video.currentTime));
  }
  const begin = () => {
    video.playbackRate = Number(byId("rate").value);
    const isShort = video.duration < last - .5;
    byId("foreign").hidden = !isShort && extent.bottom < 1.5 * video.videoHeight;
    layOut();
    seek(clock.time);
  };
  addEventListener("load", () => {
    if (video.error) fallBack();
    else if (video.readyState > 0) begin(); else video.addEventListener("loadedmetadata", begin);
  });
}

// Part of the image's plane that is drawn: all of the video, or the animal, whose way is followed.
const point = (frame, index) => {
  const at = 2 * (frame * roles.length + index);
  return xy[at] === null ? null : [xy[at], xy[at + 1]];
};
const quantile = (values, fraction) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(fraction * (sorted.length - 1))];
};
const middles = (() => {
  const trunk = ["withers", "back", "tail_base"].map((role) => roles.indexOf(role));
  const own = times.map((_, frame) => {
    const known = trunk.filter((index) => index >= 0).map((index) => point(frame, index));
    const xs = known.filter(Boolean).map(([x]) => x);
    return xs.length ? xs.reduce((a, b) => a + b) / xs.length : null;
  });
  const reach = 8;
  let latest = own.find((x) => x !== null) ?? 0;
  return own.map((_, frame) => {
    const near = own.slice(Math.max(0, frame - reach), frame + reach + 1);
    const known = near.filter((x) => x !== null);
    if (known.length) latest = known.reduce((a, b) => a + b) / known.length;
    return latest;
  });
})();
const extent = (() => {
  const [away, heights] = [[], []];
  times.forEach((_, frame) => roles.forEach((_, index) => {
    const at = point(frame, index);
    if (at) { away.push(Math.abs(at[0] - middles[frame])); heights.push(at[1]); }
  }));
  const [top, bottom] = [quantile(heights, .001), quantile(heights, .999)];
  const margin = .06 * (bottom - top);
  return {half: 1.06 * quantile(away, .999), top: top - margin, bottom: bottom + margin};
})();
const view = (frame) => playable && video.videoWidth
  ? {x: 0, y: 0, width: video.videoWidth, height: video.videoHeight}
  : {x: middles[frame] - extent.half, y: extent.top, width: 2 * extent.half,
     height: extent.bottom - extent.top};

const canvas = byId("figure");
const pen = canvas.getContext("2d");
const sideOf = (role) => /^l[_fh]/.test(role) ? "left" : /^r[_fh]/.test(role) ? "right" : "middle";
const layOut = () => {
  const {width, height} = view(0);
  const screen = byId("screen");
  screen.style.width = `min(100%, ${(innerWidth < 960 ? .3 : .62) * innerHeight * width / height}px)`;
  screen.style.aspectRatio = `${width} / ${height}`;
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(screen.clientWidth * scale);
  canvas.height = Math.round(screen.clientHeight * scale);
  draw(clock.time);
};
const standing = (limb, time) =>
  (trial.stances[limb] ?? []).some(([on, off]) => on !== null && off !== null && on <= time && time < off);
const draw = (time) => {
  const frame = frameAt(time);
  const {x, y, width} = view(frame);
  const [scale, ratio] = [canvas.width / width, devicePixelRatio || 1];
  const style = getComputedStyle(document.documentElement);
  const colours = {left: style.getPropertyValue("--s0"), right: style.getPropertyValue("--s1"),
    middle: playable ? "#ffffff" : style.getPropertyValue("--text")};
  const place = (index) => {
    const at = point(frame, index);
    return at && [(at[0] - x) * scale, (at[1] - y) * scale];
  };
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.lineCap = "round";
  const farSide = trial.forward > 0 ? "left" : "right";  // the camera sees the other one
  const order = [farSide, "middle", farSide === "left" ? "right" : "left"];
  for (const side of order) {
    const own = (index) => sideOf(roles[index]) === side;
    for (const [start, end] of trial.links.filter(([_, end]) => own(end))) {
      const [from, to] = [place(start), place(end)];
      if (!from || !to) continue;
      for (const [colour, thick] of playable ? [["#000000a0", 4.5], [colours[side], 2.5]]
        : [[colours[side], 2.5]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = thick * ratio;
        pen.beginPath(); pen.moveTo(...from); pen.lineTo(...to); pen.stroke();
      }
    }
    roles.forEach((role, index) => {
      const at = place(index);
      if (!own(index) || !at) return;
      pen.fillStyle = colours[side];
      pen.beginPath(); pen.arc(...at, 3 * ratio, 0, 2 * Math.PI); pen.fill();
      if (role.endsWith("_hoof") && standing(role.slice(0, 2), times[frame])) {
        pen.strokeStyle = colours[side];
        pen.lineWidth = 2 * ratio;
        pen.beginPath(); pen.arc(...at, 8 * ratio, 0, 2 * Math.PI); pen.stroke();
      }
    });
  }
  byId("now").textContent = `${times[frame].toFixed(2)} s`;
  byId("seek").value = time;
};
clock.shows.push(draw);

Object.assign(byId("seek"), {min: first, max: last, step: "any"});
byId("seek").addEventListener("input", (event) => seek(Number(event.target.value)));
byId("play").addEventListener("click", () => play(!clock.playing));
for (const [id, by] of [["back", -1], ["on", 1]]) {
  byId(id).addEventListener("click", () => {
    play(false);
    seek(times[Math.min(Math.max(frameAt(clock.time) + by, 0), times.length - 1)]);
  });
}
byId("rate").addEventListener("change", (event) => {
  if (playable) video.playbackRate = Number(event.target.value);
});
addEventListener("resize", layOut);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", layOut);
layOut();
