"""Assign images, or groups of images that may not be parted, to the parts of a split.

scikit-learn's ``StratifiedGroupKFold`` balances one class a sample, makes folds of equal size only,
and would be a dependency for this alone. Here an image has many features at once (labelled points
by keypoint, sizes, …) and parts have sizes of their own: units are dealt at random and then swapped
as long as that improves the balance.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from tqdm import tqdm

from equikpt.core.coco.checks import has_area, is_box, is_used, visibilities
from equikpt.core.groups import GroupRule
from equikpt.data_tools.near_duplicates import NearPair, clusters

PASSES = 2
COMPARED = 200
"""Units that each one is compared with in a pass, drawn anew; all of them where there are fewer."""


def count_images(
    images: Sequence[dict], annotations: Sequence[dict], keypoint_names: Sequence[str]
) -> pd.DataFrame:
    """Count what each image holds, in numbers that add up over any set of images.

    Args:
        images: N rows of a COCO file.
        annotations: Its annotations; those without labelled points and crowds count nowhere.
        keypoint_names: K names.

    Returns:
        N rows, columns (family, title). Families are ``images``, ``instances``, ``points`` (K
        labelled points), ``hidden`` (points of visibility 1), ``sizes`` and ``fractions``:
        instances by size, and by the fraction of their points that is labelled, from the smallest
        quarter of the set to the largest.
    """
    index_of = {image["id"]: index for index, image in enumerate(images)}
    used = [row for row in annotations if is_used(row)]
    visibility = np.zeros((len(used), len(keypoint_names)), int)
    for index, row in enumerate(used):
        values = visibilities(row)[: len(keypoint_names)]
        visibility[index, : len(values)] = values
    labelled = visibility > 0
    families = dict(
        instances=pd.DataFrame({"instances": np.ones(len(used))}),
        points=pd.DataFrame(labelled, columns=[f"  {name}" for name in keypoint_names]),
        hidden=pd.DataFrame({"of these hidden": (visibility == 1).sum(axis=1)}),
        sizes=_quarters([instance_size_px(row) for row in used], ".0f", " px"),
        fractions=_quarters(labelled.mean(axis=1), ".0%", " of points"),
    )
    counts = pd.concat(families, axis=1).astype(int)
    counts = counts.groupby(np.array([index_of[row["image_id"]] for row in used], int)).sum()
    counts = counts.reindex(range(len(images)), fill_value=0)
    counts["images", "images"] = 1
    return counts


def instance_size_px(annotation: dict) -> float:
    """Square root of the area, or of the box's where none is stated; 0 without either."""
    if has_area(annotation):
        return float(np.sqrt(annotation["area"]))
    if not is_box(annotation.get("bbox")):
        return 0.0
    _, _, width, height = annotation["bbox"]
    return float(np.sqrt(max(width, 0) * max(height, 0)))


def _quarters(values: Sequence[float] | np.ndarray, form: str, unit: str) -> pd.DataFrame:
    """(M, 4) 1 in the quarter of all that each value lies in, equal values in one."""
    limits = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else np.full(3, np.nan)
    low, middle, high = (f"{limit:{form}}" for limit in limits)
    spans = (f"up to {low}", f"{low} to {middle}", f"{middle} to {high}", f"above {high}")
    quarter = np.eye(4, dtype=int)[np.searchsorted(limits, values)]
    return pd.DataFrame(quarter, columns=[f"  {span}{unit}" for span in spans])


def make_units(
    images: Sequence[dict], rule: GroupRule, pairs: Iterable[NearPair] = ()
) -> np.ndarray:
    """Number the units, from 0 on: images of one group, and those that are nearly the same.

    Args:
        images: N rows of a COCO file; one that is listed twice is of one unit at least.
        rule: Names the group of each.
        pairs: Near-duplicates among them.

    Returns:
        (N,) numbers.

    Raises:
        ValueError: An image has no group.
    """
    links, first_of = [pair[:2] for pair in pairs], dict[str, int]()
    for index, image in enumerate(images):
        links.append((first_of.setdefault(rule.group(image["file_name"], image), index), index))
    return clusters(len(images), links)


def shuffled(names: Sequence[str], seed: int) -> np.ndarray:
    """(U,) indices of the names in an order that depends on the names and the seed alone."""
    keys = [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in names]
    return np.array(sorted(range(len(names)), key=keys.__getitem__), int)


def part_table(
    counts: pd.DataFrame, units: np.ndarray, parts: np.ndarray, part_names: Sequence[str]
) -> str:
    """Tabulate what each part holds, and what percentage of all that is.

    Args:
        counts: Of N images, by :func:`count_images`.
        units: (N,) unit of each.
        parts: (N,) part of each.
        part_names: P names.
    """
    sums = counts.groupby(parts).sum().T
    rows = pd.concat(
        [
            sums.loc[["images"]],
            pd.Series(units).groupby(parts).nunique().to_frame(("groups", "groups")).T,
            sums.loc[["instances"]],
            *(_without_zeros(sums.loc[[family]]) for family in ("sizes", "fractions")),
            sums.loc[["points"]].sum().to_frame(("points", "labelled points")).T,
            sums.loc[["hidden"]],
            _without_zeros(sums.loc[["points"]]),
        ]
    ).droplevel(0)
    totals = rows.sum(axis=1)
    percent = 100 * rows.div(totals.clip(lower=1), axis=0)
    table = rows.astype(str) + percent.map(" {:5.1f} %".format)
    table.columns = list(part_names)
    text = table.assign(all=totals.astype(str)).to_string()
    absent = [name[2:] for name, total in sums.loc["points"].sum(axis=1).items() if not total]
    return f"{text}\nlabelled nowhere: {', '.join(absent)}" if absent else text


def _without_zeros(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows.any(axis=1)]


def image_targets(count: int, ratios: Sequence[float]) -> np.ndarray:
    """(P,) whole numbers next to ``ratios`` of ``count`` whose sum is ``count``.

    What is left after rounding down goes to the parts with the largest remainders; each part has at
    least one image where there are enough.
    """
    exact = np.asarray(ratios, float) / sum(ratios) * count
    targets = np.floor(exact + 1e-9).astype(int)
    order = np.argsort(targets - exact, kind="stable")
    targets[order[: count - targets.sum()]] += 1
    while count >= len(targets) and not targets.min():
        targets[targets.argmax()] -= 1
        targets[targets.argmin()] += 1
    return targets


def deal(sizes: np.ndarray, targets: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Give each unit to a part, the largest units first.

    A unit goes to the part that is farthest below its target, relative to it. A part is full where
    the unit would take it farther from its target; units of one image meet all targets.

    Args:
        sizes: (U,) images of each unit.
        targets: (P,) images of each part.
        order: (U,) units, those of one size in the order in which they are dealt.

    Returns:
        (U,) parts. No part is empty if there are as many units as parts.
    """
    held, units = np.zeros(len(targets), int), np.zeros(len(targets), int)
    parts = np.zeros(len(order), int)
    queue = order[np.argsort(-sizes[order], kind="stable")]
    for done, unit in enumerate(queue):
        full = held + sizes[unit] / 2 > targets
        closed = np.zeros_like(full) if full.all() else full
        if len(queue) - done <= (units == 0).sum():
            closed = units > 0
        part = int(np.where(closed, np.inf, (held - targets) / targets).argmin())
        parts[unit] = part
        held[part] += sizes[unit]
        units[part] += 1
    return parts


def balance(
    parts: np.ndarray,
    features: Sequence[np.ndarray],
    targets: np.ndarray,
    order: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Swap units between parts while that makes the parts more alike.

    The imbalance, summed over features f and parts p, is ``w_f (have − t)² / (t · total_f)`` with
    ``t = target_p / images · total_f``: what a chi-squared test of equal distributions adds up.
    ``w_f`` is one over the number of features of f's family.

    Args:
        parts: (U,) of :func:`deal`.
        features: Families, each (U, F) counts of what the units hold; images are one of them.
        targets: (P,) images of each part.
        order: (U,) units in the order of their turns.
        seed: Of the units that are compared.

    Returns:
        (U,) parts.
    """
    parts, scaled = parts.copy(), _scaled(features)
    ratios = targets / targets.sum()
    excess = -ratios[:, None] * scaled.sum(axis=0)
    np.add.at(excess, parts, scaled)
    rng = np.random.default_rng(seed)
    turns = np.tile(order, PASSES)
    for unit in tqdm(turns, desc="balancing", unit="unit", delay=5, disable=None):
        few = len(order) <= COMPARED
        others = order if few else order[rng.integers(0, len(order), COMPARED)]
        others = others[parts[others] != parts[unit]]
        if not len(others):
            continue
        here, there = parts[unit], parts[others]
        moved = scaled[others] - scaled[unit]  # comes here, and leaves there
        change = ((2 * excess[here] + moved) * moved).sum(axis=1) / ratios[here]
        change += ((moved - 2 * excess[there]) * moved).sum(axis=1) / ratios[there]
        best = int(change.argmin())
        if change[best] < -1e-12:
            excess[here] += moved[best]
            excess[there[best]] -= moved[best]
            parts[unit], parts[others[best]] = there[best], here
    return parts


def _scaled(features: Sequence[np.ndarray]) -> np.ndarray:
    """(U, F) all families side by side, such that squares need no other weight."""
    columns = []
    for family in features:
        totals = family.sum(axis=0)
        there = totals > 0
        if there.any():
            columns.append(family[:, there] / totals[there] / np.sqrt(there.sum()))
    return np.concatenate(columns, axis=1)
