"""Read a config with its options, and check it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from equikpt.config_checks.keys import check_config
from equikpt.config_checks.options import merge_options
from equikpt.core.configs import import_modules, read_config


def load_config(
    name: str | Path, options: Mapping[str, Any] | None = None, epochs: int | None = None
) -> Config:
    """Read a config by path or by name, merge ``--cfg-options`` into it, and check it.

    The file is a program, and it is run.

    Args:
        name: Of a file, or of a config that equikpt ships.
        options: As :func:`~equikpt.config_checks.options.parse_options` returns them.
        epochs: Length that the schedule is scaled to.

    Raises:
        FileNotFoundError: No such config.
        ImportError: A module of its ``custom_imports`` is missing.
        ValueError: A file that is no config, an option that would change nothing, or a key, a type
            or a value that what it is for does not take.
    """
    cfg = read_config(name)
    merge_options(cfg, options, epochs)
    import_modules(cfg)
    check_config(cfg)
    return cfg
