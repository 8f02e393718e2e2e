import gc
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.datasets.transforms import LoadImage, PackPoseInputs
from mmpose.evaluation.metrics import CocoMetric

from equikpt.core.issues import IssueError
from equikpt.datasets.checked_coco import CheckedCocoDataset


def codes(caught: pytest.ExceptionInfo) -> list[str]:
    return [issue.code for issue in caught.value.issues]


@pytest.fixture
def build(write_coco, tiny_metainfo):
    """``build(content, missing=(), **options)``: a dataset of three keypoints."""

    def make(content: dict, missing: tuple[str, ...] = (), **options) -> CheckedCocoDataset:
        return CheckedCocoDataset(**write_coco(content, missing), metainfo=tiny_metainfo, **options)

    return make


@pytest.fixture
def log(monkeypatch):
    """Lines that the dataset logged."""
    lines: list[str] = []
    logger = MMLogger.get_current_instance()
    for level in ("info", "warning"):
        monkeypatch.setattr(
            logger, level, lambda text, level=level: lines.append(f"{level}: {text}")
        )
    return lines


def ap(dataset: CheckedCocoDataset, ann_file: str | None = None, shift_px: float = 0.0) -> float:
    """AP of the labels themselves, moved by ``shift_px``, as a test loop would compute it."""
    metric = CocoMetric(ann_file=ann_file, score_mode="bbox", nms_mode="none")
    metric.dataset_meta = dataset.metainfo
    for index in range(len(dataset)):
        sample = PackPoseInputs()(LoadImage()(dataset.get_data_info(index)))["data_samples"]
        gt = sample.gt_instances
        sample.pred_instances = InstanceData(
            keypoints=dataset.get_data_info(index)["keypoints"] + shift_px,
            keypoint_scores=np.ones((1, 3)),
            bboxes=gt.bboxes.numpy() if hasattr(gt.bboxes, "numpy") else gt.bboxes,
            bbox_scores=np.ones(1),
        )
        metric.process([], [sample.to_dict()])
    return metric.evaluate(size=len(dataset))["coco/AP"]


def test_labels_come_through_unchanged(build, make_coco):
    content = make_coco()
    content["annotations"][0]["num_keypoints"] = 17  # is counted, not trusted
    dataset = build(content)
    assert len(dataset) == 6
    for index, annotation in enumerate(content["annotations"]):
        info = dataset.get_data_info(index)
        points = np.array(annotation["keypoints"]).reshape(1, 3, 3)
        assert info["id"] == annotation["id"]
        np.testing.assert_allclose(info["keypoints"], points[..., :2], rtol=1e-6)
        np.testing.assert_array_equal(info["keypoints_visibility"], points[..., 2])
        np.testing.assert_array_equal(info["keypoints_visible"], np.minimum(points[..., 2], 1))
        assert info["keypoints_visibility"].dtype == np.uint8
        assert info["area"] == 300
        assert info["num_keypoints"] == 2
        assert Path(info["img_path"]).is_file()


def test_boxes_as_two_corners_stop_and_crowds_with_points_are_a_warning(build, make_coco, log):
    content = make_coco()
    for row in content["annotations"][:2]:
        row["iscrowd"] = 1
    assert len(build(content)) == 4
    assert sum("iscrowd=1 keeps out of training and tests, 2 of 6" in line for line in log) == 1
    for row in content["annotations"]:
        x, y, width, height = row["bbox"]
        row["bbox"], row["iscrowd"] = [x, y, x + width, y + height], 0
    with pytest.raises(IssueError) as caught:
        build(content)
    assert codes(caught) == ["box_form"]


def test_a_value_of_another_type_is_named_by_its_path(build, make_coco):
    content = make_coco()
    content["annotations"][4]["keypoints"][3] = "a"
    with pytest.raises(ValueError, match=r"annotations\[4\].keypoints\[3\]: expected a number"):
        build(content)


def test_detections_and_labels_may_be_of_any_encoding(build, make_coco, tmp_path):
    content = make_coco()
    boxes = [dict(image_id=1, category_id=1, bbox=[1, 2, 20, 10], score=0.5)]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes), encoding="utf-8-sig")
    dataset = build(content, bbox_file=str(tmp_path / "boxes.json"), test_mode=True)
    assert len(dataset) == 1
    info = dataset.get_data_info(0)
    assert info["bbox"].tolist() == [[1, 2, 21, 12]]
    assert (info["id"], info["img_id"], info["bbox_score"].tolist()) == (0, 1, [0.5])


def test_bottomup_keeps_the_animals_of_an_image_together(build, make_coco):
    dataset = build(make_coco(), data_mode="bottomup")
    assert len(dataset) == 3
    info = dataset.get_data_info(0)
    assert info["keypoints"].shape == (2, 3, 2)
    np.testing.assert_array_equal(info["keypoints_visibility"], [[0, 1, 2], [0, 1, 2]])


@pytest.mark.parametrize("data_mode", ["topdown", "bottomup"])
@pytest.mark.parametrize("test_mode", [False, True], ids=["train", "test"])
def test_images_missing_on_disk_are_left_out_and_listed(
    build, make_coco, log, data_mode, test_mode
):
    missing = ("002.png", "004.png")
    options = dict(max_missing_share=0.4, data_mode=data_mode, test_mode=test_mode)
    dataset = build(make_coco(num_images=6), missing=missing, **options)
    names = {Path(dataset.get_data_info(index)["img_path"]).name for index in range(len(dataset))}
    assert names == {"001.png", "003.png", "005.png", "006.png"}
    (line,) = [line for line in log if line.startswith("warning")]
    assert "2 of 6 images" in line
    assert "(002.png, 004.png)" in line


def test_the_log_lists_the_first_ten_missing_images(build, make_coco, log):
    missing = tuple(f"{index:03d}.png" for index in range(1, 13))
    build(make_coco(num_images=14), missing=missing, max_missing_share=1)
    assert "(12 in all: 001.png, " in log[0]
    assert "010.png, …)" in log[0]
    assert "011.png" not in log[0]


def test_too_many_missing_images_stop(build, make_coco, tmp_path):
    content = make_coco(num_images=10)
    assert len(build(content, missing=("001.png",))) == 18  # a tenth is not more than a tenth
    (tmp_path / "images/train/002.png").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        build(content, missing=("001.png", "002.png"))
    for part in ("2 of 10 images", str(tmp_path / "images/train"), "data_prefix", "(now 0.1)"):
        assert part in str(caught.value)
    every = tuple(row["file_name"] for row in content["images"])
    for path in (tmp_path / "images/train").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="10 of 10 images"):  # whatever is allowed
        build(content, missing=every, max_missing_share=1)


def test_a_wrong_case_is_said_to_be_the_cause(build, make_coco, tmp_path):
    content = make_coco()
    build(content)
    for path in (tmp_path / "images/train").iterdir():
        path.rename(path.with_suffix(".PNG"))
    names = tuple(row["file_name"] for row in content["images"])
    with pytest.raises(FileNotFoundError, match="'001.PNG'"):
        build(content, missing=names)


@pytest.mark.parametrize("test_mode", [False, True], ids=["train", "test"])
def test_ground_truth_as_prediction_scores_one_with_images_missing(build, make_coco, test_mode):
    """The controls: a shift is seen, and so would be the missing image in the file."""
    options = dict(missing=("003.png",), max_missing_share=0.2, test_mode=test_mode)
    dataset = build(make_coco(num_images=5), **options)
    assert ap(dataset) == pytest.approx(1.0)
    assert ap(dataset, shift_px=40.0) == pytest.approx(0.0)
    assert ap(dataset, ann_file=dataset.ann_file) < 0.9


def test_indices_limit_the_ground_truth_too(build, make_coco):
    assert ap(build(make_coco(num_images=5), indices=3, test_mode=True)) == pytest.approx(1.0)


@pytest.mark.parametrize("lazy_init", [False, True], ids=["at once", "lazy"])
def test_the_file_of_an_earlier_test_set_is_not_taken_for_ours(build, make_coco, lazy_init):
    MessageHub.get_current_instance().update_info("tiny_ann_file", "stale.json")
    dataset = build(make_coco(), test_mode=True, lazy_init=lazy_init)
    dataset.full_init()
    assert MessageHub.get_current_instance().get_info("tiny_ann_file") is None
    assert ap(dataset) == pytest.approx(1.0)


@pytest.fixture
def boxes(tmp_path) -> Path:
    path = tmp_path / "boxes.json"
    rows = [
        {"image_id": image_id, "category_id": 1, "bbox": [1, 1, 21, 29], "score": 0.9}
        for image_id in (1, 2, 3)
    ]
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize("lazy_init", [False, True], ids=["at once", "lazy"])
def test_detected_boxes_leave_missing_images_out_of_both_sides(build, make_coco, boxes, lazy_init):
    content = make_coco()
    del content["annotations"][0]["area"]
    dataset = build(
        content, missing=("002.png",), max_missing_share=0.5, area_from_bbox=0.53,
        bbox_file=str(boxes), test_mode=True, lazy_init=lazy_init,
    )  # fmt: skip
    dataset.full_init()
    assert [dataset.get_data_info(index)["img_id"] for index in range(len(dataset))] == [1, 3]
    np.testing.assert_array_equal(dataset.get_data_info(0)["keypoints_visibility"], [[2, 2, 2]])
    gt_file = Path(MessageHub.get_current_instance().get_info("tiny_ann_file"))
    gt = json.loads(gt_file.read_text())
    assert [row["id"] for row in gt["images"]] == [1, 3]
    assert {row["image_id"] for row in gt["annotations"]} == {1, 3}
    assert all(row["area"] > 0 for row in gt["annotations"])
    del dataset
    gc.collect()
    assert not gt_file.parent.exists()


def test_boxes_are_filtered_by_score_and_a_file_without_any_stops(build, make_coco, boxes):
    rows = json.loads(boxes.read_text())
    rows[0]["score"] = 0.1
    boxes.write_text(json.dumps(rows))
    options = dict(bbox_file=str(boxes), test_mode=True, filter_cfg={"bbox_score_thr": 0.5})
    assert len(build(make_coco(), **options)) == 2
    boxes.write_text("[]")
    with pytest.raises(ValueError, match="none of the 0 rows"):
        build(make_coco(), **options)


def test_every_second_image(build, make_coco):
    assert len(build(make_coco(num_images=4), sample_interval=2)) == 4


def test_absent_and_impossible_areas_are_filled_on_demand(build, make_coco, log):
    content = make_coco()
    del content["annotations"][0]["area"]
    content["annotations"][1]["area"] = 0
    with pytest.raises(IssueError) as caught:
        build(content)
    assert codes(caught) == ["no_area", "area_not_positive"]
    dataset = build(content, area_from_bbox=0.5, test_mode=True)
    areas = [float(dataset.get_data_info(index)["area"]) for index in range(3)]
    assert areas == [0.5 * 21 * 29, 0.5 * 21 * 29, 300.0]
    assert any("2 areas are 0.5" in line for line in log)
    assert ap(dataset) == pytest.approx(1.0)


def test_unlabelled_animals_and_crowds_are_skipped_and_counted(build, make_coco, log):
    content = make_coco()
    content["annotations"][0]["keypoints"] = [0.0] * 9
    del content["annotations"][1]["keypoints"]
    content["annotations"][2]["iscrowd"] = 1
    dataset = build(content, test_mode=True)
    assert [dataset.get_data_info(index)["id"] for index in range(len(dataset))] == [4, 5, 6]
    assert any("2 without labelled keypoints and 1 crowds are skipped" in line for line in log)
    assert ap(dataset) == pytest.approx(1.0)


def test_a_file_without_any_labelled_animal_stops(build, make_coco):
    content = make_coco()
    for annotation in content["annotations"]:
        annotation["keypoints"] = [0.0] * 9
    with pytest.raises(ValueError, match="no annotation to use: 6 belong"):
        build(content)


def test_mistakes_stop_with_all_of_them_in_one_message(build, make_coco):
    content = make_coco()
    content["annotations"][0]["area"] = 0
    content["annotations"][1]["bbox"] = [0, 0, 0, 0]
    with pytest.raises(IssueError, match="train.json: ") as caught:
        build(content)
    found = {(issue.code, issue.subject.annotation_id) for issue in caught.value.issues}
    assert found == {("area_not_positive", 1), ("box_without_area", 2)}


def test_a_warning_does_not_stop(build, make_coco, log):
    content = make_coco()
    content["annotations"][0]["keypoints"][3] = 60.0
    assert len(build(content)) == 6
    assert "outside their image (annotation 1)" in log[0]


@pytest.mark.parametrize("test_mode", [False, True], ids=["train", "test"])
def test_damaged_images_stop(build, make_coco, write_coco, tmp_path, test_mode):
    content = make_coco()
    write_coco(content)
    path = tmp_path / "images/train/002.png"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IssueError) as caught:
        build(content, missing=("002.png",), test_mode=test_mode)
    assert codes(caught) == ["damaged_image"]
    assert len(build(content, missing=("002.png",), check_images="none")) == 6


def test_lazy_init_reads_nothing_until_asked(tiny_metainfo, tmp_path):
    dataset = CheckedCocoDataset(
        ann_file=str(tmp_path / "a.json"), metainfo=tiny_metainfo, lazy_init=True
    )
    assert dataset.metainfo["num_keypoints"] == 3
    with pytest.raises(FileNotFoundError):
        dataset.full_init()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"check_images": "half"}, "check_images is 'half'"),
        ({"area_from_bbox": 0}, "area_from_bbox is 0"),
        ({"area_from_bbox": 53}, "area_from_bbox is 53"),  # percent
        ({"max_missing_share": 10}, "max_missing_share is 10"),
        ({"data_prefix": {"image": "a"}}, "under the key 'img'"),
        ({"ann_file": ""}, "got no ann_file"),
    ],
)
def test_a_wrong_option_stops(write_coco, make_coco, tiny_metainfo, options, said):
    with pytest.raises(ValueError, match=said):
        CheckedCocoDataset(**{**write_coco(make_coco()), "metainfo": tiny_metainfo, **options})


@pytest.mark.parametrize("serialize_data", [True, False], ids=["bytes", "objects"])
def test_samples_are_those_of_the_base_class(
    make_coco, write_coco, tiny_metainfo, build, serialize_data
):
    content = make_coco()
    for annotation in content["annotations"]:
        annotation["segmentation"] = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]
    options = dict(serialize_data=serialize_data)
    ours = build(content, **options)
    stock = BaseCocoStyleDataset(**write_coco(content), metainfo=tiny_metainfo, **options)
    assert len(ours) == len(stock) > 0
    for index in (*range(len(stock)), -1):
        expected, got = stock.get_data_info(index), ours.get_data_info(index)
        assert set(got) == {*expected, "keypoints_visibility"}
        got["raw_ann_info"].pop("num_keypoints")  # filled in, for the evaluation
        for key, value in expected.items():
            assert np.asarray(got[key]).dtype == np.asarray(value).dtype, key
            assert np.all(got[key] == value), key


@pytest.mark.parametrize("serialize_data", [True, False], ids=["bytes", "objects"])
def test_each_sample_is_its_own(build, make_coco, serialize_data):
    """A transform may write into what it is given."""
    dataset = build(make_coco(), serialize_data=serialize_data)
    sample = dataset.get_data_info(1)
    sample["raw_ann_info"]["keypoints"][0] = -1
    sample["keypoints"][:] = -1
    sample["flip_indices"].reverse()
    sample["skeleton_links"].clear()
    fresh = dataset.get_data_info(1)
    assert fresh["raw_ann_info"]["keypoints"][0] != -1
    assert (fresh["keypoints"] != -1).all()
    assert fresh["flip_indices"] == [0, 2, 1]
    assert len(fresh["skeleton_links"]) == 2
    assert dataset.metainfo["flip_indices"] == [0, 2, 1]


@pytest.mark.parametrize("serialize_data", [True, False], ids=["bytes", "objects"])
def test_a_subset_and_a_pickle_have_the_same_samples(build, make_coco, serialize_data):
    dataset = build(make_coco(), serialize_data=serialize_data)
    for other, shift in (
        (dataset.get_subset([2, 4]), [2, 4]),
        (pickle.loads(pickle.dumps(dataset)), [0, 1]),
    ):
        for index, original in enumerate(shift):
            assert other.get_data_info(index)["id"] == dataset.get_data_info(original)["id"]
