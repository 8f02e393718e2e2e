from __future__ import annotations

from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.metainfo.p1p2 import METAINFO


def test_two_marks_and_the_line_between_them():
    metainfo = parse_pose_metainfo(METAINFO)
    assert metainfo["keypoint_id2name"] == {0: "p1", 1: "p2"}
    assert metainfo["skeleton_links"] == [(0, 1)]


def test_lower_and_upper_end_stay_so_under_a_flip():
    metainfo = parse_pose_metainfo(METAINFO)
    assert metainfo["flip_indices"] == [0, 1]
    assert metainfo["lower_body_ids"] == [0]
    assert metainfo["upper_body_ids"] == [1]
