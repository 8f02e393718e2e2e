"""Reading text and YAML in the encodings that editors and spreadsheets save."""

from __future__ import annotations

import codecs
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, with whose mark it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, UTF-16 or UTF-32, or else in Windows-1252.

    Spreadsheets save "Unicode text" as UTF-16 and a plain csv, in Western Europe and America, as
    Windows-1252, of which Latin-1 is a part.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is no text in any of them.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; give the path of a text file")
    content = path.read_bytes()
    marked = [name for mark, name in _MARKS.items() if content.startswith(mark)]
    for encoding in marked[:1] or ["utf-8", "cp1252"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise ValueError(f"{path} is no text that can be read; save it as UTF-8")


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not YAML, or has a key twice in one place.
    """
    text = read_text(path)
    try:
        return yaml.load(text, _Loader)  # a safe one
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: a date of month 13
        raise ValueError(f"{path} is not YAML ({error}); correct it") from error


class _Loader(yaml.SafeLoader):
    """YAML of plain values, in which no key replaces another of its name without a word."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for key, times in Counter(keys).items() if times > 1]
        if twice:
            raise yaml.composer.ComposerError(
                None, None, f"the key '{twice[0]}' occurs twice", node.start_mark
            )
        return node
