from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from equikpt.cli import options as declare
from equikpt.cli import shares
from equikpt.cli.options import ABOVE_0, argument, number, option, required

Box = tuple[float, float, float, float]
Format = Literal["dlc-csv", "dlc-h5", "slp", "coco", "nwb", "parquet"]
Lines = tuple[list[str], list[str]]
"""Lines on what could not be read or found, and other lines."""
_many = partial(option, group="many videos")


@dataclass(frozen=True, kw_only=True)
class TrackOptions(declare.Detects):
    """Follow the animals of videos, and write tables that can be measured.

      equikpt track trot.mp4 --work-dir my_project --out tracks
      equikpt track trot.mp4 --model horses.onnx --box 410 120 1290 900 --out tracks --video
      equikpt gait tracks --out gaits
      equikpt track stable/ --model horses.onnx --detector rtmdet.onnx --out tracks --workers 8
      sbatch --array=1-64 --wrap 'equikpt track … --shard $SLURM_ARRAY_TASK_ID/64'

    Writes NAME.csv, a row a keypoint, and NAME.json, which states what was done; a video that has
    both, of the same settings, is skipped. Without --box and --detector one animal is looked for in
    the whole first frame, and followed. Exit code 0: done; 1: some videos could not be read, or
    show no animal; 2: wrong input.
    """

    videos: Sequence[Path] = argument("videos, or folders of them", metavar="VIDEO|DIR")
    work_dir: Path | None = option(
        "folder of a trained project or run", metavar="DIR", one_of="trained model"
    )
    model: Path | None = option(
        "model of equikpt export", metavar="FILE.onnx|.xml", one_of="trained model"
    )
    out: Path = required("folder to write to", metavar="DIR")
    box: Sequence[Box] = declare.boxes(
        "box in px of an animal in the first frame; repeat it for several",
        default=(),
        metavar=("LEFT", "TOP", "RIGHT", "BOTTOM"),
    )
    look_every: float | None = declare.boxes(
        "seconds between two looks of the detector for new animals; for lost ones it looks at once "
        "(default: 1)",
        type=number(ABOVE_0),
        metavar="SECONDS",
    )
    camera: Literal["auto", "still", "moving"] = option(
        "what the camera does; a moving one's points are given in a stabilised frame as well",
        default="auto",
    )
    height_mm: float | None = option(
        "height of the withers' keypoint over those of standing hooves, for mm_per_px in NAME.json",
        type=number(ABOVE_0),
        at_most_one_of="scale",
    )
    mm_per_px: float | None = option(
        "scale where the animals go, instead", type=number(ABOVE_0), at_most_one_of="scale"
    )
    min_score: float = option(
        "score below which a point counts as missing", default=0.2, metavar="SCORE"
    )
    cutoff: float = option(
        "frequency that the smoothing halves", default=10.0, type=number(ABOVE_0), metavar="HZ"
    )
    fill: float = option(
        "SD of a filled point up to which gaps are filled, in the animal's size; 0 fills none",
        default=0.02,
        type=number(0),
        metavar="FRACTION",
    )
    format: Sequence[Format] = option(
        "more files to write, each into DIR/FORMAT/, with the smoothed points", default=()
    )
    video: bool = option("write NAME_pose.mp4 with the smoothed poses", default=False)
    refuse: bool = declare.refuse("follow animals")
    device: str | None = declare.device()
    backend: str | None = option(
        "what computes --model: onnxruntime, openvino, … (default: onnxruntime; openvino for .xml)",
        metavar="NAME",
    )
    threads: int | None = option(
        "cores that --model computes on (default: all; one of a worker)", type=declare.whole(1)
    )
    shard: tuple[int, int] | None = _many(
        "track the K-th of N parts of the videos, such as the K-th task of an array job",
        type=shares.shard,
        nargs=None,
        metavar="K/N",
    )
    workers: int | None = _many(
        "processes on this machine, which share the videos (Dask)",
        type=declare.whole(1),
        at_most_one_of="workers",
    )
    scheduler: str | None = _many(
        "scheduler of a Dask cluster, whose workers share the videos",
        metavar="tcp://HOST:PORT",
        at_most_one_of="workers",
    )
    overwrite: bool = declare.overwrite("tables of these videos")


def main(argv: list[str] | None = None) -> int:
    """Track video by video; 1 where one could not be read or shows no animal."""
    problems, lines = track(declare.parse(TrackOptions, argv))
    print("\n".join([*lines, *problems]))
    return int(bool(problems))


def track(options: TrackOptions) -> Lines:
    """Track the videos that are not done yet.

    Raises:
        FileExistsError: Files of other settings are there.
        FileNotFoundError: A video, model or detector is missing.
        ImportError: A format, detector or backend whose library is missing.
        OSError: No video can be read.
        ValueError: Options that do not fit each other or the model.
    """
    import numpy as np

    from equikpt.tracks.publishing import Outputs
    from equikpt.tracks.tables import check_format
    from equikpt.tracks.track import track_video
    from equikpt_runtime.clips import Clip, find_videos

    videos = find_videos(options.videos)
    _check(options, videos)
    for name in options.format:
        check_format(name)
    plain = _settings(options)
    videos = shares.part_of(videos, options.shard)
    todo, lines, problems = [], [], []
    for path in videos:
        stamp = dict(file=path.name, bytes=path.stat().st_size)
        outputs = Outputs(options.out, path.stem, {**stamp, **plain})
        if outputs.is_done(options.overwrite):
            lines.append(f"{path}: done before, see {outputs.statement}")
            continue
        try:
            todo.append((Clip.open(path), outputs))
        except OSError as error:
            problems.append(f"{path}: {error}")
    if videos and len(problems) == len(videos):
        raise OSError(f"none of {len(problems)} videos can be read: {problems[0]}")
    if not todo:
        return problems, lines
    if options.workers or options.scheduler:
        return _spread(options, [clip.path for clip, _ in todo], problems, lines)
    model, detector = _models(options)
    settings = _track_settings(options, model.names)
    by_hand = np.array(options.box) if options.box else None
    for clip, outputs in todo:
        found = track_video(clip, model, outputs, settings, by_hand, detector)
        problems += found[0]
        lines += [*found[1], f"written: {outputs.statement.with_suffix('.csv')}"]
    return problems, lines


@dataclass(frozen=True)
class _Alone:
    """Tracks one video as the options say, in a worker."""

    options: TrackOptions

    def __call__(self, path: Path) -> Lines:
        return track(replace(self.options, videos=[path]))


def _spread(
    options: TrackOptions, todo: list[Path], problems: list[str], lines: list[str]
) -> Lines:
    """Track videos by workers."""
    from tqdm import tqdm

    from equikpt.tracks.workers import spread

    changes: dict[str, Any] = dict(shard=None, workers=None, scheduler=None)
    if options.model:
        changes["threads"] = options.threads or 1
    for name in ("out", "model", "work_dir"):  # a worker may stand in another folder
        changes[name] = getattr(options, name) and getattr(options, name).resolve()
    videos, alone = [path.resolve() for path in todo], _Alone(replace(options, **changes))
    results = spread(alone, videos, options.workers, options.scheduler)
    count = 0
    for path, result in tqdm(results, total=len(todo), unit="video", disable=None):
        if isinstance(result, BaseException):
            problems = [*problems, f"{path}: {result}"]
            continue
        problems, lines = [*problems, *result[0]], [*lines, *result[1]]
        count += 1
    if not count:
        raise OSError(f"none of {len(todo)} videos can be tracked: {problems[0]}")
    return problems, [*lines, f"written: {options.out}: {count} of {len(todo)} videos"]


_LOADED: dict[str, tuple[Any, Any]] = {}
"""Model and detector of the last call: a worker tracks one video after another."""


def _models(options: TrackOptions) -> tuple[Any, Any]:
    """Load the model and the detector, unless the last call had the same."""
    key = repr(replace(options, videos=(), box=()))
    if key not in _LOADED:
        _LOADED.clear()
        _LOADED[key] = _model(options), _detector(options)
    return _LOADED[key]


def _check(options: TrackOptions, videos: Sequence[Path]) -> None:
    """Refuse options that do not fit each other or the videos."""
    stems = [path.stem for path in videos]
    twice = {stem for stem in stems if stems.count(stem) > 1}
    mistakes = {
        "videos of different names, got two of the name " + ", ".join(sorted(twice)): twice,
        "--box with one video, got several": options.box and len(stems) > 1,
        "--model for --backend and --threads": options.work_dir
        and (options.backend or options.threads),
        "--work-dir for --device, got --model, which takes --backend": options.model
        and options.device
        and not options.detector,
        "one way to share the videos, got --shard and workers": options.shard
        and (options.workers or options.scheduler),
        "--detector for --look-every": options.look_every and not options.detector,
        "no --detector-checkpoint for a detector in one file, got both": options.detector_checkpoint
        and (options.detector or "").endswith(".onnx"),
    }
    for expected, is_made in mistakes.items():
        if is_made:
            raise ValueError(f"expected {expected}")


def _settings(options: TrackOptions) -> dict[str, Any]:
    """State what the tables depend on, as plain values."""
    import pooch

    from equikpt.core.project import find_checkpoint

    names = ["box", "detector", "detector_class", "detector_score", "look_every", "min_score"]
    names += ["cutoff", "fill", "video", "refuse", "camera", "height_mm", "mm_per_px"]
    weights = options.model or find_checkpoint(options.work_dir or "")
    if not weights.is_file():
        raise FileNotFoundError(f"expected an exported model at {weights}, found no such file")
    plain = {name: getattr(options, name) for name in names}
    plain.update(model=weights.name, sha256=pooch.file_hash(weights))
    return dict(plain, format=sorted({*options.format}))


def _track_settings(options: TrackOptions, names: Sequence[str]) -> Any:
    from equikpt.gait.names import match_names
    from equikpt.tracks.following import LOOK_S, FollowOptions
    from equikpt.tracks.paths import PathOptions
    from equikpt.tracks.track import TrackSettings

    try:
        roles = match_names(names)
    except ValueError as error:  # of another kind of animal
        if options.height_mm:
            raise ValueError(f"expected hooves and withers for --height-mm: {error}") from error
        roles = {}
    return TrackSettings(
        follow=FollowOptions(options.min_score, options.look_every or LOOK_S),
        paths=PathOptions(options.min_score, options.cutoff, options.fill),
        formats=tuple(dict.fromkeys(options.format)),
        video=options.video,
        camera=options.camera,
        roles=roles,
        height_mm=options.height_mm,
        mm_per_px=options.mm_per_px,
    )


def _model(options: TrackOptions) -> Any:
    """The model, which must name its keypoints and take boxes."""
    from equikpt_runtime.drawing import has_names

    model: Any
    if options.model:
        from equikpt_runtime.model import Model

        model = Model(
            options.model,
            options.backend,
            options.threads,
            refuse=options.refuse,
            batch_size=1 if len(options.box) < 2 and not options.detector else 8,
        )
    else:
        from equikpt.apis.predictor import Predictor

        model = Predictor(str(options.work_dir), device=options.device, refuse=options.refuse)
    if not (model.takes_boxes and has_names(model.metainfo)):
        raise ValueError(
            "expected a model of named keypoints that takes boxes, got one of "
            f"{'points without names' if model.takes_boxes else 'whole images'}; train one by "
            "equikpt init"
        )
    return model


def _detector(options: TrackOptions) -> Any:
    """The detector: an exported one where it is a file of ONNX; None where there is none."""
    if not options.detector:
        return None
    if options.detector.endswith(".onnx"):
        from equikpt_runtime.detectors import Detector

        return Detector(
            options.detector,
            options.detector_class,
            options.detector_score,
            options.backend,
            options.threads,
        )
    from equikpt.apis.detectors import load_detector

    names = ("detector", "detector_checkpoint", "detector_class", "detector_score", "device")
    return load_detector(*(getattr(options, name) for name in names))
