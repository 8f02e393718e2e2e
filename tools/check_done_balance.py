"""Check how often pointing sequences say done, and how much of the loss says it.

Exit code 0: done has its share; 1: the config should change; 2: wrong input.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", metavar="CONFIG", help="a config file, or its name")
    parser.add_argument("--data-root", help="folder of the data (default: the config's)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    parser.add_argument(
        "--cfg-options", nargs="+", action="extend", metavar="KEY=VALUE", help="change the config"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    import json

    from equikpt.cli.browse import load_dataset
    from equikpt.cli.launch import check_annotation_files, load_config, parse_options, set_data_root
    from equikpt.core.files import refuse_existing, write_text
    from equikpt.core.issues import format_issues
    from equikpt.data_tools.verify.done_balance import (
        as_content,
        balance_of,
        check_balances,
        head_options,
        labelled_slots,
        report,
    )

    if args.json:
        refuse_existing(args.json, args.overwrite)
    cfg = load_config(args.config, parse_options(args.cfg_options))
    options = head_options(cfg)
    set_data_root(cfg, args.data_root)
    splits = ("train", "val")
    check_annotation_files(cfg, splits)
    balances = {
        split: balance_of(labelled_slots(load_dataset(cfg, split), options.named))
        for split in splits
    }
    print("\n".join(report(balances, options)))
    issues = check_balances(balances, options)
    print("\n".join(format_issues(issues)) or "nothing to change")
    if args.json:
        write_text(args.json, json.dumps(as_content(args.config, balances, options), indent=1))
        print(f"written: {args.json}")
    return int(bool(issues))


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
