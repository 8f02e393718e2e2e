import json
import logging

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

import equikpt.register  # noqa: F401
from equikpt.cli.launch import load_config
from equikpt.core.pipelines import fill_codec
from equikpt.datasets.point_sequence import PointSequenceDataset


@pytest.fixture
def root(tmp_path):
    """Four images of 60 × 40 px with 1 to 4 points; three to train on."""
    (tmp_path / "images").mkdir()
    records = {}
    for count in (1, 2, 3, 4):
        name = f"{count}.jpg"
        image = np.full((40, 60, 3), 90, np.uint8)
        points = [[12.0 * n, 9.0 * n] for n in range(1, count + 1)]
        for x, y in points:
            cv2.circle(image, (int(x), int(y)), 2, (255, 255, 255), -1)
        cv2.imwrite(str(tmp_path / "images" / name), image)
        records[name] = dict(H=400, W=600, points=points)  # of another version, as in FSC-147
    splits = dict(train=["1.jpg", "2.jpg", "4.jpg"], val=["3.jpg"])
    write(tmp_path, records, splits)
    return tmp_path


def write(root, records=None, splits=None) -> None:
    for name, content in (("points.json", records), ("splits.json", splits)):
        if content is not None:
            (root / name).write_text(json.dumps(content))


def read(root, **options) -> PointSequenceDataset:
    return PointSequenceDataset(
        data_root=str(root),
        ann_file="points.json",
        data_prefix=dict(img="images/"),
        **dict(split_file="splits.json", split="train", pipeline=[]) | options,
    )


def records(root) -> dict:
    return json.loads((root / "points.json").read_text())


def counts(dataset) -> list[int]:
    return [dataset[i]["keypoints"].shape[1] for i in range(len(dataset))]


def test_a_split_in_its_order(root):
    assert counts(read(root)) == [1, 2, 4]
    assert counts(read(root, split="val")) == [3]
    assert counts(read(root, split_file=None)) == [1, 2, 3, 4]


def test_a_sample_is_the_whole_image_with_unnamed_points(root):
    sample = read(root)[1]
    assert sample["bbox"].tolist() == [[0, 0, 59, 39]]
    assert sample["keypoints"].tolist() == [[[12, 9], [24, 18]]]
    assert sample["keypoints_visible"].tolist() == [[1, 1]]
    assert sample["flip_indices"] == [0, 1]
    assert sample["raw_ann_info"]["keypoints"] == [12, 9, 2, 24, 18, 2]


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        (dict(min_points=2), [2, 4]),
        (dict(max_points=2), [1, 2]),
        (dict(min_points=2, max_points=3), [2]),
    ],
)
def test_images_with_too_few_or_too_many_points(root, limits, left):
    dataset = read(root, **limits)
    assert counts(dataset) == left
    assert [sample["id"] for sample in dataset] == list(range(len(left)))


def no_image(root, content):
    (root / "images/2.jpg").write_text("text")


BROKEN = {
    "missing image": (lambda root, content: (root / "images/2.jpg").unlink(), "no image"),
    "no image": (no_image, "no image"),
    "no record": (lambda root, content: content.pop("2.jpg"), "no points"),
    "no points": (lambda root, content: content["2.jpg"].pop("points"), "no points"),
    **{
        f"points {points}": (
            lambda root, content, points=points: content["2.jpg"].update(points=points),
            why,
        )
        for points, why in (
            ([[1, float("nan")]], "points that are no numbers"),
            ([[1, 2, 3]], "points that are no pairs"),
            ([[1, 2, 3], [4, 5, 6]], "points that are no pairs"),  # six numbers are three pairs
            ([[10, 45]], "points outside its 60 x 40 px"),
            ([["a", "b"]], "expected a number"),
        )
    },
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_records_are_named_and_left_out(root, fault, caplog, monkeypatch):
    spoil, reason = BROKEN[fault]
    content = records(root)
    spoil(root, content)
    write(root, content)
    logger = logging.getLogger("broken_records")
    monkeypatch.setattr(
        "equikpt.datasets.point_sequence.MMLogger.get_current_instance", lambda: logger
    )
    with caplog.at_level(logging.WARNING, logger="broken_records"):
        assert counts(read(root, max_missing_share=0.5)) == [1, 4]
    assert "2.jpg: " in caplog.text
    assert reason in caplog.text
    error = FileNotFoundError if reason == "no image" else ValueError
    with pytest.raises(error, match="max_missing_share"):
        read(root, max_missing_share=0.1)


def test_a_point_on_the_border_is_moved_onto_the_last_px(root):
    content = records(root)
    content["1.jpg"]["points"] = [[60.5, 40.0]]
    write(root, content)
    assert read(root)[0]["keypoints"].tolist() == [[[59, 39]]]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(split="test"), ValueError, "one of train, val"),
        (dict(split_file="gone.json"), FileNotFoundError, "no such file"),
        (dict(min_points=5), ValueError, "no image of the split 'train'"),
        (dict(min_points=3, max_points=2), ValueError, "not below it"),
        (dict(max_missing_share=2), ValueError, "expected 0 to 1"),
        (dict(check_images="all"), ValueError, "expected one of none, header, full"),
    ],
)
def test_wrong_options_say_what_is_right(root, options, error, message):
    with pytest.raises(error, match=message):
        read(root, **options)


@pytest.mark.parametrize("content", ["[1]", "no JSON"])
def test_another_file_is_refused(root, content):
    (root / "points.json").write_text(content)
    with pytest.raises(ValueError, match="expected an object|is not JSON"):
        read(root)


@pytest.mark.parametrize("seed", range(4))
def test_points_stay_on_their_things_through_the_whole_pipeline(root, seed):
    """Every point of the sequence lies on a white dot of the input, in reading order."""
    init_default_scope("mmpose")
    cfg = load_config("sequential_efficientnet-lite0_fsc147-384x384")
    steps = fill_codec(cfg.train_pipeline, cfg.codec)
    geometry = [step for step in steps if step["type"] != "AlbumentationsV2"]
    geometry[-2]["encoder"]["order"] = "reading"
    dataset = read(root, pipeline=[])
    np.random.seed(seed)  # noqa: NPY002 - the state that MMPose's transforms draw from
    packed = Compose(geometry)(dataset[2])
    labels = packed["data_samples"].gt_instance_labels
    coords = labels.points[0][labels.points_valid[0] > 0].numpy()
    assert len(coords)
    assert (np.diff(coords[:, 1]) >= 0).all()
    image = packed["inputs"][0].numpy()
    for x, y in ((coords + 1) * 192).round().astype(int):
        if 2 <= x < 382 and 2 <= y < 382:
            assert image[y - 2 : y + 3, x - 2 : x + 3].max() > 200
