"""Names of files: second ones, what a killed process left, and what lies in a folder."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path


def link_file(path: Path, target: Path) -> None:
    """Give a file another name: a link or, where the system has none, a copy.

    As with :func:`equikpt_runtime.files.write_bytes`, ``path`` leads to a whole file at any moment.
    A link to a file beside it is relative, so that the folder may be moved.

    Raises:
        OSError: There is no such file, or the folder may not be written.
    """
    target.stat()  # a link may lead nowhere
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shown = target.name if target.parent == path.parent else target.absolute()
    part.unlink(missing_ok=True)
    try:
        try:
            part.symlink_to(shown)
        except (OSError, NotImplementedError):  # Windows without the right to, FAT
            try:
                os.link(target, part)
            except (OSError, NotImplementedError):
                shutil.copyfile(target, part)
        os.replace(part, path)
    finally:  # of two names of one file the first stays when it is renamed to the second
        part.unlink(missing_ok=True)


def sweep_parts(folder: Path) -> list[str]:
    """Delete the parts of files whose process was killed while it wrote them; their names."""
    swept = []
    for path in folder.glob(".*.part"):
        made = re.fullmatch(r"\..+\.(\d+)\.part", path.name)
        if made and not _is_running(int(made[1])):
            path.unlink(missing_ok=True)
            swept.append(path.name)
    return swept


def _is_running(pid: int) -> bool:
    if pid == os.getpid():  # a number that came round again: this process writes nothing now
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:  # but for another user's
        return not isinstance(error, ProcessLookupError)
    return True


def is_within(path: str | Path, folder: str | Path) -> bool:
    """Tell whether a path stays in a folder, and does not leave it by ``..`` or ``/``.

    Links inside the folder are its owner's and may lead anywhere.
    """
    folder = os.path.abspath(folder)
    return os.path.commonpath([folder, os.path.abspath(path)]) == folder
