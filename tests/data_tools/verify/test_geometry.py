import numpy as np
import pytest

from equikpt.data_tools.verify.geometry import box_excess_px, check_geometry
from tests.data_tools.verify.conftest import codes_of, people, points_of, set_points


def test_excess_is_the_distance_along_the_axes():
    xy = np.array([[(5.0, 5), (-3, 5), (5, 14), (12, 17)]])
    assert box_excess_px(xy, np.array([[0.0, 0, 10, 10]])).tolist() == [[0, 3, 4, 7]]


def move_point(annotation: dict, xyv: tuple[float, float, int]) -> None:
    points = points_of(annotation)
    points[9] = xyv
    set_points(annotation, points)


def move_box(annotation: dict) -> None:
    annotation.update(bbox=[0, 0, 20, 20], area=200)


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("box_misses_points", move_box),
        ("point_outside_box", lambda a: move_point(a, (1, 250, 2))),
        ("box_outside_image", lambda a: a["bbox"].__setitem__(2, 310 - a["bbox"][0])),
        ("area_over_box", lambda a: a.update(area=90_000)),
        ("labelled_at_origin", lambda a: move_point(a, (0, 0, 2))),
        ("points_coincide", lambda a: move_point(a, tuple(points_of(a)[7]))),
        (None, lambda a: move_point(a, (1, 250, 1))),
    ],
    ids=["box elsewhere", "point outside", "box out", "area over box", "origin", "coincide",
         "hidden points may be guessed outside the box"],
)  # fmt: skip
def test_each_mistake_is_found_once(read, code, spoil):
    content = people(20)
    spoil(content["annotations"][6])
    assert codes_of(check_geometry(read(content))) == ([(code, 7)] if code else [])


WRITE = {
    # how an exporter writes [x, y, width, height]
    "[left, top, right, bottom]": lambda x, y, w, h: [x, y, x + w, y + h],
    "[x, y, width, height] with y the bottom": lambda x, y, w, h: [x, y + h, w, h],
    "[x, y, width, height] with x, y the centre": lambda x, y, w, h: [x + w / 2, y + h / 2, w, h],
    "[y, x, height, width]": lambda x, y, w, h: [y, x, h, w],
    "[x, y, height, width]": lambda x, y, w, h: [x, y, h, w],
    "fractions of the image": lambda x, y, w, h: [x / 300, y / 260, w / 300, h / 260],
    "[left, top, right, bottom] in fractions of the image": lambda x, y, w, h: [
        *(x / 300, y / 260, (x + w) / 300, (y + h) / 260),
    ],
    "centre and size in fractions of the image": lambda x, y, w, h: [
        *((x + w / 2) / 300, (y + h / 2) / 260, w / 300, h / 260),
    ],
}


@pytest.mark.parametrize("name", WRITE)
def test_boxes_in_another_form_are_one_issue_of_the_file(read, name):
    content = people(20)
    for annotation in content["annotations"]:
        annotation["bbox"] = WRITE[name](*annotation["bbox"])
        annotation["area"] = 100
    (issue,) = check_geometry(read(content))
    assert issue.code == "box_form"
    assert f"read as {name}" in issue.message
    assert issue.subject.annotation_id is None


def test_crowds_with_points_and_small_areas_are_told_with_their_share(read):
    content = people(20)
    for annotation in content["annotations"][:5]:
        annotation["iscrowd"] = 1
    for annotation in content["annotations"][10:16]:
        annotation["area"] *= 0.1
    crowd, area = check_geometry(read(content))
    assert (crowd.code, area.code) == ("crowd", "area_far_below_box")
    assert "5 of 20 (25%)" in crowd.message
    assert "6 of 15 (40%)" in area.message
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1
    (crowd,) = check_geometry(read(content))
    assert "20 of 20 (100%)" in crowd.message


@pytest.mark.parametrize("y", ["top", "bottom"])
def test_exchanged_width_and_height_hide_no_form_of_the_boxes(read, y):
    content = people(20)
    for image in content["images"]:
        image["width"], image["height"] = 150, 300
    for annotation in content["annotations"]:
        points = points_of(annotation)
        points[:, :2] = points[:, 1::-1]  # lying: up to 300 wide, and 150 high
        points[:, 0] += 60
        points[:, 1] *= 0.4
        set_points(annotation, points)
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        corner = low if y == "top" else np.array([low[0], high[1]])
        annotation.update(bbox=[*corner.tolist(), *(high - low).tolist()], area=9000)
    codes = {issue.code for issue in check_geometry(read(content)) if not issue.subject.image}
    assert codes == ({"size_form"} if y == "top" else {"size_form", "box_form"})


def test_fractions_are_one_issue_of_the_file(read):
    content = people(20)
    for annotation in content["annotations"]:
        points = points_of(annotation)
        points[:, :2] /= (300, 260)
        set_points(annotation, points)
    issues = list(check_geometry(read(content)))
    assert codes_of(issues) == [("fractions", None)]
