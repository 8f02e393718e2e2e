"""Tiny models with the inputs, outputs and metadata of exported ones.

Keypoint k lies at the centre of gravity of colour channel k, in px of the input: whatever a crop
or its colours have wrong moves it. A white image is unlike the training.
"""

import json
from pathlib import Path

import onnx
import onnx.parser

NAMES = ["red", "=green", "blue"]
SIZE = (48, 64)


def model(task: str) -> onnx.ModelProto:
    """Build a model without metadata."""
    lines = [
        "pixels = Cast<to = 1>(image)",
        "values = Mul(pixels, pixels)",
        "both = Constant<value_ints = [1, 2]>()",
        "total = ReduceSum<keepdims = 0>(values, both)",
        "mean = ReduceMean<axes = [1, 2], keepdims = 0>(pixels)",
        "white = Constant<value_float = 255.0>()",
        "share = Div(mean, white)",
        "novelty = ReduceMean<axes = [1], keepdims = 0>(share)",
        "from = Constant<value_int = 0>()",
        "step = Constant<value_int = 1>()",
        "last = Constant<value_ints = [-1]>()",
    ]
    for axis, at, where in (("x", 2, "[1, 1, -1, 1]"), ("y", 1, "[1, -1, 1, 1]")):
        lines += [
            f"{axis}_length = Shape<start = {at}, end = {at + 1}>(image)",
            f"{axis}_scalar = Squeeze({axis}_length)",
            f"{axis}_range = Range(from, {axis}_scalar, step)",
            f"{axis}_float = Cast<to = 1>({axis}_range)",
            f"{axis}_shape = Constant<value_ints = {where}>()",
            f"{axis}_all = Reshape({axis}_float, {axis}_shape)",
            f"{axis}_moment = Mul(values, {axis}_all)",
            f"{axis}_sum = ReduceSum<keepdims = 0>({axis}_moment, both)",
            f"{axis}_mean = Div({axis}_sum, total)",
            f"{axis}_last = Unsqueeze({axis}_mean, last)",
        ]
    lines += ["points = Concat<axis = -1>(x_last, y_last)"]
    outputs = {"novelty": "[N]"}
    if task == "keypoints":
        outputs |= dict(keypoints="[N, K, 2]", scores="[N, K]", radius="[N, K]")
        outputs["visibility"] = "[N, K, 2]"
        lines += [
            "keypoints = Identity(points)",
            "scores = Identity(share)",
            "ten = Constant<value_float = 10.0>()",
            "radius = Mul(share, ten)",
            "half = Constant<value_float = 0.5>()",
            "presence = Add(share, half)",
            "seen = Sub(presence, half)",
            "presence_last = Unsqueeze(presence, last)",
            "seen_last = Unsqueeze(seen, last)",
            "visibility = Concat<axis = -1>(presence_last, seen_last)",
        ]
    elif task == "ruler":
        outputs |= dict(keypoints="[N, K, 2]", scores="[N, K]", radius="[N, K]")
        lines += [
            "marks = Constant<value_ints = [0, 2]>()",
            "keypoints = Gather<axis = 1>(points, marks)",
            "scores = Gather<axis = 1>(share, marks)",
            "radius = Gather<axis = 1>(share, marks)",
        ]
    elif task == "peaks":
        outputs |= dict(keypoints="[N, K, M, 2]", scores="[N, K, M]")
        lines += [
            "second = Constant<value_ints = [2]>()",
            "peak = Unsqueeze(points, second)",
            "keypoints = Concat<axis = 2>(peak, peak)",
            "sure = Unsqueeze(share, second)",
            "unsure = Sub(sure, sure)",
            "scores = Concat<axis = 2>(sure, unsure)",
        ]
    else:
        outputs |= dict(keypoints="[N, P, 2]", scores="[N, P]", over="[N, Q]")
        lines += [
            "keypoints = Identity(points)",
            "scores = Identity(share)",
            "ends = Constant<value = float[1, 4] {0.05, 0.2, 0.6, 0.95}>()",
            "batch = Shape<start = 0, end = 1>(image)",
            "steps = Constant<value_ints = [4]>()",
            "every = Concat<axis = 0>(batch, steps)",
            "over = Expand(ends, every)",
        ]
    typed = ", ".join(f"float{shape} {name}" for name, shape in outputs.items())
    body = "\n".join(f"  {line}" for line in lines)
    header = '<ir_version: 8, opset_import: ["" : 17]>'
    made = onnx.parser.parse_model(
        f"{header}\nmade (uint8[N, H, W, 3] image) => ({typed}) {{\n{body}\n}}"
    )
    onnx.checker.check_model(made)
    return made


def metadata(task: str, crop: dict | None = None) -> dict:
    """Return the metadata of a model, whose crops are taken as ``crop`` says."""
    names = ["p1", "p2"] if task == "ruler" else NAMES
    colours = [[230, 40, 40], [40, 200, 40], [60, 60, 240]]
    named = task in ("keypoints", "ruler")
    return dict(
        schema=1,
        task=task,
        producer="equikpt",
        name=f"made {task}",
        keypoints=names,
        skeleton=[[0, 1]] if named else [],
        flip_indices=[*range(len(names))],
        colors=dict(keypoints=colours[: len(names)], skeleton=[[240, 200, 0]] if named else []),
        trained=[True] * len(names),
        input=dict(
            kind="image" if task == "ruler" else "crop",
            size=SIZE,
            color="RGB",
            layout="NHWC",
            dtype="uint8",
            crop=crop or dict(rule="box", padding=1.25, udp=True),
            reading="image",
        ),
        flip_test=False,
        uncertainty=dict(
            levels=[0.9],
            factors=[[1.0]] * len(names),
            exponent=1.0,
            scores=[0.0, 1.0],
            probabilities=[0.0, 1.0],
            source="drawn",
            level=0.9,
        )
        if named
        else None,
        novelty=dict(limit=0.9, level=0.99, source="nothing"),
        points=dict(done_threshold=0.5, interval=[0.1, 0.9], max_points=3)
        if task == "points"
        else None,
        ruler=dict(mm=10.0) if task == "ruler" else None,
        checkpoint=dict(sha256="0" * 64, epoch=3, config="made"),
        training=dict(images=7, instances=9, source="drawn"),
        licence=None,
        precision="float32",
        parity=dict(images=2, mean_px=0.001, max_px=0.002, against="itself"),
    )


def write(path: Path, task: str, crop: dict | None = None) -> dict:
    """Write a model with its metadata, and return these."""
    made, meta = model(task), metadata(task, crop)
    entry = made.metadata_props.add()
    entry.key, entry.value = "equikpt", json.dumps(meta)
    onnx.save(made, path)
    return meta
