"""Recall of the checks of labels: faults planted into a set whose labels are taken to be right.

    python benchmarks/planted_faults.py [--data-root data] [--count 20] [--seed 0]

Each of 14 kinds is planted on its own into a fresh copy of the set, ``--count`` times or into every
annotation that allows it, and the checks run over training and validation together. Without
``--data-root``, the set is 240 generated images, whose labels are exact.

- found: planted faults that a check meant for them names, with annotation or image.
- false alarms: what the same checks say about anything else. In a set of real labels some of these
  are right: the last column has how often the same checks speak up without anything planted.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import repository  # noqa: F401 - finds projects/

SPLITS = ("train", "val")
Target = tuple[str, str, int]
"""Split, ``annotation`` or ``image``, and id."""


@dataclass
class Data:
    """Labels in memory, and where their images are."""

    contents: dict[str, dict]
    folder: Path

    def used(self, least_points: int = 1) -> list[tuple[str, dict]]:
        """Split and annotation of all that have so many labelled points."""
        return [
            (split, row)
            for split in SPLITS
            for row in self.contents[split]["annotations"]
            if sum(v > 0 for v in row["keypoints"][2::3]) >= least_points
        ]

    def image(self, split: str, row: dict) -> dict:
        """The listed image of an annotation."""
        images = self.contents[split]["images"]
        return next(image for image in images if image["id"] == row["image_id"])


def chosen(rows: list, count: int, rng: np.random.Generator) -> Iterator:
    """``count`` of the rows, in random order."""
    for index in rng.permutation(len(rows))[:count]:
        yield rows[index]


def points_of(row: dict) -> np.ndarray:
    return np.array(row["keypoints"], float).reshape(-1, 3)


def set_points(row: dict, points: np.ndarray) -> None:
    row["keypoints"] = points.round(2).ravel().tolist()
    row["num_keypoints"] = int((points[:, 2] > 0).sum())


def repeat_ids(data: Data, count: int, rng: np.random.Generator) -> set[Target]:
    """Each gets the id of another one of its file, which keeps its own."""
    planted: set[Target] = set()
    rows = list(chosen(data.used(), 2 * count, rng))
    for split in SPLITS:
        mine = [row for of, row in rows if of == split]
        for row, other in zip(mine[::2], mine[1::2], strict=False):
            row["id"] = other["id"]
            planted.add((split, "annotation", row["id"]))
    return planted


def change_rows(change: Callable[[dict, dict, np.random.Generator], None], least_points: int = 1):
    """A kind that changes single annotations; ``change`` gets the annotation and its image."""

    def plant(data: Data, count: int, rng: np.random.Generator) -> set[Target]:
        planted: set[Target] = set()
        for split, row in chosen(data.used(least_points), count, rng):
            change(row, data.image(split, row), rng)
            planted.add((split, "annotation", row["id"]))
        return planted

    return plant


def dangle(row: dict, image: dict, rng: np.random.Generator) -> None:
    row["image_id"] = 10**6 + int(rng.integers(1000))


def drop_point(row: dict, image: dict, rng: np.random.Generator) -> None:
    row["keypoints"] = row["keypoints"][:-3]


def zero_area(row: dict, image: dict, rng: np.random.Generator) -> None:
    row["area"] = 0


def move_box(row: dict, image: dict, rng: np.random.Generator) -> None:
    """By its own width or height, as if it were another object's; inside the image."""
    x, y, width, height = row["bbox"]
    side = 0.5 * min(image["width"], image["height"])
    width, height = min(width, side), min(height, side)
    left = 0.0 if x + width / 2 > image["width"] / 2 else image["width"] - width
    top = 0.0 if y + height / 2 > image["height"] / 2 else image["height"] - height
    row["bbox"] = [left, top, width, height]
    row["area"] = 0.53 * width * height


def stretch_box(row: dict, image: dict, rng: np.random.Generator) -> None:
    """Beyond the right or the lower border, by 2 to 10 % of the image."""
    axis = int(rng.integers(2))
    size = (image["width"], image["height"])[axis]
    row["bbox"][2 + axis] = size * (1 + rng.uniform(0.02, 0.1)) - row["bbox"][axis]


def to_origin(row: dict, image: dict, rng: np.random.Generator) -> None:
    """A point that is not labelled becomes a labelled one at 0, 0."""
    points = points_of(row)
    free = np.flatnonzero(points[:, 2] == 0)
    points[rng.choice(free) if len(free) else rng.integers(len(points))] = (0, 0, 2)
    set_points(row, points)


def pairs() -> tuple[np.ndarray, list[str]]:
    from equikpt.metainfo.horse26 import KEYPOINTS

    names = [point.name for point in KEYPOINTS]
    return np.array([names.index(point.swap or point.name) for point in KEYPOINTS]), names


def exchange_sides(row: dict, image: dict, rng: np.random.Generator) -> None:
    set_points(row, points_of(row)[pairs()[0]])


def exchange_ends(row: dict, image: dict, rng: np.random.Generator) -> None:
    """From the knee on, or from the hock on, the left limb gets the right one's points."""
    swap, names = pairs()
    ends = (("l_knee", "lf_fetlock", "lf_hoof"), ("lh_fetlock", "lh_hoof"))[int(rng.integers(2))]
    points = points_of(row)
    for index in map(names.index, ends):
        points[[index, swap[index]]] = points[[swap[index], index]]
    set_points(row, points)


def misplace(row: dict, image: dict, rng: np.random.Generator) -> None:
    """One labelled point goes anywhere in the box, half the box's longer side away at least."""
    points = points_of(row)
    index = rng.choice(np.flatnonzero(points[:, 2] > 0))
    low, sides = np.array(row["bbox"][:2]), np.array(row["bbox"][2:])
    corners = low + sides * np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
    far = corners[np.linalg.norm(corners - points[index, :2], axis=1).argmax()]
    while True:
        moved = rng.uniform(low, low + sides)
        if np.linalg.norm(moved - points[index, :2]) >= 0.5 * sides.max():
            break
        low, sides = np.minimum(moved, far), np.abs(moved - far)  # nearer to the farthest corner
    points[index, :2] = moved
    set_points(row, points)


def label_twice(data: Data, count: int, rng: np.random.Generator) -> set[Target]:
    """A second annotation of the same object, clicked anew: 0.5 % of the box's longer side off."""
    planted: set[Target] = set()
    for split, row in chosen(data.used(4), count, rng):
        points = points_of(row)
        points[:, :2] += rng.normal(0, 0.005 * max(row["bbox"][2:]), (len(points), 2)) * (
            points[:, 2:] > 0
        )
        rows = data.contents[split]["annotations"]
        again = {**row, "id": max(other["id"] for other in rows) + 1}
        set_points(again, points)
        rows.append(again)
        planted.add((split, "annotation", again["id"]))
    return planted


def wrong_size(data: Data, count: int, rng: np.random.Generator) -> set[Target]:
    """The size of a larger version of the image is listed."""
    planted: set[Target] = set()
    for image in chosen(data.contents["train"]["images"], count, rng):
        image["width"], image["height"] = 2 * image["width"], 2 * image["height"]
        planted.add(("train", "image", image["id"]))
    return planted


def turn_by_exif(data: Data, count: int, rng: np.random.Generator) -> set[Target]:
    """The pixels lie on their side, and EXIF says so; size and labels are of the upright one."""
    from PIL import Image

    planted: set[Target] = set()
    for image in chosen(data.contents["train"]["images"], count, rng):
        path = data.folder / "images" / "train" / image["file_name"]
        with Image.open(path) as upright:
            lying = upright.convert("RGB").transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        lying.save(path, "JPEG", exif=exif)
        planted.add(("train", "image", image["id"]))
    return planted


def leak(data: Data, count: int, rng: np.random.Generator) -> set[Target]:
    """Training images come into validation cropped by 1 %, brightened and compressed anew."""
    import cv2

    planted: set[Target] = set()
    train, val = (data.contents[split] for split in SPLITS)
    for image in chosen(train["images"], count, rng):
        pixels = cv2.imread(str(data.folder / "images" / "train" / image["file_name"]))
        height, width = pixels.shape[:2]
        dx, dy = max(1, width // 100), max(1, height // 100)
        cut = cv2.resize(pixels[dy : height - dy, dx : width - dx], (width, height))
        number = max(row["id"] for row in val["images"]) + 1
        name = f"again_{number}.jpg"
        brighter = cv2.convertScaleAbs(cut, alpha=1.05, beta=6)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 70]
        cv2.imwrite(str(data.folder / "images" / "val" / name), brighter, quality)
        val["images"].append({**image, "id": number, "file_name": name})
        planted.add(("val", "image", number))
    return planted


@dataclass(frozen=True)
class Kind:
    """One kind of fault.

    Args:
        name: For the table.
        plant: Changes the data and tells what it did.
        checks: Those that should find it.
        with_images: Whether images are needed.
    """

    name: str
    plant: Callable[[Data, int, np.random.Generator], set[Target]]
    checks: tuple[str, ...]
    with_images: bool = False


ALL_PAIRS = 8
"""Labelled points from which an exchange of sides can be seen."""

KINDS: tuple[Kind, ...] = (
    Kind("id given twice", repeat_ids, ("repeated_id",)),
    Kind("reference to no image", change_rows(dangle), ("dangling_reference",)),
    Kind("one keypoint less", change_rows(drop_point), ("keypoint_count",)),
    Kind("size of another version", wrong_size, ("image_size",), with_images=True),
    Kind("turned by EXIF", turn_by_exif, ("exif_turned",), with_images=True),
    Kind("area 0", change_rows(zero_area), ("area_not_positive",)),
    Kind(
        "box of another object",
        change_rows(move_box),
        ("box_misses_points", "point_outside_box"),
    ),
    Kind("box out of the image", change_rows(stretch_box), ("box_outside_image",)),
    Kind("labelled at 0, 0", change_rows(to_origin), ("labelled_at_origin",)),
    Kind("left and right exchanged", change_rows(exchange_sides, ALL_PAIRS), ("swapped_sides",)),
    Kind(
        "limbs exchanged from a joint on",
        change_rows(exchange_ends, ALL_PAIRS),
        ("crossed_limbs", "swapped_sides"),
    ),
    Kind("point elsewhere", change_rows(misplace, ALL_PAIRS), ("limb_length", "misplaced_point")),
    Kind("object labelled twice", label_twice, ("repeated_annotation",)),
    Kind(
        "training image in validation",
        leak,
        ("near_duplicate_across_files", "duplicate_across_files"),
        with_images=True,
    ),
)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, help="horse26 data (default: generated)")
    parser.add_argument("--count", type=int, default=20, help="faults of each kind (default: 20)")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def read_data(root: Path) -> Data:
    contents = {}
    for split in SPLITS:
        path = root / "annotations" / f"{split}.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"expected annotations at {path}, found no such file; name the folder by "
                "--data-root"
            )
        contents[split] = json.loads(path.read_text())
    return Data(contents, root)


def found_in(data: Data, checks: tuple[str, ...], with_images: bool) -> list[Target]:
    """Targets that the checks name in the data, each annotation or image once."""
    from equikpt.core.issues import CODES
    from equikpt.data_tools.verify.label_set import read_set
    from equikpt.data_tools.verify.run import CHECKS

    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{split}.json" for split in SPLITS]
        for path, split in zip(paths, SPLITS, strict=True):
            path.write_text(json.dumps(data.contents[split]))
        folders = [data.folder / "images" / split for split in SPLITS] if with_images else []
        labels = read_set(paths, folders, "horse26")
        families = {CODES[check].family for check in checks}
        issues = [issue for name in CHECKS if name in families for issue in CHECKS[name](labels)]
    named: dict[Target, None] = {}
    for issue in issues:
        if issue.code in checks:
            part, number = ("annotation", issue.subject.annotation_id)
            if number is None:
                part, number = "image", issue.subject.image_id
            named[Path(issue.subject.file).stem, part, number] = None
    return list(named)


def try_kind(kind: Kind, clean: Data, count: int, seed: int) -> tuple[int, int, int, int]:
    """Planted, found, false alarms, and what is said of the clean data."""
    rng = np.random.default_rng(seed)
    before = len(found_in(clean, kind.checks, kind.with_images))
    with tempfile.TemporaryDirectory() as folder:
        data = Data(copy.deepcopy(clean.contents), clean.folder)
        if kind.with_images:
            data.folder = Path(folder)
            shutil.copytree(clean.folder / "images", data.folder / "images")
        planted = kind.plant(data, count, rng)
        named = found_in(data, kind.checks, kind.with_images)
    found = len(planted & set(named))
    return len(planted), found, len(named) - found, before


def main(argv: list[str] | None = None) -> int:
    from tqdm import tqdm

    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        root = args.data_root
        if root is None:
            from equikpt_runtime.machine import usable_cores
            from projects.sample_horses.coco import Parameters
            from projects.sample_horses.writer import write_samples

            root = Path(folder) / "data"
            write_samples(root, Parameters(200, 40, 0, args.seed), usable_cores())
        clean = read_data(root)
        print(f"{len(clean.used())} annotations")
        print("| planted | checks | number | found | recall | false alarms | without planting |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for kind in tqdm(KINDS, desc="kinds", disable=None):
            number, found, alarms, before = try_kind(kind, clean, args.count, args.seed)
            print(
                f"| {kind.name} | {', '.join(kind.checks)} | {number} | {found} | "
                f"{found / number:.0%} | {alarms} | {before} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
