"""Metrics that fit limits to held-out labels, and judge those of a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from equikpt.core.groups import GroupRule
from equikpt.evaluation.presentation import Presented

Fit = TypeVar("Fit")


class FittingMetric(Presented, Generic[Fit]):
    """Metric that fits an uncertainty to its labels, by groups that are held out as wholes.

    ``UncertaintyHook`` writes ``fitted`` into checkpoints, and sets ``record`` in tests.

    Args:
        rule: Names the group of an image, such as its video; None takes each image for a group.
        **kwargs: As :class:`Presented`.
    """

    def __init__(self, rule: GroupRule | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rule = rule or GroupRule()
        self.record: Fit | None = None
        """Fit of the checkpoint that is tested."""
        self.fitted: Fit | None = None
        """Fit to the labels of the last evaluation."""


def source_of(count: str, labels: Sequence[tuple]) -> str:
    """Name labels by their number in words and a digest, the same in any order."""
    return f"{count}, {hashlib.sha256(repr(sorted(labels)).encode()).hexdigest()[:12]}"
