from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from equikpt.evaluation.keypoint_errors import (
    box_side_px,
    distances_px,
    keypoint_ap,
    keypoint_similarity,
    pck,
)

SIGMAS = np.array([0.025, 0.079, 0.107])


def random_instances(seed: int, count: int = 40, spread_px: float = 6.0):
    """Truth, predictions, visibility, scores, boxes and areas of ``count`` instances, K = 3."""
    generator = np.random.default_rng(seed)
    truth = generator.uniform(20, 180, (count, 3, 2))
    predicted = truth + generator.normal(0, spread_px, truth.shape)
    visibility = generator.integers(0, 3, (count, 3))
    scores = generator.uniform(0, 1, (count, 3))
    boxes = np.column_stack([np.zeros((count, 2)), generator.uniform(60, 200, (count, 2))])
    return truth, predicted, visibility, scores, boxes, boxes[:, 2] * boxes[:, 3] * 0.5


def test_truth_as_prediction_is_perfect():
    truth, _, visibility, scores, boxes, area = random_instances(0)
    visibility[0] = 2
    distance = distances_px(truth, truth, visibility)
    assert np.nanmax(distance) == 0
    np.testing.assert_array_equal(pck(distance, box_side_px(boxes), 0.01), 1.0)
    similarity = keypoint_similarity(distance, area, SIGMAS)
    np.testing.assert_allclose(keypoint_ap(similarity, scores), 1.0)


def test_three_four_five():
    truth = np.zeros((1, 2, 2))
    predicted = np.array([[[3.0, 4.0], [300.0, 400.0]]])
    distance = distances_px(predicted, truth, np.array([[1, 0]]))
    assert distance[0, 0] == 5
    assert np.isnan(distance[0, 1])  # unlabelled: no error, however far


@pytest.mark.parametrize(("threshold", "expected"), [(0.04, 0.0), (0.05, 1.0), (0.1, 1.0)], ids=str)
def test_pck_counts_a_distance_equal_to_the_threshold(threshold, expected):
    distance = np.array([[5.0]])
    assert pck(distance, box_side_px(np.array([[0, 0, 40, 100]])), threshold)[0] == expected


def test_pck_leaves_unlabelled_points_out():
    distance = np.array([[1.0, np.nan], [50.0, np.nan]])
    fractions = pck(distance, np.array([100.0, 100.0]), 0.1)
    assert fractions[0] == 0.5
    assert np.isnan(fractions[1])


def test_similarity_is_cocos_formula():
    # d = 10 px, area = 2500 px², sigma = 0.1: exp(-100 / (2 · 2500 · 0.04)) = exp(-0.5)
    similarity = keypoint_similarity(np.array([[10.0]]), np.array([2500.0]), np.array([0.1]))
    assert similarity[0, 0] == pytest.approx(np.exp(-0.5), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_keypoint_ap_equals_coco_evaluation_of_that_keypoint(seed):
    """One instance a picture, so COCO's matching has nothing to choose."""
    truth, predicted, visibility, scores, boxes, area = random_instances(seed)
    distance = distances_px(predicted, truth, visibility)
    ours = keypoint_ap(keypoint_similarity(distance, area, SIGMAS), scores)
    for index in range(3):
        only = np.where(np.arange(3) == index, visibility, 0)
        theirs = coco_ap(truth, predicted, only, scores[:, index], boxes, area)
        assert ours[index] == pytest.approx(theirs, abs=1e-6)


def test_ap_falls_when_good_predictions_are_ranked_last():
    truth, predicted, visibility, _, _, area = random_instances(3)
    visibility[:] = 2
    distance = distances_px(predicted, truth, visibility)
    similarity = keypoint_similarity(distance, area, SIGMAS)
    assert (keypoint_ap(similarity, -distance) > keypoint_ap(similarity, distance)).all()


def coco_ap(truth, predicted, visibility, scores, boxes, area) -> float:
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    coco = COCO()
    annotations, results = [], []
    for i in range(len(truth)):
        triples = np.column_stack([truth[i], visibility[i]])
        triples[visibility[i] == 0] = 0
        annotations.append(
            dict(
                id=i + 1,
                image_id=i,
                category_id=1,
                keypoints=triples.ravel().tolist(),
                num_keypoints=int((visibility[i] > 0).sum()),
                bbox=boxes[i].tolist(),
                area=float(area[i]),
                iscrowd=0,
            )
        )
        points = np.column_stack([predicted[i], np.ones(3)])
        if (visibility[i] > 0).any():
            results.append(
                dict(
                    image_id=i,
                    category_id=1,
                    keypoints=points.ravel().tolist(),
                    score=float(scores[i]),
                )
            )
    coco.dataset = dict(
        images=[dict(id=i) for i in range(len(truth))],
        annotations=annotations,
        categories=[dict(id=1, name="horse")],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "keypoints", SIGMAS, use_area=True)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return float(precision[precision > -1].mean())
