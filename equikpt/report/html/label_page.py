"""Check of a label set as one HTML file with everything in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from equikpt.core.image import reader_of
from equikpt.core.issues import CODES, SEVERITIES, Issue
from equikpt.data_tools.verify.label_set import LabelSet
from equikpt.data_tools.verify.run import VerifyResult, counts, plural
from equikpt.report.html.render import drawn_in_turns, render
from equikpt.visualization.pose import draw_marked_pose, zoom_in

MAX_CARDS = 60
"""Cards of one check: the worst are shown, all are in the CSV and the JSON."""
MAX_IMAGE_BYTES = 4_000_000
"""Size of all thumbnails, as text in the page, which then stays below 5 MB."""
MAX_LETTERS = 400
"""Length of a message."""
SIDE_PX = 256
GROUND = 56
"""Gray on which a pose is drawn whose image is not at hand."""
SURROUNDINGS = 0.08
"""Fraction of the image's longer side that is shown at least around an annotation's middle."""


def to_html(result: VerifyResult, max_image_bytes: int = MAX_IMAGE_BYTES) -> str:
    """Render the page.

    Args:
        result: Issues of the label set.
        max_image_bytes: Of the thumbnails as base64 text; beyond it the worst of each check have
            one.
    """
    by_check: dict[str, list[Issue]] = {}
    for issue in result.issues:
        if len(issues := by_check.setdefault(issue.code, [])) < MAX_CARDS:
            issues.append(issue)
    draw = Thumbnails(result.labels).cell
    drawn = drawn_in_turns(by_check.values(), draw, max_image_bytes)
    thumbnails = {id(issue): uri for issue, uri in drawn}
    severities = [(level, plural(result.count(level), level)) for level in SEVERITIES]
    scheme = result.labels.scheme
    found = ", ".join(count for _, count in severities)
    return render(
        "labels.html.j2",
        title="Labels checked: " + ", ".join(file.path.name for file in result.labels.files),
        summary=f"{found}; {len(scheme.names)} keypoints, {scheme.name}",
        files=[file.name for file in result.labels.files],
        checks=[
            dict(name=name, count=count, severity=CODES[name].severity, title=CODES[name].title)
            for name, count in counts(result).items()
        ],
        max_cards=MAX_CARDS,
        max_letters=MAX_LETTERS,
        statistics=[
            (name, [(title, _text(value)) for title, value in figures.items()])
            for name, figures in result.statistics.items()
        ],
        severities=severities,
        cards=[
            (issue, thumbnails.get(id(issue), ""))
            for issues in by_check.values()
            for issue in issues
        ],
    )


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {part:g}" for key, part in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


class Thumbnails:
    """Small images of issues: the pose drawn, the box, and the points that are meant."""

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._read = reader_of(labels.scheme.metainfo or {})
        self._drawing = labels.scheme.drawing()
        self._files = {file.name: file for file in labels.files}
        self._index = {
            (labels.files[file].name, row["id"]): index
            for index, (file, row) in enumerate(zip(labels.file, labels.rows, strict=True))
        }

    def cell(self, issue: Issue) -> np.ndarray | None:
        """(``SIDE_PX``, ``SIDE_PX``, 3) uint8, BGR, or None without annotation and image."""
        image = self._image(issue)
        index = self._index.get((issue.subject.file, issue.subject.annotation_id))
        if index is not None:
            return self._annotation(index, image, issue)
        if image is None:
            return None
        size = np.array([image.shape[1], image.shape[0]], float)
        # zoom_in leaves room around what it shows, which a whole image does not need
        return zoom_in(image, np.stack([0.25 * size, 0.75 * size]), SIDE_PX, size.max() / 2)[0]

    def _image(self, issue: Issue) -> np.ndarray | None:
        """(H, W, 3) uint8, BGR."""
        file, name = self._files.get(issue.subject.file), issue.subject.image
        if file is None or file.img_dir is None or not name or not file.holds(name):
            return None
        try:
            return self._read(file.image_path(name))
        except OSError:  # missing or damaged
            return None

    def _annotation(self, index: int, image: np.ndarray | None, issue: Issue) -> np.ndarray:
        labels = self._labels
        labelled, xy, box = labels.labelled[index], labels.xy[index], labels.boxes[index]
        corners = np.array([box[:2], box[:2] + box[2:]] if np.isfinite(box).all() else [])
        half_px = max(1.0, SURROUNDINGS * labels.sizes[index].max())
        ground = np.full((1, 1, 3), GROUND, np.uint8) if image is None else image
        cell, shown = zoom_in(
            ground, np.concatenate([xy[labelled], corners.reshape(-1, 2)]), SIDE_PX, half_px
        )
        if image is None:
            cell[:] = GROUND
        points = np.zeros_like(xy)
        points[labelled] = shown[: labelled.sum()]
        visibility = labels.visibility[index]
        marked = [point for point in issue.subject.keypoints if labelled[point]]
        box_px = shown[-2:] if len(corners) else None
        return draw_marked_pose(cell, points, self._drawing, visibility, marked, box_px)
