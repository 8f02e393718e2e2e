"""Graph modules written as ONNX files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equikpt.export.graphs.base import Graph
from equikpt.export.metadata import Metadata
from equikpt_runtime.files import write_bytes
from equikpt_runtime.metadata import KEY

DEFAULT_OPSET = 18
OPSETS = (17, 19)
"""Lowest and highest opset: ONNX Runtime refuses GridSample in a loop of 20."""
MAX_BYTES = 2**31 - 1
"""A file with its weights inside is one message of protobuf, which holds no more."""
MIN_HALVED = 1024
"""Values that a tensor has at least for :func:`halve_weights`."""
INSTALL = "run `pip install -r requirements/export.txt`"


def to_onnx(graph: Graph, opset: int = DEFAULT_OPSET) -> Any:
    """Translate a graph into an ``onnx.ModelProto``.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        ValueError: Something in the model has no counterpart in ONNX.
    """
    require("onnx", "onnxscript")
    example = graph.eval().example()
    axes = {axis: torch.export.Dim.DYNAMIC for axis in graph.dynamic()}
    with quiet(), torch.no_grad():
        names = list(graph(example))
        try:
            traced = torch.export.export(
                graph, (example,), dynamic_shapes={"image": axes}, strict=False
            )
            program = torch.onnx.export(
                traced,
                dynamo=True,
                input_names=["image"],
                output_names=names,
                opset_version=opset,
                verbose=False,
            )
        except Exception as error:  # of any class, by what is in the model
            reason = " ".join(str(error).split())[:300]
            raise ValueError(
                f"expected a model whose operations ONNX knows, got {type(error).__name__}: "
                f"{reason}; leave that layer out of the model, or report it"
            ) from error
    if program is None:
        raise RuntimeError("expected torch.onnx to return a program, got none")
    proto = program.model_proto
    _strip(proto.graph)
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, name in graph.dynamic().items():
            dims = value.type.tensor_type.shape.dim
            if axis < len(dims) and not dims[axis].HasField("dim_value"):
                dims[axis].dim_param = name
    return proto


def _strip(graph: Any) -> None:
    """Take out what the tracer notes of each node: paths of this machine, and megabytes of them."""
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
        for attribute in node.attribute:
            if attribute.HasField("g"):  # a loop's body
                _strip(attribute.g)
    for value in (*graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del value.metadata_props[:]
    del graph.metadata_props[:]


def halve_weights(proto: Any) -> None:
    """Store the weights in float16, which halves the file; everything is computed in float32.

    A reader turns them back once, when it loads the file. Small constants, as those of the
    decoding, stay.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < MIN_HALVED:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def set_metadata(proto: Any, metadata: Metadata) -> None:
    """Put metadata into a model, in place of any that it has."""
    kept = [entry for entry in proto.metadata_props if entry.key != KEY]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    proto.metadata_props.add(key=KEY, value=metadata.to_json())
    proto.producer_name, proto.producer_version = "equikpt", metadata.producer.split()[-1]


def write_onnx(proto: Any, path: Path) -> None:
    """Check a model and write it; one that is there is replaced.

    Raises:
        ValueError: It is too large for one file.
    """
    import onnx

    if proto.ByteSize() > MAX_BYTES:
        raise ValueError(
            f"expected a model of less than 2 GB, got {proto.ByteSize() / 1e9:.1f} GB; an ONNX "
            "file holds no more: export a smaller network"
        )
    onnx.checker.check_model(proto)
    write_bytes(path, proto.SerializeToString())


def require(*packages: str) -> None:
    """Raise ``ImportError`` with the way out where a package is not installed."""
    for name in packages:
        try:
            __import__(name)
        except ImportError as error:
            raise ImportError(f"expected {name} for an export, found none: {INSTALL}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the remarks of exporters off the terminal; ONNX Runtime's quantiser takes the root."""
    loggers = [logging.getLogger(each) for each in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
