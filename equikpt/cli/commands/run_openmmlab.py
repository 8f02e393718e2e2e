from __future__ import annotations

import argparse
import importlib.util
import runpy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equikpt.cli.options import argument, parse

PACKAGES = ("mmpose", "mmdet")
"""Packages that ship their scripts and configs in a folder ``.mim``."""


@dataclass(frozen=True)
class RunOptions:
    """Run a script of MMPose or mmdet, or one of your own, with their rough edges smoothed first.

      equikpt run_openmmlab mmpose/tools/misc/browse_dataset.py CONFIG --output-dir shown/
      equikpt run_openmmlab mmpose/demo/image_demo.py horse.jpg CONFIG FILE.pth --device cpu
      equikpt run_openmmlab mmdet/tools/train.py CONFIG

    The scripts are those that the packages ship; all options go to the script.
    """

    script: str = argument("mmpose/…, mmdet/…, or a path", metavar="SCRIPT")
    arguments: Sequence[str] = argument("passed on to the script", (), nargs=argparse.REMAINDER)


def main(argv: list[str] | None = None) -> int:
    """Run the script as ``python SCRIPT ARGUMENTS`` does, on the stack that equikpt made ready."""
    options = parse(RunOptions, argv)
    path = find_script(options.script)
    import equikpt.register  # noqa: F401 - before the script imports what needs it

    sys.argv = [str(path), *options.arguments]
    sys.path.insert(0, str(path.parent))
    runpy.run_path(str(path), run_name="__main__")
    return 0


def find_script(script: str) -> Path:
    """Return the file of ``PACKAGE/PATH``, or of the path of any other script.

    Raises:
        FileNotFoundError: No such script.
        ImportError: The package is not installed.
    """
    path, advice = Path(script), "give the path of a script, or mmpose/… or mmdet/…"
    package, _, inside = path.as_posix().partition("/")
    if package in PACKAGES and not path.is_file():
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            way = "./setup.sh" if package == "mmpose" else "pip install -r requirements/mmdet.txt"
            raise ImportError(
                f"expected the package {package} for {script}, found none: install it with {way}"
            )
        folder = Path(spec.submodule_search_locations[0], ".mim")
        known = sorted(file.relative_to(folder) for file in folder.rglob(f"*{path.name}"))
        advice = f"give one of {', '.join(f'{package}/{file}' for file in known)}"
        path = folder / inside
        if not known:
            advice = f"give a script below {folder}"
    if not path.is_file():
        raise FileNotFoundError(f"expected a script at {path}, found no such file: {advice}")
    return path
