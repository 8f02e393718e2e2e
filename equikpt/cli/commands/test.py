from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from equikpt.cli import options as declare
from equikpt.cli.options import Split, argument, option, whole


@dataclass(frozen=True)
class EvaluateOptions(declare.Launched):
    """Test a keypoint model: AP, PCK, error in px."""

    config: str = declare.config_argument()
    checkpoint: str = argument("checkpoint file")
    work_dir: str | None = option("where the log goes (default: work_dirs/<config>)")
    data_root: str | None = declare.data_root()
    split: Split | None = option("images to test on (default: the config's test_dataloader)")
    out: str | None = option("write predictions as COCO results", metavar="FILE.json")
    report: str | None = option("write the table of keypoints or radiographs", metavar="FILE.csv")
    draw: str | None = option("draw predictions; of radiographs the worst", metavar="FILE.jpg")
    draw_count: int = option("instances drawn", default=12, type=whole(1), metavar="N")
    overwrite: bool = declare.overwrite()
    cfg_options: Sequence[str] | None = declare.cfg_options()


def main(argv: list[str] | None = None) -> int:
    """Test, and print the metrics on the first rank; 0 when done."""
    options = declare.parse(EvaluateOptions, argv)
    from equikpt.cli.test import evaluate, format_result

    result = evaluate(options)
    if result.rank == 0:
        print(format_result(result))
    return 0
