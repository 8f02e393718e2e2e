"""Show which stages of a config's model train, from which epoch on, and at which rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from equikpt.cli import options as declare
from equikpt.cli.options import option


@dataclass(frozen=True)
class ParamReportOptions:
    """Show which stages of a config's model train, from which epoch on, and at which rates."""

    config: str = declare.config_argument()
    names: bool = option("list every parameter too", default=False)
    cfg_options: Sequence[str] | None = declare.cfg_options()


def main(argv: list[str] | None = None) -> int:
    """Print the table of stages; 0 when done."""
    options = declare.parse(ParamReportOptions, argv)
    from mmengine.registry import init_default_scope
    from rich.console import Console
    from rich.table import Table

    from equikpt.cli.launch import load_config, parse_options
    from equikpt.cli.param_report import HEADER, as_cells, parameter_lines, stage_rows

    cfg = load_config(options.config, parse_options(options.cfg_options))
    init_default_scope(cfg.get("default_scope", "mmpose"))
    rows = stage_rows(cfg)
    table = Table(*HEADER, title=options.config)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*as_cells(row))
    Console().print(table)
    if options.names:
        print("\n".join(parameter_lines(cfg)))
    return 0
