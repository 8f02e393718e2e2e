"""Fraction of done among the steps of pointing sequences, and in the done loss.

Letters: B images, P points at most. A sequence of N points has N + 1 steps, of which the last one
says done: of 21 points, one step in 22. A head that never says it is right in all the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from tqdm import tqdm

from equikpt.core.issues import Issue, format_issues
from equikpt.datasets.transforms.labels import labelled
from equikpt.models.step_targets import DONE_BALANCES, done_target, done_weights

MIN_FRACTION = 0.05
"""Fraction of done in the loss below which a head is likely to learn never to say it: 3 % was too
little in a published attempt, at 7 % half of the last steps said it (benchmarks/README.md)."""
EVEN_BALANCE = "balanced"
"""Advised where the fraction is too small."""
DEFAULT_BALANCE = "steps"
"""Taken by ``SequentialAttentionHead`` where the config names none."""
HISTOGRAM_BINS = 12
HISTOGRAM_WIDTH = 40


class DoneBalance(NamedTuple):
    """Points and steps of one data set.

    Args:
        counts: Labelled points of each image.
        share_of_steps: Fraction of done among all steps.
        share_of_loss: Fraction of done in the loss of an image, by ``done_balance`` of the head.
    """

    counts: tuple[int, ...]
    share_of_steps: float
    share_of_loss: Mapping[str, float]


class HeadOptions(NamedTuple):
    """Options of a config's head.

    Args:
        balance: Its ``done_balance``.
        max_points: Most points of an image.
        named: The points are keypoints, each in the slot of its name.
    """

    balance: str
    max_points: int
    named: bool


def head_options(cfg: Config) -> HeadOptions:
    """Read them off a config.

    Raises:
        ValueError: Its head does not point in sequences, or has a ``done_balance`` that there is
            not.
    """
    head = cfg.model.head
    if "max_points" not in head:
        raise ValueError(
            "expected a config whose head points in sequences, such as "
            f"sequential_efficientnet-lite0_fsc147-384x384, got {head.type} of {cfg.filename}"
        )
    balance = head.get("done_balance", DEFAULT_BALANCE)
    if balance not in DONE_BALANCES:
        raise ValueError(
            f"expected done_balance to be one of {', '.join(DONE_BALANCES)}, got {balance!r}"
        )
    return HeadOptions(balance, head.max_points, head.get("mode", "points") == "keypoints")


def labelled_slots(dataset: BaseDataset, named: bool) -> np.ndarray:
    """Slots of its sequence that each image has a point for, (B, P) bool.

    Labels are those of the files: what augmentation moves out of an image is still counted.

    Args:
        dataset: Data set whose samples have keypoints.
        named: Points stay in their slots; else those without a label leave no gap.
    """
    rows = [
        labelled(dataset.get_data_info(index))[0]
        for index in tqdm(range(len(dataset)), desc="labels", unit="img", delay=5, disable=None)
    ]
    slots = np.zeros((len(rows), max(1, *map(len, rows))), bool)
    for slot, row in zip(slots, rows, strict=True):
        kept = row if named else row[row]
        slot[: len(kept)] = kept
    return slots


def balance_of(slots: np.ndarray) -> DoneBalance:
    """Compute the fraction of done in a data set, from slots of :func:`labelled_slots`.

    Weights are those of the head.
    """
    done, step_mask = done_target(torch.from_numpy(slots).float(), slots.shape[1] + 1)
    generator = torch.Generator().manual_seed(0)  # the step that is drawn changes nothing
    fractions = {
        balance: float((done_weights(done, step_mask, balance, generator) * done).sum(dim=1).mean())
        for balance in DONE_BALANCES
    }
    of_steps = float((done * step_mask).sum() / step_mask.sum())
    return DoneBalance(tuple(slots.sum(axis=1).tolist()), of_steps, fractions)


def check_balances(balances: Mapping[str, DoneBalance], options: HeadOptions) -> list[Issue]:
    """Find what the config should change, by split; nothing for one that is as it should be."""
    issues = []
    for split, balance in balances.items():
        fraction = balance.share_of_loss[options.balance]
        if fraction < MIN_FRACTION:
            message = (
                f"{split}: done is {_percent(fraction)} of the done loss, so a head that never "
                "says it is nearly right"
            )
            fix = (
                f"set model.head.done_balance={EVEN_BALANCE} "
                f"({_percent(balance.share_of_loss[EVEN_BALANCE])}): done_weight does not change "
                "the fraction"
            )
            issues.append(Issue("done_share", message, fix))
        too_many = sum(count > options.max_points for count in balance.counts)
        if too_many:
            message = (
                f"{split}: {too_many} images have more than the head's {options.max_points} points"
            )
            fix = (
                f"set max_points={options.max_points} of the data set, which leaves them out, or "
                "raise that of codec and head"
            )
            issues.append(Issue("too_many_points", message, fix))
    return issues


def report(balances: Mapping[str, DoneBalance], options: HeadOptions) -> list[str]:
    """Lines for a terminal: points, their histogram, and fractions, of each split."""
    lines = []
    for split, balance in balances.items():
        counts = np.array(balance.counts)
        lines += [
            f"{split}: {len(counts)} images, {counts.mean():.1f} points each (min "
            f"{counts.min()}, median {np.median(counts):g}, max {counts.max()})",
            *histogram(counts),
            f"  done among all steps  {_percent(balance.share_of_steps)}",
        ]
        for name, fraction in balance.share_of_loss.items():
            mark = " (as configured)" if name == options.balance else ""
            lines.append(
                f"  done in the loss      {_percent(fraction)} with done_balance={name}{mark}"
            )
    return lines


def histogram(counts: np.ndarray) -> list[str]:
    """Numbers of points as lines of bars, at most :data:`HISTOGRAM_BINS` of equal width."""
    low, high = int(counts.min()), int(counts.max())
    width = math.ceil((high - low + 1) / HISTOGRAM_BINS)
    images = np.bincount((counts - low) // width)
    digits = len(str(low + width * len(images)))
    lines = []
    for first, amount in zip(range(low, high + 1, width), images, strict=True):
        label = f"{first:{digits}}" + (f" – {first + width - 1:{digits}}" if width > 1 else "")
        lines.append(
            f"  {label}  {'█' * math.ceil(HISTOGRAM_WIDTH * amount / images.max())} {amount}"
        )
    return lines


def as_content(
    config: str, balances: Mapping[str, DoneBalance], options: HeadOptions
) -> dict[str, object]:
    """All of it for a JSON file."""
    splits = {split: balance._asdict() for split, balance in balances.items()}
    found = format_issues(check_balances(balances, options))
    return dict(config=config, **options._asdict(), splits=splits, findings=found)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
