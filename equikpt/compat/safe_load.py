"""Checkpoints are read without running what is in them.

A pickle can run any code. torch's ``weights_only=True`` refuses that, but MMEngine does not pass
it (official: https://github.com/open-mmlab/mmengine/issues/1655), or runs the code after all when
the safe way fails (the fork, ``_safe_torch_load``). Runners, hooks, pretrained initialisation and
``init_model`` all load through MMEngine's ``CheckpointLoader``, which takes other loaders by
design; :func:`install` gives it ours.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import pickle
import re
import struct
import urllib.error
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from equikpt.core.project import find_checkpoint

TRAINING_STATE = ("meta", "message_hub", "optimizer")
"""Parts of a checkpoint, beside weights, that a training goes on from."""

_ZIP = b"PK\x03\x04"
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError),
    *(LookupError, AttributeError, TypeError, RuntimeError),
)
"""Errors that ``zipfile`` and torch raise at a file that was changed."""

_REFUSED = re.compile(
    r"GLOBAL (\S+)|unrecognized function (.+?)(?: which|\n|$)|but got (.+)", re.MULTILINE
)
"""Phrases by which torch names, in three places, what it did not allow."""


def install() -> None:
    """Make every loader of MMEngine a safe one, and allow the classes that MMEngine writes."""
    from mmengine.runner.checkpoint import CheckpointLoader

    allow_mmengine_classes()
    for prefix, loader in list(CheckpointLoader._schemes.items()):
        safe = load_from_local if prefix == "" else _only_weights(loader)
        CheckpointLoader.register_scheme(prefix, safe, force=True)


def load_from_local(filename: str, map_location: Any = None) -> dict:
    """Read a checkpoint file without running code. MMEngine names it in its log as "local".

    Args:
        filename: Path of a file, or of a folder as
            :func:`equikpt.core.project.find_checkpoint` takes it; ``~`` is expanded.
        map_location: As in :func:`torch.load`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file would run code, is damaged, or is no checkpoint.
    """
    import torch

    path = find_checkpoint(filename)
    _check_checksums(path)
    with _safely(str(path)):
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    if not isinstance(checkpoint, dict):
        raise ValueError(
            f"expected {path} to hold a dict of weights, it holds a {type(checkpoint).__name__}:"
            " save model.state_dict() instead"
        )
    return checkpoint


def is_complete(path: Path) -> bool:
    """Tell if a checkpoint file was written to its end, by its first and last bytes."""
    with path.open("rb") as file:
        start = file.read(4)
    # a pickle, torch's format before 1.6, has no end mark
    return zipfile.is_zipfile(path) if start == _ZIP else start.startswith(b"\x80")


def _check_checksums(path: Path) -> None:
    """Compare a checkpoint with the checksums in it, which torch writes and does not read.

    The format before torch 1.6 holds none, nor do files written after
    ``torch.serialization.set_crc32_options(False)``; a cut is found in them as well.
    """
    with path.open("rb") as file:
        if file.read(4) != _ZIP:
            return
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
            damaged = [record.filename for record in records if not _fits(archive, record)]
    except _UNREADABLE as error:
        raise _damaged(str(path), error) from error
    if damaged and len(damaged) < len(records):
        raise _damaged(str(path), ValueError(f"the checksum of {damaged[0]} does not fit"))


def _fits(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> bool:
    if record.external_attr & 0x10:  # marked as a folder: torch reads it as empty memory
        return False
    try:
        with archive.open(record) as content:
            while content.read(2**22):
                pass
    except _UNREADABLE:
        return False
    return True


def _only_weights(loader: Callable) -> Callable:
    """Wrap a loader of MMEngine (URL, model zoo, object store) so that it runs nothing it reads."""

    @functools.wraps(loader)  # MMEngine's log shows the name
    def load(filename: str, *args: Any, **kwargs: Any) -> dict:
        with _safely(filename):
            return loader(filename, *args, **kwargs)

    return load


@contextlib.contextmanager
def _safely(source: str) -> Iterator[None]:
    """Set torch's own switch, which wins over ``weights_only=False`` at any call.

    Errors while ``source`` is read become ones that say what to do.
    """
    allow_mmengine_classes()
    switch = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    names = (switch, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ[switch] = "1"
    try:
        yield
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        if refused is None:
            raise _damaged(source, error) from error
        name = next(group for group in refused.groups() if group)
        raise ValueError(
            f"checkpoint {source} is refused, and nothing in it was run: it asks for {name}, which "
            "is neither a weight nor MMEngine's training state; if the file is your own, save its "
            "weights alone (torch.save(model.state_dict(), PATH)) and load those"
        ) from error
    except urllib.error.URLError as error:
        raise OSError(
            f"{source} cannot be downloaded ({error.reason}): check the address and the network, or"
            " download it elsewhere and give the path of the file"
        ) from error
    except PermissionError as error:
        raise PermissionError(f"{source} may not be read: change its permissions") from error
    except _UNREADABLE as error:
        if "CUDA" in str(error) or "out of memory" in str(error):  # the file is not to blame
            raise
        raise _damaged(source, error) from error
    finally:
        del os.environ[switch]
        os.environ.update(before)


def _damaged(source: str, error: Exception) -> ValueError:
    # the rest of torch's message is advice, among it to load the file unsafely
    reason = str(error).split(". ")[0].split("\n")[0].strip()
    advice = "the file is cut off or no PyTorch checkpoint; copy or download it again"
    if "://" in source:
        advice = (
            "check the name, and delete the copy in ~/.cache/torch/hub/checkpoints if the download"
            " was cut off"
        )
    return ValueError(
        f"expected a checkpoint in {source}, but it cannot be read"
        f" ({type(error).__name__}{reason and f': {reason}'}): {advice}"
    )


def allow_mmengine_classes() -> None:
    """Let ``weights_only=True`` accept what MMEngine itself writes, and nothing else.

    Called before every load, since the fork's own loader takes the same classes off torch's list
    when it is done.
    """
    import torch

    known = torch.serialization.get_safe_globals()
    missing = [entry for entry in _mmengine_classes() if entry not in known]
    if missing:
        torch.serialization.add_safe_globals(missing)


@functools.lru_cache(maxsize=1)
def _mmengine_classes() -> list[Any]:
    """Classes of MMEngine's checkpoints that torch does not allow by itself.

    The message hub holds ``HistoryBuffer`` objects, which hold numpy arrays; learning rates and
    dataset metainfo hold numpy scalars and arrays. numpy 1 and 2 call the module of the two
    functions that rebuild them differently, and a checkpoint may come from either.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer

    modules = ("numpy._core.multiarray", "numpy.core.multiarray")
    multiarray = importlib.import_module(modules[0] if hasattr(np, "_core") else modules[1])
    rebuilds = [
        _under_name(getattr(multiarray, name), module, name)
        for name in ("_reconstruct", "scalar")
        for module in modules
    ]
    kinds = "?bBhHiIlLqQefdgFDSU"  # numbers, booleans and text; never "O", arbitrary objects
    dtypes = {type(np.dtype(kind)) for kind in kinds}
    statistic = _under_name(_history_buffer_statistic, "builtins", "getattr")
    # an array of size 0, such as the links of unnamed points, is pickled with a call of bytes
    no_bytes = _under_name(lambda: b"", "builtins", "bytes")
    return [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *rebuilds, statistic, no_bytes]


def _under_name(function: Callable, module: str, name: str) -> Callable:
    """Make a function that torch's list, which goes by names, knows by another name."""

    def call(*args: Any) -> Any:
        return function(*args)

    call.__module__, call.__qualname__, call.__name__ = module, name, name
    return call


def _history_buffer_statistic(owner: object, name: str) -> object:
    """The one use of ``getattr`` in MMEngine's checkpoints: a buffer's own table of statistics.

    A ``HistoryBuffer`` is pickled with ``{"mean": HistoryBuffer.mean, …}``, for which pickle
    writes ``getattr(HistoryBuffer, "mean")``. The real ``getattr`` reaches everything.
    """
    from mmengine.logging import HistoryBuffer

    if owner is HistoryBuffer and name in ("min", "max", "current", "mean"):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError("GLOBAL builtins.getattr is allowed for HistoryBuffer only")
