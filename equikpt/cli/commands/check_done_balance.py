from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli import options as declare
from equikpt.cli.options import option


@dataclass(frozen=True)
class DoneBalanceOptions:
    """Check how often pointing sequences say done, and how much of the loss says it.

    Exit code 0: done is balanced; 1: the config should change; 2: wrong input.
    """

    config: str = declare.config_argument()
    data_root: str | None = declare.data_root()
    json: Path | None = option("write all figures there")
    overwrite: bool = declare.overwrite("a file that exists")
    cfg_options: Sequence[str] | None = declare.cfg_options()


def main(argv: list[str] | None = None) -> int:
    """Print the figures of each split; 1 when the config should change."""
    options = declare.parse(DoneBalanceOptions, argv)
    from equikpt.cli import launch
    from equikpt.core.issues import format_issues
    from equikpt.data_tools.verify import done_balance
    from equikpt_runtime.files import refuse_existing, write_text

    if options.json:
        refuse_existing(options.json, options.overwrite)
    cfg = launch.load_config(options.config, launch.parse_options(options.cfg_options))
    head = done_balance.head_options(cfg)
    launch.set_data_root(cfg, options.data_root)
    launch.check_annotation_files(cfg, ("train", "val"))
    balances = {}
    for split in ("train", "val"):
        slots = done_balance.labelled_slots(launch.build_dataset(cfg, split), head.named)
        balances[split] = done_balance.balance_of(slots)
    print("\n".join(done_balance.report(balances, head)))
    issues = done_balance.check_balances(balances, head)
    print("\n".join(format_issues(issues)) or "nothing to change")
    if options.json:
        content = done_balance.as_content(options.config, balances, head)
        write_text(options.json, json.dumps(content, indent=1))
        print(f"written: {options.json}")
    return int(bool(issues))
