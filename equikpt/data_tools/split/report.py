"""Table of what each part holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from equikpt.data_tools.split.counts import ImageCounts
from equikpt.data_tools.split.units import Units


def part_table(
    counts: ImageCounts,
    units: Units,
    parts: np.ndarray,
    part_names: Sequence[str],
    keypoint_names: Sequence[str],
) -> str:
    """Numbers of each part, and which percentage of all it has.

    Args:
        counts: Of N images.
        units: Of the same.
        parts: (N,) part of each image.
        part_names: P names.
        keypoint_names: K names.
    """
    membership = np.eye(len(part_names), dtype=int)[parts].T  # (P, N)
    rows: dict[str, np.ndarray] = {"images": membership.sum(axis=1)}
    rows["groups"] = np.array([len(set(units.of_image[m.astype(bool)])) for m in membership])
    rows["instances"] = (membership @ counts.instances)[:, 0]
    rows |= _ranges(" px", counts.size_limits_px, membership @ counts.sizes)
    rows |= _ranges(" of points", counts.share_limits, membership @ counts.shares)
    rows["labelled points"] = (membership @ counts.points).sum(axis=1)
    rows["of these hidden"] = (membership @ counts.hidden)[:, 0]
    points = membership @ counts.points
    rows |= {
        f"  {name}": column
        for name, column in zip(keypoint_names, points.T, strict=True)
        if column.any()
    }
    absent = [name for name, total in zip(keypoint_names, points.sum(0), strict=True) if not total]
    table = {
        (*part_names, "all")[index]: [_cell(row, index) for row in rows.values()]
        for index in range(len(part_names) + 1)
    }
    text = pd.DataFrame(table, index=list(rows)).to_string()
    return f"{text}\nlabelled nowhere: {', '.join(absent)}" if absent else text


def _cell(row: np.ndarray, index: int) -> str:
    total = int(row.sum())
    if index == len(row):
        return str(total)
    return f"{row[index]} {100 * row[index] / max(total, 1):5.1f} %"


def _ranges(unit: str, limits: np.ndarray, columns: np.ndarray) -> dict[str, np.ndarray]:
    """A row for each quarter, named by its limits; quarters that coincide are left out."""
    texts = [f"{limit:.0f}" if unit == " px" else f"{limit:.0%}" for limit in limits]
    names = [
        f"  up to {texts[0]}{unit}",
        *(f"  {low} to {high}{unit}" for low, high in zip(texts, texts[1:], strict=False)),
        f"  above {texts[-1]}{unit}",
    ]
    return {name: column for name, column in zip(names, columns.T, strict=True) if column.any()}
