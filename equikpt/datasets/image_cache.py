"""Decoded images in memory that the main process shares with its data-loader workers."""

from __future__ import annotations

import functools
import hashlib
import mmap
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from mmengine.logging import MMLogger

from equikpt.core.machine import GIB, memory_bytes

MAX_DEFAULT_BYTES = 4 * GIB
FRACTION_OF_FREE_MEMORY = 0.25

_BYTES_PER_SLOT = 8192  # an image of 50 x 50 px: larger ones fill the pixels before the slots
_MAX_SLOTS = 2**20
_LOCK_SECONDS = 5.0

# digest of the name; stamp (mtime, size, inode), offset, height, width, channels (0: no such axis)
_SLOT = np.dtype([("digest", "V16"), ("record", np.int64, 7)])
_USED, _SLOTS, _IS_FULL = range(3)  # header: bytes of pixels, slots, whether the log says "full"


class FileStamp(NamedTuple):
    """State of a file that changes with it, unless one is made to look the same."""

    mtime_ns: int
    size_bytes: int
    inode: int

    @classmethod
    def of(cls, path: str) -> FileStamp:
        """Take the stamp of the file that is there now; an ``OSError`` where there is none."""
        stat = os.stat(path)
        return cls(stat.st_mtime_ns, stat.st_size, stat.st_ino)


class ImageCache:
    """A bounded store of uint8 images by name, filled by whoever decodes one first.

    Pixels and slots lie in shared memory without a name. It is made before the workers are forked,
    so all of them and the main process see one store, which outlives the workers of an epoch. Pages
    that nothing was written to cost nothing.

    Both are only ever appended: a view that was handed out never changes, and a process reads the
    slots that it has not read yet by their number. An image whose file changed gets a new slot.
    When the store is full, what does not fit is left out, once with a line in the log.

    A copy of this object is the same store. A pickle of it, which is what spawned workers get, is
    an empty store that takes nothing, since the memory cannot follow.

    Args:
        max_bytes: Bound on the bytes of all pixels; 0 makes a store that takes nothing. The slots
            take at most 1 % more.
        folder: Keep the pixels in a file there instead of in memory, for sets that are larger than
            it; the system reads from it what it cannot hold. The file has no name and is gone with
            the last process.

    Raises:
        ValueError: ``max_bytes`` is below 0.
        FileNotFoundError: There is no such folder.
    """

    def __init__(self, max_bytes: int, folder: str | None = None) -> None:
        if max_bytes < 0:
            raise ValueError(f"expected max_bytes of at least 0, got {max_bytes}; 0 turns it off")
        self.max_bytes = int(max_bytes)
        self._kept: dict[bytes, list[int]] = {}  # records that this process has read of the slots
        self._read = 0
        if not self.max_bytes:
            return
        if folder is not None and not os.path.isdir(folder):
            raise FileNotFoundError(
                f"expected folder to be a folder, found none at {folder}; make it first"
            )
        max_slots = min(_MAX_SLOTS, max(1024, self.max_bytes // _BYTES_PER_SLOT))
        self._header = np.frombuffer(mmap.mmap(-1, 24), np.int64)
        self._slots = np.frombuffer(mmap.mmap(-1, max_slots * _SLOT.itemsize), _SLOT)
        if folder is None and hasattr(os, "memfd_create"):
            self._file = open(os.memfd_create("equikpt_images"), "r+b", buffering=0)  # noqa: SIM115
        else:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        os.ftruncate(self._file.fileno(), self.max_bytes)
        self._pixels = mmap.mmap(self._file.fileno(), self.max_bytes, access=mmap.ACCESS_READ)
        methods = multiprocessing.get_all_start_methods()
        # A fork lock has no name on the system that a killed run could leave behind.
        self._lock = multiprocessing.get_context("fork" if "fork" in methods else None).Lock()

    def get(self, name: str, stamp: FileStamp) -> np.ndarray | None:
        """Return the image, (H, W, C) or (H, W), as a read-only view; None where it is not kept."""
        if not self._read_slots():
            return None
        record = self._kept.get(_digest(name))
        if record is None or tuple(record[:3]) != stamp:
            return None
        offset, height, width, channels = record[3:]
        shape = (height, width, channels) if channels else (height, width)
        count = height * width * (channels or 1)
        return np.frombuffer(self._pixels, np.uint8, count, offset).reshape(shape)

    def put(self, name: str, stamp: FileStamp, image: np.ndarray) -> bool:
        """Keep an image (H, W, C) or (H, W); False where it does not fit or is not of uint8.

        Args:
            name: Name under which to find it.
            stamp: State of its file before it was read.
            image: Its pixels, which are copied.
        """
        if not self.max_bytes or image.dtype != np.uint8 or image.ndim not in (2, 3):
            return False
        offset = self._reserve(image.nbytes)
        if offset is None or not self._write(np.ascontiguousarray(image), offset):
            return False
        with self._locked() as locked:
            if not locked or self._header[_SLOTS] == len(self._slots):
                return False
            record = (*stamp, offset, *(*image.shape, 0)[:3])
            self._slots[self._header[_SLOTS]] = (_digest(name), record)
            self._header[_SLOTS] += 1  # found by others only now that the pixels are complete
        return True

    @property
    def used_bytes(self) -> int:
        """Bytes of pixels in use, those of replaced images included."""
        return int(self._header[_USED]) if self.max_bytes else 0

    def __len__(self) -> int:
        self._read_slots()
        return len(self._kept)

    def __deepcopy__(self, memo: dict | None = None) -> ImageCache:
        return self

    __copy__ = __deepcopy__

    def __reduce__(self) -> tuple:
        if self.max_bytes:
            MMLogger.get_current_instance().warning(
                "the store of decoded images cannot follow into spawned workers, which decode "
                "every image anew; set env_cfg.mp_cfg.mp_start_method to 'fork' to share it"
            )
        return type(self), (0,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_bytes={self.max_bytes})"

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Hold the lock; False in a store that takes nothing, or where the lock is never free."""
        locked = bool(self.max_bytes) and self._lock.acquire(timeout=_LOCK_SECONDS)
        try:
            yield locked
        finally:
            if locked:
                self._lock.release()

    def _read_slots(self) -> bool:
        """Take in the slots that others have filled since the last call; False without the lock."""
        with self._locked() as locked:
            if locked:
                end = int(self._header[_SLOTS])
                for slot in self._slots[self._read : end]:
                    self._kept[slot["digest"].tobytes()] = slot["record"].tolist()
                self._read = end
        return locked

    def _reserve(self, size_bytes: int) -> int | None:
        """Return where this caller alone may write ``size_bytes``; None if they do not fit."""
        with self._locked() as locked:
            if not locked:
                return None
            used, slots, is_full = self._header.tolist()
            fits = used + size_bytes <= self.max_bytes and slots < len(self._slots)
            self._header[_USED] += size_bytes if fits else 0
            self._header[_IS_FULL] |= not fits
        if fits:
            return used
        if not is_full:
            MMLogger.get_current_instance().info(
                f"the store of decoded images is full: {slots} images in "
                f"{used / GIB:.2f} GiB of {self.max_bytes / GIB:.2f}; the others are decoded each "
                "time they are used (LoadCachedImage(max_bytes=...) sets the bound)"
            )
        return None

    def _write(self, image: np.ndarray, offset: int) -> bool:
        """Copy pixels into the file: its pages are then never cleared, nor faulted in one by one.

        Writing to the mapping takes twice as long.
        """
        left = image.data.cast("B")
        try:
            while left:
                written = os.pwrite(self._file.fileno(), left, offset)
                left, offset = left[written:], offset + written
        except OSError as error:  # the disk is full
            MMLogger.get_current_instance().warning(
                f"a decoded image cannot be kept ({error}); it is decoded each time it is used"
            )
            return False
        return True


@functools.cache
def default_cache() -> ImageCache:
    """The one store of this process and its workers for all data sets that name no bound."""
    return ImageCache(default_max_bytes())


def default_max_bytes() -> int:
    """A quarter of the free memory, at most 4 GiB, shared by the ranks of one machine."""
    try:
        free_bytes, _ = memory_bytes()
    except OSError:
        return MAX_DEFAULT_BYTES
    ranks = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return min(MAX_DEFAULT_BYTES, int(free_bytes * FRACTION_OF_FREE_MEMORY)) // ranks


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()
