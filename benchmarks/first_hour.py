"""From an export to a tested model without an option: what a new user gets, beside a control.

    python benchmarks/first_hour.py --horses DIR --mouse DIR --cells DIR

For each folder that is given: ``init``, ``train``, ``test`` on the validation images, as typed.
``--horses`` is an export in YOLO-pose, ``--mouse`` one of DeepLabCut, ``--cells`` FSC-147's layout,
whose points become instances of one keypoint in boxes that are moved at random, so that the middle
of the box says little. The control is the mean pose of the training boxes. Minutes are CPU time:
of one core, whatever else the machine does. Finished steps are kept under --out.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
from every_config import mean_pose_pck, minutes_of_children
from mean_pose import labelled_annotations
from runs import run_tool, threads_each
from tqdm import tqdm

from equikpt_runtime.files import write_text

SETS = ("horses", "mouse", "cells")
MAX_SHIFT = 0.3
"""Largest shift of a cell's box, in its sides."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, metavar="DIR")
    parser.add_argument("--minutes", type=float, help="of init (default: its own)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("work_dirs/first_hour"))
    return parser.parse_args(argv)


def cells_as_instances(source: Path, target: Path) -> None:
    """Write FSC-147's points as COCO instances of one keypoint, train and val."""
    records = json.loads((source / "annotation_FSC147_384.json").read_text())
    splits = json.loads((source / "Train_Test_Val_FSC_147.json").read_text())
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        folder = target / "images" / split
        folder.mkdir(parents=True, exist_ok=True)
        images, annotations = [], []
        for number, name in enumerate(sorted(splits[split]), 1):
            shutil.copy(source / "images_384_VarV2" / name, folder / name)
            height, width = cv2.imread(str(folder / name)).shape[:2]
            images.append(dict(id=number, file_name=name, width=width, height=height))
            record = records[name]
            scale = np.divide([width, height], [record["W"], record["H"]])
            boxes = np.array(record["box_examples_coordinates"])
            size = np.median(boxes.max(axis=1) - boxes.min(axis=1), axis=0) * scale
            for point in np.array(record["points"]) * scale:
                sides = size * rng.uniform(0.9, 1.3, 2)
                middle = point + rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * sides
                low = np.maximum(middle - sides / 2, 0)
                high = np.minimum(middle + sides / 2, [width, height])
                if (point < low).any() or (point >= high).any():
                    continue
                box = np.round([*low, *(high - low)], 2).tolist()
                annotations.append(
                    dict(
                        id=len(annotations) + 1, image_id=number, category_id=1, iscrowd=0,
                        bbox=box, area=box[2] * box[3], num_keypoints=1,
                        keypoints=[*np.round(point, 2).tolist(), 2],
                    )
                )  # fmt: skip
        categories = [dict(id=1, name="cell", keypoints=["cell"], skeleton=[])]
        content = dict(images=images, annotations=annotations, categories=categories)
        write_text(target / "annotations" / f"{split}.json", json.dumps(content))


def run_set(args, name: str) -> dict:
    """Init, train and test one set, or read what an earlier call found."""
    folder, project = args.out / name, args.out / name / "project"
    done = folder / "result.json"
    if done.is_file():
        return json.loads(done.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    source = getattr(args, name)
    if name == "cells":
        source = folder / "export"
        if not source.is_dir():
            cells_as_instances(args.cells, source)
    threads = threads_each(1)
    before = minutes_of_children()
    chosen = ["--minutes", str(args.minutes)] if args.minutes else []
    run_tool(
        "init.py", project, "--input", source, *chosen, threads=threads, log=folder / "init.log"
    )
    prepared = minutes_of_children()
    run_tool(
        "train.py", project, "--resume", "--seed", str(args.seed),
        threads=threads, log=folder / "train.log",
    )  # fmt: skip
    trained = minutes_of_children()
    run_tool(
        "test.py", project, "--split", "val", "--work-dir", folder / "test",
        "--draw", folder / "predictions.jpg", "--overwrite",
        threads=threads, log=folder / "test.log",
    )  # fmt: skip
    newest = max((folder / "test").glob("*/*.json"), key=lambda path: path.stat().st_mtime)
    train, val = (
        labelled_annotations(project / "data" / "annotations" / f"{split}.json")
        for split in ("train", "val")
    )
    result = dict(
        instances=[len(train), len(val)],
        init_minutes=prepared - before,
        minutes=trained - prepared,
        metrics=json.loads(newest.read_text().splitlines()[-1]),
        control={f"{at:g}": mean_pose_pck(train, val, at) for at in (0.05, 0.1)},
    )
    write_text(done, json.dumps(result, indent=1) + "\n")
    return result


def format_row(name: str, result: dict) -> str:
    """One row of the table."""
    train, val = result["instances"]
    metrics, control = result["metrics"], result["control"]
    cells = [name, train, val, f"{result['init_minutes']:.1f}", f"{result['minutes']:.1f}"]
    for at in ("0.05", "0.1"):
        cells.append(f"{metrics[f'keypoint/PCK@{at}']:.3f} ({control[at]:.3f})")
    return "| " + " | ".join(map(str, [*cells, f"{metrics['coco/AP']:.3f}"])) + " |"


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    chosen = [name for name in SETS if getattr(args, name)]
    if not chosen:
        raise ValueError("expected folders of data, got none; give --horses, --mouse or --cells")
    rows = [
        format_row(name, run_set(args, name)) for name in tqdm(chosen, unit="set", disable=None)
    ]
    titles = (
        "set | train | val | init, min | train, min | PCK@0.05 (control) | PCK@0.1 (control) | AP"
    )
    print(f"| {titles} |\n" + "| --- " * 8 + "|")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
