import copy

import numpy as np

from equikpt.data_tools.verify.repeats import check_repeats
from tests.data_tools.verify.conftest import codes_of, people, person, points_of, set_points


def test_two_people_side_by_side_are_not_one(read):
    content = people(20)
    content["annotations"].append(person(21, 1, np.random.default_rng(5), (10, 20)))
    assert list(check_repeats(read(content))) == []


def test_an_object_labelled_again_is_found_once(read):
    content = people(10)
    rng = np.random.default_rng(5)
    for number in (11, 12):
        again = {**copy.deepcopy(content["annotations"][3]), "id": number}
        points = points_of(again)
        points[:, :2] += rng.normal(0, 1, (17, 2))
        set_points(again, points)
        content["annotations"].append(again)
    issues = list(check_repeats(read(content)))
    assert codes_of(issues) == [("repeated_annotation", 11), ("repeated_annotation", 12)]
    assert "annotation 4" in issues[0].message


def test_labels_on_a_second_image_are_copies(read):
    first, second = people(10, seed=0), people(10, seed=1)
    second["annotations"][4]["keypoints"] = first["annotations"][2]["keypoints"]
    (issue,) = check_repeats(read(first, second))
    assert codes_of([issue]) == [("copied_labels", 5)]
    assert "annotation 3 on 3.png of " in issue.message
    assert issue.subject.file.endswith("labels_1.json")


def test_single_points_may_agree_by_chance(read):
    content = people(10)
    for annotation in content["annotations"][:2]:
        annotation["keypoints"] = [50.0, 60.0, 2] + [0, 0, 0] * 16
    assert list(check_repeats(read(content))) == []
