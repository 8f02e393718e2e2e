"""Reading JSON that somebody else wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path, what: str) -> Any:
    """The content of a JSON file.

    Args:
        path: The file.
        what: What it should be, for messages.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not JSON.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give {what}")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}); give {what}") from error
