"""Images that a model was not made for: how well their novelty tells them, and what that costs.

    python benchmarks/out_of_distribution.py --project horses \
        --foreign mice mouse/labeled-data --foreign cells images_384_VarV2 \
        --foreign people coco/images person_keypoints_val2017.json

The features of the project's training images are stored, with the limit of one half of its
validation images. The other half is compared with one half of each foreign set, and with its own
crops beside the boxes; by the first halves features and method were chosen. Each image is seen in
two ways: by its boxes (of the labels that are given; where there are none, of the middle, whose
margin ends at the image's border) and as a whole, which a user gives without boxes. The time is
that of predictions with and without the comparison.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

VIEWS = ("box", "whole")
Pair = tuple[np.ndarray, list[np.ndarray]]
"""An image and its boxes."""
MIN_SIDE_PX = 64
"""Smaller boxes of foreign labels are left out."""
MIN_CROP_PX = 160
"""Smaller crops beside the boxes likewise."""
MAX_ASPECT = 1.6
PADDING = 1.25
"""Factor by which the pipelines enlarge boxes."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", type=Path, required=True, help="folder of equikpt init")
    parser.add_argument("--checkpoint", type=Path, help="default: the project's best")
    parser.add_argument(
        "--foreign",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "DIR"),
        help="name, folder of images, and COCO files with their boxes",
    )
    parser.add_argument("--images", type=int, default=150, help="of a foreign set at most")
    parser.add_argument("--save", type=Path, help="file for all scores (.npz)")
    return parser.parse_args(argv)


def middle(size_px: tuple[int, int]) -> np.ndarray:
    """Box (4,) whose enlarged version is the image."""
    half = np.array(size_px) / 2
    return np.concatenate([half - half / PADDING, half + half / PADDING])


def boxes_of(folder: Path, labels: list[str], least_px: float = 0) -> dict[Path, list[np.ndarray]]:
    """Boxes of each image, left, top, right and bottom; none where there are no labels."""
    boxes: dict[Path, list[np.ndarray]] = {}
    for name in labels:
        content = json.loads(Path(name).read_text())
        files = {each["id"]: folder / each["file_name"] for each in content["images"]}
        for each in content["annotations"]:
            x, y, width, height = each["bbox"]
            labelled = each.get("num_keypoints", 1) and not each.get("iscrowd")
            if labelled and min(width, height) >= least_px:
                box = np.array([x, y, x + width - 1, y + height - 1])
                boxes.setdefault(files[each["image_id"]], []).append(box)
    if not labels:
        found = (path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
        boxes = {path: [] for path in found}
    return dict(sorted(boxes.items()))


def halves(count: int) -> np.ndarray:
    """(N,) bool: images by which features, methods and limits were chosen; the others are shown."""
    chosen = np.zeros(count, bool)
    chosen[np.random.default_rng(7).permutation(count)[: count // 2]] = True
    return chosen


def beside_boxes(image: np.ndarray, boxes: list[np.ndarray]) -> np.ndarray | None:
    """Cut the largest strip beside all boxes out of an image; None where it is too small."""
    height, width = image.shape[:2]
    margin = 0.02 * max(width, height)
    left, top = np.floor(np.min(boxes, axis=0)[:2] - margin).astype(int)
    right, bottom = np.ceil(np.max(boxes, axis=0)[2:] + margin).astype(int)
    strips = [image[:, : max(left, 0)], image[:, right:], image[: max(top, 0)], image[bottom:]]
    strip = max(strips, key=lambda each: min(each.shape[:2]))
    if min(strip.shape[:2]) < MIN_CROP_PX:
        return None
    side = int(MAX_ASPECT * min(strip.shape[:2]))
    return np.ascontiguousarray(strip[-side:, :side])  # the lower part, where the ground is


def load(args: argparse.Namespace):
    """The model of the project, without a flip test, which changes nothing here."""
    from equikpt.apis.box_predictor import BoxPredictor
    from equikpt.cli.launch import load_config

    cfg = load_config(str(args.project))
    cfg.model.setdefault("test_cfg", {})["flip_test"] = False
    return cfg, BoxPredictor(cfg, args.checkpoint)


def features(predictor, views: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Features (N, D) of boxes in images."""
    from equikpt.engine.training_features import features_of

    samples = (
        predictor.pipeline(
            dict(img=image, img_path="", bbox=np.float32(box)[None], bbox_score=np.ones(1))
        )
        for image, box in views
    )
    return features_of(predictor.model, samples)[0]


def scores_of(predictor, record, pairs: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Novelties of images by their boxes and as a whole."""
    from equikpt_runtime.boxes import whole_image

    by_box = [(image, box) for image, b in pairs for box in b or [middle(image.shape[1::-1])]]
    whole = [(image, whole_image(image)) for image, _ in pairs]
    found = (features(predictor, views) for views in (by_box, whole))
    by_box_scores, whole_scores = (record.novelty(each) for each in found)
    return by_box_scores, whole_scores


def foreign_sets(args: argparse.Namespace, own: list[Pair]) -> Iterator[tuple[str, list[Pair]]]:
    """Images that are not like the training, with their boxes."""
    from equikpt.core.image import read_image

    crops = [beside_boxes(*pair) for pair in own]
    yield "crops beside the animal", [(crop, []) for crop in crops if crop is not None]
    for name, directory, *labels in args.foreign:
        found = list(boxes_of(Path(directory), labels, MIN_SIDE_PX).items())
        found = found[:: max(1, len(found) // args.images)]
        shown = np.flatnonzero(~halves(len(found)))
        yield name, [(read_image(found[index][0]), found[index][1]) for index in shown]


def is_large(pair: Pair) -> bool:
    """Tell if a whole image shows enough of an animal to be like the training."""
    from equikpt.engine.training_features import MIN_AREA_FRACTION
    from equikpt_runtime.boxes import box_area

    image, boxes = pair
    return max(map(box_area, boxes)) >= MIN_AREA_FRACTION * image.shape[0] * image.shape[1]


def times_s(predictor, record, image: np.ndarray, rounds: int = 60) -> tuple[float, float]:
    """Median time of a prediction without and with the comparison, in turns."""
    from equikpt_runtime.boxes import whole_image

    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for compared in (False, True):
            predictor.model.training_features = record if compared else None
            start = time.perf_counter()
            predictor(image, [whole_image(image)])
            taken[compared].append(time.perf_counter() - start)
    predictor.model.training_features = None
    return float(np.median(taken[False])), float(np.median(taken[True]))


def fitted(cfg, predictor, names: set[str]):
    """Record of the training images with the limit of the validation images of these names."""
    from equikpt.engine.training_features import training_features_of, view_samples

    held_out = (
        sample
        for sample in view_samples(cfg, "val")
        if Path(sample["data_samples"].img_path).name in names
    )
    return training_features_of(predictor.model, view_samples(cfg, "train"), held_out)


def area(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Area under ROC of foreign scores against own ones."""
    from equikpt.evaluation.functional.ranking import roc_auc

    return roc_auc(np.r_[ours, theirs], np.repeat([False, True], [len(ours), len(theirs)]))


def shares(scores: tuple[np.ndarray, np.ndarray], limit: float) -> str:
    """Refused fractions of both views."""
    return ", ".join(f"{np.mean(each > limit):.3f}" for each in scores)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from equikpt.core.image import read_image

    cfg, predictor = load(args)
    val = cfg.val_dataloader.dataset
    folder = Path(val.data_root) / val.data_prefix.img
    boxes = list(boxes_of(folder, [str(Path(val.data_root) / val.ann_file)]).items())
    chosen = halves(len(boxes))
    names = {path.name for (path, _), used in zip(boxes, chosen, strict=True) if used}
    record = fitted(cfg, predictor, names)
    own = [(read_image(path), each) for path, each in boxes if path.name not in names]
    by_box, whole = scores_of(predictor, record, own)
    large = np.array([is_large(pair) for pair in own])
    scores = {"own": (by_box, whole[large]), "own, small": (whole[~large], whole[~large])}
    print(f"limit {record.limit:.2f} for {record.level:.3f} of {len(names)} images")
    print("| set | images | AUROC, by box, whole | refused, by box, whole |")
    print("| --- | --- | --- | --- |")
    print(f"| own | {len(own)}, {large.sum()} | | {shares(scores['own'], record.limit)} |")
    if not large.all():
        small = np.mean(whole[~large] > record.limit)
        print(f"| own, animal under a tenth of the image | {(~large).sum()} | | {small:.3f} |")
    for name, pairs in tqdm(foreign_sets(args, own), disable=None):
        if not pairs:
            continue
        scores[name] = scores_of(predictor, record, pairs)
        areas = ", ".join(
            f"{area(ours, theirs):.3f}"
            for ours, theirs in zip(scores["own"], scores[name], strict=True)
        )
        print(f"| {name} | {len(pairs)} | {areas} | {shares(scores[name], record.limit)} |")
    plain, compared = times_s(predictor, record, own[0][0])
    print(f"prediction {1e3 * plain:.1f} ms, with the comparison {1e3 * compared:.1f} ms")
    if args.save:
        arrays = {
            f"{name} {view}": values
            for name, both in scores.items()
            for view, values in zip(VIEWS, both, strict=True)
        }
        np.savez(args.save, **arrays, limit=record.limit)
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
