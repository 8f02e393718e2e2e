"""From a trained checkpoint to an exported file that was compared with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import CheckpointLoader
from mmpose.registry import DATASETS, TRANSFORMS

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.apis.images import find_images
from equikpt.config_checks.options import load_config
from equikpt.core.configs import work_dir_of
from equikpt.core.image import read_image
from equikpt.core.project import find_checkpoint
from equikpt.export.graphs.table import graph_for
from equikpt.export.metadata import Metadata, describe, describe_checkpoint
from equikpt.export.onnx_file import (
    DEFAULT_OPSET,
    halve_weights,
    require,
    set_metadata,
    to_onnx,
    write_onnx,
)
from equikpt.export.parity import HALF_MAX_PX, MAX_PX
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
    reader: str | None = None,
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
        reader: Library that decodes by itself and is to read the file: ``rtmlib``. The metadata's
            ``input`` names its class, ``reader``, and the ``size`` to give it. The file is compared
            through it where it is installed.

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
    graph = graph_for(
        trained.predictor,
        trained.cfg,
        flip_test=flip_test,
        level=level,
        refine=None if refine is None else _second_stage(trained, refine, refine_config),
        reader=reader,
    )
    # first, for there may be none
    views = views_of(trained, images, image_count) if parity and graph.can_be_verified else []
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
    if views:
        with TemporaryDirectory() as folder:
            write_onnx(proto, part := Path(folder) / "model.onnx")
            limit_px = HALF_MAX_PX if half else MAX_PX
            found = graph.verify(part, trained.predictor, views, limit_px)
        metadata = replace(metadata, parity=found.to_dict())
    set_metadata(proto, metadata)
    write_onnx(proto, path)
    return Exported(path, metadata, [output.name for output in proto.graph.output])


def _second_stage(
    trained: Trained, checkpoint: str | Path, config: str | Path | Config
) -> tuple[BoxPredictor, Config]:
    """Load a ruler's second stage, whose checkpoint the first one's facts name as well."""
    second = Trained.load(config, checkpoint)
    trained.facts["checkpoint"]["refine"] = second.facts["checkpoint"]
    return second.predictor, second.cfg


def check_out(path: Path, overwrite: bool) -> None:
    """Stop before another kind of file, or one that exists, would be written."""
    if path.suffix != ".onnx":
        raise ValueError(f"expected the name of a file that ends in .onnx, got {path}")
    refuse_existing(path, overwrite)


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
        return [
            (info["img"], whole_image(info["img"]) if info.get("bbox") is None else info["bbox"][0])
            for info in loaded(trained.cfg, "val", count)
        ]
    except (OSError, ValueError, KeyError) as error:
        raise FileNotFoundError(
            f"expected validation images to compare the file with the model on, found none "
            f"({error}); {NO_IMAGES}"
        ) from error


def loaded(cfg: Config, part: str, count: int | None) -> Iterator[dict[str, Any]]:
    """Yield labelled images of a part of the data, as the test pipeline loads them.

    Args:
        cfg: Config.
        part: ``train`` or ``val``.
        count: Maximum number, evenly spread over what is there; None for all.
    """
    init_default_scope("mmpose")
    load = Compose([cfg.test_dataloader.dataset.pipeline[0]])
    dataset = DATASETS.build({**cfg[f"{part}_dataloader"].dataset, "pipeline": []})
    for index in _spread(len(dataset), count or len(dataset)):
        yield load(dataset.get_data_info(index))


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
