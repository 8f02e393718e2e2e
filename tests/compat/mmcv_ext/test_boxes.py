"""Suppression and overlaps of boxes, through mmcv's public functions, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from mmcv import ops

OFFSETS = pytest.mark.parametrize("offset", [0, 1])


def overlap(a, b, offset: int, over: str = "union") -> float:
    """One pair by the definition, in Python floats."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    area_a, area_b = ((c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b))
    shared = width * height
    return shared / (area_a + area_b - shared if over == "union" else area_a)


def some_boxes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Crowded boxes with whole-number corners, where the two offsets differ, and scores."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 12, (count, 2), generator=generator)
    size = torch.randint(1, 8, (count, 2), generator=generator)
    scores = torch.randperm(count, generator=generator) / count
    return torch.cat([corner, corner + size], dim=1).float(), scores + 0.001


def kept_by_loop(boxes, scores, threshold: float, offset: int) -> list[int]:
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(
            overlap(boxes[k].tolist(), boxes[index].tolist(), offset) <= threshold for k in kept
        ):
            kept.append(index)
    return kept


@OFFSETS
@pytest.mark.parametrize("threshold", [0.1, 0.45, 0.8])
def test_nms_is_the_greedy_loop(offset, threshold):
    boxes, scores = some_boxes(60, seed=1)
    dets, kept = ops.nms(boxes, scores, threshold, offset=offset)
    assert kept.tolist() == kept_by_loop(boxes, scores, threshold, offset)
    torch.testing.assert_close(dets, torch.cat([boxes, scores[:, None]], dim=1)[kept])


def test_nms_offset_decides_between_these_two_boxes():
    # 4 x 4 px boxes side by side, 2 px apart: 8/24 = 0.33 without, 15/35 = 0.43 with the offset
    boxes = torch.tensor([[0.0, 0, 4, 4], [2, 0, 6, 4]])
    scores = torch.tensor([0.9, 0.8])
    assert ops.nms(boxes, scores, 0.4, offset=0)[1].tolist() == [0, 1]
    assert ops.nms(boxes, scores, 0.4, offset=1)[1].tolist() == [0]


def test_nms_takes_arrays_limits_and_no_boxes():
    boxes, scores = some_boxes(30, seed=2)
    dets, kept = ops.nms(boxes.numpy(), scores.numpy(), 0.5, score_threshold=0.3, max_num=3)
    assert isinstance(dets, np.ndarray)
    assert (dets[:, 4] > 0.3).all()
    assert kept.tolist() == kept_by_loop(boxes, scores, 0.5, 0)[:3]
    assert len(ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)[1]) == 0


def test_nms_of_half_precision_boxes_and_scores_of_another_kind():
    boxes, scores = some_boxes(30, seed=3)
    _, kept = ops.nms(boxes.half(), scores.double(), 0.5)
    assert kept.tolist() == kept_by_loop(boxes, scores, 0.5, 0)


def soft_by_loop(boxes, scores, threshold, sigma, min_score, method, offset):
    """Picks, scores: the loop of the paper's figure 3."""
    left = {index: float(score) for index, score in enumerate(scores)}
    picked = []
    while left:
        best = max(left, key=left.__getitem__)
        picked.append((best, left.pop(best)))
        for other in list(left):
            iou = overlap(boxes[best].tolist(), boxes[other].tolist(), offset)
            if method == "gaussian":
                left[other] *= math.exp(-iou * iou / sigma)
            elif iou >= threshold:
                left[other] *= 1 - iou if method == "linear" else 0
            if left[other] < min_score:
                del left[other]
    return picked


@OFFSETS
@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
def test_soft_nms_is_the_loop_of_the_paper(offset, method):
    boxes, scores = some_boxes(25, seed=4)
    dets, kept = ops.soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    expected = soft_by_loop(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    assert kept.tolist() == [index for index, _ in expected]
    assert 1 < len(kept) < len(boxes)
    torch.testing.assert_close(dets[:, 4], torch.tensor([score for _, score in expected]))
    torch.testing.assert_close(dets[:, :4], boxes[kept])
    assert scores.tolist() == some_boxes(25, seed=4)[1].tolist(), "the input was written to"


def test_soft_nms_of_nothing():
    assert len(ops.soft_nms(torch.zeros(0, 4), torch.zeros(0))[1]) == 0


def test_nms_match_groups_each_box_with_what_it_suppresses():
    boxes, scores = some_boxes(40, seed=5)
    groups = ops.nms_match(torch.cat([boxes, scores[:, None]], dim=1), 0.4)
    left = scores.argsort(descending=True).tolist()
    for group in groups:
        best = boxes[left[0]].tolist()
        joined = [k for k in left if overlap(best, boxes[k].tolist(), 0) >= 0.4]
        assert group.tolist() == joined
        left = [k for k in left if k not in joined]
    assert not left
    assert any(len(group) > 1 for group in groups)


@OFFSETS
@pytest.mark.parametrize("mode", ["iou", "iof"])
def test_bbox_overlaps_of_all_and_of_pairs(offset, mode):
    first, second = some_boxes(6, seed=6)[0], some_boxes(6, seed=7)[0]
    over = "union" if mode == "iou" else "first"
    expected = torch.tensor(
        [[overlap(a, b, offset, over) for b in second.tolist()] for a in first.tolist()]
    )
    torch.testing.assert_close(ops.bbox_overlaps(first, second, mode, offset=offset), expected)
    pairs = ops.bbox_overlaps(first, second, mode, aligned=True, offset=offset)
    torch.testing.assert_close(pairs, expected.diag())
