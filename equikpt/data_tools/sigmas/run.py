"""The way from two files to sigmas."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equikpt.core.coco.file import load_coco
from equikpt.core.files import refuse_existing, write_text
from equikpt.core.groups import GroupRule
from equikpt.data_tools.sigmas.estimate import SigmaEstimate, estimate_sigmas, pool_sides
from equikpt.data_tools.sigmas.pairs import PointPairs
from equikpt.data_tools.sigmas.report import metainfo_file, sigma_table
from equikpt.data_tools.verify.scheme import Scheme, find_scheme
from equikpt.evaluation.functional.bootstrap import RESAMPLES, cluster_numbers


@dataclass(frozen=True)
class SigmaOptions:
    """Choices of an estimate.

    Args:
        estimator: One of :data:`~equikpt.data_tools.sigmas.estimate.ESTIMATORS`.
        metainfo: Keypoints of the files; None to go by their names.
        rule: Which images are drawn together; by default each alone.
        pooled: Give left and right the same sigma, from the points of both.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        out: File to write for configs; None writes none.
        force: Replace it.
    """

    estimator: str = "mean"
    metainfo: str | None = None
    rule: GroupRule = field(default_factory=GroupRule)
    pooled: bool = False
    resamples: int = RESAMPLES
    seed: int = 0
    out: Path | None = None
    force: bool = False


def estimate_from(
    pairs: PointPairs, labels: Path, made_by: str, options: SigmaOptions
) -> list[str]:
    """Estimate sigmas and write the file for configs.

    Args:
        pairs: Instances that are in two files.
        labels: COCO file that says which keypoints they have.
        made_by: One line for the file: from what.
        options: How.

    Returns:
        Lines for the user: the table and notes.

    Raises:
        FileExistsError: The file exists and ``force`` is not set.
        ValueError: Labels are wrong, or nothing can be learnt from them.
    """
    if options.out is not None:
        refuse_existing(options.out, options.force)
    scheme = find_scheme(options.metainfo, [load_coco(labels)])
    metainfo = None if scheme.name == "file" else _metainfo(scheme.name)
    if options.out is not None and metainfo is None:
        raise ValueError(
            f"the keypoints of {labels} are of no metainfo that equikpt has, so no file can be "
            "written for configs; leave out --out, or say with --metainfo which they are"
        )
    found = _estimate(pairs, scheme, options)
    present = metainfo["sigmas"] if metainfo else None
    lines = [sigma_table(scheme.names, present, found), *(f"note: {note}" for note in pairs.notes)]
    if options.out is not None and metainfo is not None:
        write_text(options.out, metainfo_file(metainfo, found, made_by, options.out))
        lines.append(f"written: {options.out}")
    return lines


def _estimate(pairs: PointPairs, scheme: Scheme, options: SigmaOptions) -> SigmaEstimate:
    squared = pairs.squared
    if squared.shape[1] != len(scheme.names):
        raise ValueError(
            f"the files have {squared.shape[1]} keypoints and {scheme.name} has "
            f"{len(scheme.names)}; say with --metainfo which they are"
        )
    if not np.isfinite(squared).any():
        raise ValueError("expected points that are labelled in both files, got none")
    if not np.nansum(squared) > 0:
        raise ValueError(
            "expected two independent files, got the same places in both; is one a copy of the "
            "other?"
        )
    groups = [options.rule.group(image["file_name"], image) for image in pairs.images]
    clusters = cluster_numbers(groups)
    if options.pooled:
        squared, clusters = pool_sides(squared, scheme.swap), np.tile(clusters, 2)
    return estimate_sigmas(squared, clusters, options.estimator, options.resamples, options.seed)


def _metainfo(name: str) -> dict:
    return importlib.import_module(f"equikpt.metainfo.{name}").METAINFO
