"""Folders that stand for files: a project for its config and its run, a run for its checkpoint.

::

    mice/config.py  mice/keypoints.py  mice/data/  mice/work_dir/        a project
    work_dir/best.pth  work_dir/last.pth  work_dir/NAME.py  work_dir/…   a run's work dir
"""

from __future__ import annotations

from pathlib import Path

CONFIG = "config.py"
"""Config of a project."""
WORK_DIR = "work_dir"
"""Folder of a project's run."""
BEST, LAST = STABLE = ("best.pth", "last.pth")
"""Names in a work dir that lead to the best checkpoint and to the newest."""
POINTER = "last_checkpoint"
"""MMEngine's file in a work dir with the path of the newest checkpoint."""


def is_run(folder: Path) -> bool:
    """Tell a work dir with checkpoints from any other folder."""
    return (folder / POINTER).is_file()


def find_work_dir(path: str | Path) -> Path:
    """Find the work dir that a folder stands for: that of a project's run, or itself."""
    path = Path(path)
    inside = path / WORK_DIR
    is_project = (path / CONFIG).is_file() and inside.is_dir() and not is_run(path)
    return inside if is_project else path


def name_of(work_dir: Path) -> str:
    """Name of a run: that of its work dir, or of the project that this is in."""
    folder = work_dir.resolve()
    return folder.parent.name if folder.name == WORK_DIR else folder.name


def config_in(folder: Path) -> Path | None:
    """Find the config that a folder stands for: ``config.py``, or the one that a run saved.

    The work dir of a project stands for the project, whose paths are right after a move.
    """
    projects = [folder.parent] if folder.name == WORK_DIR else []
    for project in (*projects, folder):
        if (project / CONFIG).is_file():
            return project / CONFIG
    saved = list(folder.glob("*.py")) if is_run(folder) else []
    return saved[0] if len(saved) == 1 else None


def find_checkpoint(path: str | Path) -> Path:
    """Find the checkpoint that a path stands for.

    A file is itself. A work dir is its best checkpoint and, where it has none, its newest; a
    project folder is its work dir. Runs of MMEngine's own hook, which have no stable names, are
    looked through by the date of their files.

    Raises:
        FileNotFoundError: Neither a file nor a folder with a checkpoint.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(
            f"expected a checkpoint at {path}, found no such file; train one with tools/train.py, "
            "or name a .pth file, a work dir or a project folder"
        )
    folder = find_work_dir(path)
    for stable, others in ((BEST, "best_*.pth"), (LAST, "[ei]*_*.pth")):
        if (folder / stable).is_file():
            return folder / stable
        files = [file for file in folder.glob(others) if file.is_file()]
        if files:
            return max(files, key=lambda file: file.stat().st_mtime)
    raise FileNotFoundError(
        f"expected a checkpoint ({BEST} or {LAST}) in the folder {folder}, found none; train with "
        "tools/train.py, or name a .pth file, a work dir or a project folder"
    )


def shown(checkpoint: Path) -> str:
    """Write a checkpoint's path, of a stable name with the file that it leads to."""
    target = checkpoint.resolve().name
    return str(checkpoint) if target == checkpoint.name else f"{checkpoint} ({target})"
