from __future__ import annotations

import json
import shutil

import pytest

from equikpt.datasets.coco17 import Coco17Dataset


@pytest.fixture(scope="module")
def coco_mini(real_data):
    folder = real_data / "coco_mini"
    if not folder.is_dir():
        pytest.skip(f"no COCO images at {folder}")
    return folder


def load(folder, ann_file: str, images: str, **options) -> Coco17Dataset:
    return Coco17Dataset(
        ann_file=str(folder / ann_file), data_prefix=dict(img=str(folder / images)), pipeline=[],
        **options,
    )  # fmt: skip


def test_people_of_real_images(coco_mini):
    ann_file = next(coco_mini.rglob("*train*.json"))
    content = json.loads(ann_file.read_text())
    labelled = [a for a in content["annotations"] if any(a["keypoints"][2::3]) and not a["iscrowd"]]
    images = next(coco_mini.rglob("*.jpg")).parent
    dataset = load(
        coco_mini, str(ann_file.relative_to(coco_mini)), str(images.relative_to(coco_mini))
    )
    assert len(dataset) == len(labelled)
    assert all(sample["keypoints"].shape == (1, 17, 2) for sample in dataset)


def test_what_is_missing_is_left_out_and_nothing_stands_in(coco_mini, tmp_path, capsys):
    """Two images in five are gone."""
    ann_file = next(coco_mini.rglob("*train*.json"))
    content = json.loads(ann_file.read_text())
    images = next(coco_mini.rglob("*.jpg")).parent
    present = [row for number, row in enumerate(content["images"]) if number % 5 not in (1, 3)]
    (tmp_path / "images").mkdir()
    for row in present:
        shutil.copy(images / row["file_name"], tmp_path / "images")
    shutil.copy(ann_file, tmp_path / "people.json")
    share = 1 - len(present) / len(content["images"])
    assert share > 0.35
    dataset = load(tmp_path, "people.json", "images", max_missing_share=0.5, test_mode=True)
    kept = {row["id"] for row in present}
    assert {sample["img_id"] for sample in dataset} <= kept
    missing = len(content["images"]) - len(present)
    assert f"{missing} of {len(content['images'])} images" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match="max_missing_share"):
        load(tmp_path, "people.json", "images")
