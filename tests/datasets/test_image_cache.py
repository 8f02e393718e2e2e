import copy
import logging
import multiprocessing
import os
import pickle

import numpy as np
import pytest
from mmengine.logging import MMLogger

from equikpt.datasets import image_cache
from equikpt.datasets.image_cache import FileStamp, ImageCache, default_max_bytes

STAMP = FileStamp(mtime_ns=1, size_bytes=2, inode=3)
FORK = multiprocessing.get_context("fork")


def image(seed: int, shape: tuple[int, ...] = (20, 30, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def in_fork(function) -> None:
    """Run ``function`` in a forked process, to its end."""
    process = FORK.Process(target=function)
    process.start()
    process.join(30)
    assert process.exitcode == 0


@pytest.fixture
def log(caplog):
    """Records of MMEngine's logger, which does not propagate to pytest's handler."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level(logging.INFO, logger=logger.name)
    return caplog


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("shape", [(20, 30, 3), (7, 5), (3, 4, 1)], ids=str)
def test_an_image_comes_back_as_it_was(shape, where, tmp_path):
    cache = ImageCache(10**6, folder=None if where == "memory" else str(tmp_path))
    assert cache.get("a", STAMP) is None
    assert cache.put("a", STAMP, image(0, shape))
    assert cache.put("b", STAMP, image(1, shape))
    assert np.array_equal(cache.get("a", STAMP), image(0, shape))
    assert np.array_equal(cache.get("b", STAMP), image(1, shape))
    assert cache.get("c", STAMP) is None
    assert len(cache) == 2
    assert cache.used_bytes == 2 * image(0, shape).nbytes
    assert list(tmp_path.iterdir()) == []


def test_a_view_of_strides_is_kept_in_its_own_order_and_nothing_else_is_kept():
    cache = ImageCache(10**6)
    cache.put("a", STAMP, image(0)[:, ::-1])
    assert np.array_equal(cache.get("a", STAMP), image(0)[:, ::-1])
    assert not cache.put("b", STAMP, image(0).astype(np.uint16))
    assert cache.get("b", STAMP) is None


def test_nothing_can_write_into_the_store():
    cache = ImageCache(10**6)
    original = image(0)
    cache.put("a", STAMP, original)
    original[:] = 0
    view = cache.get("a", STAMP)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    assert np.array_equal(cache.get("a", STAMP), image(0))


@pytest.mark.parametrize("field", FileStamp._fields)
def test_another_stamp_is_another_image(field):
    cache = ImageCache(10**6)
    cache.put("a", STAMP, image(0))
    old = cache.get("a", STAMP)
    changed = STAMP._replace(**{field: 99})
    assert cache.get("a", changed) is None
    assert cache.put("a", changed, image(1, (9, 9, 3)))
    assert np.array_equal(cache.get("a", changed), image(1, (9, 9, 3)))
    assert cache.get("a", STAMP) is None
    assert np.array_equal(old, image(0)), "a view that was handed out changed"
    assert len(cache) == 1


def test_the_bound_holds_and_is_told_once(log):
    size = image(0).nbytes
    cache = ImageCache(3 * size + size // 2)
    stored = [cache.put(str(i), STAMP, image(i)) for i in range(6)]
    assert stored == [True] * 3 + [False] * 3
    assert cache.used_bytes == 3 * size
    assert all(np.array_equal(cache.get(str(i), STAMP), image(i)) for i in range(3))
    assert all(cache.get(str(i), STAMP) is None for i in range(3, 6))
    in_fork(lambda: cache.put("6", STAMP, image(6)))
    assert log.text.count("is full: 3 images") == log.text.count("is full") == 1
    # A smaller image may still fit
    assert cache.put("small", STAMP, image(7, (5, 5, 3)))


def test_more_images_than_slots_is_no_error():
    """The first ones stay, the others are decoded."""
    cache = ImageCache(10**6)
    stored = [cache.put(str(i), STAMP, image(i, (2, 2, 3))) for i in range(1500)]
    assert stored == [True] * 1024 + [False] * 476
    for i, kept in enumerate(stored):
        found = cache.get(str(i), STAMP)
        assert (found is not None) == kept
        assert not kept or np.array_equal(found, image(i, (2, 2, 3)))


def test_workers_and_their_parent_share_it():
    cache = ImageCache(10**6)
    in_fork(lambda: cache.put("a", STAMP, image(0)))
    assert np.array_equal(cache.get("a", STAMP), image(0))

    def second() -> None:
        assert np.array_equal(cache.get("a", STAMP), image(0))
        cache.put("b", STAMP, image(1))

    in_fork(second)
    assert np.array_equal(cache.get("b", STAMP), image(1))


def test_workers_at_the_same_time_do_not_mix_their_images():
    cache = ImageCache(10**7)

    def fill(worker: int) -> None:
        for i in range(60):
            # every second image is one that all workers store
            number = i if i % 2 else 100 * worker + i
            cache.put(str(number), STAMP, image(number))

    workers = [FORK.Process(target=fill, args=(worker,)) for worker in range(1, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    numbers = {i if i % 2 else 100 * worker + i for worker in range(1, 5) for i in range(60)}
    assert len(cache) == len(numbers)
    for number in numbers:
        assert np.array_equal(cache.get(str(number), STAMP), image(number))


def test_a_lock_that_is_never_given_back_stops_nobody(monkeypatch):
    """As after a worker that was killed while it held it."""
    monkeypatch.setattr(image_cache, "_LOCK_SECONDS", 0.01)
    cache = ImageCache(10**6)
    cache.put("a", STAMP, image(0))
    with cache._lock:
        assert cache.get("a", STAMP) is None
        assert not cache.put("b", STAMP, image(1))
    assert cache.get("a", STAMP) is not None


def test_a_copy_is_the_same_store_and_a_pickle_an_empty_one(log):
    cache = ImageCache(10**6)
    assert copy.deepcopy(cache) is cache
    assert copy.copy(cache) is cache
    away = pickle.loads(pickle.dumps(cache))
    assert "spawned workers" in log.text
    assert not away.put("a", STAMP, image(0))
    assert away.get("a", STAMP) is None
    assert (len(away), away.used_bytes) == (0, 0)


def test_a_disk_without_room_is_told_and_is_no_error(monkeypatch, log):
    def refuse(*_):
        raise OSError("No space left on device")

    cache = ImageCache(10**6)
    monkeypatch.setattr(os, "pwrite", refuse)
    assert not cache.put("a", STAMP, image(0))
    assert cache.get("a", STAMP) is None
    assert "No space left" in log.text


def test_wrong_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 0, got -1"):
        ImageCache(-1)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ImageCache(10, folder=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("free_gib", "ranks", "expected_gib"),
    [(8, 1, 2), (1000, 1, 4), (8, 4, 0.5)],
    ids=["a-quarter", "at-most-4", "ranks-share"],
)
def test_the_default_bound(monkeypatch, free_gib, ranks, expected_gib):
    gib = 2**30
    monkeypatch.setattr(image_cache, "memory_bytes", lambda: (free_gib * gib, 2 * free_gib * gib))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert default_max_bytes() == expected_gib * gib
