"""``python -m equikpt TOOL [arguments]``: the shipped tools, also outside any checkout."""

from __future__ import annotations

import argparse
import ast
import runpy
import sys
from pathlib import Path

from equikpt.cli.entry import run
from equikpt.core.configs import nearest, shipped_folder


def main(argv: list[str] | None = None) -> int:
    """Run ``tools/TOOL.py`` as a script with the remaining arguments.

    Raises:
        ValueError: No tool has that name.
    """
    tools = {path.stem: path for path in sorted(shipped_folder("tools").glob("*.py"))}
    width = max(map(len, tools)) + 2
    parser = argparse.ArgumentParser(
        prog="python -m equikpt",
        description="Run one of the tools; `python -m equikpt TOOL --help` explains it.",
        epilog="tools:\n"
        + "\n".join(f"  {name:<{width}}{_summary(tools[name])}" for name in tools),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("tool", metavar="TOOL")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the tool")
    options = parser.parse_args(argv)
    name = options.tool.removesuffix(".py")
    if name not in tools:
        raise ValueError(f"expected the name of a tool, got {name!r}; {nearest(name, list(tools))}")
    sys.argv = [str(tools[name]), *options.arguments]
    runpy.run_path(str(tools[name]), run_name="__main__")
    return 0


def _summary(tool: Path) -> str:
    """First line of a tool's docstring, read without importing it."""
    docstring = ast.get_docstring(ast.parse(tool.read_text(encoding="utf-8"))) or ""
    return docstring.split("\n")[0]


if __name__ == "__main__":
    run(main)
