"""Keypoints that a file is checked against: a metainfo of equikpt, or the names in the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equikpt.data_tools.verify import METAINFOS
from equikpt.metainfo import coco17, horse26, p1p2, read_keypoint_set
from equikpt.metainfo.schema import SIDE_COLORS_RGB
from equikpt.metainfo.sides import flip_by_name, side_of

OWN_ORDER = "file"
"""In place of a metainfo: the file's own order of keypoints, which is then never wrong."""
_TABLES = dict(zip(METAINFOS, (horse26, p1p2, coco17), strict=True))


@dataclass(frozen=True)
class Scheme:
    """K keypoints.

    Args:
        name: Of the keypoint set; ``"file"`` where the file's own names are taken.
        names: K names in the order of the file format.
        swap: (K,) index of the same point on the other side, its own for a point of the midline.
        links: (L, 2) indices of the ends of the skeleton's lines.
        metainfo: In MMPose's form; None where the file's own names are taken.
    """

    name: str
    names: tuple[str, ...]
    swap: np.ndarray
    links: np.ndarray
    metainfo: dict | None = None

    def names_of(self, points: Sequence[int] | np.ndarray) -> str:
        """Names of the points, in a row."""
        return ", ".join(self.names[index] for index in points)

    def drawing(self) -> dict:
        """Metainfo in MMPose's form, as far as drawing a pose reads it."""
        if self.metainfo is not None:
            points, lines = (
                [row["color"] for row in self.metainfo[key].values()]
                for key in ("keypoint_info", "skeleton_info")
            )
        else:
            sides = [side_of(name) or "middle" for name in self.names]
            # a link to the midline has the colour of its paired end
            ends = [sides[b] if sides[a] == "middle" else sides[a] for a, b in self.links]
            points, lines = ([SIDE_COLORS_RGB[side] for side in each] for each in (sides, ends))
        return dict(
            dataset_name=self.name,
            num_keypoints=len(self.names),
            keypoint_colors=points,
            skeleton_links=[tuple(link) for link in self.links.tolist()],
            skeleton_link_colors=lines,
        )


def find_scheme(metainfo: str | None, contents: Sequence[dict]) -> Scheme:
    """Find the scheme by its name, or the one whose names the first file has, or the file's own.

    Args:
        metainfo: One of :data:`METAINFOS`, the file of a keypoint set, :data:`OWN_ORDER`, or None.
        contents: What :func:`equikpt.core.coco.file.load_coco` returned for each file.

    Raises:
        FileNotFoundError: The metainfo is neither a known one nor a file.
        ValueError: The file is no keypoint set, or the files have no keypoints at all.
    """
    if metainfo in METAINFOS:
        return _of_metainfo(_TABLES[metainfo].METAINFO)
    if metainfo not in (None, OWN_ORDER):
        if not Path(metainfo).is_file():
            raise FileNotFoundError(
                f"no keypoint set '{metainfo}'; give one of {', '.join(METAINFOS)}, or the file of "
                "one, such as keypoints.py"
            )
        return _of_metainfo(read_keypoint_set(metainfo))
    categories = filter(is_named, (row for each in contents for row in each["categories"]))
    category: dict = next(categories, {})
    names = tuple(category.get("keypoints", ()))
    for table in _TABLES.values():
        known = tuple(point.name for point in table.KEYPOINTS)
        if names == known or (metainfo is None and sorted(names) == sorted(known)):
            return _of_metainfo(table.METAINFO)
    if not names:
        counts = Counter(
            len(row["keypoints"]) // 3
            for content in contents
            for row in content["annotations"]
            if isinstance(row.get("keypoints"), list) and row["keypoints"]
        )
        if not counts:
            raise ValueError("no annotation has keypoints; export the file with its keypoints")
        names = tuple(f"point {index}" for index in range(counts.most_common(1)[0][0]))
    ends, skeleton = range(1, len(names) + 1), category.get("skeleton")  # COCO counts from 1
    links = [
        (link[0] - 1, link[1] - 1)
        for link in (skeleton if isinstance(skeleton, list) else [])
        if isinstance(link, list) and len(link) == 2 and all(end in ends for end in link)
    ]
    swap = np.array(flip_by_name(names), int)
    return Scheme("file", names, swap, np.array(links, int).reshape(-1, 2))


def is_named(category: dict) -> bool:
    """Tell whether a category names its keypoints."""
    names = category.get("keypoints")
    return isinstance(names, list) and bool(names) and all(isinstance(n, str) for n in names)


def _of_metainfo(metainfo: dict) -> Scheme:
    rows = metainfo["keypoint_info"].values()
    index_of = {row["name"]: index for index, row in enumerate(rows)}
    links = [[index_of[end] for end in row["link"]] for row in metainfo["skeleton_info"].values()]
    return Scheme(
        metainfo["dataset_name"],
        tuple(index_of),
        np.array([index_of[row["swap"] or row["name"]] for row in rows]),
        np.array(links, int).reshape(-1, 2),
        metainfo,
    )
