"""Images of horses with 26 keypoints, in COCO JSON."""

from __future__ import annotations

from mmpose.registry import DATASETS

from equikpt.datasets.checked_coco import CheckedCocoDataset
from equikpt.metainfo.horse26 import METAINFO


@DATASETS.register_module()
class Horse26Dataset(CheckedCocoDataset):
    """Horses with the 26 keypoints of :mod:`equikpt.metainfo.horse26`.

    The usual layout, every part of which is a config key::

        data/annotations/{train,val,test}.json
        data/images/{train,val,test}/

        dict(
            type='Horse26Dataset',
            data_root='data/',
            ann_file='annotations/train.json',
            data_prefix=dict(img='images/train/'),
            pipeline=train_pipeline)

    Options, checks and errors: :class:`CheckedCocoDataset`.
    """

    METAINFO: dict = METAINFO
