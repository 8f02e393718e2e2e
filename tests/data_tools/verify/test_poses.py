import numpy as np
import pytest

from equikpt.data_tools.verify.pose_model import normalised
from equikpt.data_tools.verify.poses import check_poses, evidence, exchanges
from equikpt.data_tools.verify.scheme import find_scheme
from tests.data_tools.verify.conftest import NAMES, codes_of, people, points_of, set_points


def exchanged(content: dict, *rows: int) -> dict:
    """The content with left and right of some annotations exchanged."""
    swap = find_scheme("coco17", []).swap
    for annotation in (content["annotations"][row] for row in rows):
        set_points(annotation, points_of(annotation)[swap])
    return content


def test_exchanged_sides_are_found_among_enough_poses(read):
    issues = list(check_poses(read(exchanged(people(60), 7, 31))))
    assert sorted(codes_of(issues)) == [("swapped_sides", 8), ("swapped_sides", 32)]
    assert NAMES.index("left_knee") in issues[0].subject.keypoints
    assert list(check_poses(read(exchanged(people(20), 3)))) == []


def test_a_point_out_of_place_is_found(read):
    content = people(60)
    points = points_of(content["annotations"][20])
    points[NAMES.index("right_wrist"), :2] = (250, 30)
    set_points(content["annotations"][20], points)
    (issue,) = check_poses(read(content))
    assert codes_of([issue]) == [("misplaced_point", 21)]
    assert issue.subject.keypoints == (NAMES.index("right_wrist"),)


@pytest.mark.slow
def test_a_pose_is_not_judged_by_a_model_that_saw_its_group(read):
    """Many copies of one exchanged pose would else make it a usual one."""
    swap = find_scheme("coco17", []).swap
    labels = read(exchanged(people(60), *range(12)))
    poses = normalised(labels.xy, labels.visibility)
    apart = [(row,) for row in range(60)]
    together = [(0,) if row < 12 else (row,) for row in range(60)]
    seen, unseen = (
        evidence(poses, swap, [swap], groups)[0][:12, 0].mean() for groups in (apart, together)
    )
    assert unseen > seen + 5


@pytest.mark.parametrize(
    ("metainfo", "limbs"),
    [
        # ears hang on the shoulders in COCO's skeleton, and those on everything else
        ("coco17", []),
        ("horse26", ["l_eye l_ear", "l_elbow l_knee lf_fetlock lf_hoof",
                     "l_hip l_hock lh_fetlock lh_hoof"]),
    ],
)  # fmt: skip
def test_limbs_are_exchanged_one_by_one_as_well(metainfo, limbs):
    scheme = find_scheme(metainfo, [])
    orders = exchanges(scheme.swap, scheme.links)
    np.testing.assert_array_equal(orders[0], scheme.swap)
    moved = [
        " ".join(scheme.names[i] for i in np.flatnonzero(order > np.arange(len(order))))
        for order in orders[1:]
    ]
    assert moved == limbs
    for order in orders:
        np.testing.assert_array_equal(order[order], np.arange(len(order)))


def test_nothing_to_exchange_on_the_midline():
    scheme = find_scheme("p1p2", [])
    assert exchanges(scheme.swap, scheme.links) == []
