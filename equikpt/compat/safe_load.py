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

TRAINING_STATE = ("meta", "message_hub", "optimizer")
"""Parts of a checkpoint, beside weights, that a training goes on from."""


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
        filename: Path; ``~`` is expanded.
        map_location: As in :func:`torch.load`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file would run code, is damaged, or is no checkpoint.
    """
    import torch

    path = Path(filename).expanduser()
    if not path.is_file():
        what = "a folder" if path.is_dir() else "nothing"
        raise FileNotFoundError(
            f"expected a checkpoint file at {path}, found {what}: give the path of a .pth file,"
            " such as epoch_10.pth in the work directory of a training"
        )
    allow_mmengine_classes()
    check_checksums(path)
    with _only_weights_allowed(), _errors_as_sentences(str(path)):
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    if not isinstance(checkpoint, dict):
        raise ValueError(
            f"expected {path} to hold a dict of weights, it holds a {type(checkpoint).__name__}:"
            " save model.state_dict() instead"
        )
    return checkpoint


def is_complete(path: Path) -> bool:
    """Tell if a checkpoint file was written to its end, by a look at its first and last bytes."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == _ZIP:
        return zipfile.is_zipfile(path)
    return start.startswith(b"\x80")  # a pickle, torch's format before 1.6, without an end mark


def check_checksums(path: Path) -> None:
    """Compare a checkpoint with the checksums in it, which torch writes and does not read.

    The format before torch 1.6 holds none, nor do files written after
    ``torch.serialization.set_crc32_options(False)``; a cut is found in them as well.

    Raises:
        ValueError: The file is cut off or was changed.
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


_ZIP = b"PK\x03\x04"
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, LookupError, RuntimeError),  # NotImplementedError among the last
)
"""Errors that ``zipfile`` raises at an archive that was changed."""


def _fits(archive: zipfile.ZipFile, record: zipfile.ZipInfo) -> bool:
    """Tell if a record of an archive has its checksum, and torch will see its content."""
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
        allow_mmengine_classes()
        with _only_weights_allowed(), _errors_as_sentences(filename):
            return loader(filename, *args, **kwargs)

    return load


@contextlib.contextmanager
def _only_weights_allowed() -> Iterator[None]:
    """Set torch's own switch, which wins over ``weights_only=False`` at any call."""
    switches = {"TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": None}
    before = {name: os.environ.get(name) for name in switches}
    _set_environment(switches)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@contextlib.contextmanager
def _errors_as_sentences(source: str) -> Iterator[None]:
    """Turn what goes wrong while ``source`` is read into errors that say what to do."""
    try:
        yield
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        refused = _REFUSED.search(str(error))
        raise _damaged(source, error) if refused is None else _refused(source, refused) from error
    except urllib.error.URLError as error:
        raise OSError(
            f"{source} cannot be downloaded ({error.reason}): check the address and the network, or"
            " download it elsewhere and give the path of the file"
        ) from error
    except PermissionError as error:
        raise PermissionError(f"{source} may not be read: change its permissions") from error
    except RuntimeError as error:
        if "CUDA" in str(error) or "out of memory" in str(error):  # the file is not to blame
            raise
        raise _damaged(source, error) from error
    except (EOFError, OSError, LookupError, AttributeError, TypeError, ValueError) as error:
        raise _damaged(source, error) from error
    except struct.error as error:
        raise _damaged(source, error) from error


_REFUSED = re.compile(
    r"GLOBAL (\S+)|unrecognized function (.+?)(?: which|\n|$)|but got (.+)", re.MULTILINE
)
"""Phrases by which torch names, in three places, what it did not allow."""


def _refused(source: str, named: re.Match[str]) -> ValueError:
    name = next(group for group in named.groups() if group)
    return ValueError(
        f"checkpoint {source} is refused, and nothing in it was run: it asks for {name}, which is"
        " neither a weight nor MMEngine's training state; if the file is your own, save its weights"
        " alone (torch.save(model.state_dict(), PATH)) and load those"
    )


def _damaged(source: str, error: Exception) -> ValueError:
    # the rest of torch's message is advice, among it to load the file unsafely
    reason = str(error).split(". ")[0].split("\n")[0].strip()
    what = "the file is cut off or no PyTorch checkpoint; copy or download it again"
    if "://" in source:
        what = (
            "check the name, and delete the copy in ~/.cache/torch/hub/checkpoints if the download"
            " was cut off"
        )
    return ValueError(
        f"expected a checkpoint in {source}, but it cannot be read"
        f" ({type(error).__name__}{reason and f': {reason}'}): {what}"
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
    """Return what MMEngine's checkpoints need and torch does not allow by itself.

    The message hub holds ``HistoryBuffer`` objects, which hold numpy arrays; learning rates and
    dataset metainfo hold numpy scalars and arrays. numpy 1 and 2 call the module of the two
    functions that rebuild them differently, and a checkpoint may come from either.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer

    multiarray = importlib.import_module(
        "numpy._core.multiarray" if hasattr(np, "_core") else "numpy.core.multiarray"
    )
    rebuilds = [
        _under_name(getattr(multiarray, name), module, name)
        for name in ("_reconstruct", "scalar")
        for module in ("numpy._core.multiarray", "numpy.core.multiarray")
    ]
    kinds = "?bBhHiIlLqQefdgFDSU"  # numbers, booleans and text; never "O", arbitrary objects
    dtypes = {type(np.dtype(kind)) for kind in kinds}
    statistic = _under_name(_history_buffer_statistic, "builtins", "getattr")
    no_bytes = _under_name(_no_bytes, "builtins", "bytes")
    return [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *rebuilds, statistic, no_bytes]


def _under_name(function: Callable, module: str, name: str) -> Callable:
    """Make a function that torch's list, which goes by names, knows by another name."""

    def call(*args: Any) -> Any:
        return function(*args)

    call.__module__, call.__qualname__, call.__name__ = module, name, name
    return call


def _no_bytes() -> bytes:
    """The content of an array of size 0, such as the links of unnamed points: pickled as a call."""
    return b""


def _history_buffer_statistic(owner: object, name: str) -> object:
    """The one use of ``getattr`` in MMEngine's checkpoints: a buffer's own table of statistics.

    A ``HistoryBuffer`` is pickled with ``{"mean": HistoryBuffer.mean, …}``, for which pickle
    writes ``getattr(HistoryBuffer, "mean")``. The real ``getattr`` reaches everything.
    """
    from mmengine.logging import HistoryBuffer

    if owner is HistoryBuffer and name in ("min", "max", "current", "mean"):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError("GLOBAL builtins.getattr is allowed for HistoryBuffer only")
