"""Exported files in 8 bits, kept where they are as accurate, and for OpenVINO."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from equikpt.config_checks.options import load_config
from equikpt.evaluation.functional.keypoint_errors import distances_px, pck_hits
from equikpt.export.model import Exported, loaded
from equikpt.export.onnx_file import quiet, require, set_metadata
from equikpt_runtime.backends import load_network
from equikpt_runtime.crops import Crop, Cropper
from equikpt_runtime.files import refuse_existing, write_bytes
from equikpt_runtime.metadata import KEY, Description

CALIBRATION_IMAGES = 100
"""Training instances from which the ranges of 8 bits are read."""
MAX_DROP = 0.005
"""Loss of PCK@0.05 up to which a file in 8 bits is kept."""
PCK_THRESHOLD = 0.05
QUANTISED = ("Conv", "ConvTranspose", "Clip", "Relu", "Add", "MaxPool")
"""Operations in 8 bits, of backbone and neck alone; the head and the decoding stay in float32."""
NETWORK = ("model.backbone.", "model.neck.")


@dataclass(frozen=True, eq=False)
class Sample:
    """A labelled instance as a file takes it.

    Args:
        pixels: (1, H, W, 3) uint8, RGB.
        crop: Place of it in the image.
        gt: (K, 2) px of the image.
        visibility: (K,) 0 where there is no label.
        side_px: Longer side of its box.
    """

    pixels: np.ndarray
    crop: Crop
    gt: np.ndarray
    visibility: np.ndarray
    side_px: float


@dataclass(frozen=True)
class Drop:
    """PCK@0.05 of a float32 file, and of its copy in 8 bits, on the same instances.

    Args:
        pck: Of the copy.
        pck_float32: Of the file.
        instances: Number of labelled instances.
        median_px: Median distance of their keypoints, px of the image.
    """

    pck: float
    pck_float32: float
    instances: int
    median_px: float


def labelled(
    cfg: Config, given: Mapping[str, Any], part: str, count: int | None = None
) -> list[Sample]:
    """Cut labelled instances out of a config's images, evenly spread over what is there.

    Args:
        cfg: Of a top-down model.
        given: ``input`` of the metadata: ``size`` and ``crop``.
        part: ``train`` or ``val``.
        count: Maximum number; None for all.

    Raises:
        FileNotFoundError: There are none.
    """
    cropper, (width, height) = Cropper(given["size"], given["crop"]), given["size"]
    samples = []
    try:
        for info in loaded(cfg, part, count):
            pixels, box = np.empty((1, height, width, 3), np.uint8), info["bbox"][0]
            crop = cropper.cut(info["img"], box, pixels[0])
            points = info["keypoints"][0], info["keypoints_visible"][0]
            samples.append(Sample(pixels, crop, *points, float((box[2:] - box[:2]).max())))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise FileNotFoundError(
            f"expected the project's {part} images, on which 8 bits are measured, found "
            f"none ({error}); export in float32"
        ) from error
    return samples


def export_int8(
    exported: Exported,
    out: Path,
    config: str | Path | Config,
    max_drop: float = MAX_DROP,
    overwrite: bool = False,
) -> tuple[Exported, Drop]:
    """Write an exported file again in 8 bits, unless that costs too much accuracy.

    Accuracy is PCK@0.05 on the validation images. Ranges of 8 bits are those of
    ``CALIBRATION_IMAGES`` training instances.

    Args:
        exported: Float32 file of the task ``keypoints``.
        out: File to write.
        config: Of its model: the data.
        max_drop: Greatest loss of PCK.
        overwrite: Replace a file that is there.

    Raises:
        FileExistsError: ``out`` exists.
        FileNotFoundError: No training or validation images.
        ImportError: onnx or onnxruntime is not installed.
        ValueError: Another task or precision, or too great a loss; nothing is written then.
    """
    require("onnx", "onnxruntime")
    import onnx

    refuse_existing(out, overwrite)
    metadata = exported.metadata
    if metadata.task != "keypoints" or metadata.precision != "float32":
        raise ValueError(
            f"expected a float32 file of keypoints for 8 bits, got {metadata.precision} of "
            f"{metadata.task}, whose loss is not measured; leave out --int8"
        )
    cfg = config if isinstance(config, Config) else load_config(config)
    val = labelled(cfg, metadata.input, "val")
    train = labelled(cfg, metadata.input, "train", CALIBRATION_IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "int8.onnx"
        quantise(exported.path, part, [one.pixels for one in train])
        drop = measure_drop(exported.path, part, val, metadata.input)
        if not drop.pck_float32 - drop.pck <= max_drop:
            raise ValueError(
                f"expected a PCK@{PCK_THRESHOLD:g} at most {max_drop:g} below float32's "
                f"{drop.pck_float32:.4f}, 8 bits have {drop.pck:.4f} on {drop.instances} "
                "validation instances; nothing was written: leave out --int8, or allow more by "
                "--max-drop"
            )
        proto = onnx.load(part)
    measured = dict(pck=round(drop.pck, 4), pck_float32=round(drop.pck_float32, 4))
    parity = dict(metadata.parity or {}, **measured, instances=drop.instances)
    if "against" in parity:  # its px are those of the file that was quantised
        parity["against"] += ", before 8 bits"
    metadata = replace(metadata, precision="int8", parity=parity)
    set_metadata(proto, metadata)
    write_bytes(out, proto.SerializeToString())
    return replace(exported, path=out, metadata=metadata), drop


def measure_drop(
    source: Path, lower: Path, samples: Sequence[Sample], given: Mapping[str, Any]
) -> Drop:
    """Compare two files on labelled instances."""
    cropper = Cropper(given["size"], given["crop"])
    gt, visibility = (
        np.array([getattr(one, name) for one in samples]) for name in ("gt", "visibility")
    )
    sides = np.array([one.side_px for one in samples])
    coords, accuracy = [], []
    for path in (source, lower):
        network = load_network(path, threads=torch.get_num_threads())
        found = [network(one.pixels)["keypoints"].astype(float) for one in samples]
        coords.append(cropper.to_image(np.concatenate(found), [one.crop for one in samples]))
        errors = distances_px(coords[-1], gt, visibility)
        accuracy.append(float(np.nanmean(pck_hits(errors, sides, PCK_THRESHOLD))))
    moved = np.linalg.norm(coords[0] - coords[1], axis=-1)
    return Drop(accuracy[1], accuracy[0], len(gt), float(np.nanmedian(moved)))


def quantise(source: Path, target: Path, crops: Sequence[np.ndarray]) -> None:
    """Write a file whose backbone and neck compute in 8 bits, by the ranges that crops give.

    Weights have a scale for each channel, and 7 bits: without VNNI a CPU adds products of 8 bits in
    16, which would overflow.

    Args:
        source: Float32 file.
        target: File to write.
        crops: (1, H, W, 3) uint8 each.
    """
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        """Feeds of the calibration, one crop each."""

        remaining = iter(crops)

        def get_next(self) -> dict[str, np.ndarray] | None:
            crop = next(self.remaining, None)
            return None if crop is None else {"image": crop}

    nodes = [node.name for node in network_nodes(onnx.load(source)) if node.op_type in QUANTISED]
    with quiet():
        quantization.quantize_static(
            source,
            target,
            Reader(),
            op_types_to_quantize=list(QUANTISED),
            nodes_to_quantize=nodes,
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def network_nodes(proto: Any) -> list[Any]:
    """Nodes from the first to the last one that has a weight of backbone or neck."""
    owned = {each.name for each in proto.graph.initializer if each.name.startswith(NETWORK)}
    places = [i for i, node in enumerate(proto.graph.node) if owned & set(node.input)]
    if not places:
        raise ValueError(
            "expected weights of a backbone in the file, found none; export it again in float32"
        )
    return list(proto.graph.node)[places[0] : places[-1] + 1]


def write_openvino(source: Path, out: Path, overwrite: bool = False) -> Path:
    """Write an exported file as OpenVINO's ``.xml`` and ``.bin``, in its own precision.

    The metadata stands in ``rt_info`` under ``equikpt``. OpenVINO computes in bfloat16 where the
    CPU has it, unless ``INFERENCE_PRECISION_HINT`` is ``f32``.

    Args:
        source: ONNX file.
        out: File to write, ``.xml``.
        overwrite: Replace files that are there.

    Returns:
        ``out``.

    Raises:
        FileExistsError: One of both exists.
        ImportError: openvino is not installed.
        ValueError: Another ending, or a file of others.
    """
    require("openvino")
    import openvino

    check_openvino(out, overwrite)
    model = openvino.convert_model(source)
    model.set_rt_info(json.dumps(Description.read(source).plain), [KEY])
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        part = Path(folder) / out.name
        openvino.save_model(model, part, compress_to_fp16=False)
        for suffix in (".bin", ".xml"):
            os.replace(part.with_suffix(suffix), out.with_suffix(suffix))
    return out


def check_openvino(out: Path, overwrite: bool) -> None:
    """Stop before OpenVINO's files would replace others, or could not be written."""
    require("openvino")
    if out.suffix != ".xml":
        raise ValueError(f"expected the name of a file that ends in .xml, got {out}")
    for path in (out, out.with_suffix(".bin")):
        refuse_existing(path, overwrite)
