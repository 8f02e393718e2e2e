from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from equikpt.cli import options as declare
from equikpt.cli.options import option, required, whole

if TYPE_CHECKING:
    from equikpt.visualization.predictions import Look
    from equikpt_runtime.clips import Clip

_files = partial(option, group="images or a video, and where to write")
_drawn = partial(option, group="what is drawn")
_videos = partial(option, group="videos")
Box = tuple[float, float, float, float]
Lines = tuple[list[str], list[str]]
"""Lines on images that could not be shown, and other lines."""


@dataclass(frozen=True, kw_only=True)
class VisualizeOptions(declare.FindsBoxes):
    """Draw what a trained model sees: in an image, many images, or a video.

      equikpt visualize --config NAME --checkpoint FILE.pth --img horse.jpg --out pose.jpg
      equikpt visualize --config PROJECT --img horse.jpg --out pose.jpg
      ... --img-dir stable/ --out poses/             each image again
      ... --img "stable/*.jpg" --out sheet.jpg       all on one sheet
      ... --video trot.mp4 --out poses.mp4 --smooth --dlc tracks.csv

    Exit code 0: everything is shown; 1: some images or frames could not be read; 2: wrong input.
    """

    config: str = required("config of the model: path, name or project folder", metavar="CONFIG")
    checkpoint: Path | None = declare.checkpoint_option()
    device: str | None = declare.device()
    batch_size: int = option("boxes that are predicted at once", default=8, type=whole(1))
    refuse: bool = declare.refuse("give the keypoints")
    overwrite: bool = declare.overwrite("what is there")

    img: Sequence[str] = _files(
        "images, or globs in quotes", default=(), metavar="IMAGE", one_of="source"
    )
    img_dir: Path | None = declare.img_dir(one_of="source", group=_files.keywords["group"])
    video: Path | None = _files("file to read frames from", one_of="source")
    out: Path | None = _files(
        "the video, the image or one sheet of several; or a folder for NAME_pose.jpg of each image",
        metavar="FILE|DIR",
    )
    out_file: Path | None = _files("the same, of images")
    out_dir: Path | None = _files("the same, for NAME_pose.jpg", metavar="DIR")
    csv: Path | None = _files("table to write, a row a keypoint")
    dlc: Path | None = _files("table to write, as DeepLabCut's tracks: .csv or .h5")

    box: Sequence[Box] = declare.boxes(
        "box in px; repeat it for several animals",
        default=(),
        metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"),
    )

    names: bool = _drawn("write the names of the keypoints", default=False)
    threshold: float = _drawn(
        "score below which a point is hollow and has no links", default=0.3, metavar="SCORE"
    )
    min_score: float = _drawn(
        "score below which a point is left out",
        "--min-score",
        "--least-score",
        default=0.1,
        metavar="SCORE",
    )
    radius: bool = _drawn(
        "draw rings that hold the points with the probability --level", default=False
    )
    level: float | None = _drawn("probability of the radii (default: 0.9)", metavar="FRACTION")
    gt: Literal["beside", "over"] | None = _drawn(
        "show the labels of --ann-file, with lines of the errors in px"
    )
    overlay: Literal["heatmap", "simcc"] | None = _drawn(
        "show where the model sees the points; simcc: with its distributions along x and y"
    )

    track: bool = _videos("do not number the animals", default=True)
    smooth: bool = _videos("steady keypoints (One Euro filter)", default=False)
    min_cutoff: float = _videos(
        "cutoff of the filter at rest; lower is smoother", default=1.0, metavar="HZ"
    )
    beta: float = _videos("Hz more for a speed of one box a second; higher lags less", default=20.0)


def main(argv: list[str] | None = None) -> int:
    """Predict and draw; 1 where an image or a frame could not be read."""
    problems, lines = visualize(declare.parse(VisualizeOptions, argv))
    print("\n".join([*problems, *lines]))
    return int(bool(problems))


def visualize(options: VisualizeOptions) -> Lines:
    """Predict and draw, in images or a video.

    Raises:
        FileNotFoundError: Images, config, checkpoint, annotations or a detector's weights are
            missing.
        FileExistsError: A file to write exists.
        ImportError: A detector or format whose library is missing.
        OSError: A video that cannot be read or written, or no image that can.
        ValueError: Options that do not fit each other, the model or the files.
    """
    options = _checked(options)
    from equikpt.apis.detectors import box_source, load_detector
    from equikpt.apis.images import find_images
    from equikpt.apis.predictor import Predictor
    from equikpt.structures.ground_truth import Labels
    from equikpt.structures.uncertainty import DEFAULT_LEVEL
    from equikpt.visualization.predictions import Look
    from equikpt_runtime.clips import Clip
    from equikpt_runtime.drawing import has_names
    from equikpt_runtime.tables import DeepLabCutTable, PlainTable

    drawn = ("names", "threshold", "min_score", "gt", "overlay", "radius")
    look = Look(**{name: getattr(options, name) for name in drawn})
    images = [] if options.video else find_images(options.img, options.img_dir)
    _refuse_targets(options, images)
    clip = Clip.open(options.video) if options.video else None
    names = ("detector", "detector_checkpoint", "detector_class", "detector_score", "device")
    chosen = [getattr(options, name) for name in names]
    detector = load_detector(*chosen) if options.detector else None
    predictor = Predictor(
        options.config,
        options.checkpoint,
        options.device,
        options.batch_size,
        maps=look.overlay is not None,
        level=DEFAULT_LEVEL if options.level is None else options.level,
        refuse=options.refuse,
    )
    if look.radius and predictor.lacks_radii:
        raise ValueError(f"expected a fit of radii for --radius, {predictor.lacks_radii}")
    labels = Labels(options.ann_file, predictor.names) if options.ann_file else None
    boxes = box_source(options.box, detector, labels if predictor.takes_boxes else None)
    named = has_names(predictor.metainfo)
    if options.dlc and not named:
        raise ValueError("expected a model of named keypoints for --dlc; write --csv instead")
    with ExitStack() as stack:
        tables: list[Any] = []
        if options.csv:
            plain = PlainTable(options.csv, predictor.names if named else None)
            tables.append(stack.enter_context(plain))
        if options.dlc:
            tables.append(stack.enter_context(DeepLabCutTable(options.dlc, predictor.names)))
        if clip:
            problems, lines = _video(options, clip, predictor, boxes, tables, look)
        else:
            problems, lines = _images(options, images, predictor, boxes, labels, tables, look)
    return problems, [*lines, *(f"written: {path}" for path in (options.csv, options.dlc) if path)]


def _checked(options: VisualizeOptions) -> VisualizeOptions:
    """The options with ``--out`` of images as the file or the folder that it names.

    Raises:
        ValueError: Options that do not fit each other.
        ImportError: A table whose library is missing.
    """
    from equikpt_runtime.clips import check_clip_name
    from equikpt_runtime.drawing import check_image_name
    from equikpt_runtime.tables import check_deeplabcut_name

    video, given = options.video is not None, options
    if options.out and not video and not (options.out_file or options.out_dir):
        file, folder = (given.out, None) if options.out.suffix else (None, given.out)
        options = replace(options, out=None, out_file=file, out_dir=folder)
    mistakes = {
        "--out, or --out-file and --out-dir, got both": not video and options.out,
        "boxes by hand or of a detector, got --box and --detector": given.box and given.detector,
        "--ann-file for --gt, got none": given.gt and not given.ann_file,
        "--out for a video, got --out-file": video and given.out_file,
        "--out for a video, got --out-dir": video and given.out_dir,
        "--ann-file with images, got it with a video": video and given.ann_file,
        "--radius or --csv for --level, got neither": given.level is not None
        and not (given.radius or given.csv),
        "--video for --smooth, got images": given.smooth and not video,
        "--out, --csv or --dlc: where to write": not (
            options.out or options.out_file or options.out_dir or options.csv or options.dlc
        ),
    }
    for expected, is_made in mistakes.items():
        if is_made:
            raise ValueError(f"expected {expected}")
    if options.dlc:
        check_deeplabcut_name(options.dlc)
    if options.out:
        check_clip_name(options.out)
    if options.out_file:
        check_image_name(options.out_file.name)
    return options


def _refuse_targets(options: VisualizeOptions, images: Sequence[Path]) -> None:
    """Stop where a file to write exists, or is one that is read."""
    from equikpt_runtime.files import drawn_paths, refuse_existing

    drawn = drawn_paths(images, options.out_dir) if options.out_dir else []
    sources = {path.resolve() for path in (*images, options.video) if path}
    for target in (*drawn, options.out_file, options.out, options.csv, options.dlc):
        if target and target.resolve() in sources:
            raise ValueError(f"expected another name to write to than what is read, got {target}")
        if target:
            refuse_existing(target, options.overwrite)


def _images(
    options: VisualizeOptions,
    images: Sequence[Path],
    predictor: Any,
    boxes: Any,
    labels: Any,
    tables: Sequence[Any],
    look: Look,
) -> Lines:
    from tqdm import tqdm

    from equikpt.apis.images import sheet, sheet_cell, show
    from equikpt_runtime.drawing import write_image
    from equikpt_runtime.files import drawn_paths
    from equikpt_runtime.images import ImageError
    from equikpt_runtime.refusals import failures, refusal_lines

    problems, cells, panels = [], [], 2 if look.gt == "beside" else 1
    written: list[str] = []
    targets: Sequence[Path | None] = [None] * len(images)
    if options.out_dir:
        targets = drawn_paths(images, options.out_dir)
    alone = options.out_file if len(images) == 1 else None
    shown = show(images, predictor, boxes, look, labels)
    progress = tqdm(shown, total=len(images), unit="image", disable=None)
    for each, target in zip(progress, targets, strict=True):
        if each.drawn is None:
            problems.append(each.problem)
            continue
        for table in tables:
            table.add(str(each.path), each.instances)
        written += refusal_lines(each.path, each.instances)
        try:
            for path in filter(None, (target, alone)):
                write_image(path, each.drawn)
        except ImageError as error:
            problems.append(f"{each.path}: {error}")
        if options.out_file and not alone:
            cells.append((sheet_cell(each.drawn, panels), each.path.name))
    if len(problems) == len(images):
        raise OSError(f"none of {len(images)} images can be shown: {problems[0]}")
    if options.out_file and cells:
        write_image(options.out_file, sheet(cells, panels))
    written += [f"written: {options.out_file}"] if options.out_file else []
    if options.out_dir:
        written.append(f"written: {options.out_dir}: {len(images) - len(problems)} images")
    return failures(problems, len(images), "shown"), written


def _video(
    options: VisualizeOptions,
    clip: Clip,
    predictor: Any,
    boxes: Any,
    tables: Sequence[Any],
    look: Look,
) -> Lines:
    from tqdm import tqdm

    from equikpt.visualization.predictions import draw
    from equikpt_runtime.one_euro import OneEuroOptions
    from equikpt_runtime.tracking import TrackOptions, predict_frames, track_and_smooth
    from equikpt_runtime.videos import write_video

    frames = tqdm(clip.frames(), total=clip.count or None, unit="frame", disable=None)
    track = TrackOptions(min_score=options.threshold) if options.track else None
    smooth = OneEuroOptions(options.min_cutoff, options.beta) if options.smooth else None
    found = predict_frames(frames, predictor, boxes, clip.path)
    followed = track_and_smooth(found, predictor.metainfo, track, smooth)
    adding = [table.add for table in tables]
    drawing = partial(draw, metainfo=predictor.metainfo, look=look)
    return write_video(clip, followed, adding, options.out, drawing, options.overwrite)
