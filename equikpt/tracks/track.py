"""A video becomes a table: its animals followed, their paths smoothed, and all of it written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from tqdm import tqdm

from equikpt.tracks.camera import CameraMotion
from equikpt.tracks.following import Detector, Follower, FollowOptions
from equikpt.tracks.ground import Ground, ground_line, mm_per_px
from equikpt.tracks.paths import PathOptions, Paths
from equikpt.tracks.publishing import Outputs
from equikpt.tracks.spool import Spool
from equikpt.tracks.tables import check_format
from equikpt.tracks.writing import FRAMES_AHEAD, Counts, Points, Seen, write
from equikpt_runtime.ahead import ahead
from equikpt_runtime.clips import Clip
from equikpt_runtime.instance import Instance

WITHERS = "withers"
Camera = Literal["auto", "still", "moving"]


class Model(Protocol):
    """Model of named keypoints that takes boxes: of equikpt, or exported."""

    metainfo: dict
    names: tuple[str, ...]

    def __call__(self, images: np.ndarray, boxes: np.ndarray) -> list[Instance]:
        """Predict the instances of an image (H, W, 3) uint8, BGR, in boxes (N, 4)."""
        ...


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """Settings of :func:`track_video`.

    Args:
        follow: Of the following.
        paths: Of the smoothing.
        camera: Still, moving, or told by the motion of the background.
        formats: Files to write beside the csv, of :data:`~equikpt.tracks.tables.FORMATS`.
        video: Write a video with the smoothed poses.
        roles: Names of the keypoints by the role in a gait: hooves, ``…_hoof``, for the ground,
            and ``withers`` for the scale; empty where they have none.
        height_mm: Height of the withers over the ground.
        mm_per_px: Scale in the plane of the animals, instead.
    """

    follow: FollowOptions = field(default_factory=FollowOptions)
    paths: PathOptions = field(default_factory=PathOptions)
    camera: Camera = "auto"
    formats: Sequence[str] = ()
    video: bool = False
    roles: Mapping[str, str] = field(default_factory=dict)
    height_mm: float | None = None
    mm_per_px: float | None = None


@dataclass(eq=False)
class _Tracked:
    """All that is said of a video."""

    clip: Clip
    spool: Spool
    follower: Follower
    camera: CameraMotion | None
    counts: Counts
    moves: bool
    grounds: dict[int, Ground | None]
    scales: dict[int, float]
    """Millimetres a px by animal; NaN where it is not known."""

    def problems(self) -> list[str]:
        """Sentences on what could not be read or found."""
        clip, count, found = self.clip, len(self.spool), []
        if not self.counts.points:
            found.append(f"{clip.path}: no animal was found in {count} frames")
        last_s = self.spool.times_s[-1] if count else 0.0
        # of a variable rate the header's number is a guess: what counts is that the end is there
        if clip.count > count and clip.count / clip.fps - last_s > 1.5 / clip.fps:
            found.append(
                f"{clip.path}: its header promises {clip.count} frames, {count} could be read"
            )
        if self.moves and self.camera and self.camera.breaks:
            at_s = ", ".join(f"{self.spool.times_s[each]:.2f}" for each in self.camera.breaks[:5])
            found.append(
                f"{clip.path}: the background is lost {len(self.camera.breaks)} times (at {at_s} "
                "s); stabilised points before and after are not in one frame"
            )
        if np.isnan([*self.scales.values()]).any():
            found.append(f"{clip.path}: no scale: too few hooves that stand, or no withers")
        return found

    def lines(self) -> list[str]:
        """Sentences on what was done."""
        lost, total = self.follower.lost, sum(self.counts.points.values(), Counter())
        count, frames, path = len(self.counts.points), len(self.spool), self.clip.path
        lines = [
            f"{path}: {count} animal{'s' * (count != 1)} in {frames} frames; "
            f"{total['measured']} points measured, {total['outlier']} outliers, {total['unsure']} "
            f"unsure, {total['bridged']} of gaps filled"
        ]
        if self.camera:
            unknown = len(self.camera.unknown)
            state = "moves" if self.moves else "is still"
            if not self.camera.is_known:
                state = "is taken as still: the background shows too little"
            bridged = f"; too few corners agree in {unknown} frames" if unknown else ""
            lines.append(f"{path}: the camera {state}{bridged}")
        for what, number in (
            ("refused a pose as unlike the training", lost.refused),
            ("lost an animal", lost.unsure),
            ("had two boxes upon one animal, of which one was dropped", lost.merged),
        ):
            if number:
                lines.append(f"{path}: {number} of {frames} frames {what}")
        if self.clip.untimed:
            lines.append(
                f"{path}: the file has no times of its frames; taken as {self.clip.fps:g} a second"
            )
        return lines

    def statement(self) -> dict[str, Any]:
        """State what was done, in plain values."""
        times_s, lost, camera = self.spool.times_s, self.follower.lost, None
        if self.camera:
            unknown, breaks = self.camera.unknown.tolist(), self.camera.breaks
            camera = dict(moves=self.moves, unknown_frames=unknown, breaks=breaks)
        animals = []
        for number, points in self.counts.points.items():
            first, last, seen = self.counts.spans[number]
            span = dict(first_s=round(times_s[first], 6), last_s=round(times_s[last], 6))
            ground, scale = self.grounds.get(number), self.scales.get(number)
            animals.append(
                dict(
                    animal=number,
                    frames=seen,
                    **span,
                    points=dict(points),
                    ground=asdict(ground) if ground else None,
                    mm_per_px=scale if scale and np.isfinite(scale) else None,
                )
            )
        return dict(
            video=self.clip.path.name,
            frames=len(times_s),
            fps=self.clip.fps,
            size_px=list(map(int, self.clip.size_px)),
            has_times=not self.clip.untimed,
            camera=camera,
            animals=animals,
            frames_with=dict(refused=lost.refused, unsure=lost.unsure, merged=lost.merged),
            problems=self.problems(),
        )


def track_video(
    clip: Clip,
    model: Model,
    outputs: Outputs,
    settings: TrackSettings,
    by_hand: np.ndarray | None = None,
    detector: Detector | None = None,
) -> tuple[list[str], list[str]]:
    """Track the animals of a video and write its files.

    Args:
        clip: The video.
        model: Finds the keypoints.
        outputs: Places of the files.
        settings: As named.
        by_hand: (N, 4) boxes of the first frame, px; None stands for the detector's, or for the
            whole image.
        detector: Finds boxes; None where there is none.

    Returns:
        Lines on what could not be read or found, and other lines.

    Raises:
        ImportError: A format whose library is missing.
        OSError: The files cannot be written.
    """
    for name in settings.formats:
        check_format(name)
    sigmas = np.asarray(model.metainfo["sigmas"])
    follower = Follower(sigmas, clip.fps, by_hand, detector, settings.follow)
    camera = None if settings.camera == "still" else CameraMotion(clip.size_px)
    try:
        outputs.part.mkdir(parents=True, exist_ok=True)
        with Spool(outputs.part, len(model.names)) as spool:
            _follow(clip, model, follower, spool, camera)
            moves = _moves(camera, settings.camera)
            paths = Paths(spool, camera.to_still() if camera and moves else None, settings.paths)
            hooves = [name for role, name in settings.roles.items() if role.endswith("_hoof")]
            named = [*hooves, *filter(None, [settings.roles.get(WITHERS)])] if hooves else []
            seen = [model.names.index(name) for name in named]
            points = Points(model.names, model.metainfo)
            written = (settings.formats, settings.video, seen)
            counts, kept = write(clip, points, outputs, paths, *written)
            grounds = _grounds(paths, kept, len(hooves))
            scales = _scales(settings, grounds, kept, len(hooves), counts)
            found = _Tracked(clip, spool, follower, camera, counts, moves, grounds, scales)
            outputs.finish(found.statement())
            return found.problems(), found.lines()
    finally:
        outputs.discard()


def _follow(
    clip: Clip, model: Model, follower: Follower, spool: Spool, camera: CameraMotion | None
) -> None:
    """Predict frame by frame, each in the boxes that the frame before expects."""
    frames, total = ahead(clip.frames(), FRAMES_AHEAD), clip.count or None
    with ThreadPoolExecutor(1) as beside:  # the camera of one frame, while the model has the next
        measured: Future[None] | None = None
        for frame in tqdm(frames, clip.path.name, total, unit="frame", disable=None):
            boxes = follower.boxes(frame)
            instances = model(frame.pixels, boxes) if len(boxes) else []
            found = follower.take(instances, frame.time_s)
            spool.add(frame.time_s, found)
            if camera:
                if measured:
                    measured.result()
                measured = beside.submit(camera.add, frame.pixels, follower.outlines(found))
        if measured:
            measured.result()


def _moves(camera: CameraMotion | None, wanted: Camera) -> bool:
    """Tell if the camera moves.

    Raises:
        ValueError: It is said to, and the background shows too little.
    """
    if camera is None:
        return False
    if wanted == "moving" and not camera.is_known:
        raise ValueError(
            f"expected a background whose motion shows for a moving camera, too few corners agree "
            f"in {len(camera.unknown)} frames; leave it to auto, or say still"
        )
    return wanted == "moving" or camera.moves()


def _grounds(paths: Paths, kept: dict[int, Seen], hooves: int) -> dict[int, Ground | None]:
    """The ground under each animal, by its hooves, which come first."""
    return {
        number: ground_line(
            np.array(seen.times_s),
            np.array(seen.points)[:, :hooves],
            paths.noise[number].size_px,
        )
        for number, seen in kept.items()
    }


def _scales(
    settings: TrackSettings,
    grounds: dict[int, Ground | None],
    kept: dict[int, Seen],
    hooves: int,
    counts: Counts,
) -> dict[int, float]:
    """Millimetres a px by animal, where a scale is given."""
    if settings.mm_per_px is not None:
        return dict.fromkeys(counts.points, settings.mm_per_px)
    if settings.height_mm is None:
        return {}
    scales = dict.fromkeys(counts.points, float("nan"))
    for number, ground in grounds.items():
        withers = np.array(kept[number].points)[:, hooves:]
        if ground and withers.shape[1]:
            scales[number] = mm_per_px(ground, withers[:, 0], settings.height_mm)
    return scales
