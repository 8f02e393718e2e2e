from pathlib import Path

import numpy as np
import pytest

from equikpt.data_tools.convert.mapping import to_coco
from equikpt.data_tools.convert.records import Instance, LabelledImage, SourceDataset
from equikpt.data_tools.convert.targets import find_target

TARGET = find_target("horse26")
FIVE = [[5, 4, 2], [10, 12, 1], [20, 20, 2], [30, 30, 2], [16.5, 17.6, 0]]


def image(name: str, *points) -> LabelledImage:
    box = (1.0, 2.0, 30.0, 20.0)
    instances = tuple(Instance(box, np.array(keypoints, dtype=float)) for keypoints in points)
    return LabelledImage(Path("somewhere") / name, 50, 40, instances)


def converted(scheme, **splits):
    return to_coco(SourceDataset(splits), scheme, TARGET)


def labelled(annotation: dict) -> dict:
    points = np.array(annotation["keypoints"]).reshape(26, 3)
    assert not points[points[:, 2] == 0].any()  # no template coordinates
    return {TARGET.names[index]: tuple(points[index]) for index in points[:, 2].nonzero()[0]}


def test_points_go_where_the_mapping_says_and_nowhere_else(scheme):
    contents, notes = converted(scheme, train=[image("a.jpg", FIVE)])
    (annotation,) = contents["train"]["annotations"]
    expected = {"nose": (10, 12, 1), "l_knee": (20, 20, 2), "r_knee": (30, 30, 2)}
    assert labelled(annotation) == expected
    assert annotation["num_keypoints"] == 3
    assert annotation["bbox"] == [1, 2, 30, 20]
    assert annotation["area"] == pytest.approx(0.53 * 600)
    assert notes == []


def test_a_point_on_the_border_stays_and_one_outside_goes(scheme):
    points = [[0, 0, 0], [50, 40, 2], [50.1, 20, 2], [20, -0.1, 1], [0, 0, 2]]
    contents, notes = converted(scheme, val=[image("a.jpg", points)])
    assert labelled(contents["val"]["annotations"][0]).keys() == {"nose", "withers"}
    assert "val: labelled points outside their image dropped (a.jpg, a.jpg)" in notes


def test_ids_are_unique_over_splits(scheme):
    train = [image("a.jpg", FIVE, FIVE), image("b.jpg")]
    contents, _ = converted(scheme, train=train, val=[image("c.jpg", FIVE)])
    for part in ("images", "annotations"):
        ids = [row["id"] for content in contents.values() for row in content[part]]
        assert ids == [1, 2, 3]


def test_the_category_names_points_and_links(scheme):
    contents, _ = converted(scheme, train=[image("a.jpg", FIVE)])
    (category,) = contents["train"]["categories"]
    assert tuple(category["keypoints"]) == TARGET.names
    names = [(TARGET.names[a - 1], TARGET.names[b - 1]) for a, b in category["skeleton"]]
    assert names == [(link.start, link.end) for link in TARGET.links]
