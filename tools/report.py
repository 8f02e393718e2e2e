"""One page on a run: what was trained, how well it does, where it errs, and how to reproduce it.

The run's best checkpoint is tested as its config says, and its predictions are kept beside the
page: a second call does not test again unless the checkpoint, the labels or the settings changed.

Exit code 0: done; 1: the run has a checkpoint that was not tested, for the reason on the page;
2: wrong call, or a checkpoint that cannot be read.
"""

from __future__ import annotations

import argparse
import os

from equikpt.cli.entry import add_max_megapixels


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work-dir", required=True, metavar="DIR", help="folder of the run")
    parser.add_argument(
        "--checkpoint",
        default="best",
        metavar="best|newest|FILE",
        help="what to test (default: %(default)s; where the run kept no best one, the newest)",
    )
    parser.add_argument(
        "--out", metavar="FILE.html", help="page to write (default: report.html in the work dir)"
    )
    parser.add_argument("--data-root", help="folder with the data, instead of the config's")
    parser.add_argument(
        "--split",
        choices=["train", "val", "test"],
        help="pictures to test on (default: the config's test_dataloader)",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action="extend",
        metavar="KEY=VALUE",
        help="override keys of the config, such as test_dataloader.batch_size=8",
    )
    parser.add_argument(
        "--trust-config",
        action="store_true",
        help="run the work dir's config, which is a program, where it names code of its own",
    )
    parser.add_argument(
        "--device", choices=["cpu", "cuda"], help="default: a GPU where there is one"
    )
    parser.add_argument(
        "--force", "--overwrite", action="store_true", help="replace a page that exists"
    )
    add_max_megapixels(parser)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before MMEngine looks for GPUs: when imported
    from equikpt.cli.report import ReportOptions, write_report

    result = write_report(ReportOptions(**vars(args)))
    for note in result.notes:
        print(note)
    print(f"written: {result.page}")
    if result.predictions is not None:
        print(f"kept: {result.predictions}")
    return int(result.untested)


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
