"""Data sets of named keypoints in COCO JSON; options and errors as the base class."""

from __future__ import annotations

from mmpose.registry import DATASETS

from equikpt.datasets.checked_coco import CheckedCocoDataset
from equikpt.metainfo import coco17, horse26


@DATASETS.register_module()
class KeypointDataset(CheckedCocoDataset):
    """Any keypoint set, by a file of its metainfo (:func:`equikpt.metainfo.read_keypoint_set`).

    The usual layout, every part of which is a config key::

        data/annotations/{train,val,test}.json
        data/images/{train,val,test}/

        dict(
            type='KeypointDataset',
            metainfo=dict(from_file='keypoints.py'),
            data_root='data/',
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/train/'),
            pipeline=train_pipeline)
    """


@DATASETS.register_module()
class Horse26Dataset(KeypointDataset):
    """Horses with the 26 keypoints of :mod:`equikpt.metainfo.horse26`."""

    METAINFO: dict = horse26.METAINFO


@DATASETS.register_module()
class Coco17Dataset(KeypointDataset):
    """People with the 17 keypoints of :mod:`equikpt.metainfo.coco17`, in COCO's own layout.

    A download that stopped half way is trained on as far as it got: images that are missing are
    left out, counted in the log, and leave the evaluation too. Nothing ever stands in for them.

        dict(
            type='Coco17Dataset',
            data_root='data/coco/',
            ann_file='annotations/person_keypoints_train2017.json',
            data_prefix=dict(img='train2017/'),
            max_missing_share=0.5,
            pipeline=train_pipeline)
    """

    METAINFO: dict = coco17.METAINFO
