"""Train a model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from equikpt.cli import options as declare
from equikpt.cli.entry import whole
from equikpt.cli.options import option

Launcher = Literal["none", "pytorch", "slurm", "mpi"]


@dataclass(frozen=True)
class TrainOptions(declare.ReadsImages):
    """Train a keypoint model from a config file."""

    config: str = declare.config_argument()
    work_dir: str | None = option("where the run writes (default: work_dirs/<config>)")
    data_root: str | None = declare.data_root()
    epochs: int | None = option(
        "length of the training; warm-up, phases, rate, validations and patience scale along",
        type=whole(1),
        metavar="N",
    )
    resume: str | None = option(
        "go on from the work dir's newest whole checkpoint, or from the one named",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
    )
    overwrite: bool = option(
        "start anew in a work dir that holds a run, whose checkpoints are deleted", default=False
    )
    amp: bool = option("mixed precision: float16 on a GPU, bfloat16 on a CPU", default=False)
    auto_scale_lr: bool = option("scale the learning rate with the total batch size", default=False)
    validate: bool = option("train without validation", default=True)
    verify: bool = option("do not look for mistakes in the labels first", default=True)
    seed: int | None = declare.seed("of everything random (default: 0)", default=None)
    deterministic: bool = option("same result on the same machine, slower", default=False)
    cfg_options: Sequence[str] | None = declare.cfg_options()
    launcher: Launcher = option("what starts the processes", default="none")
    local_rank: int | None = option(argparse.SUPPRESS, "--local_rank", "--local-rank")
    """`python -m torch.distributed.launch` passes it; torchrun sets the variable instead."""


def main(argv: list[str] | None = None) -> int:
    """Train; 0 after the last epoch."""
    options = declare.parse(TrainOptions, argv)
    from equikpt.cli.train import train

    train(options)
    return 0
