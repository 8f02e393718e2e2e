from pathlib import Path

import cv2
import numpy as np
import pytest

from equikpt.data_tools.convert.records import LabelledImage, SourceDataset
from equikpt.data_tools.convert.repeated_images import drop_repeated_sources


@pytest.fixture
def image(tmp_path):
    """``image("train/a.png", seed)``: an image of blots, whose place and contents the two say."""

    def make(name: str, seed: int, quality: int = 95) -> LabelledImage:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blots = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
        pixels = cv2.resize(blots, (96, 96), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return LabelledImage(path, 96, 96, name=Path(name).name)

    return make


def names(dataset: SourceDataset) -> dict[str, list[str]]:
    return {split: [image.file_name for image in rows] for split, rows in dataset.splits.items()}


def test_one_name_for_two_images_is_no_repetition(image):
    dataset = SourceDataset(
        {
            "train": [image(f"train/{i}.png", i) for i in range(3)],
            "val": [image(f"val/{i}.png", 10 + i) for i in range(3)],
        }
    )
    before = names(dataset)
    drop_repeated_sources(dataset)
    assert names(dataset) == before
    assert dataset.notes == []


def test_images_of_an_earlier_split_go_whatever_they_are_called(image):
    dataset = SourceDataset(
        {
            "train": [image("train/a.png", 1), image("train/b.rf.1.jpg", 2)],
            "val": [
                image("val/copy.png", 1),
                image("val/b.rf.2.jpg", 2, quality=60),
                image("val/b.rf.3.jpg", 3),
                image("val/c.png", 4),
            ],
            "test": [image("test/c.jpg", 4), image("test/d.png", 5)],
        }
    )
    drop_repeated_sources(dataset)
    assert names(dataset) == {
        "train": ["a.png", "b.rf.1.jpg"],
        "val": ["b.rf.3.jpg", "c.png"],
        "test": ["d.png"],
    }
    kept, val, test = dataset.notes
    assert "show something else, kept (b.rf.3.jpg)" in kept
    assert val.startswith("val: 2 images removed")
    assert "copy.png (in train), b.rf.2.jpg (in train)" in val
    assert "c.jpg (in val)" in test


def test_versions_within_a_split_stay(image):
    dataset = SourceDataset({"train": [image("a.rf.1.png", 1), image("a.rf.2.png", 1)]})
    drop_repeated_sources(dataset)
    assert names(dataset) == {"train": ["a.rf.1.png", "a.rf.2.png"]}


def test_plain_images_are_like_no_other(tmp_path):
    images = [LabelledImage(tmp_path / f"{split}.png", 9, 9) for split in ("train", "val")]
    for image in images:
        cv2.imwrite(str(image.path), np.zeros((9, 9), np.uint8))
    dataset = SourceDataset({"train": images[:1], "val": images[1:]})
    drop_repeated_sources(dataset)
    assert names(dataset) == {"train": ["train.png"], "val": ["val.png"]}


def test_a_split_is_never_dropped_whole(image):
    dataset = SourceDataset({"train": [image("train/a.png", 1)], "val": [image("val/b.png", 1)]})
    with pytest.raises(ValueError, match=r"all 1 images of val are in an earlier split.*b.png"):
        drop_repeated_sources(dataset)


def test_damaged_images_and_absent_ones_are_left_to_others(image, tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "val/a.png").write_bytes(b"none")
    absent = LabelledImage(tmp_path / "val/gone.png", 96, 96)
    damaged = LabelledImage(tmp_path / "val/a.png", 96, 96)
    dataset = SourceDataset({"train": [image("train/a.png", 1)], "val": [damaged, absent]})
    drop_repeated_sources(dataset)
    assert names(dataset)["val"] == ["a.png", "gone.png"]
