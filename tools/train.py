"""Train a model: `python tools/train.py configs/rtmpose_m_ap10k.py`."""

from __future__ import annotations

import argparse

from equikpt.cli.entry import MAX_SEED, add_max_megapixels, whole


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a keypoint model from a config file.")
    parser.add_argument("config", help="config file, or the name of one that equikpt ships")
    parser.add_argument("--work-dir", help="where the run writes (default: work_dirs/<config>)")
    parser.add_argument("--data-root", help="folder with annotations/ and images/")
    parser.add_argument(
        "--epochs",
        type=whole(1),
        metavar="N",
        help="length of the training; warm-up, phases, rate, validations and patience scale along",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from the work dir's newest whole checkpoint, or from the one named",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="start anew in a work dir that holds a run, whose checkpoints are deleted",
    )
    parser.add_argument(
        "--amp",
        action="store_true",
        help="mixed precision: float16 on a GPU, bfloat16 on a CPU",
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate with the total batch size",
    )
    parser.add_argument("--no-validate", action="store_true", help="train without validation")
    parser.add_argument(
        "--no-verify", action="store_true", help="do not look for mistakes in the labels first"
    )
    parser.add_argument(
        "--seed", type=whole(0, MAX_SEED), help="seed of everything random (default: 0)"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="same result on the same machine, slower"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        help="override keys of the config, such as train_dataloader.batch_size=8",
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    # `python -m torch.distributed.launch` passes this; torchrun sets the variable instead.
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)
    add_max_megapixels(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from equikpt.cli.train import TrainOptions, train

    train(
        TrainOptions(
            config=args.config,
            work_dir=args.work_dir,
            data_root=args.data_root,
            epochs=args.epochs,
            resume=args.resume,
            overwrite=args.overwrite,
            amp=args.amp,
            auto_scale_lr=args.auto_scale_lr,
            validate=not args.no_validate,
            verify=not args.no_verify,
            seed=args.seed,
            deterministic=args.deterministic,
            cfg_options=args.cfg_options,
            launcher=args.launcher,
            local_rank=args.local_rank,
        )
    )
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
