"""All checks over annotation files and their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from equikpt.data_tools.verify.checks import CHECKS, Fault, worst_first
from equikpt.data_tools.verify.geometry import check_geometry
from equikpt.data_tools.verify.label_set import LabelSet, read_set
from equikpt.data_tools.verify.limbs import check_limbs
from equikpt.data_tools.verify.pictures import check_pictures
from equikpt.data_tools.verify.poses import check_poses
from equikpt.data_tools.verify.repeats import check_repeats
from equikpt.data_tools.verify.statistics import statistics
from equikpt.data_tools.verify.visibility import check_visibility


@dataclass(frozen=True)
class Family:
    """Checks that run together.

    Args:
        name: What the progress bar says.
        check: From the labels to what is wrong with them.
        quick: Whether it is part of :func:`verify_quickly`.
    """

    name: str
    check: Callable[[LabelSet], Iterable[Fault]]
    quick: bool = False


FAMILIES: tuple[Family, ...] = (
    Family("structure", lambda labels: labels.structure, quick=True),
    Family("geometry", check_geometry, quick=True),
    Family("visibility", check_visibility),
    Family("limbs", check_limbs),
    Family("poses", check_poses),
    Family("repeats", check_repeats),
    Family("pictures", check_pictures),
)


@dataclass(frozen=True)
class Verdict:
    """What was looked at and what was found, worst first."""

    labels: LabelSet
    faults: list[Fault]
    statistics: dict[str, dict]

    def count(self, severity: str) -> int:
        """Number of faults of one severity."""
        return sum(fault.severity == severity for fault in self.faults)


def verify(
    ann_files: Sequence[Path], img_dirs: Sequence[Path] = (), metainfo: str | None = None
) -> Verdict:
    """Run every check; arguments and errors as :func:`~.label_set.read_set`."""
    labels = read_set(ann_files, img_dirs, metainfo)
    faults: list[Fault] = []
    with tqdm(FAMILIES, desc="checks", unit="family", delay=5, disable=None) as bar:
        for family in bar:
            bar.set_postfix_str(family.name)
            faults += family.check(labels)
    return Verdict(labels, worst_first(faults), statistics(labels))


def verify_quickly(ann_files: Sequence[Path], metainfo: str | None = None) -> list[Fault]:
    """Structure and geometry alone, worst first: no picture is opened and no model is fitted.

    Arguments and errors as :func:`~.label_set.read_set`.
    """
    labels = read_set(ann_files, (), metainfo)
    quick = (family for family in FAMILIES if family.quick)
    return worst_first([fault for family in quick for fault in family.check(labels)])


def first_errors(faults: Sequence[Fault], shown: int = 3) -> str:
    """The first errors in one sentence, empty without any: for what stops before training."""
    errors = [fault for fault in faults if fault.severity == "error"]
    told = [f"{CHECKS[f.check].title}: {f.sentence}; {f.to_do}" for f in errors[:shown]]
    more = f" - and {len(errors) - shown} more" if len(errors) > shown else ""
    return " - ".join(told) + more
