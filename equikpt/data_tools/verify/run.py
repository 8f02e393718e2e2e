"""All checks over annotation files and their images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from equikpt.core.issues import Issue, errors, worst_first
from equikpt.data_tools.verify.geometry import check_geometry
from equikpt.data_tools.verify.images import check_image_files
from equikpt.data_tools.verify.label_set import LabelSet, read_set
from equikpt.data_tools.verify.limbs import check_limbs
from equikpt.data_tools.verify.poses import check_poses
from equikpt.data_tools.verify.repeats import check_repeats
from equikpt.data_tools.verify.statistics import check_visibility, statistics


@dataclass(frozen=True)
class Family:
    """Checks that run together.

    Args:
        name: The family of their codes in :data:`equikpt.core.issues.CODES`.
        check: From the labels to their issues.
        quick: Whether it is part of :func:`verify_quickly`.
    """

    name: str
    check: Callable[[LabelSet], Iterable[Issue]]
    quick: bool = False


FAMILIES: tuple[Family, ...] = (
    Family("structure", lambda labels: labels.structure, quick=True),
    Family("geometry", check_geometry, quick=True),
    Family("visibility", check_visibility),
    Family("limbs", check_limbs),
    Family("poses", check_poses),
    Family("repeats", check_repeats),
    Family("images", check_image_files),
)


@dataclass(frozen=True)
class VerifyResult:
    """The labels, their issues worst first, and the figures of each file by its name."""

    labels: LabelSet
    issues: list[Issue]
    statistics: dict[str, dict]

    def count(self, severity: str) -> int:
        """Count the issues of one severity."""
        return sum(issue.severity == severity for issue in self.issues)


def verify(
    ann_files: Sequence[Path], img_dirs: Sequence[Path] = (), metainfo: str | None = None
) -> VerifyResult:
    """Run every check; arguments and errors as :func:`~.label_set.read_set`."""
    labels = read_set(ann_files, img_dirs, metainfo)
    issues: list[Issue] = []
    with tqdm(FAMILIES, desc="checks", unit="family", delay=5, disable=None) as bar:
        for family in bar:
            bar.set_postfix_str(family.name)
            issues += family.check(labels)
    return VerifyResult(labels, worst_first(issues), statistics(labels))


def verify_quickly(ann_files: Sequence[Path], metainfo: str | None = None) -> list[Issue]:
    """Check structure and geometry alone, worst first: no image is opened, no model is fitted.

    Arguments and errors as :func:`~.label_set.read_set`.
    """
    labels = read_set(ann_files, (), metainfo)
    quick = (family for family in FAMILIES if family.quick)
    return worst_first(issue for family in quick for issue in family.check(labels))


def first_errors(issues: Sequence[Issue], shown: int = 3) -> str:
    """The first errors in one line, empty without any: for what stops before training."""
    wrong = errors(issues)
    lines = [f"{issue.title}: {issue.sentence}; {issue.fix}" for issue in wrong[:shown]]
    more = f" - and {len(wrong) - shown} more" if len(wrong) > shown else ""
    return " - ".join(lines) + more
