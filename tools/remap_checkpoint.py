"""Fit a checkpoint to a model of other keypoints: a file for `load_from`."""

from __future__ import annotations

import argparse


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Fit a checkpoint to a model of other keypoints. Channels of points that both "
        "sets have are copied, the others start from their mean. Prints what becomes of every "
        "tensor. A config does the same without a file by the hook RemapCheckpointHook."
    )
    parser.add_argument("checkpoint", help="checkpoint of MMPose 1.x or 0.x")
    parser.add_argument("out", help="file to write, for load_from")
    parser.add_argument("--config", required=True, help="config of the model, by path or name")
    parser.add_argument(
        "--source", required=True, help="the checkpoint's keypoints: ap10k, animalpose, …"
    )
    parser.add_argument("--target", default="horse26", help="the model's (default: horse26)")
    parser.add_argument(
        "--allow-missing",
        nargs="+",
        action="extend",
        default=[],
        metavar="PATTERN",
        help="tensors that may keep the values that the model starts with, such as 'head.cls_*'",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.checkpoints.remap.checkpoint import remap_file
    from equikpt.checkpoints.remap.state import format_rows

    rows = remap_file(
        args.checkpoint,
        args.out,
        config=args.config,
        source=args.source,
        target=args.target,
        allow_missing=args.allow_missing,
        overwrite=args.overwrite,
    )
    print("\n".join(format_rows(rows)))
    print(f"written: {args.out}")
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
