"""Points a second: one small step a point, against one whole pass of the network a point.

    python benchmarks/pointing.py --points 1 5 10 20 50

The naive way computes the features anew for each point, and all steps up to it, of which it keeps
the last. Both are given the same points; what they answer is compared before anything is timed.
Random weights: the time does not depend on them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from equikpt.cli.launch import load_config


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="sequential_efficientnet-lite0_fsc147-384x384")
    parser.add_argument("--points", type=int, nargs="+", default=[1, 5, 10, 20, 50])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args(argv)


def build(config: str, device: str):
    """The model of a config with random weights, and one image for it, (1, 3, H, W)."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS

    import equikpt.register  # noqa: F401 - what the config names

    init_default_scope("mmpose")
    cfg = load_config(config)
    cfg.model.backbone.weights = None
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).to(device).eval()
    width, height = cfg.codec.input_size
    return model, torch.randn(1, 3, height, width, device=device)


def step_by_step(model, image: Tensor, points: Tensor) -> Tensor:
    """Places (1, N + 1, 2) from one pass of the backbone and cached keys."""
    attention = model.head.attention
    scene = attention.scene(model.extract_feat(image)[-1])
    steps, memory = attention.first(scene)
    coords = [steps.coords]
    valid = torch.ones_like(points[:, :1, 0])
    for number in range(points.shape[1]):
        steps, memory = attention.next(scene, memory, points[:, number : number + 1], valid)
        coords.append(steps.coords)
    return torch.cat(coords, dim=1)


def whole_passes(model, image: Tensor, points: Tensor) -> Tensor:
    """The same from a whole pass of the network for each."""
    coords = []
    for count in range(points.shape[1] + 1):
        given = points[:, :count]
        steps = model.head.attention(
            model.extract_feat(image)[-1], given, torch.ones_like(given[..., 0])
        )
        coords.append(steps.coords[:, -1:])
    return torch.cat(coords, dim=1)


def seconds(run: Callable[[], Tensor], device: str) -> float:
    start = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


@torch.no_grad()
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    model, image = build(args.config, args.device)
    print(
        "| points | whole passes, points/s | steps, points/s | ratio |\n| --- | --- | --- | --- |"
    )
    for count in tqdm(args.points, unit="row", disable=None):
        points = torch.rand(1, count, 2, device=args.device) * 2 - 1
        ways = [partial(way, model, image, points) for way in (whole_passes, step_by_step)]
        torch.testing.assert_close(ways[0](), ways[1](), rtol=1e-3, atol=1e-3)
        rounds = [[seconds(way, args.device) for way in ways] for _ in range(args.rounds)]
        naive, cached = np.median(rounds, axis=0)
        ratio = np.median([first / second for first, second in rounds])
        tqdm.write(f"| {count} | {count / naive:.1f} | {count / cached:.1f} | {ratio:.1f} |")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
