"""PCK@0.05 of runs on validation images that were darkened, blurred, turned and so on.

    python benchmarks/changed_images.py RUN [RUN …]

RUN is a work dir with its `config.py` and `last.pth`. Changes are the same for all runs: to 0.45 of
the brightness; to 0.7 of the contrast and 100 gray values more; hues by 36°; without colours;
blurred with a sigma of 5 px; noise of 30 gray values; turned by 20 and 35° to either side about the
box's middle, which keeps its box; and boxes 1.35 times as large, in which the animal is small.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

import equikpt.register  # noqa: F401
from equikpt.apis.box_predictor import BoxPredictor
from equikpt.config_checks.options import load_config
from equikpt.core.coco.file import load_coco
from equikpt.evaluation.functional import box_side_px, distances_px, pck_hits

BATCH = 16
THRESHOLD = 0.05
Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Image, box (4,) left, top, right and bottom, and keypoints (K, 3), px."""
Change = Callable[[Sample, np.random.Generator], Sample]


def of_pixels(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    def changed(sample: Sample, rng: np.random.Generator) -> Sample:
        image, box, keypoints = sample
        return np.clip(change(image, rng), 0, 255).astype(np.uint8), box, keypoints

    return changed


def other_hue(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 18) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def turned(degrees: float) -> Change:
    def changed(sample: Sample, rng: np.random.Generator) -> Sample:
        image, box, keypoints = sample
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        matrix = cv2.getRotationMatrix2D(middle, degrees * rng.choice([-1, 1]), 1.0)
        moved = keypoints.copy()
        moved[:, :2] = keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        return cv2.warpAffine(image, matrix, image.shape[1::-1]), box, moved

    return changed


def small(sample: Sample, rng: np.random.Generator) -> Sample:
    image, box, keypoints = sample
    middle = np.tile((box[:2] + box[2:]) / 2, 2)
    return image, middle + (box - middle) * 1.35, keypoints


CHANGES: dict[str, Change] = {
    "none": lambda sample, rng: sample,
    "dark": of_pixels(lambda image, rng: image * 0.45),
    "bright": of_pixels(lambda image, rng: image * 0.7 + 100),
    "hue": of_pixels(other_hue),
    "gray": of_pixels(lambda image, rng: np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)),
    "blurred": of_pixels(lambda image, rng: cv2.GaussianBlur(image, (0, 0), 5)),
    "noise": of_pixels(lambda image, rng: image + rng.normal(0, 30, image.shape)),
    "20°": turned(20),
    "35°": turned(35),
    "small": small,
}


def scores(run: Path) -> dict[str, float]:
    cfg = load_config(str(run / "config.py"))
    predictor = BoxPredictor(cfg, run / "last.pth", "cpu")
    dataset = cfg.val_dataloader.dataset
    root = Path(dataset.data_root)
    content = load_coco(root / dataset.ann_file)
    names = {image["id"]: image["file_name"] for image in content["images"]}
    rows = content["annotations"]
    sides = box_side_px(np.array([row["bbox"] for row in rows], float))
    made = {}
    for name, change in tqdm(CHANGES.items(), unit="change", desc=run.parent.name):
        predicted, gt = [], []
        for start in range(0, len(rows), BATCH):
            views = []
            for number, row in enumerate(rows[start : start + BATCH], start):
                path = root / dataset.data_prefix["img"] / names[row["image_id"]]
                x, y, width, height = row["bbox"]
                box = np.array([x, y, x + width, y + height])
                keypoints = np.array(row["keypoints"], float).reshape(-1, 3)
                sample = cv2.imread(str(path)), box, keypoints
                image, box, keypoints = change(sample, np.random.default_rng(number))
                views.append((image, box))
                gt.append(keypoints)
            found = predictor.batch(views)
            predicted += [sample.pred_instances.keypoints[0] for sample in found]
        truth = np.array(gt)
        errors = distances_px(np.array(predicted), truth[..., :2], truth[..., 2])
        made[name] = float(np.nanmean(pck_hits(errors, sides, THRESHOLD)))
    return made


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    args = parser.parse_args(argv)
    found = {run: scores(run) for run in args.runs}
    print(f"| run | {' | '.join(CHANGES)} |\n{'| --- ' * (len(CHANGES) + 1)}|")
    for run, values in found.items():
        print(f"| {run} | {' | '.join(f'{value:.3f}' for value in values.values())} |")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
