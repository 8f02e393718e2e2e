"""Names that label files hold: of images, splits and keypoints, as somebody's machine had them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile

from equikpt.data_tools.convert.records import UNSPLIT

MAX_NAME_BYTES = 255
"""Length of the name of a file or folder, on nearly any disk."""

SHOWN_CHARACTERS = 80

_SPLIT_WORDS = {"training": "train", "valid": "val", "validation": "val"}
_SPLIT_WORDS |= {split: split for split in ("train", "val", "test")}


def cut(text: str) -> str:
    """Shorten what a file holds where a word belongs, for messages."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def is_text(name: str) -> bool:
    """Tell if every file can hold a name: no control characters, no halves of characters."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in name)


def split_named(text: str) -> str:
    """The split that a file, folder or subset name speaks of; :data:`UNSPLIT` if none."""
    words = re.split("[^a-z]+", text.lower())
    return next((_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS), UNSPLIT)


def _plain_parts(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]


def path_parts(name: str) -> tuple[str, ...]:
    """Folders and file of a name, without the drive and what leads upwards.

    Raises:
        ValueError: It names no file.
    """
    parts: list[str] = []
    for part in _plain_parts(name):
        if part == "..":
            parts = parts[:-1]
        elif not part.endswith(":"):
            parts.append(part)
    if not parts or name.rstrip("/\\").endswith(".."):
        raise ValueError(f"the labels name an image '{name}'; expected a file name")
    return tuple(parts)


def safe_name(name: str) -> str:
    """An image's name from a label file as a relative path with ``/``, never out of its folder.

    An absolute path, which holds on somebody's machine only, gives the bare file name.

    Raises:
        ValueError: If nothing that can name a file is left.
    """
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0].endswith(":") or ".." in parts:
        parts = parts[-1:]
    parts = _plain_parts("/".join(parts))
    if (
        not parts
        or parts == [".."]
        or not is_text(name)
        or max(len(part.encode()) for part in parts) > MAX_NAME_BYTES
    ):
        raise ValueError(f"the labels name an image {cut(repr(name))}; expected a file name")
    return "/".join(parts)


def output_names(names: Sequence[str]) -> list[str]:
    """Names in the output of the images of one file, each below its folder.

    A name that is below a folder stays. Others are paths on somebody's machine: of them the file
    stays or, where two of them are called alike, what comes after their common folders.

    Raises:
        ValueError: One names no file.
    """
    absolute = {
        name: path_parts(name) for name in names if safe_name(name) != "/".join(_plain_parts(name))
    }
    bare = Counter(parts[-1] for parts in set(absolute.values()))
    if not absolute or max(bare.values()) == 1:
        return [safe_name(name) for name in names]
    folders = [parts[:-1] for parts in absolute.values()]
    common = len(list(takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))))
    return [
        "/".join(absolute[name][common:]) if name in absolute else safe_name(name) for name in names
    ]
