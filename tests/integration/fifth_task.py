"""A task that the package does not know: the one point of a muzzle, on gray images.

A data set, a metric and nothing else; ``test_fifth_task.py`` trains, tests, draws and reports it.
"""

from functools import partial

import cv2
import numpy as np
import pandas as pd
from mmpose.registry import DATASETS, METRICS

from equikpt.core.image import read_image
from equikpt.datasets import CheckedCocoDataset
from equikpt.evaluation import Column, Example, Figure, Presented
from equikpt.metainfo.schema import Keypoint, build_metainfo

DRAWN_BGR = (1, 2, 3)


@DATASETS.register_module()
class MuzzleDataset(CheckedCocoDataset):
    METAINFO = build_metainfo("muzzle", [Keypoint("muzzle", "upper", sigma=0.05, weight=1.0)])

    @classmethod
    def read_image(cls, path):
        return np.repeat(read_image(path).mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)

    def draw(self, sample):
        return np.full_like(sample["img"], DRAWN_BGR)


@METRICS.register_module()
class MuzzleMetric(Presented):
    default_prefix = "muzzle"
    primary = "off_px"
    figures = {"off_px": Figure("mean distance, px of the image", "Off", "px, mean", 2)}
    table_file, sheet_file = "muzzles.csv", "worst_muzzles.png"
    legend = "The worst muzzles."

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            gt = np.reshape(sample["raw_ann_info"]["keypoints"], (-1, 3))[0, :2]
            off_px = float(
                np.hypot(*(np.asarray(sample["pred_instances"]["keypoints"])[0, 0] - gt))
            )
            self.results.append(dict(image=sample["img_path"], off_px=off_px))

    def compute_metrics(self, results):
        self.publish(pd.DataFrame(results), "muzzles")
        return dict(off_px=float(self.table["off_px"].mean()))

    def summary(self):
        return f"muzzles: {len(self.table)}"

    @classmethod
    def columns(cls, table):
        return dict(off_px=Column("Off, px", digits=1))

    @classmethod
    def ranked(cls, table):
        return [
            Example(f"off {row.off_px:.1f} px", path=row.image, draw=partial(drawn, row.image))
            for row in table.sort_values("off_px").itertuples()
        ]


def drawn(path) -> np.ndarray:
    return cv2.resize(MuzzleDataset.read_image(path), (64, 64))
