"""From a trained checkpoint to an exported file that was compared with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from mmpose.registry import DATASETS, TRANSFORMS
from tqdm import tqdm

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.apis.images import find_images
from equikpt.config_checks.options import load_config
from equikpt.core.configs import work_dir_of
from equikpt.core.image import read_image
from equikpt.core.project import find_checkpoint
from equikpt.export.graphs.base import Arrays, Graph
from equikpt.export.graphs.table import graph_for
from equikpt.export.metadata import Metadata, describe, describe_checkpoint
from equikpt.export.onnx_file import (
    DEFAULT_OPSET,
    OnnxModel,
    halve_weights,
    require,
    set_metadata,
    to_onnx,
    write_onnx,
)
from equikpt.export.parity import HALF_MAX_PX, MAX_PX, Parity, measure
from equikpt.structures.uncertainty import DEFAULT_LEVEL
from equikpt_runtime.boxes import whole_image
from equikpt_runtime.files import refuse_existing

PARITY_IMAGES = 50
REFINE_CONFIG = "td-hm_efficientnet-lite0_p1p2-refine-192x192"
NO_IMAGES = "give some by --images DIR, or leave the comparison out by --no-parity"


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Args:
        path: File that was written.
        metadata: Its facts, with the parity.
        outputs: Names of its outputs.
    """

    path: Path
    metadata: Metadata
    outputs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """A trained model with what led to it.

    Args:
        cfg: Its config.
        predictor: The model, on the CPU.
        checkpoint: File of its weights.
        facts: Sections ``checkpoint``, ``training`` and ``licence`` of the metadata.
    """

    cfg: Config
    predictor: BoxPredictor
    checkpoint: Path
    facts: dict[str, Any]

    @classmethod
    def load(cls, config: str | Path | Config, checkpoint: str | Path | None = None) -> Trained:
        """Load a model as :class:`BoxPredictor` does, which has the errors."""
        cfg = config if isinstance(config, Config) else load_config(config)
        path = find_checkpoint(work_dir_of(cfg) if checkpoint is None else checkpoint)
        predictor = BoxPredictor(cfg, path, device="cpu")
        content = CheckpointLoader.load_checkpoint(str(path), map_location="cpu")
        name = Path(cfg.filename).stem if cfg.filename else ""
        facts = dict(
            checkpoint=describe_checkpoint(path.resolve(), content, name), **_training(cfg)
        )
        return cls(cfg, predictor, path, facts)


def export_model(
    config: str | Path | Config,
    out: str | Path,
    checkpoint: str | Path | None = None,
    flip_test: bool | None = None,
    level: float = DEFAULT_LEVEL,
    opset: int = DEFAULT_OPSET,
    images: str | Path | None = None,
    image_count: int = PARITY_IMAGES,
    parity: bool = True,
    half: bool = False,
    overwrite: bool = False,
    refine: str | Path | None = None,
    refine_config: str | Path | Config = REFINE_CONFIG,
) -> Exported:
    """Write a trained model as an ONNX file that decodes by itself, and compare it with the model.

    Args:
        config: Path or name of a config, a project folder, or the config itself.
        out: File to write, ``.onnx``.
        checkpoint: Its weights; by default of the config's work dir the best ones.
        flip_test: Average with the mirrored crop inside the file; None as the config says.
        level: Probability that a keypoint lies within its radius.
        opset: Of ONNX.
        images: Folder of images to compare on; by default validation images with their boxes.
        image_count: Number of them, spread over what is there.
        parity: Compare; without, the file says so.
        half: Store the weights in float16.
        overwrite: Replace a file that is there.
        refine: Checkpoint of a ruler's second stage, which goes into the same file.
        refine_config: Its config.

    Raises:
        FileExistsError: ``out`` exists.
        FileNotFoundError: No such config, checkpoint or images.
        ImportError: onnx, onnxscript or onnxruntime is not installed.
        ValueError: A model that cannot be exported, no image to compare on, or a file whose
            keypoints are farther than :data:`MAX_PX` (of ``half``: :data:`HALF_MAX_PX`) from the
            model's; none is written then.
    """
    path = Path(out)
    check_out(path, overwrite)
    require("onnx", "onnxscript", "onnxruntime")
    trained = Trained.load(config, checkpoint)
    second = None if refine is None else Trained.load(refine_config, refine)
    graph = graph_for(
        trained.predictor,
        trained.cfg,
        flip_test=flip_test,
        level=level,
        refine=None if second is None else (second.predictor, second.cfg),
    )
    if second is not None:
        trained.facts["checkpoint"]["refine"] = second.facts["checkpoint"]
    references: list[tuple[np.ndarray, Arrays]] = []
    if parity:  # first, for it may lack images
        references = references_of(trained, graph, images, image_count)
    metadata = describe(
        trained.predictor,
        graph.task,
        graph.input(),
        level,
        flip_test=graph.flip_test,
        precision="float16" if half else "float32",
        **trained.facts,
    )
    metadata = replace(metadata, **graph.facts())
    print_log("translating the model, which takes half a minute or more", "current")
    proto = to_onnx(graph, opset)
    if half:
        halve_weights(proto)
    set_metadata(proto, metadata)
    if parity:
        found = compare(OnnxModel(proto.SerializeToString()), references)
        check_parity(found, HALF_MAX_PX if half else MAX_PX)
        metadata = replace(metadata, parity=found.to_dict())
        set_metadata(proto, metadata)
    write_onnx(proto, path)
    return Exported(path, metadata, [output.name for output in proto.graph.output])


def references_of(
    trained: Trained, graph: Graph, images: str | Path | None, image_count: int
) -> list[tuple[np.ndarray, Arrays]]:
    """Compute the model's own outputs for the images that :func:`views_of` chooses."""
    views = views_of(trained, images, image_count)
    each = graph.references(trained.predictor, views)
    return list(tqdm(each, "the model's own", len(views), unit="image", delay=5, disable=None))


def check_out(path: Path, overwrite: bool) -> None:
    """Stop before another kind of file, or one that exists, would be written."""
    if path.suffix != ".onnx":
        raise ValueError(f"expected the name of a file that ends in .onnx, got {path}")
    refuse_existing(path, overwrite)


def compare(model: OnnxModel, references: Sequence[tuple[np.ndarray, Arrays]]) -> Parity:
    """Measure the differences between a file and its references."""
    each = tqdm(references, "the file's", unit="image", delay=5, disable=None)
    version = torch.__version__.partition("+")[0]
    return measure(model, each, f"torch {version} float32")


def check_parity(found: Parity, limit_px: float = MAX_PX) -> None:
    """Raise ``ValueError`` where a file differs too much from its model."""
    if not found.max_px <= limit_px:
        raise ValueError(
            f"expected keypoints of the file within {limit_px:g} px of the model's, got up to "
            f"{found.max_px:.3g} px on {found.images} images (mean {found.mean_px:.2g}); nothing "
            "was written"
        )


def views_of(trained: Trained, folder: str | Path | None, count: int) -> list[View]:
    """Choose images with boxes to compare on, spread evenly over what is there.

    Args:
        trained: The model, whose config has the validation images.
        folder: Images to take as a whole instead.
        count: Maximum number.

    Raises:
        FileNotFoundError: There is none.
    """
    if folder is not None:
        loading = TRANSFORMS.get(trained.cfg.test_dataloader.dataset.pipeline[0]["type"])
        read = getattr(loading, "read_image", read_image)
        paths = find_images((), Path(folder))
        chosen = [read(paths[index]) for index in _spread(len(paths), count)]
        return [(image, whole_image(image)) for image in chosen]
    try:
        return list(_validation_views(trained.cfg, count))
    except (OSError, ValueError, KeyError) as error:
        raise FileNotFoundError(
            f"expected validation images to compare the file with the model on, found none "
            f"({error}); {NO_IMAGES}"
        ) from error


def _validation_views(cfg: Config, count: int) -> Iterator[View]:
    test = cfg.test_dataloader.dataset
    load = Compose([test.pipeline[0]])
    dataset = DATASETS.build({**cfg.val_dataloader.dataset, "pipeline": []})
    for index in _spread(len(dataset), count):
        info = load(dataset.get_data_info(index))
        box = info.get("bbox")
        yield info["img"], whole_image(info["img"]) if box is None else box[0]


def _spread(total: int, count: int) -> list[int]:
    """Choose up to ``count`` indices of ``total``, evenly."""
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int)).tolist()


def _training(cfg: Config) -> dict[str, Any]:
    """Sections ``training`` and ``licence``, as far as the annotations are there and say so."""
    dataset = (cfg.get("train_dataloader") or {}).get("dataset") or {}
    source = str(dataset.get("ann_file") or "")
    training: dict[str, Any] = dict(images=None, instances=None, source=source or None)
    try:
        with open(os.path.join(dataset.get("data_root") or "", source), "rb") as file:
            content = json.load(file)
    except (OSError, ValueError):
        content = None
    if isinstance(content, list):  # of Label Studio
        training["images"] = len(content)
    if not isinstance(content, Mapping):
        return dict(training=training, licence=None)
    training["images"] = len(content.get("images") or ())
    training["instances"] = len(content.get("annotations") or ())
    licences = [str(each["name"]) for each in content.get("licenses") or () if each.get("name")]
    return dict(training=training, licence=", ".join(dict.fromkeys(licences)) or None)
