"""Images a second from a decoded image with boxes to keypoints: MMPose, equikpt, exported files.

    python benchmarks/inference.py [--rows rtmpose hrnet] [--columns mmpose onnxruntime]

All columns predict the same boxes of one image with the same weights and the same flip setting, in
one process on as many threads as OMP_NUM_THREADS says, or all cores, one after the other, round
after round. A cell has the median of the rounds, end to end, and in brackets the network alone;
ratios to the first column are the median of the rounds' ratios. Weights are random, on which time
does not depend (but that of counting, which goes to its most points), unless --checkpoint has some.

- mmpose: MMPose's own ``inference_topdown`` with its stock parts of the same config. Of
  EfficientNet-Lite0 the backbone is equikpt's, since MMPose has none.
- predictor, predictor-bf16: equikpt's ``Predictor``; rulers and counting as their commands do it.
- onnxruntime, openvino, openvino-bf16, int8: ``equikpt_runtime.Model`` on the exported file; int8
  on ONNX Runtime.
- rtmlib: its own class on the file for it, one box after the other.
- ultralytics: yolo26n-pose, random weights, its own export and preprocessing at 640 px: time only.

px: median and largest distance of the keypoints from the predictor's, px of the image. Cold start:
a process of its own from its start to the first keypoint. --frames is a generated video whose
frames are predicted in a process of its own; shown is its memory after a tenth, half and all.
Files are exported into --out once, and taken from there the next time; so is the table, as JSON.
"""

from __future__ import annotations

import argparse
import copy
import importlib.metadata
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

REFINE = "td-hm_efficientnet-lite0_p1p2-refine-192x192"
ROWS = {
    "rtmpose": "rtmpose_m_ap10k",
    "efficientnet": "td-hm_efficientnet-lite0_horse26-192x192",
    "hrnet": "hrnet_w32_ap10k",
    "ruler": "td-hm_efficientnet-lite0_p1p2-512x512",
    "counting": "sequential_efficientnet-lite0_fsc147-384x384",
}
TOP_DOWN = ("rtmpose", "efficientnet", "hrnet")
COLUMNS = (
    *("mmpose", "predictor", "predictor-bf16", "onnxruntime", "openvino", "openvino-bf16"),
    *("int8", "rtmlib", "ultralytics"),
)
STOCK = dict(
    LoadCachedImage="LoadImage",
    TopdownAffineCrop="TopdownAffine",
    FastPackPoseInputs="PackPoseInputs",
    FastUDPHeatmap="UDPHeatmap",
    FastSimCCLabel="SimCCLabel",
    FreezingCSPNeXt="CSPNeXt",
    ValLossTopdownEstimator="TopdownPoseEstimator",
)
"""MMPose's own parts, by the names of equikpt's in their place."""
OURS_ALONE = ("visibility", "frozen_stages")
COLD = ("mmpose", "predictor", "onnxruntime", "openvino")
RUNTIME = ("numpy", "opencv-python-headless", "onnxruntime", "lapx")
"""Distributions that ``pip install equikpt-runtime[onnxruntime]`` brings, with what they need."""


@dataclass(frozen=True)
class Way:
    """A column of one row.

    Args:
        run: Keypoints (N, K, 2), px of the image, of an image and boxes (N, 4); None where they
            are others.
        network: Compute the network alone for a number of boxes; None where it is not apart.
    """

    run: Callable[[np.ndarray, np.ndarray], Any]
    network: Callable[[int], Any] | None = None


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flip-test", action="store_true", help="for all columns")
    parser.add_argument("--checkpoint", nargs="+", default=[], metavar="ROW=FILE.pth")
    parser.add_argument("--frames", type=int, default=10_000, help="of the video; 0: none")
    parser.add_argument("--no-cold", dest="cold", action="store_false", help="no cold starts")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/inference"))
    parser.add_argument("--part", nargs=2, metavar=("WHAT", "COLUMN"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.checkpoint = dict(each.split("=", 1) for each in args.checkpoint)
    if unknown := set(args.checkpoint) - set(ROWS):
        parser.error(f"expected --checkpoint ROW=FILE of {', '.join(ROWS)}, got {unknown.pop()}")
    return args


def make_image(height: int = 480, width: int = 640) -> np.ndarray:
    import cv2

    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 5)


def make_boxes(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 200, (count, 2))
    return np.hstack([corners, corners + rng.uniform(150, 270, (count, 2))])


def config_of(args: argparse.Namespace, name: str) -> Any:
    from equikpt.config_checks.options import load_config

    cfg = load_config(name)
    cfg.model.setdefault("test_cfg", {})["flip_test"] = args.flip_test
    return cfg


def weights_of(args: argparse.Namespace, row: str, name: str) -> Path:
    """The checkpoint that was given, or random weights, the same at each call."""
    import torch
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    from equikpt.core.configs import strip_pretrained_init

    if row in args.checkpoint and name != REFINE:
        return Path(args.checkpoint[row])
    path = args.out / f"{name}.pth"
    if not path.is_file():
        init_default_scope("mmpose")
        cfg = config_of(args, name)
        strip_pretrained_init(cfg.model)
        torch.manual_seed(0)
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    return path


def stock(node: Any) -> Any:
    """Replace equikpt's parts of a config by MMPose's."""
    if isinstance(node, dict):
        kept = {key: stock(value) for key, value in node.items() if key not in OURS_ALONE}
        return dict(kept, type=STOCK.get(kept["type"], kept["type"])) if "type" in kept else kept
    return [stock(each) for each in node] if isinstance(node, (list, tuple)) else node


def mmpose_way(args: argparse.Namespace, row: str) -> Way:
    import torch
    from mmengine.config import Config
    from mmpose.apis import inference_topdown, init_model

    from equikpt.core.pipelines import LOSS_ONLY, fill_codec

    cfg = config_of(args, ROWS[row])
    dataset = cfg.test_dataloader.dataset
    steps = fill_codec(dataset.pipeline, dataset.get("codec"))
    plain = copy.deepcopy(cfg.to_dict())
    plain["model"] = stock(plain["model"])
    steps = [stock(dict(step)) for step in steps if step["type"] not in LOSS_ONLY]
    plain["test_dataloader"]["dataset"]["pipeline"] = steps
    model = init_model(Config(plain), None, "cpu")
    from equikpt.apis.box_predictor import metainfo_of

    model.dataset_meta = metainfo_of(cfg)
    state = torch.load(weights_of(args, row, ROWS[row]), weights_only=True, map_location="cpu")
    missing = model.load_state_dict(state["state_dict"], strict=False).missing_keys
    if missing:
        raise ValueError(f"expected weights for all of MMPose's model, {missing[0]} has none")

    def run(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        found = inference_topdown(model, image, boxes)
        return np.stack([each.pred_instances.keypoints[0] for each in found])

    return Way(run, partial(forward, model, args.flip_test))


def forward(model: Any, flip_test: bool, count: int) -> None:
    """Compute backbone, neck and head of a torch model for a number of boxes."""
    import torch

    width, height = model.head.decoder.input_size
    images = torch.zeros(count, 3, height, width)
    with torch.inference_mode():
        for _ in range(1 + flip_test):
            model.head.forward(model.extract_feat(images))


def predictor_way(args: argparse.Namespace, row: str, precision: str = "float32") -> Way | None:
    from equikpt.apis import Predictor, counting
    from equikpt.apis.ruler import RulerFinder
    from equikpt.models.fast_forward import choose_precision
    from equikpt_runtime.boxes import whole_image

    if precision != "float32" and choose_precision("auto", "cpu") != precision:
        return None
    cfg, weights = config_of(args, ROWS[row]), weights_of(args, row, ROWS[row])
    if row not in TOP_DOWN and precision != "float32":
        return None  # their commands compute in float32
    if row == "ruler":
        fine = weights_of(args, row, REFINE)
        finder = RulerFinder.load(cfg, weights, config_of(args, REFINE), fine, "cpu")
        return Way(lambda image, _: finder(image)[0][None])
    if row == "counting":
        counter = counting.load(cfg, weights, "cpu")
        return Way(lambda image, _: counter(image, [whole_image(image)])[0].keypoints[:1])
    predictor = Predictor(cfg, weights, "cpu", max(args.batches), precision=precision)

    def run(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return np.stack([each.keypoints for each in predictor(image, boxes)])

    return Way(run, partial(forward, predictor._model.model, args.flip_test))


def exported(args: argparse.Namespace, row: str, kind: str = "") -> Path:
    """The exported file of a row, written where it is not there yet."""
    from equikpt.export import export_model
    from equikpt.export.precision import quantise

    flip = "_flip" if args.flip_test else ""
    path = args.out / f"{row}{flip}{kind}.onnx"
    given = args.out / f"{row}{flip}{kind}.weights.txt"
    weights = weights_of(args, row, ROWS[row]).resolve()
    if path.is_file() and given.is_file() and given.read_text() == str(weights):
        return path
    cfg = config_of(args, ROWS[row])
    options = dict(flip_test=args.flip_test, parity=False, overwrite=True)
    if kind == "_rtmlib":
        export_model(cfg, path, weights, reader="rtmlib", **options)
    elif kind == "_int8":
        source = exported(args, row)
        width, height = json_of(source)["input"]["size"]
        image = np.random.default_rng(2).integers(0, 256, (8, 1, height, width, 3), dtype=np.uint8)
        quantise(source, path, list(image))
    elif row == "ruler":
        fine = weights_of(args, row, REFINE)
        refine = dict(refine=fine, refine_config=config_of(args, REFINE))
        export_model(cfg, path, weights, **options, **refine)
    else:
        export_model(cfg, path, weights, **options)
    given.write_text(str(weights))
    return path


def json_of(path: Path) -> dict:
    """Description that an exported file carries."""
    from equikpt_runtime.metadata import Description

    return Description.read(path).plain


def runtime_way(args: argparse.Namespace, row: str, kind: str = "", **options: Any) -> Way:
    from equikpt_runtime import Model

    path = exported(args, row, kind)
    model = Model(path, threads=threads(), refuse=False, batch_size=max(args.batches), **options)

    def run(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        found = model(image, boxes if model.takes_boxes else None)
        return np.stack([each.keypoints for each in found])

    if row not in TOP_DOWN:
        return Way(run)
    width, height = json_of(path)["input"]["size"]
    inputs = {n: np.zeros((n, height, width, 3), np.uint8) for n in args.batches}
    return Way(run, lambda count: model._network(inputs[count]))


def rtmlib_way(args: argparse.Namespace, row: str) -> Way | None:
    if importlib.util.find_spec("rtmlib") is None:
        return None
    import onnx
    import rtmlib

    path = exported(args, row, "_rtmlib")
    properties = onnx.load(path, load_external_data=False).metadata_props
    given = json.loads(next(each.value for each in properties if each.key == "equikpt"))["input"]
    reader = getattr(rtmlib, given["reader"])(str(path), model_input_size=tuple(given["size"]))
    return Way(lambda image, boxes: np.asarray(reader(image, boxes)[0]))


def ultralytics_way(args: argparse.Namespace, row: str) -> Way | None:
    if importlib.util.find_spec("ultralytics") is None:
        return None
    from ultralytics import YOLO

    path = args.out / "yolo26n-pose.onnx"
    if not path.is_file():
        made = YOLO("yolo26n-pose.yaml").export(format="onnx", imgsz=640)
        Path(made).replace(path)
    model = YOLO(str(path), task="pose")

    def run(image: np.ndarray, boxes: np.ndarray) -> None:  # all animals of an image at once
        model.predict(image, verbose=False)

    return Way(run)


def threads() -> int:
    from equikpt_runtime.machine import usable_cores

    return int(os.environ.get("OMP_NUM_THREADS") or usable_cores())


def build(args: argparse.Namespace, row: str, column: str) -> Way | None:
    """Load a column; None where it does not exist for the row, or its library is not installed."""
    bf16 = "avx512_bf16" in cpu_flags()
    runtime: dict[str, dict] = {
        "onnxruntime": {},
        "openvino": dict(backend="openvino"),
        "openvino-bf16": dict(backend="openvino", precision="bfloat16"),
        "int8": dict(kind="_int8"),
    }
    if column.startswith("predictor"):
        return predictor_way(args, row, "bfloat16" if column.endswith("bf16") else "float32")
    if column in runtime:
        if (column == "openvino-bf16" and not bf16) or (column == "int8" and row not in TOP_DOWN):
            return None
        return runtime_way(args, row, **runtime[column])
    others = dict(mmpose=mmpose_way, rtmlib=rtmlib_way, ultralytics=ultralytics_way)
    return others[column](args, row) if row in TOP_DOWN else None


def cpu_flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def measure(args: argparse.Namespace, row: str) -> list[dict]:
    """A record for each batch size and column of a row."""
    made = {column: build(args, row, column) for column in args.columns}
    ways = {column: way for column, way in made.items() if way is not None}
    image = make_image(1000, 800) if row == "ruler" else make_image()
    records = []
    for count in args.batches if row in TOP_DOWN else [1]:
        boxes = make_boxes(count)
        found = {column: way.run(image, boxes) for column, way in ways.items()}  # the first ones
        calls = {(column, "run"): partial(way.run, image, boxes) for column, way in ways.items()}
        for column, way in ways.items():
            if way.network is not None:
                calls[column, "network"] = partial(way.network, count)
                way.network(count)
        times = interleave(calls, args.rounds, repeats=1 if count > 1 else 3)
        for column in ways:
            record = dict(row=row, column=column, batch=count, times_s=times[column, "run"])
            record["network_s"] = times.get((column, "network"))
            record["px"] = distance(found[column], found.get("predictor"))
            records.append(record)
    return records


def interleave(calls: dict, rounds: int, repeats: int) -> dict[Any, list[float]]:
    """Seconds of each call, one after the other, round after round."""
    times: dict[Any, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            start = time.perf_counter()
            for _ in range(repeats):
                call()
            times[key].append((time.perf_counter() - start) / repeats)
    return times


def distance(found: Any, reference: Any) -> list[float] | None:
    """Median and largest distance, px; None where there is nothing to compare."""
    if found is None or reference is None or np.shape(found) != np.shape(reference):
        return None
    apart = np.linalg.norm(np.asarray(found) - np.asarray(reference), axis=-1)
    return [float(np.nanmedian(apart)), float(np.nanmax(apart))]


def table(records: list[dict]) -> str:
    """Markdown, a line for each row, batch size and column."""
    lines = ["| row | boxes | column | img/s | network alone | ratio | px |", "| --- " * 7 + "|"]
    first: dict[tuple, dict] = {}
    for record in records:
        base = first.setdefault((record["row"], record["batch"]), record)
        ratios = [
            slow / fast for slow, fast in zip(base["times_s"], record["times_s"], strict=True)
        ]
        rate, network = (
            "" if times is None else f"{record['batch'] / statistics.median(times):.1f}"
            for times in (record["times_s"], record["network_s"])
        )
        px = "" if record["px"] is None else "{:.3f}, {:.3f}".format(*record["px"])
        cells = (record["row"], record["batch"], record["column"], rate, network)
        lines.append(f"| {' | '.join(map(str, cells))} | {statistics.median(ratios):.2f} | {px} |")
    return "\n".join(lines)


def own_process(args: argparse.Namespace, *part: str) -> tuple[float, str]:
    """Wall seconds of a part in a process of its own, and the last line that it prints."""
    command = [sys.executable, __file__, "--out", str(args.out), "--frames", str(args.frames)]
    command += ["--flip-test"] if args.flip_test else []
    start = time.perf_counter()
    done = subprocess.run([*command, "--part", *part], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(part)} failed: {done.stderr[-2000:]}")
    return seconds, done.stdout.strip().splitlines()[-1]


def run_part(args: argparse.Namespace, what: str, column: str) -> None:
    """Predict one box, or the frames of the video, by the EfficientNet."""
    if column in ("onnxruntime", "openvino"):  # as a user of the runtime would, without torch
        from equikpt_runtime import Model

        path = args.out / f"efficientnet{'_flip' if args.flip_test else ''}.onnx"
        model = Model(path, column, refuse=False)
        if what == "video":
            print(json.dumps(watch(model, args.out / "video.mp4", args.frames)))
        else:
            print(len(model(make_image(), make_boxes(1))))
        return
    import equikpt.register  # noqa: F401

    way = build(args, "efficientnet", column)
    print("" if way is None else len(way.run(make_image(), make_boxes(1))))


def watch(model: Any, path: Path, count: int) -> list[int]:
    """Resident MiB after a tenth, half and all of a video's frames."""
    import cv2
    import psutil

    def frames():
        capture = cv2.VideoCapture(str(path))
        while (read := capture.read())[0]:
            yield read[1], None

    marks, found = {max(1, count // 10), count // 2, count}, []
    for number, _ in enumerate(model.stream(frames()), start=1):
        if number in marks:
            found.append(round(psutil.Process().memory_info().rss / 2**20))
    return found


def write_video(path: Path, count: int) -> None:
    import cv2

    image = make_image(240, 320)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (320, 240))
    for number in range(count):
        writer.write(np.roll(image, number % 320, axis=1))
    writer.release()


def installed_mb(names: tuple[str, ...]) -> float:
    """Size of distributions and of all that they need, MB."""
    remaining, seen, total = list(names), set(), 0
    while remaining:
        name = remaining.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        paths = [Path(str(found.locate_file(each))) for each in found.files or ()]
        total += sum(path.stat().st_size for path in paths if path.is_file())
        wanted = [each for each in found.requires or () if "extra ==" not in each]
        remaining += [re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in wanted]
    return total / 1e6


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if args.part:
        run_part(args, *args.part)
        return 0
    import torch

    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads())
    records: list[dict] = []
    for row in args.rows:
        records += measure(args, row)
        print(f"{row}: done", flush=True)
    lines = [table(records), ""]
    lacking = [name for name in ("rtmlib", "ultralytics") if not importlib.util.find_spec(name)]
    lines += [f"Left out, since it is not installed: {name}" for name in lacking]
    result: dict[str, Any] = dict(threads=threads(), records=records)
    if args.cold or args.frames:
        exported(args, "efficientnet")
    if args.cold:
        result["cold_s"] = {name: own_process(args, "cold", name)[0] for name in COLD}
        shown = (f"{name} {seconds:.1f}" for name, seconds in result["cold_s"].items())
        lines.append(f"Cold start to the first keypoint (EfficientNet), s: {', '.join(shown)}")
    if args.frames:
        write_video(args.out / "video.mp4", args.frames)
        result["video_mib"] = json.loads(own_process(args, "video", "onnxruntime")[1])
        shown = (str(value) for value in result["video_mib"])
        lines.append(f"MiB after a tenth, half and all of {args.frames} frames: {', '.join(shown)}")
    result["installed_mb"] = {
        "runtime": installed_mb(RUNTIME),
        "equikpt": installed_mb((*RUNTIME, "equikpt", "torch", "mmpose", "onedl-mmcv")),
    }
    shown = (f"{name} {size:.0f}" for name, size in result["installed_mb"].items())
    lines.append(f"Installed, MB, with all that it needs: {', '.join(shown)}")
    (args.out / "inference.json").write_text(json.dumps(result, indent=1))
    (args.out / "inference.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    if "--part" in sys.argv:  # a cold start without what the measuring needs
        sys.exit(main())
    import equikpt.register  # noqa: F401
    from equikpt.cli.entry import run

    run(main)
