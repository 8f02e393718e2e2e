"""Show which stages of a config's model train, from which epoch on, and at which rates."""

from __future__ import annotations

import argparse


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", metavar="CONFIG", help="a config file, or its name")
    parser.add_argument("--names", action="store_true", help="list every parameter too")
    parser.add_argument(
        "--cfg-options", nargs="+", action="extend", metavar="KEY=VALUE", help="change the config"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from equikpt.compat import stack

    stack.ready()
    from mmengine.registry import init_default_scope
    from rich.console import Console
    from rich.table import Table

    from equikpt.cli.launch import load_config, parse_options
    from equikpt.cli.param_report import HEADER, as_cells, parameter_lines, stage_rows

    cfg = load_config(args.config, parse_options(args.cfg_options))
    init_default_scope(cfg.get("default_scope", "mmpose"))
    rows = stage_rows(cfg)
    table = Table(*HEADER, title=args.config)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*as_cells(row))
    Console().print(table)
    if args.names:
        print("\n".join(parameter_lines(cfg)))
    return 0


if __name__ == "__main__":
    from equikpt.cli.entry import run

    run(main)
