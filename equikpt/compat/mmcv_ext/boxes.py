"""Operators on boxes: non-maximum suppression in three forms, and overlaps.

Boxes are (x1, y1, x2, y2) in px. ``offset`` is 0, or 1 for the older convention in which a box
is ``x2 - x1 + 1`` wide.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision import ops

NAIVE, LINEAR, GAUSSIAN = range(3)
"""How mmcv numbers the decays of :func:`softnms`."""


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that no better box overlaps, by falling score.

    Args:
        boxes: (N, 4).
        scores: (N,).
        iou_threshold: A box is dropped where its overlap with a better one is above this.
        offset: 0 or 1.
    """
    boxes = boxes.detach().to(torch.promote_types(boxes.dtype, torch.float32))
    if offset:  # "+ 1" on both sides of every formula is the same as moving the far corner
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    # rounded as the overlaps are, so that 1/10 is not above 0.1
    threshold = boxes.new_tensor(iou_threshold).item()
    return ops.nms(boxes, scores.detach().to(boxes.dtype), threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft non-maximum suppression (https://arxiv.org/abs/1704.04503).

    Args:
        boxes: (N, 4).
        scores: (N,).
        dets: (N, 5), receives box and decayed score of each kept box, in the order of choice.
        iou_threshold: From this overlap on, the naive and the linear decay act.
        sigma: Width of the Gaussian decay.
        min_score: Boxes whose decayed score is below this are dropped.
        method: ``NAIVE``, ``LINEAR`` or ``GAUSSIAN``.
        offset: 0 or 1.

    Returns:
        (M,) indices of the kept boxes, in the order of ``dets``.
    """
    left = torch.arange(len(boxes), device=boxes.device)
    scores = scores.detach().clone()
    kept: list[Tensor] = []
    while len(left):
        best = left[scores[left].argmax()]
        dets[len(kept), :4] = boxes[best]
        dets[len(kept), 4] = scores[best]
        kept.append(best)
        left = left[left != best]
        overlap = _overlaps(boxes[best, None], boxes[left], offset)[0]
        if method == GAUSSIAN:
            decay = torch.exp(-overlap.square() / sigma)
        else:
            near = 1 - overlap if method == LINEAR else torch.zeros_like(overlap)
            decay = torch.where(overlap >= iou_threshold, near, 1.0)
        scores[left] *= decay
        left = left[~(scores[left] < min_score)]
    return torch.stack(kept) if kept else left


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups of boxes: each kept box with those that it suppresses, by falling score.

    Args:
        dets: (N, 5), boxes and scores.
        iou_threshold: From this overlap on, a box joins the group of the better one.
    """
    left = dets[:, 4].argsort(descending=True, stable=True)
    groups = []
    while len(left):
        overlap = _overlaps(dets[left[:1], :4], dets[left[1:], :4], 0)[0]
        joins = overlap >= iou_threshold
        groups.append([int(left[0]), *left[1:][joins].tolist()])
        left = left[1:][~joins]
    return groups


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Overlaps of two sets of boxes, written into ``ious``.

    Args:
        bboxes1: (M, 4).
        bboxes2: (N, 4).
        ious: (M, N), or (M,) where ``aligned``.
        mode: 0 for intersection over union, 1 for intersection over the area of ``bboxes1``.
        aligned: Compare pairs instead of all with all.
        offset: 0 or 1.
    """
    first = bboxes1[:, None]
    second = bboxes2[:, None] if aligned else bboxes2[None]
    ious.copy_(_overlap_ratio(first, second, offset, over_union=mode == 0).view_as(ious))


def _overlaps(first: Tensor, second: Tensor, offset: int) -> Tensor:
    """(M, N) intersection over union."""
    return _overlap_ratio(first[:, None], second[None], offset)


def _overlap_ratio(first: Tensor, second: Tensor, offset: int, over_union: bool = True) -> Tensor:
    """Intersection over union, or over the area of ``first``; shapes broadcast, last is 4."""
    corner1 = torch.maximum(first[..., :2], second[..., :2])
    corner2 = torch.minimum(first[..., 2:], second[..., 2:])
    intersection = (corner2 - corner1 + offset).clamp(min=0).prod(-1)
    area1 = (first[..., 2:] - first[..., :2] + offset).prod(-1)
    if not over_union:
        return intersection / area1
    area2 = (second[..., 2:] - second[..., :2] + offset).prod(-1)
    return intersection / (area1 + area2 - intersection)
