"""Tiny networks that look like exported ones: what they find, one can say of each image."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NAMES = ("nose", "withers", "tail")


def description(task: str = "keypoints", **changes) -> dict:
    return {
        "schema": 1,
        "task": task,
        "producer": "equikpt 0.1.0",
        "name": "tiny",
        "keypoints": list(NAMES),
        "skeleton": [[0, 1], [1, 2]],
        "flip_indices": [0, 1, 2],
        "colors": {"keypoints": [[255, 0, 0]] * 3, "skeleton": [[0, 255, 0]] * 2},
        "trained": [True] * 3,
        "input": {
            "kind": "crop",
            "size": [48, 64],
            "color": "RGB",
            "layout": "NHWC",
            "dtype": "uint8",
            "crop": {"rule": "box", "padding": 1.25, "udp": True},
            "reading": "image",
        },
        "flip_test": False,
        "uncertainty": None,
        "novelty": None,
        "points": None,
        "ruler": None,
    } | changes


def write_model(
    path: Path, about: dict | str | None, constant: dict[str, np.ndarray] | None = None
) -> Path:
    """Write a network whose ``scores`` (N, 3) are the means of R, G and B, 0 to 1.

    Each array of ``constant`` is an output, repeated for each of the N inputs.
    """
    constant = dict(constant or {})
    constant.setdefault("keypoints", np.array([[10, 20], [24, 32], [40, 50]], np.float32))
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "hw"], ["mean"], keepdims=0),
        helper.make_node("Div", ["mean", "full"], ["colour"]),
        helper.make_node("Shape", ["image"], ["count"], start=0, end=1),
    ]
    held = [
        numpy_helper.from_array(np.array([1, 2], np.int64), "hw"),
        numpy_helper.from_array(np.array(255, np.float32), "full"),
    ]
    outputs = []
    if "scores" not in constant:
        nodes.append(helper.make_node("Identity", ["colour"], ["scores"]))
        outputs.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3]))
    for name, value in constant.items():
        value = np.asarray(value, np.float32)
        rest = numpy_helper.from_array(np.array(value.shape, np.int64), f"{name}_shape")
        held += [numpy_helper.from_array(value[None], f"{name}_value"), rest]
        nodes.append(helper.make_node("Concat", ["count", rest.name], [f"{name}_to"], axis=0))
        nodes.append(helper.make_node("Expand", [f"{name}_value", f"{name}_to"], [name]))
        shape = ["N", *value.shape]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    graph = helper.make_graph(nodes, "tiny", [image], outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if about is not None:
        text = about if isinstance(about, str) else json.dumps(about)
        helper.set_model_props(model, {"other": "x" * 300, "equikpt": text})
    onnx.save(model, path)
    return path
