"""Images of people with COCO's 17 keypoints."""

from __future__ import annotations

from mmpose.registry import DATASETS

from equikpt.datasets.checked_coco import CheckedCocoDataset
from equikpt.metainfo.coco17 import METAINFO


@DATASETS.register_module()
class Coco17Dataset(CheckedCocoDataset):
    """People with the 17 keypoints of :mod:`equikpt.metainfo.coco17`, in COCO's own layout.

    People without a labelled keypoint and crowds are not trained on. A download that stopped half
    way is trained on as far as it got: images that are missing are left out, counted in the log,
    and leave the evaluation too. Nothing ever stands in for them.

        dict(
            type='Coco17Dataset',
            data_root='data/coco/',
            ann_file='annotations/person_keypoints_train2017.json',
            data_prefix=dict(img='train2017/'),
            max_missing_share=0.5,
            pipeline=train_pipeline)

    Options, checks and errors: :class:`CheckedCocoDataset`.
    """

    METAINFO: dict = METAINFO
