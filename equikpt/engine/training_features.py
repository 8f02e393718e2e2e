"""Features of the images that a model was trained on, computed once for its checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import save_checkpoint
from mmpose.registry import DATASETS, HOOKS
from tqdm import tqdm

from equikpt.compat.strict_load import load_weights, unwrap
from equikpt.core.pipelines import LOSS_ONLY, fill_codec
from equikpt.core.project import BEST, LAST
from equikpt.evaluation.functional.novelty import fit_training_features
from equikpt.structures.training_features import (
    TrainingFeatures,
    record_training_features,
    recorded_training_features,
)
from equikpt_runtime.boxes import box_area, whole_image

MAX_INSTANCES = 1000
"""Instances of a data set that are looked at, drawn at random where it has more."""
MIN_AREA_FRACTION = 0.1
"""Area of a box, as a fraction of its image's, from which the image is looked at as a whole too. In
a whole image with a smaller horse 8 of 100 points were right, of 83 by the box (PCK@0.1)."""
BATCH_SIZE = 16


@HOOKS.register_module()
class TrainingFeaturesHook(Hook):
    """Write features of the training images into ``best.pth`` and ``last.pth`` after a training.

    They take one pass over training and validation images for each of the two. With too few images
    there are none, which the log says; predictions are then never refused.
    """

    priority = "LOWEST"  # after the checkpoints were written

    def after_train(self, runner: Runner) -> None:
        """Compute and write them on the main process."""
        model = unwrap(runner.model)
        if not is_main_process() or not hasattr(model, "features"):
            return
        if runner.cfg.get("val_dataloader") is None:
            runner.logger.warning("no image will be refused: there are no validation images")
            return
        links = (Path(runner.work_dir) / name for name in (BEST, LAST))
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        for path in {link.resolve(): None for link in links if link.is_file()}:
            checkpoint = load_weights(model, str(path))
            if recorded_training_features(checkpoint) is not None:
                continue  # of a run that was complete before
            try:
                features = training_features_of_config(runner.cfg, model)
            except ValueError as error:
                runner.logger.warning(f"no image will be refused: {error}")
                continue
            record_training_features(checkpoint, features)
            save_checkpoint(checkpoint, str(path))
        model.load_state_dict(weights)


def training_features_of_config(cfg: Config, model: Any) -> TrainingFeatures:
    """Compute them of the training and validation images of a config; as the next function.

    ``model`` has the weights of the checkpoint that the result belongs to.
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
    load, *rest = Compose([step for step in steps if step["type"] not in LOSS_ONLY]).transforms
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
