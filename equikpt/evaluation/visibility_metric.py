"""Presence and visibility of keypoints against their labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from mmpose.registry import METRICS

from equikpt.core.columns import Column
from equikpt.evaluation.functional.keypoint_measures import EVERY_KEYPOINT
from equikpt.evaluation.functional.ranking import average_precision, roc_auc
from equikpt.evaluation.presentation import Figure, Presented
from equikpt.metainfo.trained import trained_keypoints

HIDDEN, SEEN = 1, 2


@METRICS.register_module()
class VisibilityMetric(Presented):
    """Presence of keypoints in the image, and of those that are there, hidden against seen.

    Present is a keypoint with a label (COCO's visibility 1 or 2). Predictions are
    ``keypoints_presence`` and ``keypoints_seen`` (1, K) of a model with a ``VisibilityBranch``;
    without one, the keypoint's score stands for presence.

    Metrics: ``visibility/presence_AP`` (average precision of present keypoints by their presence),
    ``visibility/presence_AUC`` and, with a branch and labels of both kinds,
    ``visibility/seen_AUC``, the area under the ROC curve of seen against hidden keypoints.
    ``table`` has a row a keypoint, and one over all.

    Args:
        **kwargs: As :class:`Presented`.
    """

    default_prefix = "visibility"
    table_title = "Visibility of each keypoint"
    rows_are_samples = False
    figures = {
        "presence_AP": Figure("average precision of keypoints that are in the image"),
        "presence_AUC": Figure(
            "how often one in the image has a higher presence than one that is not"
        ),
        "seen_AUC": Figure("how often a seen one ranks above a hidden one"),
    }
    shown_columns = {
        "keypoint": Column("Keypoint", numbers=False),
        "present": Column("In the image"),
        "absent": Column("Not in it"),
        "hidden": Column("Hidden"),
        "presence_AP": Column("AP of presence", digits=3),
        "seen_AUC": Column("AUC of seen against hidden", digits=3),
    }

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep each instance's probabilities and visibilities."""
        for sample in data_samples:
            annotation = self.annotation_of(sample)
            found = sample["pred_instances"]
            presence = found.get("keypoints_presence", found["keypoint_scores"])
            seen = found.get("keypoints_seen")
            gt = np.reshape(annotation["keypoints"], (-1, 3))
            self.results.append(
                dict(
                    visibility=gt[:, 2],
                    presence=np.asarray(presence, float)[0],
                    seen=np.full(len(gt), np.nan) if seen is None else np.asarray(seen, float)[0],
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Rank over all instances, for each keypoint and for all trained ones together."""
        visibility, presence, seen = (
            np.stack([result[key] for result in results]) for key in results[0]
        )
        trained = trained_keypoints(self.dataset_meta)
        names = self.dataset_meta["keypoint_id2name"]
        rows: list[dict[str, Any]] = []
        for index in (*np.flatnonzero(trained).tolist(), trained):
            chosen = [np.ravel(values[:, index]) for values in (visibility, presence, seen)]
            name = EVERY_KEYPOINT if index is trained else names[index]
            rows.append(dict(keypoint=name, **_measures(*chosen)))
        table = pd.DataFrame(rows)
        text = table.to_string(index=False, float_format="%.3f", na_rep="-")
        self.publish(table, f"visibility\n{text}")
        values = rows[-1]
        measured = ("presence_AP", "presence_AUC", "seen_AUC")
        return {name: float(values[name]) for name in measured if np.isfinite(values[name])}


def _measures(visibility: np.ndarray, presence: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """Counts and measures of (N,) keypoints."""
    present = visibility > 0
    known = seen[present]
    is_seen = visibility[present] == SEEN
    return dict(
        present=int(present.sum()),
        absent=int((~present).sum()),
        hidden=int((visibility == HIDDEN).sum()),
        presence_AP=average_precision(present, presence, int(present.sum())),
        presence_AUC=roc_auc(presence, present),
        seen_AUC=roc_auc(known, is_seen) if np.isfinite(known).all() else np.nan,
    )
