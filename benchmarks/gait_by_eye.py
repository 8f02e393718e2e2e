"""Hoof-on and hoof-off of a real walking horse against those that were read off its frames by eye.

    python benchmarks/gait_by_eye.py horse10_sample20

The folder has a clip of Horse-10 with labels of 22 keypoints (``horse.json``, COCO) in 142 of 178
frames of 288 × 162 px, 30 a second; the camera pans. The gait is measured from the labels. By eye,
of 13 enlarged frames around each event at an unknown place among them, hoof-on is the first frame
in which the hoof is on the ground, and hoof-off the last one in which its toe is; half a frame
where two were as likely. The eye's own error is about a frame.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from equikpt.core.typed_json import read_json
from equikpt.gait import KeypointTable, analyse
from equikpt.metainfo.correspondence import KEYPOINT_NAMES

FPS = 30.0
BY_EYE = {
    ("lf", "hoof_on"): (23, 57, 91, 125),
    ("rf", "hoof_on"): (40, 75, 107, 141),
    ("lh", "hoof_on"): (15, 50, 84, 117),
    ("rh", "hoof_on"): (32, 67, 100, 134),
    ("lf", "hoof_off"): (45, 79, 112, 147),
    ("rf", "hoof_off"): (62, 96, 129, 164),
    ("lh", "hoof_off"): (36.5, 71, 104, 137),
    ("rh", "hoof_off"): (54, 88, 121, 156),
}
"""Numbers of frames, as in the names of the files."""


def read_labels(folder: Path) -> KeypointTable:
    """Labels of the clip as a table; points without a label are NaN."""
    content = read_json(folder / "horse.json", "the labels of the clip")
    points = {each["image_id"]: each["keypoints"] for each in content["annotations"]}
    names = {each["id"]: each["file_name"] for each in content["images"]}
    numbers = np.array([int(Path(names[key]).stem) for key in points])
    cells = np.array([*points.values()], float).reshape(len(points), -1, 3)
    xy = np.where(cells[..., 2:] > 0, cells[..., :2], np.nan)
    order = np.argsort(numbers)
    return KeypointTable(numbers[order] / FPS, KEYPOINT_NAMES["horse10"], xy[order])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    report = analyse(read_labels(args.folder))
    print(f"{report.gait}, {len(report.strides)} strides, {report.strides[0].footfalls}\n")
    print("| event | limbs | n | median distance, ms | mean, ms | largest, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for event in ("hoof_on", "hoof_off"):
        for limbs, name in (("lf rf", "fore"), ("lh rh", "hind")):
            off_ms = []
            for limb in limbs.split():
                own = [m.values[0] for m in report.measures if (m.part, m.name) == (limb, event)]
                for frame in BY_EYE[limb, event]:
                    off_ms.append(1000 * min(np.array(own) - frame / FPS, key=abs))
            apart = np.abs(off_ms)
            print(
                f"| {event} | {name} | {len(apart)} | {np.median(apart):.0f} "
                f"| {np.mean(off_ms):+.0f} | {apart.max():.0f} |"
            )
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
