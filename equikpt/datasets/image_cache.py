"""Decoded pictures in memory that the main process shares with its data-loader workers."""

from __future__ import annotations

import functools
import hashlib
import mmap
import multiprocessing
import os
import struct
import tempfile
from typing import IO, NamedTuple

import numpy as np
from mmengine.logging import MMLogger

from equikpt.core.machine import GIB, memory_bytes

GREATEST_DEFAULT_BYTES = 4 * GIB
SHARE_OF_FREE_MEMORY = 0.25

_BYTES_PER_SLOT = 8192  # a picture of 50 x 50 px: larger ones fill the pixels before the slots
_MOST_SLOTS = 2**20
_PROBES = 64
_LOCK_SECONDS = 5.0

# digest of the name, stamp (mtime, size, inode), offset, height, width, channels (0: no such axis)
_RECORD = struct.Struct("=16s7q")
_HEADER = struct.Struct("=3q")  # bytes of pixels in use, pictures, whether the log says "full"
_EMPTY = bytes(16)


class FileStamp(NamedTuple):
    """What changes when a file does, short of one that is made to look the same."""

    mtime_ns: int
    size_bytes: int
    inode: int

    @classmethod
    def of(cls, path: str) -> FileStamp:
        """The stamp of the file that is there now.

        Raises:
            OSError: There is no such file.
        """
        stat = os.stat(path)
        return cls(stat.st_mtime_ns, stat.st_size, stat.st_ino)


class ImageCache:
    """A bounded store of uint8 pictures by name, filled by whoever decodes one first.

    Pixels and index lie in shared memory without a name. It is made before the workers are forked,
    so all of them and the main process see one store, which outlives the workers of an epoch. Pages
    that nothing was written to cost nothing.

    Pixels are only ever appended: a view that was handed out never changes. A picture whose file
    changed is stored anew, and the old one keeps its bytes. When the store is full, what does not
    fit is left out, once with a line in the log.

    A copy of this object is the same store. A pickle of it, which is what spawned workers get, is
    an empty store that takes nothing, since the memory cannot follow.

    Args:
        max_bytes: Bound on the bytes of all pixels; 0 makes a store that takes nothing. The index
            takes at most 1 % more.
        folder: Keep the pixels in a file there instead of in memory, for sets that are larger than
            it; the system reads from it what it cannot hold. The file has no name and is gone with
            the last process.

    Raises:
        ValueError: ``max_bytes`` is below 0.
        FileNotFoundError: There is no such folder.
    """

    def __init__(self, max_bytes: int, folder: str | None = None) -> None:
        if max_bytes < 0:
            raise ValueError(
                f"expected ImageCache(max_bytes=...) of at least 0, got {max_bytes}; 0 turns it off"
            )
        self.max_bytes = int(max_bytes)
        if not self.max_bytes:
            return
        slots = min(_MOST_SLOTS, max(1024, self.max_bytes // _BYTES_PER_SLOT))
        self._slot_mask = (1 << (slots - 1).bit_length()) - 1
        self._index = mmap.mmap(-1, _HEADER.size + (self._slot_mask + 1) * _RECORD.size)
        self._file = _nameless_file(folder)
        os.ftruncate(self._file.fileno(), self.max_bytes)
        self._pixels = mmap.mmap(self._file.fileno(), self.max_bytes, access=mmap.ACCESS_READ)
        methods = multiprocessing.get_all_start_methods()
        # A fork lock has no name on the system that a killed run could leave behind.
        self._lock = multiprocessing.get_context("fork" if "fork" in methods else None).Lock()

    def get(self, name: str, stamp: FileStamp) -> np.ndarray | None:
        """The picture, (H, W, C) or (H, W), as a read-only view; None where it must be decoded."""
        if not self.max_bytes or not self._lock.acquire(timeout=_LOCK_SECONDS):
            return None
        try:
            _, record = self._find(_digest(name))
        finally:
            self._lock.release()
        if record is None or record[1:4] != stamp:
            return None
        offset, height, width, channels = record[4:]
        shape = (height, width, channels) if channels else (height, width)
        count = height * width * (channels or 1)
        return np.frombuffer(self._pixels, np.uint8, count, offset).reshape(shape)

    def put(self, name: str, stamp: FileStamp, picture: np.ndarray) -> bool:
        """Keep a picture (H, W, C) or (H, W); False where it does not fit or is not of uint8.

        Args:
            name: Name under which to find it.
            stamp: State of its file before it was read.
            picture: Its pixels, which are copied.
        """
        if not self.max_bytes or picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            return False
        offset = self._reserve(picture.nbytes)
        if offset is None:
            return False
        if not self._write(np.ascontiguousarray(picture), offset):
            return False
        digest = _digest(name)
        height, width, *channels = picture.shape
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            return False
        try:
            at, found = self._find(digest)
            if at is None:
                return False
            # Found by others only now that the pixels are complete.
            shape = (height, width, channels[0] if channels else 0)
            _RECORD.pack_into(self._index, at, digest, *stamp, offset, *shape)
            used, pictures, told = _HEADER.unpack_from(self._index)
            _HEADER.pack_into(self._index, 0, used, pictures + (found is None), told)
        finally:
            self._lock.release()
        return True

    @property
    def used_bytes(self) -> int:
        """Bytes of pixels in use, those of replaced pictures included."""
        return _HEADER.unpack_from(self._index)[0] if self.max_bytes else 0

    def __len__(self) -> int:
        return _HEADER.unpack_from(self._index)[1] if self.max_bytes else 0

    def __deepcopy__(self, memo: dict) -> ImageCache:
        return self

    def __copy__(self) -> ImageCache:
        return self

    def __reduce__(self) -> tuple:
        if self.max_bytes:
            MMLogger.get_current_instance().warning(
                "the store of decoded pictures cannot follow into spawned workers, which decode "
                "every picture anew; set env_cfg.mp_cfg.mp_start_method to 'fork' to share it"
            )
        return type(self), (0,)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_bytes={self.max_bytes})"

    def _reserve(self, size_bytes: int) -> int | None:
        """Where ``size_bytes`` may be written, by this caller alone; None if they do not fit."""
        if not self._lock.acquire(timeout=_LOCK_SECONDS):
            return None
        try:
            used, pictures, told = _HEADER.unpack_from(self._index)
            fits = used + size_bytes <= self.max_bytes
            _HEADER.pack_into(
                self._index, 0, used + size_bytes if fits else used, pictures, told or not fits
            )
        finally:
            self._lock.release()
        if fits:
            return used
        if not told:
            MMLogger.get_current_instance().info(
                f"the store of decoded pictures is full: {pictures} pictures in "
                f"{used / GIB:.2f} GiB of {self.max_bytes / GIB:.2f}; the others are decoded each "
                "time they are used (LoadCachedImage(max_bytes=...) sets the bound)"
            )
        return None

    def _write(self, picture: np.ndarray, offset: int) -> bool:
        """Copy pixels into the file: its pages are then never cleared, nor faulted in one by one.

        Writing to the mapping takes twice as long.
        """
        left = picture.data.cast("B")
        try:
            while left:
                written = os.pwrite(self._file.fileno(), left, offset)
                left, offset = left[written:], offset + written
        except OSError as error:  # the disk is full
            MMLogger.get_current_instance().warning(
                f"a decoded picture cannot be kept ({error}); it is decoded each time it is used"
            )
            return False
        return True

    def _find(self, digest: bytes) -> tuple[int | None, tuple | None]:
        """Place and content of a record; the place where it belongs, if any, and None without."""
        first = int.from_bytes(digest[:8], "little")
        for step in range(_PROBES):
            at = _HEADER.size + ((first + step) & self._slot_mask) * _RECORD.size
            record = _RECORD.unpack_from(self._index, at)
            if record[0] == digest:
                return at, record
            if record[0] == _EMPTY:
                return at, None
        return None, None


@functools.cache
def default_cache() -> ImageCache:
    """The one store of this process and its workers for all data sets that name no bound."""
    return ImageCache(default_max_bytes())


def default_max_bytes() -> int:
    """A quarter of the free memory, at most 4 GiB, shared by the ranks of one machine."""
    try:
        free_bytes, _ = memory_bytes()
    except OSError:
        return GREATEST_DEFAULT_BYTES
    ranks = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return min(GREATEST_DEFAULT_BYTES, int(free_bytes * SHARE_OF_FREE_MEMORY)) // ranks


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _nameless_file(folder: str | None) -> IO[bytes]:
    """A file that forked processes share and that nothing is left of: in memory without folder."""
    if folder is not None and not os.path.isdir(folder):
        raise FileNotFoundError(
            f"expected ImageCache(folder=...) to be a folder, found none at {folder}; make it first"
        )
    if folder is None and hasattr(os, "memfd_create"):
        return open(os.memfd_create("equikpt_pictures"), "r+b", buffering=0)
    return tempfile.TemporaryFile(dir=folder, buffering=0)
