"""Predict and draw: from the options of ``visualize`` to files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from equikpt.apis.box_source import BoxSource, box_source
from equikpt.apis.detectors import load_detector
from equikpt.apis.images import (
    drawn_paths,
    find_images,
    sheet,
    sheet_cell,
    show,
    write_image,
)
from equikpt.apis.predictor import Predictor
from equikpt.apis.video.clips import Clip, ClipWriter, check_clip_name
from equikpt.apis.video.inference import predict_frames, track_and_smooth
from equikpt.apis.video.one_euro import OneEuroOptions
from equikpt.apis.video.tables import (
    DeepLabCutTable,
    KeypointTable,
    PlainTable,
    check_deeplabcut_name,
)
from equikpt.apis.video.tracking import TrackOptions
from equikpt.cli.commands.visualize import VisualizeOptions
from equikpt.core.files import refuse_existing
from equikpt.core.image_batch import failures
from equikpt.core.image_decoding import ImageError
from equikpt.structures.ground_truth import Labels
from equikpt.visualization.pose import check_image_name, has_names
from equikpt.visualization.predictions import Look, draw


@dataclass
class Outcome:
    """Lines for a terminal.

    Args:
        written: A line a file or folder.
        problems: How many images could not be read, and a line each; or what a video lacks.
        notes: What else is to be known.
    """

    written: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def visualize(options: VisualizeOptions) -> Outcome:
    """Predict and draw as ``options`` say.

    Raises:
        FileNotFoundError: Images, config, checkpoint, annotations or a detector's weights are
            missing.
        FileExistsError: A file to write exists.
        ImportError: A detector or format whose library is missing.
        OSError: A video that cannot be read or written, or no image that can.
        ValueError: Options that do not fit each other, the model or the files.
    """
    options = _with_targets(options)
    check_options(options)
    look = _look(options)
    images = [] if options.video else find_images(options.img, options.img_dir)
    targets = _targets(options, images)
    for target in targets:
        refuse_existing(target, options.overwrite)
    clip = Clip.open(options.video) if options.video else None
    detector = None
    if options.detector:
        detector = load_detector(
            options.detector,
            options.detector_checkpoint,
            options.detector_class,
            options.detector_score,
            options.device,
        )
    predictor = Predictor(
        options.config,
        options.checkpoint,
        options.device,
        options.batch_size,
        maps=look.overlay is not None,
    )
    labels = Labels(options.ann_file, predictor.names) if options.ann_file else None
    boxes = box_source(options.box, detector, labels if predictor.takes_boxes else None)
    named = has_names(predictor.metainfo)
    if options.dlc and not named:
        raise ValueError("expected a model of named keypoints for --dlc; write --csv instead")
    with ExitStack() as stack:
        tables: list[KeypointTable] = []
        if options.csv:
            plain = PlainTable(options.csv, predictor.names if named else None)
            tables.append(stack.enter_context(plain))
        if options.dlc:
            tables.append(stack.enter_context(DeepLabCutTable(options.dlc, predictor.names)))
        if clip:
            outcome = _video(options, clip, predictor, boxes, tables)
        else:
            outcome = _images(options, images, predictor, boxes, labels, tables)
    outcome.written += [str(path) for path in (options.csv, options.dlc) if path]
    return outcome


def check_options(options: VisualizeOptions) -> None:
    """Check what a user gave before anything is loaded.

    Raises:
        ValueError: Options that do not fit each other.
        ImportError: See :func:`visualize`.
    """
    given = [bool(options.img), options.img_dir is not None, options.video is not None]
    if sum(given) != 1:
        raise ValueError("expected one of --img, --img-dir and --video")
    if options.box and options.detector:
        raise ValueError("expected boxes by hand or of a detector, got --box and --detector")
    if options.gt and not options.ann_file:
        raise ValueError("expected --ann-file for --truth, got none")
    tables = [path for path in (options.csv, options.dlc) if path]
    if options.dlc:
        check_deeplabcut_name(options.dlc)
    if options.video:
        for name, value in (("--out-file", options.out_file), ("--out-dir", options.out_dir)):
            if value:
                raise ValueError(f"expected --out for a video, got {name}")
        if options.ann_file:
            raise ValueError("expected --ann-file with images, got it with a video")
        if options.out:
            check_clip_name(options.out)
        elif not tables:
            raise ValueError("expected --out, --csv or --dlc: where to write")
        return
    if options.smooth:
        raise ValueError("expected --video for --smooth, got images")
    if not (options.out_file or options.out_dir or tables):
        raise ValueError("expected --out, --csv or --dlc: where to write")
    if options.out_file:
        check_image_name(options.out_file.name)


def _with_targets(options: VisualizeOptions) -> VisualizeOptions:
    """Take ``--out`` of images for the file or the folder that it names.

    Raises:
        ValueError: The same is named twice.
    """
    if options.video or not options.out:
        return options
    if options.out_file or options.out_dir:
        raise ValueError("expected --out, or --out-file and --out-dir, got both")
    if options.out.suffix:
        return replace(options, out=None, out_file=options.out)
    return replace(options, out=None, out_dir=options.out)


def _look(options: VisualizeOptions) -> Look:
    return Look(
        names=options.names,
        threshold=options.threshold,
        min_score=options.min_score,
        gt=options.gt,
        overlay=options.overlay,
    )


def _targets(options: VisualizeOptions, images: Sequence[Path]) -> list[Path]:
    """All files that are to be written.

    Raises:
        ValueError: One of them is what is read.
    """
    drawn = drawn_paths(images, options.out_dir) if options.out_dir else []
    named = (options.out_file, options.out, options.csv, options.dlc)
    targets = [*drawn, *(path for path in named if path)]
    sources = {path.resolve() for path in (*images, options.video) if path}
    for target in targets:
        if target.resolve() in sources:
            raise ValueError(f"expected another name to write to than what is read, got {target}")
    return targets


def _images(
    options: VisualizeOptions,
    images: Sequence[Path],
    predictor: Predictor,
    boxes: BoxSource,
    labels: Labels | None,
    tables: Sequence[KeypointTable],
) -> Outcome:
    outcome, cells, look = Outcome(), [], _look(options)
    panels = 2 if look.gt == "beside" else 1
    targets: Sequence[Path | None] = [None] * len(images)
    if options.out_dir:
        targets = drawn_paths(images, options.out_dir)
    shown = show(images, predictor, boxes, look, labels)
    progress = tqdm(shown, total=len(images), unit="image", disable=None)
    for each, target in zip(progress, targets, strict=True):
        if each.drawn is None:
            outcome.problems.append(each.problem)
            continue
        for table in tables:
            table.add(str(each.path), each.instances)
        alone = options.out_file if len(images) == 1 else None
        try:
            for path in filter(None, (target, alone)):
                write_image(path, each.drawn)
        except ImageError as error:
            outcome.problems.append(f"{each.path}: {error}")
        if options.out_file and not alone:
            cells.append((sheet_cell(each.drawn, panels), each.path.name))
    if len(outcome.problems) == len(images):
        raise OSError(f"none of {len(images)} images can be shown: {outcome.problems[0]}")
    if options.out_file and cells:
        write_image(options.out_file, sheet(cells, panels))
    if options.out_file:
        outcome.written.append(str(options.out_file))
    if options.out_dir:
        count = len(images) - len(outcome.problems)
        outcome.written.append(f"{options.out_dir}: {count} images")
    outcome.problems = failures(outcome.problems, len(images), "shown")
    return outcome


def _video(
    options: VisualizeOptions,
    clip: Clip,
    predictor: Predictor,
    boxes: BoxSource,
    tables: Sequence[KeypointTable],
) -> Outcome:
    frames = tqdm(clip.frames(), total=clip.count or None, unit="frame", disable=None)
    track = TrackOptions(min_score=options.threshold) if options.track else None
    smooth = OneEuroOptions(options.min_cutoff, options.beta) if options.smooth else None
    found = predict_frames(frames, predictor, boxes, clip.path)
    followed = track_and_smooth(found, predictor.metainfo, track, smooth)
    outcome, count, writer, look = Outcome(), 0, None, _look(options)
    last_s = longest_s = 0.0
    if options.out:
        fps = clip.constant_fps()
        writer = ClipWriter(options.out, fps, clip.size_px, options.overwrite)
    with writer or nullcontext():
        for count, (frame, instances) in enumerate(followed, start=1):
            longest_s, last_s = max(longest_s, frame.time_s - last_s), frame.time_s
            for table in tables:
                table.add(count - 1, instances, frame.time_s)
            if writer:
                drawn = draw(frame.pixels, instances, predictor.metainfo, look)
                writer.write(drawn, frame.time_s)
    if writer:
        width, height = writer.written_px
        outcome.written.append(
            f"{writer.path} ({writer.codec}, {count} frames of {width} x {height} px, "
            f"{fps:g} a second"
            + (")" if fps == clip.fps else ", repeated for their time: the rate is variable)")
        )
    if clip.untimed:
        outcome.notes.append(
            f"{clip.path}: the file has no times of its frames; taken as {clip.fps:g} a second"
        )
    # of a variable rate the header's number is a guess: what counts is that the end is there
    if clip.count > count and clip.count / clip.fps - last_s > longest_s + 0.5 / clip.fps:
        outcome.problems.append(
            f"{clip.path}: its header promises {clip.count} frames, {count} could be read"
        )
    return outcome
