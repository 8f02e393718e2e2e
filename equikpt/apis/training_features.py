"""Features of the images that a model was trained on, computed once for its checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from tqdm import tqdm

from equikpt.apis.box_predictor import TARGETS, whole_image
from equikpt.core.pipelines import fill_codec
from equikpt.evaluation.functional.novelty import fit_training_features
from equikpt.structures.bbox import box_area
from equikpt.structures.training_features import TrainingFeatures

MAX_INSTANCES = 1000
"""Instances of a data set that are looked at, drawn at random where it has more."""
MIN_AREA_FRACTION = 0.1
"""Area of a box, as a fraction of its image's, from which the image is looked at as a whole too. In
a whole image with a smaller horse 8 of 100 points were right, of 83 by the box (PCK@0.1)."""
BATCH_SIZE = 16


def training_features_of_config(cfg: Config, model: Any) -> TrainingFeatures:
    """Compute them of the training and validation images of a config; as the next function.

    ``training_features_of_config(cfg, BoxPredictor(cfg, "best.pth").model)`` is the record that
    belongs into ``meta["training_features"]`` of that checkpoint, by its ``to_dict``.
    """
    training, held_out = (view_samples(cfg, split) for split in ("train", "val"))
    source = str(cfg.val_dataloader.dataset.get("ann_file", ""))
    return training_features_of(model, training, held_out, source)


def training_features_of(
    model: Any, training: Iterable[dict], held_out: Iterable[dict], source: str = ""
) -> TrainingFeatures:
    """Compute the features of training images, and the limit that held-out ones keep.

    Args:
        model: One of :mod:`equikpt.models.val_loss_estimator`, trained.
        training: Samples of the images that it was trained on, as a data set's test pipeline packs
            them; see :func:`view_samples`.
        held_out: Samples of images that it was not trained on and that are like its own.
        source: The held-out images, in words.
    """
    features, _ = features_of(model, tqdm(training, "training images", delay=5, disable=None))
    others, images = features_of(model, tqdm(held_out, "validation images", delay=5, disable=None))
    return fit_training_features(features, others, images, source)


def features_of(model: Any, samples: Iterable[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Compute the features (N, D) of samples, and the path (N,) of each one's image."""
    was_training, remaining = model.training, iter(samples)
    model.eval()
    features, images = [], []
    with torch.no_grad():
        while chunk := list(islice(remaining, BATCH_SIZE)):
            batch = model.data_preprocessor(pseudo_collate(chunk), False)
            features.append(model.features(batch["inputs"]).cpu().numpy())
            images += [str(each.metainfo.get("img_path")) for each in batch["data_samples"]]
    model.train(was_training)
    if not features:
        raise ValueError("expected images to compute features of, got none; give some")
    return np.concatenate(features), np.array(images)


def view_samples(cfg: Config, split: str, limit: int = MAX_INSTANCES) -> Iterator[dict]:
    """Yield the samples of a split by the test pipeline, and of images as a whole.

    A model is also given images without boxes, whose borders its training never showed. Those in
    which the instance is smaller than :data:`MIN_AREA_FRACTION` show hardly anything of it.

    Args:
        cfg: Config.
        split: ``"train"``, ``"val"`` or ``"test"``.
        limit: Greatest number of instances.
    """
    init_default_scope(cfg.get("default_scope", "mmpose"))
    test = cfg.test_dataloader.dataset
    steps = fill_codec(test.pipeline, test.get("codec"))
    load, *rest = Compose([step for step in steps if step["type"] not in TARGETS]).transforms
    finish, seen = Compose(rest), set()
    parts = [DATASETS.build({**each, "pipeline": []}) for each in _parts(cfg, split)]
    places = [(part, index) for part in parts for index in range(len(part))]
    order = np.random.default_rng(0).permutation(len(places))[:limit]
    for part, index in (places[place] for place in sorted(order)):
        info = load(part.get_data_info(index))
        yield finish(dict(info))
        box, whole = info.get("bbox"), whole_image(info["img"]).astype(np.float32)
        if box is None or info["img_path"] in seen or np.allclose(box, whole):
            continue
        if box_area(box[0]) >= MIN_AREA_FRACTION * box_area(whole):
            seen.add(info["img_path"])
            yield finish({**info, "bbox": whole[None]})


def _parts(cfg: Config, split: str) -> Iterator[dict]:
    """Configs of the data sets within wrappers."""
    remaining = [cfg[f"{split}_dataloader"].dataset]
    while remaining:
        dataset = remaining.pop(0)
        inner = dataset.get("datasets") or [dataset.get("dataset")]
        if inner == [None]:
            yield dataset
        else:
            remaining = [*inner, *remaining]
