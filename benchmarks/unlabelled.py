r"""Gain of unlabelled images beside few labels, in the same wall time or in the same steps.

    equikpt init DATA --out PROJECT
    python benchmarks/unlabelled.py PROJECT --labels 50 150 --seeds 0 1 2 --minutes 10
    python benchmarks/unlabelled.py PROJECT --labels 50 --seeds 0 --arms unlabelled --steps 300

Of the training images a random part keeps its labels (the same of a seed in all arms), the others
are the unlabelled ones: with their boxes, as a detector would give them, or as whole images
(--boxes whole). A step with unlabelled images takes longer, so --minutes gives the supervised runs
more of them, by a trial of each arm. Every finished run is kept under --out and not done again; one
cell at a time is a matter of --arms, --labels and --seeds. Scores are those of the averaged weights
after the last epoch. Of runs with unlabelled images the PCK of their own plain output on the
unlabelled images, all and confident ones, shows what they learnt from.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import shutil
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from mmengine.config import Config
from runs import run_tool
from runs import train as train_run
from tqdm import tqdm
from transfer import write_subset

from equikpt.cli.launch import load_config, parse_options
from equikpt.engine.unlabelled import UnlabelledHook
from equikpt.evaluation.functional.keypoint_errors import box_side_px, distances_px
from equikpt_runtime.files import write_text

BATCH = 16
ARMS = ("supervised", "unlabelled")
SCORES = ("keypoint/PCK@0.05", "keypoint/PCK@0.1", "coco/AP", "keypoint/error")
VALIDATIONS = 6
"""In each run, which calibrate the confidences."""
CONFIDENCES = (0.0, 0.3, 0.5, 0.7, 0.9)
EVERYTHING = 10**9


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, help="folder that `equikpt init` made")
    parser.add_argument("--labels", type=int, nargs="+", default=[50, 150])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="of training, a run")
    length.add_argument("--steps", type=int, help="of training, a run")
    parser.add_argument("--boxes", choices=("labels", "whole"), default="labels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--name", default="", help="of further --options, in the names of the runs")
    parser.add_argument("--options", nargs="*", default=[], help="further --cfg-options")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/unlabelled"))
    return parser.parse_args(argv)


def write_parts(args, count: int, seed: int) -> Path:
    """Write the labels of ``count`` images, and the others as unlabelled ones; their folder."""
    folder = args.out / f"data_{count}_{seed}"
    data = args.project / "data"
    images = folder / "others/images"
    if not (folder / "others/boxes.json").is_file():
        write_subset(data / "annotations/train.json", folder / "train.json", count, seed)
        others = folder / "others/boxes.json"
        images.mkdir(parents=True, exist_ok=True)
        write_subset(data / "annotations/train.json", folder / "part.json", EVERYTHING, seed, count)
        for row in json.loads((folder / "part.json").read_text())["images"]:
            shutil.copy(data / "images/train" / row["file_name"], images / row["file_name"])
        (folder / "part.json").rename(others)
    return folder


def build_config(args, folder: Path, seed: int) -> Config:
    """Config of the project with fewer labels, validated a few times."""
    cfg = load_config(str(args.project))
    cfg.train_dataloader.dataset.ann_file = str((folder / "train.json").resolve())
    cfg.randomness.seed = seed
    length = cfg.train_cfg.max_epochs
    cfg.train_cfg.val_interval = max(1, length // VALIDATIONS)
    cfg.default_hooks.checkpoint.update(interval=length, max_keep_ckpts=1, save_best=None)
    for name in ("early_stopping", "images", "training_features"):
        cfg.default_hooks.pop(name, None)
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    return cfg


def train(args, arm: str, cfg: Config, folder: Path, data: Path, epochs: int, *more: str) -> dict:
    """Train; the last row of the scores, seconds of a step, and of all."""
    source = data / "others" / ("boxes.json" if args.boxes == "labels" else "images")
    flags = ["--unlabelled", str(source.resolve())] if arm == "unlabelled" else []
    options = [*args.options, *more] if arm == "unlabelled" else [*more]
    if options:
        flags += ["--cfg-options", *options]
    start = time.monotonic()
    rows = train_run(cfg, folder, args.threads, "--epochs", str(epochs), "--no-verify", *flags)
    seconds = time.monotonic() - start
    times = [row["time"] for row in rows if "loss" in row][1:]
    scores = [row for row in rows if SCORES[0] in row]
    shares = [row["unlabelled_share"] for row in rows if "unlabelled_share" in row]
    return dict(
        step_s=float(np.median(times)),
        seconds=seconds,
        curve=[[row[name] for name in SCORES] for row in scores],
        shares=shares[:: max(1, len(shares) // 10)],
    )


def step_seconds(args, arm: str, count: int) -> float:
    """Time of a step, by a trial of an arm with all of its work, once for a thread count."""
    found = args.out / f"speed_{arm}_{count}_{args.threads}threads.json"
    if not found.is_file():
        data = write_parts(args, count, seed=0)
        cfg = build_config(args, data, 0)
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        more = ["default_hooks.unlabelled.begin=0.0"] if arm == "unlabelled" else []
        epochs = math.ceil(24 / math.ceil(count / BATCH))
        start = time.monotonic()
        made = train(args, arm, cfg, args.out / f"trial_{arm}", data, epochs, *more)
        write_text(found, json.dumps(dict(made, trial_s=time.monotonic() - start)))
    return json.loads(found.read_text())["step_s"]


def epochs_of(args, arm: str, count: int) -> int:
    """Epochs of a run of ``--steps``, or of ``--minutes`` by the trials."""
    an_epoch = math.ceil(count / BATCH)
    if args.steps:
        return max(1, round(args.steps / an_epoch))
    step_s = step_seconds(args, arm, count)
    if arm == "unlabelled":  # at first it trains on labels alone
        cfg = load_config(str(args.project), parse_options(args.options))
        options = {k: v for k, v in cfg.default_hooks.unlabelled.items() if k != "type"}
        begin = UnlabelledHook(**options).begin
        step_s = begin * step_seconds(args, "supervised", count) + (1 - begin) * step_s
    return max(1, round(args.minutes * 60 / step_s / an_epoch))


def score_pseudo_labels(args, run: Path, data: Path) -> dict[str, list[float]]:
    """PCK of a model's plain output on the unlabelled images, by least confidence.

    Returns:
        Least confidence to the share of points with at least this, and their PCK@0.05 and @0.1.
    """
    others = (data / "others").resolve()
    out = run / "others.json"
    run_tool(
        "test.py", run / "config.py", (run / "run/last.pth").resolve(), "--overwrite",
        "--out", out, "--work-dir", run / "test", "--cfg-options",
        f"test_dataloader.dataset.ann_file={others / 'boxes.json'}",
        f"test_dataloader.dataset.data_prefix.img={others / 'images'}/",
        "model.test_cfg.flip_test=False", threads=args.threads, log=run / "test.log",
    )  # fmt: skip
    gt = json.loads((others / "boxes.json").read_text())["annotations"]
    found = {(row["image_id"], *np.round(row["bbox"])): row for row in json.loads(out.read_text())}
    errors, confidences = [], []
    for row in gt:
        result = found.get((row["image_id"], *np.round(row["bbox"])))
        if result is None:
            continue
        points, predicted = (
            np.array(each["keypoints"], float).reshape(1, -1, 3) for each in (row, result)
        )
        distance = distances_px(predicted[..., :2], points[..., :2], points[..., 2])[0]
        errors.append(distance / box_side_px(np.array([row["bbox"]]))[0])
        confidences.append(predicted[0, :, 2])
    error, confidence = np.array(errors), np.array(confidences)
    labelled = np.isfinite(error)
    return {
        str(least): [
            float(chosen.sum() / labelled.sum()),
            *(float((error[chosen] <= limit).mean()) for limit in (0.05, 0.1)),
        ]
        for least in CONFIDENCES
        if (chosen := labelled & (confidence >= least)).any()
    }


def run_one(args, arm: str, count: int, seed: int) -> dict:
    """One cell of the table, read from disk where it is there already."""
    length = f"{args.steps}steps" if args.steps else f"{args.minutes:g}min"
    own = f"_{args.boxes}{args.name}" if arm == "unlabelled" else ""
    folder = args.out / f"{arm}{own}_{count}_{seed}_{length}_{args.threads}threads"
    done = folder / "result.json"
    if not done.is_file():
        data = write_parts(args, count, seed)
        epochs = epochs_of(args, arm, count)
        made = train(args, arm, build_config(args, data, seed), folder, data, epochs)
        made |= dict(arm=f"{arm}{own}", labels=count, seed=seed, length=length)
        made |= dict(steps=epochs * math.ceil(count / BATCH))
        made |= dict(scores=dict(zip(SCORES, made["curve"][-1], strict=True)))
        made |= dict(pseudo_labels=score_pseudo_labels(args, folder, data))
        write_text(done, json.dumps(made))
    return json.loads(done.read_text())


def print_table(rows: list[dict]) -> None:
    names = [name.split("/")[-1] for name in SCORES]
    print("| labels | arm | length | seed | steps | minutes | " + " | ".join(names) + " |")
    print("| --- " * (6 + len(names)) + "|")
    groups: dict[tuple, list[dict]] = defaultdict(list)
    for row in rows:
        key = row["labels"], row["arm"], row["length"]
        groups[key].append(row)
        cells = [*key, row["seed"], row["steps"], f"{row['seconds'] / 60:.1f}"]
        cells += [f"{value:.3f}" for value in row["scores"].values()]
        print("| " + " | ".join(map(str, cells)) + " |")
    for key, group in groups.items():
        means = [np.mean([row["scores"][name] for row in group]) for name in SCORES]
        spread = np.std([row["scores"][SCORES[0]] for row in group])
        cells = [*key, "mean", "", "", f"{means[0]:.3f} ± {spread:.3f}"]
        cells += [f"{value:.3f}" for value in means[1:]]
        print("| " + " | ".join(map(str, cells)) + " |")
    print("\n| labels | arm | seed | least confidence | points | PCK@0.05 | PCK@0.1 |")
    print("| --- " * 7 + "|")
    for row in rows:
        for least, values in row["pseudo_labels"].items():
            cells = [row["labels"], row["arm"], row["seed"], least, *(f"{v:.3f}" for v in values)]
            print("| " + " | ".join(map(str, cells)) + " |")


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    cells = list(itertools.product(args.labels, args.seeds, args.arms))
    rows = [run_one(args, arm, count, seed) for count, seed, arm in tqdm(cells, unit="run")]
    print_table(rows)
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
