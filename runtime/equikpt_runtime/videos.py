"""Predictions on a video, written as tables and as a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from equikpt_runtime.clips import Clip, ClipWriter
from equikpt_runtime.instance import Instance
from equikpt_runtime.refusals import RefusedFrames
from equikpt_runtime.tracking import Found

Adding = Callable[[int, Sequence[Instance], float], None]
"""A table's ``add``, of the number of a frame, its animals and its time."""


def write_video(
    clip: Clip,
    found: Iterable[Found],
    adding: Sequence[Adding],
    out: Path | None,
    draw: Callable[[np.ndarray, list[Instance]], np.ndarray],
    overwrite: bool = False,
) -> tuple[list[str], list[str]]:
    """Write the animals of a video's frames as they come.

    Args:
        clip: The video.
        found: Its frames.
        adding: For each table.
        out: Video with drawings; None writes none.
        draw: Function of a frame and its animals to the drawing of both.
        overwrite: Replace a video that exists.

    Returns:
        Lines on frames that could not be read, and other lines.
    """
    problems, lines, count, writer, refused = [], [], 0, None, RefusedFrames()
    last_s = longest_s = 0.0
    if out:
        fps = clip.constant_fps()
        writer = ClipWriter(out, fps, clip.size_px, overwrite)
    with writer or nullcontext():
        for count, (frame, instances) in enumerate(found, start=1):
            longest_s, last_s = max(longest_s, frame.time_s - last_s), frame.time_s
            for add in adding:
                add(count - 1, instances, frame.time_s)
            refused.add(instances, frame.time_s)
            if writer:
                writer.write(draw(frame.pixels, instances), frame.time_s)
    lines += refused.lines(clip.path)
    if clip.untimed:
        lines.append(
            f"{clip.path}: the file has no times of its frames; taken as {clip.fps:g} a second"
        )
    if writer:
        width, height = writer.written_px
        repeated = "" if fps == clip.fps else ", repeated for their time: the rate is variable"
        lines.append(
            f"written: {writer.path} ({writer.codec}, {count} frames of {width} x {height} px, "
            f"{fps:g} a second{repeated})"
        )
    # of a variable rate the header's number is a guess: what counts is that the end is there
    if clip.count > count and clip.count / clip.fps - last_s > longest_s + 0.5 / clip.fps:
        problems.append(
            f"{clip.path}: its header promises {clip.count} frames, {count} could be read"
        )
    return problems, lines
