"""The folder of a run: files written whole, its lock, and the checkpoints that a run goes on from.

A process that is killed, a full disk or Ctrl-C leaves what stood there before: :func:`install` has
MMEngine write beside a file and rename, for every tool, MMPose's own included.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from equikpt.compat.safe_load import TRAINING_STATE, is_complete, load_from_local
from equikpt.core.files import sweep_parts
from equikpt.core.project import LAST, POINTER, STABLE
from equikpt_runtime.files import write_bytes, write_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".training.lock"
TOP_LIST = "top_checkpoints.json"
"""The list of ``TopKCheckpointHook``."""

NUMBERED = re.compile(r"(?:epoch|iter)_(\d+)\.pth")
CHOSEN = re.compile(r"(?:best|top)_.+_(?:epoch|iter)_\d+\.pth")

_locks: dict[Path, int] = {}


def install() -> None:
    """Replace MMEngine's ways of writing a file, and its choice of a checkpoint to resume from.

    MMEngine opens checkpoints and configs in place, formats the whole config with yapf at each
    save, and resumes (as MMPose's ``tools/train.py --resume`` asks) from what ``last_checkpoint``
    names, or starts over without that file.
    """
    from mmengine.config import Config, config
    from mmengine.fileio.backends import LocalBackend
    from mmengine.logging import print_log
    from mmengine.runner import runner
    from yapf.yapflib import yapf_api

    dump = Config.dump

    def put(self: Any, obj: bytes, filepath: str | Path) -> None:
        write_bytes(Path(filepath), obj)

    def put_text(self: Any, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        write_bytes(Path(filepath), obj.encode(encoding))

    def dump_whole(self: Any, file: str | Path | None = None) -> str | None:
        if file is None or not str(file).endswith(".py"):  # other formats go through put_text
            return dump(self, file)
        write_text(Path(file), self.pretty_text)
        return None

    def find_latest_checkpoint(path: str) -> str | None:
        newest, passed_over = newest_whole(Path(path))
        for reason in passed_over:
            print_log(f"Passed over: {reason}", "current")
        return None if newest is None else str(newest)

    LocalBackend.put, LocalBackend.put_text = put, put_text
    Config.dump = functools.wraps(dump)(dump_whole)
    yapf_api.FormatCode = _format_once(yapf_api.FormatCode)
    if hasattr(config, "FormatCode"):  # the official mmengine imports it by name
        config.FormatCode = yapf_api.FormatCode
    runner.find_latest_checkpoint = find_latest_checkpoint


def _format_once(format_code: Callable) -> Callable:
    """``yapf``'s ``FormatCode``, which takes up to two seconds, with its last results kept."""
    kept: dict[str, Any] = {}

    @functools.wraps(format_code)
    def formatted(text: str, *args: Any, **options: Any) -> Any:
        key = repr((text, args, sorted(options.items())))
        if key not in kept:
            if len(kept) > 3:
                kept.clear()
            kept[key] = format_code(text, *args, **options)
        return kept[key]

    return formatted


def lock(folder: Path) -> None:
    """Keep other trainings out of a folder for as long as this process lives.

    A record lock, which is this process's alone: loader workers that outlive it do not keep it.

    Raises:
        FileExistsError: Another training writes there.
        OSError: The folder cannot be made or written to.
    """
    folder = folder.resolve()
    if folder in _locks:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise type(error)(
            f"expected a work dir that can be written to, but {folder} cannot: {error.strerror}; "
            "choose another work_dir"
        ) from error
    if fcntl is not None:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            holder = os.read(file, 200).decode(errors="replace").strip()
            os.close(file)
            raise FileExistsError(
                f"expected no other training in {folder}, but one runs there"
                f" ({holder or 'unknown process'}); wait for its end or choose another work_dir"
            ) from error
        except OSError:  # a file system without locks: as good as it gets there
            pass
    os.ftruncate(file, 0)
    os.write(file, f"process {os.getpid()} on {platform.node()}".encode())
    _locks[folder] = file


def newest_whole(folder: Path) -> tuple[Path | None, list[str]]:
    """The checkpoint that a run goes on from, and the newer ones that cannot be used, with reasons.

    It is the one that ``last_checkpoint`` names, or one that was written after it; where that file
    is missing, empty or names a damaged checkpoint, the one with the highest number before it.

    Raises:
        FileNotFoundError: There are checkpoints, but none to go on from.
    """
    passed_over = []
    for path in _newest_first(folder):
        try:
            check_resumable(path)
        except ValueError as error:
            passed_over.append(str(error))
        else:
            return path, passed_over
    if passed_over or any(folder.glob("*.pth")):
        reasons = "; ".join(passed_over) or "it holds only files of weights (best_*, top_*)"
        raise FileNotFoundError(
            f"expected a checkpoint in {folder} to resume from, found none that is whole: "
            f"{reasons}; start anew with --overwrite or in another work_dir"
        )
    return None, []


def check_resumable(path: Path) -> None:
    """Read a checkpoint, and check that a run can go on from it.

    Raises:
        ValueError: It is damaged, or holds weights alone.
    """
    check_training_state(load_from_local(str(path), "meta"), str(path))


def check_training_state(checkpoint: Mapping[str, Any], path: str) -> None:
    """Refuse a checkpoint of weights alone, read from ``path``, where a run goes on.

    Raises:
        ValueError: It is one.
    """
    parts = ("state_dict", *TRAINING_STATE)
    missing = [part for part in parts if not isinstance(checkpoint.get(part), Mapping)]
    if missing:
        raise ValueError(
            f"expected a checkpoint with the state of its training in {path}, it has no "
            f"{', '.join(missing)} (best_* and top_* hold weights alone); begin a new run from it "
            f"with load_from={path}"
        )


def newest_complete(folder: Path) -> Path | None:
    """As :func:`newest_whole`, by the files' ends alone, for readers."""
    return next(iter(complete(_newest_first(folder))), None)


def complete(paths: Iterable[Path]) -> list[Path]:
    """Those checkpoint files that were written to their end, and are still there."""
    found = []
    for path in paths:
        try:
            if is_complete(path):
                found.append(path)
        except FileNotFoundError:  # a training has just replaced it
            continue
    return found


def _newest_first(folder: Path) -> list[Path]:
    """Checkpoints with an epoch or step in their name, and the one of ``last_checkpoint``."""

    def number_of(path: Path) -> int:
        named = NUMBERED.fullmatch(path.name)
        return int(named[1]) if named else -1

    pointed = _pointed_checkpoint(folder)
    folders = {folder.resolve(), *([pointed.resolve().parent] if pointed else [])}
    found = [path for each in folders for path in each.glob("*.pth") if number_of(path) >= 0]
    found.sort(key=number_of, reverse=True)
    if not found and not pointed and (folder / LAST).is_file():  # all that was copied of a run
        return [folder / LAST]
    if pointed is None:
        return found
    written_s, number = (folder / POINTER).stat().st_mtime, number_of(pointed)
    others = [path for path in found if path.name != pointed.name]
    # a higher number from before: the run was taken back to an earlier checkpoint
    after = [p for p in others if number_of(p) > number and p.stat().st_mtime > written_s]
    before = [path for path in others if number_of(path) < number]
    return [*after, pointed, *before, *(p for p in others if p not in after and p not in before)]


def _pointed_checkpoint(folder: Path) -> Path | None:
    """The file that ``last_checkpoint`` names, by its name alone in a folder that was moved."""
    pointer = folder / POINTER
    if not pointer.is_file():
        return None
    text = pointer.read_text(encoding="utf-8", errors="replace").strip()
    if not text or "\0" in text:
        return None
    return next((p for p in (folder / Path(text).name, Path(text)) if p.is_file()), None)


class TopCheckpoint(msgspec.Struct, frozen=True):
    """A row of ``top_checkpoints.json``: file name, score and epoch."""

    file: str
    score: float
    epoch: int


def read_top(folder: Path) -> list[TopCheckpoint] | None:
    """Read ``top_checkpoints.json``, best first; None where it is missing, empty or damaged."""
    try:
        rows = json.loads((folder / TOP_LIST).read_text(encoding="utf-8"))
        return msgspec.convert(rows, list[TopCheckpoint], strict=False)
    except (FileNotFoundError, ValueError):
        return None


def write_top(folder: Path, checkpoints: Sequence[TopCheckpoint]) -> None:
    """Write ``top_checkpoints.json``, all at once."""
    rows = msgspec.to_builtins(list(checkpoints))
    write_text(folder / TOP_LIST, json.dumps(rows, indent=1) + "\n")


def sweep(folder: Path) -> list[str]:
    """Delete what a killed run left half written, and return the names.

    Temporary files, best and top checkpoints that are cut off, and links that lead nowhere.
    """
    chosen = [path for path in folder.glob("*.pth") if CHOSEN.fullmatch(path.name)]
    torn = [path for path in chosen if path not in complete(chosen)]
    for path in torn:
        path.unlink(missing_ok=True)
    broken = [path for name in STABLE if not (path := folder / name).exists() and path.is_symlink()]
    for path in broken:
        path.unlink()
    return [*sweep_parts(folder), *(path.name for path in (*torn, *broken))]


def clear(folder: Path, keep: str | None) -> list[str]:
    """Delete the checkpoints and lists of a run that another replaces, and return the names.

    Args:
        folder: The work dir.
        keep: A file that the new run starts from.
    """
    kept = Path(keep).resolve() if keep else None
    gone = [
        path
        for path in folder.iterdir()
        if path.is_symlink() or path.is_file()
        if path.resolve() != kept
        if path.name in (POINTER, TOP_LIST, *STABLE)
        or NUMBERED.fullmatch(path.name)
        or CHOSEN.fullmatch(path.name)
    ]
    for path in sorted(gone, key=lambda path: path.name not in STABLE):  # links first
        path.unlink()
    return sorted(path.name for path in gone)
