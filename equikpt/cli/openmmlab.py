"""Run the scripts of MMPose and mmdet, which import neither a config nor equikpt first."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

PACKAGES = ("mmpose", "mmdet")
"""Packages that ship their scripts and configs in a folder ``.mim``."""


def run_script(script: str, arguments: Sequence[str] = ()) -> None:
    """Run a script as ``python SCRIPT ARGUMENTS`` does, on the stack that equikpt made ready.

    Args:
        script: ``PACKAGE/PATH`` of a script that comes with a package, or the path of any other.
        arguments: Its command line.

    Raises:
        FileNotFoundError: No such script.
        ImportError: The package is not installed.
    """
    path = find_script(script)
    import equikpt.register  # noqa: F401 - before the script imports what needs it

    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.parent))
    runpy.run_path(str(path), run_name="__main__")


def find_script(script: str) -> Path:
    """The file that ``script`` names; see :func:`run_script`."""
    path = Path(script)
    package, _, inside = path.as_posix().partition("/")
    if path.is_file() or package not in PACKAGES:
        return _existing(path, "give the path of a script, or mmpose/… or mmdet/…")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(
            f"expected the package {package} for {script}, found none: install it with"
            f" {'./setup.sh' if package == 'mmpose' else 'pip install -r requirements/mmdet.txt'}"
        )
    folder = Path(spec.submodule_search_locations[0], ".mim")
    known = sorted(file.relative_to(folder) for file in folder.rglob(f"*{path.name}"))
    listed = (
        f"one of {', '.join(f'{package}/{file}' for file in known)}"
        if known
        else (f"a script below {folder}")
    )
    return _existing(folder / inside, f"give {listed}")


def _existing(path: Path, advice: str) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"expected a script at {path}, found no such file: {advice}")
    return path
