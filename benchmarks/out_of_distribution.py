"""Images that a model was not made for: how well their novelty tells them, and what that costs.

    python benchmarks/out_of_distribution.py --project horses \
        --foreign mice mouse/labeled-data --foreign cells images_384_VarV2 \
        --foreign people coco/images person_keypoints_val2017.json

The features of the project's training images are fitted, with the limit of one half of its
validation images. The other half is compared with each foreign set and with crops of all
validation images beside their boxes. Each is seen in two ways: by its box (of the labels that are
given; where there are none, of the middle, whose margin ends at the image's border) and as a whole
image, which a user gives without boxes. The time is that of predictions with and without the
comparison.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

VIEWS = ("box", "whole")
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


def foreign_boxes(folder: Path, labels: list[str], limit: int) -> dict[Path, list[np.ndarray]]:
    """Boxes of each image, left, top, right and bottom; none where there are no labels."""
    boxes: dict[Path, list[np.ndarray]] = {}
    for name in labels:
        content = json.loads(Path(name).read_text())
        files = {each["id"]: folder / each["file_name"] for each in content["images"]}
        for each in content["annotations"]:
            x, y, width, height = each["bbox"]
            if min(width, height) >= MIN_SIDE_PX and not each.get("iscrowd"):
                box = np.array([x, y, x + width - 1, y + height - 1])
                boxes.setdefault(files[each["image_id"]], []).append(box)
    if not labels:
        found = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))
        boxes = {path: [] for path in found}
    step = max(1, len(boxes) // limit)
    return dict(list(boxes.items())[::step])


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


def own_features(cfg, model, split: str) -> dict[str, np.ndarray]:
    """Features of a split's boxes and whole images, with the image of each."""
    from equikpt.apis.training_features import features_of, view_samples

    features, images, is_whole = [], [], []
    for sample in tqdm(view_samples(cfg, split), split, delay=5, disable=None):
        (each,), (image,) = features_of(model, [sample])
        meta = sample["data_samples"]
        size = np.array(meta.ori_shape[::-1]) - 1
        is_whole.append(np.allclose(meta.gt_instances.bboxes[0], [0, 0, *size]))
        features.append(each)
        images.append(image)
    return dict(features=np.array(features), images=np.array(images), whole=np.array(is_whole))


def foreign_features(predictor, views: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Features (N, D) of boxes in images."""
    from equikpt.apis.training_features import features_of

    samples = (
        predictor.pipeline(
            dict(img=image, img_path="", bbox=np.float32(box)[None], bbox_score=np.ones(1))
        )
        for image, box in views
    )
    return features_of(predictor.model, samples)[0]


def sets(args: argparse.Namespace, cfg, predictor) -> dict[str, dict[str, np.ndarray]]:
    """Features of each foreign set by box and as whole images, crops beside boxes included."""
    from equikpt.apis.box_predictor import whole_image
    from equikpt.core.image import read_image

    found = {}
    val = cfg.val_dataloader.dataset
    folder = Path(val.data_root) / val.data_prefix.img
    own = foreign_boxes(folder, [str(Path(val.data_root) / val.ann_file)], 10**6)
    images = {path: beside_boxes(read_image(path), boxes) for path, boxes in own.items()}
    crops = [crop for crop in images.values() if crop is not None]
    rows = [("beside the boxes", [(crop, []) for crop in crops])]
    for name, directory, *labels in args.foreign:
        chosen = foreign_boxes(Path(directory), labels, args.images)
        rows.append((name, [(read_image(path), boxes) for path, boxes in chosen.items()]))
    for name, pairs in rows:
        if not pairs:
            continue
        by_box = [(image, box) for image, b in pairs for box in b or [middle(image.shape[1::-1])]]
        whole = [(image, whole_image(image)) for image, _ in pairs]
        found[name] = {
            view: foreign_features(predictor, views)
            for view, views in zip(VIEWS, (by_box, whole), strict=True)
        }
    return found


def times_s(predictor, record, image: np.ndarray, rounds: int = 15) -> tuple[float, float]:
    """Median time of a prediction without and with the comparison, in turns."""
    from equikpt.apis.box_predictor import whole_image

    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for compared in (False, True):
            predictor.model.training_features = record if compared else None
            start = time.perf_counter()
            predictor(image, [whole_image(image)])
            taken[compared].append(time.perf_counter() - start)
    predictor.model.training_features = None
    return float(np.median(taken[False])), float(np.median(taken[True]))


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from equikpt.core.image import read_image
    from equikpt.evaluation.functional.novelty import fit_training_features
    from equikpt.evaluation.functional.ranking import roc_auc

    cfg, predictor = load(args)
    train, val = (own_features(cfg, predictor.model, split) for split in ("train", "val"))
    names = np.unique(val["images"])
    for_limit = np.isin(val["images"], np.random.default_rng(0).permutation(names)[::2])
    record = fit_training_features(
        train["features"], val["features"][for_limit], val["images"][for_limit]
    )
    foreign = sets(args, cfg, predictor)
    scores = {
        f"own {view}": record.novelty(val["features"][~for_limit & (val["whole"] == whole)])
        for view, whole in zip(VIEWS, (False, True), strict=True)
    }
    print("| set | AUROC, by box, whole | refused, by box, whole |\n| --- | --- | --- |")
    refused = [np.mean(scores[f"own {view}"] > record.limit) for view in VIEWS]
    print(f"| own, held out ({len(names) // 2} images) | | {refused[0]:.3f}, {refused[1]:.3f} |")
    for name, features in foreign.items():
        areas, refused = [], []
        for view in VIEWS:
            scores[f"{name} {view}"] = theirs = record.novelty(features[view])
            both = np.concatenate([scores[f"own {view}"], theirs])
            areas.append(roc_auc(both, np.arange(len(both)) >= len(both) - len(theirs)))
            refused.append(np.mean(theirs > record.limit))
        cells = [", ".join(f"{value:.3f}" for value in each) for each in (areas, refused)]
        print(f"| {name} ({len(features['whole'])} images) | {cells[0]} | {cells[1]} |")
    plain, compared = times_s(predictor, record, read_image(val["images"][0]))
    print(f"prediction {1e3 * plain:.1f} ms, with the comparison {1e3 * compared:.1f} ms")
    if args.save:
        np.savez(args.save, **scores, limit=record.limit)
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
