from __future__ import annotations

import json

import numpy as np
import pytest

from equikpt.data_tools.convert.coco_results import read_predictions


@pytest.fixture
def gt(make_coco):
    return make_coco(names=("nose", "tail")) / "annotations/val.json"


def results(tmp_path, *rows):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(list(rows)))
    return path


def result(image_id=1, keypoints=(5, 6, 0.9, 7, 8, 0.1), score=0.5, **more) -> dict:
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": list(keypoints),
        "score": score,
        **more,
    }


def test_predictions_stand_instead_of_labels(gt, tmp_path):
    path = results(tmp_path, result(bbox=[1, 2, 30, 20]), result(score=0.25))
    dataset = read_predictions(gt, path, (), min_score=0.3)
    first, second = dataset.splits["val"]
    assert (len(first.instances), len(second.instances)) == (2, 0)
    instance, other = first.instances
    np.testing.assert_array_equal(instance.keypoints, [[5, 6, 2], [0, 0, 0]])
    np.testing.assert_array_equal(instance.scores, [0.9, 0.1])
    assert (instance.score, other.score) == (0.5, 0.25)
    assert (instance.box_px, other.box_px) == ((1, 2, 30, 20), None)
    assert dataset.notes == ["2 predicted points score below 0.3, left out"]
    everything = read_predictions(gt, path, ()).splits["val"][0].instances[0]
    np.testing.assert_array_equal(everything.keypoints, [[5, 6, 2], [7, 8, 2]])


def test_images_need_no_labels(gt, tmp_path):
    content = json.loads(gt.read_text())
    gt.write_text(json.dumps({**content, "annotations": []}))
    dataset = read_predictions(gt, results(tmp_path, result(2)), ())
    assert [len(image.instances) for image in dataset.splits["val"]] == [0, 1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param([], "is not a list of COCO results", id="empty"),
        pytest.param([result(99)], "1 images that .* does not list, such as id 99", id="image"),
        pytest.param([result(keypoints=[1, 2])], "no keypoints of x, y, score each", id="pairs"),
        pytest.param([result(keypoints=[1, 2, 0.5])], "3 values for 2 keypoints", id="count"),
    ],
)
def test_other_results_are_refused(gt, tmp_path, rows, said):
    with pytest.raises(ValueError, match=said):
        read_predictions(gt, results(tmp_path, *rows), ())
