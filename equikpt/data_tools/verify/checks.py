"""The table of checks: what each looks for, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SEVERITIES = ("error", "warning", "info")
"""Worst first. An error makes training or evaluation wrong; a warning deserves a look."""

# fmt: off
COCO = ""
"""Stands where :mod:`equikpt.core.coco.checks` or ``image_checks`` says what to do."""

ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    # name, family (of run.py), severity, title, what to do
    ("field", "structure", "error", "field absent or of another kind", COCO),
    ("repeated_id", "structure", "error", "id given twice", COCO),
    ("dangling_reference", "structure", "error", "reference to nothing", COCO),
    ("keypoint_count", "structure", "error", "another number of keypoints", COCO),
    ("keypoint_value", "structure", "error", "coordinate that is no number", COCO),
    ("visibility_value", "structure", "error", "visibility other than 0, 1, 2", COCO),
    ("keypoint_order", "structure", "error", "keypoints in another order", COCO),
    ("keypoint_names", "structure", "warning", "keypoints of other names",
     "take the metainfo that these labels were made for, or convert the file"),
    ("num_keypoints", "structure", "warning", "num_keypoints miscounts",
     "write the number of points whose visibility is above 0"),
    ("repeated_file", "structure", "warning", "picture listed twice", COCO),
    ("other_finding", "structure", "error", "another mistake in the file", COCO),
    ("no_area", "structure", "error", "no area", COCO),
    ("area_not_positive", "structure", "error", "area not above 0", COCO),
    ("box_without_area", "structure", "error", "box without area in its picture", COCO),
    ("box_form", "geometry", "error", "boxes in another form",
     "rewrite the boxes as [x, y, width, height] in px with x, y the upper left corner"),
    ("size_form", "geometry", "error", "width and height exchanged",
     "exchange width and height of the images in the file"),
    ("fractions", "geometry", "error", "coordinates are fractions of the picture",
     "multiply x by the width and y by the height of the picture"),
    ("box_misses_points", "geometry", "error", "box away from its points",
     "draw the box anew, or give the points to the annotation that they belong to"),
    ("labelled_at_origin", "geometry", "error", "labelled point at 0, 0",
     "write visibility 0 for points that are not labelled"),
    ("point_outside_box", "geometry", "warning", "point outside its box",
     "move the point, or make the box hold all labelled points"),
    ("box_outside_picture", "geometry", "warning", "box reaches out of the picture",
     "clip the box to the picture"),
    ("area_over_box", "geometry", "warning", "area larger than the box",
     "write the area of the outline, or 0.53 of the box where there is none"),
    ("area_far_below_box", "geometry", "warning", "areas far below the boxes",
     "write the areas of the outlines in px², or 0.53 of the box where there are none"),
    ("crowd", "geometry", "warning", "animals with points marked as crowds",
     "write iscrowd=0 for each single animal"),
    ("point_outside_picture", "structure", "warning", "point outside the picture", COCO),
    ("points_coincide", "geometry", "warning", "two points at one place",
     "correct the one that was clicked by mistake, or give it visibility 0"),
    ("never_labelled", "visibility", "warning", "keypoints labelled nowhere",
     "nothing learns them: label them, or train on a metainfo without them"),
    ("seldom_labelled", "visibility", "info", "keypoints labelled seldom",
     "label more of them, or do not read their scores"),
    ("always_labelled", "visibility", "info", "keypoints labelled always",
     "look whether hidden ones were guessed; write visibility 1 for hidden, 0 for not known"),
    ("one_visibility", "visibility", "info", "one visibility for all points",
     "write 1 for hidden and 2 for seen where the labels tell; else nothing is to be done"),
    ("swapped_sides", "poses", "warning", "left and right seem exchanged",
     "look at the picture; left and right are the animal's or the person's own"),
    ("crossed_limbs", "limbs", "warning", "limbs cross between left and right",
     "look at the picture; exchange left and right from that joint on"),
    ("misplaced_point", "poses", "warning", "point out of place",
     "look at the picture; move the marked point, or give it visibility 0"),
    ("limb_length", "limbs", "warning", "limb of an unlikely length",
     "look at the picture; move the marked point, or give it visibility 0"),
    ("repeated_annotation", "repeats", "warning", "the same object labelled twice",
     "remove one of the two annotations"),
    ("copied_labels", "repeats", "warning", "the same labels on another picture",
     "label the picture anew; a copied label fits one of them at most"),
    ("outside_picture", "pictures", "error", "picture outside --img-dir",
     "give with --img-dir the folder that holds all pictures, or correct file_name"),
    ("missing_picture", "pictures", "error", "picture not on disk",
     "bring the picture, or correct --img-dir or file_name"),
    ("damaged_picture", "pictures", "error", "damaged picture", COCO),
    ("picture_size", "pictures", "error", "picture of another size", COCO),
    ("exif_turned", "pictures", "warning", "picture turned by EXIF",
     "turn the pixels and remove the EXIF orientation, so that no reader can differ"),
    ("narrow_range", "pictures", "warning", "values fill a small part of their range",
     "export them over the full range; programs that keep the upper 8 of 16 bits see them black"),
    ("duplicate_across_files", "pictures", "error", "the same picture in two files",
     "keep it in one of the files: a test on what was trained on tells nothing"),
    ("near_duplicate_across_files", "pictures", "warning", "nearly the same picture in two files",
     "keep both in the same file; split by animal or video, not by picture"),
    ("duplicate_picture", "pictures", "warning", "the same picture twice", "remove one of the two"),
    ("near_duplicate", "pictures", "info", "nearly the same picture",
     "keep such pictures in one split; frames of one video add little"),
)
# fmt: on


@dataclass(frozen=True)
class Check:
    """One row of the table."""

    name: str
    family: str
    severity: str
    title: str
    fix: str


CHECKS: dict[str, Check] = {row[0]: Check(*row) for row in ROWS}


@dataclass(frozen=True)
class Fault:
    """One thing that was found.

    Args:
        check: Name of a row of :data:`CHECKS`.
        sentence: What is wrong, in one sentence.
        fix: What to do; the check's own unless given.
        file: The annotation file.
        image_id: Of the picture, where it is about one.
        image: Its file name.
        annotation_id: Of the annotation, where it is about one.
        points: Indices of the keypoints that it is about.
        score: How sure or how bad, in the check's own unit; larger comes first.
    """

    check: str
    sentence: str
    fix: str = ""
    file: str = ""
    image_id: int | None = None
    image: str = ""
    annotation_id: int | None = None
    points: tuple[int, ...] = ()
    score: float = 0.0

    @property
    def severity(self) -> str:
        """``"error"``, ``"warning"`` or ``"info"``."""
        return CHECKS[self.check].severity

    @property
    def to_do(self) -> str:
        """What to do about it."""
        return self.fix or CHECKS[self.check].fix


def worst_first(faults: Sequence[Fault]) -> list[Fault]:
    """By severity, then by the order of the table, then by score."""
    order = {name: place for place, name in enumerate(CHECKS)}
    return sorted(
        faults,
        key=lambda fault: (SEVERITIES.index(fault.severity), order[fault.check], -fault.score),
    )
