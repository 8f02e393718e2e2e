from __future__ import annotations

import json
import shutil

import cv2
import pytest

from equikpt.cli import launch
from equikpt.engine.unlabelled_images import list_unlabelled, usable_images


@pytest.fixture
def sample_config(sample_data):
    cfg = launch.load_config("smoke/rtmpose_m_ap10k")
    launch.set_data_root(cfg, str(sample_data))
    return cfg


def test_labelled_and_damaged_images_are_left_out_and_counted(
    sample_config, sample_data, unlabelled, tmp_path
):
    folder = tmp_path / "mixed"
    shutil.copytree(unlabelled, folder)
    for split in ("train", "val"):
        path = min((sample_data / "images" / split).iterdir())
        image = cv2.resize(cv2.imread(str(path)), None, fx=0.8, fy=0.8)  # another file
        cv2.imwrite(str(folder / f"{split}.png"), image[:, ::-1])
    (folder / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 no image")
    found = usable_images(folder, sample_config)
    assert sorted(path.rsplit("/", 1)[-1] for path, _ in found) == [f"{i}.png" for i in range(4)]
    height, width = cv2.imread(found[0][0]).shape[:2]
    assert found[0][1].tolist() == [0, 0, width, height]


def test_a_folder_with_labelled_images_alone_is_refused(sample_config, sample_data):
    with pytest.raises(ValueError, match=r"none of 6 is left: 6 like validation or test images"):
        usable_images(sample_data / "images/val", sample_config)


def test_boxes_of_a_file_and_whole_images_of_a_folder_are_listed(unlabelled, tmp_path):
    assert [box for _, box in list_unlabelled(unlabelled)] == [None] * 4
    shutil.copytree(unlabelled, tmp_path / "images")
    images = [dict(id=i, file_name=f"{i}.png", width=320, height=240) for i in range(4)]
    boxes = [dict(id=i, image_id=i, category_id=1, bbox=[1, 2, 30, 40]) for i in (1, 1, 3)]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(dict(images=images, annotations=boxes, categories=[])))
    listed = list_unlabelled(path)
    assert [name.rsplit("/", 1)[-1] for name, _ in listed] == ["1.png", "1.png", "3.png"]
    assert listed[0][1].tolist() == [1, 2, 31, 42]
    path.write_text(json.dumps(dict(images=images, annotations=[dict(boxes[0], bbox=None)])))
    with pytest.raises(ValueError, match="give a folder"):
        list_unlabelled(path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected images"):
        list_unlabelled(tmp_path)
