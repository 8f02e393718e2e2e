"""Results of a test as samples, parts and a file, and the key of a test."""

import json

import numpy as np
import pandas as pd
import pytest
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from equikpt.core.groups import GroupRule
from equikpt.report.evaluation import are_poses, load, overall, save
from equikpt.report.testing import as_sample, key_of
from tests.report.made_tests import made_evaluation, pose


def test_what_was_saved_comes_back(tmp_path):
    table = pd.DataFrame(
        dict(radiograph=["001", "a<b"], error=[1.25, np.nan], empty=[np.nan, np.nan])
    )
    before = made_evaluation([pose(4), pose(16, "b.png")], tables={"Metric": table})
    save(before, tmp_path / "kept.json")
    after = load(tmp_path / "kept.json", "k")
    pd.testing.assert_frame_equal(after.parts, before.parts)
    pd.testing.assert_frame_equal(after.tables["Metric"], table)
    for name in set(before.__struct_fields__) - {"parts", "tables"}:
        assert getattr(after, name) == getattr(before, name), name


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda content: None, id="another key"),
        pytest.param(lambda content: content.update(key="new", format=0), id="another format"),
        pytest.param(lambda content: content.update(key="new", samples=[{}]), id="other fields"),
    ],
)
def test_what_does_not_fit_is_not_there(tmp_path, spoil):
    save(made_evaluation([pose()]), tmp_path / "kept.json")
    content = json.loads((tmp_path / "kept.json").read_text())
    spoil(content)
    (tmp_path / "kept.json").write_text(json.dumps(content))
    assert load(tmp_path / "kept.json", "new") is None


@pytest.mark.parametrize("content", [None, "", "{", "[]", "null"])
def test_half_a_file_is_not_there(tmp_path, content):
    if content is not None:
        (tmp_path / "kept.json").write_text(content)
    assert load(tmp_path / "kept.json", "k") is None


def test_parts_have_intervals_around_their_values():
    """Each animal is off by its own number of px: every mean lies within its interval."""
    parts = made_evaluation([pose(px, f"{px}.png") for px in range(0, 40, 2)]).parts
    row = overall(parts)
    assert row["labelled"] == 60
    assert row["error_px"] == pytest.approx(19)
    assert row["error_px_low"] < 19 < row["error_px_high"]
    assert set(parts["part"]) == {"all", "visibility"}


def test_groups_are_parts_where_they_are_known():
    samples = [pose(px, f"{px}.png", group=f"horse {px % 2}") for px in range(8)]
    parts = made_evaluation(samples, grouped=True).parts
    assert set(parts.loc[parts["part"] == "group", "name"]) == {"horse 0", "horse 1"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, True, id="one animal"),
        pytest.param(dict(areas=[], boxes=[]), False, id="without boxes"),
        pytest.param(dict(gt=[]), False, id="nothing labelled"),
        pytest.param(dict(predicted=[[[1.0, 2]]] * 3), False, id="single points"),
        pytest.param(dict(predicted=[[[1.0, 2]]]), False, id="another number of points"),
    ],
)
def test_poses_are_one_prediction_of_each_labelled_instance(changes, expected):
    assert are_poses([pose(), pose(**changes)], 4) is expected


# --- samples ---


ANNOTATION = dict(keypoints=[1, 2, 2, 3, 4, 1], bbox=[0, 0, 10, 20], area=100, horse="Anna")


def data_sample(annotations, keypoints, **predicted) -> PoseDataSample:
    sample = PoseDataSample(
        metainfo=dict(img_path="images/a_1.png", raw_ann_info=annotations),
    )
    shape = np.shape(keypoints)[:2]
    sample.pred_instances = InstanceData(
        keypoints=np.asarray(keypoints), keypoint_scores=np.full(shape, 0.25), **predicted
    )
    return sample


@pytest.mark.parametrize(
    ("rule", "group"),
    [
        pytest.param(GroupRule(), "images/a_1.png", id="the image"),
        pytest.param(GroupRule(key="horse"), "Anna", id="a key"),
        pytest.param(GroupRule(regex=r"/(\w)_"), "a", id="the name"),
    ],
)
def test_one_instance(rule, group):
    sample = as_sample(data_sample(ANNOTATION, [[[1.0004, 2], [5, 6]]]), rule)
    assert sample.image == "images/a_1.png"
    assert sample.group == group
    assert sample.predicted == [[[1.0, 2.0], [5.0, 6.0]]]
    assert sample.scores == [[0.25, 0.25]]
    assert sample.gt == [[[1, 2, 2], [3, 4, 1]]]
    assert (sample.boxes, sample.areas, sample.kinds) == ([[0, 0, 10, 20]], [100], [])


def test_of_an_image_with_many_the_unlabelled_are_left_out():
    crowd = dict(keypoints=[0, 0, 0, 0, 0, 0], bbox=[5, 5, 5, 5], area=25)
    sample = as_sample(data_sample([crowd, ANNOTATION], np.zeros((3, 2, 2))), GroupRule())
    assert len(sample.predicted) == 3
    assert sample.gt == [[[1, 2, 2], [3, 4, 1]]]
    assert sample.areas == [100]


def test_single_points_keep_their_kinds_and_things_have_no_boxes():
    points = data_sample([ANNOTATION], np.zeros((2, 1, 2)), labels=np.array([1, 0]))
    assert as_sample(points, GroupRule()).kinds == [1, 0]
    bare = dict(keypoints=[1, 2, 2, 3, 4, 2])
    sample = as_sample(data_sample(bare, np.zeros((1, 5, 2))), GroupRule())
    assert (sample.boxes, sample.areas, len(sample.predicted[0])) == ([], [], 5)
    assert as_sample(data_sample(None, np.zeros((1, 2, 2))), GroupRule()).gt == []  # detected boxes


@pytest.fixture
def setting(tmp_path):
    """A config, and the checkpoint that it tests."""
    (tmp_path / "labels.json").write_text(json.dumps({}))
    (tmp_path / "best.pth").write_bytes(b"weights")
    dataset = dict(data_root=str(tmp_path), ann_file="labels.json")
    cfg = Config(
        dict(
            model=dict(test_cfg=dict(flip_test=True)),
            test_dataloader=dict(dataset=dataset),
            test_evaluator=dict(type="CocoMetric"),
            train_cfg=dict(max_epochs=1),
        )
    )
    return cfg, tmp_path / "best.pth"


CHANGES = [
    pytest.param(
        lambda cfg, file: file.with_name("labels.json").write_text("[]"), True, id="labels"
    ),
    pytest.param(lambda cfg, file: file.write_bytes(b"other"), True, id="checkpoint"),
    pytest.param(lambda cfg, _: cfg.model.test_cfg.update(flip_test=False), True, id="test_cfg"),
    pytest.param(lambda cfg, _: cfg.train_cfg.update(max_epochs=9), False, id="training"),
    pytest.param(lambda cfg, _: None, False, id="nothing"),
]


@pytest.mark.parametrize(("change", "differs"), CHANGES)
def test_the_key_tells_whether_a_test_would_be_another(setting, change, differs):
    before = key_of(*setting)
    change(*setting)
    assert (key_of(*setting) != before) is differs
