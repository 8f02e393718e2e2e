from __future__ import annotations

from equikpt.datasets.checked_coco import CheckedCocoDataset
from equikpt.datasets.horse26 import Horse26Dataset
from equikpt.metainfo.horse26 import METAINFO


def test_it_is_the_checked_dataset_with_26_keypoints():
    from mmpose.registry import DATASETS

    assert DATASETS.get("Horse26Dataset") is Horse26Dataset
    assert issubclass(Horse26Dataset, CheckedCocoDataset)
    metainfo = Horse26Dataset(lazy_init=True).metainfo
    assert metainfo["dataset_name"] == "horse26"
    assert metainfo["num_keypoints"] == len(METAINFO["keypoint_info"]) == 26


def test_it_takes_no_other_number_of_keypoints(write_coco, make_coco):
    import pytest

    with pytest.raises(ValueError, match="without 26 keypoints .*annotation 1 has 25 points"):
        Horse26Dataset(**write_coco(make_coco(num_keypoints=25)))
    assert len(Horse26Dataset(**write_coco(make_coco(num_keypoints=26)))) == 6
