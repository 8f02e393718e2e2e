"""Files of released weights on this machine: fetched, accepted, listed."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import pooch

from equikpt.checkpoints.download import download, reason_of, unaccepted
from equikpt.checkpoints.zoo import CHECKPOINTS, SCHEME, Checkpoint, find, needed
from equikpt_runtime.files import write_text

FOLDER = Path("data/checkpoints")
"""Default folder of the files; git ignores ``data/``."""
FOLDER_VARIABLE = "EQUIKPT_CHECKPOINTS"
"""Variable of the environment that names another folder."""


def default_folder() -> Path:
    """Return the folder of the files: that of the environment, or :data:`FOLDER`."""
    return Path(os.environ.get(FOLDER_VARIABLE) or FOLDER)


class UnacceptedError(ValueError):
    """A file of which no whole SHA-256 is known, and that nobody has accepted.

    Attributes:
        row: File.
        sha256: Its sum.
    """

    def __init__(self, row: Checkpoint, sha256: str) -> None:
        self.row, self.sha256 = row, sha256
        super().__init__(
            f"expected somebody to accept {row.file_name}, of which no whole SHA-256 is known: it "
            f"is {sha256}; compare it with a source that you trust, then call "
            f"{accepting([self])}"
        )


def accepting(refused: Sequence[UnacceptedError]) -> str:
    """Return the command that accepts files."""
    names = " ".join(each.row.name for each in refused)
    sums = " ".join(each.sha256 for each in refused)
    return f"python tools/download_checkpoints.py {names} --accept-sha256 {sums}"


def ask_on_terminal(name: str, found: str) -> bool:
    """Show a person the sum of a file, and ask once for it; False where nobody is there."""
    if not sys.stdin.isatty():
        return False
    question = (
        f"{name}: no whole SHA-256 is known of it; it is\n  {found}\n"
        "take it, and compare with this sum from now on? [y/N] "
    )
    return input(question).lower() in ("y", "yes")


def bring(name: str, ask: Callable[[str, str], bool] | None = None) -> Path:
    """Return the file that a training starts from, fetched to :func:`default_folder` if need be.

    Args:
        name: Of a row, with or without :data:`SCHEME`.
        ask: As in :func:`fetch`.

    Raises:
        UnacceptedError: The file needs somebody to accept it.
        OSError: It is not there and cannot be fetched, or as :func:`fetch`.
    """
    row = find(name.removeprefix(SCHEME))
    try:
        return fetch(row, default_folder(), ask=ask)[0]
    except (ConnectionError, FileNotFoundError) as error:
        reason = reason_of(error.__cause__) if error.__cause__ else str(error)
        raise type(error)(
            f"expected the weights that this training starts from, {row.name}, in "
            f"{default_folder()}, found none, and they cannot be fetched ({reason}): call python "
            f"tools/download_checkpoints.py {row.name} where there is a network and copy that "
            "folder, or start from random weights with --from-scratch"
        ) from error


def fetch(
    row: Checkpoint,
    folder: Path = FOLDER,
    *,
    overwrite: bool = False,
    check: bool = True,
    accept_sha256: Collection[str] = (),
    ask: Callable[[str, str], bool] | None = None,
    log: Callable[[str], None] | None = None,
) -> tuple[Path, bool]:
    """Bring a released file into ``folder``: its path, and True if it was fetched.

    Args:
        row: File.
        folder: Folder that it is to stand in.
        overwrite: Replace a file that is not the right one.
        check: Compare SHA-256 sums. A published file whose name has another sum is of use only
            without.
        accept_sha256: Sums of files to take of which no whole sum is known. A sum that was taken is
            written to ``NAME.sha256`` beside the file and compared from then on.
        ask: Asked for any other such file: gets its name and its SHA-256, and returns True to take
            it. None takes none.
        log: As in :func:`equikpt.checkpoints.download.download`, which also names what is raised.

    Raises:
        UnacceptedError: Nobody accepts the file; the next call need not fetch it again.
    """
    path = folder / row.file_name
    known = row.sha256 or accepted_sha256(path) if check else ""
    if known or not check:
        return path, download(row.url, path, known, overwrite=overwrite, log=log)

    def confirm(found: str) -> None:
        if found not in accept_sha256 and not (ask and ask(row.file_name, found)):
            raise UnacceptedError(row, found)
        write_text(sum_file(path), f"{found}  {path.name}\n")

    fetched = download(
        row.url, path, row.sha256_prefix, overwrite=overwrite, log=log, confirm=confirm
    )
    if not fetched:
        confirm(pooch.file_hash(path))
    return path, fetched


def sum_file(path: Path) -> Path:
    """Return the file of the accepted SHA-256, as ``sha256sum -c`` reads it."""
    return path.with_name(f"{path.name}.sha256")


def accepted_sha256(path: Path) -> str:
    """Return the SHA-256 that was accepted for a file, empty where none was.

    Raises:
        ValueError: The file with the sum is damaged.
    """
    file = sum_file(path)
    if not file.is_file():
        return ""
    found = file.read_text(encoding="utf-8", errors="replace").split()
    if not found or not re.fullmatch(r"[0-9a-f]{64}", found[0]):
        raise ValueError(f"expected a SHA-256 in {file}, found none; delete it to accept anew")
    return found[0]


def state(row: Checkpoint, folder: Path) -> str:
    """Describe the state of a file in ``folder``."""
    path = folder / row.file_name
    if path.is_file():
        known = row.sha256 or accepted_sha256(path)
        if not pooch.file_hash(path).startswith(known or row.sha256_prefix):
            return "there, wrong SHA-256"
        return "there, valid" if known else "there, SHA-256 not accepted"
    kept = unaccepted(path)
    return f"not accepted, {_size(kept)}" if kept.is_file() else "-"


def usage(row: Checkpoint, path: Path) -> str:
    """Say how a training starts from the file: by itself, by options or by a line of a config.

    ``load_from`` goes by the names of a whole model. The weights of a backbone alone have other
    names, so that ``load_from`` would load none of them and only warn.
    """
    if row in needed() and path == default_folder() / row.file_name:
        return "its configs start from it"
    values = {"load_from": str(path)}
    if not row.keypoints:
        init = {"type": "Pretrained", "checkpoint": str(path), "prefix": row.prefix}
        values = {f"model.backbone.init_cfg.{key}": value for key, value in init.items() if value}
    if not set(str(path)) & set(" ,"):  # MMEngine's options drop blanks and split at commas
        return shlex.join(["--cfg-options", *(f"{key}={value}" for key, value in values.items())])
    if row.keypoints:
        return f"in the config: load_from = {str(path)!r}"
    inner = ", ".join(f"{key.rpartition('.')[2]}={value!r}" for key, value in values.items())
    return f"in the config: model = dict(backbone=dict(init_cfg=dict({inner})))"


def format_list(folder: Path, width: int, rows: Iterable[Checkpoint] = CHECKPOINTS) -> str:
    """Format a table of the files and of those in ``folder``, at most ``width`` columns wide."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for title in ("name", "holds", "keypoints", "licence; data", f"in {folder}", "size"):
        table.add_column(title, overflow="fold")
    for row in rows:
        path = folder / row.file_name
        size = _size(path) if path.is_file() else "-"
        terms = f"{row.licence}; {row.data}"
        cells = (row.name, row.holds, row.keypoints or "-", terms, state(row, folder), size)
        table.add_row(*cells)
    text = io.StringIO()
    Console(file=text, width=width, highlight=False, markup=False).print(table)
    return text.getvalue().rstrip()


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
