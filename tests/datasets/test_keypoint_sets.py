from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from mmpose.registry import DATASETS, TRANSFORMS

from equikpt.datasets import (
    CheckedCocoDataset,
    Coco17Dataset,
    Horse26Dataset,
    KeypointDataset,
    P1P2Dataset,
)
from equikpt.metainfo import Keypoint, build_metainfo, keypoint_set_text
from tests.coco_fixtures import WIDTH


@pytest.mark.parametrize(("kind", "count"), [(Horse26Dataset, 26), (Coco17Dataset, 17)])
def test_checked_data_sets_of_their_number_of_keypoints_and_no_other(
    write_coco, make_coco, kind, count
):
    assert DATASETS.get(kind.__name__) is kind
    assert issubclass(kind, CheckedCocoDataset)
    metainfo = kind(lazy_init=True).metainfo
    assert metainfo["num_keypoints"] == len(kind.METAINFO["keypoint_info"]) == count
    assert len(kind(**write_coco(make_coco(num_keypoints=count)))) == 6
    with pytest.raises(ValueError, match=f"without {count} keypoints"):
        kind(**write_coco(make_coco(num_keypoints=count - 1)))


@pytest.fixture(scope="module")
def coco_mini(real_data):
    """Annotation file and folder of real images of people."""
    folder = real_data / "coco_mini"
    if not folder.is_dir():
        pytest.skip(f"no COCO images at {folder}")
    return next(folder.rglob("*train*.json")), next(folder.rglob("*.jpg")).parent


def load(ann_file, images, **options) -> Coco17Dataset:
    files = dict(ann_file=str(ann_file), data_prefix=dict(img=str(images)))
    return Coco17Dataset(**files, pipeline=[], **options)


def test_people_of_real_images(coco_mini):
    rows = json.loads(coco_mini[0].read_text())["annotations"]
    dataset = load(*coco_mini)
    assert len(dataset) == sum(any(a["keypoints"][2::3]) and not a["iscrowd"] for a in rows)
    assert all(sample["keypoints"].shape == (1, 17, 2) for sample in dataset)


def test_what_is_missing_is_left_out_and_nothing_stands_in(coco_mini, tmp_path, capsys):
    """Two images in five are gone."""
    ann_file, images = coco_mini
    rows = json.loads(ann_file.read_text())["images"]
    present = [row for number, row in enumerate(rows) if number % 5 not in (1, 3)]
    for row in present:
        shutil.copy(images / row["file_name"], tmp_path)
    dataset = load(ann_file, tmp_path, max_missing_share=0.5, test_mode=True)
    assert {sample["img_id"] for sample in dataset} <= {row["id"] for row in present}
    assert f"{len(rows) - len(present)} of {len(rows)} images" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="max_missing_share"):
        load(ann_file, tmp_path)


@pytest.fixture
def set_file(tmp_path):
    """``set_file(metainfo)``: the options of a data set of that keypoint set."""

    def write(metainfo: dict) -> dict:
        path = tmp_path / "keypoints.py"
        path.write_text(keypoint_set_text(metainfo, "of a test"), encoding="utf-8")
        return dict(type="KeypointDataset", metainfo=dict(from_file=str(path)))

    return write


def plain_set(count: int, **own) -> dict:
    keypoints = [Keypoint(f"p{n}", "", sigma=0.05, weight=1.0) for n in range(count)]
    return {**build_metainfo("plain", keypoints), **own}


@pytest.mark.parametrize("count", [1, 2, 100])
def test_a_data_set_of_any_keypoint_set_by_its_file(write_coco, make_coco, set_file, count):
    """Two animals an image; of more points than one, some are not labelled."""
    content = make_coco(num_keypoints=count)
    for row in content["annotations"]:
        row["keypoints"][-3:] = [row["bbox"][0] + 5, 9, 2]
    options = set_file(plain_set(count)) | write_coco(content)
    pipeline = [TRANSFORMS.build(each) for each in FLIPPED]
    dataset = DATASETS.build(options | dict(pipeline=pipeline))
    assert dataset.metainfo["num_keypoints"] == count
    assert dataset.metainfo["flip_indices"] == list(range(count))
    plain = DATASETS.build(options)
    for sample, before in zip(dataset, plain, strict=True):
        x = WIDTH - 1 - before["keypoints"][..., 0]
        np.testing.assert_allclose(sample["keypoints"][..., 0], x)
        np.testing.assert_array_equal(
            sample["keypoints_visibility"], before["keypoints_visibility"]
        )


FLIPPED = [
    dict(type="LoadCachedImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="RandomFlipKeypoints", prob=1.0, direction="horizontal"),
    dict(type="RandomHalfBodyCrop", prob=1.0),
]


def test_own_keys_of_the_file_are_kept(write_coco, make_coco, set_file):
    options = set_file(plain_set(3, radiographs=True, sigmas_source="guess: of a test"))
    dataset = DATASETS.build(options | dict(type=P1P2Dataset) | write_coco(make_coco()))
    assert dataset.metainfo["radiographs"] is True
    assert dataset.metainfo["sigmas_source"] == "guess: of a test"


def test_a_set_of_radiographs_is_read_by_a_data_set_of_radiographs_alone(set_file):
    """Photographs and radiographs are read in two ways."""
    options = set_file(plain_set(3, radiographs=True))
    with pytest.raises(ValueError, match="KeypointDataset reads photographs.*P1P2Dataset"):
        DATASETS.build(options | dict(lazy_init=True))
    DATASETS.build(set_file(plain_set(3)) | dict(lazy_init=True))


def test_a_data_set_of_radiographs_says_so_whatever_its_file(set_file):
    options = set_file(plain_set(3)) | dict(type=P1P2Dataset, lazy_init=True)
    assert DATASETS.build(options).metainfo["radiographs"] is True


def test_without_a_file_or_with_a_wrong_one_a_sentence_says_so(tmp_path):
    with pytest.raises(ValueError, match="got no keypoint set; give metainfo="):
        KeypointDataset()
    (tmp_path / "keypoints.py").write_text("dataset_info = dict(dataset_name='x')")
    with pytest.raises(ValueError, match="has no keypoint_info"):
        KeypointDataset(metainfo=dict(from_file=str(tmp_path / "keypoints.py")))
