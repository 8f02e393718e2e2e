"""Wrong flip pairs that are planted in labels, and how many of them their check finds.

    python benchmarks/flip_pairs.py --data DIR [--sample 60]

``DIR`` holds the sets that ``tests/conftest.py`` calls real data; those that are absent are left
out. The sample horses are drawn by ``projects/sample_horses``.

Each set is read as it is, which must give no alarm, and then with one mistake: pairs that the
source states and that are none, pairs crossed with each other, and keypoints that are only numbered
(and so, as in horses16, a ``flip_idx`` that exchanges nothing). A mistake is found where no wrong
pair is left and all true ones are back; of numbered points at least half. In the videos of one way,
horse10 and dlc_mouse, only distances speak: gross mistakes are planted there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import repository  # noqa: F401 - finds projects/


class LabelledSet(NamedTuple):
    """Names of K keypoints and (N, K, 3) poses; mistakes as pairs that the source states."""

    name: str
    names: Sequence[str]
    poses: np.ndarray
    stated: Sequence[Sequence[tuple[str, str]]]
    both_ways: bool


FORMATS = {
    "horses16": ("yolo-pose", "horses16"),
    "dlc_mouse": ("dlc", None),
    "coco_mini": ("coco", None),
    "horse10_sample20": ("horse10", None),
}
MISTAKES: dict[str, tuple[tuple[tuple[str, str], ...], ...]] = {
    "horses16": (
        (("nose", "croup"),),
        (("poll", "rh_hoof"),),
        (("l_knee", "r_hock"), ("r_knee", "l_hock")),
        (("lf_hoof", "rh_hoof"), ("rf_hoof", "lh_hoof")),
        (("withers", "croup"), ("poll", "nose")),
        (("l_stifle", "l_elbow"), ("r_stifle", "r_elbow")),
    ),
    "coco_mini": (
        (("nose", "left_ankle"),),
        (("left_elbow", "right_wrist"), ("right_elbow", "left_wrist")),
        (("left_eye", "right_ear"), ("right_eye", "left_ear")),
        (("left_shoulder", "right_hip"), ("right_shoulder", "left_hip")),
    ),
    "sample": (
        (("nose", "tail_end"),),
        (("l_ear", "rf_hoof"),),
        (("withers", "tail_base"),),
        (("l_knee", "r_hip"), ("r_knee", "l_hip")),
        (("lf_fetlock", "lh_fetlock"), ("rf_fetlock", "rh_fetlock")),
    ),
    "horse10_sample20": ((("Nose", "Ischium"),), (("Eye", "Offhindfoot"),)),
    "dlc_mouse": (
        (("nose_top", "tailBase_top"),),
        (("nose_bot", "tailMid_bot"),),
        (("paw1LH_top", "nose_top"),),
    ),
}
BOTH_WAYS = ("horses16", "coco_mini", "sample")


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=60, help="sample horses to draw")
    return parser.parse_args(argv)


def read_sets(data: Path, sample: int) -> Iterator[LabelledSet]:
    for name, (format_name, mapping) in FORMATS.items():
        if (data / name).is_dir():
            names, poses = read_poses(data / name, format_name, mapping)
            yield LabelledSet(name, names, poses, MISTAKES[name], name in BOTH_WAYS)
    if sample:
        names, poses = draw_poses(sample)
        yield LabelledSet("sample", names, poses, MISTAKES["sample"], True)


def read_poses(folder: Path, format_name: str, mapping: str | None) -> tuple[list[str], np.ndarray]:
    from equikpt.data_tools.convert.reading import Reading, read_source
    from equikpt.data_tools.convert.schemes import NO_SCHEME, find_scheme

    scheme = find_scheme(mapping) if mapping else NO_SCHEME
    files = sorted(folder.glob("person_keypoints*.json")) or [folder]
    read = [read_source(format_name, file, scheme, Reading()) for file in files]
    poses = [each.keypoints for dataset in read for each in dataset.instances()]
    return list(read[0].keypoints or scheme.keypoints), np.array(poses)


def draw_poses(count: int) -> tuple[list[str], np.ndarray]:
    from equikpt.metainfo.horse26 import KEYPOINTS
    from projects.sample_horses.coco import Parameters
    from projects.sample_horses.writer import draw_image

    parameters = Parameters(train=count, val=0, test=0, seed=0)
    drawn = [draw_image(parameters, "train", index) for index in range(count)]
    poses = [label.keypoints for each in drawn for label in each.labels]
    return [point.name for point in KEYPOINTS], np.array(poses, float)


def rows_of(
    each: LabelledSet, infer_flip: Callable[..., tuple[list[tuple[int, int]], list[str]]]
) -> Iterator[tuple[str, str, bool]]:
    """Set, mistake, and whether it was found; of the set as it is, whether there is no alarm."""
    from equikpt.metainfo.sides import flip_by_name

    names = list(each.names)
    true = {frozenset((a, b)) for a, b in enumerate(flip_by_name(names)) if a < b}

    def left(names: Sequence[str], stated: Sequence[tuple[str, str]]) -> set[frozenset[int]]:
        indices = [(names.index(a), names.index(b)) for a, b in stated]
        return set(map(frozenset, infer_flip(names, each.poses, indices)[0]))

    as_it_is = left(names, ())
    yield each.name, "as it is", as_it_is == true
    for stated in each.stated:
        wrong = ", ".join(f"{a} – {b}" for a, b in stated)
        yield each.name, f"states {wrong}", left(names, stated) == true
    if each.both_ways:
        numbered = left([f"p{n}" for n in range(len(names))], ())
        found = f"numbers for names: {len(numbered)} of {len(true)} pairs back"
        yield each.name, found, numbered <= true and 2 * len(numbered) >= len(true)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from equikpt.metainfo.inference import infer_flip

    rows = []
    for each in read_sets(args.data, args.sample):
        print(f"{each.name}: {len(each.poses)} poses, {len(each.names)} keypoints")
        for row in rows_of(each, infer_flip):
            rows.append(row)
            print(f"  {'ok  ' if row[2] else 'MISS'} {row[1]}", flush=True)
    alarms = [row for row in rows if row[1] == "as it is"]
    planted = [row for row in rows if row[1] != "as it is"]
    print(f"planted mistakes found: {sum(row[2] for row in planted)} of {len(planted)}")
    print(f"sets with a false alarm: {sum(not row[2] for row in alarms)} of {len(alarms)}")
    return int(not all(row[2] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
