"""``equikpt-run``: images, folders and videos through an exported model."""

from __future__ import annotations

import argparse
import dis
import itertools
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from equikpt_runtime.backends import BACKENDS, PRECISIONS
from equikpt_runtime.clips import CODECS, VIDEO_SUFFIXES, Clip
from equikpt_runtime.detectors import Detector
from equikpt_runtime.drawing import draw_prediction, draw_tab, has_names, write_image
from equikpt_runtime.files import drawn_paths, refuse_existing
from equikpt_runtime.given_boxes import GivenBoxes
from equikpt_runtime.images import ImageError
from equikpt_runtime.instance import Instance, format_reading
from equikpt_runtime.model import Model
from equikpt_runtime.one_euro import OneEuroOptions
from equikpt_runtime.progress import progress
from equikpt_runtime.refusals import failures, refusal_lines
from equikpt_runtime.tables import CocoFile, DeepLabCutTable, PlainTable
from equikpt_runtime.tracking import TrackOptions, predict_frames, track_and_smooth
from equikpt_runtime.videos import write_video

IMAGE_SUFFIXES = (".avif", ".bmp", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class Sources(NamedTuple):
    """Images and videos to read."""

    images: list[Path]
    videos: list[Path]


def parser() -> argparse.ArgumentParser:
    """Declare the command line."""
    made = argparse.ArgumentParser(
        prog="equikpt-run",
        description="Find keypoints by an exported model, and draw them into DIR.",
        epilog="Exit code 0: everything was read; 1: some images or frames could not be; 2: wrong "
        "input.",
    )
    add = made.add_argument
    add("model", metavar="MODEL", type=Path, help=".onnx or .xml of equikpt export")
    add("source", metavar="IMAGE|FOLDER|VIDEO", nargs="+", type=Path, help="what to read")
    add("--out", metavar="DIR", type=Path, required=True, help="folder to write to")
    add("--csv", action="store_true", help="write a table, a row a keypoint")
    add("--dlc", action="store_true", help="write DeepLabCut's table")
    add("--coco", action="store_true", help="write COCO's annotations")
    add("--no-draw", dest="draw", action="store_false", help="draw nothing: tables alone")
    boxes = made.add_mutually_exclusive_group()
    boxes.add_argument("--boxes", metavar="FILE", type=Path, help="COCO's .json, or .csv")
    boxes.add_argument("--detector", metavar="FILE.onnx", type=Path, help="finds the boxes")
    add("--detector-class", metavar="NAME|N", help="what it finds (horse)")
    add("--detector-score", metavar="SCORE", type=float, help="min score of a box (0.5)")
    add("--smooth", action="store_true", help="steady the keypoints of videos")
    add("--no-track", dest="track", action="store_false", help="do not number animals of videos")
    add("--no-refuse", dest="refuse", action="store_false", help="give keypoints all the same")
    add("--level", metavar="FRACTION", type=float, default=0.9, help="probability of radii (0.9)")
    add("--radius", action="store_true", help="draw the radii")
    add("--backend", choices=BACKENDS, help="what computes (onnxruntime; openvino for .xml)")
    add("--precision", choices=[*PRECISIONS], default="float32", help="of openvino")
    add("--threads", metavar="N", type=int, help="cores to compute on (all)")
    add("--batch-size", metavar="N", type=int, default=8, help="boxes computed at once (8)")
    add("--overwrite", action="store_true", help="replace what is there")
    return made


def find_sources(given: Sequence[Path]) -> Sources:
    """List images and videos: those named, and the images of folders, sorted by name.

    Raises:
        FileNotFoundError: No such file or folder, or a folder without images.
    """
    images: list[Path] = []
    videos: list[Path] = []
    for path in given:
        if path.is_dir():
            found = sorted(each for each in path.iterdir() if _is(each, IMAGE_SUFFIXES))
            if not found:
                raise FileNotFoundError(f"expected images in {path}, found none directly in it")
            images += found
        elif not path.exists():
            raise FileNotFoundError(f"expected images or a video at {path}, found nothing there")
        else:
            (videos if _is(path, VIDEO_SUFFIXES) else images).append(path)
    return Sources(images, videos)


def run(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Predict, draw and write; lines on what could not be read, and other lines.

    Raises:
        OSError, ValueError, ImportError: Wrong input.
    """
    sources = find_sources(options.source)
    drawn = drawn_paths(sources.images, options.out) if options.draw else []
    clips = [Clip.open(path) for path in sources.videos]
    stems = ["predictions"] * bool(sources.images) + [path.stem for path in sources.videos]
    if len(set(stems)) < len(stems):
        raise ValueError(f"expected videos of different names, got {', '.join(stems)}")
    if not (options.draw or options.csv or options.dlc or options.coco):
        raise ValueError("expected --csv, --dlc or --coco with --no-draw: there is nothing to do")
    targets = [*drawn, *(path for stem in stems for path in _targets(options, stem).values())]
    targets += [_video_target(options, clip) for clip in clips if options.draw]
    for target in targets:
        refuse_existing(target, options.overwrite)
    if inside := {each.resolve() for each in targets} & {
        path.resolve() for part in sources for path in part
    }:
        raise ValueError(f"expected another --out than where {inside.pop()} is read from")
    model = Model(
        options.model,
        options.backend,
        options.threads,
        options.level,
        options.refuse,
        options.batch_size,
        options.precision,
    )
    _check(options, model, sources)
    find = given = None
    if options.detector:
        named = dict(label=options.detector_class, min_score=options.detector_score)
        named = {name: value for name, value in named.items() if value is not None}
        find = Detector(options.detector, backend=options.backend, threads=options.threads, **named)
    elif options.boxes:
        given = GivenBoxes(options.boxes)
        if clips and not given.has_frames:
            raise ValueError(
                f"expected boxes of frames for a video, by their numbers from 0, in {options.boxes}"
            )
    problems, lines = [], []
    if sources.images:
        found = _images(options, model, sources.images, drawn, find, given)
        problems += found[0]
        lines += found[1]
    for clip in clips:
        found = _video(options, model, clip, find, given)
        problems += found[0]
        lines += found[1]
    return problems, lines


def _check(options: argparse.Namespace, model: Model, sources: Sources) -> None:
    """Refuse what does not fit the model."""
    mistakes = {
        "a model of named keypoints for --dlc and --coco": (options.dlc or options.coco)
        and not has_names(model.metainfo),
        "a model that takes boxes for --boxes and --detector": (options.boxes or options.detector)
        and not model.takes_boxes,
        "a video for --smooth, got images": options.smooth and not sources.videos,
        "tracked animals for --smooth": options.smooth
        and not (options.track and has_names(model.metainfo)),
        "one video for --boxes, whose frames it has by number": options.boxes
        and len(sources.videos) > 1,
        "--detector for --detector-class and --detector-score": not options.detector
        and (options.detector_class, options.detector_score) != (None, None),
        "drawings for --radius, got --no-draw": options.radius and not options.draw,
        "a model with radii for --radius": options.radius and not model.has_radii,
    }
    for expected, is_made in mistakes.items():
        if is_made:
            raise ValueError(f"expected {expected}")


def _targets(options: argparse.Namespace, stem: str) -> dict[str, Path]:
    """Tables to write, by their options."""
    names = dict(csv=f"{stem}.csv", dlc=f"{stem}_dlc.csv", coco=f"{stem}_coco.json")
    return {name: options.out / file for name, file in names.items() if getattr(options, name)}


def _video_target(options: argparse.Namespace, clip: Clip) -> Path:
    suffix = clip.path.suffix if clip.path.suffix.lower() in CODECS else ".mp4"
    return options.out / f"{clip.path.stem}_pose{suffix}"


def _open_tables(
    options: argparse.Namespace, model: Model, stem: str, stack: ExitStack
) -> tuple[list[Any], CocoFile | None]:
    """The tables, and the file of COCO, which wants sizes as well."""
    names, targets = model.names if has_names(model.metainfo) else None, _targets(options, stem)
    tables: list[Any] = []
    if "csv" in targets:
        tables.append(stack.enter_context(PlainTable(targets["csv"], names)))
    if "dlc" in targets:
        tables.append(stack.enter_context(DeepLabCutTable(targets["dlc"], model.names)))
    links = model.metainfo["skeleton_links"]
    coco = CocoFile(targets["coco"], model.names, links) if "coco" in targets else None
    return tables, stack.enter_context(coco) if coco else None


def _draw(
    options: argparse.Namespace, model: Model, image: np.ndarray, instances: Sequence[Instance]
) -> np.ndarray:
    for instance in instances:
        image = draw_prediction(image, instance, model.metainfo, radius=options.radius)
        image = draw_tab(image, instance)
    return image


def _images(
    options: argparse.Namespace,
    model: Model,
    paths: Sequence[Path],
    drawn: Sequence[Path],
    find: Detector | None,
    given: GivenBoxes | None,
) -> tuple[list[str], list[str]]:
    problems: list[str] = []
    lines: list[str] = []
    waiting: deque[tuple[Path, np.ndarray, Path | None]] = deque()

    def views() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for path, target in itertools.zip_longest(paths, drawn):
            try:
                image = model.read(path)
                boxes = find(image) if find else given.of_image(path, image) if given else None
            except ImageError as error:
                problems.append(f"{path}: {error}")
                continue
            waiting.append((path, image, target))
            yield image, boxes

    with ExitStack() as stack:
        tables, coco = _open_tables(options, model, "predictions", stack)
        for instances in progress(model.stream(views()), len(paths), "images"):
            path, image, target = waiting.popleft()
            for table in tables:
                table.add(str(path), instances)
            if coco:
                coco.add(str(path), instances, size_px=image.shape[1::-1])
            if target:
                try:
                    write_image(target, _draw(options, model, image, instances))
                except ImageError as error:
                    problems.append(f"{path}: {error}")
            lines += refusal_lines(path, instances) if instances else [f"{path}: nothing found"]
            lines += [f"{path}: {text}" for text in map(format_reading, instances) if text]
    if len(problems) == len(paths):
        raise OSError(f"none of {len(paths)} images can be read: {problems[0]}")
    lines.append(f"written: {options.out}: {len(paths) - len(problems)} images")
    return failures(problems, len(paths)), lines


def _video(
    options: argparse.Namespace,
    model: Model,
    clip: Clip,
    find: Detector | None,
    given: GivenBoxes | None,
) -> tuple[list[str], list[str]]:
    number = itertools.count()

    def boxes(path: Path, pixels: np.ndarray) -> np.ndarray | None:
        return find(pixels) if find else given.of_frame(next(number)) if given else None

    track = TrackOptions() if options.track else None
    smooth = OneEuroOptions(beta=20.0) if options.smooth else None
    found = predict_frames(clip.frames(), model, boxes, clip.path)
    followed = track_and_smooth(found, model.metainfo, track, smooth)
    with ExitStack() as stack:
        tables, coco = _open_tables(options, model, clip.path.stem, stack)
        adding = [table.add for table in tables]
        adding += [partial(coco.add, size_px=clip.size_px)] if coco else []
        target = _video_target(options, clip) if options.draw else None
        counted = progress(followed, clip.count, "frames")
        draw = partial(_draw, options, model)
        return write_video(clip, counted, adding, target, draw, options.overwrite)


def _is_told(error: BaseException) -> bool:
    """Tell if the system reports an error of a file, or this package's own ``raise`` does."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or isinstance(error, OSError):
        return True
    code, last = trace.tb_frame.f_code.co_code, trace.tb_lasti
    is_raised = code[last] == dis.opmap["RAISE_VARARGS"]
    return is_raised and trace.tb_frame.f_globals["__name__"].startswith("equikpt_runtime")


def _is(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes and not path.name.startswith(".")


def main(argv: list[str] | None = None) -> int:
    """Run the command: 0 done, 1 where something could not be read, 2 wrong input."""
    try:
        options = parser().parse_args(argv)
        problems, lines = run(options)
    except (OSError, ValueError, ImportError) as error:
        if os.environ.get("EQUIKPT_TRACEBACK") or not _is_told(error):
            raise
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write("\n".join([*problems, *lines, ""]))
    return int(bool(problems))


def console() -> NoReturn:
    """Run the console script ``equikpt-run``."""
    sys.exit(main())


if __name__ == "__main__":
    console()
