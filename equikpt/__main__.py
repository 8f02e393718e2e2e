"""``equikpt COMMAND [arguments]``: the tools, also outside any checkout."""

from __future__ import annotations

import argparse
import ast
import runpy
import sys
from pathlib import Path
from typing import NoReturn

from equikpt.cli.entry import run
from equikpt.core.configs import nearest, shipped_folder


def main(argv: list[str] | None = None) -> int:
    """Run ``tools/COMMAND.py`` as a script with the remaining arguments.

    Raises:
        ValueError: No command has that name.
    """
    tools = {path.stem: path for path in sorted(shipped_folder("tools").glob("*.py"))}
    width = max(map(len, tools)) + 2
    parser = argparse.ArgumentParser(
        prog="equikpt",
        description="Run a command; `equikpt COMMAND --help` explains it.",
        epilog="commands:\n"
        + "\n".join(f"  {name:<{width}}{_summary(tools[name])}" for name in tools),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tool", metavar="COMMAND")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the command")
    options = parser.parse_args(argv)
    name = options.tool.removesuffix(".py")
    if name not in tools:
        raise ValueError(
            f"expected the name of a command, got {name!r}; {nearest(name, list(tools))}"
        )
    sys.argv = [str(tools[name]), *options.arguments]
    runpy.run_path(str(tools[name]), run_name="__main__")
    return 0


def console() -> NoReturn:
    """Run the console script ``equikpt``, which is ``python -m equikpt``."""
    run(main)


def _summary(tool: Path) -> str:
    """Read the first line of a tool's docstring without importing it."""
    docstring = ast.get_docstring(ast.parse(tool.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n")[0]


if __name__ == "__main__":
    console()
