import contextlib
import io

import numpy as np
import pytest

from equikpt.evaluation.functional.keypoint_errors import (
    box_side_px,
    distances_px,
    keypoint_ap,
    left_right_inversions,
    pck,
    weighted_keypoint_ap,
)
from equikpt_runtime.boxes import oks

SIGMAS = np.array([0.025, 0.079, 0.107])


def random_instances(seed: int, count: int = 40, spread_px: float = 6.0):
    """Ground truth, predictions, visibility, scores, boxes and areas of ``count`` poses, K = 3."""
    generator = np.random.default_rng(seed)
    gt = generator.uniform(20, 180, (count, 3, 2))
    predicted = gt + generator.normal(0, spread_px, gt.shape)
    visibility = generator.integers(0, 3, (count, 3))
    scores = generator.uniform(0, 1, (count, 3))
    boxes = np.column_stack([np.zeros((count, 2)), generator.uniform(60, 200, (count, 2))])
    return gt, predicted, visibility, scores, boxes, boxes[:, 2] * boxes[:, 3] * 0.5


def test_gt_as_prediction_is_perfect():
    gt, _, visibility, scores, boxes, area = random_instances(0)
    visibility[0] = 2
    distance = distances_px(gt, gt, visibility)
    assert np.nanmax(distance) == 0
    np.testing.assert_array_equal(pck(distance, box_side_px(boxes), 0.01), 1.0)
    similarity = oks(distance, area, SIGMAS)
    np.testing.assert_allclose(keypoint_ap(similarity, scores), 1.0)


@pytest.mark.parametrize(("threshold", "expected"), [(0.04, 0.0), (0.05, 1.0), (0.1, 1.0)], ids=str)
def test_pck_counts_a_distance_equal_to_the_threshold(threshold, expected):
    distance = np.array([[5.0]])
    assert pck(distance, box_side_px(np.array([[0, 0, 40, 100]])), threshold)[0] == expected


@pytest.mark.parametrize("seed", range(5))
def test_keypoint_ap_equals_coco_evaluation_of_that_keypoint(seed):
    """One instance an image, so COCO's matching has nothing to choose."""
    gt, predicted, visibility, scores, boxes, area = random_instances(seed)
    distance = distances_px(predicted, gt, visibility)
    ours = keypoint_ap(oks(distance, area, SIGMAS), scores)
    for index in range(3):
        only = np.where(np.arange(3) == index, visibility, 0)
        theirs = coco_ap(gt, predicted, only, scores[:, index], boxes, area)
        assert ours[index] == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_repeated_instances(seed):
    """Against COCO's own evaluation of a set in which instances occur several times."""
    gt, predicted, visibility, scores, boxes, area = random_instances(seed, count=25)
    scores = scores.round(1)  # some are equal
    similarity = oks(distances_px(predicted, gt, visibility), area, SIGMAS)
    weights = np.random.default_rng(seed).integers(0, 3, (2, 25))
    found = weighted_keypoint_ap(similarity, scores, weights)
    for sample, times in zip(found, weights, strict=True):
        again = [np.repeat(each, times, axis=0)
                 for each in (gt, predicted, visibility, scores, boxes, area)]  # fmt: skip
        for index in range(3):
            only = np.where(np.arange(3) == index, again[2], 0)
            theirs = coco_ap(again[0], again[1], only, again[3][:, index], again[4], again[5])
            assert sample[index] == pytest.approx(theirs, abs=1e-6)


def test_a_sample_without_the_keypoint_has_no_ap():
    similarity = np.array([[0.9, np.nan], [0.9, 0.9]])
    found = weighted_keypoint_ap(similarity, np.ones((2, 2)), np.array([[1, 0], [0, 0], [1, 1]]))
    np.testing.assert_array_equal(np.isnan(found), [[False, True], [True, True], [False, False]])


SIDES = [
    # place of the left point's prediction, and whether it is swapped; left is at 0, right at 50 px
    pytest.param(0, 0, id="right"),
    pytest.param(50, 1, id="at the other side"),
    pytest.param(41, 1, id="next to the other side"),
    pytest.param(25, 0, id="between"),
    pytest.param(90, 0, id="elsewhere"),
]


@pytest.mark.parametrize(("place", "swapped"), SIDES)
def test_what_hits_the_other_side_and_misses_its_own_is_swapped(place, swapped):
    gt = np.array([[[0.0, 0], [50, 0], [70, 0]]])
    predicted = np.array([[[place, 0], [50, 0], [50, 0]]], float)
    found = left_right_inversions(predicted, gt, np.full((1, 3), 2), np.array([100.0]), (1, 0, 2))
    np.testing.assert_array_equal(found, [[swapped, 0, np.nan]])


def test_sides_that_lie_together_or_are_not_both_labelled_are_never_swapped():
    gt = np.array([[[0.0, 0], [5, 0]], [[0, 0], [50, 0]]])
    found = left_right_inversions(
        gt[:, ::-1], gt, np.array([[2, 2], [2, 0]]), np.array([100.0, 100.0]), (1, 0)
    )
    np.testing.assert_array_equal(found, [[0, 0], [np.nan, np.nan]])


def coco_ap(gt, predicted, visibility, scores, boxes, area) -> float:
    from xtcocotools.coco import COCO
    from xtcocotools.cocoeval import COCOeval

    coco = COCO()
    annotations, results = [], []
    for i, (own_gt, seen) in enumerate(zip(gt, visibility, strict=True)):
        triples = np.column_stack([own_gt, seen]) * (seen > 0)[:, None]
        common = dict(image_id=i, category_id=1)
        shown = dict(bbox=boxes[i].tolist(), area=float(area[i]), iscrowd=0, id=i + 1)
        count = int((seen > 0).sum())
        annotations.append(
            dict(**common, **shown, keypoints=triples.ravel().tolist(), num_keypoints=count)
        )
        if count:
            points = np.column_stack([predicted[i], np.ones(3)]).ravel().tolist()
            results.append(dict(**common, keypoints=points, score=float(scores[i])))
    coco.dataset = dict(
        images=[dict(id=i) for i in range(len(gt))],
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
