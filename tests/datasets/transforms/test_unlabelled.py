from __future__ import annotations

import numpy as np
from mmpose.datasets.transforms import BottomupGetHeatmapMask

from equikpt.datasets.transforms.unlabelled import MaskUnlabelled

SQUARE = [20, 20, 40, 20, 40, 40, 20, 40]
# the upper left corner, 10 columns of 30 px of 80, as COCO's uncompressed run lengths
CROWD = dict(size=[80, 100], counts=[0, *[30, 50] * 9, 30, 50 + 80 * 90])
UNMOVED = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def sample(*segs, warp_mat=UNMOVED) -> dict:
    heatmaps = np.zeros((2, 20, 25), np.float32)
    return dict(
        invalid_segs=list(segs),
        img_shape=(80, 100),
        input_size=(100, 80),
        heatmaps=heatmaps,
        warp_mat=warp_mat,
    )


def masked(transform, *segs, **more) -> np.ndarray:
    """(20, 25) where the heatmap does not count."""
    return ~transform(sample(*segs, **more))["heatmap_mask"]


def test_people_without_labels_do_not_count():
    mask = masked(MaskUnlabelled(), [SQUARE])
    assert mask[6:9, 6:9].all()
    assert mask.sum() == 25
    assert not masked(MaskUnlabelled()).any()


def test_crowds_do_not_count_either():
    mask = masked(MaskUnlabelled(), CROWD, [SQUARE])
    assert mask[:7, :2].all()
    assert mask[6:9, 6:9].all()
    assert not mask[10:].any()


def test_the_stock_transform_leaves_crowds_out():
    """The control: this is what the subclass is for."""
    assert not masked(BottomupGetHeatmapMask(), CROWD).any()


def test_the_mask_follows_the_image():
    shift = np.array([[1, 0, 40], [0, 1, 0]], np.float32)
    mask = masked(MaskUnlabelled(), [SQUARE], warp_mat=shift)
    assert mask[6:9, 16:19].all()
    assert not mask[:, 11:14].any()
    assert mask[:, :9].all()  # the image is not there any more
