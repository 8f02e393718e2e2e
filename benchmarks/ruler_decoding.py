"""One network, several ways to read coords out of its heatmaps.

    python benchmarks/ruler_decoding.py --data-root DIR --checkpoint FILE.pth [--config NAME]

The heatmaps of all validation radiographs are computed once. `argmax` is the highest cell,
`quarter` moves it by a quarter cell towards the higher neighbour (MSRA), `DARK` fits a Gaussian to
the softmax, blurred first (Zhang et al., 2020, https://arxiv.org/abs/1910.06278), `soft-argmax r`
is the expected position within r cells.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from mmpose.codecs.utils import get_heatmap_maximum
from mmpose.codecs.utils.refinement import refine_keypoints, refine_keypoints_dark
from ruler_robustness import labelled_radiographs
from tqdm import tqdm

from equikpt.apis.box_predictor import BoxPredictor
from equikpt.cli.launch import load_config
from equikpt.codecs.softmax_heatmap import SoftmaxHeatmap
from equikpt.core.radiograph import read_radiograph
from equikpt.evaluation.functional.ruler_errors import radial_errors, scale_errors
from equikpt_runtime.boxes import whole_image

BLURS = (3, 11)  # MMPose's least, and its usual one for sigma 2
Decoder = Callable[[np.ndarray], np.ndarray]


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=(1, 2), keepdims=True))
    return shifted / shifted.sum(axis=(1, 2), keepdims=True)


def highest(heatmaps: np.ndarray) -> np.ndarray:
    return get_heatmap_maximum(heatmaps)[0][None]


def quarter(logits: np.ndarray) -> np.ndarray:
    return refine_keypoints(highest(logits), logits)[0]


def dark(blur_cells: int) -> Decoder:
    def decode(logits: np.ndarray) -> np.ndarray:
        heights = softmax(logits.astype(np.float64)).astype(np.float32)
        return refine_keypoints_dark(highest(heights), heights, blur_cells)[0]

    return decode


def soft_argmax(radius: int) -> Decoder:
    def decode(logits: np.ndarray) -> np.ndarray:
        size = logits.shape[2], logits.shape[1]
        return SoftmaxHeatmap(size, size, radius=radius).decode(logits)[0][0]

    return decode


DECODERS: dict[str, Decoder] = {
    "argmax": lambda logits: highest(logits)[0],
    "quarter": quarter,
    **{f"DARK, blur of {cells} cells": dark(cells) for cells in BLURS},
    **{f"soft-argmax {radius}": soft_argmax(radius) for radius in (1, 2, 4, 8, 16)},
    "soft-argmax, whole map": soft_argmax(10**6),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--config", default="td-hm_efficientnet-lite0_p1p2-512x512")
    args = parser.parse_args(argv)
    cfg = load_config(args.config)
    cfg.model.test_cfg = dict(output_heatmaps=True)
    predictor = BoxPredictor(cfg, args.checkpoint)
    stride_px = predictor.model.head.decoder.stride_px
    radiographs = labelled_radiographs(args.data_root, "val")
    found: dict[str, list[np.ndarray]] = {name: [] for name in DECODERS}
    for path, _ in tqdm(radiographs, unit="radiograph", disable=None):
        radiograph = read_radiograph(path)
        (sample,) = predictor.samples(radiograph, [whole_image(radiograph)])
        to_radiograph = sample.input_scale / sample.input_size
        corner = sample.input_center - sample.input_scale / 2
        logits = sample.pred_fields.heatmaps.numpy()
        for name, decode in DECODERS.items():
            found[name].append(decode(logits) * stride_px * to_radiograph + corner)
    gt = np.stack([marks for _, marks in radiographs])
    rows = []
    for name, coords in found.items():
        scale = 100 * scale_errors(np.stack(coords), gt)
        rows.append(
            {
                "decoding": name,
                "mean error, px of the radiograph": radial_errors(np.stack(coords), gt).mean(),
                "scale error %, median": np.median(scale),
                "95th percentile": np.percentile(scale, 95),
            }
        )
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3f"))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
