from __future__ import annotations

import numpy as np

from equikpt.datasets.transforms import DropOutsideKeypoints


def test_points_beyond_the_crop_are_dropped_and_no_others():
    points = np.array([[[0, 0], [255.4, 191.4], [256, 50], [50, 192], [-1, 50], [100, 100]]])
    results = dict(
        img=np.zeros((192, 256, 3), np.uint8),
        input_size=(256, 192),
        keypoints=np.zeros((1, 6, 2), np.float32),  # px of the raw image: must not matter
        transformed_keypoints=points.astype(np.float32),
        keypoints_visible=np.array([[1, 1, 1, 1, 1, 0]], np.float32),
        keypoints_visibility=np.array([[1, 2, 2, 1, 2, 0]], np.uint8),
    )
    out = DropOutsideKeypoints()(results)
    assert out["keypoints_visible"].tolist() == [[1, 1, 0, 0, 0, 0]]
    assert out["keypoints_visibility"].tolist() == [[1, 2, 0, 0, 0, 0]]


def test_a_sample_without_labels_passes():
    results = dict(img=np.zeros((9, 9, 3), np.uint8), input_size=(9, 9))
    assert DropOutsideKeypoints()(dict(results)).keys() == results.keys()
