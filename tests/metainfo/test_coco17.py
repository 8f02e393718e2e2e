from __future__ import annotations

from pathlib import Path

import mmengine
import mmpose
import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from equikpt.metainfo.coco17 import METAINFO


def test_it_is_what_mmpose_ships():
    """Order, flips, halves, links, weights and sigmas; MMPose's own file is the reference."""
    own = Path(mmpose.__file__).parent / ".mim/configs/_base_/datasets/coco.py"
    theirs = parse_pose_metainfo(mmengine.Config.fromfile(own).dataset_info.to_dict())
    ours = parse_pose_metainfo(METAINFO)
    for key in ("keypoint_id2name", "flip_indices", "upper_body_ids", "lower_body_ids"):
        assert ours[key] == theirs[key]
    assert {frozenset(link) for link in ours["skeleton_links"]} == {
        frozenset(link) for link in theirs["skeleton_links"]
    }
    for key in ("dataset_keypoint_weights", "sigmas"):
        np.testing.assert_allclose(ours[key], theirs[key])
