"""Estimated sigmas as a table, and as a file that configs take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from pprint import pformat

import numpy as np
import pandas as pd

from equikpt.data_tools.sigmas.estimate import SigmaEstimate

MIN_COUNT = 20
"""Distances from which an estimate replaces the present sigma."""


def sigma_table(
    names: Sequence[str], present: Sequence[float] | None, estimate: SigmaEstimate
) -> str:
    """A row for each of K keypoints.

    Args:
        names: Of the keypoints.
        present: Sigmas of the metainfo; None where there is none.
        estimate: Of the same keypoints.
    """
    columns: dict[str, Sequence | np.ndarray] = {"keypoint": names, "distances": estimate.count}
    if present is not None:
        columns["present"] = present
    columns |= {"sigma": estimate.sigma, "low": estimate.low, "high": estimate.high}
    if present is not None:
        columns["ratio"] = estimate.sigma / np.asarray(present)
    return pd.DataFrame(columns).to_string(index=False, float_format="%.5f", na_rep="-")


def chosen_sigmas(present: Sequence[float], estimate: SigmaEstimate) -> list[float]:
    """(K,) estimates where they rest on enough distances and are not 0, else the present sigmas."""
    return [
        float(f"{sigma:.4g}") if _is_sound(sigma, count) else old
        for old, sigma, count in zip(present, estimate.sigma, estimate.count, strict=True)
    ]


def _is_sound(sigma: float, count: int) -> bool:
    return bool(count >= MIN_COUNT and math.isfinite(sigma) and sigma > 0)


def metainfo_file(metainfo: dict, estimate: SigmaEstimate, made_by: str, path: Path) -> str:
    """A Python file with the metainfo and the new sigmas, in the form of MMPose's ``from_file``.

    Args:
        metainfo: What :func:`equikpt.metainfo.schema.build_metainfo` made.
        estimate: Of its keypoints.
        made_by: From what; it may hold names of files, and so any character.
        path: Of the file.
    """
    names = [row["name"] for row in metainfo["keypoint_info"].values()]
    lines = []
    for index, sigma in enumerate(chosen_sigmas(metainfo["sigmas"], estimate)):
        count, low, high = estimate.count[index], estimate.low[index], estimate.high[index]
        if not _is_sound(estimate.sigma[index], count):
            reason = f"as before: {count} distances"
        elif math.isfinite(low):
            reason = f"{low:.4g} to {high:.4g}, {count} distances"
        else:
            reason = f"{count} distances"
        lines.append(f"    {sigma:g},  # {_as_data(names[index])}: {reason}")
    usage = f"dict(from_file={_as_data(path.as_posix())})"
    rest = {key: value for key, value in metainfo.items() if key != "sigmas"}
    return "\n".join(
        [
            f"# {_as_data(made_by)}",
            "# In a config, for each of train, val and test:",
            f"#   val_dataloader = dict(dataset=dict(metainfo={usage}))",
            "# AP with these sigmas does not compare with AP with others.",
            "sigmas = [",
            *lines,
            "]",
            "",
            f"dataset_info = {pformat(rest, width=98, sort_dicts=False)}",
            'dataset_info["sigmas"] = sigmas',
            "",
        ]
    )


def _as_data(text: str) -> str:
    """A text as a literal, which stays on its line and is no code whatever it holds.

    MMEngine replaces ``{{ … }}`` in the text of a config before it runs it, hence no pairs.
    """
    return repr(text).replace("{{", r"{\x7b").replace("}}", r"}\x7d")
