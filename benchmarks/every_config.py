"""Every shipped config, trained as it is on real images, against a control that sees no image.

    python benchmarks/every_config.py --horses DIR --radiographs DIR --people DIR --cells DIR

Each is trained by ``tools/train.py NAME --amp --epochs N`` and nothing else, so that its own
schedule is what is measured, shortened to at most 15 minutes of two cores: N stands in ``EPOCHS``.
``tools/test.py`` then tests its best checkpoint on the validation images. The table says how much
computing the training took, in minutes of one core. Finished runs are kept under --out and not
done again.

Controls: the mean pose of the training labels in each box (horses, people), their mean position in
the image (ruler marks), the middle of the crop (refine stage of marks), an untrained network (whole
images of people), and always the mean number of training points (counting).
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mean_pose import labelled_annotations, mean_pose, predict
from runs import run_tool, threads_each
from tqdm import tqdm

from equikpt.cli.launch import load_config
from equikpt.core.configs import list_configs
from equikpt_runtime.files import write_text

EPOCHS: dict[str, int] = {
    "rtmpose_m_ap10k": 24,
    "experimental/rtmpose_m_ap10k_phases": 12,
    "experimental/hrnet_w32_ap10k_phases": 12,
    "hrnet_w32_ap10k": 14,
    "hrnet_w32_animalpose": 10,
    "td-hm_efficientnet-lite0_horse26-192x192": 40,
    "experimental/sequential_efficientnet-lite0_horse26-256x256": 20,
    "td-hm_litehrnet_coco-256x192": 36,
    "experimental/hm_litehrnet_coco-whole-256x256": 60,
    "td-hm_efficientnet-lite0_p1p2-512x512": 20,
    "td-hm_efficientnet-lite0_p1p2-refine-192x192": 40,
    "td-hm_hrnet-w18_p1p2-512x512": 6,
    "td-hm_hrnet-w18_p1p2-768x768": 5,
    "td-hm_hrnet-w18_p1p2-refine-192x192": 20,
    "sequential_efficientnet-lite0_fsc147-384x384": 16,
}
"""For at most 30 minutes of one core; small twins train for as long as they say."""

CLEARLY = 1.5
"""Factor by which a score must be better than its control, or an error smaller."""
MIN_SCORE = 0.05
"""Score that a control of 0 must be beaten by."""

STARTS_FROM: dict[str, str] = {
    "experimental/rtmpose_m_ap10k_phases": "rtmpose_m_ap10k",
    "experimental/hrnet_w32_ap10k_phases": "hrnet_w32_ap10k",
}
"""Configs whose phases need weights: with --from-scratch those of another row, trained before."""


class Kind(NamedTuple):
    """Score of a config, and if more of it is better."""

    data: str
    metric: str
    more_is_better: bool = True


KINDS: dict[str, Kind] = {
    "refine": Kind("films", "landmark/error_px", more_is_better=False),
    "p1p2": Kind("films", "landmark/error_px", more_is_better=False),
    "coco-whole": Kind("people", "pixel/AP"),
    "coco": Kind("people", "keypoint/PCK@0.1"),
    "fsc147": Kind("cells", "pointing/count_MAE", more_is_better=False),
    "": Kind("horses", "keypoint/PCK@0.1"),
}
"""By a word of the config's name; the first that fits."""


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--horses", type=Path, help="data of horse26, as tools/train.py takes it")
    parser.add_argument("--films", type=Path, help="data of p1p2")
    parser.add_argument("--people", type=Path, help="COCO's layout")
    parser.add_argument("--cells", type=Path, help="FSC-147's layout")
    parser.add_argument(
        "--configs", nargs="+", choices=list_configs(), help="some of them (default: all)"
    )
    parser.add_argument(
        "--from-scratch", action="store_true", help="without the weights that need a download"
    )
    parser.add_argument("--out", type=Path, default=Path("work_dirs/every_config"))
    parser.add_argument(
        "--table", action="store_true", help="print what is finished, train nothing"
    )
    return parser.parse_args(argv)


def kind_of(name: str) -> Kind:
    """The kind of a config by its name."""
    return next(kind for word, kind in KINDS.items() if word in name)


def epochs_of(name: str) -> int:
    """Epochs to train for: of ``EPOCHS``, or the config's own."""
    return EPOCHS.get(name) or load_config(name).train_cfg.max_epochs


def run_one(args, name: str) -> dict:
    """Train and test one config, or read what an earlier call found."""
    folder = args.out / name.replace("/", "_")
    done = folder / "result.json"
    if done.is_file():
        return json.loads(done.read_text())
    data = getattr(args, kind_of(name).data)
    folder.mkdir(parents=True, exist_ok=True)
    before = minutes_of_children()
    arguments = ["--amp", "--data-root", data, "--epochs", str(epochs_of(name)), "--overwrite"]
    if args.from_scratch and name in STARTS_FROM:
        weights = best_of(args.out / STARTS_FROM[name] / "run")
        arguments += ["--cfg-options", f"load_from={weights}"]
    elif args.from_scratch and load_config(name).get("load_from"):
        arguments.append("--from-scratch")
    threads = threads_each(1)
    run_tool(
        "train.py", name, "--work-dir", folder / "run", *arguments,
        threads=threads, log=folder / "train.log",
    )  # fmt: skip
    minutes = minutes_of_children() - before
    metrics = test(name, best_of(folder / "run"), data, folder, threads)
    result = dict(
        epochs=epochs_of(name), minutes=minutes, metrics=metrics, control=control(args, name)
    )
    write_text(done, json.dumps(result, indent=1) + "\n")
    return result


def test(name: str, checkpoint: Path, data: Path, folder: Path, threads: int) -> dict[str, float]:
    """Metrics of a checkpoint on the validation images, by ``tools/test.py``."""
    run_tool(
        "test.py", name, checkpoint, "--data-root", data, "--split", "val",
        "--work-dir", folder / "test", threads=threads, log=folder / "test.log",
    )  # fmt: skip
    newest = max((folder / "test").glob("*/*.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(newest.read_text().splitlines()[-1])


def best_of(work_dir: Path) -> Path:
    """The best checkpoint of a run; the newest where no validation was better than none."""
    found = list(work_dir.glob("best_*.pth")) or list(work_dir.glob("epoch_*.pth"))
    if not found:
        raise FileNotFoundError(
            f"expected checkpoints in {work_dir}, found none; train that config first"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def minutes_of_children() -> float:
    """CPU time of all processes that have ended so far, in minutes of one core."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


# --- controls ---


def control(args, name: str) -> float:
    """Score of what looks at no image."""
    kind = kind_of(name)
    data = getattr(args, kind.data)
    cfg = load_config(name)
    if kind.metric == "keypoint/PCK@0.1":
        train, val = (data / cfg[f"{s}_dataloader"].dataset.ann_file for s in ("train", "val"))
        return mean_pose_pck(labelled_annotations(train), labelled_annotations(val))
    if kind.metric == "pixel/AP":
        return untrained(args, name)[kind.metric]
    if kind.metric == "pointing/count_MAE":
        return mean_count_mae(data, cfg.max_points)
    if "refine" in name:  # marks lie evenly within this radius around the crop's middle
        from equikpt.datasets import RulerMarkDataset

        radius = RulerMarkDataset.__init__.__kwdefaults__["offset_fraction"]
        return 2 / 3 * radius * cfg.crop_fraction * radiograph_height_px(data)
    return mean_place_px(data)


def mean_pose_pck(train: list[dict], val: list[dict], threshold: float = 0.1) -> float:
    """PCK, of the labelled points, of the mean pose of ``train`` in the boxes of ``val``."""
    from equikpt.evaluation.functional.keypoint_errors import box_side_px, distances_px

    pose = mean_pose(train)
    found = np.array([predict(pose, each)["keypoints"] for each in val]).reshape(len(val), -1, 3)
    gt = np.array([each["keypoints"] for each in val], float).reshape(found.shape)
    distance = distances_px(found[..., :2], gt[..., :2], gt[..., 2])
    side = box_side_px(np.array([each["bbox"] for each in val]))
    return float((distance <= threshold * side[:, None])[np.isfinite(distance)].mean())


def mean_place_px(radiographs: Path) -> float:
    """Mean error, px of the radiograph, of the mean position of each mark as a fraction of it."""
    from ruler_robustness import labelled_radiographs

    from equikpt.core.radiograph import read_radiograph

    def coords(split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = labelled_radiographs(radiographs, split)
        sizes = np.array([read_radiograph(path).shape[1::-1] for path, _ in rows], float)
        return np.array([marks for _, marks in rows]), sizes[:, None]

    train, train_size = coords("train")
    val, val_size = coords("val")
    guess = (train / train_size).mean(0) * val_size
    return float(np.linalg.norm(guess - val, axis=-1).mean())


def radiograph_height_px(radiographs: Path) -> float:
    """Mean height of the validation radiographs."""
    from ruler_robustness import labelled_radiographs

    from equikpt.core.radiograph import read_radiograph

    return float(
        np.mean(
            [len(read_radiograph(path)) for path, _ in labelled_radiographs(radiographs, "val")]
        )
    )


def mean_count_mae(cells: Path, max_points: int) -> float:
    """Error of always answering the mean number of the training images."""
    records = json.loads((cells / "annotation_FSC147_384.json").read_text())
    splits = json.loads((cells / "Train_Test_Val_FSC_147.json").read_text())

    def numbers(split: str) -> np.ndarray:
        counts = [len(records[name]["points"]) for name in splits[split]]
        return np.array([count for count in counts if count <= max_points])

    return float(np.abs(numbers("val") - numbers("train").mean()).mean())


def untrained(args, name: str) -> dict[str, float]:
    """Metrics of the network as it is built."""
    import torch
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    import equikpt.register  # noqa: F401 - what the config names

    init_default_scope("mmpose")
    torch.manual_seed(0)
    model = MODELS.build(load_config(name).model)
    model.init_weights()
    folder = args.out / f"{name.replace('/', '_')}_untrained"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=model.state_dict()), folder / "untrained.pth")
    data = getattr(args, kind_of(name).data)
    return test(name, folder / "untrained.pth", data, folder, threads_each(1))


def beats(score: float, control: float, kind: Kind) -> bool:
    """Tell whether a score is clearly better than its control."""
    if kind.more_is_better:
        return score >= max(CLEARLY * control, MIN_SCORE)
    return score <= control / CLEARLY


def format_row(name: str, result: dict) -> str:
    """One row of the table."""
    kind = kind_of(name)
    score = result["metrics"][kind.metric]
    better = "yes" if beats(score, result["control"], kind) else "**no**"
    ap = result["metrics"].get("coco/AP")
    shown = f"{kind.metric.split('/')[-1]} {score:.3g}" + (f", AP {ap:.3f}" if ap else "")
    cells = (name, kind.data, result["epochs"], f"{result['minutes']:.1f}", shown)
    return "| " + " | ".join(map(str, (*cells, f"{result['control']:.3g}", better))) + " |"


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    names = args.configs or sorted(list_configs(), key=lambda name: name in STARTS_FROM)
    lacking = {kind_of(name).data for name in names if getattr(args, kind_of(name).data) is None}
    if lacking and not args.table:
        raise ValueError(
            f"expected folders of data for these configs, {', '.join(sorted(lacking))} not given; "
            + " ".join(f"--{data} DIR" for data in sorted(lacking))
        )
    rows = {}
    for name in tqdm(names, unit="config", disable=None):
        if not args.table or (args.out / name.replace("/", "_") / "result.json").is_file():
            rows[name] = run_one(args, name)
            if not args.table:
                tqdm.write(format_row(name, rows[name]))
    print("| config | data | epochs | minutes of one core | score | control | better |")
    print("| --- " * 7 + "|")
    for name in names:
        if name in rows:
            print(format_row(name, rows[name]))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
