"""Files for rtmlib, compared with the model through rtmlib's own classes."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from equikpt.apis.box_predictor import BoxPredictor, View
from equikpt.export.graphs.rtmlib import RtmlibGraph
from equikpt.export.metadata import describe
from equikpt.export.model import PARITY_IMAGES, Exported, Trained, check_out, views_of
from equikpt.export.onnx_file import (
    DEFAULT_OPSET,
    halve_weights,
    require,
    set_metadata,
    to_onnx,
    write_onnx,
)
from equikpt.export.parity import Parity
from equikpt.structures.pose_instance import output_scores, px_per_input_px
from equikpt.structures.uncertainty import DEFAULT_LEVEL

MAX_MEDIAN_PX = 0.5
"""Median distance, px of the input, of keypoints that rtmlib reads from those that the graph drew
above which an export fails. At the border rtmlib's decoding moves single ones by more."""


def export_for_rtmlib(
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
) -> Exported:
    """Write a top-down model as an ONNX file for rtmlib's ``RTMPose`` or ``ViTPose``.

    Arguments as :func:`equikpt.export.export_model`. It is compared through rtmlib where that is
    installed; the metadata's ``input`` names the class, ``reader``, and the ``size`` to give it.

    Raises:
        FileExistsError: ``out`` exists.
        FileNotFoundError: No such config, checkpoint or images.
        ImportError: onnx, onnxscript or onnxruntime is not installed.
        ValueError: A model that rtmlib cannot read, or a file that gives other keypoints.
    """
    path = Path(out)
    check_out(path, overwrite)
    require("onnx", "onnxscript", "onnxruntime")
    trained = Trained.load(config, checkpoint)
    graph = RtmlibGraph(trained.predictor, trained.cfg, flip_test=flip_test, level=level)
    views = views_of(trained, images, image_count) if parity and find_spec("rtmlib") else []
    metadata = describe(
        trained.predictor,
        graph.task,
        graph.input(),
        level,
        flip_test=graph.flip_test,
        precision="float16" if half else "float32",
        **trained.facts,
    )
    proto = to_onnx(graph, opset)
    if half:
        halve_weights(proto)
    if views:
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "model.onnx"
            write_onnx(proto, written)
            found = measure_rtmlib(written, graph, trained.predictor, views)
        if not (median := found.others["median_px_of_decoding"]) <= MAX_MEDIAN_PX:
            raise ValueError(
                f"expected keypoints of rtmlib within {MAX_MEDIAN_PX:g} px of those drawn for it, "
                f"half of those on {found.images} images are farther than {median:.3g} px; nothing "
                "was written"
            )
        metadata = replace(metadata, parity=found.to_dict())
    set_metadata(proto, metadata)
    write_onnx(proto, path)
    return Exported(path, metadata, [output.name for output in proto.graph.output])


def measure_rtmlib(
    path: Path, graph: RtmlibGraph, predictor: BoxPredictor, views: Sequence[View]
) -> Parity:
    """Compare what rtmlib reads from a file with the predictor, and with what was drawn for it.

    Of keypoints with a score above 0.05 alone: Gaussians of less are cut off by rtmlib. Its crops
    of UDP models lie up to one px beside those of training, which moves keypoints; the
    ``median_px_of_decoding`` is of its own crops, ``median_px`` of both together.
    """
    import rtmlib

    with contextlib.redirect_stdout(io.StringIO()):  # it says what it loads
        run = getattr(rtmlib, graph.reader)(
            str(path), model_input_size=tuple(graph.size), backend="onnxruntime", device="cpu"
        )
    test_cfg: Any = predictor.model.test_cfg
    before = test_cfg.get("flip_test", False)
    distances, decoding, scores = [], [], [0.0]
    test_cfg["flip_test"] = graph.flip_test
    try:
        for image, box in views:
            (sample,) = predictor.samples(image, [box])
            keypoints, got = run(image, [np.asarray(box, float)])
            expected = output_scores(sample.pred_instances)[0]
            known = graph.trained.numpy() & (expected > 0.05)
            apart = np.linalg.norm(keypoints[0] - sample.pred_instances.keypoints[0], axis=-1)
            distances.append((apart / px_per_input_px(sample.metainfo))[known])
            decoding.append(_from_drawn(graph, run, image, box, keypoints[0])[known])
            scores.append(float(np.abs(got[0] - expected)[known].max(initial=0)))
    finally:
        test_cfg["flip_test"] = before
    each = np.concatenate(distances)
    if not len(each):
        raise ValueError(
            "expected images with keypoints that the model finds, got none; give others by --images"
        )
    highest = [float(one.max(initial=0)) for one in distances]
    against = f"rtmlib's {graph.reader} with torch {torch.__version__.partition('+')[0]} float32"
    return Parity(
        images=len(views),
        mean_px=float(each.mean()),
        max_px=max(highest),
        against=against,
        others=dict(
            median_px=float(np.median(each)),
            median_px_of_decoding=float(np.median(np.concatenate(decoding))),
            scores=max(scores),
        ),
        worst=int(np.argmax(highest)),
    )


def _from_drawn(
    graph: RtmlibGraph, run: Any, image: np.ndarray, box: np.ndarray, keypoints: np.ndarray
) -> np.ndarray:
    """Distances (K,), px of the input, of keypoints (K, 2) from those drawn for rtmlib's crop."""
    crop, center, scale = run.preprocess(image, np.asarray(box, float))
    with torch.no_grad():
        planes = torch.from_numpy(crop.transpose(2, 0, 1).astype(np.float32))
        drawn = graph.read(planes[None])["keypoints"][0].numpy()
    return np.linalg.norm((keypoints - center + scale / 2) / scale * graph.size - drawn, axis=-1)
