import cv2
import numpy as np
import pytest

from equikpt.data_tools import near_duplicates
from equikpt.data_tools.near_duplicates import (
    Fingerprint,
    clusters,
    fingerprint,
    near_pairs,
    read_fingerprints,
)


def drawn_image(seed: int, height: int = 260, width: int = 300) -> np.ndarray:
    """Gray blobs of several sizes that no other seed resembles."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width), np.float32)
    for cells, weight in ((6, 1.0), (16, 0.6), (40, 0.3)):
        grid = rng.normal(0, weight, (cells, cells)).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + 40 * total, 0, 255).astype(np.uint8)


def compressed(gray: np.ndarray) -> np.ndarray:
    encoded = cv2.imencode(".jpg", gray, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)


def turned(gray: np.ndarray, degrees: float) -> np.ndarray:
    height, width = gray.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(gray, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)


CHANGES = [
    pytest.param(compressed, False, id="compressed"),
    pytest.param(lambda g: cv2.resize(g, (150, 200)), False, id="resized"),
    pytest.param(lambda g: cv2.convertScaleAbs(g, beta=30), False, id="brighter"),
    pytest.param(lambda g: cv2.GaussianBlur(g, (0, 0), 2), False, id="blurred"),
    pytest.param(lambda g: turned(g, 0.5), False, id="turned"),
    pytest.param(lambda g: cv2.flip(g, 1), True, id="mirrored"),
    pytest.param(lambda g: cv2.flip(compressed(g), 1), True, id="mirrored and compressed"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "mirrored"), CHANGES)
def test_a_changed_copy_is_the_only_near_duplicate(change, mirrored):
    images = [drawn_image(seed) for seed in range(12)]
    (pair,) = near_pairs([fingerprint(each) for each in (*images, change(images[5]))])
    assert (pair.first, pair.second, pair.mirrored) == (5, 12, mirrored)
    assert 0.9 <= pair.likeness <= 1 + 1e-5


DIFFERENT = [
    pytest.param(lambda g: turned(g, 20), id="turned a lot"),
    pytest.param(lambda g: cv2.flip(g, 0), id="upside down"),
    pytest.param(lambda g: np.roll(g, 60, axis=1), id="shifted"),
]


@pytest.mark.parametrize("change", DIFFERENT)
def test_another_image_is_none(change):
    first = drawn_image(5)
    assert near_pairs([fingerprint(first), fingerprint(change(first))]) == []


def test_of_the_same_layout_the_fine_structure_decides():
    """As radiographs of two patients: the hash takes them for one."""
    layout = cv2.GaussianBlur(drawn_image(5), (0, 0), 25).astype(int)
    first, second = (
        fingerprint(np.clip(layout + drawn_image(seed) // 6 - 20, 0, 255).astype(np.uint8))
        for seed in (98, 99)
    )
    (pair,) = near_pairs([first, second], min_likeness=-1)
    assert near_pairs([first, second]) == []


def test_plain_images_are_like_no_other():
    plain = [np.full((50, 60), gray, np.uint8) for gray in (0, 128, 128)]
    faint = [np.tile(np.linspace(128, 130, 300).astype(np.uint8), (260, 1))] * 2
    ramp = np.tile(np.linspace(0, 255, 300).astype(np.uint8), (260, 1))
    steep = np.tile(np.clip((np.arange(300) - 220) * 20, 0, 255).astype(np.uint8), (260, 1))
    assert near_pairs([fingerprint(each) for each in (*plain, *faint, ramp, steep)]) == []


def test_pairs_are_those_of_a_comparison_one_by_one(monkeypatch):
    monkeypatch.setattr(near_duplicates, "COMPARED_AT_ONCE", 7)
    rng = np.random.default_rng(0)
    base = rng.normal(size=(4, 64, 64))
    prints = []
    for _ in range(40):
        fine = base[rng.integers(4)] + rng.normal(0, rng.choice([0.2, 0.8]), (64, 64))
        fine = (fine[:, ::-1] if rng.random() < 0.5 else fine).astype(np.float32)
        bits = [int(b) for b in rng.integers(0, 2**9, 2)]
        prints.append(Fingerprint(*bits, fine / np.linalg.norm(fine)))
    expected = set()
    for second, b in enumerate(prints):
        for first, a in enumerate(prints[:second]):
            for mirrored, bits, other in (
                (False, a.bits, a.fine),
                (True, a.mirrored_bits, a.fine[:, ::-1]),
            ):
                near = bin(bits ^ b.bits).count("1") <= 4 and float((other * b.fine).sum()) >= 0.7
                if near and (first, second, not mirrored) not in expected:
                    expected.add((first, second, mirrored))
    found = near_pairs(prints, max_bits=4, min_likeness=0.7)
    assert {(pair.first, pair.second, pair.mirrored) for pair in found} == expected
    assert 10 < len(found) < 200
    assert [(p.second, p.first) for p in found] == sorted((p.second, p.first) for p in found)


def test_clusters_are_chains_of_pairs():
    pairs = [(first, second) for first, second in ((1, 4), (0, 5), (4, 5))]
    assert clusters(7, pairs).tolist() == [0, 0, 1, 2, 0, 0, 3]
    assert clusters(3, []).tolist() == [0, 1, 2]


def test_files_are_read_whatever_their_format(tmp_path):
    names = [str(tmp_path / name) for name in ("a.png", "b.jpg", "a.png")]
    cv2.imwrite(names[0], drawn_image(1))
    cv2.imwrite(names[1], cv2.merge([drawn_image(1)] * 3))
    prints = read_fingerprints(names)
    assert [(p.first, p.second) for p in near_pairs(prints)] == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), (b"text", "none of JPEG")], ids=["gone", "text"]
)
def test_what_is_no_image_is_named(tmp_path, content, words):
    path = tmp_path / "a.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(OSError, match=words):
        read_fingerprints([path])


REAL = [
    # images of the set, and those of them that are one radiograph or one frame
    pytest.param("ceph_ruler/images/{}.jpg", ["056", "280", "126", "299", "154", "211", "059"],
                 [(0, 1), (2, 3)], id="radiographs"),
    pytest.param("horse10_sample20/labeled-data/Sample20/{}.png",
                 ["0113", "0114", "0117", "0020", "0021"], [(0, 1)], id="frames"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "names", "expected"), REAL)
def test_one_radiograph_is_told_from_two_patients_and_a_frame_from_the_next(
    real_data, pattern, names, expected
):
    prints = read_fingerprints(real_data / pattern.format(name) for name in names)
    assert [(pair.first, pair.second) for pair in near_pairs(prints)] == expected
