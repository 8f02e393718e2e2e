"""One page on a run: what was trained, how well it does, where it errs, how to reproduce it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.commands.test import Split
from equikpt.cli.options import option, required


@dataclass(frozen=True, kw_only=True)
class ReportOptions(declare.ReadsImages):
    """One page on a run: what was trained, how well it does, where it errs, how to reproduce it.

    The run's best checkpoint is tested as its config says, and its predictions are kept beside the
    page: a second call does not test again unless the checkpoint, the labels or the settings
    changed.

    Exit code 0: done; 1: the run has a checkpoint that was not tested, for the reason on the page;
    2: wrong call, or a checkpoint that cannot be read.
    """

    work_dir: str = required("folder of the run", metavar="DIR")
    checkpoint: str = option(
        "what to test (default: best; where the run kept no best one, the newest)",
        default="best",
        metavar="best|newest|FILE",
    )
    out: str | None = option(
        "page to write (default: report.html in the work dir)", metavar="FILE.html"
    )
    data_root: str | None = declare.data_root()
    split: Split | None = option("images to test on (default: the config's test_dataloader)")
    cfg_options: Sequence[str] | None = declare.cfg_options()
    trust_config: bool = option(
        "run the work dir's config, which is a program, where it names code of its own",
        default=False,
    )
    device: str | None = declare.device()
    overwrite: bool = declare.overwrite("a page that exists")

    @property
    def target(self) -> Path:
        """The page's file."""
        return Path(self.out) if self.out else Path(self.work_dir) / "report.html"

    @property
    def changes_test(self) -> bool:
        """True where something else is tested than the config says."""
        return any((self.data_root, self.split, self.cfg_options))

    def shared_with_test(self) -> list[str]:
        """The options that ``tools/test.py`` has too, as they are typed."""
        words = []
        for name, value in (("--split", self.split), ("--data-root", self.data_root)):
            words += [name, value] if value else []
        return words + (["--cfg-options", *self.cfg_options] if self.cfg_options else [])


def main(argv: list[str] | None = None) -> int:
    """Write the page; 1 where the run has a checkpoint that was not tested."""
    options = declare.parse(ReportOptions, argv)
    named = re.fullmatch(r"cpu|cuda(?::(\d+))?", options.device or "cpu")
    if named is None:
        raise ValueError(f"expected --device cpu, cuda or such as cuda:0, got {options.device!r}")
    if options.device == "cpu" or named[1]:  # before MMEngine looks for GPUs: when imported
        os.environ["CUDA_VISIBLE_DEVICES"] = named[1] or ""
    from equikpt.cli.report import write_report

    result = write_report(options)
    for note in result.notes:
        print(note)
    print(f"written: {result.page}")
    if result.predictions is not None:
        print(f"kept: {result.predictions}")
    return int(result.untested)
