"""Files of one video, which appear together: whole, once, and under the settings they state.

They are written into a hidden folder beside their places, the statement last. A folder that has it
is complete, and a later run that meets one moves its files; the statement again comes last, so that
a video whose statement stands in its place is done.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Any

from equikpt_runtime.files import require_writable, write_text


class Outputs:
    """Places of a video's files in ``out``, named ``NAME…`` or ``FORMAT/NAME…``.

    Args:
        out: Folder.
        stem: Name of the video.
        settings: Plain values that the files depend on.
    """

    def __init__(self, out: Path, stem: str, settings: dict[str, Any]) -> None:
        self.out, self.stem = out, stem
        self.settings = json.loads(json.dumps(settings))
        self.statement = out / f"{stem}.json"
        host = platform.node().replace(".", "-")
        self.part = out / f".{stem}.{host}-{os.getpid()}.part"

    def is_done(self, overwrite: bool) -> bool:
        """Tell if the files are there, of the same settings.

        Raises:
            FileExistsError: Others are there, and ``overwrite`` is not set.
        """
        require_writable(self.out)
        for part in self._parts():
            if (part / self.statement.name).is_file() and not self.statement.exists():
                publish(part, self.out, self.statement.name)
        if not self.statement.exists():
            table = self.out / f"{self.stem}.csv"
            if table.exists() and not overwrite:
                raise FileExistsError(
                    f"expected {table} not to exist yet, it is not of this command; name another "
                    "--out, or replace it with --overwrite"
                )
            return False
        stated = self._stated()
        if stated.get("settings") == self.settings:
            return all((self.out / str(name)).is_file() for name in stated.get("files", ()))
        if not overwrite:
            raise FileExistsError(
                f"expected {self.statement} of the same settings, it states others; name another "
                "--out, or replace it with --overwrite"
            )
        return False

    def place(self, name: str) -> Path:
        """Return the path in the hidden folder of a file that will be ``out / name``."""
        path = self.part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self, content: dict[str, Any]) -> list[Path]:
        """State what was done, and move all files to their places; returns these.

        Files of an earlier statement that are not written again are removed with it.
        """
        written = sorted(
            str(path.relative_to(self.part)) for path in self.part.rglob("*") if path.is_file()
        )
        earlier = self._stated().get("files", ()) if self.statement.exists() else ()
        stated = {**content, "settings": self.settings, "files": written}
        write_text(self.part / self.statement.name, json.dumps(stated, indent=1) + "\n")
        self.statement.unlink(missing_ok=True)
        for name in {*map(str, earlier)} - {*written}:
            if Path(name).name.startswith(self.stem):
                (self.out / name).unlink(missing_ok=True)
        publish(self.part, self.out, self.statement.name)
        for part in self._parts():  # of runs that were killed
            shutil.rmtree(part, ignore_errors=True)
        return [self.out / name for name in [*written, self.statement.name]]

    def discard(self) -> None:
        """Remove the hidden folder."""
        shutil.rmtree(self.part, ignore_errors=True)

    def _parts(self) -> list[Path]:
        own = re.compile(rf"\.{re.escape(self.stem)}\.[^.]*-\d+\.part")
        return [path for path in self.out.glob(".*.part") if own.fullmatch(path.name)]

    def _stated(self) -> dict[str, Any]:
        try:
            content = json.loads(self.statement.read_text(encoding="utf-8"))
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}


def publish(part: Path, out: Path, last: str) -> None:
    """Move the files of a folder into another, one of them last, and remove the folder."""
    files = [path for path in part.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: (path == part / last, path)):
        target = out / path.relative_to(part)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)
    shutil.rmtree(part)
