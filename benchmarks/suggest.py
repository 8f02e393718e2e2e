"""Labels that `equikpt suggest` saves: its choice against others, on sets whose labels are known.

    python benchmarks/suggest.py PROJECT [--counts 50 100 140 200] [--seeds 0 1 2]

PROJECT is a folder of `equikpt init` with all labels. A run begins with --counts[0] training images
drawn at random, the same for all strategies of a seed, trains on them, chooses further ones by what
that model says of the others, trains anew on all of them, and so on; the labels come from the
project. Each training sees the same number of samples, whatever the number of labels, by the
project's config at --size px; scores are of its last epoch on the project's validation images.

- random; uniform: evenly over the files by name, which is the time in clips
- entropy: the highest mean entropy of the heatmaps
- informative: the highest mean rank alone; diverse: the choice with equal weights
- suggest: both, as the command chooses, by uncertainty, mirror image and novelty: there are no
  frames that follow, and one checkpoint of each training

Finished trainings are kept under --out. Behind ± is the standard error of the seeds' differences.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config
from runs import REPO, threads_each, train

import equikpt.register  # noqa: F401
from equikpt.apis.box_predictor import BoxPredictor
from equikpt.config_checks.options import load_config
from equikpt.core.coco.file import load_coco
from equikpt.suggestions.choice import choose, informativeness
from equikpt.suggestions.evidence import Evidence, Judge

STRATEGIES = ("random", "suggest", "uniform", "entropy", "informative", "diverse")
BATCH = 16
STRIDE = 8


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[50, 100, 140, 200])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--samples", type=int, default=6000, help="that a training sees")
    parser.add_argument("--size", type=int, default=128, help="side of the input, px")
    parser.add_argument("--threshold", type=float, default=0.05, help="of the PCK that is compared")
    parser.add_argument("--out", type=Path, default=REPO / "work_dirs" / "suggest")
    return parser.parse_args(argv)


class Pool:
    """Training images of a project, by their ids, with their labels."""

    def __init__(self, project: Path) -> None:
        self.cfg = load_config(str(project))
        dataset = self.cfg.train_dataloader.dataset
        root = Path(dataset.data_root)
        self.content = load_coco(root / dataset.ann_file)
        self.folder = root / dataset.data_prefix["img"]
        self.ids = [each["id"] for each in self.content["images"]]
        self.names = {each["id"]: each["file_name"] for each in self.content["images"]}

    def subset(self, ids: list[int]) -> dict[str, Any]:
        """The labels of some images alone."""
        wanted = set(ids)
        images = [each for each in self.content["images"] if each["id"] in wanted]
        rows = [each for each in self.content["annotations"] if each["image_id"] in wanted]
        return {**self.content, "images": images, "annotations": rows}

    def views(self, ids: list[int]) -> list[tuple[int, np.ndarray, np.ndarray]]:
        """Image id, pixels and box of each instance."""
        found = []
        for row in self.subset(ids)["annotations"]:
            image = cv2.imread(str(self.folder / self.names[row["image_id"]]))
            x, y, width, height = row["bbox"]
            found.append((row["image_id"], image, np.array([x, y, x + width, y + height])))
        return found


def config_for(
    args: argparse.Namespace, pool: Pool, ids: list[int], seed: int, out: Path
) -> Config:
    """The project's config for a subset, in a number of epochs that sees --samples."""
    cfg = load_config(str(args.project))
    content = pool.subset(ids)
    out.mkdir(parents=True, exist_ok=True)
    path = (out / "train.json").resolve()
    path.write_text(json.dumps(content))
    epochs = max(2, round(args.samples / len(content["annotations"])))
    _resize(cfg._cfg_dict, args.size)
    cfg.train_dataloader.dataset.ann_file = str(path)
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    warm_up, cosine = cfg.param_scheduler
    warm_up.end = max(1, round(warm_up.end * epochs / cosine.end))
    cosine.update(begin=epochs // 2, end=epochs)
    cfg.default_hooks.checkpoint.interval = cfg.default_hooks.images.interval = epochs
    cfg.train_dataloader.num_workers = 1
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.randomness = dict(seed=seed)
    for metric in cfg.val_evaluator:
        if metric.type == "KeypointMetric":
            metric.pck_thresholds = (args.threshold, 0.1)
    return cfg


def scores_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Names of the scores, first the one that is compared."""
    return f"keypoint/PCK@{args.threshold:g}", "keypoint/PCK@0.1", "coco/AP"


def _resize(node: Any, size: int) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            sides = dict(input_size=size, heatmap_size=size // STRIDE)
            if key in sides:
                node[key] = (sides[key], sides[key])
            else:
                _resize(value, size)
    elif isinstance(node, (list, tuple)):
        for each in node:
            _resize(each, size)


def trained(args: argparse.Namespace, pool: Pool, ids: list[int], seed: int, out: Path) -> dict:
    """Scores of a training on a subset; it is not repeated."""
    done = out / "scores.json"
    if not done.is_file():
        rows = train(config_for(args, pool, ids, seed, out), out, threads_each(1))
        scores = {name: rows[-1][name] for name in scores_of(args)}
        done.write_text(json.dumps(dict(ids=sorted(ids), scores=scores)))
        for epoch in (out / "run").glob("epoch_*.pth"):  # its optimizer's state is large
            if not (out / "run" / "last.pth").samefile(epoch):
                epoch.unlink()
    return json.loads(done.read_text())["scores"]


def chosen(
    pool: Pool, run: Path, ids: list[int], count: int, strategy: str, seed: int
) -> list[int]:
    """Choose ``count`` further images."""
    remaining = sorted(set(pool.ids) - set(ids), key=lambda each: pool.names[each])
    rng = np.random.default_rng([seed, len(ids)])
    if strategy == "random":
        return [int(each) for each in rng.permutation(remaining)[:count]]
    if strategy == "uniform":
        places = np.linspace(0, len(remaining) - 1, count).round().astype(int)
        return [remaining[place] for place in places]
    cfg = Config.fromfile(run / "config.py")
    if strategy == "entropy":
        owners, values = entropies(cfg, run / "run", pool.views(remaining))
        return best(owners, values, count)
    judge = Judge(cfg, run / "run" / "last.pth", device="cpu")
    owners, evidence = judged(judge, pool.views(remaining))
    _, known = judged(judge, pool.views(ids))
    criteria = {name: getattr(evidence, name) for name in ("uncertainty", "mirror", "novelty")}
    weights = informativeness(criteria)
    if strategy == "informative":
        return best(owners, weights, count)
    weights = np.ones(len(owners)) if strategy == "diverse" else weights
    order = choose(evidence.features, weights, known.features, len(owners))
    return list(dict.fromkeys(owners[index] for index in order))[:count]


def judged(judge: Judge, views: list) -> tuple[list[int], Evidence]:
    parts = [views[start : start + BATCH] for start in range(0, len(views), BATCH)]
    found = [judge([(image, box) for _, image, box in part]) for part in parts]
    return [each[0] for each in views], Evidence.join(found)


def entropies(cfg: Config, run: Path, views: list) -> tuple[list[int], np.ndarray]:
    """Mean entropy of the heatmaps of each view."""
    predictor = BoxPredictor(cfg, run / "last.pth", "cpu", maps=True)
    values = []
    for start in range(0, len(views), BATCH):
        for sample in predictor.batch([each[1:] for each in views[start : start + BATCH]]):
            maps = sample.pred_fields.heatmaps.clamp_min(1e-9).flatten(1).double()
            shares = maps / maps.sum(dim=1, keepdim=True)
            values.append(float(-(shares * shares.log()).sum(dim=1).mean()))
    return [each[0] for each in views], np.array(values)


def best(owners: list[int], values: np.ndarray, count: int) -> list[int]:
    order = np.argsort(-values, kind="stable")
    return list(dict.fromkeys(owners[index] for index in order))[:count]


def run_strategy(args: argparse.Namespace, pool: Pool, strategy: str, seed: int) -> list[dict]:
    """A row for each number of labels."""
    order = np.random.default_rng(seed).permutation(pool.ids)
    ids = [int(each) for each in order[: args.counts[0]]]
    out = args.out / args.project.name / f"seed{seed}" / f"start{len(ids)}"
    rows = [dict(trained(args, pool, ids, seed, out), labels=len(ids))]
    for count in args.counts[1:]:
        following = args.out / args.project.name / f"seed{seed}" / f"{strategy}{count}"
        record = following / "ids.json"
        if not record.is_file():
            ids = [*ids, *chosen(pool, out, ids, count - len(ids), strategy, seed)]
            following.mkdir(parents=True, exist_ok=True)
            record.write_text(json.dumps(ids))
        ids, out = json.loads(record.read_text()), following
        rows.append(dict(trained(args, pool, ids, seed, out), labels=len(ids)))
    shown = ", ".join(f"{row['labels']}: {row[scores_of(args)[0]]:.3f}" for row in rows)
    print(f"seed {seed}, {strategy}: {shown}", flush=True)
    return [dict(row, strategy=strategy, seed=seed) for row in rows]


def table(rows: list[dict], counts: list[int], strategies: list[str], name: str) -> str:
    """Markdown: mean of a score over the seeds, and its mean difference from random with error."""
    lines = [f"| strategy | {' | '.join(f'{count} labels' for count in counts)} |"]
    lines.append("| --- " * (len(counts) + 1) + "|")

    def values(strategy: str, count: int) -> np.ndarray:
        own = [row for row in rows if (row["strategy"], row["labels"]) == (strategy, count)]
        return np.array([row[name] for row in sorted(own, key=lambda row: row["seed"])])

    for strategy in strategies:
        cells = []
        for count in counts:
            own, base = values(strategy, count), values("random", count)
            cell = f"{own.mean():.3f}"
            if strategy != "random" and len(base) == len(own) > 1:
                apart = own - base
                error = apart.std(ddof=1) / np.sqrt(len(apart))
                cell += f" ({apart.mean():+.3f} ± {error:.3f})"
            cells.append(cell)
        lines.append(f"| {strategy} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    pool = Pool(args.project)
    rows = [
        row
        for seed in args.seeds
        for strategy in args.strategies
        for row in run_strategy(args, pool, strategy, seed)
    ]
    text = table(rows, args.counts, list(args.strategies), scores_of(args)[0])
    out = args.out / args.project.name
    (out / "suggest.json").write_text(json.dumps(rows, indent=1))
    (out / "suggest.md").write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
