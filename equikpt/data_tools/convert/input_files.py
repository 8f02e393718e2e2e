"""Reading what others made: text in any encoding, YAML, and zips that may be damaged or hostile."""

from __future__ import annotations

import atexit
import codecs
import shutil
import tempfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PureWindowsPath
from typing import Any

import yaml

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, with whose mark it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

UNSUSPICIOUS_BYTES = 200 * 1024**2
"""Unpacked, whatever the size of the zip."""

MAX_RATIO = 100
"""Ratio of unpacked to packed bytes beyond that: images hardly shrink, labels to a twentieth."""

_ENCRYPTED = 0x1
_DAMAGE = (EOFError, NotImplementedError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)
"""Errors that :mod:`zipfile` raises at an unknown compression, a cut end or wrong bytes."""


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
    """Read a YAML file of plain values.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not YAML, or has a key twice in one mapping.
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
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = next((key for key, times in keys.items() if times > 1), None)
        if twice is not None:
            raise yaml.composer.ComposerError(
                None, None, f"the key '{twice}' occurs twice", node.start_mark
            )
        return node


def unpack(path: Path) -> Path:
    """Unpack a zip into a temporary folder, which goes when the program ends.

    Raises:
        OSError: If there is no room for it.
        ValueError: If it is damaged or encrypted, unpacks to far more than it has, or names files
            outside its folder.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, *_DAMAGE) as error:
        raise ValueError(f"{path} is no zip file ({error}); export it again") from error
    folder = Path(tempfile.mkdtemp(prefix="equikpt_zip_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with archive:
        _refuse_unusual(archive, path, folder)
        for entry in archive.infolist():
            # Never more than the entry declares, whatever its bytes would unpack to: zipfile stops
            # there, and the checksum then does not fit.
            try:
                archive.extract(entry, folder)
            except _DAMAGE as error:
                raise ValueError(f"{path} is damaged ({error}); export it again") from error
            except OSError as error:
                raise OSError(f"cannot unpack {path} to {folder} ({error}); make room") from error
    return folder


def _refuse_unusual(archive: zipfile.ZipFile, path: Path, folder: Path) -> None:
    """Stop at what no export has, before a byte is written."""
    for entry in archive.infolist():
        name = PureWindowsPath(entry.filename)  # parted by either slash, perhaps with a drive
        if name.anchor or ".." in name.parts:
            raise ValueError(
                f"{path} names '{entry.filename}', outside its folder; export it again"
            )
        if entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{path} is encrypted; unpack it, or export it without a password")
    size, declared = path.stat().st_size, sum(entry.file_size for entry in archive.infolist())
    if declared > max(UNSUSPICIOUS_BYTES, MAX_RATIO * size):
        raise ValueError(
            f"{path} has {size:,} bytes and would unpack to {declared:,}; if you trust it, unpack "
            "it and give the folder"
        )
    free = shutil.disk_usage(folder).free
    if declared > free:
        raise OSError(
            f"{path} unpacks to {declared:,} bytes, and {folder} has room for {free:,}; set TMPDIR "
            "to a larger disk, or unpack it and give the folder"
        )
