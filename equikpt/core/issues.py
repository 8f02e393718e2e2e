"""Issues: everything that can be wrong with labels, images, radiographs, environment and runs.

A check yields :class:`Issue` objects and formats nothing; :func:`format_issues` makes the lines
that people read. A code of :data:`CODES` brings its severity and its advice; an issue of another
family (a run, the environment) gives both itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

SEVERITIES = ("error", "warning", "info")
"""Worst first. An error makes training or evaluation wrong; a warning deserves attention."""

MAX_EXAMPLES = 5
"""Examples that a message shows."""


class Code(NamedTuple):
    """A kind of issue: checks that find it, severity, name in a few words, and advice."""

    family: str
    severity: str
    title: str
    fix: str


# fmt: off
CODES: dict[str, Code] = {name: Code(*row) for name, *row in (
    ("field", "structure", "error", "field absent or of another kind", "write it into the file"),
    ("repeated_id", "structure", "error", "id given twice", "give each its own id"),
    ("dangling_reference", "structure", "error", "reference to nothing",
     "remove them or list what they name"),
    ("keypoint_count", "structure", "error", "another number of keypoints",
     "convert the file or take the dataset that fits it"),
    ("keypoint_value", "structure", "error", "coordinate that is no number",
     "write 0, 0, 0 for a point that is not labelled"),
    ("visibility_value", "structure", "error", "visibility other than 0, 1, 2",
     "write 0 for not labelled, 1 for hidden, 2 for seen"),
    ("keypoint_order", "structure", "error", "keypoints in another order",
     "reorder the keypoints of every annotation"),
    ("keypoint_names", "structure", "warning", "keypoints of other names",
     "take the metainfo that these labels were made for, or convert the file"),
    ("num_keypoints", "structure", "warning", "num_keypoints miscounts",
     "write the number of points whose visibility is above 0"),
    ("repeated_file", "structure", "warning", "image listed twice", "list each file once"),
    ("no_area", "structure", "error", "no area",
     "write the areas into the file, or set area_from_bbox=0.53 to take that fraction of the box"),
    ("area_not_positive", "structure", "error", "area not above 0",
     "correct the areas in px², or set area_from_bbox=0.53 to take that fraction of the box"),
    ("box_without_area", "structure", "error", "box without area in its image",
     "expected [x, y, width, height] in px with x, y the upper left corner"),
    ("box_form", "geometry", "error", "boxes in another form",
     "rewrite the boxes as [x, y, width, height] in px with x, y the upper left corner"),
    ("size_form", "geometry", "error", "width and height exchanged",
     "exchange width and height of the images in the file"),
    ("fractions", "geometry", "error", "coordinates are fractions of the image",
     "multiply x by the width and y by the height of the image"),
    ("box_misses_points", "geometry", "error", "box away from its points",
     "draw the box anew, or give the points to the annotation that they belong to"),
    ("labelled_at_origin", "geometry", "error", "labelled point at 0, 0",
     "write visibility 0 for points that are not labelled"),
    ("point_outside_box", "geometry", "warning", "point outside its box",
     "move the point, or make the box hold all labelled points"),
    ("box_outside_image", "geometry", "warning", "box reaches out of the image",
     "clip the box to the image"),
    ("area_over_box", "geometry", "warning", "area larger than the box",
     "write the area of the outline, or 0.53 of the box where there is none"),
    ("area_far_below_box", "geometry", "warning", "areas far below the boxes",
     "write the areas of the outlines in px², or remove them and set area_from_bbox=0.53"),
    ("crowd", "geometry", "warning", "animals with points marked as crowds",
     "write iscrowd=0 for each single animal"),
    ("point_outside_image", "structure", "warning", "point outside the image",
     "check whether coordinates are in px of this image"),
    ("points_coincide", "geometry", "warning", "two points at the same coordinates",
     "correct the one that was clicked by mistake, or give it visibility 0"),
    ("never_labelled", "visibility", "warning", "keypoints labelled nowhere",
     "nothing learns them: label them, or train on a metainfo without them"),
    ("seldom_labelled", "visibility", "info", "keypoints labelled seldom",
     "label more of them, or do not read their scores"),
    ("always_labelled", "visibility", "info", "keypoints labelled always",
     "look whether hidden ones were guessed; write visibility 1 for hidden, 0 for not known"),
    ("one_visibility", "visibility", "info", "one visibility for all points",
     "write 1 for hidden and 2 for seen where the labels distinguish them; else do nothing"),
    ("swapped_sides", "poses", "warning", "left and right seem exchanged",
     "look at the image; left and right are the animal's or the person's own"),
    ("crossed_limbs", "limbs", "warning", "limbs cross between left and right",
     "look at the image; exchange left and right from that joint on"),
    ("misplaced_point", "poses", "warning", "point out of place",
     "look at the image; move the marked point, or give it visibility 0"),
    ("limb_length", "limbs", "warning", "limb of an unlikely length",
     "look at the image; move the marked point, or give it visibility 0"),
    ("repeated_annotation", "repeats", "warning", "the same object labelled twice",
     "remove one of the two annotations"),
    ("copied_labels", "repeats", "warning", "the same labels on another image",
     "label the image anew; a copied label fits one of them at most"),
    ("outside_image", "images", "error", "image outside the folder of images",
     "give the folder that holds all images, or correct file_name"),
    ("missing_image", "images", "error", "image not on disk",
     "bring the image, or correct the folder of images or file_name"),
    ("damaged_image", "images", "error", "damaged image",
     "replace it, or take it out of the JSON"),
    ("image_size", "images", "error", "image of another size",
     "the keypoints may belong to another version of the image; bring both together"),
    ("exif_turned", "images", "warning", "image turned by EXIF",
     "turn the pixels and remove the EXIF orientation, so that no reader can differ"),
    ("narrow_range", "images", "warning", "values fill a small part of their range",
     "export them over the full range; programs that keep the upper 8 of 16 bits see them black"),
    ("duplicate_across_files", "images", "error", "the same image in two files",
     "keep it in one of the files: a test on what was trained on proves nothing"),
    ("near_duplicate_across_files", "images", "warning", "nearly the same image in two files",
     "keep both in the same file; split by animal or video, not by image"),
    ("duplicate_image", "images", "warning", "the same image twice", "remove one of the two"),
    ("near_duplicate", "images", "info", "nearly the same image",
     "keep such images in one split; frames of one video add little"),
    ("mark_missing", "ruler", "error", "missing", "label both ends of the ruler"),
    ("mark_doubled", "ruler", "error", "doubled", "keep one label of each mark"),
    ("mark_outside", "ruler", "error", "outside", "move the mark into the radiograph"),
    ("marks_swapped", "ruler", "error", "swapped", "exchange p1 and p2"),
    ("labelled_turned", "ruler", "error", "turned", "turn the radiograph back and label it anew"),
    ("radiograph_size", "ruler", "error", "size", "bring the image that was labelled"),
    ("radiograph_duplicate", "ruler", "error", "duplicate", "keep one of them"),
    ("radiograph_unreadable", "ruler", "error", "unreadable", "replace the file"),
    ("radiograph_missing", "ruler", "error", "no image", "bring the file"),
    ("unknown_label", "ruler", "warning", "unknown label", "name the marks p1 and p2"),
    ("not_labelled", "ruler", "warning", "no labels", "label it, or take it out"),
    ("several_annotations", "ruler", "warning", "several annotations", "keep one"),
    ("distance_outlier", "ruler", "warning", "distance", "look at both marks"),
    ("angle_outlier", "ruler", "warning", "angle", "look at both marks"),
    ("done_share", "sequence", "warning", "done has too small a fraction of the loss",
     "set model.head.done_balance=balanced"),
    ("too_many_points", "sequence", "warning", "more points than the head can point at",
     "set max_points of the data set, or raise that of codec and head"),
)}
# fmt: on


@dataclass(frozen=True)
class Subject:
    """Thing that an issue is about; what does not apply stays empty.

    Args:
        file: Annotation file, log or config.
        part: List of the file: ``"images"``, ``"annotations"`` or ``"categories"``.
        rows: Indices in that list.
        image: File name of the image.
        image_id: Its id.
        annotation_id: Id of the annotation.
        keypoints: Indices of the keypoints.
    """

    file: str = ""
    part: str = ""
    rows: tuple[int, ...] = ()
    image: str = ""
    image_id: Any = None
    annotation_id: Any = None
    keypoints: tuple[int, ...] = ()


@dataclass(frozen=True)
class Issue:
    """Something that is wrong.

    Args:
        code: A key of :data:`CODES`, or a code of the caller's own with a severity.
        message: What is wrong, the start of a sentence. Issues of one kind have the same.
        fix: What to do; the code's own advice unless given.
        severity: One of :data:`SEVERITIES`; the code's own unless given.
        subject: The thing that is wrong.
        examples: Each thing that the message is about, with what distinguishes it.
        score: How sure or how bad, in the code's own unit; larger comes first.

    Raises:
        ValueError: The severity is none of :data:`SEVERITIES`, or the code brings none.
    """

    code: str
    message: str
    fix: str = ""
    severity: str = ""
    subject: Subject = Subject()
    examples: tuple[str, ...] = ()
    score: float = 0.0

    def __post_init__(self) -> None:
        row = CODES.get(self.code, Code("", "", "", ""))
        severity = self.severity or row.severity
        if severity not in SEVERITIES:
            raise ValueError(
                f"expected the severity of '{self.code}' to be one of {', '.join(SEVERITIES)}, got "
                f"{severity!r}; give it, or add the code to the table"
            )
        object.__setattr__(self, "severity", severity)
        object.__setattr__(self, "fix", self.fix or row.fix)

    @property
    def title(self) -> str:
        """The code in a few words."""
        return CODES[self.code].title if self.code in CODES else self.code.replace("_", " ")

    @property
    def sentence(self) -> str:
        """The message with its examples, without advice."""
        shown = format_examples(self.examples)
        return f"{self.message} ({shown})" if shown else self.message

    def of(self, **fields: Any) -> Issue:
        """The same issue of a subject with other fields."""
        return replace(self, subject=replace(self.subject, **fields))


class IssueError(ValueError):
    """Labels or images that training or evaluation cannot use.

    Attributes:
        issues: Everything that the message says.
    """

    def __init__(self, message: str = "", issues: Iterable[Issue] = ()) -> None:
        super().__init__(message)
        self.issues = tuple(issues)


def refuse_errors(issues: Iterable[Issue], where: str | Path) -> None:
    """Stop at the errors among issues, all in one message that begins with ``where``.

    Raises:
        IssueError: There are errors.
    """
    wrong = errors(issues)
    if wrong:
        raise IssueError(f"{where}: {' - '.join(format_issues(wrong))}", wrong)


def format_examples(examples: Sequence[str], shown: int = MAX_EXAMPLES) -> str:
    """Join the first ``shown`` examples, and the number of all."""
    count = f"{len(examples)} in all: " if len(examples) > shown else ""
    rest = ", …" if len(examples) > shown else ""
    return f"{count}{', '.join(examples[:shown])}{rest}"


def plural(count: int, noun: str, ending: str = "s") -> str:
    """A number of things in words.

    >>> plural(1, "image"), plural(2, "image"), plural(2, "box", "es")
    ('1 image', '2 images', '2 boxes')
    """
    return f"{count} {noun}{'' if count == 1 else ending}"


def merged(issues: Iterable[Issue]) -> list[Issue]:
    """Join issues that differ in subject and examples alone, in the order of the first."""
    groups: dict[tuple[str, ...], list[Issue]] = {}
    for issue in issues:
        key = (issue.code, issue.severity, issue.message, issue.fix)
        groups.setdefault(key, []).append(issue)
    return [
        replace(group[0], examples=tuple(text for issue in group for text in issue.examples))
        for group in groups.values()
    ]


def format_issues(issues: Iterable[Issue]) -> list[str]:
    """Make a line for each kind of issue: what is wrong, its first examples, and what to do."""
    return [f"{issue.sentence}; {issue.fix}" for issue in merged(issues)]


def errors(issues: Iterable[Issue]) -> list[Issue]:
    """Select the issues with which training or evaluation would be wrong."""
    return [issue for issue in issues if issue.severity == "error"]


def worst_first(issues: Iterable[Issue]) -> list[Issue]:
    """Sort by severity, then by the order of the table, then by score."""
    order = [*CODES]

    def key(issue: Issue) -> tuple[int, int, float]:
        rank = order.index(issue.code) if issue.code in CODES else len(order)
        return SEVERITIES.index(issue.severity), rank, -issue.score

    return sorted(issues, key=key)
