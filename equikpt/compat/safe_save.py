"""Files that MMEngine writes are complete or not there: written beside, then renamed.

A process that is killed, a full disk or Ctrl-C leaves what stood there before. MMEngine opens
checkpoints and configs in place (``LocalBackend.put``, ``Config.dump``) and formats the whole
config with yapf at each save; :func:`install` mends both for every tool, MMPose's own included. How
checkpoints are read is in :mod:`equikpt.compat.safe_load`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from equikpt.core.files import write_bytes, write_text


def install() -> None:
    """Replace MMEngine's ways of writing a file, once."""
    from mmengine.config import Config, config
    from mmengine.fileio.backends import LocalBackend
    from yapf.yapflib import yapf_api

    if LocalBackend.put is _put:
        return
    LocalBackend.put, LocalBackend.put_text = _put, _put_text
    Config.dump = _whole_dump(Config.dump)
    yapf_api.FormatCode = _format_once(yapf_api.FormatCode)
    if hasattr(config, "FormatCode"):  # the official mmengine imports it by name
        config.FormatCode = yapf_api.FormatCode


def _put(self: Any, obj: bytes, filepath: str | Path) -> None:
    """``LocalBackend.put``: write bytes, missing folders too."""
    write_bytes(Path(filepath), obj)


def _put_text(self: Any, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
    """``LocalBackend.put_text``: write text, missing folders too."""
    write_bytes(Path(filepath), obj.encode(encoding))


def _whole_dump(dump: Callable) -> Callable:
    """``Config.dump``; formats other than Python's go through ``put_text`` anyway."""

    @functools.wraps(dump)
    def dump_whole(self: Any, file: str | Path | None = None) -> str | None:
        if file is None or not str(file).endswith(".py"):
            return dump(self, file)
        write_text(Path(file), self.pretty_text)
        return None

    return dump_whole


def _format_once(format_code: Callable) -> Callable:
    """``yapf``'s ``FormatCode``, which takes up to two seconds, with its last results kept.

    Every checkpoint holds the config's text, which does not change during a run.
    """
    kept: dict[str, Any] = {}

    @functools.wraps(format_code)
    def formatted(text: str, *args: Any, **options: Any) -> Any:
        key = repr((text, args, sorted(options.items())))
        if key not in kept:
            result = format_code(text, *args, **options)
            while len(kept) > 3:
                kept.pop(next(iter(kept)))
            kept[key] = result
        return kept[key]

    return formatted
