"""Work that is shared by processes, of which one may be lost."""

import os
import signal
from pathlib import Path

import pytest

from equikpt.tracks import workers

pytest.importorskip("distributed")


def count(path: Path) -> int:
    """Length of a file; the worker that first meets ``fatal`` is lost."""
    mark = path.with_suffix(".met")
    if path.name == "fatal" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if path.name == "empty":
        raise ValueError("nothing in it")
    return len(path.read_text())


def test_a_lost_worker_loses_nothing_and_an_error_is_a_result(tmp_path):
    names = ("a", "bb", "fatal", "empty", "ccc")
    for name in names:
        (tmp_path / name).write_text(name if name != "empty" else "")
    found = dict(workers.spread(count, [tmp_path / name for name in names], workers=2))
    assert {path.name for path in found} == set(names)
    assert (tmp_path / "fatal.met").exists()
    assert isinstance(found.pop(tmp_path / "empty"), ValueError)
    assert {path.name: value for path, value in found.items()} == dict(a=1, bb=2, fatal=5, ccc=3)


def test_without_dask_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(workers, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"dask\[distributed\].*--shard"):
        next(workers.spread(count, [Path("a")], workers=2))


def test_a_scheduler_that_does_not_answer_is_a_sentence(monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_S", 1)
    with pytest.raises(OSError, match="expected a scheduler of Dask at tcp://127.0.0.1:1,"):
        next(workers.spread(count, [Path("a")], scheduler="tcp://127.0.0.1:1"))
