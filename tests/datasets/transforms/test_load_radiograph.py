from __future__ import annotations

import cv2
import numpy as np
import pytest

from equikpt.core.radiograph import read_radiograph
from equikpt.datasets.transforms import LoadRadiograph


@pytest.fixture
def radiograph(tmp_path):
    path = tmp_path / "radiograph.png"
    cv2.imwrite(str(path), np.linspace(0, 4095, 2400).reshape(60, 40).astype(np.uint16))
    return str(path)


@pytest.mark.parametrize("max_bytes", [0, 10**6])
def test_with_and_without_a_store_the_radiograph_is_windowed(radiograph, max_bytes):
    load = LoadRadiograph(max_bytes=max_bytes)
    for _ in range(2):
        loaded = load.transform(dict(img_path=radiograph))
        assert (loaded["img"] == read_radiograph(radiograph)).all()
        assert loaded["img_shape"] == loaded["ori_shape"] == (60, 40)
    assert len(load.cache) == (max_bytes > 0)


def test_to_float32_and_images_in_memory(radiograph):
    loaded = LoadRadiograph(max_bytes=0, to_float32=True).transform(dict(img_path=radiograph))
    assert loaded["img"].dtype == np.float32
    given = np.full((5, 4, 3), 7, np.uint8)
    loaded = LoadRadiograph().transform(dict(img=given))
    assert loaded["img"] is given
    assert loaded["ori_shape"] == (5, 4)


def test_a_file_that_is_no_radiograph_is_named(tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("no radiograph")
    with pytest.raises(OSError, match=r"notes\.png"):
        LoadRadiograph(max_bytes=10**6).transform(dict(img_path=str(path)))
