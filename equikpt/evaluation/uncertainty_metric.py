"""Radii and scores of keypoints, held against labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from mmpose.registry import METRICS

from equikpt.core.columns import Column
from equikpt.evaluation.fitting import FittingMetric, source_of
from equikpt.evaluation.functional.bootstrap import cluster_numbers
from equikpt.evaluation.functional.conformal import coverage, halves
from equikpt.evaluation.functional.keypoint_errors import distances_px
from equikpt.evaluation.functional.reliability import reliability
from equikpt.evaluation.functional.uncertainty import TOLERANCE, fit_uncertainty
from equikpt.evaluation.presentation import Figure
from equikpt.metainfo.trained import trained_keypoints
from equikpt.structures.pose_instance import px_per_input_px
from equikpt.structures.uncertainty import DEFAULT_LEVEL, Uncertainty
from equikpt_runtime.boxes import oks

SHOWN_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@METRICS.register_module()
class UncertaintyMetric(FittingMetric[Uncertainty]):
    """Fraction of labelled keypoints within their radii, and scores against how often they hit.

    Radii are :class:`equikpt.structures.Uncertainty`'s. Where the model has none, or was fitted to
    these very labels, they are fitted here by halves: to the labels of every other group of
    images, and held against those of the rest, both ways. ``fitted`` is the fit to all of them,
    which ``UncertaintyHook`` writes into checkpoints.

    Metrics, for predictions with ``keypoint_spread`` (top-down models whose codec has one):

    - ``uncertainty/coverage``: fraction within the radius of level 0.9; good is 0.9.
    - ``uncertainty/radius_px``: mean radius of level 0.9; ``uncertainty/radius_ratio``: the same in
      median errors.
    - ``uncertainty/ECE``: expected calibration error of scores as probabilities of an OKS of 0.5;
      ``uncertainty/raw_ECE`` of the model's own scores.

    ``table`` has a row a level.

    Args:
        **kwargs: As :class:`FittingMetric`.

    Raises:
        ValueError: A data sample without an annotation of its own.
    """

    default_prefix = "uncertainty"
    table_title = "Coverage of the radii"
    rows_are_samples = False
    figures = {
        "coverage": Figure("fraction of labelled points within their 90 % radius", digits=3),
        "radius_px": Figure("mean 90 % radius, px of the image"),
        "radius_ratio": Figure("mean 90 % radius, in median errors"),
        "ECE": Figure("distance of scores, as probabilities, from the fraction that hit"),
        "raw_ECE": Figure("the same of the model's own scores"),
    }
    shown_columns = {
        "level": Column("level", digits=2),
        "coverage": Column("within the radius", digits=3),
        "radius_px": Column("mean radius, px", digits=2),
    }

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Keep errors, spreads and scores of each instance; nothing where there are no spreads."""
        for sample in data_samples:
            annotation = self.annotation_of(sample)
            found = sample["pred_instances"]
            if "keypoint_spread" not in found:
                continue
            gt = np.reshape(annotation["keypoints"], (-1, 3)).astype(float)
            image = Path(sample.get("img_path", "")).as_posix()
            self.results.append(
                dict(
                    px_per_input_px=px_per_input_px(sample),
                    errors_px=distances_px(found["keypoints"][0], gt[:, :2], gt[:, 2]),
                    spread_px=np.asarray(found["keypoint_spread"], float)[0],
                    scores=np.asarray(found["keypoint_scores"], float)[0],
                    areas_px2=float(annotation["area"]),
                    group=self.rule.group(image, annotation),
                    labels=(image, gt.tobytes()),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Fit to all instances, and hold radii and scores against their labels."""
        self.fitted = self.table = None
        if not results:
            return {}
        errors_px, spread_px, scores, areas_px2, scale = (
            np.stack([each[name] for each in results])
            for name in ("errors_px", "spread_px", "scores", "areas_px2", "px_per_input_px")
        )
        errors_px[:, ~trained_keypoints(self.dataset_meta)] = np.nan
        known = np.isfinite(errors_px)
        if not known.any():
            return {}
        similarity = oks(errors_px, areas_px2, self.dataset_meta["sigmas"])
        clusters = cluster_numbers([each["group"] for each in results])
        evidence = dict(
            errors_px=errors_px / scale[:, None],
            spread_px=spread_px,
            scores=scores,
            similarity=similarity,
            clusters=clusters,
        )
        source = source_of(f"{known.sum()} labels", [each["labels"] for each in results])
        self.fitted = fit_uncertainty(**evidence, source=source)
        if self.record is not None and self.record.source != self.fitted.source:
            radii, probabilities = _applied(self.record, spread_px, scores)
            held_out = f"fitted to {self.record.source.partition(',')[0]} of other images"
        elif clusters.max() == 0:  # one group has no halves
            return {}
        else:
            radii, probabilities = _by_halves(evidence)
            held_out = "fitted by halves"
        radii = radii * scale[:, None]
        table = _coverage_table(radii, errors_px)
        text = table.to_string(index=False, float_format="%.3f", na_rep="-")
        self.publish(table, f"coverage of radii, {held_out}\n{text}")
        hits = similarity[known] >= TOLERANCE
        chosen = table[table["level"] == DEFAULT_LEVEL].iloc[0]
        values = dict(
            coverage=chosen["coverage"],
            radius_px=chosen["radius_px"],
            radius_ratio=chosen["radius_px"] / max(np.median(errors_px[known]), 1e-9),
            ECE=reliability(probabilities[known], hits).expected_calibration_error,
            raw_ECE=reliability(scores[known], hits).expected_calibration_error,
        )
        # with few groups there is no radius of a high level
        return {name: float(value) for name, value in values.items() if np.isfinite(value)}


def _coverage_table(radii_px: np.ndarray, errors_px: np.ndarray) -> pd.DataFrame:
    """A row a shown level, of radii (L, N, K) and errors (N, K)."""
    known = np.isfinite(errors_px)
    rows = [
        dict(
            level=level,
            coverage=coverage(errors_px[known], radius[known]),
            radius_px=radius[known].mean(),
        )
        for level, radius in zip(SHOWN_LEVELS, radii_px, strict=True)
    ]
    return pd.DataFrame(rows)


def _applied(
    fit: Uncertainty, spread_px: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Radii (L, N, K), px of the input, of the shown levels, and probabilities (N, K)."""
    radii = np.stack([fit.radius(spread_px, level) for level in SHOWN_LEVELS])
    return radii, fit.probability(scores)


def _by_halves(evidence: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """As :func:`_applied`, of each half of the clusters by a fit to the other; NaN without one."""
    spread_px, scores, clusters = (evidence[name] for name in ("spread_px", "scores", "clusters"))
    radii = np.full((len(SHOWN_LEVELS), *scores.shape), np.nan)
    probabilities = np.full(scores.shape, np.nan)
    for other in halves(clusters):
        if np.isfinite(evidence["errors_px"][~other]).any():
            fit = fit_uncertainty(**{name: values[~other] for name, values in evidence.items()})
            radii[:, other], probabilities[other] = _applied(fit, spread_px[other], scores[other])
    return radii, probabilities
