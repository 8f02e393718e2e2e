from __future__ import annotations

import json
import shutil

import pytest
from mmpose.registry import DATASETS

from equikpt.datasets import CheckedCocoDataset, Coco17Dataset, Horse26Dataset


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
