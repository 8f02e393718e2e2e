"""Conversion between label formats and COCO JSON. One format a file; :data:`FORMATS` lists them.

A reader is a function ``read(source, scheme, images=None) -> SourceDataset``. ``source`` is a file
or folder; the keypoints of ``scheme`` name those of a source that does not, or say which to take;
``images`` is the folder of the images, looked for around the source by default. It raises
FileNotFoundError for a missing file and ValueError for one that is not of the format.

A writer is a function ``write(folder, dataset, options) -> SourceDataset``: it fills the empty
folder and returns the dataset as the reader will find it there.

Each knows its format and nothing else; mapping, missing images, split hygiene, putting the files in
place and checking them are shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True)
class Format:
    """A label format: its reader, its writer, and what survives in it.

    Args:
        about: The format in a few words.
        read: ``module:function``, so that listing formats imports none.
        write: The same; empty where the format is only read.
        names: Whether it names its keypoints; otherwise the mapping does.
        hidden: Whether it tells hidden points (visibility 1) from seen ones.
        boxes: Whether boxes survive; otherwise they are taken around the points.
        animals: Whether an image may have several.
        splits: Whether it knows train, val and test.
        scores: Whether it holds the scores of predictions.
        owns: Folders of its output that hold images and are its alone: they are replaced as a
            whole.
        prefix: What its tool puts before an image's name to find it; the user may say otherwise.
        read_scored: ``module:function`` that reads predictions, where ``read`` does not.
        remark: What else is kept or lost.
    """

    about: str
    read: str
    write: str = ""
    names: bool = True
    hidden: bool = False
    boxes: bool = False
    animals: bool = True
    splits: bool = False
    scores: bool = False
    owns: tuple[str, ...] = ()
    prefix: str = ""
    read_scored: str = ""
    remark: str = ""


_HERE = "equikpt.data_tools.convert"
_CocoLike = partial(Format, hidden=True, boxes=True, splits=True)


def _both(reader: str, writer: str = "") -> tuple[str, str]:
    """``read`` of a module and ``write`` of another, or of the same."""
    return f"{_HERE}.{reader}:read", f"{_HERE}.{writer or reader}:write"


FORMATS: dict[str, Format] = {
    "coco": _CocoLike(
        "COCO keypoint JSON and its dialects, results of predictions",
        f"{_HERE}.coco_files:read",
        scores=True,
        remark="outlines, crowds and areas stay; links and licences go",
    ),
    "yolo-pose": _CocoLike(
        "YOLO-pose of Ultralytics and Roboflow",
        *_both("yolo_pose"),
        names=False,
        owns=("images", "labels"),
        remark="names only where data.yaml has kpt_names, which is written",
    ),
    "cvat": Format(
        "CVAT for images 1.1 (XML), project and task backups",
        *_both("cvat", "cvat_xml"),
        hidden=True,
        splits=True,
        remark="boxes are read, and not written: a skeleton has none",
    ),
    "label-studio": Format(
        "Label Studio JSON",
        *_both("label_studio"),
        boxes=True,
        scores=True,
        prefix="/data/local-files/?d=",
        read_scored=f"{_HERE}.label_studio:read_predictions",
        remark="animals by rectangle or parentID; predictions go in as pre-annotations",
    ),
    "dlc": Format(
        "DeepLabCut CollectedData, csv and h5, one animal or several",
        *_both("deeplabcut"),
        scores=True,
        remark="the labeller's name and unique body parts go",
    ),
    "sleap": Format(
        "SLEAP .slp (needs sleap-io)",
        f"{_HERE}.sleap:read",
        remark="labelled instances; predicted ones and tracks go",
    ),
    "ap10k": _CocoLike("AP-10K", f"{_HERE}.coco_files:read_ap10k", remark="split 1 of the three"),
    "animalpose": _CocoLike(
        "AnimalPose, its own file and MMPose's", f"{_HERE}.coco_files:read_animalpose"
    ),
    "horse10": _CocoLike(
        "Horse-10",
        f"{_HERE}.coco_files:read_horse10",
        remark="eye, elbow and stifle go: one label for both sides",
    ),
}
"""Formats by their name on the command line."""

SCHEMES: dict[str, str] = {
    "horses16": "16 points, without hips: the 12 points that horse26 has as well",
    "horses16_stifle": "the same, with the stifles as hips: 14 points",
    "ap10k": "AP-10K's 17 points in the order of its files",
    "animalpose": "AnimalPose's 20 points in MMPose's order",
    "horse10": "Horse-10's 22 points; near is left, off is right",
}
"""Keypoint schemes that come with the package; see ``convert/schemes.py``."""

TARGETS: tuple[str, ...] = ("horse26", "p1p2", "coco17", "coco")
"""Datasets that can be converted to, ``coco`` with the source's own keypoints; see
``convert/targets.py``."""

KEPT: tuple[str, ...] = ("names", "hidden", "boxes", "animals", "splits", "scores")
"""Columns of the table: the fields of :class:`Format` that say what survives."""


def writable() -> tuple[str, ...]:
    """Names of the formats that can be written."""
    return tuple(name for name, row in FORMATS.items() if row.write)


def format_table() -> str:
    """:data:`FORMATS` as a Markdown table: what each format keeps and loses."""
    headers = ("format", "what it is", "way", *KEPT, "remark")
    rows = [
        (
            name,
            row.about,
            "in, out" if row.write or name in TARGETS else "in",
            *("yes" if getattr(row, column) else "–" for column in KEPT),
            row.remark or " ",
        )
        for name, row in FORMATS.items()
    ]
    lines = [headers, tuple("---" for _ in headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
