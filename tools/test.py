"""Test a model: `python tools/test.py configs/rtmpose_m_ap10k.py work_dirs/…/best.pth`."""

from __future__ import annotations

import argparse

from equikpt.cli.entry import add_max_megapixels, whole


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Test a keypoint model: AP, PCK, error in px.")
    parser.add_argument("config", help="config file, or the name of one that equikpt ships")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--work-dir", help="where the log goes (default: work_dirs/<config>)")
    parser.add_argument("--data-root", help="folder with annotations/ and images/")
    parser.add_argument(
        "--split",
        choices=["train", "val", "test"],
        help="pictures to test on (default: the config's test_dataloader)",
    )
    parser.add_argument("--out", metavar="FILE.json", help="write predictions as COCO results")
    parser.add_argument(
        "--report", metavar="FILE.csv", help="write the table of keypoints or films"
    )
    parser.add_argument("--draw", metavar="FILE.jpg", help="draw predictions; of films the worst")
    parser.add_argument(
        "--draw-count", type=whole(1), default=12, help="instances drawn (default: 12)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        help="override keys of the config, such as test_dataloader.batch_size=8",
    )
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--local_rank", "--local-rank", type=int, help=argparse.SUPPRESS)
    add_max_megapixels(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from equikpt.cli.test import EvaluateOptions, evaluate, format_result

    result = evaluate(
        EvaluateOptions(
            config=args.config,
            checkpoint=args.checkpoint,
            work_dir=args.work_dir,
            data_root=args.data_root,
            split=args.split,
            out=args.out,
            report=args.report,
            draw=args.draw,
            draw_count=args.draw_count,
            overwrite=args.overwrite,
            cfg_options=args.cfg_options,
            launcher=args.launcher,
            local_rank=args.local_rank,
        )
    )
    if result.rank == 0:
        print(format_result(result))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
