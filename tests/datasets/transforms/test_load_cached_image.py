import copy
import os
import pickle
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
from mmpose.datasets.transforms import LoadImage
from torch.utils.data import DataLoader

from equikpt.core.image import ImageError
from equikpt.core.radiograph import read_radiograph
from equikpt.datasets.image_cache import default_cache
from equikpt.datasets.transforms import LoadCachedImage, LoadRadiograph

BOUND = 10**6


@pytest.fixture
def path(tmp_path) -> str:
    return write(tmp_path / "a.jpg", seed=0)


def write(path, seed: int, shape=(40, 60, 3)) -> str:
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return str(path)


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """One entry for each image that this process decodes."""
    calls = []
    real = cv2.imdecode
    monkeypatch.setattr(
        cv2, "imdecode", lambda *args, **kwargs: (calls.append(1), real(*args, **kwargs))[1]
    )
    return calls


@pytest.mark.parametrize("options", [{}, dict(to_float32=True)], ids=["plain", "float"])
def test_the_keys_and_pixels_of_the_stock_transform_every_time(path, options, decoded):
    expected = LoadImage(**options)(dict(img_path=path))
    load = LoadCachedImage(max_bytes=BOUND, **options)
    decoded.clear()
    for _ in range(3):
        results = load(dict(img_path=path))
        assert results.keys() == expected.keys()
        assert results["img"].dtype == expected["img"].dtype
        assert np.array_equal(results["img"], expected["img"])
        assert results["img_shape"] == results["ori_shape"] == expected["img_shape"]
    assert len(decoded) == 1


def test_a_file_that_changed_is_decoded_again(path, tmp_path):
    load = LoadCachedImage(max_bytes=BOUND)
    load(dict(img_path=path))
    stat = os.stat(path)
    write(path, seed=1)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert np.array_equal(load(dict(img_path=path))["img"], mmcv.imread(path))
    # put in its place, and made to look as old
    other = write(tmp_path / "b.jpg", seed=2)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    os.replace(other, path)
    assert np.array_equal(load(dict(img_path=path))["img"], mmcv.imread(path))


@pytest.mark.parametrize(
    ("option", "value"),
    [("color_type", "grayscale"), ("imdecode_backend", "pillow"), ("folder", "some")],
)
def test_another_way_to_read_and_a_folder_without_bound_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        LoadCachedImage(**{option: value})


def test_radiographs_and_images_do_not_mix_in_one_store(tmp_path):
    deep = np.linspace(0, 4095, 40 * 60).reshape(40, 60).astype(np.uint16)
    path = str(tmp_path / "deep.png")
    assert cv2.imwrite(path, np.clip(deep, 1000, 3000))
    image, radiograph = LoadCachedImage(), LoadRadiograph()
    assert image.cache is radiograph.cache is default_cache()
    for _ in range(2):
        assert image(dict(img_path=path))["img"].max() == 3000 >> 4
        assert radiograph(dict(img_path=path))["img"].max() == 255


def test_a_transform_that_writes_into_the_image_spoils_nothing(path):
    load = LoadCachedImage(max_bytes=BOUND)
    load(dict(img_path=path))["img"][:] = 0  # just decoded: the caller's own
    kept = load(dict(img_path=path))["img"]
    assert np.array_equal(kept, mmcv.imread(path))
    with pytest.raises(ValueError, match="read-only"):
        kept[:] = 0
    with pytest.raises(cv2.error):
        cv2.rectangle(kept, (0, 0), (9, 9), 0, -1)
    assert np.array_equal(load(dict(img_path=path))["img"], mmcv.imread(path))


def test_a_full_store_changes_no_image(path, tmp_path, decoded):
    load = LoadCachedImage(max_bytes=40 * 60 * 3)
    other = write(tmp_path / "b.jpg", seed=1)
    for name in (path, other, path, other):
        expected = LoadImage()(dict(img_path=name))["img"]
        decoded.clear()
        assert np.array_equal(load(dict(img_path=name))["img"], expected)
    assert len(decoded) == 1  # the last one, which did not fit
    assert load.cache.used_bytes == 40 * 60 * 3


def test_a_bound_of_0_decodes_every_time(path, decoded):
    load = LoadCachedImage(max_bytes=0)
    assert all(load(dict(img_path=path))["img"].flags.writeable for _ in range(2))
    assert len(decoded) == 2


@pytest.mark.parametrize("kind", [LoadCachedImage, LoadRadiograph])
def test_an_image_in_the_sample_is_taken_as_it_is(kind):
    pixels = np.zeros((4, 5, 3), np.uint8)
    results = kind(max_bytes=BOUND)(dict(img=pixels))
    assert results["img"] is pixels
    assert results["img_shape"] == results["ori_shape"] == (4, 5)


@pytest.mark.parametrize(
    "options", [dict(max_bytes=0), dict(max_bytes=BOUND), dict(to_float32=True)]
)
def test_with_and_without_a_store_a_radiograph_is_windowed(tmp_path, options):
    path = str(tmp_path / "radiograph.png")
    cv2.imwrite(path, np.linspace(0, 4095, 2400).reshape(60, 40).astype(np.uint16))
    load = LoadRadiograph(**options)
    for _ in range(2):
        loaded = load.transform(dict(img_path=path))
        assert loaded["img"].dtype == (np.float32 if "to_float32" in options else np.uint8)
        assert (loaded["img"] == read_radiograph(path)).all()
        assert loaded["img_shape"] == loaded["ori_shape"] == (60, 40)
    assert bool(len(load.cache)) == (options.get("max_bytes") != 0)


@pytest.mark.parametrize("content", [None, b"", b"no image"], ids=["missing", "empty", "broken"])
@pytest.mark.parametrize("max_bytes", [0, BOUND])
@pytest.mark.parametrize("kind", [LoadCachedImage, LoadRadiograph])
def test_a_file_that_is_no_image_is_one_sentence(tmp_path, content, max_bytes, kind):
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.jpg"):
        kind(max_bytes=max_bytes)(dict(img_path=str(path)))
    load = kind(max_bytes=max_bytes, ignore_empty=True)
    assert load(dict(img_path=str(path))) is None


def test_an_array_of_16_bits_keeps_those_that_are_used():
    pixels = np.full((4, 5, 3), 4095, np.uint16)
    assert (LoadCachedImage(max_bytes=BOUND)(dict(img=pixels))["img"] == 255).all()


def test_files_that_are_not_local_are_read_alike_and_not_stored(path, monkeypatch):
    load = LoadCachedImage(max_bytes=BOUND, backend_args=dict(backend="http"))
    content = Path(path).read_bytes()
    monkeypatch.setattr("mmengine.fileio.get", lambda name, backend_args: content)
    found = load(dict(img_path="http://host/a.jpg"))["img"]
    assert np.array_equal(found, mmcv.imread(path))
    assert len(load.cache) == 0


def test_a_copy_shares_the_store_and_a_pickle_decodes(path, decoded):
    load = LoadCachedImage(max_bytes=BOUND)
    load(dict(img_path=path))
    copy.deepcopy(load)(dict(img_path=path))
    assert len(decoded) == 1
    away = pickle.loads(pickle.dumps(load))
    assert np.array_equal(away(dict(img_path=path))["img"], mmcv.imread(path))


class Images:
    """A data set of one image that tells whether it was decoded for this sample."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.load = LoadCachedImage(max_bytes=BOUND)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[bool, int]:
        image = self.load(dict(img_path=self.path))["img"]
        return bool(image.flags.writeable), int(image.astype(int).sum())


def test_loaders_of_each_epoch_and_their_parent_share_what_was_decoded(path):
    dataset = Images(path)
    expected = int(mmcv.imread(path).astype(int).sum())

    def epoch() -> list[bool]:
        loader = DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="fork")
        samples = list(loader)
        assert [total for _, total in samples] == [expected] * 2
        return [fresh for fresh, _ in samples]

    assert epoch() == [True, False]
    assert epoch() == [False, False]  # new workers
    assert dataset[0][0] is False
