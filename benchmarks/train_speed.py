"""Training speed: MMPose as shipped and equikpt as shipped, in turns, end to end.

    python benchmarks/train_speed.py --data-root data --model rtmpose_m_ap10k [--amp] [--losses]

Both train the same network from the same seed on the same images with the same augmentation,
that of benchmarks/data_pipeline.py, batch 16, through the stock runner, each run in a process of
its own, one after the other, round after round. A rate is images over the wall time from the end
of the first epoch, in which equikpt decodes its images, to the end of the last step: computing,
loading, logging and the change of epochs. --skip 5 counts the first epoch as well.

- stock: MMPose's transforms, MMEngine's optimizer constructor, torch's threads, two loader
  workers, float32 (its mixed precision refuses a CPU).
- equikpt: the config's own parts; with --amp in bfloat16.

--losses compares the losses of the first 20 steps instead, in float32 and without workers, whose
random numbers no two loaders share. --optimizer times the optimizer's step alone.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from data_pipeline import FASTER, STOCK
from mmengine.config import Config

from equikpt.engine.stages import start_from_scratch

HERE = Path(__file__).resolve().parent
REPO = HERE.parent
SPEED_HOOKS = (
    "allocator",
    "thread_budget",
    "channels_last",
    "depthwise_grad",
    "group_rates",
    "remap",
)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--model", default="rtmpose_m_ap10k", help="config (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=47)
    parser.add_argument(
        "--skip", type=int, default=21, help="steps before the clock starts (default: %(default)s)"
    )
    parser.add_argument("--amp", action="store_true", help="equikpt in bfloat16")
    parser.add_argument("--losses", action="store_true", help="compare the first 20 losses")
    parser.add_argument("--optimizer", action="store_true", help="the optimizer's step alone")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/train_speed"))
    return parser.parse_args(argv)


def build_config(args: argparse.Namespace, way: str, steps: int) -> Config:
    """The config of one contender, as it would be trained, for ``steps`` steps."""
    cfg = Config.fromfile(REPO / f"configs/{args.model}.py")
    pipeline = [dict(step) for step in STOCK]
    codec = dict(cfg.codec)
    for step in pipeline:
        if step["type"] == "GenerateTarget":
            step["encoder"] = codec
    if cfg.get("load_from"):
        start_from_scratch(cfg)
    dataset = cfg.train_dataloader.dataset
    dataset.data_root = str(args.data_root.resolve()) + "/"
    cfg.train_cfg = dict(by_epoch=False, max_iters=steps, val_interval=10**9)
    cfg.train_dataloader.sampler = dict(type="InfiniteSampler", shuffle=True)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.param_scheduler = [dict(type="LinearLR", start_factor=1e-3, by_epoch=False, end=500)]
    cfg.default_hooks.checkpoint = dict(type="CheckpointHook", interval=10**9, save_last=False)
    cfg.default_hooks.pop("early_stopping")
    hooks = cfg.custom_hooks
    cfg.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    cfg.custom_imports = dict(imports=["equikpt.register", "step_clock"])
    if way == "stock":
        for name in SPEED_HOOKS:
            cfg.default_hooks.pop(name, None)
        if not args.losses:  # it makes both draw the same augmentations
            hooks = [hook for hook in hooks if hook.type != "EpochSeedHook"]
        cfg.model.backbone.type = cfg.model.backbone.type.replace("Freezing", "")
        cfg.model.backbone.get("act_cfg", {}).pop("inplace", None)
        cfg.optim_wrapper.pop("constructor")
        cfg.optim_wrapper.optimizer.pop("fused")
        cfg.optim_wrapper.paramwise_cfg["bypass_duplicate"] = True
        codec["type"] = codec["type"].removeprefix("Fast")
        cfg.model.head.decoder = codec
        cfg.train_dataloader.persistent_workers = True
        cfg.train_dataloader.pop("worker_init_fn")
    else:
        for step in pipeline:
            step["type"] = FASTER.get(step["type"], step["type"])
    cfg.custom_hooks = [*hooks, dict(type="StepClockHook")]
    dataset.pipeline = pipeline
    return cfg


def run_once(args: argparse.Namespace, way: str, steps: int, options: dict) -> dict:
    """Train in a process of its own and read what the clock wrote."""
    folder = args.out / f"{args.model}_{way}"
    folder.mkdir(parents=True, exist_ok=True)
    cfg = build_config(args, way, steps)
    cfg.merge_from_dict(options)
    cfg.work_dir = str(folder)
    if args.amp and way != "stock":
        from equikpt.engine.amp import enable_amp

        enable_amp(cfg)
    cfg.dump(folder / "config.py")
    program = (
        "import equikpt.register\nfrom mmengine.config import Config\n"
        "from mmengine.runner import Runner\n"
        f"Runner.from_cfg(Config.fromfile({str(folder / 'config.py')!r})).train()\n"
    )
    with (folder / "log.txt").open("w") as log:
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": f"{HERE}:{REPO}:{os.environ.get('PYTHONPATH', '')}"},
        )
    return json.loads((folder / "step_clock.json").read_text())


def rate(found: dict, batch: int, skip: int) -> float:
    """Images a second after the first steps."""
    ends = found["ends"][skip - 1 :]
    return batch * (len(ends) - 1) / (ends[-1] - ends[0])


def compare_speed(args: argparse.Namespace) -> None:
    rates: dict[str, list[float]] = {"stock": [], "equikpt": []}
    peaks: dict[str, float] = {}
    for number in range(args.rounds):
        for way in rates:
            found = run_once(args, way, args.steps, {})
            rates[way].append(rate(found, 16, args.skip))
            peaks[way] = found["peak_gib"]
            print(f"round {number + 1}, {way}: {rates[way][-1]:.2f} img/s", flush=True)
    ratios = [fast / slow for slow, fast in zip(rates["stock"], rates["equikpt"], strict=True)]
    print("| model | way | img/s | peak GiB |\n| --- | --- | --- | --- |")
    for way, values in rates.items():
        precision = "bfloat16" if args.amp and way != "stock" else "float32"
        cells = (args.model, f"{way}, {precision}", f"{statistics.median(values):.2f}")
        print(f"| {' | '.join(cells)} | {peaks[way]:.2f} |")
    print(f"ratio: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def compare_losses(args: argparse.Namespace) -> None:
    alone = {"train_dataloader.num_workers": 0, "train_dataloader.persistent_workers": False}
    stock, ours = (run_once(args, way, 20, alone)["losses"] for way in ("stock", "equikpt"))
    worst = max(abs(a - b) / abs(a) for a, b in zip(stock, ours, strict=True))
    print("stock  ", " ".join(f"{loss:.6f}" for loss in stock))
    print("equikpt", " ".join(f"{loss:.6f}" for loss in ours))
    print(f"largest relative difference in 20 steps: {worst:.1e}")


def compare_optimizers(args: argparse.Namespace) -> None:
    import torch
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    init_default_scope("mmpose")
    wrappers = {}
    for way in ("stock", "equikpt"):
        cfg = build_config(args, way, 1)
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        wrappers[way] = build_optim_wrapper(model, cfg.optim_wrapper)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter) * 1e-3
    times: dict[str, list[float]] = {way: [] for way in wrappers}
    for _ in range(args.rounds * 5 + 2):
        for way, wrapper in wrappers.items():
            start = time.perf_counter()
            wrapper.optimizer.step()
            times[way].append(time.perf_counter() - start)
    medians = {way: statistics.median(values[2:]) * 1e3 for way, values in times.items()}
    groups = {way: len(wrapper.optimizer.param_groups) for way, wrapper in wrappers.items()}
    print({way: f"{value:.1f} ms, {groups[way]} groups" for way, value in medians.items()})
    print(f"ratio: {medians['stock'] / medians['equikpt']:.2f}")


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if args.optimizer:
        compare_optimizers(args)
    elif args.losses:
        compare_losses(args)
    else:
        compare_speed(args)
    return 0


if __name__ == "__main__":
    import equikpt.register  # noqa: F401
    from equikpt.cli.entry import run

    run(main)
