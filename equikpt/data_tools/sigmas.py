"""Estimate the fall-off constants of COCO's object keypoint similarity.

COCO defines ``σ² = E[d² / s²]``: d is how far an annotator's click lies from where the point is, s
the square root of the object's area. σ enters the similarity as ``k = 2σ``:
``exp(−d² / (2 s² k²)) = exp(−d² / (8 s² σ²))`` (``computeOks`` of pycocotools).

- Two annotators' clicks differ by both their errors, so with D between them
  ``E[d² / s²] = E[D² / s²] / 2``.
- A model's residuals hold its own errors too, so they give an upper bound.

Source: https://cocodataset.org/#keypoints-eval
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from equikpt.core.coco.file import load_coco
from equikpt.core.groups import GroupRule
from equikpt.data_tools.sigma_pairs import PointPairs, refuse_another_order
from equikpt.data_tools.verify.scheme import find_scheme
from equikpt.evaluation.functional.bootstrap import (
    RESAMPLES,
    bootstrap,
    cluster_numbers,
    percentile_interval,
    weighted_mean,
    weighted_median,
)
from equikpt.metainfo.keypoint_set_file import (
    SIGMAS_SOURCE,
    keypoint_set_text,
    read_keypoint_set,
    with_sigmas,
)
from equikpt_runtime.files import refuse_existing, write_bytes, write_text

KEPT = "as before"
MIN_COUNT = 20
"""Distances from which an estimate replaces the present sigma."""
ESTIMATORS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "mean": weighted_mean,
    # Normal errors, alike in x and y, make d² / s² exponential, whose median is σ² ln 2.
    "median": lambda squared, weights: weighted_median(squared, weights) / np.log(2),
}
"""``mean`` is COCO's definition. ``median`` is the same for normal errors and does not see gross
ones, such as exchanged legs, up to nearly half of all."""


def estimate_sigmas(
    squared: np.ndarray,
    clusters: np.ndarray,
    estimator: str = "mean",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Estimate the sigma of each keypoint.

    Args:
        squared: (M, K) d² / s² of one annotation from the ground truth, NaN where not labelled.
        clusters: (M,) from 0 on: images, horses or videos, which are drawn as a whole.
        estimator: One of :data:`ESTIMATORS`.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.

    Returns:
        K rows: number of ``distances``, ``sigma``, and ``low`` and ``high`` end of its 95 %
        interval. NaN where nothing was measured, and for intervals where there is one cluster.

    Raises:
        ValueError: The estimator is unknown.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"no estimator '{estimator}'; expected one of {', '.join(ESTIMATORS)}")
    variance = ESTIMATORS[estimator]
    sigma = np.sqrt(variance(squared, np.ones((1, len(squared)), int))[0])
    low, high = percentile_interval(
        np.sqrt(bootstrap(lambda weights: variance(squared, weights), clusters, resamples, seed))
    )
    there = np.isfinite(squared)
    table = pd.DataFrame(dict(distances=there.sum(axis=0), sigma=sigma, low=low, high=high))
    # From one cluster, however large, nothing is known of how clusters differ.
    few = [len(set(clusters[column])) < 2 for column in there.T]
    table.loc[few, ["low", "high"]] = np.nan
    return table


def pool_sides(squared: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """(2M, K) distances to which each keypoint's other side has been added.

    Args:
        squared: (M, K).
        swap: (K,) index of the same point on the other side, its own for a point of the midline,
            which gets nothing added.
    """
    other = np.where(swap == np.arange(len(swap)), np.nan, squared[:, swap])
    return np.concatenate([squared, other])


def estimate_from(
    pairs: PointPairs,
    labels: Path,
    made_by: str,
    *,
    estimator: str = "mean",
    metainfo: str | None = None,
    rule: GroupRule | None = None,
    pooled: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    out: Path | None = None,
    overwrite: bool = False,
    own_set: Path | None = None,
) -> list[str]:
    """Estimate sigmas and write the file for configs; return the table and notes as lines.

    Args:
        pairs: Instances that are in two files.
        labels: COCO file with their keypoints.
        made_by: From what, such as two annotations; a phrase for the file.
        estimator: One of :data:`ESTIMATORS`.
        metainfo: Keypoint set of the files, by name or file; None to go by their names.
        rule: Names images that are drawn together; by default each alone.
        pooled: Give left and right the same sigma, from the points of both.
        resamples: Bootstrap samples.
        seed: Of the bootstrap.
        out: File to write for configs; None writes none.
        overwrite: Replace it.
        own_set: File of the keypoint set to put the sigmas into (:func:`put_into_set`), in place of
            ``metainfo``.

    Raises:
        FileExistsError: The file exists and ``overwrite`` is not set.
        ValueError: Labels are wrong, or nothing can be learnt from them.
    """
    if out is not None:
        refuse_existing(out, overwrite)
    if own_set is not None:
        read_keypoint_set(own_set)
        metainfo = str(own_set.resolve())
    content = load_coco(labels)
    scheme = find_scheme(metainfo, [content])
    refuse_another_order(labels, content, scheme.names, scheme.name)
    if out is not None and scheme.metainfo is None:
        raise ValueError(
            f"the keypoints of {labels} are of no keypoint set that equikpt has, so no file can be "
            "written for configs; give no out, or the file of the set by metainfo"
        )
    squared = pairs.squared
    if squared.shape[1] != len(scheme.names):
        raise ValueError(
            f"the files have {squared.shape[1]} keypoints and {scheme.name} has "
            f"{len(scheme.names)}; say by metainfo which they are"
        )
    if not np.isfinite(squared).any():
        raise ValueError("expected points that are labelled in both files, got none")
    if not np.nansum(squared) > 0:
        raise ValueError(
            "expected two independent files, got the same points in both; is one a copy of the "
            "other?"
        )
    rule = rule or GroupRule()
    clusters = cluster_numbers([rule.group(each["file_name"], each) for each in pairs.images])
    if pooled:
        squared, clusters = pool_sides(squared, scheme.swap), np.tile(clusters, 2)
    found = estimate_sigmas(squared, clusters, estimator, resamples, seed)
    present = None if scheme.metainfo is None else scheme.metainfo["sigmas"]
    lines = [sigma_table(scheme.names, present, found), *(f"note: {note}" for note in pairs.notes)]
    made_by = f"{made_by}, {len(pairs.squared)} instances"
    if out is not None and scheme.metainfo is not None:
        write_text(out, metainfo_file(scheme.metainfo, found, made_by, out))
        lines.append(f"written: {out}")
    if own_set is not None:
        lines.append(put_into_set(own_set, found, made_by))
    return lines


def sigma_table(
    names: Sequence[str], present: Sequence[float] | None, estimate: pd.DataFrame
) -> str:
    """Tabulate an estimate of K keypoints beside the sigmas of the metainfo, where there is one."""
    table = estimate.copy()
    table.insert(0, "keypoint", names)
    if present is not None:
        table.insert(2, "present", present)
        table["ratio"] = table.sigma / table.present
    return table.to_string(index=False, float_format="%.5f", na_rep="-")


def metainfo_file(metainfo: dict, estimate: pd.DataFrame, made_by: str, path: Path) -> str:
    """Write the file of the keypoint set with the new sigmas.

    An estimate replaces the present sigma where it rests on enough distances and is not 0.

    Args:
        metainfo: Of :func:`equikpt.metainfo.build_metainfo`.
        estimate: Of its keypoints.
        made_by: From what; it may hold names of files, and so any character.
        path: Of the file.
    """
    sigmas, remarks, source = _merged(metainfo, estimate, made_by)
    header = (
        f"Sigmas from {made_by}.",
        "In a config, for each of train, val and test:",
        f"  val_dataloader = dict(dataset=dict(metainfo=dict(from_file={path.as_posix()!r})))",
        "AP with these sigmas does not compare with AP with others.",
    )
    if SIGMAS_SOURCE in metainfo:
        metainfo = {**metainfo, SIGMAS_SOURCE: source}
    return keypoint_set_text({**metainfo, "sigmas": sigmas}, header, remarks)


def put_into_set(path: Path, estimate: pd.DataFrame, made_by: str) -> str:
    """Put new sigmas into the file of a keypoint set, in which all else stays; say how many.

    Args:
        path: Of the file.
        estimate: Of its keypoints.
        made_by: From what.

    Raises:
        ValueError: No estimate rests on enough distances, or the file states its sigmas in a way
            that cannot be edited. It is then as it was.
    """
    metainfo, before = read_keypoint_set(path), path.read_bytes()
    sigmas, remarks, source = _merged(metainfo, estimate, made_by)
    measured = sum(not remark.startswith(KEPT) for remark in remarks)
    if not measured:
        raise ValueError(
            f"expected {MIN_COUNT} distances or more of a keypoint to write its sigma, got at most "
            f"{estimate['distances'].max()}; label more images twice"
        )
    names = [row["name"] for row in metainfo["keypoint_info"].values()]
    try:
        write_text(path, with_sigmas(before.decode(), names, sigmas, remarks, source))
        if read_keypoint_set(path)["sigmas"] != sigmas:
            raise ValueError("sets its sigmas anew below dataset_info")
    except ValueError as error:
        write_bytes(path, before)
        raise ValueError(f"{path} {error}; edit them by hand, or write a file by out") from error
    return f"written: the sigmas of {path}, {measured} of {len(sigmas)} measured"


def _merged(
    metainfo: dict, estimate: pd.DataFrame, made_by: str
) -> tuple[list[float], list[str], str]:
    """The sigmas, old where there is no estimate to go by, a remark on each, and their source."""
    sigmas, remarks = [], []
    columns = (estimate[column].tolist() for column in ("distances", "sigma", "low", "high"))
    for present, distances, found, low, high in zip(metainfo["sigmas"], *columns, strict=True):
        remark = f"{distances} distances"
        if distances < MIN_COUNT or not found > 0:
            found, remark = present, f"{KEPT}: {remark}"
        elif math.isfinite(low):
            remark = f"{low:.4g} to {high:.4g}, {remark}"
        sigmas.append(float(f"{found:.4g}"))
        remarks.append(remark)
    measured = sum(not remark.startswith(KEPT) for remark in remarks)
    if measured == len(remarks):
        return sigmas, remarks, f"measured: {made_by}"
    before = metainfo.get(SIGMAS_SOURCE) or "unknown"
    source = f"{measured} of {len(remarks)} measured: {made_by}; others {KEPT}: {before}"
    return sigmas, remarks, source
