"""The folder of a project, and a record of what was made in it and how.

The record is written before a file is, with the hash of what is to stand there. So a run that was
killed goes on where it was, a file that somebody edited is known, and one that was there before is
never taken for the project's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equikpt.core.typed_json import read_json
from equikpt_runtime.files import write_bytes, write_text

STATE = Path(".init")
"""Folder of the record and of what is not yet in its place."""
RECORD = STATE / "record.json"

OWN = ("data/annotations", "data/images", "keypoints.py", "keypoints.png", "config.py", "README.md")
"""Files and folders that ``init`` makes."""

Values = dict[str, Any]


class Project:
    """A project folder with its record.

    Args:
        root: The folder; made when the first step is done.

    Raises:
        FileExistsError: It holds a part of a project that has no record.
        ValueError: The record is damaged.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.options: Values = {}
        self._steps: dict[str, Values] = {}
        if (root / RECORD).is_file():
            self._read()
            return
        there = [name for name in OWN if (root / name).exists()]
        if there:
            raise FileExistsError(
                f"{root} has {there[0]} and no record that init made it; choose another folder, or "
                "move it away"
            )

    def _read(self) -> None:
        path = self.root / RECORD
        content = read_json(path, "the record of init")
        if not isinstance(content, dict) or set(content) != {"options", "steps"}:
            raise ValueError(f"{path} is no record of init; remove {path.parent} and begin anew")
        self.options, self._steps = content["options"], content["steps"]

    @property
    def data(self) -> Path:
        """Folder of ``annotations/`` and ``images/``."""
        return self.root / "data"

    @property
    def converted(self) -> Path:
        """Folder of the labels between conversion and division."""
        return self.root / STATE / "converted"

    def choose(self, given: Mapping[str, Any], overwrite: bool) -> Values:
        """The options to go on with: those given and, where none is, those of the record.

        Until labels are in their place, other options begin anew.

        Raises:
            ValueError: One differs from the record, and ``overwrite`` is not set.
        """
        said = {name: value for name, value in given.items() if value is not None}
        other = [name for name in said if self.options and said[name] != self.options.get(name)]
        if other and "parts" not in self._steps:
            self._steps.clear()
        elif other and not overwrite:
            name = other[0]
            raise ValueError(
                f"{self.root} was made with {_shown(name, self.options.get(name))}, got "
                f"{_shown(name, said[name])}; make it anew with --overwrite, or choose another "
                "folder"
            )
        self.options = {**self.options, **said}
        if overwrite:
            for step in self._steps.values():
                step["redo"] = True
            self._save()
        return self.options

    def facts(self, step: str) -> Values | None:
        """Notes of a step that is done; None where it is still to do."""
        row = self._steps.get(step)
        if row is not None and self.edited(step):  # whatever else is missing
            return row["facts"]
        if row is None or row.get("redo"):
            return None
        return row["facts"] if all((self.root / name).exists() for name in row["files"]) else None

    def lines(self, step: str) -> list[str]:
        """Lines that a step said when it was done."""
        return self._steps.get(step, {}).get("facts", {}).get("lines") or []

    def edited(self, step: str) -> bool:
        """Tell if a file of a step is no longer the one that was made."""
        made = self._steps.get(step, {}).get("files", {})
        paths = {self.root / name: sha for name, sha in made.items()}
        return any(path.is_file() and _sha256(path) != sha for path, sha in paths.items())

    def done(self, step: str, facts: Values, made: Mapping[str, bytes] | None = None) -> None:
        """Record a step, and write its files by their names in the folder."""
        made = made or {}
        hashes = {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}
        self._steps[step] = {"facts": facts, "files": hashes}
        self._save()
        for name, content in made.items():
            write_bytes(self.root / name, content)

    def done_elsewhere(self, step: str, facts: Values, names: list[str]) -> None:
        """Record a step whose files stand there already."""
        hashes = {name: _sha256(self.root / name) for name in names}
        self._steps[step] = {"facts": facts, "files": hashes}
        self._save()

    def clear_drafts(self) -> None:
        """Remove what is no longer needed once the labels are in their place."""
        shutil.rmtree(self.converted, ignore_errors=True)

    def _save(self) -> None:
        content = {"options": self.options, "steps": self._steps}
        write_text(self.root / RECORD, json.dumps(content, indent=1, ensure_ascii=False))


def _shown(name: str, value: Any) -> str:
    option = "--from" if name == "format_name" else f"--{name.replace('_', '-')}"
    if value is None or value == []:
        return f"no {option}"
    return f"{option} {' '.join(map(str, value)) if isinstance(value, list) else value}"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
