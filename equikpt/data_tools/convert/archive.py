"""Unpacking the zip that a labelling tool exported, which may be damaged or made to do harm."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PureWindowsPath

UNSUSPICIOUS_BYTES = 200 * 1024**2
"""Unpacked, whatever the size of the zip."""

MAX_RATIO = 100
"""Ratio of unpacked to packed bytes beyond that: images hardly shrink, labels to a twentieth."""

_ENCRYPTED = 0x1
_DAMAGE = (
    *(EOFError, NotImplementedError, RuntimeError, ValueError),
    *(zipfile.BadZipFile, zlib.error),
)
"""Errors that :mod:`zipfile` raises at an unknown compression, a cut end or wrong bytes."""


def unpack(path: Path) -> Path:
    """The content of a zip in a temporary folder, which goes when the program ends.

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
        _check(archive, path, folder)
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


def _check(archive: zipfile.ZipFile, path: Path, folder: Path) -> None:
    """Refuse what an export never is, before a byte is written."""
    entries = archive.infolist()
    for entry in entries:
        name = PureWindowsPath(entry.filename)  # either slash parts it, and a drive is one
        if name.anchor or ".." in name.parts:
            raise ValueError(
                f"{path} names '{entry.filename}', outside its folder; export it again"
            )
        if entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{path} is encrypted; unpack it, or export it without a password")
    declared = sum(entry.file_size for entry in entries)
    if declared > max(UNSUSPICIOUS_BYTES, MAX_RATIO * path.stat().st_size):
        raise ValueError(
            f"{path} has {path.stat().st_size:,} bytes and would unpack to {declared:,}; if you "
            "trust it, unpack it and give the folder"
        )
    free = shutil.disk_usage(folder).free
    if declared > free:
        raise OSError(
            f"{path} unpacks to {declared:,} bytes, and {folder} has room for {free:,}; set TMPDIR "
            "to a larger disk, or unpack it and give the folder"
        )
