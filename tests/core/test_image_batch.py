from __future__ import annotations

import pytest

from equikpt.core.image_batch import each_image, failures
from equikpt.core.image_decoding import ImageError


def read(path: str) -> int:
    if path == "bad":
        raise ImageError("expected an\nimage")
    if path == "film":
        raise ImportError("expected pydicom")
    if path == "full":
        raise OSError("no space left")
    return len(path)


def test_a_file_that_fails_is_a_case_of_its_own():
    assert list(each_image(["a", "bad", "film", "bcd"], read)) == [
        ("a", 1, ""),
        ("bad", None, "expected an image"),
        ("film", None, "expected pydicom"),
        ("bcd", 3, ""),
    ]


def test_what_concerns_all_files_is_raised():
    cases = each_image(["a", "full"], read)
    assert next(cases)[1] == 1
    with pytest.raises(OSError, match="no space left"):
        next(cases)


def test_failures_are_told_at_the_end():
    assert failures([], 3) == []
    assert failures(["a: x"], 3, "counted") == ["1 of 3 images could not be counted:", "  a: x"]
