from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from equikpt.datasets.p1p2 import P1P2Dataset
from tests.core.test_label_studio import point, task

SIZE_PX = (80, 100)


@pytest.fixture
def build(tmp_path):
    """``build(*rows, images)``: the data set of a Label Studio export, or of a COCO dict."""

    def make(*rows: dict, images: tuple[str, ...] = ("radiograph.png",)) -> P1P2Dataset:
        (tmp_path / "images").mkdir(exist_ok=True)
        for name in images:
            cv2.imwrite(str(tmp_path / "images" / name), np.zeros(SIZE_PX[::-1], np.uint8))
        content = rows[0] if "images" in rows[0] else list(rows)
        (tmp_path / "labels.json").write_text(json.dumps(content))
        return P1P2Dataset(
            data_root=str(tmp_path), ann_file="labels.json", data_prefix=dict(img="images"),
            pipeline=[], max_missing_share=0.5,
        )  # fmt: skip

    return make


def test_percentages_become_px_of_the_image(build):
    (sample,) = build(task(point("p1", 75, 50), point("p2", 25, 10)))
    np.testing.assert_allclose(sample["keypoints"], [[[60, 50], [20, 10]]])
    assert sample["keypoints_visible"].tolist() == [[1, 1]]


def test_the_image_counts_where_the_export_states_another_size(build):
    stated = dict(original_width=1968, original_height=2207)
    (sample,) = build(task(point("p1", 75, 50, **stated), point("p2", 25, 10, **stated)))
    np.testing.assert_allclose(sample["keypoints"], [[[60, 50], [20, 10]]])


def test_an_upload_is_found_under_its_own_name(build):
    labelled = task(point("p1", 75, 50), file_upload="0123abcd-radiograph.png")
    (sample,) = build(labelled)
    assert sample["img_path"].endswith("images/radiograph.png")
    assert sample["keypoints_visible"].tolist() == [[1, 0]]


def test_a_mark_that_is_there_twice_is_not_trained(build):
    (sample,) = build(task(point("p1", 75, 50), point("p2", 1, 1), point("p2", 2, 2)))
    assert sample["keypoints_visible"].tolist() == [[1, 0]]


def test_missing_radiographs_are_left_out(build):
    lost = task(point("p1", 75, 50), id=8, file_upload="lost.png")
    found = build(task(point("p1", 75, 50)), lost)
    assert [sample["img_path"].rsplit("/", 1)[1] for sample in found] == ["radiograph.png"]


def test_a_radiograph_labelled_turned_is_refused(build):
    with pytest.raises(ValueError, match="task 7 was labelled turned by 90°"):
        build(task(point("p1", 75, 50, image_rotation=90)))


def test_coco_gives_the_same_samples(build):
    coco = dict(
        images=[dict(id=1, file_name="radiograph.png", width=80, height=100)],
        annotations=[
            dict(
                id=1, image_id=1, category_id=1, bbox=[0, 0, 80, 100], area=8000, iscrowd=0,
                keypoints=[60, 50, 2, 20, 10, 2],
            )
        ],
        categories=[dict(id=1, name="ruler", keypoints=["p1", "p2"])],
    )  # fmt: skip
    (ours,) = build(coco)
    (exported,) = build(task(point("p1", 75, 50), point("p2", 25, 10)))
    for key in ("keypoints", "keypoints_visible", "bbox"):
        np.testing.assert_array_equal(ours[key], exported[key])


@pytest.mark.parametrize(("split", "first"), [("train", "001.jpg"), ("val", "151.jpg")])
def test_real_radiographs(real_data, split, first):
    radiographs = P1P2Dataset(
        data_root=str(real_data / "ceph_ruler"),
        ann_file=f"annotations_p1_p2_{split}.json",
        data_prefix=dict(img="images"),
        pipeline=[],
    )
    assert len(radiographs) == 150
    assert radiographs[0]["img_path"].endswith(first)
    distances = [
        np.linalg.norm(np.subtract(*radiograph["keypoints"][0])) for radiograph in radiographs
    ]
    assert 85 < min(distances) <= max(distances) < 87  # 20.6 mm on radiographs of 1000 px
