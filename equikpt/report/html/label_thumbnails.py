"""Small images of what was found: the pose drawn, the box, and the points that are meant."""

from __future__ import annotations

import cv2
import numpy as np

from equikpt.core.image import reader_of
from equikpt.core.issues import Issue
from equikpt.data_tools.verify.label_set import LabelSet
from equikpt.report.html.render import jpeg_uri
from equikpt.visualization.pose import draw_pose, zoom_in

SIDE_PX = 256
MARK_RADIUS_PX = 8
MARK_BGR = (60, 60, 255)
BOX_BGR = (230, 230, 230)
GROUND = 56
"""Gray on which a pose is drawn whose image is not at hand."""
SURROUNDINGS_SHARE = 0.08
"""Share of the image's longer side that is shown at least around an annotation's middle."""


class Thumbnails:
    """Draws issues of a set of labels."""

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._drawing = labels.scheme.drawing()
        self._read = reader_of(labels.scheme.metainfo or {})
        self._files = {file.name: file for file in labels.files}
        self._index = {
            (labels.files[file].name, row["id"]): index
            for index, (file, row) in enumerate(zip(labels.file, labels.rows, strict=True))
        }

    def data_uri(self, issue: Issue) -> str:
        """The thumbnail as the ``src`` of an HTML image, empty where there is nothing to show."""
        cell = self.cell(issue)
        return "" if cell is None else jpeg_uri(cell)

    def cell(self, issue: Issue) -> np.ndarray | None:
        """(``SIDE_PX``, ``SIDE_PX``, 3) uint8, BGR, or None without annotation and image."""
        image = self._image(issue)
        index = self._index.get((issue.subject.file, issue.subject.annotation_id))
        if index is not None:
            return self._annotation(index, image, issue)
        if image is None:
            return None
        corners = np.array([(0, 0), (image.shape[1], image.shape[0])], float)
        half_px = max(image.shape[:2]) / 2
        # zoom_in leaves room around what it shows, which a whole image does not need
        inner = corners.mean(axis=0) + (corners - corners.mean(axis=0)) / 2
        return zoom_in(image, inner, SIDE_PX, half_px)[0]

    def _image(self, issue: Issue) -> np.ndarray | None:
        """(H, W, 3) uint8, BGR."""
        file = self._files.get(issue.subject.file)
        if file is None or file.img_dir is None or not issue.subject.image:
            return None
        if not file.holds(issue.subject.image):
            return None
        try:
            return self._read(file.image_path(issue.subject.image))
        except OSError:  # missing or damaged
            return None

    def _annotation(self, index: int, image: np.ndarray | None, issue: Issue) -> np.ndarray:
        labels = self._labels
        labelled = labels.labelled[index]
        xy, box = labels.xy[index], labels.boxes[index]
        places = [xy[labelled]]
        if np.isfinite(box).all():
            places.append(np.array([box[:2], box[:2] + box[2:]]))
        shown = np.concatenate(places)
        half_px = max(1.0, SURROUNDINGS_SHARE * labels.sizes[index].max())
        shown_on = np.full((1, 1, 3), GROUND, np.uint8) if image is None else image
        cell, placed = zoom_in(shown_on, shown, SIDE_PX, half_px)
        if image is None:
            cell[:] = GROUND
        points = np.zeros_like(xy)
        points[labelled] = placed[: labelled.sum()]
        if len(placed) > labelled.sum():
            low, high = np.round(placed[-2:]).astype(int).tolist()
            cv2.rectangle(cell, low, high, BOX_BGR, 1, cv2.LINE_AA)
        cell = draw_pose(cell, points, self._drawing, labels.visibility[index])
        for point in issue.subject.keypoints:
            if labelled[point]:
                centre = np.round(points[point]).astype(int).tolist()
                cv2.circle(cell, centre, MARK_RADIUS_PX, MARK_BGR, 2, cv2.LINE_AA)
        return cell
