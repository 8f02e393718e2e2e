"""Moving trials: a horse's keypoints over time, in px of a side view, with exact truth.

A hoof in its stance stays where it is: the trunk moves by one stride length, 2 · reach / duty, a
stride. Stride durations and asymmetries may vary from stride to stride.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.ndimage import uniform_filter1d
from scipy.signal import lfilter

from equikpt.gait.tables import KeypointTable
from equikpt.metainfo.horse26 import KEYPOINTS
from equikpt.tracks.smoothing import RADIUS_PER_SIGMA
from projects.sample_horses.anatomy import (
    NECK_BASE,
    Build,
    Pose,
    move_trunk,
    pose_skeleton,
)
from projects.sample_horses.camera import Camera
from projects.sample_horses.coat import Coat, random_coat
from projects.sample_horses.gait import GAITS, Gait, pose_in
from projects.sample_horses.horse import Horse

Array = np.ndarray

NAMES = tuple(point.name for point in KEYPOINTS)
STRIDE_S = dict(walk=1.08, trot=0.70, canter=0.56, tolt=0.56, pace=0.52, gallop=0.48)
"""Usual stride durations, s."""
DROP_M = dict(trot=0.05, canter=0.11, pace=0.06, tolt=0.035)
"""Sinking of the trunk where the table's lifts hooves off the ground at the ends of a stance, m."""
DISTANCE_M = 10.0
CAMERA_HEIGHT_M = 1.2
SHAKE_DEG, ROLL_DEG, SHAKE_S = 0.25, 0.4, 0.3
"""SD of the view's direction and roll in a hand, and the time over which they change."""
LENGTH_M = 2.5
"""Horse length, nose to tail, that ``length_px`` stands for."""
LEVERS_M = dict(withers=0.40, pelvis=-0.755)
"""Distances of both points from the centre that the trunk pitches about."""


@dataclass(frozen=True)
class Motion:
    """Settings of a trial.

    Attributes:
        gait: row of :data:`~projects.sample_horses.gait.GAITS`; see :func:`gait_of`.
        fps: frames a second.
        strides: number of them.
        stride_s: mean duration of a stride; None for the usual one.
        mirrored: the other lead of a canter or gallop.
        facing: side of the image that the head points to.
        camera: one that stands still; one that follows the horse, as beside a treadmill; one that
            turns after it from where it stands; or one in a hand, which turns and shakes.
        view: from the side, or from behind by a camera that follows.
        length_px: of the horse.
        size_px: width and height of the image.
        head_mm: MinDiff and MaxDiff of the head in trot; positive is the right foreleg's pattern.
        withers_mm: of the withers, likewise.
        pelvis_mm: of the pelvis; positive is the right hind leg's.
        variation_mm: SD of these between strides.
        variation: SD of the stride durations between strides, as a fraction.
        build: proportions.
    """

    gait: str = "trot"
    fps: float = 60.0
    strides: int = 20
    stride_s: float | None = None
    mirrored: bool = False
    facing: Literal["left", "right"] = "left"
    camera: Literal["still", "follows", "pans", "hand-held"] = "follows"
    view: Literal["side", "rear"] = "side"
    length_px: float = 1000.0
    size_px: tuple[int, int] = (1920, 1080)
    head_mm: tuple[float, float] = (0.0, 0.0)
    withers_mm: tuple[float, float] = (0.0, 0.0)
    pelvis_mm: tuple[float, float] = (0.0, 0.0)
    variation_mm: float = 0.0
    variation: float = 0.0
    build: Build = Build()


@dataclass(frozen=True, eq=False)
class MovingTrial:
    """A trial and its truth.

    Attributes:
        motion: its settings.
        times_s: (T,) of the frames.
        horses: T, where the camera sees them: one that follows keeps them at the origin.
        cameras: T.
        world_m: (T, 26, 3) keypoints, x along the way, z up.
        xy_px: (T, 26, 2) in the image.
        mm_per_px: in the plane of the horse's middle.
        on_s: times of each leg's hoof-on, by ``lf``, ``rf``, ``lh`` and ``rh``.
        off_s: of its hoof-off, likewise.
        speed_m_s: mean.
    """

    motion: Motion
    times_s: Array
    horses: list[Horse]
    cameras: list[Camera]
    world_m: Array
    xy_px: Array
    mm_per_px: float
    on_s: dict[str, Array]
    off_s: dict[str, Array]
    speed_m_s: float

    @cached_property
    def side_mm(self) -> KeypointTable:
        """Exact keypoints seen from the side without perspective, mm, y down as in an image."""
        sign = 1 if self.motion.facing == "right" else -1
        xy = 1000 * self.world_m[:, :, [0, 2]] * [sign, -1]
        return KeypointTable(self.times_s, NAMES, xy)

    def height_mm(self, *names: str) -> CubicSpline:
        """Mean height of keypoints over time."""
        index = [NAMES.index(name) for name in names]
        return CubicSpline(self.times_s, 1000 * self.world_m[:, index, 2].mean(axis=1))

    def table(
        self,
        sigma_px: float = 0.0,
        rng: np.random.Generator | None = None,
        *,
        correlation: float = 0.0,
        far: float = 1.0,
        spread: float = 0.0,
        outliers: float = 0.0,
    ) -> KeypointTable:
        """The keypoints with noise, and the radii (level 0.9) that state it.

        Args:
            sigma_px: SD in x and in y.
            rng: draws the noise.
            correlation: between one frame and the next.
            far: factor on the noise of the legs that face away.
            spread: SD of the logarithm of the noise's SD, between points and frames.
            outliers: fraction of points that are lost by a tenth of the horse's length.
        """
        rng = rng or np.random.default_rng(0)
        away = "r" if self.motion.facing == "left" else "l"
        sigma = np.array([sigma_px * (far if name.startswith(away) else 1.0) for name in NAMES])
        white = rng.normal(size=self.xy_px.shape)
        white[1:] *= np.sqrt(1 - correlation**2)
        sigmas = sigma * np.exp(spread * rng.normal(size=white.shape[:2]) - spread**2)
        noise = lfilter([1.0], [1.0, -correlation], white, axis=0) * sigmas[..., None]
        lost = rng.random(noise.shape[:2]) < outliers
        noise[lost] += rng.normal(0, self.motion.length_px / 10, (int(lost.sum()), 2))
        radii = sigmas * RADIUS_PER_SIGMA if sigma_px else None
        return KeypointTable(self.times_s, NAMES, self.xy_px + noise, radii=radii)


def moving_trial(motion: Motion, seed: int = 0, coat: Coat | None = None) -> MovingTrial:
    """Move a horse; the seed draws what varies between strides, and the coat if it is not given."""
    rng = np.random.default_rng(seed)
    gait = gait_of(motion)
    stride_s = motion.stride_s or STRIDE_S[motion.gait]
    durations = stride_s * (1 + motion.variation * rng.normal(size=motion.strides + 4))
    knots_s = np.concatenate([[0.0], np.cumsum(durations)]) - 2.3 * stride_s
    phase_at = PchipInterpolator(knots_s, np.arange(len(knots_s)))
    time_at = PchipInterpolator(np.linspace(0, len(durations), 4000),
                                _inverse(phase_at, len(durations)))  # fmt: skip
    times = np.arange(0, motion.strides * stride_s, 1 / motion.fps)
    phases = phase_at(times)
    poses = _poses(motion, phases, rng)
    length_m = 2 * gait.reach / gait.duty * motion.build.size
    way_m = length_m * (phases - phases.mean())
    coat = coat or random_coat(np.random.default_rng(seed))
    horses = [
        Horse(motion.build, pose, coat, (float(x), 0.0))
        for pose, x in zip(poses, way_m, strict=True)
    ]
    world = np.array([horse.keypoints_world() for horse in horses])
    swap = {"l": "r", "r": "l"}
    down = {
        (swap[leg[0]] + leg[1] if motion.mirrored else leg): at
        for leg, at in gait.touch_down.items()
    }
    whole = np.arange(len(durations))
    on = {leg: _within(time_at, whole + at, times) for leg, at in down.items()}
    off = {leg: _within(time_at, whole + at + gait.duty, times) for leg, at in down.items()}
    focal_px = motion.length_px / LENGTH_M * DISTANCE_M
    seen = world
    if motion.camera == "follows" or motion.view == "rear":
        numbers = np.arange(len(world))
        line = np.polynomial.Polynomial.fit(numbers, world[..., 0].mean(axis=1), 1)(numbers)
        seen = world - line[:, None, None] * [1.0, 0.0, 0.0]
        horses = [
            replace(horse, position=(float(x), 0.0))
            for horse, x in zip(horses, way_m - line, strict=True)
        ]
    cameras = _cameras(motion, times, horses, focal_px, rng)
    return MovingTrial(
        motion,
        times,
        horses,
        cameras,
        world,
        np.array([camera.project(points)[0] for camera, points in zip(cameras, seen, strict=True)]),
        1000 * DISTANCE_M / focal_px,
        on,
        off,
        float(length_m * np.ptp(phases) / np.ptp(times)),
    )


def gait_of(motion: Motion) -> Gait:
    """The row of the gait, with a trunk low enough that hooves in stance stay where they are."""
    gait = GAITS[motion.gait]
    return replace(gait, drop=DROP_M.get(motion.gait, gait.drop))


def _inverse(phase_at: PchipInterpolator, end: int) -> Array:
    fine = np.linspace(phase_at.x[0], phase_at.x[-1], 200 * end)
    return np.interp(np.linspace(0, end, 4000), phase_at(fine), fine)


def _within(time_at: PchipInterpolator, phases: Array, times: Array) -> Array:
    found = time_at(phases[phases <= time_at.x[-1]])
    return found[(found >= times[0]) & (found <= times[-1])]


def _poses(motion: Motion, phases: Array, rng: np.random.Generator) -> list[Pose]:
    """Poses of the gait; in trot with a trunk that is lowest in mid-stance, and the asymmetries."""
    gait = gait_of(motion)
    poses = [pose_in(gait, p % 1.0, mirrored=motion.mirrored) for p in phases]
    if motion.gait != "trot":
        return poses
    from_middle = 2 * np.pi * (phases - gait.duty / 2)  # of the stance of rf and lh
    waves = np.stack([np.cos(from_middle), np.sin(from_middle)])
    size = 1000 * motion.build.size

    def planted(diffs_mm: tuple[float, float], sign: int) -> Array:
        knots = rng.normal(0, motion.variation_mm, (2, int(phases.max()) + 3))
        at = np.arange(knots.shape[1])
        mins, maxs = (
            np.interp(phases, at, each + row) for each, row in zip(diffs_mm, knots, strict=True)
        )
        return sign * (mins * waves[0] - maxs * waves[1]) / 2 / size

    withers, pelvis = planted(motion.withers_mm, 1), planted(motion.pelvis_mm, -1)
    head = planted(motion.head_mm, 1)
    pitch = (withers - pelvis) / (LEVERS_M["withers"] - LEVERS_M["pelvis"])
    rise = withers - LEVERS_M["withers"] * pitch
    bounce = -gait.drop + gait.bounce * (0.5 - 0.5 * np.cos(2 * from_middle))
    moved = [
        replace(pose, trunk_rise=float(b + r), trunk_pitch=float(p))
        for pose, b, r, p in zip(poses, bounce, rise, pitch, strict=True)
    ]
    level = pose_skeleton(motion.build, poses[0])
    lever = level.poll - level.neck[0]
    return [
        _with_head(motion.build, pose, lever, float(h - r), float(p))
        for pose, h, r, p in zip(moved, head, rise, pitch, strict=True)
    ]


def _with_head(build: Build, pose: Pose, lever: Array, rise_m: float, pitch: float) -> Pose:
    """Turn the neck at its base so that the poll rises by ``rise_m`` against a level trunk."""
    base = np.array([NECK_BASE[0], 0.0, NECK_BASE[1]])
    lifted = move_trunk(base, pose, build) - move_trunk(base, replace(pose, trunk_pitch=0.0), build)
    # z of the poll over its base is the lever turned: three Newton steps are exact to 0.01 mm
    turn, wanted = 0.0, rise_m - lifted[2]
    for _ in range(3):
        z = lever[0] * np.sin(turn) + lever[2] * (np.cos(turn) - 1)
        turn += (wanted - z) / (lever[0] * np.cos(turn) - lever[2] * np.sin(turn))
    turn -= pitch  # the neck turns with the trunk
    return replace(pose, neck_base=pose.neck_base + turn, neck_end=pose.neck_end + turn)


def _cameras(
    motion: Motion, times: Array, horses: list[Horse], focal_px: float, rng: np.random.Generator
) -> list[Camera]:
    """Cameras on the horse's left where it faces left, else on its right."""
    sign = 1 if motion.facing == "left" else -1
    position = [0.0, sign * DISTANCE_M] if motion.view == "side" else [-DISTANCE_M, 0.0]
    targets = np.zeros((len(horses), 3))
    targets[:, 2] = CAMERA_HEIGHT_M
    shake = np.zeros((3, len(horses)))
    if motion.camera in ("pans", "hand-held"):
        targets[:, 0] = [horse.position[0] for horse in horses]
    if motion.camera == "hand-held":
        kept = np.exp(-np.median(np.diff(times)) / SHAKE_S)
        wander = lfilter([np.sqrt(1 - kept**2)], [1.0, -kept], rng.normal(size=shake.shape))
        smoothed = uniform_filter1d(wander, 1 + int(SHAKE_S / 3 / np.median(np.diff(times))))
        shake = np.deg2rad([[SHAKE_DEG], [SHAKE_DEG], [ROLL_DEG]]) * smoothed
        targets[:, [0, 2]] += DISTANCE_M * shake[:2].T
    middle = (motion.size_px[0] / 2, motion.size_px[1] / 2)
    eye = np.array([*position, CAMERA_HEIGHT_M])
    return [
        Camera.look_at(eye, target, focal_px, middle, float(roll))
        for target, roll in zip(targets, shake[2], strict=True)
    ]
